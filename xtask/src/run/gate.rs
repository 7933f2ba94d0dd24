//! The gate: is this host well? Over a fresh connection, all that there is to look at, until all is well, the time is up, or
//! it is certain that no waiting helps. `verify` is the same with no time: it looks once.
//!
//! A gate that fails names the cause, as doctor finds it, and not what it looked like.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::{Host, HostName, Role};
use k3s::journal::{self, Diagnosis};
use k3s::node::Node;
use k3s::unit::{self, Unit};
use pipeline::{Outcome, Progress};
use remote::ssh::Session;

use super::build::short;
use super::finding::{
    Finding, node_finding, readyz_finding, secret_finding, server_token_finding, token_finding, unit_finding,
};
use super::health::{Health, health};
use super::secret::AGENT_SECRET;
use super::{Run, done, host};
use crate::failure::{Failure, Kind, Result};

const POLL: Duration = Duration::from_millis(500);
/// systemd does not start a failed unit again by itself, but another unit or a timer may, at once if at all.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// A K3s that systemd had to start again is watched for so long before it is believed to stay up.
const STEADY_FOR: u64 = 15;

/// What a look compares with.
#[derive(Default)]
pub(super) struct Expected {
    /// The system that was activated. `None`: whichever runs.
    pub(super) system: Option<String>,
    /// Units that had failed before that; they are told, and are no reason to stop. `None`: nothing was activated.
    pub(super) failed_before: Option<Vec<String>>,
    /// When it was activated, in seconds since 1970 by the host's own clock: what K3s said earlier is history.
    pub(super) since: Option<String>,
}

/// One look at a host: each thing that was looked at with what was seen there, and what of it is not well.
#[derive(Default)]
pub(super) struct Look {
    /// In a line, if all is.
    pub(super) summary: String,
    seen: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// What K3s says of it, where that was asked for.
    journal: String,
    has_containerd: bool,
    /// Units that have newly failed, or a K3s that does not run and is not started again.
    has_failed: bool,
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

    /// The first of what is not well, and what K3s last said, for whoever waits.
    fn waiting(&self) -> String {
        let what = self.findings.first().map_or("", |finding| finding.what.as_str());
        match journal::telling(&self.journal) {
            Some(said) => format!("{what}; k3s: {said}"),
            None => what.to_owned(),
        }
    }

    /// What no waiting mends, if it is sure.
    fn certain(&self) -> Option<Diagnosis> {
        certain(&self.journal, self.has_containerd)
    }
}

/// What no waiting mends, by the journal of a K3s that is not up.
pub(super) fn certain(journal: &str, has_containerd: bool) -> Option<Diagnosis> {
    let told = journal::diagnose(journal)?;
    // A containerd that is on its way is worth waiting for.
    let no_containerd = told.kind == journal::Kind::Containerd && told.times > 1 && !has_containerd;
    (told.is_certain() || no_containerd).then_some(told)
}

