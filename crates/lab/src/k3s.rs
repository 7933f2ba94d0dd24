//! A real K3s for the machines, in place of the stand-in: which programs, as which packages of the miniature nixpkgs, and
//! what a machine needs so that a kubelet and containers run in it.
//!
//! The program is never copied into a store: it is 60 to 200 MB, and each host's closure would carry it. It is mounted
//! read-only into every machine, as `/usr` is, and its package is a link to it, as those of Debian's programs are. A program
//! that lies in a Nix store brings its closure along, since its interpreter and libraries are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remote::Cmd;

use crate::error::LabError;
use crate::store::{self, STORE};
use crate::{cgroup, write};

/// Where the programs are mounted in a machine.
pub(crate) const PROGRAMS: &str = "/opt/k3s";
/// Where image archives are mounted in a machine.
pub(crate) const IMAGES: &str = "/opt/images";
/// The folder of the lab that holds both, outside of the machines.
pub(crate) const SHARED: &str = "shared";
/// In the miniature nixpkgs: what this rehearsal has in place of stand-ins.
const SETTINGS: &str = "pkgs/rehearsal.nix";
/// A program of 200 MB starts in a fraction of a second, also from a slow disk.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A program that is K3s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct K3s {
    program: PathBuf,
    /// `1.35.4+k3s1`
    version: String,
}

impl K3s {
    /// Looks at a file that is said to be K3s: a release's binary, or a program in a Nix store.
    ///
    /// # Errors
    /// When it is not there, cannot be run, or is something else.
    pub fn at(path: &Path) -> Result<Self, LabError> {
        let refused = |why: String| LabError::NotK3s { path: path.to_owned(), why };
        let program = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
        let said = Cmd::new(&program).arg("--version").timeout(TIMEOUT).run();
        let said = said.map_err(|error| refused(error.to_string()))?.text();
        let version = said.lines().next().and_then(|line| line.strip_prefix("k3s version v"));
        let version = version.and_then(|rest| rest.split(' ').next()).filter(|version| is_version(version));
        let version = version.map(str::to_owned).ok_or_else(|| {
            let first = said.lines().next().unwrap_or("nothing");
            refused(format!("`--version` says `{first}`, not `k3s version v…`"))
        })?;
        Ok(Self { program, version })
    }

    /// `1.35.4+k3s1`
    pub fn version(&self) -> &str {
        &self.version
    }

    fn numbers(&self) -> Vec<u64> {
        let numbers = self.version.split(['.', '+', '-']);
        numbers.map(|it| it.trim_start_matches("k3s").parse().unwrap_or(0)).collect()
    }
}

/// It becomes a name in a Nix expression and a folder.
fn is_version(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
    text.split('.').count() >= 3 && text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(plain)
}

/// What a machine with a K3s was seen to use, and what the rest of this one does.
const INOTIFY_A_MACHINE: usize = 24;
const INOTIFY_ELSE: usize = 32;

/// Machines do not boot, or only some of their units start, where the kernel gives no more of these.
///
/// # Errors
/// When it allows too few.
pub(crate) fn require_inotify(machines: usize) -> Result<(), LabError> {
    let allowed = fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap_or_default();
    let needed = INOTIFY_ELSE + machines * INOTIFY_A_MACHINE;
    match allowed.trim().parse() {
        Ok(allowed) if allowed < needed => Err(LabError::Inotify { machines, needed, allowed }),
        // Where nobody can say, the machines will.
        _ => Ok(()),
    }
}

/// Oldest first, each version once.
///
/// # Errors
/// When two programs say that they are the same version.
pub(crate) fn sorted(programs: &[K3s]) -> Result<Vec<K3s>, LabError> {
    let mut sorted = programs.to_vec();
    sorted.sort_by_key(K3s::numbers);
    match sorted.windows(2).find(|pair| pair[0].version == pair[1].version) {
        Some(pair) => Err(LabError::NotK3s {
            path: pair[1].program.clone(),
            why: format!("it is {}, as {} is", pair[1].version, pair[0].program.display()),
        }),
        None => Ok(sorted),
    }
}

