//! Rules and the files they are for, together: what a command line works with.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::decrypt::{DecryptError, decrypt};
use crate::encrypt::{EncryptError, encrypt};
use crate::folder::{Folder, PlaceError};
use crate::header::FileError;
use crate::identity::Identities;
use crate::journal::Recovery;
use crate::lock::{Lock, LockError};
use crate::path::SecretPath;
use crate::recipient::Recipient;
use crate::rules::{Rule, RuleError, Rules};
use crate::secrecy::SecretSlice;
use crate::transaction::{CommitError, Transaction};

/// The secrets of one secrets.nix.
#[derive(Debug, Clone)]
pub struct Secrets {
    folder: Folder,
    rules: Rules,
}

impl Secrets {
    /// `rules` are those of the secrets.nix in `folder`.
    #[must_use]
    pub fn new(folder: Folder, rules: Rules) -> Self {
        Self { folder, rules }
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Who may read them.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Every key that some rule names, once. Rules that are wrong add none.
    #[must_use]
    pub fn readers(&self) -> Vec<Recipient> {
        let mut found = BTreeMap::new();
        for recipient in self.rules.iter().filter_map(|rule| rule.recipients().ok()).flatten() {
            found.entry(recipient.text().to_owned()).or_insert(recipient);
        }
        found.into_values().collect()
    }

    /// The rule for a file, by its real path: it may be named from any folder.
    ///
    /// # Errors
    /// When the file is elsewhere, or there is no rule for it.
    pub fn rule_of(&self, file: &Path) -> Result<&Rule, SecretError> {
        Ok(self.rules.first_of(&self.folder.names_of(file)?)?)
    }

    /// A secret's ciphertext; `None` if there is no file yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, rule: &Rule) -> Result<Option<Vec<u8>>, SecretError> {
        match fs::read(self.folder.file(rule.path())?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(SecretError::Unreadable { source }),
        }
    }

    /// Decrypts what [`Secrets::read`] gave; who the file is for is told by the names that the rules have.
    ///
    /// # Errors
    /// When no identity can, or it is no whole age file.
    pub fn open(&self, ciphertext: &[u8], identities: &Identities) -> Result<SecretSlice<u8>, SecretError> {
        decrypt(ciphertext, identities).map_err(|error| error.naming(&self.readers()).into())
    }

    /// Encrypts for the readers of a rule, as the rule wants it.
    ///
    /// # Errors
    /// When the rule is wrong, or a plugin does not do its part.
    pub fn seal(&self, rule: &Rule, plaintext: &[u8]) -> Result<Vec<u8>, SecretError> {
        Ok(encrypt(plaintext, &rule.recipients()?, rule.format())?)
    }

    /// The right to write, and what had to be cleared up first: tell the user.
    ///
    /// # Errors
    /// When another process has it; and [`LockError::Stale`], once, where the rules are no longer those of the folder.
    pub fn lock(&self) -> Result<(Lock, Option<Recovery>), LockError> {
        match Lock::take(&self.folder, &self.rules)? {
            (_, Some(recovery)) if recovery.has_others() => Err(LockError::Stale { recovery }),
            taken => Ok(taken),
        }
    }

    /// Undoes what a writer that was cut off left, so that what is read next is no half of anything: tell the user.
    ///
    /// # Errors
    /// As [`Secrets::lock`].
    pub fn put_in_order(&self) -> Result<Option<Recovery>, LockError> {
        self.lock().map(|(_, recovery)| recovery)
    }

    /// Replaces one secret's file. `before` is the content that the new one was made from.
    ///
    /// # Errors
    /// When it cannot be written, or is not `before` any more. It is as it was then.
    pub fn replace(
        &self,
        lock: &Lock,
        rule: &Rule,
        ciphertext: &[u8],
        before: Option<&[u8]>,
    ) -> Result<(), SecretError> {
        let transaction = Transaction::new(lock);
        transaction.stage(rule.path(), ciphertext, before)?;
        Ok(transaction.commit()?)
    }
}

/// Why something could not be done with a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It has no place.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Its rule is wrong, or there is none.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// There is no file.
    #[error("the file does not exist")]
    Missing,
    /// The file cannot be read.
    #[error("the file cannot be read: {source}")]
    Unreadable {
        /// Why.
        source: io::Error,
    },
    /// The file is no age file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not be decrypted.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// It could not be encrypted.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// Another process is writing.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl SecretError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => Some(error.hint()),
            Self::Rule(error) => Some(error.hint()),
            Self::Missing => Some("write it first".to_owned()),
            Self::Unreadable { .. } => Some("run it as the user who owns the repository".to_owned()),
            Self::File(error) => Some(error.hint()),
            Self::Decrypt(error) => Some(error.hint()),
            Self::Encrypt(error) => error.hint(),
            Self::Lock(error) => Some(error.hint()),
            Self::Commit(error) => error.hint(),
        }
    }
}

/// A secret that something could not be done with.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct Failure {
    /// Which.
    pub path: SecretPath,
    /// Why.
    pub error: SecretError,
}
