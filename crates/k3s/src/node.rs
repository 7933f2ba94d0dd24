//! `kubectl get nodes -o json`, and the commands that take a node out of its cluster.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use serde::Deserialize;

/// A node as the API server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The Ready condition's status: `True`, `False` or `Unknown`; `None` before the kubelet's first report.
    pub ready: Option<String>,
    /// What the condition says about it.
    pub message: String,
    /// Seconds since 1970, by the node's own clock. The kubelet posts one when it starts, then every 5 minutes.
    pub last_heartbeat: Option<u64>,
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

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
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
#[serde(default)]
struct Spec {
    taints: Vec<Taint>,
    unschedulable: bool,
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

/// Reads a `NodeList`.
///
/// # Errors
/// When it is not one.
pub fn parse_list(json: &[u8]) -> Result<Vec<Node>, serde_json::Error> {
    let list: List = serde_json::from_slice(json)?;
    Ok(list.items.into_iter().map(node).collect())
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
    let (ready, message, last_heartbeat) = match ready {
        Some(condition) => (Some(condition.status), condition.message, condition.last_heartbeat_time),
        None => (None, String::new(), None),
    };
    let internal = item.status.addresses.into_iter().filter(|address| address.r#type == "InternalIP");
    Node {
        name: item.metadata.name,
        ready,
        message,
        last_heartbeat: last_heartbeat.as_deref().and_then(seconds),
        addresses: internal.filter_map(|address| address.address.parse().ok()).collect(),
        version: item.status.node_info.kubelet_version,
        labels: item.metadata.labels,
        annotations: item.metadata.annotations,
        taints: item.spec.taints,
        cordoned: item.spec.unschedulable,
        etcd,
    }
}

fn seconds(rfc3339: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(rfc3339).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

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
             "status":{"conditions":[{"type":"EtcdIsVoter","status":"False","reason":"MemberIsLearner"}]}}]}"#;
        let nodes = parse_list(json).unwrap();
        assert!(!nodes[0].is_ready());
        assert_eq!(nodes[0].message, "Kubelet stopped posting node status.");
        assert_eq!(nodes[0].last_heartbeat, Some(1_767_323_045));
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
}
