//! Does a file's header agree with its rule? A pure comparison, no key needed.
//!
//! Compared as multisets: a stanza that is there twice is one too many. Keys of the `age1…` kind are
//! anonymous in the header, so of them only the number can be compared.

use std::fmt;

use crate::header::{FileRecipients, SshTag};
use crate::recipient::Recipient;

/// What [`agrees`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The rule names them, the file is not for them.
    pub missing: Vec<Recipient>,
    /// The file is for them, the rule does not name them.
    pub extra: Vec<Extra>,
    /// How many anonymous keys the file is for.
    pub anonymous_in_file: usize,
    /// How many the rule names.
    pub anonymous_in_rule: usize,
}

/// A reader of a file that its rule does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    /// An ssh key.
    Ssh(SshTag),
    /// A passphrase.
    Passphrase,
    /// A stanza of a kind that we cannot name a key of.
    Other(String),
}

/// Compares who the file is for with who the rule names.
#[must_use]
pub fn agrees(file: &FileRecipients, rule: &[Recipient]) -> Agreement {
    let mut unclaimed = file.ssh.clone();
    let mut missing = Vec::new();
    let mut anonymous_in_rule = 0;
    for recipient in rule {
        let Some(tag) = recipient.ssh_tag() else {
            anonymous_in_rule += 1;
            continue;
        };
        match unclaimed.iter().position(|found| *found == tag) {
            Some(index) => drop(unclaimed.remove(index)),
            None => missing.push(recipient.clone()),
        }
    }
    let mut extra: Vec<Extra> = unclaimed.into_iter().map(Extra::Ssh).collect();
    extra.extend(file.passphrase.then_some(Extra::Passphrase));
    extra.extend(file.other.iter().cloned().map(Extra::Other));
    Agreement { missing, extra, anonymous_in_file: file.anonymous, anonymous_in_rule }
}

impl Agreement {
    /// Nothing is known to differ. With anonymous keys on both sides that is not proof.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.anonymous_in_file == self.anonymous_in_rule
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() {
            return f.write_str("as the rule says");
        }
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let names: Vec<String> = self.missing.iter().map(Recipient::label).collect();
            parts.push(format!("not for {}", names.join(", ")));
        }
        if !self.extra.is_empty() {
            let names: Vec<String> = self.extra.iter().map(ToString::to_string).collect();
            parts.push(format!("for {}, which the rule does not name", names.join(", ")));
        }
        if self.anonymous_in_file != self.anonymous_in_rule {
            let (file, rule) = (self.anonymous_in_file, self.anonymous_in_rule);
            parts.push(format!("age keys: {file} in the file, {rule} in the rule"));
        }
        f.write_str(&parts.join("; "))
    }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(tag) => tag.fmt(f),
            Self::Passphrase => f.write_str("a passphrase"),
            Self::Other(name) => write!(f, "a {name:?} key"),
        }
    }
}
