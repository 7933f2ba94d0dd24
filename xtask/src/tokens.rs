//! The secrets of the two K3s tokens, as tokens: read, compared, written.

use agenix::secrecy::ExposeSecret;
use agenix::{Identities, Recipient, Rule, Rules, SecretPath};
use k3s::Token;

use crate::failure::{Failure, Kind, Result};
use crate::repository::Repository;

/// What reads and writes them.
pub(crate) struct Tokens<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) rules: &'a Rules,
    pub(crate) identities: &'a Identities,
}

impl Tokens<'_> {
    /// Who the rules let read the secret, by the names that fleet.toml has for them.
    pub(crate) fn readers(&self, path: &SecretPath) -> Result<Vec<Recipient>> {
        Ok(self.rules.rule(path)?.recipients()?)
    }

    /// The token in the secret; nothing where there is no file.
    pub(crate) fn read(&self, path: &SecretPath) -> Result<Option<Token>> {
        if !self.repository.has(path) {
            return Ok(None);
        }
        self.decrypt(path, &self.repository.read_secret(path)?).map(Some)
    }

    /// The token in a secret's bytes.
    pub(crate) fn decrypt(&self, path: &SecretPath, bytes: &[u8]) -> Result<Token> {
        let readers = self.readers(path)?;
        let plain = agenix::decrypt(bytes, self.identities).map_err(|error| {
            Failure::from(error.naming(&readers)).during(&format!("failed to decrypt {path}"))
        })?;
        Token::parse(plain.expose_secret()).map_err(|error| {
            Failure::configuration(format!("{path} holds no K3s token: {error}"))
                .hint("delete it to have it made anew, if no cluster uses it".to_owned())
        })
    }

    /// Replaces the secret, and lets git know of it.
    pub(crate) fn write(&self, path: &SecretPath, token: &Token) -> Result<()> {
        let format = self.rules.rule(path).map(Rule::format)?;
        let ciphertext = agenix::encrypt(token.expose().as_bytes(), &self.readers(path)?, format)?;
        self.repository.write_secret(path, &ciphertext, self.rules)
    }
}

/// A token that a file of a server holds.
pub(crate) fn parse(text: &[u8], what: &str, server: &str) -> Result<Token> {
    Token::parse(text)
        .map_err(|error| Failure::new(Kind::Verification, format!("{what} of {server} is none: {error}")))
}

/// Where no agent token is configured, K3s hands out the server's own under its name: an agent with it could join as a
/// server and read the keys of the cluster's CAs.
pub(crate) fn require_nodes(server: &str, token: &Token) -> Result<()> {
    if token.role == Some(k3s::Role::Node) {
        return Ok(());
    }
    let message =
        format!("the agent token of {server} is {token}, not a node's: agents would get a server's rights");
    let hint =
        "the server ran without an agent token before: docs/runbook.md, \"A server without an agent token\"";
    Err(Failure::new(Kind::Verification, message).hint(hint.to_owned()))
}

/// 32 random bytes as hex: short, since the CA that a full token names may not exist yet.
pub(crate) fn random() -> Result<Token> {
    let hex = agenix::random_hex(32)?;
    Ok(Token::parse(hex.expose_secret().as_bytes()).expect("hex digits are a token"))
}

/// Readers as a person reads them.
pub(crate) fn names(readers: &[Recipient]) -> String {
    readers.iter().map(Recipient::label).collect::<Vec<_>>().join(", ")
}
