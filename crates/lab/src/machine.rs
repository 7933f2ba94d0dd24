//! A throwaway machine: a root of its own on a tmpfs, `/usr` of this machine read-only, systemd as PID 1.
//!
//! It does not boot what this machine would boot: its `/etc/systemd/system` holds just what is written here, and its
//! multi-user target asks for an interface, sshd and little else. So it is up in a fraction of a second, and none of this
//! machine's services or secrets are in it.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fleet::Host;
use remote::{Background, Cmd};

use crate::cgroup::Scope;
use crate::error::LabError;
use crate::network::{BRIDGE, Plan};
use crate::system::System;
use crate::{cgroup, isolate, k3s, login, write};

/// Units of systemd's own that a machine without hardware, users and resolvers has no use for.
const MASKED: [&str; 6] = [
    "systemd-networkd.service",
    "systemd-logind.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "getty.target",
    "console-getty.service",
];

/// Programs that each boot and each activation would start, for disks, terminals and scripts of init that no machine has.
const GENERATORS: &str = "/usr/lib/systemd/system-generators";

/// One machine of the lab.
pub struct Machine {
    name: String,
    root: PathBuf,
    address: IpAddr,
    /// Where what all machines share is mounted from, if it runs a real K3s.
    shared: Option<PathBuf>,
}

impl Machine {
    /// Makes the machine's root file system, with a host key and a machine-id of its own. Once we have moved into the deployer, whose
    /// system it gets.
    pub(crate) fn create(
        lab: &Path,
        host: &Host,
        network: &Plan,
        admin: &str,
        has_real_k3s: bool,
    ) -> Result<Self, LabError> {
        let name = host.name.as_str();
        let root = root_of(lab, host);
        base(&root, &System::new(None)?, network).map_err(LabError::io(&root))?;
        let shared = has_real_k3s.then(|| lab.to_owned());
        let machine = Self { name: name.to_owned(), address: network.address(name), root, shared };
        let file = |path: &str, text: &str| write(&machine.root.join(path), text);
        file(BOOT.trim_start_matches('/'), BOOT_SCRIPT)?;
        let boot = machine.root.join(BOOT.trim_start_matches('/'));
        fs::set_permissions(&boot, fs::Permissions::from_mode(0o755)).map_err(LabError::io(&boot))?;
        file("etc/hostname", &format!("{name}\n"))?;
        // Without it a system of the miniature nixpkgs refuses to be activated: it must never take over a real host.
        file("etc/xtask-rehearsal", "a throwaway machine\n")?;
        file("etc/shadow", "root:*:19000:0:99999:7:::\n")?;
        file("root/.ssh/authorized_keys", &format!("{admin}\n"))?;
        file("etc/ssh/sshd_config", &format!("{SSHD_CONFIG}SetEnv {LOGIN_PATH}\n"))?;
        file("etc/systemd/system/lab-network.service", &network_unit(network, name))?;
        file("etc/systemd/system/sshd.service", SSHD_SERVICE)?;
        file("etc/systemd/journald.conf", "[Journal]\nStorage=persistent\nRateLimitBurst=0\n")?;
        let units = machine.root.join("etc/systemd/system");
        // In a container on a hybrid hierarchy, systemd may miss the end of a unit's last process: then it waits this long.
        file("etc/systemd/system.conf", "[Manager]\nDefaultTimeoutStopSec=10s\n")?;
        let link = |to: &str, name: &str| symlink(to, units.join(name)).map_err(LabError::io(&units));
        link("/usr/lib/systemd/system/multi-user.target", "default.target")?;
        let wants = units.join("multi-user.target.wants");
        fs::create_dir(&wants).map_err(LabError::io(&wants))?;
        let mut services = vec!["lab-network.service", "sshd.service"];
        if has_real_k3s {
            file("etc/systemd/system/lab-kubelet.service", k3s::UNIT)?;
            // The kubelet copies it into pods, and has no other.
            file("etc/resolv.conf", "")?;
            services.push("lab-kubelet.service");
        }
        for service in services {
            link(&format!("../{service}"), &format!("multi-user.target.wants/{service}"))?;
        }
        for unit in MASKED {
            link("/dev/null", unit)?;
        }
        mask_generators(&machine.root).map_err(LabError::io(&machine.root))?;
        if host.ssh_user != "root" {
            login::create(&machine.root, &host.ssh_user, admin).map_err(LabError::io(&machine.root))?;
        }
        // StrictModes is on, as it is in production.
        for private in ["root", "root/.ssh"] {
            let path = machine.root.join(private);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(LabError::io(&path))?;
        }
        let key = machine.root.join("etc/ssh/ssh_host_ed25519_key");
        generate_key(&key, &format!("root@{name}"))?;
        Ok(machine)
    }

    /// Its name in fleet.toml.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address in the lab's network, the same as in production.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its root file system, as this process sees it. Its /run and /tmp are its own and do not show here.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its host key's public half.
    pub(crate) fn host_key(&self) -> Result<String, LabError> {
        let path = self.root.join("etc/ssh/ssh_host_ed25519_key.pub");
        fs::read_to_string(&path).map_err(LabError::io(path))
    }

