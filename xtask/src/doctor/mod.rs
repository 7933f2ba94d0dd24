//! Why it does not work. A pure core, facts in and findings out, between a shell that asks (`look`) and one that prints
//! (`report`). Each rule looks at one thing and tells all it sees; that a cause and its consequences are one finding is
//! decided afterwards, by the table in `cause`.
//!
//! What could not be seen is no finding: only what was seen to be wrong is one.

mod cause;
mod cluster;
mod etcd;
mod facts;
mod look;
mod network;
mod reach;
mod read;
mod report;
mod service;
mod system;
#[cfg(test)]
mod tests;
mod token;

use fleet::{Fleet, Host, HostName, Role};

use crate::ask::Asker;
use crate::repository::Repository;

pub(crate) use cause::{Cause, Weight};
pub(crate) use facts::{Asked, Facts};
pub(crate) use look::look;
pub(crate) use report::print;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `None`: the cluster's, or this machine's.
    pub(crate) host: Option<HostName>,
    pub(crate) cause: Cause,
    /// A value behind the cause's words.
    pub(crate) value: Option<String>,
    /// Lines and values that show it.
    pub(crate) evidence: Vec<String>,
    pub(crate) remedy: String,
}

/// One thing that was looked at and is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Well {
    pub(crate) host: Option<HostName>,
    pub(crate) check: &'static str,
    pub(crate) value: String,
}

/// All that was looked at.
#[derive(Debug, Default)]
pub(crate) struct Examination {
    pub(crate) findings: Vec<Finding>,
    pub(crate) well: Vec<Well>,
    /// What another finding brings about, and so is none.
    pub(crate) consequences: Vec<Consequence>,
    /// How much of the cluster is there.
    pub(crate) cluster: cluster::Count,
}

/// What is wrong with a host because of something that is told of another one, or of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consequence {
    pub(crate) host: HostName,
    pub(crate) of: Option<HostName>,
}

/// Judges the facts.
pub(crate) fn examine(fleet: &Fleet, facts: &Facts) -> Examination {
    let mut all = Examination::default();
    let server = fleet.first_server().map(|server| server.name.clone());
    let has_vxlan = network::has_vxlan(fleet, facts);
    for host in fleet.hosts.values() {
        let mut chart = Chart { host, server: server.as_ref(), all: &mut all };
        match facts.hosts.get(&host.name) {
            None => continue,
            Some(Asked::Unreached(why)) => chart.unreached(why),
            Some(Asked::Answered(seen)) => {
                system::rules(&mut chart, seen);
                network::rules(&mut chart, fleet, seen, has_vxlan);
                if let Some(k3s) = &seen.k3s {
                    let servers =
                        server.as_ref().and_then(|name| facts.of(name)?.k3s.as_ref()?.server.as_ref());
                    let joined = is_joined(facts, host);
                    token::rules(&mut chart, k3s, servers, joined);
                    // Before what the journal says of the same: this one knows the way back.
                    etcd::server_rules(&mut chart, fleet, facts);
                    service::rules(&mut chart, seen, k3s, joined);
                    network::flannel(&mut chart, seen, k3s, has_vxlan);
                    network::ways(&mut chart, k3s);
                }
            }
        }
        cluster::node_rules(&mut chart, facts);
    }
    cluster::rules(&mut all, fleet, facts);
    let mut findings = merged(std::mem::take(&mut all.findings));
    // What stops all of the cluster comes first.
    findings.sort_by_key(|finding| finding.cause != Cause::NoQuorum);
    all.consequences = consequences(fleet, &findings);
    all.findings = without_consequences(fleet, &findings);
    all
}

/// What is at the bottom of one host's trouble, for a run whose gate it did not pass: asked of it and of the first server.
/// Nothing where nobody can be asked, or nothing is found.
pub(crate) fn explain(
    repository: &Repository,
    fleet: &Fleet,
    asker: &Asker,
    name: &HostName,
) -> Option<crate::run::Finding> {
    let server = fleet.first_server().filter(|server| server.name != *name);
    let hosts: Vec<&Host> = fleet.hosts.get(name).into_iter().chain(server).collect();
    let facts = look(repository, fleet, asker, &hosts).ok()?;
    let examination = examine(fleet, &facts);
    // What the run itself brings about, until it has ended.
    let is_ours = |cause: Cause| matches!(cause, Cause::RollbackArmed | Cause::BootDiffers);
    let is_cause = |it: &Finding| it.cause.entry().weight == Weight::Error && !is_ours(it.cause);
    let is_its = |finding: &Finding| finding.host.as_ref() == Some(name);
    let found: Vec<Finding> = examination.findings.into_iter().filter(is_cause).collect();
    let first = found.iter().find(|it| is_its(it)).or_else(|| found.first())?;
    let place =
        first.host.as_ref().filter(|host| *host != name).map_or(String::new(), |host| format!("{host}: "));
    let value = first.value.as_ref().map_or(String::new(), |value| format!(" ({value})"));
    let finding = crate::run::Finding::new(format!("{place}{}{value}", first.cause.entry().what));
    Some(finding.evidence(first.evidence.clone()).hint(first.remedy.clone()))
}

