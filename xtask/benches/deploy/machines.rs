//! The machines that are deployed, and the ways of doing it.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use lab::Lab;
use remote::Cmd;

use crate::Result;

const BARE: &str = include_str!("bare.sh");
/// Where it lies on the deployer.
const SCRIPT: &str = "/opt/bare.sh";
const XTASK: &str = "/opt/xtask";
const KNOWN_HOSTS: &str = "/root/pinned";
/// What every host imports, and every round writes anew.
const ROUND: &str = "hosts/round.nix";
/// How many hosts are worked on side by side, by everybody.
const JOBS: &str = "8";

/// Which hosts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Eight, outside of the cluster.
    Outside,
    /// Three agents, and the server that is asked about them.
    Cluster,
}

impl Scenario {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Outside => "host",
            Self::Cluster => "agent",
        }
    }

    fn hosts(self) -> Vec<String> {
        let count = match self {
            Self::Outside => 8,
            Self::Cluster => 3,
        };
        (1..=count).map(|number| format!("{}-{number}", self.noun())).collect()
    }
}

/// Where systems are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Local,
    Target,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Target => "target",
        }
    }
}

/// Who deploys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    Xtask,
    /// Bare commands, by `xargs -P`.
    SideBySide,
    /// Bare commands, one host after the other.
    Sequential,
}

/// The lab, with every host on a first system.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    lab: Lab,
    hosts: Vec<String>,
    round: Cell<usize>,
    /// How many seconds an activation waits.
    pause: Cell<u64>,
}

impl World {
    pub(crate) fn boot(scenario: Scenario, program: &Path) -> Result<Self> {
        let hosts = scenario.hosts();
        let repository = repository(scenario, &hosts)?;
        let lab = Lab::boot(&repository, program, &lab::Options::default(), &|_| {})?;
        let script = lab.deployer().path(SCRIPT);
        fs::write(&script, BARE)?;
        Cmd::new("chmod").arg("+x").arg(&script).run()?;
        let mut pinned = String::new();
        for host in &hosts {
            let key = lab.fleet().hosts[host.as_str()].ssh_host_key.as_ref().ok_or("a host has no key")?;
            pinned += &format!("{} {}\n", lab.machine(host).address(), key.bare());
        }
        fs::write(lab.deployer().path(KNOWN_HOSTS), pinned)?;
        let world = Self { scenario, lab, hosts, round: Cell::new(0), pause: Cell::new(0) };
        if scenario == Scenario::Cluster {
            world.lab.deployer().xtask().args(["bootstrap-cluster", "--json"]).run()?;
        }
        Ok(world)
    }

    /// Every host's configuration is another one from now on.
    pub(crate) fn change(&self) -> Result<()> {
        self.round.set(self.round.get() + 1);
        let (round, pause) = (self.round.get(), self.pause.get());
        let text = format!(
            "{{ environment.etc.round.text = \"{round}\"; system.activationScripts.pause = \"sleep {pause}\"; }}\n"
        );
        Ok(fs::write(self.lab.deployer().repository().join(ROUND), text)?)
    }

    /// Systems that are built from now on wait so many seconds when they are activated.
    pub(crate) fn pause(&self, seconds: u64) {
        self.pause.set(seconds);
    }

    /// From now on systems are built there.
    pub(crate) fn build_on(&self, place: Place) -> Result<()> {
        let path = self.lab.deployer().repository().join("hosts/fleet.toml");
        let text = fs::read_to_string(&path)?;
        Ok(fs::write(path, text.replace("build_on = \"local\"", &format!("build_on = {:?}", place.word())))?)
    }

    /// Deploys the first `count` hosts; gives what was printed.
    pub(crate) fn deploy(&self, who: Contestant, count: usize, place: Place) -> Result<String> {
        let jobs = match who {
            Contestant::Xtask => return Ok(self.xtask("", count).run()?.text()),
            Contestant::SideBySide => JOBS,
            Contestant::Sequential => "1",
        };
        let env =
            [format!("FLAKE_ARGS={}", self.overrides().join(" ")), format!("KNOWN_HOSTS={KNOWN_HOSTS}")];
        let hosts = self.first(count).iter();
        let hosts = hosts.map(|host| format!("{host}={}", self.lab.machine(host).address()));
        let command = self.lab.deployer().command("env").args(env);
        Ok(command.args([SCRIPT, place.word(), jobs]).args(hosts).label("bare.sh").run()?.text())
    }

