//! The gate: is this host well? Over a fresh connection, all that there is to look at, until all is well or the time is
//! up. `verify` is the same with no time: it looks once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{HostName, Role};
use k3s::node::Node;
use k3s::unit::Unit;
use pipeline::{Outcome, Progress};
use remote::ssh::Session;

use super::build::short;
use super::finding::{
    Finding, node_findings, readyz_finding, secret_finding, server_token_finding, token_finding, unit_finding,
};
use super::health::{Health, health};
use super::secret::AGENT_SECRET;
use super::{Run, done};
use crate::failure::{Failure, Kind, Result};

const POLL: Duration = Duration::from_millis(500);

/// One look at a host: each thing that was looked at with what was seen there, and what of it is not well.
#[derive(Default)]
struct Look {
    /// In a line, if all is.
    summary: String,
    seen: Vec<String>,
    findings: Vec<Finding>,
}

impl Look {
    fn saw(&mut self, what: &str, well: &str, finding: Option<Finding>) {
        let seen = finding.as_ref().map_or(well, |finding| finding.what.as_str());
        self.seen.push(format!("{what}: {seen}"));
        self.findings.extend(finding);
    }

    fn tell(&self, progress: &Progress<Failure>) {
        self.seen.iter().for_each(|seen| progress.fact("evidence", seen.as_str()));
    }
}

