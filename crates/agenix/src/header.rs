//! Who a file is for, read from its header without any key.
//!
//! An ssh stanza carries the first four bytes of the SHA-256 of its public key. So a check in CI can compare
//! a file with secrets.nix, a locked key is asked for only where it helps, and a rekey can leave alone what
//! is right already.
//!
//! The header comes from age's own parser: we hand it an identity that takes notes and opens nothing (4 µs a
//! file).
//!
//! Left out: trust. Tags are 32 bits and anybody can write them: this finds drift, not tampering. What
//! anonymous readers are named by, and how far that goes, is in [`crate::ReaderTag`]'s module.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead, Read};

use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::encrypt::Format;
use crate::readers::{self, ReaderTag};

/// What a file's first line starts with, before the format's version.
const MAGIC: &[u8] = b"age-encryption.org/";

/// What a header tells about its readers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRecipients {
    /// One entry a stanza, in the file's order. A key that was named twice is here twice.
    pub ssh: Vec<SshTag>,
    /// How many `age1…` keys it is for. Which ones only their owners can tell.
    pub anonymous: usize,
    /// Encrypted with a passphrase and not to keys.
    pub passphrase: bool,
    /// The names of stanzas that are no keys of ours: plugins, newer kinds. Grease is left out.
    pub other: Vec<String>,
    /// Digests of the readers that are anonymous otherwise, if the file was written by this crate.
    pub named: Option<Vec<ReaderTag>>,
}

/// age's reader of both forms. White space in front of armor is fine by the format, and not by that reader.
/// How a file is written, if it starts as age files do.
pub(crate) fn format_of(ciphertext: &[u8]) -> Option<Format> {
    let start = ciphertext.trim_ascii_start();
    if start.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
        Some(Format::Armor)
    } else {
        start.starts_with(MAGIC).then_some(Format::Binary)
    }
}

fn armored_reader(ciphertext: &[u8]) -> impl BufRead {
    let is_armored = format_of(ciphertext) == Some(Format::Armor);
    age::armor::ArmoredReader::new(if is_armored { ciphertext.trim_ascii_start() } else { ciphertext })
}

/// Reads the header of a binary or armored age file.
///
/// # Errors
/// When it is no age file, or not a whole one.
pub fn recipients_of(ciphertext: &[u8]) -> Result<FileRecipients, FileError> {
    if ciphertext.iter().all(u8::is_ascii_whitespace) {
        return Err(FileError::Empty);
    }
    let decryptor = decryptor(ciphertext).map_err(|_| FileError::of(ciphertext))?;
    let notes = NoteTaker::default();
    // It never opens anything, so this always ends in "no matching keys", and the notes are what we came for.
    let _ = decryptor.decrypt(std::iter::once(&notes as &dyn age::Identity));

    let mut found = FileRecipients::default();
    let mut readers = Vec::new();
    for stanza in notes.0.into_inner() {
        match stanza.name.as_str() {
            "ssh-ed25519" => found.ssh.push(SshTag::read(SshKind::Ed25519, stanza.arguments.first())?),
            "ssh-rsa" => found.ssh.push(SshTag::read(SshKind::Rsa, stanza.arguments.first())?),
            "X25519" => found.anonymous += 1,
            "scrypt" => found.passphrase = true,
            readers::STANZA => readers.push(readers::read(&stanza.arguments, &stanza.body)),
            // Encrypters add stanzas of random names, so that readers stay used to unknown ones.
            name if name.ends_with("-grease") => {}
            _ => found.other.push(stanza.name),
        }
    }
    // We write one. Two say nothing that could be relied on.
    if let [one] = &mut readers[..] {
        found.named = one.take();
    }
    Ok(found)
}

/// A stanza's kind in words: `mlkem768x25519` is a post-quantum key.
pub(crate) fn kind_of_stanza(name: &str) -> String {
    match name {
        "mlkem768x25519" => "a post-quantum key".to_owned(),
        "piv-p256" => "a YubiKey or other PIV key".to_owned(),
        "p256tag" => "a hardware key (P-256)".to_owned(),
        "mlkem768p256tag" => "a post-quantum hardware key".to_owned(),
        "fido2-hmac" => "a FIDO2 key".to_owned(),
        _ => format!("a {name:?} key"),
    }
}

/// age's reader of a binary or armored file.
pub(crate) fn decryptor(ciphertext: &[u8]) -> Result<age::Decryptor<impl BufRead>, age::DecryptError> {
    let armored = armored_reader(ciphertext);
    age::Decryptor::new_buffered(HeaderAtOnce { inner: armored, is_behind: false })
}

/// Gives age the whole header when it asks for its first line. age asks for line after line and parses from the
/// start each time: a file of 100 KB with 16000 stanzas would take it 20 seconds.
struct HeaderAtOnce<R> {
    inner: R,
    is_behind: bool,
}

