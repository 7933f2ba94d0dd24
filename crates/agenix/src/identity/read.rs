//! Identity texts into keys: OpenSSH private keys, RSA PEM files, age identity files.
//!
//! What is not understood is named by line or kind, never repeated: it may be a key after all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use age::ssh::{Identity as SshIdentity, UnsupportedKey};

use super::error::{IdentityError, IdentityProblem as Problem};
use super::{Key, OpenKey, State};
use crate::recipient::tag_of;
use crate::secrecy::zeroize::Zeroizing;
use crate::secrecy::{ExposeSecret as _, SecretString};

/// Far above any key; somebody's disk image given by mistake is refused.
const MAX_BYTES: usize = 64 * 1024;

/// Room behind the limit, so that reading to the end never makes the buffer grow, which would leave a copy
/// behind.
const SLACK: usize = 64;

pub(super) fn from_file(path: &Path) -> Result<Vec<Key>, IdentityError> {
    let name = path.display().to_string();
    let fail = |problem| IdentityError { name: name.clone(), problem };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + SLACK));
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(
        |error| match error.kind() {
            io::ErrorKind::NotFound => fail(Problem::NotThere),
            _ => fail(Problem::Unreadable(error)),
        },
    )?;
    if bytes.len() > MAX_BYTES {
        return Err(fail(Problem::TooLong { limit: MAX_BYTES }));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| fail(Problem::NotWhole))?;
    parse(&name, text).map_err(fail)
}

pub(super) fn from_text(name: &str, text: &SecretString) -> Result<Vec<Key>, IdentityError> {
    parse(name, text.expose_secret()).map_err(|problem| IdentityError { name: name.to_owned(), problem })
}

fn parse(name: &str, text: &str) -> Result<Vec<Key>, Problem> {
    let mut lines = Zeroizing::new(String::with_capacity(text.len()));
    lines.extend(text.trim().chars().filter(|c| *c != '\r'));
    let text = lines.as_str();
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    if let Some(label) = text.strip_prefix("-----BEGIN ").and_then(|rest| rest.split("-----").next()) {
        return match label {
            "OPENSSH PRIVATE KEY" | "RSA PRIVATE KEY" => ssh_key(name, text).map(|key| vec![key]),
            "AGE ENCRYPTED FILE" => Err(Problem::Encrypted),
            other => Err(Problem::Pem { label: other.to_owned() }),
        };
    }
    if text.starts_with("age-encryption.org/") {
        return Err(Problem::Encrypted);
    }
    if ["ssh-", "ecdsa-", "sk-", "age1"].iter().any(|start| text.starts_with(start)) {
        return Err(Problem::PublicKey);
    }
    age_keys(name, text)
}

fn ssh_key(name: &str, text: &str) -> Result<Key, Problem> {
    let identity =
        SshIdentity::from_buffer(text.as_bytes(), None).map_err(|_: io::Error| Problem::NotWhole)?;
    if let SshIdentity::Unsupported(unsupported) = &identity {
        return Err(match unsupported {
            UnsupportedKey::EncryptedPem => Problem::Pem { label: "RSA PRIVATE KEY, ENCRYPTED".to_owned() },
            UnsupportedKey::EncryptedSsh(cipher) => Problem::Cipher { cipher: cipher.clone() },
            UnsupportedKey::Hardware(kind) | UnsupportedKey::Type(kind) => {
                Problem::Kind { kind: kind.clone() }
            }
        });
    }
    // The public half stands in the clear in a locked key too, so this needs no passphrase.
    let public = age::ssh::Recipient::try_from(identity.clone()).map_err(|error| match error {
        age::ssh::ParseRecipientKeyError::Unsupported(kind) => Problem::Kind { kind },
        age::ssh::ParseRecipientKeyError::RsaModulusTooLarge => Problem::RsaTooLong,
        _ => Problem::NotWhole,
    })?;
    let state = match identity {
        SshIdentity::Encrypted(locked) => State::Locked(Box::new(locked)),
        open => State::Open(OpenKey::Ssh(open)),
    };
    Ok(Key { name: name.to_owned(), public: public.to_string(), tag: Some(tag_of(&public)), state })
}

/// An age identity file: one key a line, `#` for comments.
fn age_keys(name: &str, text: &str) -> Result<Vec<Key>, Problem> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(rest) = line.strip_prefix("AGE-PLUGIN-") {
            let plugin = rest.rsplit_once('1').map_or("", |(plugin, _)| plugin).trim_end_matches('-');
            return Err(Problem::Plugin { plugin: plugin.to_ascii_lowercase() });
        }
        let key: age::x25519::Identity = line.parse().map_err(|_| Problem::Line { line: index + 1 })?;
        keys.push(Key {
            name: name.to_owned(),
            public: key.to_public().to_string(),
            tag: None,
            state: State::Open(OpenKey::X25519(key)),
        });
    }
    if keys.is_empty() { Err(Problem::Empty) } else { Ok(keys) }
}
