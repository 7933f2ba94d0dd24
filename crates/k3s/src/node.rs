//! The cluster's nodes with their Leases, whether a node is what its host's K3s unit says, and the commands that take a node
//! out of its cluster.
//!
//! A kubelet gives two signs of life. It renews its Lease every 10 s; that of a new node comes 10 s after its first report. It
//! writes the time of its Ready condition when something changes, else every 5 minutes. Either shows that it lives, if it is
//! newer than the start of K3s; the condition itself does not, since it stays True for up to a minute after a kubelet died.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::Deserialize;

use crate::Version;
use crate::unit::Unit;

/// A node as the API server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The Ready condition's status: `True`, `False` or `Unknown`; `None` before the kubelet's first report.
    pub ready: Option<String>,
    /// What the condition says about it.
    pub message: String,
    /// When its kubelet was last heard of, by the node's own clock: by its Lease, or by its Ready condition where that is later.
    pub heard: Option<SystemTime>,
    /// `InternalIP`s.
    pub addresses: Vec<IpAddr>,
    /// `v1.34.2+k3s1`
    pub version: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its taints, the cluster's own among them.
    pub taints: Vec<Taint>,
    /// It takes no new work.
    pub cordoned: bool,
    /// Its place in etcd. `None`: not known. No condition says it with sqlite, before K3s 1.28.4, and for some seconds after a
    /// server joined.
    pub etcd: Option<Etcd>,
}

/// What the condition `EtcdIsVoter` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// It counts when a majority is asked for, well or not.
    pub votes: bool,
    /// It votes and answers.
    pub is_well: bool,
    /// In etcd's words.
    pub message: String,
}

/// A taint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Taint {
    /// `key` or `domain/key`
    pub key: String,
    /// Perhaps empty.
    #[serde(default)]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule`, `NoExecute`
    pub effect: String,
}

impl Node {
    /// Does it take work?
    pub fn is_ready(&self) -> bool {
        self.ready.as_deref() == Some("True")
    }

    /// Is it a server with etcd?
    pub fn has_etcd(&self) -> bool {
        self.labels.get("node-role.kubernetes.io/etcd").is_some_and(|value| value == "true")
    }
}

/// Why a node cannot be relied upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The cluster has no node of its name.
    Missing,
    /// Its kubelet says so, or the cluster says so of it.
    NotReady {
        /// `False` or `Unknown`; `None` before the kubelet's first report.
        status: Option<String>,
        /// The condition's own words.
        message: String,
    },
    /// It is said to be Ready, and its kubelet has not been heard of since the host's K3s started.
    Silent,
    /// Its kubelet is of another version than the K3s that the host's unit starts.
    OtherVersion {
        /// `v1.34.2+k3s1`, as the node says it.
        node: String,
        /// What the unit starts.
        unit: Version,
    },
    /// It has other addresses than the one that it is to have.
    OtherAddress {
        /// Those that it has.
        has: Vec<IpAddr>,
        /// The one that it is to have.
        wanted: IpAddr,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it has not joined: the cluster has no node of its name"),
            Self::NotReady { status, message } => {
                let status = status.as_deref().unwrap_or("not reported yet");
                write!(f, "its node is not Ready ({status}): {message}")
            }
            Self::Silent => f.write_str("its node has not been heard of since its k3s started"),
            Self::OtherVersion { node, unit } => {
                write!(f, "its node is still of version {node}, and its unit starts {unit}")
            }
            Self::OtherAddress { has, wanted } => {
                let has: Vec<String> = has.iter().map(ToString::to_string).collect();
                write!(f, "its node has the address {}, not {wanted}", has.join(", "))
            }
        }
    }
}

/// What is wrong with a host's node, if anything: the one judgement of everybody who asks. `unit` is the host's K3s unit,
/// where it is known, and `address` the one that fleet.toml gives it.
pub fn trouble(node: Option<&Node>, unit: Option<&Unit>, address: Option<IpAddr>) -> Option<Trouble> {
    let Some(node) = node else { return Some(Trouble::Missing) };
    if !node.is_ready() {
        return Some(Trouble::NotReady { status: node.ready.clone(), message: node.message.clone() });
    }
    // Both by the host's own clock. An older sign of life is that of this kubelet's predecessor.
    let is_silent = unit.and_then(|unit| unit.started).is_some_and(|started| node.heard <= Some(started));
    if is_silent {
        return Some(Trouble::Silent);
    }
    if let (Some(wanted), Some(has)) = (unit.and_then(Unit::version), Version::parse(&node.version))
        && wanted != has
    {
        return Some(Trouble::OtherVersion { node: node.version.clone(), unit: wanted });
    }
    let wanted = address.filter(|wanted| !node.addresses.contains(wanted))?;
    Some(Trouble::OtherAddress { has: node.addresses.clone(), wanted })
}

