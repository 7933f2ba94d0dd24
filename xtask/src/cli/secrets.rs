//! What `secrets` and `token` take.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Hosts;
use super::known::{self, Which};

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
    #[command(after_help = "\
Examples:
  cargo xtask secrets edit secrets/wifi.age
  cargo xtask secrets edit secrets/wifi.age < wifi.conf
  EDITOR='code --wait' cargo xtask secrets edit secrets/wifi.age")]
    Edit(Edit),
    /// Print a secret on standard output, byte for byte
    #[command(after_help = "\
Examples:
  cargo xtask secrets show secrets/wifi.age
  cargo xtask secrets show secrets/wifi.age -i ~/.ssh/other_key")]
    Show {
        /// The secret's file [at a terminal: you choose]
        #[arg(add = known::secrets(Which::Written))]
        file: Option<PathBuf>,
    },
    /// Write a secret without reading what was there
    ///
    /// Needs no private key.
    #[command(after_help = "\
Examples:
  openssl rand -hex 32 | cargo xtask secrets new secrets/restic-password.age
  cargo xtask secrets new secrets/wifi.age   type it in $EDITOR")]
    New(New),
    /// List the secrets, and who can read each
    ///
    /// And whether each file agrees with its rule. Needs no private key: recipients are read from the files' headers.
    #[command(after_help = "\
Examples:
  cargo xtask secrets list
  cargo xtask secrets list --json   for other programs: one event a secret")]
    List,
    /// Encrypt secrets anew for whom secrets.nix names now
    ///
    /// Those that need it, all of them or none. A run that was cut off, even by a kill, is undone by the next one.
    #[command(after_help = "\
Examples:
  cargo xtask secrets rekey --dry-run   show which, and why
  cargo xtask secrets rekey
  cargo xtask secrets rekey --only secrets/wifi.age --force")]
    Rekey(Rekey),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token's secret where there is none
    ///
    /// 32 random bytes as hex. `bootstrap-cluster` does this by itself. The agents' token is made here only with
    /// several servers: a single one makes it. One that is there is not replaced; that is `token rotate`.
    #[command(after_help = "\
Examples:
  cargo xtask token generate         what servers join with
  cargo xtask token generate agent   where there are several servers")]
    Generate {
        /// Whose token
        #[arg(value_name = "WHOSE", default_value = "server")]
        of: TokenOf,
    },
    /// Copy the servers' token from a running server into its secret
    ///
    /// In its full form, with the CA's hash. For a cluster that was made without this tool, or whose secret holds the
    /// short form.
    #[command(after_help = "\
Examples:
  cargo xtask token pull --dry-run
  cargo xtask token pull")]
    Pull,
    /// Copy the agents' token from the server into its secret
    ///
    /// Only if it differs.
    #[command(after_help = "\
Examples:
  cargo xtask token sync
  cargo xtask token sync --deploy   and bring it to the agents")]
    Sync(TokenSync),
    /// Compare a token's secret, the nodes' files and the servers' answer
    ///
    /// By a digest over a fresh salt, and by a real login whose password travels on standard input only. Exit code 7:
    /// they disagree.
    #[command(after_help = "\
Examples:
  cargo xtask token check
  cargo xtask token check maia")]
    Check(Hosts),
    /// Give a running cluster another token
    ///
    /// Backs up, brings it to the servers, changes over, restarts them one by one, tries it. Run again after an
    /// interruption, it goes on where that stood.
    #[command(after_help = "\
Examples:
  cargo xtask token rotate --agent    what agents join with
  cargo xtask token rotate --server   what servers join with")]
    Rotate(TokenRotate),
}

#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = false)]
pub(crate) struct TokenRotate {
    /// The servers' token, which the datastore is encrypted with
    #[arg(long)]
    pub(crate) server: bool,
    /// The agents' token; agents are deployed with it
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
pub(crate) struct Edit {
    /// The secret's file, which has a rule in secrets.nix [at a terminal: you choose]
    #[arg(add = known::secrets(Which::All))]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) content: Content,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The secret's file, which has a rule in secrets.nix
    #[arg(add = known::secrets(Which::Unwritten))]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) content: Content,
}

#[derive(Debug, Args)]
pub(crate) struct Content {
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
    #[arg(long, value_name = "FILE", num_args = 1.., add = known::secrets(Which::Written))]
    pub(crate) only: Vec<PathBuf>,
}
