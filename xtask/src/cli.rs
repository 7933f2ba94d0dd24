//! The command line as clap sees it.

mod node;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

pub(crate) use node::{Node, NodeAdd, NodeCommand, NodePin, NodeRemove};

/// Operates the NixOS and K3s cluster of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all is well                5  a build failed; the hosts it was for were not touched
  1  something unforeseen       6  an activation failed
  2  wrong usage                7  a verification failed
  3  configuration or secrets   8  it is not known whether a host was changed
  4  a host is unreachable, or is not the pinned one         9  a host is locked by another deployer
                                                           130  interrupted

Examples:
  cargo xtask init                   put your key and your hosts' keys into hosts/fleet.toml
  cargo xtask rehearse               bootstrap the cluster on throwaway machines
  cargo xtask bootstrap-cluster      bootstrap the cluster for real; run again, it does nothing
  cargo xtask deploy maia --dry-run  show what a deploy would do";

#[derive(Debug, Args)]
#[command(next_help_heading = "For every command")]
pub(crate) struct Global {
    /// Print the plan and do nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Print one JSON event a line on standard output, nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Private key that can decrypt the secrets, any number of times [default: ~/.ssh/id_ed25519, ~/.ssh/id_rsa]
    ///
    /// An OpenSSH private key or an age identity file. In CI, the variable XTASK_IDENTITY holds the text of one.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Become root by sudo on hosts with an `ssh_user` of their own in fleet.toml; a password is asked for once
    #[arg(long, global = true)]
    pub(crate) sudo: bool,
    /// How many hosts are worked on side by side
    #[arg(short, long, global = true, value_name = "N", default_value_t = 8)]
    pub(crate) jobs: usize,
    /// Show the lines that tools print
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Take another source for an input of the flake, any number of times
    #[arg(long, global = true, num_args = 2, value_names = ["NAME", "REF"], action = clap::ArgAction::Append)]
    pub(crate) override_input: Vec<String>,
    /// How long an activation may take, in seconds; after that and the gate's time the host goes back by itself
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) activation_timeout: u64,
    /// How long a host may take until it passes its gate, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) gate_timeout: u64,
}