impl Run<'_> {
    pub(super) fn gate(&self, name: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let start = Instant::now();
        let expected = self.expected(name);
        let mut fresh = self.state().fresh.remove(name);
        let mut failed_since: Option<Instant> = None;
        loop {
            let mut look = || -> Result<_> {
                let session = fresh.take().map_or_else(|| self.open_fresh(name).map(Arc::new), Ok)?;
                let look = self.look_at(name, &session, &expected)?;
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
                Ok((session, look)) => {
                    let failed_for = failed_since.filter(|_| look.has_failed).map(|since| since.elapsed());
                    failed_since = look.has_failed.then(|| failed_since.unwrap_or_else(Instant::now));
                    let has_failed_for_good = failed_for.is_some_and(|it| it >= FAILED_FOR);
                    let certain = look.certain().filter(|told| self.is_cause(told));
                    // It stays as it is, whoever waits.
                    let is_latent = !self.is_rotating() && look.findings.iter().all(|it| it.is_latent);
                    if late || has_failed_for_good || is_latent || certain.is_some() {
                        look.tell(progress);
                        return Err(self.not_well(name, look, start.elapsed()));
                    }
                    progress.line(&look.waiting());
                    fresh = Some(session);
                }
                Err(failure) if late || failure.is_final || failure.kind != Kind::Unreachable => {
                    return Err(failure.during(&format!("failed to verify {name}")));
                }
                Err(failure) => progress.line(&failure.message),
            }
            std::thread::sleep(POLL);
        }
    }

    /// While a token is rotated, nodes are refused for the moments between two restarts.
    pub(super) fn is_cause(&self, told: &Diagnosis) -> bool {
        told.kind != journal::Kind::Token || !self.is_rotating()
    }

    fn expected(&self, name: &HostName) -> Expected {
        let state = self.state();
        let failed_before = state.failed_before.get(name).cloned();
        let system = state.built.get(name).map(|built| built.system.clone());
        Expected {
            system: system.filter(|_| failed_before.is_some()),
            failed_before,
            since: state.activated.get(name).cloned(),
        }
    }

    fn not_well(&self, name: &HostName, look: Look, waited: Duration) -> Failure {
        let waited =
            if self.patience.is_zero() { String::new() } else { format!(", after {} s", waited.as_secs()) };
        let cause = self.cause(name, &look);
        let mut findings = look.findings;
        let first = cause.unwrap_or_else(|| findings.remove(0));
        let message = match first.is_latent {
            true => format!("{name} {}", first.what),
            false => format!("{name} is not well{waited}: {}", first.what),
        };
        let more = findings.into_iter().map(|finding| format!("also: {}", finding.what));
        let tail: Vec<String> = first.evidence.into_iter().chain(more).collect();
        let hint = first.hint.unwrap_or_else(|| format!("on {name}: systemctl --failed; journalctl -u k3s"));
        Failure::new(Kind::Verification, message).tail(&tail).hint(hint)
    }

    /// What brought this about: by K3s' own words where they are sure, else as doctor finds it. A unit of somebody else's
    /// that failed is its own cause.
    fn cause(&self, name: &HostName, look: &Look) -> Option<Finding> {
        if let Some(told) = look.certain() {
            return Some(Finding::of(told));
        }
        if remote::interrupted() || look.findings.first().is_some_and(|first| first.is_cause) {
            return None;
        }
        let explain = self.explain.as_ref()?;
        explain(name).or_else(|| journal::diagnose(&look.journal).map(Finding::of))
    }

    /// Everything at once, the likeliest cause of what is not well first.
    pub(super) fn look_at(
        &self,
        name: &HostName,
        session: &Arc<Session>,
        expected: &Expected,
    ) -> Result<Look> {
        let host = self.host(name);
        let mut look = Look::default();
        let files = self.secrets_of(name);
        let health = health(session, files)?;
        look.has_containerd = health.has_containerd;
        look_at_system(name, session, &health, expected, &mut look)?;
        // Those that had failed before are told, and are no reason to stop a deploy.
        let others = match &health.failed[..] {
            [] => String::new(),
            failed => format!(", failed before: {}", failed.join(" ")),
        };
        if host.role.is_none() {
            look.summary = format!("systemd is up{others}");
            return Ok(look);
        }
        for path in files {
            look.saw(path, "not empty, and readable by root alone", secret_finding(&health, path));
        }
        let unit = health.unit.as_ref();
        let state = unit.map_or_else(String::new, Unit::state);
        look.saw(unit.map_or("k3s", |unit| &unit.id), &state, unit_finding(name, unit));
        // A kubelet notices only after some time that its containerd is gone, and its node is Ready until then.
        if unit.is_some_and(Unit::needs_containerd) {
            let finding = (!health.has_containerd).then(|| no_containerd(name));
            look.has_failed |= finding.is_some();
            look.saw("containerd", "runs", finding);
        }
        let node = match unit.filter(|unit| unit.is_active()) {
            Some(unit) => self.look_at_cluster(host, session, unit, health.clock, &mut look)?,
            None => {
                look.has_failed |= unit.is_none_or(Unit::is_at_rest);
                None
            }
        };
        if let Some(unit) = unit.filter(|_| !look.findings.is_empty()) {
            look.journal = k3s_journal(session, unit, expected.since.as_deref())?;
        }
        if let Some(node) = node {
            look.summary = format!("{} runs, node Ready, {}{others}", health.unit_id(), node.version);
            self.state().nodes.insert(name.clone(), node);
        }
        Ok(look)
    }

    /// What others see of it, while its unit is active.
    fn look_at_cluster(
        &self,
        host: &Host,
        session: &Arc<Session>,
        unit: &Unit,
        clock: u64,
        look: &mut Look,
    ) -> Result<Option<Node>> {
        let name = &host.name;
        let asked = self.asked_about(name, session)?;
        if host.role == Some(Role::Server) {
            look.saw("API server", "/readyz says ok", readyz_finding(session)?);
        }
        self.look_at_servers_token((host, session), &asked, look)?;
        let node = node_finding(host, unit, &asked)?;
        if host.role == Some(Role::Agent) {
            let finding = token_finding(name, session, AGENT_SECRET, &asked)?;
            let finding = if node.is_ok() { finding.map(Finding::of_joined) } else { finding };
            look.saw("agent token", &format!("that of {}", asked.name()), finding);
        }
        let node = match node {
            Ok(node) => node,
            Err(finding) => {
                look.saw("node", "", Some(finding));
                return Ok(None);
            }
        };
        let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        let well =
            format!("Ready, {}, at {}, as {} sees it", node.version, addresses.join(" "), asked.name());
        look.saw("node", &well, None);
        if host.role == Some(Role::Server) && self.has_several_servers() {
            look.saw("etcd", "a voting member", self.vote_finding(name, &node));
        }
        look.saw("main process", "the same before and after", unsteady(session, unit, clock)?);
        Ok(Some(node))
    }

    /// What K3s would start with again, and what it gives to agents.
    fn look_at_servers_token(
        &self,
        (host, session): (&Host, &Session),
        asked: &Session,
        look: &mut Look,
    ) -> Result<()> {
        if host.role != Some(Role::Server) || self.is_rotating() {
            return Ok(());
        }
        let well = "its secret and its datastore have the same";
        look.saw("server token", well, server_token_finding(session)?);
        if self.has_several_servers() {
            // K3s lets a server join with another one, and it would accept other agents than the rest.
            let finding = token_finding(&host.name, session, k3s::AGENT_TOKEN, asked)?;
            look.saw("agent token", &format!("that of {}", asked.name()), finding);
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
}

/// Is it the system that should run, and has no unit failed that had not before?
fn look_at_system(
    name: &HostName,
    session: &Session,
    health: &Health,
    expected: &Expected,
    look: &mut Look,
) -> Result<()> {
    let failed = &health.failed;
    if expected.system.is_some() {
        let runs = health.running.as_deref().map_or("nothing".to_owned(), short);
        let finding = (expected.system != health.running)
            .then(|| Finding::new(format!("it runs {runs}, not what was activated")));
        look.saw("system", &format!("{runs} runs, as activated"), finding);
    }
    let Some(before) = &expected.failed_before else {
        let all = if failed.is_empty() { "none".to_owned() } else { failed.join(" ") };
        look.saw("failed units", &all, None);
        return Ok(());
    };
    let is_k3s = |unit: &str| unit::CANDIDATES.contains(&unit);
    let new: Vec<&str> =
        failed.iter().map(String::as_str).filter(|unit| !before.iter().any(|it| it == unit)).collect();
    let Some(first) = new.first() else {
        look.saw("failed units", "none that had not failed before", None);
        return Ok(());
    };
    look.has_failed = true;
    let finding = Finding {
        what: format!("{} failed", new.join(", ")),
        evidence: host::last_words(session, first)?,
        hint: Some(format!("on {name}: journalctl -u {first}")),
        // K3s has its own rules, and so has what it cannot do without.
        is_cause: !new.iter().any(|unit| is_k3s(unit) || *unit == "containerd.service"),
        is_latent: false,
    };
    look.saw("failed units", "", Some(finding));
    Ok(())
}

fn no_containerd(name: &HostName) -> Finding {
    let hint = format!("virtualisation.containerd.enable = true; on {name}: systemctl status containerd");
    Finding {
        is_cause: true,
        ..Finding::new("containerd.service is not running, and K3s uses its socket").hint(hint)
    }
}

/// A kubelet that is well once, in a K3s that ends a moment later and is started again, is not well.
fn unsteady(session: &Session, before: &Unit, clock: u64) -> Result<Option<Finding>> {
    let now = host::k3s_unit(session)?;
    if now.as_ref().map(|unit| unit.started) != Some(before.started) {
        return Ok(Some(Finding::new(format!("{} ended and was started again meanwhile", before.id))));
    }
    let age = before.started.map_or(STEADY_FOR, |started| clock.saturating_sub(unit::seconds(started)));
    let times = if before.restarts == 1 { "once".to_owned() } else { format!("{} times", before.restarts) };
    Ok((before.restarts > 0 && age < STEADY_FOR).then(|| {
        Finding::new(format!(
            "{} ended and was started again by systemd, {times}; it runs since {age} s, and has to for {STEADY_FOR} s",
            before.id
        ))
    }))
}

/// What the K3s unit said since its system was activated; else since it started, or where it is not up in its last attempts.
fn k3s_journal(session: &Session, unit: &Unit, activated: Option<&str>) -> Result<String> {
    let started = unit.started.filter(|_| unit.is_active()).map(unit::seconds);
    let since = match (activated, started) {
        (Some(activated), _) => format!("@{activated}"),
        (None, Some(started)) => format!("@{started}"),
        (None, None) => "-15min".to_owned(),
    };
    Ok(host::journal_since(session, &unit.id, &since)?)
}
