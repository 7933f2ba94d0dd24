//! Throwaway machines on which the cluster is rehearsed.
//!
//! [`enter`] re-runs a program in namespaces of its own (mounts, network, processes), and there [`Lab::boot`] makes one
//! machine per host of fleet.toml and one for the deployer. What is real: systemd as PID 1, OpenSSH, Nix and its
//! store, journald, the kernel's network. What stands in, and says so: a miniature nixpkgs with a `nixos-rebuild`, and
//! K3s.
//!
//! Invariants:
//! - The network namespace has no way out: a rehearsal cannot reach production, even with production's addresses.
//! - A machine sees `/usr` of this one, or of a folder, read-only, and a handful of files of `/etc`; nothing of `/home`, `/root`, `/var`.
//!   Neither does the deployer, nor this process from [`Lab::boot`] on.
//! - Everything hangs on processes: when the outer one dies, by whatever signal, the kernel ends and unmounts all of
//!   it. Only empty cgroups can stay, and [`clean`] removes those.
//! - The user's repository is copied, with keys made for the occasion; no file of it is changed.

mod cgroup;
mod deployer;
mod error;
mod isolate;
mod k3s;
mod login;
mod machine;
mod network;
mod packages;
mod repository;
mod shell;
mod store;
mod system;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fleet::Fleet;
use remote::{Background, Cmd};

pub use cgroup::clean;
pub use deployer::Deployer;
pub use error::LabError;
pub use isolate::{enter, is_inside};
pub use k3s::K3s;
pub use machine::Machine;
pub use packages::{install, make_system};
pub use system::System;

/// How long all machines together may take to answer.
const BOOT_TIMEOUT: Duration = Duration::from_secs(30);
/// Where the lab lives, on a tmpfs that only its own mount namespace sees.
const ROOT: &str = "/run/xtask-lab";

/// What a lab is made of, beyond a repository and the program under rehearsal.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Programs of a real K3s in place of the stand-in; several are packages of several versions.
    pub k3s: Vec<K3s>,
    /// Archives of container images, for machines with a real K3s: their containerd imports them.
    pub images: Vec<PathBuf>,
    /// The folder whose system the machines and the deployer have, in place of this machine's.
    pub root: Option<PathBuf>,
}

/// The running lab. Dropping it stops the machines.
pub struct Lab {
    machines: Vec<Machine>,
    deployer: Deployer,
    fleet: Fleet,
    secrets: Vec<String>,
    // Last: machines are killed when these are dropped.
    _running: Vec<Background>,
}

impl Lab {
    /// Boots a machine for each host of the repository's fleet. To be called inside of [`enter`].
    ///
    /// `program` is what the deployer runs as `xtask`. `on_step` is told what goes on.
    ///
    /// # Errors
    /// When something cannot be made, or a machine does not answer in time.
    pub fn boot(
        repository: &Path,
        program: &Path,
        options: &Options,
        on_step: &dyn Fn(&str),
    ) -> Result<Self, LabError> {
        if !is_inside() {
            return Err(LabError::Outside);
        }
        let system = System::new(options.root.as_deref())?;
        let k3s = k3s::sorted(&options.k3s)?;
        let is_real = !k3s.is_empty();
        prepare_root()?;
        let root = PathBuf::from(ROOT);
        let fleet = repository::load_fleet(repository)?;
        if is_real {
            k3s::require_inotify(fleet.hosts.len())?;
        }
        let network = network::Plan::new(&fleet)?;
        on_step("copying the repository, with keys made for the rehearsal");
        let mut deployer = Deployer::create(&root.join("deployer"), &system, program, &network)?;
        let secrets = repository::copy(repository, &deployer.repository())?;
        k3s::write_settings(&deployer.path("/opt/nixpkgs"), &k3s)?;
        if is_real {
            let roots: Vec<_> = fleet.hosts.values().map(|host| machine::root_of(&root, host)).collect();
            k3s::provide(&root, &k3s, &options.images, &roots)?;
        }
        // Last of all with this machine's programs.
        deployer.move_in(&system, ROOT)?;
        network.set_up()?;
        let admin = deployer.make_key()?;
        let mut machines = Vec::new();
        for host in fleet.hosts.values() {
            machines.push(Machine::create(&root, host, &network, &admin, is_real)?);
        }
        let fleet = repository::write_keys(&deployer.repository(), &admin, &machines)?;
        shell::furnish(&deployer, &fleet)?;
        deployer.commit()?;
        on_step(&format!("booting {} machines", machines.len()));
        let running = machines.iter().map(Machine::start).collect::<Result<Vec<_>, _>>()?;
        wait_for_sshd(&machines, &running)?;
        Ok(Self { machines, deployer, fleet, secrets, _running: running })
    }

    /// The machine that deploys.
    pub fn deployer(&self) -> &Deployer {
        &self.deployer
    }

    /// A shell for a person on the deployer, with `cargo xtask`, `ssh` and `kubectl` as the documentation has them.
    pub fn shell(&self) -> Cmd {
        shell::interactive(&self.deployer, &self.fleet)
    }

    /// The same for a script of bash, with our standard input.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn script(&self, text: &[u8]) -> Result<Cmd, LabError> {
        shell::script(&self.deployer, &self.fleet, text)
    }

    /// The fleet with the rehearsal's own keys.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The secrets of the user's repository, which the copy lacks: their paths in it.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The machine of this host.
    ///
    /// # Panics
    /// When fleet.toml has no such host.
    pub fn machine(&self, name: &str) -> &Machine {
        let machine = self.machines.iter().find(|machine| machine.name() == name);
        machine.unwrap_or_else(|| panic!("no machine is called {name}"))
    }

    /// All of them, in the order of their names.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }
}

/// The mount namespace is ours, but its mounts would still propagate to the outer one.
fn prepare_root() -> Result<(), LabError> {
    Cmd::new("mount").args(["--make-rprivate", "/"]).run()?;
    std::fs::create_dir_all(ROOT).map_err(LabError::io(ROOT))?;
    Cmd::new("mount").args(["-t", "tmpfs", "-o", "mode=0755", "xtask-lab", ROOT]).run()?;
    Ok(())
}

fn wait_for_sshd(machines: &[Machine], running: &[Background]) -> Result<(), LabError> {
    let deadline = Instant::now() + BOOT_TIMEOUT;
    for (machine, process) in machines.iter().zip(running) {
        while !answers(machine.address()) {
            if process.ended() || Instant::now() > deadline || remote::interrupted() {
                let name = machine.name().to_owned();
                return Err(LabError::Boot { name, console: machine.console() });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn answers(address: IpAddr) -> bool {
    TcpStream::connect_timeout(&SocketAddr::new(address, 22), Duration::from_millis(200)).is_ok()
}

/// Writes a file, parents made, the path in the error.
fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), LabError> {
    let make = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)
    };
    make().map_err(LabError::io(path))
}
