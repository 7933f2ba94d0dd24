//! Who is asked while decrypting: the one seam between this crate and a person.

use std::sync::Arc;

use crate::secrecy::SecretString;

/// A locked key that a passphrase is needed for.
#[derive(Debug, Clone, Copy)]
pub struct LockedKey<'a> {
    /// The file, or the name that its text was given.
    pub name: &'a str,
    /// Its public half, `ssh-ed25519 AAAA…`; a locked file of age keys hides it.
    pub public_key: Option<&'a str>,
}

/// Answers questions, on a terminal or wherever a person is. `None` always means: no answer to be had.
///
/// Only the passphrase is a must; the rest is what plugins may want, and silence is an answer they can take.
pub trait Asker: Send + Sync {
    /// The passphrase of a key. Asked at most once a key.
    fn passphrase(&self, key: &LockedKey<'_>) -> Option<SecretString>;

    /// A plugin tells something, such as to touch the hardware key.
    fn message(&self, _text: &str) {}

    /// A plugin asks for a secret, such as a PIN.
    fn secret(&self, _question: &str) -> Option<SecretString> {
        None
    }

    /// A plugin asks for something that may be seen.
    fn text(&self, _question: &str) -> Option<String> {
        None
    }

    /// A plugin asks for one of two answers; `Some(true)` is `yes`.
    fn confirm(&self, _question: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        None
    }
}

/// No person.
pub(crate) struct Nobody;

impl Asker for Nobody {
    fn passphrase(&self, _: &LockedKey<'_>) -> Option<SecretString> {
        None
    }
}

/// An [`Asker`] as age wants it for plugins.
#[derive(Clone)]
pub(crate) struct PluginDialogue(pub(crate) Arc<dyn Asker>);

impl age::Callbacks for PluginDialogue {
    fn display_message(&self, message: &str) {
        self.0.message(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.confirm(message, yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.text(description)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.0.secret(description)
    }
}