/// Mounts programs and images below `lab`, which the machines mount from there. The program of a Nix store goes into the
/// store of each of `roots`, with all that it refers to.
pub(crate) fn provide(
    lab: &Path,
    k3s: &[K3s],
    images: &[PathBuf],
    roots: &[PathBuf],
) -> Result<(), LabError> {
    for one in k3s {
        let place = below(lab, PROGRAMS).join(&one.version).join("k3s");
        if one.program.starts_with(STORE) {
            store::link(&one.program, &place)?;
            for root in roots {
                store::copy_closure(&one.program, root)?;
            }
        } else {
            bind(&one.program, &place)?;
        }
    }
    for (number, image) in images.iter().enumerate() {
        let image = fs::canonicalize(image).map_err(LabError::io(image))?;
        bind(&image, &below(lab, IMAGES).join(format!("{number}.tar")))?;
    }
    fs::create_dir_all(below(lab, IMAGES)).map_err(LabError::io(lab))
}

/// The folder outside that is `inside` in each machine.
pub(crate) fn below(lab: &Path, inside: &str) -> PathBuf {
    lab.join(SHARED).join(inside.trim_start_matches('/'))
}

fn bind(file: &Path, place: &Path) -> Result<(), LabError> {
    write(place, "")?;
    Cmd::new("mount").args(["--bind", "-o", "ro"]).arg(file).arg(place).run()?;
    Ok(())
}

/// Tells the miniature nixpkgs what is real, and which flags a kubelet needs on machines like these.
pub(crate) fn write_settings(nixpkgs: &Path, k3s: &[K3s]) -> Result<(), LabError> {
    let program =
        |one: &K3s| format!("    {{ version = \"{0}\"; program = \"{PROGRAMS}/{0}/k3s\"; }}\n", one.version);
    let programs: String = k3s.iter().map(program).collect();
    let settings = format!(
        "# Written for this rehearsal.\n{{\n  # Oldest first.\n  k3s = [\n{programs}  ];\n  cgroupVersion = {};\n}}\n",
        if cgroup::is_unified() { 2 } else { 1 }
    );
    write(&nixpkgs.join(SETTINGS), settings)
}

/// Words for systemd-nspawn: a kubelet writes to /dev/kmsg, to cgroups and to /proc/sys, and makes mounts, interfaces and
/// firewall rules.
pub(crate) fn nspawn_arguments(lab: &Path) -> Vec<String> {
    let mut words = vec![
        "--capability=all".to_owned(),
        "--system-call-filter=@known".to_owned(),
        "--bind=/dev/kmsg".to_owned(),
    ];
    for inside in [PROGRAMS, IMAGES] {
        words.push(format!("--bind-ro={}:{inside}", below(lab, inside).display()));
    }
    words
}

/// systemd-nspawn mounts these read-only, and `/` as a private mount, which volumes of pods would not get past.
pub(crate) const UNIT: &str = "[Unit]\nDescription=What a kubelet needs of a container\nDefaultDependencies=no\n\
    Before=basic.target\n\n\
    [Service]\nType=oneshot\nRemainAfterExit=yes\n\
    ExecStart=/bin/sh -c 'for path in /sys/fs/cgroup /sys/fs/cgroup/* /proc/sys; do \
    if mountpoint -q \"$path\"; then mount -o remount,rw,bind \"$path\"; fi; done; mount --make-rshared /'\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn k3s(version: &str) -> K3s {
        K3s { program: PathBuf::from("/k3s"), version: version.to_owned() }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers_and_each_is_there_once() {
        let all = ["1.35.10+k3s1", "1.9.1+k3s1", "1.35.4+k3s2", "1.35.4+k3s1"].map(k3s);
        let told: Vec<String> = sorted(&all).unwrap().into_iter().map(|one| one.version).collect();
        assert_eq!(told, ["1.9.1+k3s1", "1.35.4+k3s1", "1.35.4+k3s2", "1.35.10+k3s1"]);
        assert!(sorted(&[k3s("1.35.4+k3s1"), k3s("1.35.4+k3s1")]).is_err());
    }

    #[test]
    fn what_is_no_version_becomes_no_nix_expression() {
        assert!(is_version("1.35.4+k3s1") && is_version("1.36.0-rc1+k3s1"));
        for text in ["", "1.35", "1.35.4\"", "x.1.2", "1.35.4/..", "1.35.${x}"] {
            assert!(!is_version(text), "{text}");
        }
    }

    #[test]
    fn only_k3s_is_taken_for_k3s() {
        let refused = |path: &str| K3s::at(Path::new(path)).unwrap_err().to_string();
        assert!(refused("/nowhere").contains("No such file"), "{}", refused("/nowhere"));
        assert!(refused("/bin/ls").contains("`--version` says `ls"), "{}", refused("/bin/ls"));
        assert!(refused("/etc/passwd").contains("/etc/passwd"));
    }
}
