//! The two K3s tokens, between the servers and the secrets of the repository.

use agenix::secrecy::ExposeSecret;
use agenix::{Recipient, SecretPath};
use fleet::HostName;
use k3s::Token;
use pipeline::{Outcome, Progress};

use super::{Run, changed, skipped};
use crate::failure::{Failure, Result};
use crate::repository::{AGENT_TOKEN, SERVER_TOKEN, secret};
use crate::tokens::{self, names, require_nodes};

impl Run<'_> {
    /// The server token's secret exists and its readers are those of the rules, afterwards.
    ///
    /// A server that runs already has a token: with another one its K3s would not start again.
    pub(super) fn server_token(&self, servers: &[HostName]) -> Result<Outcome> {
        self.made(&secret(SERVER_TOKEN), || self.token_of_running(servers, k3s::SERVER_TOKEN))
    }

    /// The same of the agent token, where several servers share it and none makes it.
    pub(super) fn shared_token(&self, servers: &[HostName]) -> Result<Outcome> {
        self.made(&secret(AGENT_TOKEN), || {
            let found = self.token_of_running(servers, k3s::AGENT_TOKEN)?;
            found
                .map(|(server, token)| require_nodes(server.as_str(), &token).map(|()| (server, token)))
                .transpose()
        })
    }

    fn made(
        &self,
        path: &SecretPath,
        found: impl FnOnce() -> Result<Option<(HostName, Token)>>,
    ) -> Result<Outcome> {
        let readers = self.tokens().readers(path)?;
        if !self.repository.has(path) {
            if let Some((server, token)) = found()? {
                self.tokens().write(path, &token)?;
                return changed(format!("{server} has one: copied, encrypted to {}", names(&readers)));
            }
            self.tokens().write(path, &tokens::random()?)?;
            return changed(format!("made, encrypted to {}", names(&readers)));
        }
        let bytes = self.repository.read_secret(path)?;
        if agrees(&bytes, &readers)? {
            return skipped(format!("{path} is there, for {}", names(&readers)));
        }
        let token = self.tokens().decrypt(path, &bytes)?;
        self.tokens().write(path, &token)?;
        changed(format!("encrypted anew, now to {}", names(&readers)))
    }

    /// That of the first server which has one. A server that does not answer may have one as well.
    fn token_of_running(&self, servers: &[HostName], file: &str) -> Result<Option<(HostName, Token)>> {
        for server in servers {
            let session = self.session(server);
            match session.run(["test", "-s", file]) {
                Ok(_) => {}
                Err(error) if error.code() == Some(1) => continue,
                Err(error) => return Err(error.into()),
            }
            let text = session.run_secret(["cat", file])?;
            let token = tokens::parse(text.expose_secret(), "the token", server.as_str())?;
            return Ok(Some((server.clone(), token)));
        }
        Ok(None)
    }

    /// The agent token's secret holds what the servers have, and its readers are those of the rules, afterwards. A secret
    /// with the same password stays as it is, short or full: the servers' systems are built from it too, where they share
    /// it.
    pub(super) fn agent_token(&self, progress: &Progress<Failure>) -> Result<Outcome> {
        let session = self.knowing_server()?;
        let server = session.name();
        let path = secret(AGENT_TOKEN);
        let readers = self.tokens().readers(&path)?;
        let text = session.run_secret(["cat", k3s::AGENT_TOKEN]).map_err(|error| {
            Failure::from(error).during(&format!("failed to read the agent token of {server}"))
        })?;
        let token = tokens::parse(text.expose_secret(), "the agent token", server)?;
        require_nodes(server, &token)?;
        if self.repository.has(&path) {
            let bytes = self.repository.read_secret(&path)?;
            let same = self.tokens().decrypt(&path, &bytes)?.agrees(&token);
            if same && agrees(&bytes, &readers)? {
                self.put_into_snapshot(path.as_str(), &bytes, progress)?;
                return skipped(format!("{path} holds {server}'s already, for {}", names(&readers)));
            }
        }
        self.tokens().write(&path, &token)?;
        self.put_into_snapshot(path.as_str(), &self.repository.read_secret(&path)?, progress)?;
        changed(format!("{token} copied from {server}, encrypted to {}", names(&readers)))
    }
}

pub(super) fn agrees(ciphertext: &[u8], readers: &[Recipient]) -> Result<bool> {
    Ok(agenix::agrees(&agenix::recipients_of(ciphertext)?, readers).holds())
}
