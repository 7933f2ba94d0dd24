//! From what was seen to what is told: a row a host, and remarks on what is no host's own. Pure.

use fleet::{Fleet, Host, Role};
use k3s::Version;
use k3s::certificate::{self, Status};
use k3s::login::JOINED;
use k3s::node::{Node, Trouble};
use k3s::unit::{CANDIDATES, Unit};
use k3s::version::OLDEST;

use super::drift::Drift;
use super::survey::{Looked, Survey};
use crate::failure::{Failure, Kind};
use crate::run::Seen;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Good,
    /// To be known, or done some time.
    Notice,
    Bad,
}

pub(super) type Told = (Level, String);

/// One host.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) host: String,
    pub(super) role: String,
    pub(super) node: Told,
    pub(super) k3s: String,
    /// `12, 3 h`
    pub(super) generation: String,
    /// In the order of weight; never empty.
    pub(super) notes: Vec<Told>,
}

/// What is not about one row.
#[derive(Debug, Clone)]
pub(super) struct Remark {
    pub(super) subject: String,
    pub(super) text: String,
    /// What a tool said.
    pub(super) tail: Vec<String>,
    pub(super) hint: Option<String>,
}

impl Remark {
    pub(super) fn new(subject: &impl ToString, text: impl Into<String>, hint: Option<String>) -> Self {
        Self { subject: subject.to_string(), text: text.into(), tail: Vec::new(), hint }
    }

    fn of(host: &Host, failure: &Failure) -> Self {
        let remark = Self::new(&host.name, &failure.message, failure.hint.clone());
        Self { tail: failure.tail.clone(), ..remark }
    }
}

impl Row {
    /// The worst of it.
    pub(super) fn level(&self) -> Level {
        self.notes.iter().map(|(level, _)| *level).chain([self.node.0]).max().unwrap_or(Level::Good)
    }
}

pub(super) fn row(looked: &Looked<'_>, survey: &Survey<'_>) -> Row {
    let host = looked.host;
    let seen = looked.seen.as_ref();
    let node = survey.nodes().map(|nodes| nodes.iter().find(|node| node.name == host.name.as_str()));
    let mut notes = match seen {
        Ok(seen) => notes(host, seen, survey, node.flatten()),
        Err(failure) if failure.kind == Kind::Unreachable => bad("unreachable"),
        Err(_) => bad("could not be asked"),
    };
    if node.flatten().is_some_and(|node| node.cordoned && !node.is_ready()) {
        notes.push((Level::Notice, "cordoned".to_owned()));
    }
    notes.extend(looked.drift.as_ref().map(Drift::told));
    let unit = seen.ok().and_then(|seen| seen.unit.as_ref());
    let state = host.role.map_or((Level::Good, String::new()), |_| node_state(node, unit));
    if notes.is_empty() || (state.0 > Level::Good && notes.iter().all(|(level, _)| *level == Level::Good)) {
        let text = match node {
            None if host.role.is_some() => "its node is not known",
            Some(_) if state.0 == Level::Notice => "takes no new work",
            Some(Some(node)) if state.0 == Level::Bad && node.is_ready() => {
                "its node has not reported since its k3s started"
            }
            Some(_) if state.0 == Level::Bad => "its node is not Ready",
            _ => "well",
        };
        notes.push((state.0, text.to_owned()));
    }
    notes.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let version = node.flatten().map(|node| node.version.clone()).filter(|version| !version.is_empty());
    let own = || seen.ok().and_then(|seen| seen.version.clone());
    Row {
        host: host.name.to_string(),
        role: host.role.map_or(String::new(), |role| role.to_string()),
        node: state,
        k3s: host.role.and_then(|_| version.or_else(own)).unwrap_or_default(),
        generation: seen.map_or(String::new(), generation),
        notes,
    }
}

fn bad(text: &str) -> Vec<Told> {
    vec![(Level::Bad, text.to_owned())]
}

/// As a server sees it; `None` where none could say. The gate and doctor judge by the same.
fn node_state(node: Option<Option<&Node>>, unit: Option<&Unit>) -> Told {
    let Some(node) = node else { return (Level::Notice, "?".to_owned()) };
    match k3s::node::trouble(node, unit, None) {
        Some(Trouble::Missing) => (Level::Bad, "none".to_owned()),
        Some(Trouble::NotReady { .. }) => (Level::Bad, "NotReady".to_owned()),
        Some(_) => (Level::Bad, "stale".to_owned()),
        None if node.is_some_and(|node| node.cordoned) => (Level::Notice, "cordoned".to_owned()),
        None => (Level::Good, "Ready".to_owned()),
    }
}

fn generation(seen: &Seen) -> String {
    let age = |made: u64| age(seen.clock.saturating_sub(made));
    seen.generation().map_or("none".to_owned(), |one| format!("{}, {}", one.number, age(one.made)))
}

