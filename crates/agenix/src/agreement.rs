//! Does a file's header agree with its rule? A pure comparison, no key needed.
//!
//! Compared as multisets: a stanza that is there twice is one too many. Keys of the `age1…` kind are anonymous in the
//! header. A file that we wrote names them in a stanza of its own (see [`crate::ReaderTag`]); of a file that another
//! program wrote only their number can be compared, and the agreement is not proven.

use std::fmt;

use crate::header::{FileRecipients, SshTag, kind_of_stanza};
use crate::readers::ReaderTag;
use crate::recipient::Recipient;

/// What [`agrees`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The rule names them, the file is not for them.
    pub missing: Vec<Recipient>,
    /// The file is for them, the rule does not name them.
    pub extra: Vec<Extra>,
    /// How many anonymous `age1…` keys the file is for.
    pub anonymous_in_file: usize,
    /// How many the rule names.
    pub anonymous_in_rule: usize,
    /// The rule has keys that the file does not name: for all that can be seen without a key, they may be others.
    pub unproven: bool,
}

/// A reader of a file that its rule does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    /// An ssh key.
    Ssh(SshTag),
    /// An age key or a plugin's, which the file names by its digest.
    Named(ReaderTag),
    /// A passphrase.
    Passphrase,
    /// A stanza of a kind that we cannot name a key of.
    Other(String),
}

/// Compares who the file is for with who the rule names.
#[must_use]
pub fn agrees(file: &FileRecipients, rule: &[Recipient]) -> Agreement {
    let mut missing = Vec::new();
    let mut tags = file.ssh.clone();
    let mut named = file.named.clone().unwrap_or_default();
    for recipient in rule {
        let found = match (recipient.ssh_tag(), recipient.reader_tag()) {
            (Some(tag), _) => take(&mut tags, &tag),
            (_, Some(tag)) if file.named.is_some() => take(&mut named, &tag),
            _ => true,
        };
        if !found {
            missing.push(recipient.clone());
        }
    }
    let mut extra: Vec<Extra> = tags.into_iter().map(Extra::Ssh).collect();
    extra.extend(named.into_iter().map(Extra::Named));
    extra.extend(file.passphrase.then_some(Extra::Passphrase));
    // Only its plugin knows which stanzas it writes: with a plugin in the rule they may well be its own.
    let plugins = rule.iter().any(Recipient::needs_plugin);
    if !plugins {
        extra.extend(file.other.iter().cloned().map(Extra::Other));
    }
    let anonymous_in_rule = rule.iter().filter(|recipient| recipient.is_anonymous()).count();
    Agreement {
        missing,
        extra,
        anonymous_in_file: if plugins { anonymous_in_rule.max(file.anonymous) } else { file.anonymous },
        anonymous_in_rule,
        unproven: file.named.is_none() && rule.iter().any(|recipient| recipient.reader_tag().is_some()),
    }
}

fn take<T: PartialEq>(from: &mut Vec<T>, wanted: &T) -> bool {
    from.iter().position(|found| found == wanted).map(|index| from.remove(index)).is_some()
}

impl Agreement {
    /// Nothing is known to differ. Proof is another matter: see [`Agreement::unproven`].
    #[must_use]
    pub fn holds(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.anonymous_in_file == self.anonymous_in_rule
    }
}

impl Agreement {
    /// The difference in words; readers that the rule does not name are called as those of `known` are.
    #[must_use]
    pub fn described(&self, known: &[Recipient]) -> String {
        if self.holds() {
            return "as the rule says".to_owned();
        }
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let names: Vec<String> = self.missing.iter().map(Recipient::label).collect();
            parts.push(format!("not for {}", names.join(", ")));
        }
        if !self.extra.is_empty() {
            let names: Vec<String> = self.extra.iter().map(|extra| extra.name(known)).collect();
            parts.push(format!("for {}, which the rule does not name", names.join(", ")));
        }
        // Where the keys are named, they are told already.
        if self.anonymous_in_file != self.anonymous_in_rule && parts.is_empty() {
            let (file, rule) = (self.anonymous_in_file, self.anonymous_in_rule);
            parts.push(format!("age keys: {file} in the file, {rule} in the rule"));
        }
        parts.join("; ")
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described(&[]))
    }
}

impl Extra {
    fn name(&self, known: &[Recipient]) -> String {
        let owner = known.iter().find(|recipient| match self {
            Self::Ssh(tag) => recipient.ssh_tag() == Some(*tag),
            Self::Named(tag) => recipient.reader_tag() == Some(*tag),
            Self::Passphrase | Self::Other(_) => false,
        });
        owner.map_or_else(|| self.to_string(), Recipient::label)
    }
}

impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh(tag) => tag.fmt(f),
            Self::Named(tag) => tag.fmt(f),
            Self::Passphrase => f.write_str("a passphrase"),
            Self::Other(name) => f.write_str(&kind_of_stanza(name)),
        }
    }
}
