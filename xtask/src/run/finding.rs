//! What may be wrong with a host, thing by thing: each question gives a finding with its evidence and what to do, or none.

use agenix::secrecy::{ExposeSecret, SecretSlice, SecretString};
use fleet::{Host, HostName};
use k3s::journal::Diagnosis;
use k3s::node::{Node, Trouble};
use k3s::unit::{Phase, Unit};
use remote::RunError;
use remote::ssh::Session;

use super::cluster::{self, READYZ};
use super::health::{File, Health};
use super::secret::SERVER_SECRET;
use crate::failure::Result;

/// What is not well: what, in words, and what to do.
pub(crate) struct Finding {
    pub(super) what: String,
    pub(super) evidence: Vec<String>,
    pub(super) hint: Option<String>,
    /// Nothing else brought it about: nobody has to look for a cause.
    pub(super) is_cause: bool,
    /// The host is well as it is: what is wrong shows only later.
    pub(super) is_latent: bool,
}

impl Finding {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), evidence: Vec::new(), hint: None, is_cause: false, is_latent: false }
    }

    /// Of a token, on an agent whose node is well: it logs in with its kubelet's certificate, and with its token only where
    /// that is missing or refused.
    pub(super) fn of_joined(self) -> Self {
        let what = format!("{}: {}", k3s::login::JOINED, self.what);
        Self { what, is_latent: true, ..self }
    }

    /// What K3s' own words mean.
    pub(super) fn of(told: Diagnosis) -> Self {
        Self {
            what: told.cause.to_owned(),
            evidence: vec![told.evidence],
            hint: Some(told.remedy.to_owned()),
            is_cause: true,
            is_latent: false,
        }
    }

    pub(crate) fn evidence(self, evidence: Vec<String>) -> Self {
        Self { evidence, ..self }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
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
    Ok(Some(
        Finding { is_cause: true, ..Finding::new(what) }
            .hint(format!("cargo xtask deploy {name} copies it again")),
    ))
}

/// Would K3s start again with the token that its secret has now? Its datastore is encrypted with the one that it started
/// with.
pub(super) fn server_token_finding(session: &Session) -> Result<Option<Finding>> {
    let salt = agenix::random_hex(32)?;
    let what = match (digest(session, SERVER_SECRET, &salt)?, digest(session, k3s::SERVER_TOKEN, &salt)?) {
        (Some(secret), Some(running)) if secret == running => return Ok(None),
        // That there is no secret is a finding of its own.
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => {
            "its secret has another token than its datastore is encrypted with, and K3s would not start again"
                .to_owned()
        }
        (Some(_), None) => format!("the token that its K3s runs with cannot be read: {}", k3s::SERVER_TOKEN),
    };
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

/// Of a unit that is not active.
pub(super) fn unit_finding(name: &HostName, unit: Option<&Unit>) -> Option<Finding> {
    let Some(unit) = unit else {
        return Some(Finding::new("it has no k3s unit").hint(format!("cargo xtask deploy {name}")));
    };
    if unit.is_active() {
        return None;
    }
    // Nothing else brought it about that somebody stopped it.
    let is_cause = matches!(unit.phase(), Phase::Stopped | Phase::NotStarted);
    Some(Finding { is_cause, ..Finding::new(unit.told()).hint(format!("on {name}: {}", unit.remedy())) })
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

/// The node as the server sees it, or what of it is not well.
pub(super) fn node_finding(
    host: &Host,
    unit: &Unit,
    server: &Session,
) -> Result<std::result::Result<Node, Finding>> {
    let list = match server.run(k3s::node::GET) {
        Ok(output) => output.stdout,
        Err(error) if error.code().is_none() => return Err(error.into()),
        Err(error) => return Ok(Err(api_finding(server, &error))),
    };
    let node = cluster::read(&list)?.into_iter().find(|node| node.name == host.name.as_str());
    let trouble = k3s::node::trouble(node.as_ref(), Some(unit), host.node_ip);
    Ok(match (node, trouble) {
        (Some(node), None) => Ok(node),
        (_, trouble) => Err(Finding::new(trouble.unwrap_or(Trouble::Missing).to_string())),
    })
}
