//! Decryption, in process.
//!
//! The header is read first, and only keys that can open the file are tried: open ones before locked ones, so
//! that a passphrase is asked for only when nothing else helps.

use std::io::Read as _;
use std::sync::Arc;

use crate::header::{FileError, FileRecipients, decryptor, recipients_of};
use crate::identity::{Identities, OpenKey, PluginDialogue, Unlock};
use crate::plugin::PluginError;
use crate::recipient::Recipient;
use crate::secrecy::SecretSlice;
use crate::secrecy::zeroize::Zeroizing;

/// Decrypts a binary or armored age file with the first identity that can.
///
/// # Errors
/// When none of `identities` can, or the file is no whole age file.
pub fn decrypt(ciphertext: &[u8], identities: &Identities) -> Result<SecretSlice<u8>, DecryptError> {
    let file = recipients_of(ciphertext)?;
    if file.passphrase {
        return Err(DecryptError::PassphraseFile);
    }
    if identities.is_empty() {
        return Err(DecryptError::NoIdentity { looked: identities.unusable() });
    }
    let mut failure = None;
    for index in identities.candidates(&file) {
        let keys = match identities.unlock(index) {
            Unlock::Open(keys) => keys,
            refused => {
                failure = failure.or(Some(refused.into()));
                continue;
            }
        };
        for key in keys.iter() {
            // One plugin at a time: they share a person, and perhaps a hardware key. And one that failed is not started
            // again for the next file: it might be told a wrong PIN once too often.
            let turn = matches!(key, OpenKey::Plugin(_)).then(|| identities.turn());
            if let (Some(_), Unlock::GaveUp(error)) = (&turn, identities.unlock(index)) {
                failure = failure.or(Some(error.into()));
                break;
            }
            match try_key(ciphertext, key, identities) {
                Ok(Some(plaintext)) => return Ok(plaintext),
                Ok(None) => {}
                // The key fitted. Another one, and another passphrase, would end here again.
                Err(DecryptError::Altered) => return Err(DecryptError::Altered),
                Err(error) => {
                    if let DecryptError::Plugin(error) = &error {
                        identities.give_up(index, error.clone());
                    }
                    failure = failure.or(Some(error));
                }
            }
        }
    }
    Err(failure.unwrap_or_else(|| DecryptError::NotARecipient {
        tried: identities.names(),
        readers: file.to_string(),
        file: Box::new(file),
    }))
}

/// `None`: the file is not for this key.
fn try_key(
    ciphertext: &[u8],
    key: &OpenKey,
    identities: &Identities,
) -> Result<Option<SecretSlice<u8>>, DecryptError> {
    let opened = match key {
        OpenKey::Ssh(key) => open(ciphertext, key),
        OpenKey::X25519(key) => open(ciphertext, key),
        OpenKey::Plugin(keys) => {
            let plugin = keys.first().map_or("", age::plugin::Identity::plugin);
            let dialogue = PluginDialogue(Arc::clone(identities.asker()));
            match age::plugin::IdentityPluginV1::new(plugin, keys, dialogue) {
                Ok(plugin) => open(ciphertext, &plugin),
                Err(_) => return Err(PluginError::Missing { plugin: plugin.to_owned() }.into()),
            }
        }
    };
    opened.map_err(|error| match (error, key) {
        (age::DecryptError::Plugin(errors), _) => PluginError::said(&errors).into(),
        // Its protocol was broken off: it crashed, or is none.
        (age::DecryptError::Io(error), OpenKey::Plugin(_)) => PluginError::said(&[error]).into(),
        _ => DecryptError::Altered,
    })
}

/// Decrypts with one of age's own identities; `None` when the file is not for it.
pub(crate) fn open(
    ciphertext: &[u8],
    key: &dyn age::Identity,
) -> Result<Option<SecretSlice<u8>>, age::DecryptError> {
    let mut reader = match decryptor(ciphertext)?.decrypt(std::iter::once(key)) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Ok(None),
        Err(error) => return Err(error),
    };
    // A ciphertext is longer than its plaintext, so the buffer never grows and never leaves a copy behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    reader.read_to_end(&mut plaintext).map_err(|_| age::DecryptError::InvalidMac)?;
    // Copied into a box of the exact size: shrinking the buffer in place could move it, the old one not
    // zeroized.
    Ok(Some(SecretSlice::from(Box::<[u8]>::from(plaintext.as_slice()))))
}

