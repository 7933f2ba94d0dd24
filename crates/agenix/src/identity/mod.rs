//! The private keys to decrypt with.
//!
//! A locked key's public half is readable without its passphrase. So it is asked for once a run, and only
//! when a file turns up that this very key can open; then it stays unlocked for all files. (age's own
//! callbacks ask once a *stanza*, before they know whose it is.) A passphrase that was wrong or refused is
//! remembered too.
//!
//! Left out: the terminal. The caller gives a closure, see [`Identities::on_locked`].

mod error;
mod read;

use std::fmt;
use std::path::{Path, PathBuf};

pub use error::{IdentityError, IdentityProblem};

use crate::header::{FileRecipients, SshTag};
use crate::secrecy::SecretString;

/// Where identities come from. As in agenix, any that is named turns the defaults off.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentitySources<'a> {
    /// `-i FILE`: OpenSSH private keys, old unencrypted RSA PEM files, age identity files.
    pub files: &'a [PathBuf],
    /// The text of one, and what to call it: `("XTASK_IDENTITY", …)`.
    pub text: Option<(&'a str, &'a SecretString)>,
    /// The user's home, for `.ssh/id_ed25519` and `.ssh/id_rsa`.
    pub home: Option<&'a Path>,
}

/// A locked key that a passphrase is needed for.
#[derive(Debug, Clone, Copy)]
pub struct LockedKey<'a> {
    /// The file, or the name that its text was given.
    pub name: &'a str,
    /// Its public half: `ssh-ed25519 AAAA…`.
    pub public_key: &'a str,
}

/// Private keys, some perhaps still locked. Nothing of them is in `Debug`.
#[derive(Default)]
pub struct Identities {
    keys: Vec<Key>,
    /// Default places that gave no key. A place that was named and gives none is an error.
    unusable: Vec<IdentityError>,
    ask: Option<Box<Ask>>,
}

type Ask = dyn FnMut(&LockedKey<'_>) -> Option<SecretString> + Send;

/// One private key.
struct Key {
    name: String,
    public: String,
    /// `None` for age's own keys: files do not say which of them they are for.
    tag: Option<SshTag>,
    state: State,
}

enum State {
    Open(OpenKey),
    Locked(Box<age::ssh::EncryptedKey>),
    Declined,
    WrongPassphrase,
}

enum OpenKey {
    Ssh(age::ssh::Identity),
    X25519(age::x25519::Identity),
}

/// What came of unlocking a key.
pub(crate) enum Unlock<'a> {
    Open(&'a dyn age::Identity),
    Declined { name: String },
    WrongPassphrase { name: String },
}

impl Identities {
    /// Reads all that is named; else the defaults, as far as they are there and usable.
    ///
    /// # Errors
    /// When something that was named cannot be used. That there is none at all is
    /// [`crate::decrypt`]'s to say: not every run needs one.
    pub fn load(sources: &IdentitySources<'_>) -> Result<Self, IdentityError> {
        let mut identities = Self::default();
        for file in sources.files {
            identities.add(read::from_file(file)?);
        }
        if let Some((name, text)) = sources.text {
            identities.add(read::from_text(name, text)?);
        }
        if sources.files.is_empty() && sources.text.is_none() {
            identities.add_defaults(sources.home);
        }
        Ok(identities)
    }

    /// Gives the way to ask for a passphrase. It is called at most once a key; `None` means: no passphrase to
    /// be had.
    #[must_use]
    pub fn on_locked(
        mut self,
        ask: impl FnMut(&LockedKey<'_>) -> Option<SecretString> + Send + 'static,
    ) -> Self {
        self.ask = Some(Box::new(ask));
        self
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the keys are called in messages; then the default keys that are there and of no use, with the
    /// reason.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.keys.iter().map(|key| key.name.clone()).collect();
        names.dedup();
        let there = self.unusable.iter().filter(|error| !matches!(error.problem, IdentityProblem::NotThere));
        names.extend(there.map(|error| format!("{} (it {})", error.name, error.problem)));
        names
    }

    /// The default places that gave no key, with the reason.
    pub(crate) fn unusable(&self) -> Vec<String> {
        self.unusable.iter().map(|error| format!("{} {}", error.name, error.problem)).collect()
    }

    /// Keys that may open the file, open ones first.
    pub(crate) fn candidates(&self, file: &FileRecipients) -> Vec<usize> {
        let fits = |key: &Key| match key.tag {
            Some(tag) => file.ssh.contains(&tag),
            None => file.anonymous > 0,
        };
        let mut found: Vec<usize> = (0..self.keys.len()).filter(|index| fits(&self.keys[*index])).collect();
        found.sort_by_key(|index| !matches!(self.keys[*index].state, State::Open(_)));
        found
    }

    /// The key at `index`, asked for if need be.
    pub(crate) fn unlock(&mut self, index: usize) -> Unlock<'_> {
        let key = &mut self.keys[index];
        if let State::Locked(locked) = &key.state {
            let request = LockedKey { name: &key.name, public_key: &key.public };
            let passphrase = self.ask.as_mut().and_then(|ask| ask(&request));
            key.state = match passphrase.map(|passphrase| locked.decrypt(passphrase)) {
                None => State::Declined,
                Some(Err(_)) => State::WrongPassphrase,
                Some(Ok(unlocked)) => State::Open(OpenKey::Ssh(unlocked.into())),
            };
        }
        match &key.state {
            State::Open(OpenKey::Ssh(open)) => Unlock::Open(open),
            State::Open(OpenKey::X25519(open)) => Unlock::Open(open),
            State::WrongPassphrase => Unlock::WrongPassphrase { name: key.name.clone() },
            State::Declined | State::Locked(_) => Unlock::Declined { name: key.name.clone() },
        }
    }

    fn add(&mut self, keys: Vec<Key>) {
        for key in keys {
            // The same key twice must not be asked for twice; a copy that is not locked wins.
            match self.keys.iter_mut().find(|known| known.public == key.public) {
                None => self.keys.push(key),
                Some(known) if matches!(key.state, State::Open(_)) => *known = key,
                Some(_) => {}
            }
        }
    }

    fn add_defaults(&mut self, home: Option<&Path>) {
        let Some(home) = home else { return };
        for name in ["id_ed25519", "id_rsa"] {
            match read::from_file(&home.join(".ssh").join(name)) {
                Ok(keys) => self.add(keys),
                Err(error) => self.unusable.push(error),
            }
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identities").field(&self.names()).finish()
    }
}