impl Run<'_> {
    pub(super) fn gate(&self, name: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let start = Instant::now();
        let mut fresh = self.state().fresh.remove(name);
        loop {
            let mut look = || -> Result<_> {
                let session = fresh.take().map_or_else(|| self.open_fresh(name).map(Arc::new), Ok)?;
                let look = self.look_at(name, &session)?;
                Ok((session, look))
            };
            let seen = look();
            if remote::interrupted() {
                return Err(Failure::new(
                    Kind::Interrupted,
                    format!("interrupted while {name} was verified"),
                ));
            }
            let late = start.elapsed() >= self.patience;
            match seen {
                Ok((session, look)) if look.findings.is_empty() => {
                    look.tell(progress);
                    self.disarm(name, &session)?;
                    return done(look.summary);
                }
                Ok((_, look)) if late => {
                    look.tell(progress);
                    return Err(self.not_well(name, look.findings, start.elapsed()));
                }
                Err(failure) if late || failure.is_final || failure.kind != Kind::Unreachable => {
                    return Err(failure.during(&format!("failed to verify {name}")));
                }
                Ok((session, look)) => {
                    progress.line(&look.findings[0].what);
                    fresh = Some(session);
                }
                Err(failure) => progress.line(&failure.message),
            }
            std::thread::sleep(POLL);
        }
    }

    fn not_well(&self, name: &HostName, mut findings: Vec<Finding>, waited: Duration) -> Failure {
        let first = findings.remove(0);
        let waited =
            if self.patience.is_zero() { String::new() } else { format!(", after {} s", waited.as_secs()) };
        let more = findings.into_iter().map(|finding| format!("also: {}", finding.what));
        let tail: Vec<String> = first.evidence.into_iter().chain(more).collect();
        let hint = first.hint.unwrap_or_else(|| format!("on {name}: systemctl --failed; journalctl -u k3s"));
        let message = format!("{name} is not well{waited}: {}", first.what);
        Failure::new(Kind::Verification, message).tail(&tail).hint(hint)
    }

    /// Everything at once, the likeliest cause of what is not well first.
    fn look_at(&self, name: &HostName, session: &Arc<Session>) -> Result<Look> {
        let host = self.host(name);
        let mut look = Look::default();
        let files = self.secrets_of(name);
        let health = health(session, files)?;
        self.look_at_system(name, &health, &mut look);
        // Those that had failed before are told, and are no reason to stop a deploy.
        let others = match &health.failed[..] {
            [] => String::new(),
            failed => format!(", failed before: {}", failed.join(" ")),
        };
        let Some(role) = host.role else {
            look.summary = format!("systemd is up{others}");
            return Ok(look);
        };
        for path in files {
            look.saw(path, "not empty, and readable by root alone", secret_finding(&health, path));
        }
        let shares = role == Role::Server && self.has_several_servers();
        let unit = health.unit;
        let state = unit.as_ref().map_or_else(String::new, Unit::state);
        let finding = unit_finding(name, session, unit.as_ref())?;
        look.saw(unit.as_ref().map_or("k3s", |unit| &unit.id), &state, finding);
        let Some(unit) = unit.filter(Unit::is_active) else { return Ok(look) };
        let asked = self.asked_about(name, session)?;
        if role == Role::Server {
            look.saw("API server", "/readyz says ok", readyz_finding(session)?);
        }
        self.look_at_token(role, (name, session), &asked, &mut look)?;
        let node = match node_findings(host, &unit, session, &asked)? {
            Ok(node) => node,
            Err(finding) => {
                look.saw("node", "", Some(finding));
                return Ok(look);
            }
        };
        let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        let well =
            format!("Ready, {}, at {}, as {} sees it", node.version, addresses.join(" "), asked.name());
        look.saw("node", &well, None);
        if shares {
            look.saw("etcd", "a voting member", self.vote_finding(name, &node));
        }
        look.summary = format!("{} runs, node Ready, {}{others}", unit.id, node.version);
        self.state().nodes.insert(name.clone(), node);
        Ok(look)
    }

    /// What K3s would start with again, and what the host logs in with.
    fn look_at_token(
        &self,
        role: Role,
        (name, session): (&HostName, &Session),
        asked: &Session,
        look: &mut Look,
    ) -> Result<()> {
        if role == Role::Server && !self.is_rotating() {
            let well = "its secret and its datastore have the same";
            look.saw("server token", well, server_token_finding(session)?);
        }
        let well = format!("that of {}", asked.name());
        if role == Role::Agent {
            look.saw("agent token", &well, token_finding(name, session, AGENT_SECRET, asked)?);
        } else if self.has_several_servers() && !self.is_rotating() {
            // K3s lets a server join with another one, and it would accept other agents than the rest.
            look.saw("agent token", &well, token_finding(name, session, k3s::AGENT_TOKEN, asked)?);
        }
        Ok(())
    }

    /// A server that joined another has a vote in etcd, or the others would not miss it. The first one had it from the
    /// beginning; its condition only comes when somebody looks after members.
    fn vote_finding(&self, name: &HostName, node: &Node) -> Option<Finding> {
        if self.fleet.first_server().is_some_and(|first| first.name == *name) && node.etcd.is_none() {
            return None;
        }
        match &node.etcd {
            _ if !node.has_etcd() => Some(Finding::new("it is no member of etcd")),
            None => Some(Finding::new("it is not known to be a voting member of etcd yet")),
            Some(etcd) if !etcd.is_well => {
                Some(Finding::new(format!("it is no voting member of etcd: {}", etcd.message)))
            }
            Some(_) => None,
        }
    }

    /// What this run itself knows: the system that should run, the units that had failed before.
    fn look_at_system(&self, name: &HostName, health: &Health, look: &mut Look) {
        let failed = &health.failed;
        let state = self.state();
        let Some(before) = state.failed_before.get(name) else {
            let all = if failed.is_empty() { "none".to_owned() } else { failed.join(" ") };
            look.saw("failed units", &all, None);
            return;
        };
        let runs = health.running.as_deref().map_or("nothing".to_owned(), short);
        let is_other = state.built.get(name).map(|built| &built.system) != health.running.as_ref();
        let finding = is_other.then(|| Finding::new(format!("it runs {runs}, not what was activated")));
        look.saw("system", &format!("{runs} runs, as activated"), finding);
        let new: Vec<&str> =
            failed.iter().filter(|unit| !before.contains(unit)).map(String::as_str).collect();
        let finding = new.first().map(|first| {
            let hint = format!("on {name}: journalctl -u {first}");
            Finding::new(format!("{} failed", new.join(", "))).hint(hint)
        });
        look.saw("failed units", "none that had not failed before", finding);
    }
}