    /// The deploy as a command, with these folders before all others on its PATH.
    pub(crate) fn xtask(&self, path: &str, count: usize) -> Cmd {
        let mut command = self.lab.deployer().command("sh");
        command = command.args(["-c", "PATH=$0$PATH; exec \"$@\"", path, XTASK]);
        command = command.args(self.overrides()).args(["deploy", "--json", "--jobs", JOBS]);
        if self.scenario == Scenario::Cluster {
            // The first agent goes alone; those after it side by side, as the bare commands have it.
            command = command.args(["--batch", JOBS]);
        }
        command.args(self.first(count)).label("xtask deploy")
    }

    /// A path of the deployer's.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.lab.deployer().path(inside)
    }

    /// How often the first `count` hosts have let somebody in.
    pub(crate) fn logins(&self, count: usize) -> Result<usize> {
        let mut logins = 0;
        for host in self.first(count) {
            let journal = self.lab.machine(host).root().join("var/log/journal");
            let read = Cmd::new("journalctl").arg("--directory").arg(journal);
            let said = read.args(["--unit", "sshd.service", "--output", "cat", "--no-pager"]).run()?.text();
            logins += said.lines().filter(|line| line.starts_with("Accepted publickey")).count();
        }
        Ok(logins)
    }

    /// What was built last runs on each of them, and is what they boot.
    pub(crate) fn check(&self, count: usize) -> Result<()> {
        for host in self.first(count) {
            let ask = "readlink -f /run/current-system /nix/var/nix/profiles/system; cat /etc/round";
            let known = format!("UserKnownHostsFile={KNOWN_HOSTS}");
            let ssh = self.lab.deployer().command("ssh").args(["-o", "BatchMode=yes", "-o", &known]);
            let said = ssh.arg(format!("root@{}", self.lab.machine(host).address())).arg(ask).run()?.text();
            let lines: Vec<&str> = said.lines().collect();
            let is_newest = |round: &str| round == self.round.get().to_string();
            if !matches!(lines[..], [running, boot, round] if running == boot && is_newest(round)) {
                return Err(format!("{host} was not deployed: {said}").into());
            }
        }
        Ok(())
    }

    fn first(&self, count: usize) -> &[String] {
        &self.hosts[..count]
    }

    /// `--override-input`s, by which the lab has its own nixpkgs.
    fn overrides(&self) -> Vec<String> {
        let argv = self.lab.deployer().xtask().argv();
        argv.into_iter().skip_while(|word| word != XTASK).skip(1).collect()
    }
}

/// A copy of this repository with hosts of our own, on a tmpfs that only the lab's namespaces see.
fn repository(scenario: Scenario, hosts: &[String]) -> Result<PathBuf> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask is in a repository")?;
    Cmd::new("mount").args(["--make-rprivate", "/"]).run()?;
    Cmd::new("mount").args(["-t", "tmpfs", "clone", "/mnt"]).run()?;
    let to = PathBuf::from("/mnt/clone");
    fs::create_dir(&to)?;
    Cmd::new("cp").args(["-a", "flake.nix", "secrets.nix", "hosts"]).arg(&to).dir(from).run()?;
    let path = to.join("hosts/fleet.toml");
    let mut fleet = fs::read_to_string(&path)?;
    if let Some(first) = fleet.find("\n[hosts.") {
        fleet.truncate(first);
    }
    if scenario == Scenario::Cluster {
        fleet += "\n[hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\nbuild_on = \"local\"\n";
    }
    for (index, host) in hosts.iter().enumerate() {
        let folder = to.join("hosts").join(host);
        Cmd::new("cp").arg("-a").arg(to.join("hosts/maia")).arg(&folder).run()?;
        fleet += &format!("\n[hosts.{host}]\nbuild_on = \"local\"\n");
        let k3s = match scenario {
            Scenario::Outside => "",
            Scenario::Cluster => {
                fleet += &format!("role = \"agent\"\nnode_ip = \"100.64.0.{}\"\n", 20 + index);
                "../common/k3s/agent.nix "
            }
        };
        fs::write(folder.join("k3s.nix"), format!("{{ imports = [ {k3s}../round.nix ]; }}\n"))?;
    }
    fs::write(path, fleet)?;
    fs::write(to.join(ROUND), "{ }\n")?;
    for args in [&["init", "--quiet"][..], &["add", "--all"]] {
        Cmd::new("git").args(args).dir(&to).run()?;
    }
    Ok(to)
}