fn notes(host: &Host, seen: &Seen, survey: &Survey<'_>, node: Option<&Node>) -> Vec<Told> {
    let mut notes: Vec<Told> = Vec::new();
    let too_old = too_old(seen).filter(|_| host.role.is_some());
    notes.extend(too_old.map(|version| {
        (Level::Bad, format!("K3s {version} is too old: cargo xtask supports {OLDEST} and newer"))
    }));
    if host.role.is_some() {
        match &seen.unit {
            None => notes.extend(bad("it has no k3s unit")),
            Some(unit) if !unit.is_active() => {
                notes.extend(bad(&format!("{} {}: {}", unit.id, unit.does(), unit.remedy())));
            }
            Some(_) => {}
        }
    }
    if matches!(seen.nodes, Some(Err(_))) {
        notes.extend(bad("its API server does not answer"));
    }
    if host.role == Some(Role::Agent) && too_old.is_none() {
        let is_well = k3s::node::trouble(node, seen.unit.as_ref(), None).is_none();
        notes.extend(token(seen, survey).map(|text| match is_well {
            true => (Level::Notice, format!("it {JOINED}: {text}")),
            false => (Level::Bad, text),
        }));
    }
    notes.extend(system(seen).map(|text| (Level::Notice, text.to_owned())));
    if seen.rollback {
        notes.push((Level::Notice, "rollback timer armed".to_owned()));
    }
    notes.extend(seen.holder.as_ref().map(|holder| (Level::Notice, format!("being deployed by {holder}"))));
    // How K3s is stands there already, and systemd calls failed also what was stopped.
    let failed: Vec<&str> =
        seen.failed.iter().map(String::as_str).filter(|unit| !CANDIDATES.contains(unit)).collect();
    if !failed.is_empty() {
        let units = if failed.len() == 1 { "unit" } else { "units" };
        notes.push((Level::Notice, format!("{} failed {units}: {}", failed.len(), failed.join(" "))));
    }
    if host.role.is_some() {
        notes.extend(certificate(seen));
    }
    notes
}

fn too_old(seen: &Seen) -> Option<Version> {
    seen.version.as_deref().and_then(Version::parse).filter(|version| version.is_too_old())
}

/// Does the agent hold what the first server hands out? `None`: it does, or nobody knows.
fn token(seen: &Seen, survey: &Survey<'_>) -> Option<String> {
    let (server, theirs) = survey.server_token()?;
    // Old ones write no agent token, which says nothing about anybody's.
    if survey.first().is_some_and(|first| too_old(first).is_some()) {
        return None;
    }
    match (&theirs, &seen.token) {
        (None, _) => Some(format!("{server} has no agent token")),
        (Some(_), None) => Some("it has no token".to_owned()),
        (Some(theirs), Some(ours)) if *theirs != ours => Some(format!("its token is not {server}'s")),
        _ => None,
    }
}

/// A switch leaves the booted system behind, as it should; a reboot is due once that would bring another kernel, or a system
/// that waits for it.
fn system(seen: &Seen) -> Option<&'static str> {
    if seen.running.is_none() {
        Some("it runs no NixOS system")
    } else if seen.running != seen.boot && seen.running == seen.booted {
        Some("reboot due: another system is the boot default")
    } else if seen.running != seen.boot {
        Some("what runs is not the boot default")
    } else if seen.other_kernel {
        Some("reboot due: another kernel")
    } else {
        None
    }
}

fn certificate(seen: &Seen) -> Option<Told> {
    let worst = certificate::worst(&seen.certificates)?;
    let left = worst.moment.saturating_sub(seen.clock);
    Some(match worst.status {
        Status::Ok => return None,
        Status::Warning if worst.renews_at_start() => {
            (Level::Notice, format!("{} ends in {}; a restart of k3s renews it", worst.file, age(left)))
        }
        Status::Warning => (Level::Notice, format!("the CA in {} ends in {}", worst.file, age(left))),
        Status::Expired => (Level::Bad, format!("{} has expired", worst.file)),
        Status::NotYetValid => (Level::Bad, format!("{} is not valid yet", worst.file)),
    })
}

/// On what is no row's own: whoever could not be asked, and nodes and hosts that do not match.
pub(super) fn remarks(survey: &Survey<'_>, fleet: &Fleet) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for looked in survey.all() {
        remarks.extend(looked.seen.as_ref().err().map(|failure| Remark::of(looked.host, failure)));
        if let Some(Drift::Unknown(failure)) = &looked.drift {
            remarks.push(Remark::of(looked.host, failure));
        }
    }
    let Some(first) = fleet.first_server() else { return remarks };
    match survey.node_list() {
        Some((_, Ok(nodes))) => remarks.extend(unmatched(nodes, survey, fleet, first)),
        Some((name, Err(said))) => {
            let text = format!("its API server does not answer, so no node is known: {said}");
            remarks.push(Remark::new(name, text, Some("cargo xtask doctor".to_owned())));
        }
        None => {}
    }
    remarks
}

fn unmatched(nodes: &[Node], survey: &Survey<'_>, fleet: &Fleet, first: &Host) -> Vec<Remark> {
    let has = |node: &&Node| fleet.hosts.keys().any(|name| name.as_str() == node.name);
    let strangers = nodes.iter().filter(|node| !has(node)).map(|node| {
        let delete = remote::quote_all(["k3s", "kubectl", "delete", "node", &node.name]);
        let hint = format!("if it is gone for good, on {}: {delete}", first.name);
        Remark::new(&node.name, "a node of the cluster that is no host of hosts/fleet.toml", Some(hint))
    });
    let joined = |host: &Host| nodes.iter().any(|node| node.name == host.name.as_str());
    // Whoever is away has no node for a reason that is told already.
    let hosts = survey.shown.iter().filter(|looked| looked.seen.is_ok()).map(|looked| looked.host);
    let absent = hosts.filter(|host| host.role.is_some() && !joined(host)).map(|host| {
        let hint = format!("cargo xtask verify {}", host.name);
        Remark::new(&host.name, "the cluster has no node of its name", Some(hint))
    });
    strangers.chain(absent).collect()
}

/// In one unit: `12 s`, `5 min`, `3 h`, `14 d`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
