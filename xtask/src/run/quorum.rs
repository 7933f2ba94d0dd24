//! Before a server is touched: the others have to be well, and enough of them for etcd to have its majority.

use std::time::{Duration, Instant};

use fleet::{HostName, Role};
use k3s::node::{self, Node};
use k3s::quorum::{self, Member};
use k3s::unit::Unit;
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
    /// What of it, as the rest of a sentence.
    Trouble(String),
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
        if let Some(silent) = self.state().silent.get(name) {
            return Seen::Trouble(format!("cannot be asked: {silent}"));
        }
        self.ask(name, see).unwrap_or_else(|failure| Seen::Trouble(format!("cannot be asked: {failure}")))
    }

    /// By the nodes, where a server that is well tells them: one that never joined is no member. Where none does, all that
    /// ever ran are taken for members.
    fn members(&self, name: &HostName, seen: &[(HostName, Seen)], nodes: Option<&[Node]>) -> Vec<Member> {
        let trouble_of = |other: &str| {
            let seen = seen.iter().find(|(name, _)| name.as_str() == other);
            match seen {
                Some((_, Seen::Trouble(trouble))) => Some(trouble.clone()),
                _ => None,
            }
        };
        let Some(nodes) = nodes else {
            let ran = seen.iter().filter(|(_, seen)| !matches!(seen, Seen::New)).map(|(other, _)| other);
            let member = |other: &HostName| Member {
                name: other.to_string(),
                votes: true,
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
                votes: node.etcd.as_ref().is_none_or(|etcd| etcd.votes),
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
    let Some(unit) = host::k3s_unit(session)? else {
        return Ok(Seen::Trouble("has no k3s unit".to_owned()));
    };
    if !unit.is_active() {
        return Ok(Seen::Trouble(format!("is down: {} is {}", unit.id, unit.state())));
    }
    let found = finding::readyz_finding(session)?;
    Ok(found.map_or(Seen::Well(unit), |finding| Seen::Trouble(format!("is not well: {}", finding.what))))
}

fn refusal(name: &HostName, seen: &[(HostName, Seen)], mut lines: Vec<String>) -> Failure {
    let first = lines.remove(0);
    let down = seen.iter().find(|(_, seen)| matches!(seen, Seen::Trouble(_)));
    let hint = down.map_or_else(
        || format!("mend {} first", first.split(' ').next().unwrap_or_default()),
        |(other, _)| format!("mend {other} first: cargo xtask deploy {other}"),
    );
    Failure::new(Kind::Verification, format!("{name} is not touched: {first}")).tail(&lines).hint(hint)
}