/// The command, on a server, that [`parse_list`] reads the answer of.
pub const GET: [&str; 8] = [
    "k3s",
    "kubectl",
    "get",
    "nodes,leases.coordination.k8s.io",
    "--namespace",
    "kube-node-lease",
    "--output",
    "json",
];

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    taints: Vec<Taint>,
    unschedulable: bool,
    /// A Lease's.
    renew_time: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    addresses: Vec<NodeAddress>,
    node_info: NodeInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    last_heartbeat_time: Option<String>,
}

#[derive(Deserialize)]
struct NodeAddress {
    r#type: String,
    address: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
}

/// Reads a list of nodes and Leases, as [`GET`] answers it.
///
/// # Errors
/// When it is not one.
pub fn parse_list(json: &[u8]) -> Result<Vec<Node>, serde_json::Error> {
    let list: List = serde_json::from_slice(json)?;
    let (leases, nodes): (Vec<Item>, Vec<Item>) =
        list.items.into_iter().partition(|item| item.kind == "Lease");
    let renewed = |name: &str| {
        let lease = leases.iter().find(|lease| lease.metadata.name == name)?;
        time(lease.spec.renew_time.as_deref())
    };
    let with_lease = |node: Node| Node { heard: node.heard.max(renewed(&node.name)), ..node };
    Ok(nodes.into_iter().map(node).map(with_lease).collect())
}

/// Moves a node's pods elsewhere and lets no new ones come, on a server. `seconds` is how long that may take.
pub fn drain(name: &str, seconds: u64) -> Vec<String> {
    let timeout = format!("--timeout={seconds}s");
    kubectl(&["drain", name, "--ignore-daemonsets", "--delete-emptydir-data", &timeout])
}

/// Deletes a node, on a server. Of a server's node the embedded etcd lets its member go with it.
pub fn delete(name: &str) -> Vec<String> {
    kubectl(&["delete", "node", name, "--ignore-not-found"])
}

/// Has the cluster forget the password that a node's name came with first, on a server.
pub fn forget_password(name: &str) -> Vec<String> {
    let secret = format!("{name}.node-password.k3s");
    kubectl(&["--namespace", "kube-system", "delete", "secret", &secret, "--ignore-not-found"])
}

fn kubectl(words: &[&str]) -> Vec<String> {
    ["k3s", "kubectl"].iter().chain(words).map(|word| (*word).to_owned()).collect()
}

