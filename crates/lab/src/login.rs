//! The login of a fleet whose hosts are not reached as root: a user who may become root by sudo, and the Nix daemon without
//! which only root can use a store. A real host has both before its first deploy.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

/// Above what Debian and NixOS give to people.
const ID: u32 = 59_000;
/// sudo asks PAM, and without rules of its own PAM says no.
const PAM: &str = "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_permit.so\n";
const DAEMON: &str = "[Unit]\nDescription=Nix daemon\nDefaultDependencies=no\nAfter=local-fs.target\n\n\
    [Service]\nExecStart=/usr/bin/nix-daemon\nKillMode=process\n";

/// Adds the user, with this public key, to a machine's root file system.
pub(crate) fn create(root: &Path, user: &str, key: &str) -> io::Result<()> {
    append(root, "etc/passwd", &format!("{user}:x:{ID}:{ID}::/home/{user}:/bin/bash\n"))?;
    append(root, "etc/group", &format!("{user}:x:{ID}:\n"))?;
    // No password, and no locked account: sshd would refuse that one's keys, too.
    append(root, "etc/shadow", &format!("{user}:*:19000:0:99999:7:::\n"))?;
    let home = root.join("home").join(user);
    let ssh = home.join(".ssh");
    fs::create_dir_all(&ssh)?;
    fs::write(ssh.join("authorized_keys"), format!("{key}\n"))?;
    for path in [&home, &ssh, &ssh.join("authorized_keys")] {
        chown(path, Some(ID), Some(ID))?;
    }
    for folder in [&home, &ssh] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    fs::create_dir_all(root.join("etc/pam.d"))?;
    fs::write(root.join("etc/pam.d/sudo"), PAM)?;
    let rule = format!("root ALL=(ALL:ALL) ALL\n{user} ALL=(ALL:ALL) NOPASSWD: ALL\n");
    let sudoers = OpenOptions::new().write(true).create_new(true).mode(0o440).open(root.join("etc/sudoers"));
    sudoers?.write_all(rule.as_bytes())?;
    // As for real: who is not trusted cannot bring systems that were built elsewhere.
    append(root, "etc/nix/nix.conf", &format!("trusted-users = root {user}\n"))?;
    let units = root.join("etc/systemd/system");
    fs::write(units.join("nix-daemon.service"), DAEMON)?;
    symlink("../nix-daemon.service", units.join("multi-user.target.wants/nix-daemon.service"))
}

fn append(root: &Path, file: &str, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).open(root.join(file))?.write_all(line.as_bytes())
}
