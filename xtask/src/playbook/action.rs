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
    Connect { host: HostName, lock: bool },
    /// Make the server token's secret, or encrypt it anew where its recipients are not those of the rules. `server` is
    /// asked whether it has one already.
    ServerToken { server: HostName },
    /// Resolve the flake to a store path. With agents, their token's secret is part of it, if only as a placeholder.
    Snapshot { with_agents: bool },
    /// Build the host's system where fleet.toml says; on this machine by one command for all of `together`, itself included.
    Build { host: HostName, together: Vec<HostName> },
    /// Find an earlier system of the host, on the host: that of a generation, else of the one before its boot default.
    Generation { host: HostName, to: Option<u32>, yes: bool },
    /// Copy a system that was built here to its host, if there is room for it.
    Copy { host: HostName },
    /// Do something with the system that was built, or found.
    Activate { host: HostName, target: Target },
    /// Look whether the host is well. `server` knows the nodes.
    Gate { host: HostName, server: Option<HostName> },
    /// Boot the host into its boot default, and wait until it is back.
    Reboot { host: HostName },
    /// Copy the server's agent token into its secret, if it differs.
    AgentToken { server: HostName },
    /// See that the servers that stay are enough for the embedded etcd to decide by, now and afterwards.
    Quorum { leaves: HostName, server: HostName },
    /// Move the node's pods elsewhere.
    Drain { host: HostName, server: HostName, seconds: u64, force: bool },
    /// Stop K3s on the host: a kubelet that runs would register its node again.
    StopK3s { host: HostName },
    /// Delete the node, and the password that its name came with.
    DeleteNode { host: HostName, server: HostName },
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

/// What the plan does about a server token that does not exist.
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
