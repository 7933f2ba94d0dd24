//! What each command takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::known;

#[derive(Debug, Args)]
pub(crate) struct Hosts {
    /// Names in hosts/fleet.toml [default: all hosts of the cluster]
    #[arg(value_name = "HOST", add = known::hosts())]
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Names in hosts/fleet.toml [default: all hosts]
    #[arg(value_name = "HOST", add = known::hosts())]
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Its name in hosts/fleet.toml [at a terminal: you choose]
    #[arg(add = known::hosts())]
    pub(crate) host: Option<String>,
    /// The generation's number [default: the newest before the boot default]
    #[arg(long, value_name = "GENERATION")]
    pub(crate) to: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Names in hosts/fleet.toml [default: the host that this machine is]
    #[arg(value_name = "HOST", add = known::hosts())]
    pub(crate) hosts: Vec<String>,
    /// All hosts of a role
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// All hosts with this tag
    #[arg(long, add = known::tags())]
    pub(crate) tag: Option<String>,
    /// All hosts
    #[arg(long, conflicts_with_all = ["hosts", "role", "tag"])]
    pub(crate) all: bool,
    /// How many agents to deploy side by side, once the first of them is well [default: a quarter of them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batch: Option<u16>,
    /// How far to go
    #[arg(long, default_value = "switch")]
    pub(crate) goal: Goal,
    /// How many agents may fail before those after them are left alone
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_failures: u16,
    /// Go on when hosts outside of the cluster fail
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Reboot each host into its new boot default, and wait until it is back and well
    #[arg(long)]
    pub(crate) reboot: bool,
    /// Drain each node before its host is touched, and let it take work again once it is well
    ///
    /// `--drain=SECONDS` is how long that may take, 300 unless said otherwise; after that the host is not touched.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "300")]
    pub(crate) drain: Option<u64>,
    /// Take up the newest deploy or bootstrap that did not end well: its hosts, its goal, its snapshot of the flake
    ///
    /// What is done already is seen to be done by looking at the hosts. `--resume=RUN` names a run of .xtask/runs.
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true, add = known::runs(),
          conflicts_with_all = ["hosts", "role", "tag", "all", "batch", "goal", "max_failures", "keep_going", "reboot",
                                "drain"])]
    pub(crate) resume: Option<Option<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Server,
    Agent,
}

/// nixos-rebuild's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    /// Activate, verify, then make it the boot default
    Switch,
    /// Activate and verify; the next boot is the old system again
    Test,
    /// Make it the boot default and touch nothing that runs
    Boot,
    /// Tell what an activation would do
    DryActivate,
    /// Build only
    Build,
}

#[derive(Debug, Args)]
pub(crate) struct Kubeconfig {
    /// Where to write it; `-` for standard output [default: .kube/HOST.yml]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Print it as one line of base64, for a secret of CI; write no file
    #[arg(long, conflicts_with_all = ["out", "merge"])]
    pub(crate) base64: bool,
    /// Merge it into your own kubeconfig: ~/.kube/config, or the first file of $KUBECONFIG
    ///
    /// Entries of the cluster's name are replaced, all others stay as they are, and so does your current context.
    /// Comments are lost, as in `kubectl config`.
    #[arg(long, conflicts_with = "out")]
    pub(crate) merge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Names in hosts/fleet.toml [default: all hosts]
    #[arg(value_name = "HOST", add = known::hosts())]
    pub(crate) hosts: Vec<String>,
    /// Draw it again every so many seconds, until ctrl-C [default: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = seconds,
          conflicts_with = "drift")]
    pub(crate) watch: Option<u64>,
    /// Build each host's system, where fleet.toml says, and compare it with what runs there
    #[arg(long)]
    pub(crate) drift: bool,
}

fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(seconds),
        Ok(_) => Err("from 1 to 3600 seconds".to_owned()),
        Err(_) => Err("a number of seconds; hosts are named before --watch".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Its name in hosts/fleet.toml [at a terminal: you choose]
    #[arg(add = known::hosts())]
    pub(crate) host: Option<String>,
    /// Go on with what comes, until ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of its newest lines
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 100)]
    pub(crate) lines: u32,
    /// Another unit's [default: that of K3s, k3s.service or k3s-agent.service]
    #[arg(short, long)]
    pub(crate) unit: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// An admin's public key, any number of times [default: your user name and ~/.ssh/id_ed25519.pub]
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) admin: Vec<String>,
    /// Where to ask a host for its key, any number of times [default: its addresses in fleet.toml]
    #[arg(long, value_name = "HOST=ADDRESS", add = known::host_addresses())]
    pub(crate) host: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// Install what the machines need first, as root
    ///
    /// By apt-get on this machine. Where it has none, or with --root, into the folder whose system the machines have; if that is
    /// empty or not there, debootstrap makes a Debian of it.
    #[arg(long)]
    pub(crate) install: bool,
    /// Run this K3s in place of the stand-in: a release's binary, or a program in a Nix store; several are several versions
    #[arg(long, value_name = "FILE")]
    pub(crate) k3s: Vec<PathBuf>,
    /// Import an archive of container images on every machine; needs --k3s
    #[arg(long, value_name = "FILE", requires = "k3s")]
    pub(crate) image: Vec<PathBuf>,
    /// Take the system of this folder, a Debian, for the machines [default: this machine's, or target/debian without apt-get]
    ///
    /// The machines and the deploying one get its /usr and a few files of its /etc. Of this machine remain the kernel, this program,
    /// and what runs before the machines are there: git, coreutils and util-linux.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Open a shell on the deploying machine afterwards, or run a script there that comes on standard input
    ///
    /// `cargo xtask …`, `ssh maia` and `kubectl` work there. The script is run by bash, also if the command failed. The exit code is
    /// that of the command or, if that is 0, of the script.
    #[arg(long)]
    pub(crate) shell: bool,
    /// Remove what a killed rehearsal left behind, and do nothing else
    #[arg(long)]
    pub(crate) clean: bool,
    /// The command and its arguments, without `cargo xtask` [default: bootstrap-cluster]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Its name in .xtask/runs, or how that begins [default: the newest]
    #[arg(add = known::runs())]
    pub(crate) run: Option<String>,
    /// Print a summary and the report's path, and open no browser
    #[arg(long)]
    pub(crate) print: bool,
    /// List the runs that are kept: what, when, how long, how it ended
    #[arg(long, conflicts_with_all = ["run", "print"])]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Install what the tests need first (Debian, as root)
    #[arg(long)]
    pub(crate) install: bool,
}

/// A shell that scripts are printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell that it is for
    pub(crate) shell: Shell,
    /// What a script asks at a Tab: the words of the line from `xtask` to the cursor.
    #[arg(last = true, hide = true)]
    pub(crate) words: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command, such as `secrets edit` [default: the page of cargo xtask]
    pub(crate) command: Vec<String>,
    /// Write every command's page into this folder, such as ~/.local/share/man/man1
    #[arg(short, long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, conflicts_with = "command")]
    pub(crate) out: Option<PathBuf>,
}