impl Global {
    pub(crate) fn overrides(&self) -> Vec<remote::nix::OverrideInput> {
        let pair = |pair: &[String]| remote::nix::OverrideInput {
            name: pair[0].clone(),
            reference: pair[1].clone(),
        };
        self.override_input.chunks_exact(2).map(pair).collect()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build hosts, activate them in the cluster's order, verify each before the next
    ///
    /// Everything is built before anything is touched. Servers come first, one at a time; then the agent token is
    /// compared with the secret; then the agents, side by side. An agent is not touched unless the server is well.
    #[command(after_help = "\
Examples:
  cargo xtask deploy ocean maia
  cargo xtask deploy --role agent
  cargo xtask deploy                 the host that this machine is, without ssh
  cargo xtask deploy maia --goal dry-activate    what would change there
  cargo xtask deploy --resume        go on with what a link or a ctrl-C ended
  cargo xtask deploy --all --goal boot")]
    Deploy(Deploy),
    /// From a repository with hosts to a verified cluster; run again, it does nothing and says why
    ///
    /// Makes the server token if there is none, deploys the server and verifies it, copies the server's agent token into
    /// an encrypted secret, deploys the agents and verifies that they joined.
    BootstrapCluster,
    /// Take a host back to an earlier system of its own, with the gate and the timer of a deploy
    #[command(after_help = "\
Examples:
  cargo xtask rollback maia             to the generation before its boot default
  cargo xtask rollback maia --to 12")]
    Rollback(Rollback),
    /// Every gate of a deploy, changing nothing
    Verify(Hosts),
    /// The cluster on one screen: hosts, nodes, generations, versions, tokens, secrets
    ///
    /// Tells what is and changes nothing; `verify` says whether it is well. Exit code 0 when all of it could be told, 4 when
    /// a host could not be asked, 5 when `--drift` could not build one.
    #[command(after_help = "\
Examples:
  cargo xtask status
  cargo xtask status maia --watch     again every 2 s, until ctrl-C
  cargo xtask status --drift          does each host run what the flake says now?
  cargo xtask status --json           for other programs: one event a host")]
    Status(Status),
    /// The journal of a host's K3s, or of another unit
    #[command(after_help = "\
Examples:
  cargo xtask logs maia -f            follow it until ctrl-C
  cargo xtask logs maia -n 1000 | less -R
  cargo xtask logs ocean --unit sshd")]
    Logs(Logs),
    /// Why it does not work: each cause with its evidence and what to do, changing nothing
    ///
    /// Every host is asked side by side, and the ways between them are tried. Of a cause and what it brings about, only the
    /// cause is told. Exit code 7: something was found; 4: a host could not be asked. `-v` shows what is well, too.
    #[command(after_help = "\
Examples:
  cargo xtask doctor
  cargo xtask doctor maia -v
  cargo xtask doctor --json     a finding a line; the causes stand in docs/doctor.md")]
    Doctor(Doctor),
    /// Check fleet.toml, secrets.nix and the secrets' recipients, offline and without a key
    Check,
    /// Fetch the cluster's kubeconfig, with the server's address and the cluster's name in it
    ///
    /// Written to .kube/HOST.yml for its owner alone, with a link to it from ~/.kube/config.HOST.yml. It holds a private key.
    #[command(after_help = "\
Examples:
  cargo xtask kubeconfig
  cargo xtask kubeconfig --merge              into ~/.kube/config, or the first file of $KUBECONFIG
  cargo xtask kubeconfig --base64 | gh secret set KUBECONFIG")]
    Kubeconfig(Kubeconfig),
    /// Fill in hosts/fleet.toml for a new clone: your key, and your hosts' keys with fingerprints to confirm
    #[command(after_help = "\
Examples:
  cargo xtask init
  cargo xtask init --admin ncrmro=~/.ssh/id_ed25519.pub
  cargo xtask init --host maia=100.64.0.5      scan maia's key at this address")]
    Init(Init),
    /// Add a node, remove one, pin the key of a reinstalled one, list them
    Node(Node),
    /// Edit, show, write, list and rekey the secrets of secrets.nix
    ///
    /// A FILE is named from any folder; its rule is found by its real path.
    Secrets(Secrets),
    /// The two K3s tokens: make, copy from the server, compare
    #[command(subcommand)]
    Token(TokenCommand),
    /// Run a command against throwaway machines that cannot reach production [default: bootstrap-cluster]
    ///
    /// One machine per host of hosts/fleet.toml, with real systemd, OpenSSH and Nix, in a network of their own. Your
    /// repository is copied; no file of it is changed. A miniature nixpkgs and a K3s stand-in take the places of the
    /// real ones.
    #[command(after_help = "\
Examples:
  cargo xtask rehearse --install               install what it needs (Debian, root), then rehearse
  cargo xtask rehearse --shell                 bootstrap the cluster, then stay in a shell among the machines
  cargo xtask rehearse -- deploy ocean --dry-run")]
    Rehearse(Rehearse),
    /// Run everything that CI runs: format, lints, unit tests, tests on throwaway machines
    Test(Test),
}

#[derive(Debug, Args)]
pub(crate) struct Hosts {
    /// Names in hosts/fleet.toml [default: all hosts of the cluster]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Names in hosts/fleet.toml [default: all hosts]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Its name in hosts/fleet.toml
    pub(crate) host: String,
    /// The generation's number [default: the newest before the boot default]
    #[arg(long, value_name = "GENERATION")]
    pub(crate) to: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Names in hosts/fleet.toml [default: the host that this machine is]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// All hosts of a role
    #[arg(long)]
    pub(crate) role: Option<Role>,
    /// All hosts with this tag
    #[arg(long)]
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
    #[arg(long, value_name = "RUN", num_args = 0..=1, require_equals = true,
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
    /// Entries of the cluster's name are replaced, all others stay as they are, and so does your current context. Comments
    /// are lost, as in `kubectl config`.
    #[arg(long, conflicts_with = "out")]
    pub(crate) merge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Names in hosts/fleet.toml [default: all hosts]
    #[arg(value_name = "HOST")]
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
    /// Its name in hosts/fleet.toml
    pub(crate) host: String,
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
    #[arg(long, value_name = "HOST=ADDRESS")]
    pub(crate) host: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    pub(crate) command: SecretsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Change a secret with $EDITOR, or to what comes on standard input
    ///
    /// The editor gets a file in memory (a tmpfs), gone when it is closed. If it fails, nothing is changed; if the
    /// result cannot be encrypted, it is opened again with what you typed.
    Edit(Content),
    /// Print a secret on standard output, byte for byte
    Show {
        /// The secret's file
        file: PathBuf,
    },
    /// Write a secret without reading what was there: needs no private key
    #[command(after_help = "\
Examples:
  openssl rand -hex 32 | cargo xtask secrets new secrets/restic-password.age
  cargo xtask secrets new secrets/wifi.age              type it in $EDITOR")]
    New(Content),
    /// List the secrets: who can read each, and whether its file agrees with its rule. Needs no private key
    List,
    /// Encrypt secrets anew for whom secrets.nix names now: those that need it, all of them or none
    ///
    /// A run that was cut off, even by a kill, is undone by the next one.
    Rekey(Rekey),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token's secret where there is none: 32 random bytes as hex
    Generate {
        /// Whose token
        #[arg(value_name = "WHOSE", default_value = "server")]
        of: TokenOf,
    },
    /// Copy the servers' token from a running server, in its full form with the CA's hash
    Pull,
    /// Copy the agents' token from the server into its secret, if it differs
    Sync(TokenSync),
    /// Do the secret, the file on each node and what the server accepts agree?
    ///
    /// By a digest over a fresh salt, and by a real login whose password travels on standard input only.
    Check(Hosts),
    /// Give a running cluster another token: back up, bring it to the servers, change over, restart one by one, try it
    ///
    /// Run again after an interruption, it goes on where that stood.
    #[command(after_help = "\
Examples:
  cargo xtask token rotate --agent      what agents join with; agents are deployed with the new one
  cargo xtask token rotate --server     what servers join with, and the datastore is encrypted with")]
    Rotate(TokenRotate),
}

#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = false)]
pub(crate) struct TokenRotate {
    /// The servers' token
    #[arg(long)]
    pub(crate) server: bool,
    /// The agents' token
    #[arg(long)]
    pub(crate) agent: bool,
}

/// Whose token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenOf {
    /// What servers join with
    Server,
    /// What agents join with
    Agent,
}

#[derive(Debug, Args)]
pub(crate) struct TokenSync {
    /// Deploy the agents with it; those whose token changed get their K3s restarted, once
    #[arg(long)]
    pub(crate) deploy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Content {
    /// The secret's file, which has a rule in secrets.nix
    pub(crate) file: PathBuf,
    /// An empty content is meant
    #[arg(long)]
    pub(crate) allow_empty: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rekey {
    /// Also the files that are right already: each gets a new file key
    #[arg(long)]
    pub(crate) force: bool,
    /// These files, and no others
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) only: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// Install what the machines need first (Debian, as root)
    #[arg(long)]
    pub(crate) install: bool,
    /// Stay in a shell on the deploying machine afterwards
    #[arg(long)]
    pub(crate) shell: bool,
    /// Remove what a killed rehearsal left behind, and do nothing else
    #[arg(long)]
    pub(crate) clean: bool,
    /// The command and its arguments, without `cargo xtask`
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Install what the tests need first (Debian, as root)
    #[arg(long)]
    pub(crate) install: bool,
}
