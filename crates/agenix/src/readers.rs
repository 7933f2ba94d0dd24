//! The names of anonymous readers, in a stanza of our own.
//!
//! A file tells which ssh keys it is for, and of age's own keys only how many: one swapped for another cannot be
//! seen. So where a rule has such keys, or a plugin's, the header gets one more stanza, `agenix-readers`, with a
//! digest of each. Other programs pass over stanzas that they do not know, as the format demands of them.
//!
//! How far it can be trusted: the stanza is under the header's MAC, so nobody without the file key can change it
//! and leave the file readable, and [`crate::decrypt`] refuses a file where it was changed. Without a key it is as
//! good as ssh's tags: it finds drift, not a forger, who can encrypt a file of his own with any stanza in it.
//!
//! What it gives away: whoever has a public key can see that it is a reader. In a repository that has the keys in
//! secrets.nix this is no news. Digests of ssh keys are left out, since the ssh stanzas tell as much.

use std::collections::HashSet;
use std::fmt;

use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::recipient::Recipient;

/// The stanza's name in the header.
pub(crate) const STANZA: &str = "agenix-readers";
/// Its first argument. Another number is another layout, which we would not understand.
const VERSION: &str = "1";
/// Bytes of a digest: enough that no two keys share one by chance or by work.
const TAG_BYTES: usize = 16;

/// A digest of an anonymous recipient's public key: SHA-256 of `agenix-readers` NUL and the key's text, cut to 16
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReaderTag([u8; TAG_BYTES]);

impl ReaderTag {
    /// The tag of a key as it stands in secrets.nix, without a comment: `age1…`.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let digest = Sha256::new().chain_update(STANZA).chain_update([0]).chain_update(key).finalize();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&digest[..TAG_BYTES]);
        Self(tag)
    }
}

impl fmt::Display for ReaderTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "age key {}", BASE64_STANDARD_NO_PAD.encode(&self.0[..4]))
    }
}

/// What a stanza says; `None` when it is of another version or not whole.
pub(crate) fn read(arguments: &[String], body: &[u8]) -> Option<Vec<ReaderTag>> {
    if arguments != [VERSION] || !body.len().is_multiple_of(TAG_BYTES) {
        return None;
    }
    let tags =
        body.chunks_exact(TAG_BYTES).map(|chunk| ReaderTag(chunk.try_into().expect("chunks are exact")));
    Some(tags.collect())
}

/// A recipient that opens nothing and adds the stanza.
pub(crate) struct Readers(Vec<ReaderTag>);

impl Readers {
    /// `None` when every recipient shows by itself.
    pub(crate) fn of(recipients: &[Recipient]) -> Option<Self> {
        let mut tags: Vec<ReaderTag> = recipients.iter().filter_map(Recipient::reader_tag).collect();
        tags.sort_unstable();
        (!tags.is_empty()).then_some(Self(tags))
    }
}

impl age::Recipient for Readers {
    fn wrap_file_key(&self, _: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        let body = self.0.iter().flat_map(|tag| tag.0).collect();
        let stanza = Stanza { tag: STANZA.to_owned(), args: vec![VERSION.to_owned()], body };
        Ok((vec![stanza], HashSet::new()))
    }
}
