//! Before a server is touched: the others have to be well, and enough of them for etcd to have its majority.

use std::time::{Duration, Instant};

use fleet::{HostName, Role};
use k3s::node::{self, Node};
use k3s::quorum::{self, Member};
use k3s::unit::{Phase, Unit};
use pipeline::Outcome;
use remote::ssh::Session;

use super::cluster::{self, each};
use super::{Run, done, finding, host, skipped};
use crate::failure::{Failure, Kind, Result};

/// Where all servers answer, the conditions of their Nodes are what lags behind: K3s looks every 15 s, and the server before
/// this one may just have been restarted.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(1);

/// How another server is.
enum Seen {
    /// With its K3s unit, by which its Node is judged.
    Well(Unit),
    /// K3s never ran there.
    New,
    Trouble(Trouble),
}

/// What is wrong with another server.
struct Trouble {
    /// As the rest of a sentence about it.
    what: String,
    hint: String,
}

impl Trouble {
    /// A deploy repairs what it can.
    fn of(name: &str, what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: format!("mend {name} first: cargo xtask deploy {name}") }
    }
}

impl Run<'_> {
    pub(super) fn quorum(&self, name: &HostName, reboot: bool) -> Result<Outcome> {
        if !self.will_touch(name, reboot)? {
            return skipped("it is not touched");
        }
        let servers = self.fleet.with_role(Role::Server);
        let others: Vec<HostName> =
            servers.iter().map(|server| server.name.clone()).filter(|other| other != name).collect();
        let start = Instant::now();
        loop {
            let seen: Vec<(HostName, Seen)> =
                others.iter().cloned().zip(each(&others, |other| self.see(other))).collect();
            if remote::interrupted() {
                return Err(Failure::new(Kind::Interrupted, "interrupted before this step"));
            }
            let knows = seen.iter().find(|(_, seen)| matches!(seen, Seen::Well(_)));
            let nodes = knows.map(|(other, _)| self.ask(other, cluster::nodes)).transpose()?;
            self.refuse_second_cluster(name, nodes.as_deref())?;
            let is_down = seen.iter().any(|(_, seen)| matches!(seen, Seen::Trouble(_)));
            match quorum::without(name.as_str(), &self.members(name, &seen, nodes.as_deref())) {
                Ok(evidence) => return done(evidence),
                Err(lines) if is_down || start.elapsed() > PATIENCE => {
                    return Err(refusal(name, &seen, lines));
                }
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    fn see(&self, name: &HostName) -> Seen {
        let unasked =
            |why: String| Seen::Trouble(Trouble::of(name.as_str(), format!("cannot be asked: {why}")));
        if let Some(silent) = self.state().silent.get(name) {
            return unasked(silent.clone());
        }
        self.ask(name, see).unwrap_or_else(|failure| unasked(failure.to_string()))
    }

    /// By the nodes, where a server that is well tells them: one that never joined is no member. Where none does, all that
    /// ever ran may be members.
    fn members(&self, name: &HostName, seen: &[(HostName, Seen)], nodes: Option<&[Node]>) -> Vec<Member> {
        let trouble_of = |other: &str| {
            let seen = seen.iter().find(|(name, _)| name.as_str() == other);
            match seen {
                Some((_, Seen::Trouble(trouble))) => Some(trouble.what.clone()),
                _ => None,
            }
        };
        let Some(nodes) = nodes else {
            let ran = seen.iter().filter(|(_, seen)| !matches!(seen, Seen::New)).map(|(other, _)| other);
            let member = |other: &HostName| Member {
                name: other.to_string(),
                votes: None,
                trouble: trouble_of(other.as_str()),
            };
            let mut members: Vec<Member> = ran.map(member).collect();
            if !members.is_empty() {
                members.push(member(name));
            }
            return members;
        };
        let unit_of = |other: &str| {
            seen.iter().find(|(name, _)| name.as_str() == other).and_then(|(_, seen)| match seen {
                Seen::Well(unit) => Some(unit),
                _ => None,
            })
        };
        let member = |node: &Node| {
            let unwell = node.etcd.as_ref().filter(|etcd| !etcd.is_well);
            let trouble = unit_of(&node.name).and_then(|unit| node::trouble(Some(node), Some(unit), None));
            Member {
                name: node.name.clone(),
                votes: node.etcd.as_ref().map(|etcd| etcd.votes),
                trouble: trouble_of(&node.name)
                    .or_else(|| unwell.map(|etcd| format!("is not well in etcd: {}", etcd.message)))
                    .or_else(|| trouble.map(|trouble| format!("is not well: {trouble}"))),
            }
        };
        nodes.iter().filter(|node| node.has_etcd()).map(member).collect()
    }

    /// The first server is started with `--cluster-init`. Where its datastore was lost and the others go on, it would start
    /// a cluster of its own beside theirs.
    fn refuse_second_cluster(&self, name: &HostName, nodes: Option<&[Node]>) -> Result<()> {
        let is_first = self.fleet.first_server().is_some_and(|first| first.name == *name);
        let other =
            nodes.and_then(|nodes| nodes.iter().find(|node| node.has_etcd() && node.name != name.as_str()));
        let (true, Some(other)) = (is_first, other) else { return Ok(()) };
        if self.ask(name, ran)? {
            return Ok(());
        }
        let message =
            format!("{name} has no datastore and would start a second cluster beside that of {}", other.name);
        Err(Failure::new(Kind::Verification, message)
            .hint(format!("let it join: first_server = \"{}\" in [cluster] of hosts/fleet.toml", other.name)))
    }
}

fn ran(session: &Session) -> Result<bool> {
    match session.run(["test", "-s", k3s::SERVER_TOKEN]) {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(1) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn see(session: &Session) -> Result<Seen> {
    if !ran(session)? {
        return Ok(Seen::New);
    }
    let name = session.name();
    let trouble = |what: String| Ok(Seen::Trouble(Trouble::of(name, what)));
    let Some(unit) = host::k3s_unit(session)? else { return trouble("has no k3s unit".to_owned()) };
    if !unit.is_active() {
        let what = format!("is down: {} {}", unit.id, unit.does());
        return match unit.phase() {
            // Nothing has to be mended where somebody stopped it.
            Phase::Stopped | Phase::NotStarted => {
                Ok(Seen::Trouble(Trouble { what, hint: format!("on {name}: {}", unit.remedy()) }))
            }
            _ => trouble(what),
        };
    }
    match finding::readyz_finding(session)? {
        None => Ok(Seen::Well(unit)),
        Some(finding) => trouble(format!("is not well: {}", finding.what)),
    }
}

fn refusal(name: &HostName, seen: &[(HostName, Seen)], mut lines: Vec<String>) -> Failure {
    let first = lines.remove(0);
    let down = seen.iter().find_map(|(_, seen)| match seen {
        Seen::Trouble(trouble) => Some(trouble.hint.clone()),
        _ => None,
    });
    let hint = down.unwrap_or_else(|| {
        format!("mend {0} first: cargo xtask verify {0}", first.split(' ').next().unwrap_or_default())
    });
    Failure::new(Kind::Verification, format!("{name} is not touched: {first}")).tail(&lines).hint(hint)
}
