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
const SSHD: &str = "openssh-server";
/// Packages are downloaded: on a slow line that takes its time.
const TIMEOUT: Duration = Duration::from_secs(1200);

pub(crate) fn names() -> Vec<&'static str> {
    PACKAGES.iter().map(|(package, _)| *package).collect()
}

fn missing_of(packages: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let absent = |(_, program): &&(&str, &str)| remote::find(program).is_none();
    packages.iter().filter(absent).map(|(package, _)| *package).collect()
}

/// The packages that are not installed.
pub fn missing() -> Vec<&'static str> {
    missing_of(&PACKAGES)
}

/// Installs what is missing of the lab's packages and of `more` (package, program), telling `on_line` about it.
///
/// # Errors
/// Without apt-get or root, and when apt-get fails.
pub fn install(more: &[(&'static str, &'static str)], on_line: &dyn Fn(&str)) -> Result<(), LabError> {
    let all: Vec<_> = PACKAGES.iter().chain(more).copied().collect();
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
    if missing.contains(&SSHD) {
        keep_sshd_off(on_line)?;
    }
    let apt = |args: &[&str]| {
        let apt = Cmd::new("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").timeout(TIMEOUT);
        apt.run_watched(on_line)
    };
    apt(&["-qq", "update"])?;
    apt(&[&["-qq", "install", "--yes", "--no-install-recommends"], &missing[..]].concat())?;
    Ok(())
}

/// The machines need the program. That installing it would open this machine to the network is nobody's wish.
fn keep_sshd_off(on_line: &dyn Fn(&str)) -> Result<(), LabError> {
    let units = Path::new("/etc/systemd/system");
    fs::create_dir_all(units).map_err(LabError::io(units))?;
    for unit in ["ssh.service", "ssh.socket"].map(|unit| units.join(unit)) {
        // As `systemctl mask` does, which may not be there yet.
        match symlink("/dev/null", &unit) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(LabError::io(&unit)(error)),
            _ => {}
        }
    }
    on_line("sshd stays off on this machine; to have it: systemctl unmask ssh.service ssh.socket");
    Ok(())
}