impl From<Unlock> for DecryptError {
    fn from(refused: Unlock) -> Self {
        match refused {
            Unlock::WrongPassphrase { name } => Self::WrongPassphrase { identity: name },
            Unlock::Unusable { name, problem } => Self::IdentityUnusable { identity: name, problem },
            Unlock::GaveUp(error) => error.into(),
            Unlock::Declined { name } => Self::PassphraseNeeded { identity: name },
            Unlock::Open(_) => unreachable!("an open key was not refused"),
        }
    }
}

/// Why a file was not decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It is no age file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no private key to try.
    #[error("no identity to decrypt with{}", looked_at(looked))]
    NoIdentity {
        /// The places that were looked at, and why each was of no use.
        looked: Vec<String>,
    },
    /// There are private keys, and the file is for others.
    #[error("no identity fits: tried {}; the file is for {readers}", tried.join(", "))]
    NotARecipient {
        /// The names of the identities.
        tried: Vec<String>,
        /// Who the file is for, in words.
        readers: String,
        /// Who the file is for.
        file: Box<FileRecipients>,
    },
    /// The key fits and is locked, and no passphrase was given: no terminal, or the user gave none.
    #[error("{identity} is locked, and no passphrase was given")]
    PassphraseNeeded {
        /// The key's name.
        identity: String,
    },
    /// The key fits and the passphrase does not.
    #[error("the passphrase for {identity} is wrong")]
    WrongPassphrase {
        /// The key's name.
        identity: String,
    },
    /// The passphrase fits, and what it opened is no set of keys.
    #[error("identity {identity} {problem}")]
    IdentityUnusable {
        /// The identity's name.
        identity: String,
        /// What is the matter with it.
        problem: String,
    },
    /// A plugin did not do its part.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The file is encrypted with a passphrase and not to keys.
    #[error("the file is encrypted with a passphrase, not to the keys of secrets.nix")]
    PassphraseFile,
    /// A key fits, and then the file is not what was encrypted.
    #[error("the file is damaged: it was cut short or altered")]
    Altered,
}

impl DecryptError {
    /// Says who the file is for under the names of `known`, where it says that at all.
    #[must_use]
    pub fn naming(self, known: &[Recipient]) -> Self {
        match self {
            Self::NotARecipient { tried, file, .. } => {
                Self::NotARecipient { tried, readers: file.described(known), file }
            }
            other => other,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::File(error) => return error.hint(),
            Self::NoIdentity { .. } => "give a private key with -i FILE, or its text in XTASK_IDENTITY",
            Self::NotARecipient { .. } => {
                "give the private key of one of them with -i FILE, or have one of them add your key to \
                 secrets.nix and rekey"
            }
            Self::PassphraseNeeded { .. } => {
                "run it in a terminal, or give a key without a passphrase with -i FILE or XTASK_IDENTITY"
            }
            Self::WrongPassphrase { .. } => "run it again; ssh-keygen -y -f FILE tests a passphrase",
            Self::IdentityUnusable { .. } => "see what age -d FILE shows of it",
            Self::Plugin(PluginError::Missing { .. }) => "install it, or give another key with -i FILE",
            Self::Plugin(PluginError::Failed { .. }) => {
                "is the hardware key plugged in? age -d -i IDENTITY FILE shows more"
            }
            Self::PassphraseFile => "decrypt it with age -d FILE, and write the secret anew",
            Self::Altered => "restore it from git (git checkout -- FILE), or write the secret anew",
        }
        .to_owned()
    }
}

fn looked_at(looked: &[String]) -> String {
    if looked.is_empty() { String::new() } else { format!(": {}", looked.join(", ")) }
}