    /// The end of what its systemd said on the console.
    pub fn console(&self) -> String {
        let text = fs::read_to_string(self.console_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The words before a command that looks at it from outside: neither its network nor its sshd has a part in it. Nothing
    /// while it is down.
    pub fn entrance(&self) -> Option<Vec<String>> {
        let init = cgroup::init(&self.group())?.to_string();
        let enter =
            ["nsenter", "--all", "--target", &init, "env", "--ignore-environment", "HOME=/root", LOGIN_PATH];
        Some(enter.map(str::to_owned).to_vec())
    }

    fn group(&self) -> String {
        format!("{}-{}", isolate::id(), self.name)
    }

    fn console_file(&self) -> PathBuf {
        self.root.with_extension("console")
    }

    /// Boots it.
    pub(crate) fn start(&self) -> Result<Background, LabError> {
        let path = self.console_file();
        let console = fs::File::create(&path).map_err(LabError::io(&path))?;
        let nspawn = Cmd::new("sh")
            .args(["-c", AGAIN, "sh"])
            .args(["--quiet", "--register=no", "--keep-unit", "--bind-ro=/usr"])
            .args(["--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe"])
            .args(self.shared.iter().flat_map(|lab| k3s::nspawn_arguments(lab)))
            .arg(format!("--network-bridge={BRIDGE}"))
            .arg(format!("--machine={}", self.name))
            .arg("--directory")
            .arg(&self.root)
            .arg(BOOT);
        let scope = if self.shared.is_some() { Scope::Controllers } else { Scope::Systemd };
        Ok(cgroup::born_in(&self.group(), scope, || nspawn.spawn(console))
            .map_err(LabError::io("/sys/fs/cgroup"))??)
    }
}

/// Where its root file system will be.
pub(crate) fn root_of(lab: &Path, host: &Host) -> PathBuf {
    lab.join("machines").join(host.name.as_str())
}

/// Folders, what comes of the system, a Nix that never asks the network.
pub(crate) fn base(root: &Path, system: &System, network: &Plan) -> io::Result<()> {
    let folders = [
        "usr",
        "etc/ssh",
        "var/log/journal",
        "var/tmp",
        "root/.ssh",
        "nix",
        "tmp",
        "run",
        "proc",
        "sys",
        "dev",
    ];
    for folder in folders {
        fs::create_dir_all(root.join(folder))?;
    }
    system.copy_to(root)?;
    fs::write(root.join("etc/machine-id"), machine_id()?)?;
    fs::write(root.join("etc/hosts"), network.hosts_file())?;
    fs::create_dir_all(root.join("etc/nix"))?;
    fs::write(root.join("etc/nix/nix.conf"), NIX_CONF)
}

fn mask_generators(root: &Path) -> io::Result<()> {
    let masks = root.join("etc/systemd/system-generators");
    fs::create_dir(&masks)?;
    for generator in fs::read_dir(GENERATORS)? {
        symlink("/dev/null", masks.join(generator?.file_name()))?;
    }
    Ok(())
}

/// An ed25519 key without a passphrase.
pub(crate) fn generate_key(path: &Path, comment: &str) -> Result<(), LabError> {
    Cmd::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path).run()?;
    Ok(())
}

/// With one there is no first boot, on which systemd would enable every service it finds; nspawn makes MAC addresses of
/// the deployer's.
fn machine_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', ""))
}

fn network_unit(network: &Plan, host: &str) -> String {
    let interface = &network.interface;
    let addresses: String = (network.assignments(host).iter())
        .map(|address| format!("ExecStart=/usr/sbin/ip addr add {address} dev {interface}\n"))
        .collect();
    format!(
        "[Unit]\nDescription=The lab's network, in place of the mesh\nDefaultDependencies=no\n\
         Before=network-online.target network.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/usr/sbin/ip link set host0 name {interface}\n{addresses}\
         ExecStart=/usr/sbin/ip link set {interface} up\n"
    )
}

/// systemd-nspawn leaves a reboot to whoever started it, and says so by this exit code.
const AGAIN: &str = "while systemd-nspawn \"$@\"; [ $? = 133 ]; do :; done";

/// The boot loader's stand-in, and the machine's first process: it takes the entry that a `switch-to-configuration boot`
/// made the default, as on NixOS, and systemd alone where there is none yet.
const BOOT_SCRIPT: &str = "#!/bin/sh\n\
    default=$(sed -n 's/^default //p' /boot/loader/loader.conf 2> /dev/null)\n\
    init=$(sed -n 's/^options init=//p' \"/boot/loader/entries/$default\" 2> /dev/null)\n\
    exec \"${init:-/usr/lib/systemd/systemd}\"\n";
const BOOT: &str = "/lab-boot";

const SSHD_SERVICE: &str = "[Unit]\nDescription=OpenSSH\nAfter=lab-network.service\n\n\
    [Service]\nType=notify\nRuntimeDirectory=sshd\nRuntimeDirectoryMode=0755\nExecStart=/usr/sbin/sshd -D -e\n\
    KillMode=process\nRestart=always\n";

/// No PAM: it would want a D-Bus and a session of logind for each login. Not the key exchange that alone takes 80 ms of a
/// processor. PATH is that of a NixOS, and sftp is on as there.
const SSHD_CONFIG: &str = "HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM no\nPasswordAuthentication no\n\
    PermitRootLogin prohibit-password\nMaxStartups 100\nKexAlgorithms -sntrup761*\n\
    Subsystem sftp internal-sftp\nAuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys.d/%u\n";
const LOGIN_PATH: &str = "PATH=/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Without a substituter: each build would wait seconds for a cache that cannot be reached.
pub(crate) const NIX_CONF: &str = "experimental-features = nix-command flakes\nsubstituters =\nflake-registry =\n\
    sandbox = false\nbuild-users-group =\nwarn-dirty = false\n";
