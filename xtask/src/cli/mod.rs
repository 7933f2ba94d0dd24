//! The command line as clap sees it.

mod arguments;
mod graph;
mod known;
#[cfg(test)]
mod markdown;
mod node;
pub(crate) mod page;
mod refusal;
mod secrets;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use arguments::{
    Completions, Deploy, Doctor, Goal, Hosts, Init, Kubeconfig, Logs, Man, Rehearse, Report, Role, Rollback,
    Shell, Status, Test,
};
pub(crate) use graph::{Format, Graph};
pub(crate) use known::Here;
pub(crate) use node::{Node, NodeAdd, NodeCommand, NodePin, NodeRemove};
pub(crate) use refusal::{parse, parse_from};
pub(crate) use secrets::{
    Content, Edit, New, Rekey, Secrets, SecretsCommand, TokenCommand, TokenOf, TokenRotate, TokenSync,
};

/// Operate the NixOS and K3s cluster of this repository
///
/// Without a command it shows where one stands and the likely next command, offline and without a key.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Without one: where one stands.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  all is well
    1  something unforeseen
    2  wrong usage
    3  configuration or secrets
    4  a host is unreachable, or is not the pinned one
    5  a build failed; the hosts it was for were not touched
    6  an activation failed
    7  a verification failed
    8  it is not known whether a host was changed
    9  a host is locked by another deployer
  130  interrupted

Examples:
  cargo xtask                         where one stands, and the next command
  cargo xtask init                    put your keys into hosts/fleet.toml
  cargo xtask rehearse                try it on throwaway machines
  cargo xtask bootstrap-cluster       bootstrap the cluster for real
  cargo xtask deploy maia --dry-run   show what a deploy would do";

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
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) sudo: bool,
    /// How many hosts are worked on side by side
    #[arg(short, long, global = true, hide_short_help = true, value_name = "N", default_value_t = 8)]
    pub(crate) jobs: usize,
    /// Show the lines that tools print
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colours: where the terminal has them and NO_COLOR is not set, or always, or never
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Take another source for an input of the flake, any number of times
    #[arg(long, global = true, hide_short_help = true, num_args = 2, value_names = ["NAME", "REF"], action = clap::ArgAction::Append)]
    pub(crate) override_input: Vec<String>,
    /// How long an activation may take, in seconds; after that and the gate's time the host goes back by itself
    #[arg(long, global = true, hide_short_help = true, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) activation_timeout: u64,
    /// How long a host may take until it passes its gate, in seconds
    #[arg(long, global = true, hide_short_help = true, value_name = "SECONDS", default_value_t = 120)]
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
    /// Build, activate in the cluster's order, verify each host
    ///
    /// Everything is built before anything is touched. Servers come first, one at a time; then the agent token is
    /// compared with the secret; then the agents, side by side. An agent is not touched unless the server is well.
    #[command(after_help = "\
Examples:
  cargo xtask deploy maia --dry-run             each step, and nothing done
  cargo xtask deploy maia --goal dry-activate   what would change there
  cargo xtask deploy ocean maia
  cargo xtask deploy --role agent
  cargo xtask deploy                            this machine, without ssh
  cargo xtask deploy --all --goal boot          from its next boot on
  cargo xtask deploy --resume                   go on with one that was cut off")]
    Deploy(Deploy),
    /// Bring a repository with hosts to a verified cluster
    ///
    /// Makes the server token if there is none, deploys the server and verifies it, copies the server's agent token
    /// into an encrypted secret, deploys the agents and verifies that they joined. Run again, it does nothing and says
    /// why, step by step; one that was cut off goes on where it stood, or by `deploy --resume` from the same snapshot.
    #[command(after_help = "\
Examples:
  cargo xtask rehearse                      the same on throwaway machines
  cargo xtask bootstrap-cluster --dry-run   show each step
  cargo xtask bootstrap-cluster")]
    BootstrapCluster,
    /// Take a host back to an earlier system of its own
    ///
    /// With the gate of a deploy, and its timer. Nothing is built and nothing is copied: the generations lie on the
    /// host. A server that would get another version of K3s needs `--yes`, since a datastore does not go back.
    #[command(after_help = "\
Examples:
  cargo xtask rollback maia   to the generation before its boot default
  cargo xtask rollback maia --to 12")]
    Rollback(Rollback),
    /// Check hosts as the gates of a deploy do, changing nothing
    ///
    /// Units, the secrets on the host, K3s, the server's API, each agent's Node and its token. What is not well now is
    /// not waited for. Exit code 7: a check failed; `doctor` says why.
    #[command(after_help = "\
Examples:
  cargo xtask verify          all hosts of the cluster
  cargo xtask verify maia
  cargo xtask verify --json   for other programs: one event a line")]
    Verify(Hosts),
    /// Show the cluster on one screen
    ///
    /// Hosts, nodes, generations, versions, tokens and secrets. Tells what is and changes nothing; `verify` says
    /// whether it is well. Exit code 0 when all of it could be told, 4 when a host could not be asked, 5 when `--drift`
    /// could not build one.
    #[command(after_help = "\
Examples:
  cargo xtask status
  cargo xtask status maia --watch   again every 2 s, until ctrl-C
  cargo xtask status --drift        does each host run what the flake says now?
  cargo xtask status --json         for other programs: one event a host")]
    Status(Status),
    /// Read the journal of a host's K3s, or of another unit
    #[command(after_help = "\