impl<R: BufRead> BufRead for HeaderAtOnce<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
    }

    fn read_until(&mut self, end: u8, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let before = buffer.len();
        while !self.is_behind {
            let line = buffer.len();
            let read = self.inner.read_until(end, buffer)?;
            // The line with the MAC is the last.
            self.is_behind = read == 0 || buffer[line..].starts_with(b"---");
        }
        Ok(buffer.len() - before)
    }
}

impl<R: Read> Read for HeaderAtOnce<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl fmt::Display for FileRecipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.described(&[]))
    }
}

impl FileRecipients {
    /// Its readers in words, under the names of those among `known`: `ocean, ssh-rsa tag 3q2+7w, 1 age key`.
    #[must_use]
    pub fn described(&self, known: &[crate::Recipient]) -> String {
        let name = |tag: &SshTag| {
            known.iter().find(|recipient| recipient.ssh_tag() == Some(*tag)).map(crate::Recipient::label)
        };
        let mut words: Vec<String> =
            self.ssh.iter().map(|tag| name(tag).unwrap_or_else(|| tag.to_string())).collect();
        if let Some(tags) = &self.named {
            let name = |tag: &ReaderTag| {
                let reader = known.iter().find(|recipient| recipient.reader_tag() == Some(*tag));
                reader.map_or_else(|| tag.to_string(), crate::Recipient::label)
            };
            words.extend(tags.iter().map(name));
        } else {
            match self.anonymous {
                0 => {}
                1 => words.push("1 age key".to_owned()),
                n => words.push(format!("{n} age keys")),
            }
            words.extend(self.other.iter().map(|name| kind_of_stanza(name)));
        }
        if self.passphrase {
            words.push("a passphrase".to_owned());
        }
        if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
    }
}

/// The two kinds of ssh key that age knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SshKind {
    /// `ssh-ed25519`.
    Ed25519,
    /// `ssh-rsa`.
    Rsa,
}

/// How a header names an ssh key: its kind, and the start of its key's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SshTag {
    /// The key's kind.
    pub kind: SshKind,
    /// The first four bytes of the SHA-256 of the key's wire form.
    pub tag: [u8; 4],
}

impl SshTag {
    /// The tag of a public key, given in ssh's wire form: what base64 hides in `ssh-ed25519 AAAA…`.
    #[must_use]
    pub fn of(kind: SshKind, wire: &[u8]) -> Self {
        let digest = Sha256::digest(wire);
        Self { kind, tag: [digest[0], digest[1], digest[2], digest[3]] }
    }

    fn read(kind: SshKind, argument: Option<&String>) -> Result<Self, FileError> {
        let bytes = argument.and_then(|text| BASE64_STANDARD_NO_PAD.decode(text).ok());
        let tag = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(FileError::Damaged)?;
        Ok(Self { kind, tag })
    }
}

impl fmt::Display for SshTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SshKind::Ed25519 => "ssh-ed25519",
            SshKind::Rsa => "ssh-rsa",
        };
        write!(f, "{kind} tag {}", BASE64_STANDARD_NO_PAD.encode(self.tag))
    }
}

/// What is noted of a stanza.
struct Note {
    name: String,
    arguments: Vec<String>,
    body: Vec<u8>,
}

/// An identity that opens nothing and remembers each stanza.
#[derive(Default)]
struct NoteTaker(RefCell<Vec<Note>>);

impl age::Identity for NoteTaker {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        let Stanza { tag, args, body } = stanza;
        self.0.borrow_mut().push(Note { name: tag.clone(), arguments: args.clone(), body: body.clone() });
        None
    }
}

/// Why something is no age file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// No bytes, or white space only.
    #[error("the file is empty")]
    Empty,
    /// It does not start as age files do.
    #[error("the file is not an age file")]
    NotAge,
    /// A version of the format that did not exist when this was written.
    #[error("the file is in a newer age format")]
    UnknownVersion,
    /// It starts as age files do, and then does not go on so.
    #[error("the file is damaged: its age header is not whole")]
    Damaged,
}

impl FileError {
    /// Why age took `ciphertext` for none of its files. Its own error does not tell a newer version from
    /// damage.
    fn of(ciphertext: &[u8]) -> Self {
        let mut line = Vec::new();
        let mut start = armored_reader(ciphertext).take(80);
        // Fails on a few bytes, and on armor that cannot be decoded: then the line stays empty.
        let _ = start.read_until(b'\n', &mut line);
        match line.strip_prefix(MAGIC) {
            Some(version) if version.ends_with(b"\n") && version != b"v1\n" => Self::UnknownVersion,
            None if format_of(ciphertext).is_none() => Self::NotAge,
            _ => Self::Damaged,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> String {
        match self {
            Self::UnknownVersion => "update this tool",
            _ => "restore it from git (git checkout -- FILE), or write the secret anew",
        }
        .to_owned()
    }
}
