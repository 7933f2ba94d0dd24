//! What the API server says of the nodes, and what shows only when the hosts are seen together.

use std::time::SystemTime;

use fleet::{Fleet, HostName};
use k3s::node::{Node, Trouble};
use k3s::unit::Unit;

use super::facts::{Facts, NodeFacts};
use super::system::SKEW;
use super::{Asked, Cause, Chart, Examination, Finding, Well, remedy};

/// The node of one host.
pub(super) fn node_rules(chart: &mut Chart, facts: &Facts) {
    let (Some(nodes), Some(_)) = (&facts.nodes, chart.host.role) else { return };
    let found = nodes.iter().find(|it| it.node.name == chart.host.name.as_str());
    let unit = facts.of(&chart.host.name).and_then(|seen| seen.k3s.as_ref()?.unit.as_ref());
    let trouble = k3s::node::trouble(found.map(|it| &it.node), unit, chart.host.node_ip);
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
        chart.found(cause, None, vec![evidence], "");
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

/// When its Lease was renewed, and when its K3s started.
fn silence(node: Option<&Node>, unit: Option<&Unit>) -> String {
    let told = |time: Option<SystemTime>| {
        time.map_or("never".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
    };
    let renewed = told(node.and_then(|node| node.renewed));
    format!("its Lease: {renewed}; its k3s started: {}", told(unit.and_then(|unit| unit.started)))
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
    let Some(nodes) = facts.nodes.as_ref().filter(|_| facts.is_whole) else { return };
    let server = fleet.first_server().map_or("", |server| server.name.as_str());
    let known = |name: &str| fleet.hosts.keys().any(|host| host.as_str() == name);
    let mut strangers = 0;
    for NodeFacts { node, .. } in nodes.iter().filter(|it| !known(&it.node.name)) {
        strangers += 1;
        let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        let status = if node.is_ready() { "Ready" } else { "not Ready" };
        let evidence = format!("{}: {status}, {}, {}", node.name, addresses.join(" "), node.version);
        let cause = Cause::NodeUnknown;
        let remedy = remedy(cause, "", server, &node.name);
        all.findings.push(Finding {
            host: None,
            cause,
            value: Some(node.name.clone()),
            evidence: vec![evidence],
            remedy,
        });
    }
    if strangers == 0 {
        all.well.push(Well {
            host: None,
            check: "nodes",
            value: format!("{}, all of hosts/fleet.toml", nodes.len()),
        });
    }
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
