//! The private keys to decrypt with.
//!
//! A locked key's public half is readable without its passphrase. So it is asked for once a run, and only
//! when a file turns up that this very key can open; then it stays unlocked for all files. (age's own
//! callbacks ask once a *stanza*, before they know whose it is.) A passphrase that was wrong or refused is
//! remembered too. An age identity file with a passphrase hides its keys; it is asked for when a file has a
//! reader that could be in it.
//!
//! Shared between threads: each key's state is behind a lock of its own, so a rekey on all cores asks once.
//!
//! Left out: the terminal. The caller answers, see [`Asker`].

mod asker;
mod error;
mod read;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use asker::{Asker, LockedKey};
pub(crate) use asker::{Nobody, PluginDialogue};
pub use error::{IdentityError, IdentityProblem};

use crate::header::{FileRecipients, SshTag};
use crate::plugin::PluginError;
use crate::secrecy::SecretString;

/// Where identities come from. As in agenix, any that is named turns the defaults off.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentitySources<'a> {
    /// `-i FILE`: OpenSSH private keys, old unencrypted RSA PEM files, age identity files, these with a
    /// passphrase or without.
    pub files: &'a [PathBuf],
    /// The text of one, and what to call it: `("XTASK_IDENTITY", …)`.
    pub text: Option<(&'a str, &'a SecretString)>,
    /// The user's home, for `.ssh/id_ed25519` and `.ssh/id_rsa`.
    pub home: Option<&'a Path>,
}

/// Private keys, some perhaps still locked. Nothing of them is in `Debug`.
pub struct Identities {
    keys: Vec<Key>,
    /// Default places that gave no key. A place that was named and gives none is an error.
    unusable: Vec<IdentityError>,
    asker: Arc<dyn Asker>,
    /// One question at a time, whichever thread has it.
    asking: Mutex<()>,
}

/// One private key, or one file of keys that is locked.
struct Key {
    name: String,
    /// The public half, where it is known: the same key twice must not be asked for twice.
    public: Option<String>,
    opens: Opens,
    state: Mutex<State>,
}

/// Which files a key may open, as far as their headers tell.
enum Opens {
    Tagged(SshTag),
    /// age's own keys: files do not say which of them they are for.
    Anonymous,
    /// A plugin's: only the plugin knows its stanzas, and they may be of any kind. Tried last where none is foreign.
    Foreign,
    /// What is in a locked file of keys is seen when it is open.
    Hidden,
}

enum State {
    Open(Arc<Vec<OpenKey>>),
    Locked(Locked),
    Declined,
    WrongPassphrase,
    Unusable(IdentityProblem),
    /// A plugin that failed.
    GaveUp(PluginError),
}

enum Locked {
    Ssh(Box<age::ssh::EncryptedKey>),
    /// The ciphertext of an age identity file.
    File(Vec<u8>),
}

/// A key that is ready to be used.
pub(crate) enum OpenKey {
    Ssh(age::ssh::Identity),
    X25519(age::x25519::Identity),
    /// All of one plugin's identities in a file: its process is started once for them together.
    Plugin(Vec<age::plugin::Identity>),
}

/// What came of unlocking a key.
pub(crate) enum Unlock {
    Open(Arc<Vec<OpenKey>>),
    Declined { name: String },
    WrongPassphrase { name: String },
    Unusable { name: String, problem: String },
    GaveUp(PluginError),
}

impl Default for Identities {
    fn default() -> Self {
        Self { keys: Vec::new(), unusable: Vec::new(), asker: Arc::new(Nobody), asking: Mutex::default() }
    }
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

    /// Who is asked for passphrases, at most once a key, and what plugins want to know. Without it, nobody.
    #[must_use]
    pub fn asking(mut self, asker: Arc<dyn Asker>) -> Self {
        self.asker = asker;
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

    /// Keys that may open the file: those that need no question first.
    pub(crate) fn candidates(&self, file: &FileRecipients) -> Vec<usize> {
        let foreign = !file.other.is_empty();
        let fits = |key: &Key| match key.opens {
            Opens::Tagged(tag) => file.ssh.contains(&tag),
            Opens::Anonymous => file.anonymous > 0,
            // A plugin may hold a key of any kind.
            Opens::Foreign => true,
            Opens::Hidden => foreign || file.anonymous > 0,
        };
        let mut found: Vec<usize> = (0..self.keys.len()).filter(|index| fits(&self.keys[*index])).collect();
        found.sort_by_key(|index| {
            let key = &self.keys[*index];
            let likely = foreign || !matches!(key.opens, Opens::Foreign);
            (!likely, key.may_ask())
        });
        found
    }

    /// The key at `index`, asked for if need be.
    pub(crate) fn unlock(&self, index: usize) -> Unlock {
        let key = &self.keys[index];
        let mut state = key.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Locked(locked) = &*state {
            let request = LockedKey { name: &key.name, public_key: key.public.as_deref() };
            let passphrase = {
                let _one_at_a_time = self.turn();
                self.asker.passphrase(&request)
            };
            *state = passphrase.map_or(State::Declined, |passphrase| locked.open(&key.name, passphrase));
        }
        let name = key.name.clone();
        match &*state {
            State::Open(keys) => Unlock::Open(Arc::clone(keys)),
            State::WrongPassphrase => Unlock::WrongPassphrase { name },
            State::GaveUp(error) => Unlock::GaveUp(error.clone()),
            State::Unusable(problem) => Unlock::Unusable { name, problem: problem.to_string() },
            State::Declined | State::Locked(_) => Unlock::Declined { name },
        }
    }

    /// Asks for what this file will need, so that it need not be asked for later. Plugins ask when they are used.
    pub(crate) fn prepare(&self, file: &FileRecipients) {
        for index in self.candidates(file) {
            if matches!(self.keys[index].opens, Opens::Foreign) {
                continue;
            }
            if matches!(self.unlock(index), Unlock::Open(_)) {
                return;
            }
        }
    }

    /// Whoever holds it talks to the person; others wait.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plugin at `index` failed, and is not started again.
    pub(crate) fn give_up(&self, index: usize, error: PluginError) {
        let mut state = self.keys[index].state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::GaveUp(error);
    }

    pub(crate) fn asker(&self) -> &Arc<dyn Asker> {
        &self.asker
    }

    fn add(&mut self, keys: Vec<Key>) {
        for key in keys {
            // A copy that is not locked wins.
            let known = self.keys.iter_mut().find(|known| key.public.is_some() && known.public == key.public);
            match known {
                None => self.keys.push(key),
                Some(known) if !key.may_ask() => *known = key,
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

impl Key {
    fn new(name: &str, public: Option<String>, opens: Opens, state: State) -> Self {
        Self { name: name.to_owned(), public, opens, state: Mutex::new(state) }
    }

    fn may_ask(&self) -> bool {
        let open = matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Open(_));
        !open || matches!(self.opens, Opens::Foreign)
    }
}

impl Locked {
    fn open(&self, name: &str, passphrase: SecretString) -> State {
        match self {
            Self::Ssh(locked) => match locked.decrypt(passphrase) {
                Ok(key) => State::Open(Arc::new(vec![OpenKey::Ssh(key.into())])),
                Err(_) => State::WrongPassphrase,
            },
            Self::File(ciphertext) => read::from_locked(name, ciphertext, passphrase),
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identities").field(&self.names()).finish()
    }
}
