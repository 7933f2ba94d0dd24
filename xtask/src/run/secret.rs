//! A host's own copy of its token, in `/run/agenix`: is it what it should be, and did K3s read it since it changed?

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fleet::{HostName, Role};
use k3s::login::{self, Account, Answer};
use k3s::unit::Unit;
use remote::ssh::Session;

use super::health::{Health, health};
use super::{Run, finding};
use crate::failure::Result;

/// Where agenix puts an agent's token.
pub(crate) const AGENT_SECRET: &str = "/run/agenix/k3s-agent-token";
/// Where agenix puts a server's token.
pub(crate) const SERVER_SECRET: &str = "/run/agenix/k3s-server-token";

/// systemd gives a unit 90 s to stop and as many to start.
const RESTART_TIMEOUT: Duration = Duration::from_secs(180);

/// A login with the token in a file of the host: on a server at that very server, on an agent at the server `at`.
pub(crate) fn log_in(session: &Session, account: Account, at: Option<IpAddr>, file: &str) -> Result<Answer> {
    match session.run(login::argv(account, at, Some(file))) {
        Ok(output) => Ok(login::answer(account, &output.text())),
        Err(error) if error.code().is_some() => {
            Ok(Answer::Unclear(error.tail().last().cloned().unwrap_or_else(|| error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// An agent's token, when it was written, and when its unit started.
#[derive(Default)]
pub(super) struct TokenState {
    digest: Option<String>,
    written: Option<u64>,
    started: Option<u64>,
}

impl Run<'_> {
    /// Activating the same system once more decrypts its secrets and starts its units once more: worth doing where the
    /// token is not what it should be, or K3s does not run.
    pub(super) fn is_intact(&self, name: &HostName, session: &Arc<Session>) -> Result<bool> {
        let files = self.secrets_of(name);
        let Some(role) = self.host(name).role else { return Ok(true) };
        let health = health(session, files)?;
        let runs = health.unit.as_ref().is_some_and(Unit::is_active);
        if !runs || files.iter().any(|path| finding::secret_finding(&health, path).is_some()) {
            return Ok(false);
        }
        if role == Role::Server {
            return Ok(true);
        }
        let server = self.asked_about(name, session)?;
        Ok(finding::token_finding(name, session, AGENT_SECRET, &server)?.is_none())
    }

    /// The secrets that a host of its role has.
    pub(super) fn secrets_of(&self, name: &HostName) -> &'static [&'static str] {
        match self.host(name).role {
            None => &[],
            Some(Role::Server) if self.has_several_servers() => &[SERVER_SECRET, AGENT_SECRET],
            Some(Role::Server) => &[SERVER_SECRET],
            Some(Role::Agent) => &[AGENT_SECRET],
        }
    }

    /// agenix restarts nothing. So an agent whose token changed under a unit that did not is restarted, once. `again`:
    /// this system ran already, and whoever activated it may have been cut off before this.
    pub(super) fn restart_if_token_changed(
        &self,
        name: &HostName,
        again: bool,
        before: &TokenState,
    ) -> Result<()> {
        // Without a token before there is nothing to compare, and on other hosts than agents nothing at all.
        if before.digest.is_none() {
            return Ok(());
        }
        let session = self.since_activation(name)?;
        let health = health(&session, self.secrets_of(name))?;
        let after = self.token_on(name, &session, &health);
        let (Some(old), Some(new)) = (&before.digest, &after.digest) else { return Ok(()) };
        let changed = old != new && before.started == after.started;
        let missed = again && before.started == after.started && before.started < before.written;
        if changed || missed {
            let unit = health.unit.map_or_else(|| "k3s.service".to_owned(), |unit| unit.id);
            session.run_within(RESTART_TIMEOUT, ["systemctl", "restart", &unit])?;
            // A gate is to see that the host is reached as it is now.
            self.state().fresh.remove(name);
        }
        Ok(())
    }

    /// Of an agent; `health` is its own, of this moment.
    pub(super) fn token_on(&self, name: &HostName, session: &Session, health: &Health) -> TokenState {
        if self.host(name).role != Some(Role::Agent) {
            return TokenState::default();
        }
        // A digest of a token of at least 128 random bits; compared here and kept nowhere.
        let sum = session.run(["sha256sum", AGENT_SECRET]).ok();
        TokenState {
            digest: sum.map(|output| output.text()),
            written: health.file(AGENT_SECRET).map(|file| file.written),
            started: health.unit.as_ref().and_then(|unit| unit.started).map(k3s::unit::seconds),
        }
    }
}
