//! A recipient: a public key that a secret is encrypted to.
//!
//! Why our own type around age's: `check` and errors have to say *which* key of secrets.nix is meant, so the
//! text and the comment stay with the key. Reading is stricter than age's, which takes `ssh-ed25519
//! <key>junk`.
//!
//! A plugin's recipient (`age1yubikey1…`) is known by its form; whether the plugin is there is seen when it is used.

mod error;

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

pub use error::KeyError;

use crate::header::{SshKind, SshTag};
use crate::printable::printable;
use crate::readers::ReaderTag;

/// A public key, with the text it was read from.
#[derive(Clone)]
pub struct Recipient {
    key: Key,
    text: String,
    comment: Option<String>,
}

#[derive(Clone)]
enum Key {
    Ssh(age::ssh::Recipient),
    X25519(age::x25519::Recipient),
    Plugin(age::plugin::Recipient),
}

impl Recipient {
    /// Reads `ssh-ed25519 AAAA… [comment]`, `ssh-rsa AAAA… [comment]` (2048 to 4096 bits) or `age1…`.
    ///
    /// # Errors
    /// Says why age cannot encrypt to it. Never repeats a private key that was pasted by mistake.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if is_private_key(text) {
            return Err(KeyError::Private);
        }
        let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let parsed = if kind.starts_with("age1") {
            Self::parse_age(kind, rest)
        } else {
            Self::parse_ssh(kind, rest.trim_start(), text)
        };
        // Asked last: a real key may well have XXXX in it.
        parsed.map_err(|error| match error {
            KeyError::Malformed { key } if looks_like_placeholder(text) => KeyError::Placeholder { key },
            other => other,
        })
    }

    fn parse_ssh(kind: &str, rest: &str, text: &str) -> Result<Self, KeyError> {
        let (body, comment) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        // age panics at an RSA number of zero bytes only, and takes what stands behind the numbers for a part of
        // the key: then its tag is another, and its owner cannot open the file.
        if kind == "ssh-rsa" && !is_whole_rsa(body) {
            return Err(KeyError::Malformed { key: shortened(text) });
        }
        let given = format!("{kind} {body}");
        let key: age::ssh::Recipient =
            given.parse().map_err(|error| KeyError::from_age(error, kind, text))?;
        // age stops reading where the key ends; what it did not read was no part of a key.
        let canonical = key.to_string();
        if canonical.trim_end_matches('=') != given.trim_end_matches('=') {
            return Err(KeyError::Malformed { key: shortened(text) });
        }
        Ok(Self { key: Key::Ssh(key), text: canonical, comment: non_empty(comment) })
    }

    fn parse_age(key: &str, comment: &str) -> Result<Self, KeyError> {
        let parsed = match (key.parse(), key.parse()) {
            (Ok(x25519), _) => Key::X25519(x25519),
            (_, Ok(plugin)) => Key::Plugin(plugin),
            _ => return Err(KeyError::Malformed { key: shortened(key) }),
        };
        Ok(Self { key: parsed, text: key.to_owned(), comment: non_empty(comment) })
    }

    /// The key without its comment: `ssh-ed25519 AAAA…`, `age1…`. Two recipients with the same text are the
    /// same.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stood behind the key, or was given with [`Recipient::named`].
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The same key under a name that the user knows, such as the host's in fleet.toml.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.comment = non_empty(name);
        self
    }

    /// What to call it in a message: the comment, else the key with its middle left out. One line without
    /// control characters: a comment comes from a file, and a message goes to a terminal.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.comment {
            Some(comment) => printable(comment),
            None => shortened(&self.text),
        }
    }

    /// The tag that a file for this key carries; `None` for keys that are anonymous in a header.
    #[must_use]
    pub fn ssh_tag(&self) -> Option<SshTag> {
        match &self.key {
            Key::Ssh(key) => Some(tag_of(key)),
            Key::X25519(_) | Key::Plugin(_) => None,
        }
    }

    /// The digest that a file of ours has for this key; `None` for ssh keys, which show by themselves.
    #[must_use]
    pub fn reader_tag(&self) -> Option<ReaderTag> {
        match &self.key {
            Key::Ssh(_) => None,
            Key::X25519(_) | Key::Plugin(_) => Some(ReaderTag::of(&self.text)),
        }
    }

    /// Whether it is a key of age's own kind, `age1…`.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self.key, Key::X25519(_))
    }

    /// Whether encrypting to it takes a plugin.
    #[must_use]
    pub fn needs_plugin(&self) -> bool {
        matches!(self.key, Key::Plugin(_))
    }

    /// As age encrypts to it in this process.
    pub(crate) fn as_age(&self) -> Option<&dyn age::Recipient> {
        match &self.key {
            Key::Ssh(key) => Some(key),
            Key::X25519(key) => Some(key),
            Key::Plugin(_) => None,
        }
    }

    pub(crate) fn of_plugin(&self) -> Option<&age::plugin::Recipient> {
        match &self.key {
            Key::Plugin(key) => Some(key),
            Key::Ssh(_) | Key::X25519(_) => None,
        }
    }
}

pub(crate) fn tag_of(key: &age::ssh::Recipient) -> SshTag {
    match key {
        age::ssh::Recipient::SshEd25519(blob, _) => SshTag::of(SshKind::Ed25519, blob),
        age::ssh::Recipient::SshRsa(blob, _) => SshTag::of(SshKind::Rsa, blob),
    }
}

fn non_empty(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Anywhere: whoever pastes an identity file pastes the public key in front of it.
fn is_private_key(text: &str) -> bool {
    (text.contains("-----BEGIN") && text.contains("PRIVATE KEY"))
        || text.to_ascii_uppercase().contains("AGE-SECRET-KEY-")
}

/// Whether `body` is a name and two numbers, each a length and so many bytes, and nothing else.
fn is_whole_rsa(body: &str) -> bool {
    let Ok(wire) = BASE64_STANDARD_NO_PAD.decode(body.trim_end_matches('=')) else { return false };
    let mut rest = wire.as_slice();
    for _ in 0..3 {
        let Some((length, behind)) = rest.split_first_chunk() else { return false };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((field, behind)) = behind.split_at_checked(length) else { return false };
        if field.iter().all(|byte| *byte == 0) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

/// What people leave in a template: `ssh-ed25519 PLACEHOLDER`, `ssh-ed25519 AAAAC3...`, `TODO`, `<your key>`.
fn looks_like_placeholder(text: &str) -> bool {
    const WORDS: [&str; 6] = ["PLACEHOLDER", "CHANGEME", "CHANGE_ME", "REPLACE", "TODO", "YOUR"];
    let upper = text.to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().take(2).collect();
    words == ["SSH-ED25519"]
        || words == ["SSH-RSA"]
        || words.iter().any(|word| {
            WORDS.iter().any(|start| word.starts_with(start))
                || ["...", "…", "<", "XXXX"].iter().any(|mark| word.contains(mark))
        })
}

/// A key short enough for a message and long enough to find: `ssh-ed25519 AAAA…V7WeorBj root@ocean`.
pub(crate) fn shortened(text: &str) -> String {
    let short = |word: &str| {
        let chars: Vec<char> = word.chars().collect();
        if chars.len() <= 40 {
            return word.to_owned();
        }
        let (head, tail) = (&chars[..4], &chars[chars.len() - 8..]);
        format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
    };
    text.split_whitespace().take(3).map(short).collect::<Vec<_>>().join(" ")
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({:?}, {:?})", self.text, self.comment)
    }
}