fn node(item: Item) -> Node {
    // By type, never by position: their order is nobody's promise.
    let of = |kind: &str| item.status.conditions.iter().position(|condition| condition.r#type == kind);
    let etcd = of("EtcdIsVoter").and_then(|at| {
        let Condition { status, reason, message, .. } = &item.status.conditions[at];
        let is_well = status == "True";
        let is_known = is_well || status == "False";
        let votes = is_well || reason == "Unhealthy";
        is_known.then(|| Etcd { votes, is_well, message: message.clone() })
    });
    let ready = of("Ready").and_then(|at| item.status.conditions.into_iter().nth(at));
    let heard = ready.as_ref().and_then(|condition| time(condition.last_heartbeat_time.as_deref()));
    let (ready, message) =
        ready.map_or((None, String::new()), |condition| (Some(condition.status), condition.message));
    let internal = item.status.addresses.into_iter().filter(|address| address.r#type == "InternalIP");
    Node {
        name: item.metadata.name,
        ready,
        message,
        heard,
        addresses: internal.filter_map(|address| address.address.parse().ok()).collect(),
        version: item.status.node_info.kubelet_version,
        labels: item.metadata.labels,
        annotations: item.metadata.annotations,
        taints: item.spec.taints,
        cordoned: item.spec.unschedulable,
        etcd,
    }
}

fn time(rfc3339: Option<&str>) -> Option<SystemTime> {
    humantime::parse_rfc3339(rfc3339?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Start;

    #[test]
    fn the_ready_condition_is_found_by_type() {
        let json = br#"{"items":[{"metadata":{"name":"maia"},"status":{"conditions":[
            {"type":"MemoryPressure","status":"False"},
            {"type":"Ready","status":"Unknown","message":"Kubelet stopped posting node status.",
             "lastHeartbeatTime":"2026-01-02T03:04:05Z"}],
            "addresses":[{"type":"Hostname","address":"maia"},{"type":"InternalIP","address":"100.64.0.5"}],
            "nodeInfo":{"kubeletVersion":"v1.34.2+k3s1"}}},
            {"metadata":{"name":"new","labels":{"node-role.kubernetes.io/etcd":"true"}},
             "spec":{"unschedulable":true,"taints":[{"key":"k","effect":"NoExecute"}]},
             "status":{"conditions":[{"type":"EtcdIsVoter","status":"False","reason":"MemberIsLearner"}]}},
            {"kind":"Lease","metadata":{"name":"maia"},"spec":{"renewTime":"2026-01-02T03:04:05.250000Z"}}]}"#;
        let nodes = parse_list(json).unwrap();
        assert!(!nodes[0].is_ready());
        assert_eq!(nodes[0].message, "Kubelet stopped posting node status.");
        let heard = |json: &str| {
            let heard = parse_list(json.as_bytes()).unwrap()[0].heard.unwrap();
            heard.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
        };
        let text = std::str::from_utf8(json).unwrap();
        assert_eq!((nodes.len(), heard(text), nodes[1].heard), (2, 1_767_323_045_250, None));
        // Of a new node the report is there before the Lease.
        assert_eq!(heard(&text.replace("05.250000Z", "04.250000Z")), 1_767_323_045_000);
        assert_eq!(nodes[0].addresses, ["100.64.0.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(nodes[0].version, "v1.34.2+k3s1");
        assert_eq!((nodes[1].ready.as_deref(), nodes[1].is_ready()), (None, false));
        assert_eq!((nodes[0].has_etcd(), &nodes[0].etcd), (false, &None));
        assert!(nodes[1].has_etcd() && nodes[1].cordoned);
        assert!(nodes[1].etcd.as_ref().is_some_and(|etcd| !etcd.votes && !etcd.is_well));
        let unknown = std::str::from_utf8(json)
            .unwrap()
            .replace(r#""EtcdIsVoter","status":"False""#, r#""EtcdIsVoter","status":"Unknown""#);
        assert_eq!(parse_list(unknown.as_bytes()).unwrap()[1].etcd, None);
        assert_eq!((nodes[1].taints[0].key.as_str(), nodes[1].taints[0].value.as_str()), ("k", ""));
        assert!(parse_list(b"{}").is_err());
    }

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
    }

    /// A node that is Ready and was heard of at 100.
    fn ready() -> Node {
        let json = br#"{"items":[{"metadata":{"name":"maia"},"status":{"conditions":[{"type":"Ready","status":"True"}],
            "addresses":[{"type":"InternalIP","address":"100.64.0.5"}],"nodeInfo":{"kubeletVersion":"v1.35.4+k3s1"}}}]}"#;
        Node { heard: at(100), ..parse_list(json).unwrap().remove(0) }
    }

    fn unit(started: u64) -> Unit {
        let start = Start::of_command("/nix/store/a-k3s-1.35.4+k3s1/bin/k3s agent");
        Unit { started: at(started), start, ..Unit::default() }
    }

    #[test]
    fn a_node_is_believed_once_it_was_heard_of_since_its_k3s_started() {
        let told = |node: &Node, unit: &Unit| trouble(Some(node), Some(unit), None);
        assert_eq!(told(&ready(), &unit(99)), None);
        // Of what was before this K3s the one before it was the author.
        for started in [100, 101] {
            assert_eq!(told(&ready(), &unit(started)), Some(Trouble::Silent), "{started}");
        }
        assert_eq!(told(&Node { heard: None, ..ready() }, &unit(1)), Some(Trouble::Silent));
        // Where nobody knows when its K3s started, its own word has to do.
        assert_eq!(trouble(Some(&ready()), None, None), None);
    }

    #[test]
    fn a_node_of_another_version_is_that_of_the_k3s_before() {
        let of = |package: &str| Unit {
            start: Start::of_command(&format!("/nix/store/a-{package}/bin/k3s agent")),
            ..unit(1)
        };
        let told = |unit: &Unit| trouble(Some(&ready()), Some(unit), None).map(|trouble| trouble.to_string());
        assert_eq!(
            told(&of("k3s-1.35.5+k3s1")).as_deref(),
            Some("its node is still of version v1.35.4+k3s1, and its unit starts 1.35.5+k3s1")
        );
        assert_eq!((told(&of("k3s-1.35.4+k3s1")), told(&of("my-k3s"))), (None, None));
    }

    #[test]
    fn what_is_wrong_first_is_told() {
        let wanted = "100.64.0.9".parse().ok();
        let told =
            |node: Option<&Node>| trouble(node, Some(&unit(1)), wanted).map(|trouble| trouble.to_string());
        assert_eq!(told(None).unwrap(), "it has not joined: the cluster has no node of its name");
        assert_eq!(
            told(Some(&Node { ready: None, message: "x".to_owned(), ..ready() })).unwrap(),
            "its node is not Ready (not reported yet): x"
        );
        assert_eq!(told(Some(&ready())).unwrap(), "its node has the address 100.64.0.5, not 100.64.0.9");
    }
}
