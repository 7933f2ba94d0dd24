//! Identity texts into keys: OpenSSH private keys, RSA PEM files, age identity files and those with a
//! passphrase.
//!
//! What is not understood is named by line or kind, never repeated: it may be a key after all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use age::ssh::{Identity as SshIdentity, UnsupportedKey};

use super::error::{IdentityError, IdentityProblem as Problem};
use super::{Key, Locked, OpenKey, Opens, State};
use crate::header::{format_of, recipients_of};
use crate::recipient::tag_of;
use crate::secrecy::zeroize::Zeroizing;
use crate::secrecy::{ExposeSecret as _, SecretString};

/// Far above any key; somebody's disk image given by mistake is refused.
const MAX_BYTES: usize = 64 * 1024;

/// Room behind the limit, so that reading to the end never makes the buffer grow, which would leave a copy
/// behind.
const SLACK: usize = 64;

/// As an exponent of 2: age makes files of 18, rage of what takes its machine a second. 22 takes a quick machine 10 s.
const MAX_WORK_FACTOR: u8 = 22;

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
    from_bytes(&name, &bytes).map_err(fail)
}

pub(super) fn from_text(name: &str, text: &SecretString) -> Result<Vec<Key>, IdentityError> {
    let keys = from_bytes(name, text.expose_secret().as_bytes());
    keys.map_err(|problem| IdentityError { name: name.to_owned(), problem })
}

/// Opens an age identity file. What it holds is checked only now.
pub(super) fn from_locked(name: &str, ciphertext: &[u8], passphrase: SecretString) -> State {
    let mut identity = age::scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let text = match crate::decrypt::open(ciphertext, &identity) {
        Ok(Some(text)) => text,
        Ok(None) | Err(age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed) => {
            return State::WrongPassphrase;
        }
        Err(age::DecryptError::ExcessiveWork { .. }) => return State::Unusable(Problem::ExcessiveWork),
        Err(_) => return State::Unusable(Problem::NotWhole),
    };
    let keys = match std::str::from_utf8(text.expose_secret()) {
        Ok(text) => parse(name, text),
        Err(_) => Err(Problem::NotWhole),
    };
    let mut open = Vec::new();
    for key in match keys {
        Ok(keys) => keys,
        Err(problem) => return State::Unusable(problem),
    } {
        match key.state.into_inner() {
            Ok(State::Open(keys)) => open.extend(Arc::into_inner(keys).into_iter().flatten()),
            // A lock within a lock: nobody makes these.
            _ => return State::Unusable(Problem::Encrypted),
        }
    }
    State::Open(Arc::new(open))
}

fn from_bytes(name: &str, bytes: &[u8]) -> Result<Vec<Key>, Problem> {
    if format_of(bytes).is_some() {
        let file = recipients_of(bytes).map_err(|_| Problem::NotWhole)?;
        if !file.passphrase {
            return Err(Problem::Encrypted);
        }
        let locked = State::Locked(Locked::File(bytes.to_vec()));
        return Ok(vec![Key::new(name, None, Opens::Hidden, locked)]);
    }
    parse(name, std::str::from_utf8(bytes).map_err(|_| Problem::NotWhole)?)
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
            other => Err(Problem::Pem { label: other.to_owned() }),
        };
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
        SshIdentity::Encrypted(locked) => State::Locked(Locked::Ssh(Box::new(locked))),
        open => State::Open(Arc::new(vec![OpenKey::Ssh(open)])),
    };
    Ok(Key::new(name, Some(public.to_string()), Opens::Tagged(tag_of(&public)), state))
}

/// An age identity file: one key a line, `#` for comments.
fn age_keys(name: &str, text: &str) -> Result<Vec<Key>, Problem> {
    let mut keys = Vec::new();
    let mut plugins: Vec<age::plugin::Identity> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let problem = || Problem::Line { line: index + 1 };
        if line.starts_with("AGE-PLUGIN-") {
            plugins.push(line.parse().map_err(|_| problem())?);
            continue;
        }
        let key: age::x25519::Identity = line.parse().map_err(|_| problem())?;
        let public = key.to_public().to_string();
        let open = State::Open(Arc::new(vec![OpenKey::X25519(key)]));
        keys.push(Key::new(name, Some(public), Opens::Anonymous, open));
    }
    while let Some(first) = plugins.first() {
        let plugin = first.plugin().to_owned();
        let (its, others) = plugins.into_iter().partition(|identity| identity.plugin() == plugin);
        plugins = others;
        let open = State::Open(Arc::new(vec![OpenKey::Plugin(its)]));
        keys.push(Key::new(name, None, Opens::Foreign, open));
    }
    if keys.is_empty() { Err(Problem::Empty) } else { Ok(keys) }
}
