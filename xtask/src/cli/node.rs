//! `node`: the life of a node, from its table in fleet.toml to its end.

use clap::{Args, Subcommand};

use super::{Role, known};

#[derive(Debug, Args)]
pub(crate) struct Node {
    #[command(subcommand)]
    pub(crate) command: NodeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Add a host to the repository, and deploy it
    ///
    /// Its table, its folder, its place in secrets.nix and in the secrets. Shows everything that it is about to write,
    /// and asks once. The repository has all of it afterwards, or nothing. secrets.nix is edited only where it names
    /// hosts by hand.
    #[command(after_help = "\
Examples:
  cargo xtask node add alma --role agent
  cargo xtask node add alma --role agent --address 192.168.1.20 --label disk=ssd
  cargo xtask node add alma --role agent --host-key alma.pub --yes --no-deploy
  cargo xtask node add alma --role agent --dry-run")]
    Add(NodeAdd),
    /// Take a host out of the cluster and out of the repository
    ///
    /// Drains it, stops its K3s, deletes its node; then its table, its folder, its place in secrets.nix and in the
    /// secrets. Says which secrets it could read: those are to be changed.
    #[command(after_help = "\
Examples:
  cargo xtask node remove alma
  cargo xtask node remove alma --keep-folder
  cargo xtask node remove alma --force   it is broken: go on without it")]
    Remove(NodeRemove),
    /// Pin the new host key of a host that was reinstalled
    ///
    /// And encrypt to it what the host may read. Shows the new fingerprint beside the old one, and asks once. The
    /// repository has both changes afterwards, or none.
    #[command(after_help = "\
Examples:
  cargo xtask node pin alma --deploy
  cargo xtask node pin alma --host-key alma.pub --yes")]
    Pin(NodePin),
    /// List the hosts of fleet.toml, offline and without a key
    #[command(after_help = "\
Examples:
  cargo xtask node list
  cargo xtask node list --json   for other programs: one event a host")]
    List,
}

#[derive(Debug, Args)]
pub(crate) struct NodeAdd {
    /// Its name: a DNS label, the name of its folder in hosts/
    pub(crate) name: String,
    /// Its part in the cluster
    #[arg(long)]
    pub(crate) role: Role,
    /// Where ssh finds it, any number of times [default: NAME.DOMAIN and its --node-ip]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Vec<String>,
    /// Its address in the cluster [default: the next free one of cluster.network]
    #[arg(long, value_name = "IP")]
    pub(crate) node_ip: Option<String>,
    /// Its host key, or the file of one [default: the host is asked, and you compare the fingerprint]
    #[arg(long, value_name = "KEY")]
    pub(crate) host_key: Option<String>,
    /// Who logs in there, if not root; see --sudo
    #[arg(long, value_name = "USER")]
    pub(crate) ssh_user: Option<String>,
    /// `key=value:Effect`, any number of times
    #[arg(long, value_name = "TAINT", add = known::taints())]
    pub(crate) taint: Vec<String>,
    /// `key=value`, any number of times
    #[arg(long, value_name = "LABEL", add = known::labels())]
    pub(crate) label: Vec<String>,
    /// For `deploy --tag`, any number of times
    #[arg(long, value_name = "TAG", add = known::tags())]
    pub(crate) tag: Vec<String>,
    /// Where its system is built: target, local, or a host of the fleet [default: target]
    #[arg(long, value_name = "WHERE", add = known::builders())]
    pub(crate) build_on: Option<String>,
    /// Change the repository only
    #[arg(long)]
    pub(crate) no_deploy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodeRemove {
    /// Its name in hosts/fleet.toml
    #[arg(add = known::hosts())]
    pub(crate) name: String,
    /// Leave hosts/NAME/ as it is
    #[arg(long)]
    pub(crate) keep_folder: bool,
    /// Go on without a host or a server that does not answer, with what cannot be drained, and remove the folder with
    /// changes that are not committed
    #[arg(long)]
    pub(crate) force: bool,
    /// How long its pods may take to go, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) drain_timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct NodePin {
    /// Its name in hosts/fleet.toml
    #[arg(add = known::hosts())]
    pub(crate) name: String,
    /// Its new host key, or the file of one [default: the host is asked, and you compare the fingerprint]
    #[arg(long, value_name = "KEY")]
    pub(crate) host_key: Option<String>,
    /// Deploy it afterwards
    #[arg(long)]
    pub(crate) deploy: bool,
}
