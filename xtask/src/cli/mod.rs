//! The command line as clap sees it.

mod arguments;
mod graph;
mod node;
mod secrets;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use arguments::{
    Deploy, Doctor, Goal, Hosts, Init, Kubeconfig, Logs, Rehearse, Role, Rollback, Status, Test,
};
pub(crate) use graph::{Format, Graph};
pub(crate) use node::{Node, NodeAdd, NodeCommand, NodePin, NodeRemove};
pub(crate) use secrets::{
    Content, Rekey, Secrets, SecretsCommand, TokenCommand, TokenOf, TokenRotate, TokenSync,
};

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
    /// Colours: where the terminal has them and NO_COLOR is not set, or always, or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
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

/// When to colour what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// As on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
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
    /// A picture of the fleet: who joins whom, who is built where, who can read which secret; offline and keyless
    #[command(after_help = "\
Examples:
  cargo xtask graph                           for a Markdown file, in a fenced block named mermaid
  cargo xtask graph --out fleet.svg
  cargo xtask graph --format dot | dot -Tpdf -o fleet.pdf")]
    Graph(Graph),
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
