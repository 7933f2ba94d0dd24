//! What the lab needs of Debian, and a Debian for machines that are none.

use remote::Cmd;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::error::LabError;
use crate::system::{self, OUTSIDE, System};

/// Package, and the program by which one sees that it is there.
const PACKAGES: [(&str, &str); 15] = [
    ("age", "age"),
    ("coreutils", "chroot"),
    // NixOS has it on every host.
    ("curl", "curl"),
    ("git", "git"),
    ("iproute2", "ip"),
    ("nix-bin", "nix"),
    ("openssh-client", "ssh"),
    (SSHD, "/usr/sbin/sshd"),
    ("openssl", "openssl"),
    ("procps", "pgrep"),
    ("python3", "/usr/bin/python3"),
    ("sudo", "sudo"),
    // A container of Debian has none.
    ("systemd", "/usr/lib/systemd/systemd"),
    ("systemd-container", "systemd-nspawn"),
    ("util-linux", "unshare"),
];
/// The same, for machines with a real K3s: what runs containers, and what a kubelet calls.
const WITH_K3S: [(&str, &str); 8] = [
    ("conntrack", "conntrack"),
    (CONTAINERD, "containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("ethtool", "ethtool"),
    ("ipset", "ipset"),
    ("iptables", "iptables"),
    ("runc", "runc"),
    ("socat", "socat"),
];
/// What `--install` makes of a folder. A newer one is proved before it stands here.
const RELEASE: &str = "trixie";
const CONTAINERD: &str = "containerd";
const SSHD: &str = "openssh-server";
/// Packages are downloaded: on a slow line that takes its time.
const TIMEOUT: Duration = Duration::from_secs(1200);

pub(crate) fn names() -> Vec<&'static str> {
    PACKAGES.iter().chain(&WITH_K3S).map(|(package, _)| *package).collect()
}

fn missing_of(system: &System, packages: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let absent = |(_, program): &&(&str, &str)| !system.has(program);
    packages.iter().filter(absent).map(|(package, _)| *package).collect()
}

fn all(with_k3s: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let more: &[_] = if with_k3s { &WITH_K3S } else { &[] };
    PACKAGES.iter().chain(more).copied()
}

impl System {
    /// Is everything there that the lab needs? `with_k3s`: with a real one on its machines.
    ///
    /// # Errors
    /// With the packages that are missing, here or in the folder.
    pub fn require(&self, with_k3s: bool) -> Result<(), LabError> {
        let inside = missing_of(self, &all(with_k3s).collect::<Vec<_>>());
        let outside = OUTSIDE.iter().filter(|(_, program)| remote::find(program).is_none());
        let mut missing: Vec<_> = outside.map(|(package, _)| *package).collect();
        if self.is_here() {
            missing.extend(&inside);
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            return Err(LabError::Missing(missing));
        }
        if !inside.is_empty() {
            return Err(LabError::MissingIn { root: self.root().to_owned(), missing: inside });
        }
        Ok(())
    }
}

/// Installs what this system lacks of the lab's packages and of `more` (package, program), telling `on_line` about it.
///
/// # Errors
/// Without apt-get or root, and when apt-get fails.
pub fn install(
    system: &System,
    with_k3s: bool,
    more: &[(&'static str, &'static str)],
    on_line: &dyn Fn(&str),
) -> Result<(), LabError> {
    let all: Vec<_> = all(with_k3s).chain(more.iter().copied()).collect();
    let missing = missing_of(system, &all);
    if missing.is_empty() {
        return Ok(());
    }
    if !system.has_apt() {
        return Err(LabError::Install("there is no apt-get".to_owned()));
    }
    if !remote::is_root() {
        return Err(LabError::Install("that needs root".to_owned()));
    }
    on_line(&format!("installing {}", missing.join(" ")));
    if system.is_here() {
        for (package, name, units) in KEPT_OFF {
            if missing.contains(package) {
                keep_off(name, units, on_line)?;
            }
        }
    } else {
        // What an installation that was cut off left behind.
        system.command("dpkg").args(["--configure", "-a"]).timeout(TIMEOUT).run_watched(on_line)?;
    }
    let apt = |args: &[&str]| {
        let apt = system.command("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive");
        apt.timeout(TIMEOUT).run_watched(on_line)
    };
    apt(&["-qq", "update"])?;
    apt(&[&["-qq", "install", "--yes", "--no-install-recommends"], &missing[..]].concat())?;
    Ok(())
}

/// Makes a Debian of a folder that is empty or not there; any other is left as it is.
///
/// # Errors
/// Without debootstrap or root, and when debootstrap fails.
pub fn make_system(folder: &Path, on_line: &dyn Fn(&str)) -> Result<(), LabError> {
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    if remote::find("debootstrap").is_none() {
        return Err(LabError::NoDebootstrap);
    }
    if !remote::is_root() {
        return Err(LabError::Install("that needs root".to_owned()));
    }
    // Renamed once it is whole: half a Debian is none.
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let half = folder.with_file_name(format!("{name}.half"));
    fs::create_dir_all(&half).map_err(LabError::io(&half))?;
    Cmd::new("rm").args(["-rf", "--one-file-system"]).arg(&half).timeout(TIMEOUT).run()?;
    on_line(&format!("making a Debian {RELEASE} in {}, which takes a minute", folder.display()));
    // In a mount namespace of its own, so that no mount of it stays. It says on standard output what goes wrong.
    Cmd::new("unshare")
        .args(["--mount", "sh", "-c", "exec debootstrap \"$@\" >&2", "debootstrap"])
        .args(["--variant=minbase", "--force-check-gpg", RELEASE])
        .arg(&half)
        .env("PATH", system::path_with())
        .timeout(TIMEOUT)
        .label("debootstrap")
        .run()?;
    fs::rename(&half, folder).map_err(LabError::io(folder))
}

/// The machines need these programs. That installing them would open this machine to the network, or have it run containers,
/// is nobody's wish. Package, what it brings, its units.
const KEPT_OFF: &[(&str, &str, &[&str])] =
    &[(SSHD, "sshd", &["ssh.service", "ssh.socket"]), (CONTAINERD, "containerd", &["containerd.service"])];

fn keep_off(name: &str, units: &[&str], on_line: &dyn Fn(&str)) -> Result<(), LabError> {
    let folder = Path::new("/etc/systemd/system");
    fs::create_dir_all(folder).map_err(LabError::io(folder))?;
    for unit in units.iter().map(|unit| folder.join(unit)) {
        // As `systemctl mask` does, which may not be there yet.
        match symlink("/dev/null", &unit) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(LabError::io(&unit)(error)),
            _ => {}
        }
    }
    on_line(&format!("{name} stays off on this machine; to have it: systemctl unmask {}", units.join(" ")));
    Ok(())
}
