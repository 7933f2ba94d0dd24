//! Encryption, in process.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::Arc;

use age::armor::{ArmoredWriter, Format as AgeFormat};

use crate::identity::{Nobody, PluginDialogue};
use crate::plugin::PluginError;
use crate::readers::Readers;
use crate::recipient::Recipient;

/// How a ciphertext is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Bytes: agenix's default.
    #[default]
    Binary,
    /// Text between `-----BEGIN AGE ENCRYPTED FILE-----` lines: `armor = true` in a rule.
    Armor,
}

/// Encrypts to all of `recipients`. Two calls never give the same bytes.
///
/// A plugin's recipients are wrapped by its process; a question that it asks meanwhile is not answered.
///
/// # Errors
/// When there is no recipient, or a plugin does not do its part.
pub fn encrypt(plaintext: &[u8], recipients: &[Recipient], format: Format) -> Result<Vec<u8>, EncryptError> {
    let plugins = plugins_of(recipients)?;
    let readers = Readers::of(recipients);
    let software = recipients.iter().filter_map(Recipient::as_age);
    let plugins = plugins.iter().map(|plugin| plugin as &dyn age::Recipient);
    let readers = readers.iter().map(|readers| readers as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(software.chain(plugins).chain(readers))?;
    let format = match format {
        Format::Binary => AgeFormat::Binary,
        Format::Armor => AgeFormat::AsciiArmor,
    };
    // Room for a binary file, with its header and 16 bytes more for each 64 KiB: growing to it takes twice as much.
    let room = plaintext.len() + plaintext.len() / 1024 + 4096;
    let write = || -> io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::with_capacity(room), format)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plaintext)?;
        writer.finish()?.finish()
    };
    write().map_err(|error| EncryptError::Age { source: Box::new(age::EncryptError::Io(error)) })
}

type Plugin = age::plugin::RecipientPluginV1<PluginDialogue>;

/// One a plugin, with all of its recipients.
fn plugins_of(recipients: &[Recipient]) -> Result<Vec<Plugin>, EncryptError> {
    let all: Vec<age::plugin::Recipient> =
        recipients.iter().filter_map(Recipient::of_plugin).cloned().collect();
    let names: BTreeSet<&str> = all.iter().map(age::plugin::Recipient::plugin).collect();
    let start = |name: &str| {
        let missing = |_| PluginError::Missing { plugin: name.to_owned() }.into();
        Plugin::new(name, &all, &[], PluginDialogue(Arc::new(Nobody))).map_err(missing)
    };
    names.into_iter().map(start).collect()
}

impl From<age::EncryptError> for EncryptError {
    fn from(error: age::EncryptError) -> Self {
        match error {
            age::EncryptError::MissingRecipients => Self::NoRecipient,
            age::EncryptError::Plugin(errors) => PluginError::said(&errors).into(),
            other => Self::Age { source: Box::new(other) },
        }
    }
}

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// Nobody could read the result.
    #[error("there is nobody to encrypt to")]
    NoRecipient,
    /// A plugin did not do its part.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Something that age reports and that should not happen: all is in memory and the keys were checked.
    #[error("failed to encrypt")]
    Age {
        /// As age says it.
        source: Box<age::EncryptError>,
    },
}

impl EncryptError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRecipient => {
                Some("name at least one key in the secret's publicKeys in secrets.nix".to_owned())
            }
            Self::Plugin(PluginError::Missing { .. }) => {
                Some("install it, or take its keys out of the rule in secrets.nix".to_owned())
            }
            Self::Plugin(PluginError::Failed { .. }) => Some("age -r RECIPIENT shows more".to_owned()),
            Self::Age { .. } => None,
        }
    }
}
