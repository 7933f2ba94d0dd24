//! Where the keys that decrypt come from, and the one question for a passphrase.

use std::sync::Arc;

use agenix::secrecy::SecretString;
use agenix::terminal::Person;
use agenix::{Asker, Identities, LockedKey};

use crate::cli::Global;
use crate::failure::{Failure, Result};
use crate::render::Terminal;

/// `-i` files and XTASK_IDENTITY, else the keys in ~/.ssh.
pub(crate) fn load(global: &Global, terminal: &Terminal) -> Result<Identities> {
    agenix::session::identities(&global.identity, asker(terminal))
        .map_err(|(message, hint)| Failure::configuration(message).hint(hint))
}

/// Whoever sits at the terminal.
pub(crate) fn asker(terminal: &Terminal) -> Arc<dyn Asker> {
    Arc::new(AtTerminal(terminal.clone()))
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