Examples:
  cargo xtask logs maia -f   follow it until ctrl-C
  cargo xtask logs maia -n 1000 | less -R
  cargo xtask logs ocean --unit sshd")]
    Logs(Logs),
    /// Find out why it does not work, and what to do about it
    ///
    /// Each cause with its evidence; nothing is changed. Every host is asked side by side, and the ways between them
    /// are tried. Of a cause and what it brings about, only the cause is told. Exit code 7: something was found; 4: a
    /// host could not be asked. `-v` shows what is well, too.
    #[command(after_help = "\
Examples:
  cargo xtask doctor
  cargo xtask doctor maia -v
  cargo xtask doctor --json   a finding a line: docs/doctor.md")]
    Doctor(Doctor),
    /// Check fleet.toml, secrets.nix and the secrets, offline
    ///
    /// All findings at once, each with what to do; without a key, so made for CI. It evaluates secrets.nix with nix and
    /// reads the headers of the secrets' files. Exit code 3: something was found.
    #[command(after_help = "\
Examples:
  cargo xtask check
  cargo xtask check --json   for other programs: one event a finding")]
    Check,
    /// Draw the fleet
    ///
    /// Who joins whom, who is built where, who can read which secret; offline and without a key. As Mermaid, which GitHub
    /// draws in Markdown, as Graphviz' dot, or as an SVG of its own.
    #[command(after_help = "\
Examples:
  cargo xtask graph   for Markdown, in a fenced block named mermaid
  cargo xtask graph --out fleet.svg
  cargo xtask graph --format dot | dot -Tpdf -o fleet.pdf")]
    Graph(Graph),
    /// Fetch the cluster's kubeconfig
    ///
    /// With the server's address and the cluster's name in it. Written to .kube/HOST.yml for its owner alone, with a
    /// link to it from ~/.kube/config.HOST.yml. It holds a private key.
    #[command(after_help = "\
Examples:
  cargo xtask kubeconfig
  cargo xtask kubeconfig --merge   into your own, such as ~/.kube/config
  cargo xtask kubeconfig --base64 | gh secret set KUBECONFIG")]
    Kubeconfig(Kubeconfig),
    /// Fill in fleet.toml: your key, and your hosts' keys
    ///
    /// For a new clone, or for hosts that have no key yet. Each host is asked for its key, its fingerprint is shown,
    /// and you say whether it is the one that the host's own console shows.
    #[command(after_help = "\
Examples:
  cargo xtask init
  cargo xtask init --admin ncrmro=~/.ssh/id_ed25519.pub
  cargo xtask init --host maia=100.64.0.5   ask maia there")]
    Init(Init),
    /// Add a node, remove one, pin one's new key, list them
    Node(Node),
    /// Edit, show, write, list and rekey the secrets
    ///
    /// A FILE is named from any folder; its rule is found by its real path. Whom a secret is for stands in secrets.nix.
    Secrets(Secrets),
    /// Make, copy, compare and replace the two K3s tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Run a command on throwaway machines
    ///
    /// They cannot reach production. One machine per host of hosts/fleet.toml, with real systemd, OpenSSH and Nix, in a
    /// network of their own. Your repository is copied; no file of it is changed. A miniature nixpkgs and a K3s
    /// stand-in take the places of the real ones.
    #[command(after_help = "\
Examples:
  cargo xtask rehearse --install   install what it needs (root)
  cargo xtask rehearse --shell     stay in a shell among the machines
  cargo xtask rehearse --shell < script.sh
  cargo xtask rehearse --root /srv/trixie --install   on another Debian
  cargo xtask rehearse -- deploy ocean --dry-run")]
    Rehearse(Rehearse),
    /// Look at a run that is over
    ///
    /// Opens its report in the browser, or prints a summary of it. The report is .xtask/runs/RUN/report.html, one file that
    /// needs no network; it is made anew from the run's journal, also where the run was killed. Without a display, or
    /// without a terminal, the summary and the report's path are printed. Exit code 0 whatever became of the run, 2 where
    /// there is none of that name, 3 where its journal cannot be read.
    #[command(after_help = "\
Examples:
  cargo xtask report                 the newest run
  cargo xtask report 2026-11-27T10   the only one that begins like this
  cargo xtask report --list          all that are kept, the newest first")]
    Report(Report),
    /// Run everything that CI runs
    ///
    /// Format, lints, unit tests, tests on throwaway machines. For who changes this tool; a cluster's own configuration
    /// is tried by `check` and `rehearse`.
    #[command(after_help = "\
Examples:
  cargo xtask test --install   install what they need (Debian, root)
  cargo xtask test --dry-run   show the command lines")]
    Test(Test),
    /// Print a script that completes names at a Tab
    ///
    /// Commands, options, hosts, roles, tags, secrets and runs. It goes beside cargo's own completion, whichever way
    /// that is loaded, and calls the program that printed it: no cargo is started and nobody is contacted. Print it
    /// again when the repository has moved.
    #[command(after_help = "\
Examples:
  cargo xtask completions bash > ~/.xtask.bash   and source it in ~/.bashrc
  cargo xtask completions zsh > ~/.xtask.zsh     and source it in ~/.zshrc
  cargo xtask completions fish > ~/.config/fish/completions/cargo.fish")]
    Completions(Completions),
    /// Show a command's manual page, or write them all
    #[command(after_help = "\
Examples:
  cargo xtask man deploy
  cargo xtask man secrets edit | man -l -
  cargo xtask man --out ~/.local/share/man/man1   then: man cargo-xtask")]
    Man(Man),
}
