//! Encryption, in process.

use std::io::{self, Write as _};

use age::armor::{ArmoredWriter, Format as AgeFormat};

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
/// # Errors
/// When there is no recipient.
pub fn encrypt(plaintext: &[u8], recipients: &[Recipient], format: Format) -> Result<Vec<u8>, EncryptError> {
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(Recipient::as_age)).map_err(
        |error| match error {
            age::EncryptError::MissingRecipients => EncryptError::NoRecipient,
            other => EncryptError::Age { source: Box::new(other) },
        },
    )?;
    let format = match format {
        Format::Binary => AgeFormat::Binary,
        Format::Armor => AgeFormat::AsciiArmor,
    };
    let write = || -> io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), format)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plaintext)?;
        writer.finish()?.finish()
    };
    write().map_err(|error| EncryptError::Age { source: Box::new(age::EncryptError::Io(error)) })
}

/// Why nothing was encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// Nobody could read the result.
    #[error("there is nobody to encrypt to")]
    NoRecipient,
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
            Self::Age { .. } => None,
        }
    }
}
