//! What was found out, before anybody judges it. Plain data: a test writes it down by hand.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fleet::HostName;
use k3s::Version;
use k3s::etcd::Members;
use k3s::login::Answer;
use k3s::node::Node;
use k3s::start::Settings;
use k3s::unit::Unit;

use super::reach::Unreached;

/// Everything that the rules look at, beside the fleet itself.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The hosts that were asked.
    pub(crate) hosts: BTreeMap<HostName, Asked>,
    /// As the API server tells them; `None` where it was not asked or gave none.
    pub(crate) nodes: Option<Vec<NodeFacts>>,
    /// The nodes of hosts that were not asked are nobody's business, and strangers are looked for only among all.
    pub(crate) is_whole: bool,
}

/// What came of asking a host.
#[derive(Debug)]
pub(crate) enum Asked {
    Answered(Box<HostFacts>),
    Unreached(Unreached),
}

impl Facts {
    pub(crate) fn of(&self, host: &HostName) -> Option<&HostFacts> {
        match self.hosts.get(host)? {
            Asked::Answered(facts) => Some(facts),
            Asked::Unreached(_) => None,
        }
    }
}

/// One host. `None` and an empty list: it could not be seen, which is never a finding by itself.
#[derive(Debug, Default, Clone)]
pub(crate) struct HostFacts {
    /// How many seconds its clock is ahead of ours; below zero, behind. What asking took is not counted.
    pub(crate) clock: Option<i64>,
    pub(crate) rooms: Vec<Room>,
    pub(crate) failed_units: Vec<String>,
    /// A deploy armed it, and has not disarmed it.
    pub(crate) rollback_armed: bool,
    pub(crate) running: Option<String>,
    pub(crate) boot: Option<String>,
    pub(crate) interfaces: Vec<String>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) tailscale: Tailscale,
    /// What is wrong with it: its unit's state, or that its socket is missing.
    pub(crate) containerd: Option<String>,
    /// The network's configuration for containerd that was written last.
    pub(crate) cni: Option<CniFile>,
    /// The rules of NixOS' firewall, where it has one and it can be read.
    pub(crate) firewall: Option<String>,
    pub(crate) k3s: Option<K3sFacts>,
}

/// A host of the cluster.
#[derive(Debug, Default, Clone)]
pub(crate) struct K3sFacts {
    /// The token's file in /run/agenix; `None` if there is none.
    pub(crate) secret: Option<SecretFile>,
    pub(crate) token: Option<TokenForm>,
    /// Of salt and password.
    pub(crate) digest: Option<String>,
    /// Is the host a reader of the encrypted file in the repository? `None` where there is no such file yet.
    pub(crate) is_recipient: Option<bool>,
    pub(crate) unit: Option<Unit>,
    /// Of the K3s that is installed.
    pub(crate) version: Option<Version>,
    /// What its K3s' configuration files say, of the little that matters here.
    pub(crate) settings: Settings,
    /// Its newest lines, oldest first.
    pub(crate) journal: String,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) server: Option<ServerFacts>,
    /// Agents: the way to the server.
    pub(crate) probe: Option<Probe>,
    /// From the server to its kubelet: what curl says if it does not get there.
    pub(crate) kubelet: Option<Result<(), Unanswered>>,
}

/// A server.
#[derive(Debug, Default, Clone)]
pub(crate) struct ServerFacts {
    /// Digest of the token that K3s runs with.
    pub(crate) token: Option<String>,
    pub(crate) agent_token: Option<String>,
    /// What `server/agent-token` is.
    pub(crate) agent_token_is_link: bool,
    /// PEM.
    pub(crate) ca: String,
    /// As a token holds it; `None` for a bundle of several, whose root is not picked out here.
    pub(crate) ca_hash: Option<String>,
    /// `/readyz?verbose`, or why there is none; empty where it gave no answer in time.
    pub(crate) readyz: String,
    pub(crate) datastore: Datastore,
}

/// What a server's datastore is, and its etcd's own words.
#[derive(Debug, Default, Clone)]
pub(crate) struct Datastore {
    /// K3s ran here once.
    pub(crate) ran: bool,
    /// There are an etcd's data.
    pub(crate) has_etcd: bool,
    /// There is an sqlite.
    pub(crate) has_sqlite: bool,
    /// The name under which it joined, or would join: `ocean-c2d1a45b`.
    pub(crate) member: Option<String>,
    /// Its etcd has a leader, or says why not. `None`: it gave no answer.
    pub(crate) leader: Option<Result<(), String>>,
    /// Who is a member, by its etcd.
    pub(crate) members: Option<Members>,
    /// Of each member by the address for its clients: does it answer this server?
    pub(crate) answers: BTreeMap<String, bool>,
}

/// A file in the folder where containerd looks for the network's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CniFile {
    pub(crate) path: String,
    /// Seconds since it was written.
    pub(crate) age: u64,
}

/// What is free in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) path: String,
    pub(crate) mount: String,
    pub(crate) bytes: u64,
    /// `None` where the file system makes them as it goes.
    pub(crate) inodes: Option<u64>,
}

/// `tailscaled`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Tailscale {
    #[default]
    Unseen,
    Up,
    /// The unit's state, or tailscale's own.
    Down(String),
}

/// A decrypted secret's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretFile {
    pub(crate) size: u64,
    pub(crate) mode: String,
    pub(crate) owner: String,
}

/// A token without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenForm {
    Empty,
    Malformed,
    /// A password alone.
    Short,
    /// `K3S10::…`, which is one.
    K3s10,
    Full {
        user: String,
        /// Empty: none.
        ca_hash: String,
    },
}

/// A line of `k3s certificate check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) file: String,
    /// Seconds until its end by the clock of whoever deploys; below zero it is over.
    pub(crate) left: i64,
    /// K3s' line.
    pub(crate) line: String,
}

/// What an agent got from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    /// `100.64.0.6:6443`
    pub(crate) server: String,
    pub(crate) reach: Result<(), Unanswered>,
    /// With the agent's token; `None` where none was tried.
    pub(crate) login: Option<Answer>,
}

/// No answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswered {
    /// A packet was lost, as in a firewall, and not refused.
    pub(crate) silent: bool,
    /// curl's words.
    pub(crate) said: String,
}

/// A node, and what ails it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeFacts {
    pub(crate) node: Node,
    /// Conditions that should be False and are not: `DiskPressure` …
    pub(crate) pressures: Vec<String>,
}
