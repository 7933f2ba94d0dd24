//! What a step can do, as data.

use std::fmt;

use fleet::HostName;
use serde::{Deserialize, Serialize};

use crate::cli::Goal;

/// One step's work. `run` carries it out; `--dry-run` prints the plan that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// See that nothing is missing or wrong that would otherwise be noticed when a server is deployed already.
    Preflight { hosts: Vec<HostName>, goal: Goal, token: Token },
    /// Open a session with the host, and keep other deployers from it.
    Connect { host: HostName, lock: bool, needed: Needed },
    /// Make the server token's secret, or encrypt it anew where its recipients are not those of the rules. `servers` are
    /// asked whether one has it already.
    ServerToken { servers: Vec<HostName> },
    /// The same with the agent token that several servers share.
    SharedToken { servers: Vec<HostName> },
    /// Resolve the flake to a store path. With agents, their token's secret is part of it, if only as a placeholder.
    Snapshot { with_agents: bool },
    /// Build the host's system where fleet.toml says; on this machine by one command for all of `together`, itself included.
    Build { host: HostName, together: Vec<HostName> },
    /// Find an earlier system of the host, on the host: that of a generation, else of the one before its boot default.
    Generation { host: HostName, to: Option<u32>, yes: bool },
    /// Copy a system that was built here to its host, if there is room for it.
    Copy { host: HostName },
    /// See that K3s' versions may follow those that run, and that the servers' critical settings agree.
    Fit { hosts: Vec<HostName>, goal: Goal },
    /// See that the cluster can do without this server for a while.
    Quorum { host: HostName, reboot: bool },
    /// Copy the datastore, if this server's K3s gets another version.
    Datastore { host: HostName },
    /// Have what runs on the node go elsewhere.
    Drain { host: HostName, seconds: u64, reboot: bool },
    /// Let it take work again, unless it took none before.
    Uncordon { host: HostName },
    /// Do something with the system that was built, or found.
    Activate { host: HostName, target: Target },
    /// Look whether the host is well. A server knows the nodes: the first that is well is asked.
    Gate { host: HostName },
    /// Boot the host into its boot default, and wait until it is back.
    Reboot { host: HostName },
    /// Bring the node's labels and taints to those of fleet.toml.
    Labels { host: HostName },
    /// Copy the servers' agent token into its secret, if it differs. The first server that is well is asked.
    AgentToken,
    /// Keep a copy of the server's datastore, and of the token that it is encrypted with, on the server.
    BackUp { server: HostName },
    /// See that the system that was built has the same K3s unit as the one that runs.
    SameUnit { host: HostName },
    /// Make the token that a rotation is to, unless an earlier run did.
    NewToken { server: HostName, of: Rotated },
    /// Have the datastore change over to it.
    Rotate { server: HostName, of: Rotated },
    /// Restart K3s on a server that does not take it yet.
    Restart { host: HostName, of: Rotated },
    /// Log in with it.
    TryToken { host: HostName, of: Rotated },
    /// See that the servers that stay are enough for the embedded etcd to decide by, now and afterwards.
    CanLeave { leaves: HostName, server: HostName },
    /// Move the node's pods elsewhere.
    Empty { host: HostName, server: HostName, seconds: u64, force: bool },
    /// Delete the server's node, and wait until its etcd member is gone as well.
    LeaveEtcd { host: HostName, server: HostName },
    /// Stop K3s on the host: a kubelet that runs would register its node again.
    StopK3s { host: HostName },
    /// Delete the node, and the password that its name came with.
    DeleteNode { host: HostName, server: HostName },
}

/// Whose token a rotation changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rotated {
    /// What servers join with, and the datastore is encrypted with.
    Server,
    /// What agents join with.
    Agent,
}

/// Can the plan do without a host that does not answer?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    Yes,
    /// It is one of several servers, which is asked.
    OneOfSeveral,
}

/// What the plan does about a token that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Token {
    /// A deploy expects it.
    Expect,
    /// A bootstrap makes it.
    Make,
}

/// How far an activation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The running system.
    Running,
    /// The boot default.
    Boot,
    /// Nothing: only tell what would happen.
    DryRun,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "activate it, the boot default stays as it is",
            Self::Boot => "make it the boot default",
            Self::DryRun => "tell what an activation would do",
        })
    }
}
