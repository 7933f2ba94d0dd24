//! The gate: is this host well? Over a fresh connection, every finding with its evidence, until all is well or the
//! time is up. `verify` is the same with no time: it looks once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agenix::secrecy::{ExposeSecret, SecretSlice, SecretString};
use fleet::{Host, HostName, Role};
use k3s::node::Node;
use k3s::unit::Unit;
use pipeline::{Outcome, Progress};
use remote::RunError;
use remote::ssh::Session;

use super::build::short;
use super::cluster::READYZ;
use super::health::{File, Health, health};
use super::secret::{AGENT_SECRET, SERVER_SECRET};
use super::{Run, done, host};
use crate::failure::{Failure, Kind, Result};

const POLL: Duration = Duration::from_millis(500);

/// What is not well: what, in words, and what to do.
pub(super) struct Finding {
    pub(super) what: String,
    evidence: Vec<String>,
    hint: Option<String>,
}

impl Finding {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), evidence: Vec::new(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn hint_if_none(self, hint: String) -> Self {
        Self { hint: self.hint.or(Some(hint)), ..self }
    }
}

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

/// Does the host have the server's agent token in `file`? By digests of the password that are keyed anew each time, so that
/// the token itself need not travel and a digest is of no use to anybody.
pub(super) fn token_finding(
    name: &HostName,
    session: &Session,
    file: &str,
    server: &Session,
) -> Result<Option<Finding>> {
    let salt = agenix::random_hex(32)?;
    let Some(theirs) = digest(server, k3s::AGENT_TOKEN, &salt)? else {
        let what = format!("{} has no agent token at {}", server.name(), k3s::AGENT_TOKEN);
        return Ok(Some(Finding::new(what)));
    };
    if digest(session, file, &salt)? == Some(theirs) {
        return Ok(None);
    }
    let what = format!("its token is not the agent token of {}", server.name());
    Ok(Some(Finding::new(what).hint(format!("cargo xtask deploy {name} copies it again"))))
}

/// Would K3s start again with the token that its secret has now? Its datastore is encrypted with the one that it started
/// with.
fn server_token_finding(session: &Session) -> Result<Option<Finding>> {
    let salt = agenix::random_hex(32)?;
    if digest(session, SERVER_SECRET, &salt)? == digest(session, k3s::SERVER_TOKEN, &salt)? {
        return Ok(None);
    }
    let what =
        "its secret has another token than its datastore is encrypted with, and K3s would not start again";
    Ok(Some(Finding::new(what).hint("cargo xtask token rotate --server, or put the old secret back")))
}

/// SHA-256 over the salt and the password of the file's token, in hex. `None` where it is empty or cannot be read.
pub(crate) fn digest(session: &Session, file: &str, salt: &SecretString) -> Result<Option<String>> {
    let salt = SecretSlice::from(salt.expose_secret().as_bytes().to_vec());
    match session.run_with_input(k3s::login::digest_argv(file), salt) {
        Ok(output) => Ok(output.text().split_whitespace().next().map(str::to_owned)),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn secret_finding(health: &Health, path: &str) -> Option<Finding> {
    let hint = "does the secret name this host as a reader? cargo xtask check";
    let Some(file) = health.file(path) else {
        return Some(Finding::new(format!("{path} is missing: the secret was not decrypted")).hint(hint));
    };
    let File { size, mode, owner, .. } = file;
    match (size, mode.as_str(), owner.as_str()) {
        (0, ..) => Some(Finding::new(format!("{path} is empty")).hint(hint)),
        (_, "400", "root") => None,
        _ => Some(Finding::new(format!("{path} has mode {mode} and owner {owner}, not 400 and root"))),
    }
}

fn unit_finding(name: &HostName, session: &Session, unit: Option<&Unit>) -> Result<Option<Finding>> {
    let Some(unit) = unit else {
        return Ok(Some(Finding::new("it has no k3s unit").hint(format!("cargo xtask deploy {name}"))));
    };
    if unit.is_active() {
        return Ok(None);
    }
    let problem = format!("{} is not running: {}", unit.id, unit.state());
    // Stopped by somebody, it has nothing to say; ended by itself, its journal has.
    let journal = if unit.result == "success" && unit.active == "inactive" {
        String::new()
    } else {
        host::k3s_journal(session, unit)?
    };
    let hint = format!("on {name}: journalctl -u {0}; systemctl start {0}", unit.id);
    Ok(Some(diagnosed(problem, &journal).hint_if_none(hint)))
}

/// The problem, with its cause if the journal tells one.
fn diagnosed(problem: String, journal: &str) -> Finding {
    match k3s::journal::diagnose(journal) {
        Some(diagnosis) => Finding {
            what: format!("{problem}: {}", diagnosis.cause),
            evidence: vec![diagnosis.evidence],
            hint: Some(diagnosis.remedy.to_owned()),
        },
        None => Finding::new(problem),
    }
}

pub(super) fn readyz_finding(session: &Session) -> Result<Option<Finding>> {
    match session.run(READYZ) {
        Ok(output) if output.text() == "ok" => Ok(None),
        Ok(output) => Ok(Some(Finding::new(format!("its API server is not ready: {}", output.text())))),
        Err(error) if error.code().is_none() => Err(error.into()),
        Err(error) => Ok(Some(api_finding(session, &error))),
    }
}

fn api_finding(server: &Session, error: &RunError) -> Finding {
    let said = error.tail().last().cloned().unwrap_or_else(|| error.to_string());
    Finding::new(format!("the API server on {} does not answer: {said}", server.name()))
}

/// The node as the server sees it: there, Ready, at its address, heard of since its unit started.
fn node_findings(
    host: &Host,
    unit: &Unit,
    session: &Session,
    server: &Session,
) -> Result<std::result::Result<Node, Finding>> {
    let list = match server.run(["k3s", "kubectl", "get", "nodes", "--output", "json"]) {
        Ok(output) => output.stdout,
        Err(error) if error.code().is_none() => return Err(error.into()),
        Err(error) => return Ok(Err(api_finding(server, &error))),
    };
    let nodes = k3s::node::parse_list(&list).map_err(|error| {
        Failure::new(Kind::Verification, format!("failed to read the node list: {error}"))
    })?;
    let node = nodes.into_iter().find(|node| node.name == host.name.as_str());
    let not_joined = || "it has not joined: the cluster has no node of its name".to_owned();
    let problem = node.as_ref().map_or_else(|| Some(not_joined()), |node| node_problem(host, unit, node));
    match (node, problem) {
        (Some(node), None) => Ok(Ok(node)),
        (_, problem) => {
            let problem = problem.unwrap_or_else(not_joined);
            Ok(Err(diagnosed(problem, &host::k3s_journal(session, unit)?)))
        }
    }
}

fn node_problem(host: &Host, unit: &Unit, node: &Node) -> Option<String> {
    if !node.is_ready() {
        let status = node.ready.as_deref().unwrap_or("not reported yet");
        return Some(format!("its node is not Ready ({status}): {}", node.message));
    }
    if let Some(ip) = host.node_ip.filter(|ip| !node.addresses.contains(ip)) {
        let has: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
        return Some(format!("its node has the address {}, not {ip}", has.join(", ")));
    }
    // Both by the host's own clock: a kubelet reports when it starts, so an older report is that of its predecessor.
    match (node.last_heartbeat, unit.since) {
        (Some(heard), Some(since)) if heard < since => {
            Some("its node was last heard of before its k3s started".to_owned())
        }
        _ => None,
    }
}