/// Is its node as it should be? Then the journal's older lines are history.
fn is_joined(facts: &Facts, host: &Host) -> Option<bool> {
    let node = facts.nodes.as_ref()?.iter().find(|it| it.node.name == host.name.as_str());
    let unit = facts.of(&host.name).and_then(|seen| seen.k3s.as_ref()?.unit.as_ref());
    Some(k3s::node::trouble(node.map(|it| &it.node), unit, None).is_none())
}

/// What a rule writes to: the findings of one host.
pub(crate) struct Chart<'a> {
    pub(crate) host: &'a Host,
    server: Option<&'a HostName>,
    all: &'a mut Examination,
}

impl Chart<'_> {
    fn well(&mut self, check: &'static str, value: impl Into<String>) {
        self.all.well.push(Well { host: Some(self.host.name.clone()), check, value: value.into() });
    }

    /// `detail` is what the remedy names: a unit, a path, an address.
    fn found(&mut self, cause: Cause, value: Option<String>, evidence: Vec<String>, detail: &str) {
        let host = self.host.name.as_str();
        let remedy = remedy(cause, host, self.server.map_or(host, HostName::as_str), detail);
        self.all.findings.push(Finding {
            host: Some(self.host.name.clone()),
            cause,
            value,
            evidence,
            remedy,
        });
    }

    fn unreached(&mut self, why: &reach::Unreached) {
        // The address that is spoken of where the cause shows.
        let mut addresses = self.host.addresses.iter().map(fleet::Address::as_str);
        let first = addresses.clone().next().unwrap_or_default();
        let address = addresses.rfind(|address| why.tells.contains(address)).unwrap_or(first);
        self.found(why.cause, None, why.evidence.clone(), address);
        if let (Some(hint), Some(last)) = (&why.hint, self.all.findings.last_mut()) {
            last.remedy.clone_from(hint);
        }
    }
}

fn remedy(cause: Cause, host: &str, server: &str, detail: &str) -> String {
    let template = cause.entry().remedy;
    template.replace("{host}", host).replace("{server}", server).replace("{detail}", detail)
}

/// One cause that was seen in two ways is one finding, with the evidence of both.
fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |known: &&mut Finding| known.host == finding.host && known.cause == finding.cause;
        match merged.iter_mut().find(same) {
            // The cluster has one finding for each stranger.
            Some(known) if known.host.is_some() => {
                let new = finding
                    .evidence
                    .into_iter()
                    .filter(|line| !known.evidence.contains(line))
                    .collect::<Vec<_>>();
                known.evidence.extend(new);
            }
            _ => merged.push(finding),
        }
    }
    merged
}

/// Leaves out what another finding brings about, be that one left out itself or not: the first cause of a row stays.
fn without_consequences(fleet: &Fleet, findings: &[Finding]) -> Vec<Finding> {
    let is_first = |finding: &&Finding| !findings.iter().any(|other| explains(fleet, other, finding));
    findings.iter().filter(is_first).cloned().collect()
}

/// Whose findings were left out because of one that is told elsewhere.
fn consequences(fleet: &Fleet, findings: &[Finding]) -> Vec<Consequence> {
    let consequence = |finding: &Finding| {
        let of = origin(fleet, findings, finding).host.clone();
        (of != finding.host).then(|| Some(Consequence { host: finding.host.clone()?, of }))?
    };
    findings.iter().filter_map(consequence).collect()
}

/// The first cause of a row.
fn origin<'f>(fleet: &Fleet, findings: &'f [Finding], finding: &'f Finding) -> &'f Finding {
    let cause = findings.iter().find(|other| explains(fleet, other, finding));
    cause.map_or(finding, |cause| origin(fleet, findings, cause))
}

fn explains(fleet: &Fleet, one: &Finding, other: &Finding) -> bool {
    let entry = one.cause.entry();
    let same_host = one.host == other.host && entry.causes.contains(&other.cause);
    same_host || (entry.as_server.contains(&other.cause) && reaches(fleet, one, other))
}

/// Agents join the first server, and it is asked about the nodes; the other servers matter to servers only. What the cluster has
/// as a whole reaches all, but for an agent's own K3s.
fn reaches(fleet: &Fleet, one: &Finding, other: &Finding) -> bool {
    let is_server = |finding: &Finding| {
        let host = finding.host.as_ref().and_then(|name| fleet.hosts.get(name));
        host.is_some_and(|host| host.role == Some(Role::Server))
    };
    if one.host.is_none() {
        let is_units = matches!(other.cause, Cause::K3sStopped | Cause::K3sStarting | Cause::K3sFailed);
        return is_server(other) || !is_units;
    }
    let is_first = one.host.as_ref() == fleet.first_server().map(|server| &server.name);
    is_first || (is_server(one) && is_server(other))
}
