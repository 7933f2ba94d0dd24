//! Names and keys that were checked where they entered.

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a DNS label.
    #[error("`{0}` is not a host name: lower-case letters, digits and inner dashes, at most 63")]
    HostName(String),
    /// Not an address that ssh could be given.
    #[error("`{0}` is not an address: a DNS name or an IP address is")]
    Address(String),
    /// Not a public key of a type that both age and sshd know.
    #[error("`{shown}` is not a usable public key: {why}")]
    PublicKey {
        /// Its beginning.
        shown: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A DNS label: it goes into argv, file names and Nix attribute names, and means nothing special in any of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Checks the text.
    ///
    /// # Errors
    /// When it is not a DNS label in lower case.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let valid = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if valid { Ok(Self(text.to_owned())) } else { Err(NameError::HostName(text.to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Something that ssh can connect to. Never begins with a dash, holds no user and no space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Checks the text.
    ///
    /// # Errors
    /// When it is neither an IP address nor a DNS name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let label = |label: &str| {
            let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-')
        };
        let name = text.len() <= 253 && text.split('.').all(label);
        if name || text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err(NameError::Address(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// DNS knows no case, and an IPv6 address has many spellings.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        match (self.0.parse::<IpAddr>(), other.0.parse::<IpAddr>()) {
            (Ok(a), Ok(b)) => a == b,
            _ => self.0.eq_ignore_ascii_case(&other.0),
        }
    }
}

/// An OpenSSH public key of a type that age can encrypt to. Two are equal when type and key are, whatever the comment.
#[derive(Debug, Clone)]
pub struct PublicKey {
    kind: String,
    blob: Vec<u8>,
    text: String,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// Checks the text: `TYPE BASE64 [COMMENT]`, where the type inside the base64 is the one in front of it.
    ///
    /// # Errors
    /// For every other type than ssh-ed25519 and ssh-rsa, and for what is no key at all.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let refuse = |why| NameError::PublicKey { shown: text.chars().take(24).collect(), why };
        if text.chars().any(char::is_control) {
            return Err(refuse("it is more than one line"));
        }
        let mut words = text.split_whitespace();
        let (kind, encoded) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match kind {
            "ssh-ed25519" | "ssh-rsa" => {}
            _ if kind.starts_with("ecdsa-") || kind.starts_with("sk-") => {
                return Err(refuse("age cannot encrypt to this type; use an ssh-ed25519 key"));
            }
            _ => return Err(refuse("it should begin with `ssh-ed25519 ` or `ssh-rsa `")),
        }
        let blob = STANDARD.decode(encoded).map_err(|_| refuse("what follows the type is not base64"))?;
        // ed25519: type and point; rsa: type, exponent and modulus.
        let fields = fields(&blob).unwrap_or_default();
        let whole = match kind {
            "ssh-ed25519" => fields.len() == 2 && fields[1].len() == 32,
            _ => fields.len() == 3,
        };
        if fields.first() != Some(&kind.as_bytes()) || !whole {
            return Err(refuse("it is cut off, or of another type than it says"));
        }
        Ok(Self { kind: kind.to_owned(), blob, text: text.to_owned() })
    }

    /// `TYPE BASE64`, without the comment: a known_hosts line's second half.
    pub fn bare(&self) -> String {
        format!("{} {}", self.kind, STANDARD.encode(&self.blob))
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As ssh-keygen shows it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

/// The length-prefixed strings that a key is made of; nothing if the last one is cut off.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}
