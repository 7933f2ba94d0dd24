//! Where the keys that decrypt come from, and the one question for a passphrase.

use std::path::PathBuf;
use std::sync::Arc;

use agenix::secrecy::SecretString;
use agenix::terminal::Person;
use agenix::{Asker, Identities, IdentitySources, LockedKey};

use crate::cli::Global;
use crate::failure::Result;
use crate::render::Terminal;

/// CI's identity: the text of a private key.
const VARIABLE: &str = "XTASK_IDENTITY";

/// `-i` files and XTASK_IDENTITY, else the keys in ~/.ssh.
pub(crate) fn load(global: &Global, terminal: &Terminal) -> Result<Identities> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let text = std::env::var(VARIABLE).ok().map(SecretString::from);
    let sources = IdentitySources {
        files: &global.identity,
        text: text.as_ref().map(|text| (VARIABLE, text)),
        home: home.as_deref(),
    };
    let identities = Identities::load(&sources)?;
    Ok(identities.asking(Arc::new(AtTerminal(terminal.clone()))))
}

/// The live lines are taken away while somebody is asked.
struct AtTerminal(Terminal);

impl Asker for AtTerminal {
    fn passphrase(&self, key: &LockedKey<'_>) -> Option<SecretString> {
        self.0.pause(|| Person.passphrase(key))
    }

    fn message(&self, text: &str) {
        self.0.pause(|| Person.message(text));
    }

    fn secret(&self, question: &str) -> Option<SecretString> {
        self.0.pause(|| Person.secret(question))
    }

    fn text(&self, question: &str) -> Option<String> {
        self.0.pause(|| Person.text(question))
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.pause(|| Person.confirm(question, yes, no))
    }
}
