//! What the API server says of the nodes, and what shows only when the hosts are seen together.

use std::time::SystemTime;

use fleet::{Fleet, HostName};
use k3s::node::{Node, Trouble};
use k3s::unit::Unit;

use super::etcd::{self, Electorate};
use super::facts::{Facts, HostFacts, NodeFacts};
use super::system::SKEW;
use super::{Asked, Cause, Chart, Examination, Finding, Well, remedy};

/// A kubelet asks containerd every few seconds, and tells the cluster what is new every 10.
const SEEN_WITHIN: u64 = 30;

/// How much of the cluster is there, where all of it was asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    /// etcd's voting members, where there are several servers with it.
    pub(crate) members: Option<Part>,
    pub(crate) nodes: Option<Part>,
}

/// How many of how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) text: String,
    /// `None`: nobody could say.
    pub(crate) is_whole: Option<bool>,
}

/// The node of one host.
pub(super) fn node_rules(chart: &mut Chart, facts: &Facts) {
    let (Some(nodes), Some(_)) = (&facts.nodes, chart.host.role) else { return };
    let found = nodes.iter().find(|it| it.node.name == chart.host.name.as_str());
    let unit = facts.of(&chart.host.name).and_then(|seen| seen.k3s.as_ref()?.unit.as_ref());
    let trouble = k3s::node::trouble(found.map(|it| &it.node), unit, chart.host.node_ip);
    let seen = facts.of(&chart.host.name);
    if let Some(trouble) = &trouble {
        let (cause, evidence) = match trouble {
            Trouble::Missing => {
                let names: Vec<&str> = nodes.iter().map(|it| it.node.name.as_str()).collect();
                (Cause::NodeMissing, format!("nodes: {}", names.join(" ")))
            }
            Trouble::NotReady { status, message } => {
                let status = status.as_deref().unwrap_or("not reported yet");
                (Cause::NodeNotReady, format!("Ready: {status}: {message}"))
            }
            Trouble::Silent => (Cause::NodeSilent, silence(found.map(|it| &it.node), unit)),
            Trouble::OtherVersion { node, unit } => {
                (Cause::NodeVersion, format!("{node} in the cluster, {unit} in its unit"))
            }
            Trouble::OtherAddress { has, wanted } => {
                let has: Vec<String> = has.iter().map(ToString::to_string).collect();
                (Cause::NodeAddress, format!("{} in the cluster, {wanted} in fleet.toml", has.join(" ")))
            }
        };
        chart.found(cause, None, vec![evidence.clone()], "");
        if let Some(file) = seen.and_then(|seen| unseen_network(trouble, seen)) {
            chart.found(Cause::ContainerdBlind, None, vec![evidence, file], "");
        }
    }
    let Some(NodeFacts { node, pressures }) = found else { return };
    if node.cordoned {
        chart.found(Cause::NodeCordoned, None, vec!["spec.unschedulable: true".to_owned()], "");
    }
    if !pressures.is_empty() {
        chart.found(Cause::NodePressure, Some(pressures.join(", ")), Vec::new(), "");
    }
    if trouble.is_none() && !node.cordoned {
        chart.well("node", format!("Ready, {}", node.version));
    }
    version(chart, nodes, node);
}

/// The network's configuration that is there, while containerd, which runs, has none. One that was just written is still to be
/// seen.
fn unseen_network(trouble: &Trouble, seen: &HostFacts) -> Option<String> {
    let Trouble::NotReady { message, .. } = trouble else { return None };
    let file = seen.cni.as_ref().filter(|file| file.age >= SEEN_WITHIN && seen.containerd.is_none())?;
    let told = || format!("{} is there since {} s", file.path, file.age);
    message.contains("cni plugin not initialized").then(told)
}

