//! The two K3s tokens, between the servers and the secrets of the repository.

use agenix::secrecy::ExposeSecret;
use agenix::{Format, Recipient, SecretPath};
use fleet::HostName;
use k3s::Token;
use pipeline::{Outcome, Progress};

use super::{Run, changed, skipped};
use crate::failure::{Failure, Kind, Result};
use crate::repository::{AGENT_TOKEN, SERVER_TOKEN, secret};

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
                .map(|(server, token)| check_role(server.as_str(), &token).map(|()| (server, token)))
                .transpose()
        })
    }

    fn made(
        &self,
        path: &SecretPath,
        found: impl FnOnce() -> Result<Option<(HostName, Token)>>,
    ) -> Result<Outcome> {
        let readers = self.readers(path)?;
        if !self.repository.has(path) {
            if let Some((server, token)) = found()? {
                self.write_token(path, &token)?;
                return changed(format!("{server} has one: copied, encrypted to {}", names(&readers)));
            }
            // Short, since the CA that a full token names does not exist yet.
            let token = agenix::random_hex(32)?;
            let token = Token::parse(token.expose_secret().as_bytes()).expect("hex digits are a token");
            self.write_token(path, &token)?;
            return changed(format!("made, encrypted to {}", names(&readers)));
        }
        let bytes = self.repository.read_secret(path)?;
        if agrees(&bytes, &readers)? {
            return skipped(format!("{path} is there, for {}", names(&readers)));
        }
        let token = self.read_token(path, &bytes)?;
        self.write_token(path, &token)?;
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
            let token = Token::parse(text.expose_secret()).map_err(|error| {
                Failure::new(Kind::Verification, format!("the token of {server} is none: {error}"))
            })?;
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
        let readers = self.readers(&path)?;
        let text = session.run_secret(["cat", k3s::AGENT_TOKEN]).map_err(|error| {
            Failure::from(error).during(&format!("failed to read the agent token of {server}"))
        })?;
        let token = Token::parse(text.expose_secret()).map_err(|error| {
            Failure::new(Kind::Verification, format!("the agent token of {server} is none: {error}"))
        })?;
        check_role(server, &token)?;
        if self.repository.has(&path) {
            let bytes = self.repository.read_secret(&path)?;
            let same = self.read_token(&path, &bytes)?.agrees(&token);
            if same && agrees(&bytes, &readers)? {
                self.put_into_snapshot(path.as_str(), &bytes, progress)?;
                return skipped(format!("{path} holds {server}'s already, for {}", names(&readers)));
            }
        }
        self.write_token(&path, &token)?;
        self.put_into_snapshot(path.as_str(), &self.repository.read_secret(&path)?, progress)?;
        changed(format!("{token} copied from {server}, encrypted to {}", names(&readers)))
    }

    /// Who the rules let read the secret, by the names that fleet.toml has for them.
    pub(super) fn readers(&self, path: &SecretPath) -> Result<Vec<Recipient>> {
        Ok(self.rules().rule(path)?.recipients()?)
    }

    pub(super) fn read_token(&self, path: &SecretPath, bytes: &[u8]) -> Result<Token> {
        let attempt = format!("failed to decrypt {path}");
        let readers = self.readers(path)?;
        let plain = agenix::decrypt(bytes, &self.identities)
            .map_err(|error| Failure::from(error.naming(&readers)).during(&attempt))?;
        Token::parse(plain.expose_secret()).map_err(|error| {
            Failure::configuration(format!("{path} holds no K3s token: {error}"))
                .hint("delete it to have it made anew, if no cluster uses it".to_owned())
        })
    }

    fn write_token(&self, path: &SecretPath, token: &Token) -> Result<()> {
        let format: Format = self.rules().rule(path)?.format();
        let ciphertext = agenix::encrypt(token.expose().as_bytes(), &self.readers(path)?, format)?;
        self.repository.write_secret(path, &ciphertext, self.rules())
    }
}

fn names(readers: &[Recipient]) -> String {
    readers.iter().map(agenix::Recipient::label).collect::<Vec<_>>().join(", ")
}

pub(super) fn agrees(ciphertext: &[u8], readers: &[Recipient]) -> Result<bool> {
    Ok(agenix::agrees(&agenix::recipients_of(ciphertext)?, readers).holds())
}

/// Where no agent token is configured, K3s hands out the server's own under its name: an agent with it could join as a
/// server and read the keys of the cluster's CAs.
pub(super) fn check_role(server: &str, token: &Token) -> Result<()> {
    if token.role == Some(k3s::Role::Node) {
        return Ok(());
    }
    let message =
        format!("the agent token of {server} is {token}, not a node's: agents would get a server's rights");
    let hint =
        "the server ran without an agent token before: docs/runbook.md, \"A server without an agent token\"";
    Err(Failure::new(Kind::Verification, message).hint(hint.to_owned()))
}
