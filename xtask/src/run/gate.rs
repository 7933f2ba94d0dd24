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

impl Run<'_> {
    pub(super) fn gate(&self, name: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let start = Instant::now();
        let mut fresh = self.state().fresh.remove(name);
        loop {
            let mut look = || -> Result<_> {
                let session = fresh.take().map_or_else(|| self.open_fresh(name).map(Arc::new), Ok)?;
                let (evidence, findings) = self.look_at(name, &session)?;
                Ok((session, evidence, findings))
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
                Ok((session, evidence, findings)) if findings.is_empty() => {
                    self.disarm(name, &session)?;
                    return done(evidence);
                }
                Ok((_, _, findings)) if late => return Err(self.not_well(name, findings, start.elapsed())),
                Err(failure) if late || failure.is_final || failure.kind != Kind::Unreachable => {
                    return Err(failure.during(&format!("failed to verify {name}")));
                }
                Ok((session, _, findings)) => {
                    progress.line(&findings[0].what);
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

    /// Everything at once: what is well, in a line, and what is not, the likeliest cause first.
    fn look_at(&self, name: &HostName, session: &Arc<Session>) -> Result<(String, Vec<Finding>)> {
        let host = self.host(name);
        let files = self.secrets_of(name);
        let health = health(session, files)?;
        let mut findings = self.system_findings(name, &health);
        // Those that had failed before are told, and are no reason to stop a deploy.
        let others = match &health.failed[..] {
            [] => String::new(),
            failed => format!(", failed before: {}", failed.join(" ")),
        };
        let Some(role) = host.role else { return Ok((format!("systemd is up{others}"), findings)) };
        findings.extend(files.iter().filter_map(|path| secret_finding(&health, path)));
        let shares = role == Role::Server && self.has_several_servers();
        let unit = health.unit;
        findings.extend(unit_finding(name, session, unit.as_ref())?);
        let Some(unit) = unit.filter(Unit::is_active) else { return Ok((String::new(), findings)) };
        let asked = self.asked_about(name, session)?;
        if role == Role::Server {
            findings.extend(readyz_finding(session)?);
            if !self.is_rotating() {
                findings.extend(server_token_finding(session)?);
            }
        }
        if role == Role::Agent {
            findings.extend(token_finding(name, session, AGENT_SECRET, &asked)?);
        } else if shares && !self.is_rotating() {
            // K3s lets a server join with another one, and it would accept other agents than the rest.
            findings.extend(token_finding(name, session, k3s::AGENT_TOKEN, &asked)?);
        }
        let node = match node_findings(host, &unit, session, &asked)? {
            Ok(node) => node,
            Err(finding) => {
                findings.push(finding);
                return Ok((String::new(), findings));
            }
        };
        if shares {
            findings.extend(self.vote_finding(name, &node));
        }
        let evidence = format!("{} runs, node Ready, {}{others}", unit.id, node.version);
        self.state().nodes.insert(name.clone(), node);
        Ok((evidence, findings))
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
    fn system_findings(&self, name: &HostName, health: &Health) -> Vec<Finding> {
        let state = self.state();
        let Some(before) = state.failed_before.get(name) else { return Vec::new() };
        let mut findings = Vec::new();
        if state.built.get(name).map(|built| &built.system) != health.running.as_ref() {
            let runs = health.running.as_deref().map_or("nothing".to_owned(), short);
            findings.push(Finding::new(format!("it runs {runs}, not what was activated")));
        }
        let new: Vec<&str> =
            health.failed.iter().filter(|unit| !before.contains(unit)).map(String::as_str).collect();
        if let Some(first) = new.first() {
            let hint = format!("on {name}: journalctl -u {first}");
            findings.push(Finding::new(format!("{} failed", new.join(", "))).hint(hint));
        }
        findings
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
