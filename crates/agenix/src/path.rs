//! The path of a secret: the name of a rule in secrets.nix and the place of its file, relative to the
//! repository.
//!
//! Why a type: these names come from an evaluated file and from the command line, and end as files that are
//! written. What was checked once cannot be forgotten later. Spaces and any script are allowed, and a
//! leading dash: whoever hands it to a program puts `--` or a folder in front.
//!
//! Left out: whether the file exists, and where symlinks in it lead: that is [`crate::Folder`]'s.

use std::fmt;
use std::path::{Path, PathBuf};

/// Longer than any sensible name, shorter than what a file system refuses.
const MAX_BYTES: usize = 1024;

/// A relative path that cannot leave the repository: `secrets/k3s-agent-token.age`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretPath(String);

impl SecretPath {
    /// Checks `text`. Needless parts are dropped: `./secrets//a.age` is `secrets/a.age`.
    ///
    /// # Errors
    /// The first thing that makes `text` no such path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = || text.to_owned();
        if text.len() > MAX_BYTES {
            return Err(PathError::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(PathError::ControlCharacter { path: path() });
        }
        if text.starts_with('/') {
            return Err(PathError::Absolute { path: path() });
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(PathError::Leaves { path: path() });
        }
        match parts.first() {
            None => Err(PathError::NoFile { path: path() }),
            Some(_) if text.ends_with('/') || text.ends_with("/.") => Err(PathError::NoFile { path: path() }),
            Some(_) => Ok(Self(parts.join("/"))),
        }
    }

    /// The path as text, `/` between its parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file, in the repository at `root`.
    #[must_use]
    pub fn in_repository(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for SecretPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

/// The one of `known` that `wanted` was probably meant to be: its file's name is the same elsewhere, or nearly so.
pub(crate) fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a SecretPath>) -> Option<SecretPath> {
    let stem = |path: &str| path.rsplit('/').next().unwrap_or(path).trim_end_matches(".age").to_owned();
    let wanted = stem(wanted);
    let score = |path: &SecretPath| strsim::normalized_damerau_levenshtein(&stem(path.as_str()), &wanted);
    let scored = known.map(|path| (score(path), path)).filter(|(score, _)| *score > 0.7);
    scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, path)| path.clone())
}

/// Why a text is no [`SecretPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Empty, `.`, or ending in `/`.
    #[error("{path:?} does not name a file")]
    NoFile {
        /// As given.
        path: String,
    },
    /// Starts with `/`.
    #[error("{path:?} is an absolute path")]
    Absolute {
        /// As given.
        path: String,
    },
    /// Has a `..` in it.
    #[error("{path:?} may leave the repository")]
    Leaves {
        /// As given.
        path: String,
    },
    /// Has a newline, an escape or the like in it.
    #[error("{path:?} has a control character in it")]
    ControlCharacter {
        /// As given.
        path: String,
    },
    /// Past 1024 bytes.
    #[error("a secret's path of {bytes} bytes is too long")]
    TooLong {
        /// The length of what was given.
        bytes: usize,
    },
}

impl PathError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } => {
                format!("at most {MAX_BYTES} bytes, relative to the repository")
            }
            _ => "name it relative to the repository, like secrets/example.age".to_owned(),
        }
    }
}
