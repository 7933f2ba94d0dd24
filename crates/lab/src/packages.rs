//! What the lab needs of Debian.

use remote::Cmd;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::error::LabError;

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
const CONTAINERD: &str = "containerd";
const SSHD: &str = "openssh-server";
/// Packages are downloaded: on a slow line that takes its time.
const TIMEOUT: Duration = Duration::from_secs(1200);

pub(crate) fn names() -> Vec<&'static str> {
    PACKAGES.iter().chain(&WITH_K3S).map(|(package, _)| *package).collect()
}

fn missing_of(packages: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let absent = |(_, program): &&(&str, &str)| remote::find(program).is_none();
    packages.iter().filter(absent).map(|(package, _)| *package).collect()
}

fn all(with_k3s: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let more: &[_] = if with_k3s { &WITH_K3S } else { &[] };
    PACKAGES.iter().chain(more).copied()
}

/// The packages that are not installed, of those that the lab needs; `with_k3s`: with a real one on its machines.
pub fn missing(with_k3s: bool) -> Vec<&'static str> {
    missing_of(&all(with_k3s).collect::<Vec<_>>())
}

/// Installs what is missing of the lab's packages and of `more` (package, program), telling `on_line` about it.
///
/// # Errors
/// Without apt-get or root, and when apt-get fails.
pub fn install(
    with_k3s: bool,
    more: &[(&'static str, &'static str)],
    on_line: &dyn Fn(&str),
) -> Result<(), LabError> {
    let all: Vec<_> = all(with_k3s).chain(more.iter().copied()).collect();
    let missing = missing_of(&all);
    if missing.is_empty() {
        return Ok(());
    }
    if remote::find("apt-get").is_none() {
        return Err(LabError::Install("there is no apt-get".to_owned()));
    }
    if !remote::is_root() {
        return Err(LabError::Install("that needs root".to_owned()));
    }
    on_line(&format!("installing {}", missing.join(" ")));
    for (package, name, units) in KEPT_OFF {
        if missing.contains(package) {
            keep_off(name, units, on_line)?;
        }
    }
    let apt = |args: &[&str]| {
        let apt = Cmd::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").timeout(TIMEOUT);
        apt.run_watched(on_line)
    };
    apt(&["-qq", "update"])?;
    apt(&[&["-qq", "install", "--yes", "--no-install-recommends"], &missing[..]].concat())?;
    Ok(())
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
