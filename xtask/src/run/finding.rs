//! What may be wrong with a host, thing by thing: each question gives a finding with its evidence and what to do, or none.

use agenix::secrecy::{ExposeSecret, SecretSlice, SecretString};
use fleet::{Host, HostName};
use k3s::node::Node;
use k3s::unit::Unit;
use remote::RunError;
use remote::ssh::Session;

use super::cluster::{self, READYZ};
use super::health::{File, Health};
use super::host;
use super::secret::SERVER_SECRET;
use crate::failure::Result;

/// What is not well: what, in words, and what to do.
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) evidence: Vec<String>,
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), evidence: Vec::new(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn hint_if_none(self, hint: String) -> Self {
        Self { hint: self.hint.or(Some(hint)), ..self }
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
pub(super) fn server_token_finding(session: &Session) -> Result<Option<Finding>> {
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

pub(super) fn unit_finding(
    name: &HostName,
    session: &Session,
    unit: Option<&Unit>,
) -> Result<Option<Finding>> {
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
pub(super) fn node_findings(
    host: &Host,
    unit: &Unit,
    session: &Session,
    server: &Session,
) -> Result<std::result::Result<Node, Finding>> {
    let list = match server.run(cluster::NODES) {
        Ok(output) => output.stdout,
        Err(error) if error.code().is_none() => return Err(error.into()),
        Err(error) => return Ok(Err(api_finding(server, &error))),
    };
    let node = cluster::read(&list)?.into_iter().find(|node| node.name == host.name.as_str());
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