/// When it was last heard of, and when its K3s started.
fn silence(node: Option<&Node>, unit: Option<&Unit>) -> String {
    let told = |time: Option<SystemTime>| {
        time.map_or("never".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
    };
    let heard = told(node.and_then(|node| node.heard));
    format!("last heard of: {heard}; its k3s started: {}", told(unit.and_then(|unit| unit.started)))
}

/// The API server's version is that of the first server's own kubelet: they are one program.
fn version(chart: &mut Chart, nodes: &[NodeFacts], node: &k3s::node::Node) {
    let server = chart.server.and_then(|server| nodes.iter().find(|it| it.node.name == server.as_str()));
    let Some(server) = server else { return };
    let (Some(ours), Some(theirs)) = (minor(&node.version), minor(&server.node.version)) else { return };
    if ours > theirs {
        let evidence = format!("{} here, {} on {}", node.version, server.node.version, server.node.name);
        chart.found(Cause::KubeletNewer, None, vec![evidence], "");
    }
}

/// `v1.34.2+k3s1` is 1 and 34: only these are compared by Kubernetes' rule.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// What is no single host's.
pub(super) fn rules(all: &mut Examination, fleet: &Fleet, facts: &Facts) {
    clocks(all, fleet, facts);
    if !facts.is_whole {
        return;
    }
    if let Some(electorate) = Electorate::of(fleet, facts) {
        etcd::rules(all, fleet, facts, &electorate);
        all.cluster.members = electorate.part();
    }
    let strangers = strangers(all, fleet, facts);
    all.cluster.nodes = fleet.first_server().map(|_| nodes(fleet, facts));
    let rest = if strangers == 0 { ", all of hosts/fleet.toml" } else { "" };
    for (check, part, rest) in [("members", &all.cluster.members, ""), ("nodes", &all.cluster.nodes, rest)] {
        if let Some(Part { text, is_whole: Some(true) }) = part {
            all.well.push(Well { host: None, check, value: format!("{text}{rest}") });
        }
    }
}

/// Those that are Ready, of all there are and all there should be. One whose K3s is seen not to run is said to be Ready for a while.
fn nodes(fleet: &Fleet, facts: &Facts) -> Part {
    let Some(nodes) = &facts.nodes else {
        return Part { text: "nodes not known: no API server answers".to_owned(), is_whole: None };
    };
    let is_there = |it: &&NodeFacts| {
        let host = fleet.hosts.values().find(|host| host.name.as_str() == it.node.name);
        let unit = host.and_then(|host| facts.of(&host.name)?.k3s.as_ref()?.unit.as_ref());
        let trouble = k3s::node::trouble(Some(&it.node), unit, None);
        unit.is_none_or(Unit::is_active)
            && trouble.is_none_or(|it| matches!(it, Trouble::OtherVersion { .. }))
    };
    let ready = nodes.iter().filter(is_there).count();
    let has_node = |name: &HostName| nodes.iter().any(|it| it.node.name == name.as_str());
    let absent = fleet.hosts.values().filter(|host| host.role.is_some() && !has_node(&host.name)).count();
    let of = nodes.len() + absent;
    Part { text: format!("{ready} of {of} nodes Ready"), is_whole: Some(ready == of) }
}

/// Nodes of no host: how many.
fn strangers(all: &mut Examination, fleet: &Fleet, facts: &Facts) -> usize {
    let server = fleet.first_server().map_or("", |server| server.name.as_str());
    let known = |name: &str| fleet.hosts.keys().any(|host| host.as_str() == name);
    let strangers = facts.nodes.iter().flatten().filter(|it| !known(&it.node.name));
    let found = strangers.map(|NodeFacts { node, .. }| {
        let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        let status = if node.is_ready() { "Ready" } else { "not Ready" };
        let evidence = format!("{}: {status}, {}, {}", node.name, addresses.join(" "), node.version);
        Finding {
            host: None,
            cause: Cause::NodeUnknown,
            value: Some(node.name.clone()),
            evidence: vec![evidence],
            remedy: remedy(Cause::NodeUnknown, "", server, &node.name),
        }
    });
    let before = all.findings.len();
    all.findings.extend(found);
    all.findings.len() - before
}

/// A host whose clock differs from ours and from the others' is wrong; where all agree, and not with us, we are.
fn clocks(all: &mut Examination, fleet: &Fleet, facts: &Facts) {
    let clock = |name: &HostName, asked: &Asked| match asked {
        Asked::Answered(seen) => Some((name.clone(), seen.clock?)),
        Asked::Unreached(_) => None,
    };
    let clocks: Vec<(HostName, i64)> =
        facts.hosts.iter().filter_map(|(name, asked)| clock(name, asked)).collect();
    let off = |a: i64, b: i64| a.abs_diff(b) > SKEW;
    let (Some((_, first)), Some((_, last))) =
        (clocks.iter().min_by_key(|(_, by)| *by), clocks.iter().max_by_key(|(_, by)| *by))
    else {
        return;
    };
    let apart = off(*first, *last);
    if clocks.len() > 1 && !apart && clocks.iter().all(|(_, by)| off(*by, 0)) {
        let evidence = clocks.iter().map(|(name, by)| format!("{name}: {}", ahead(*by))).collect();
        let remedy = remedy(Cause::OwnClock, "", "", "");
        all.findings.push(Finding { host: None, cause: Cause::OwnClock, value: None, evidence, remedy });
        return;
    }
    // Each may be near enough to us, and two too far from each other: then it is the one that is further from us.
    let farthest = clocks.iter().max_by_key(|(_, by)| by.unsigned_abs()).map(|(name, _)| name.clone());
    for (name, by) in &clocks {
        let Some(host) = fleet.hosts.get(name) else { continue };
        let server = fleet.first_server().map(|server| &server.name);
        let mut chart = Chart { host, server, all };
        if off(*by, 0) || (apart && farthest.as_ref() == Some(name)) {
            chart.found(Cause::ClockSkew, None, vec![format!("{} of ours", ahead(*by))], "");
        } else {
            chart.well("clock", format!("{} s from ours", by.unsigned_abs()));
        }
    }
}

fn ahead(by: i64) -> String {
    let span = humantime::format_duration(std::time::Duration::from_secs(by.unsigned_abs()));
    format!("{span} {}", if by < 0 { "behind" } else { "ahead" })
}
