//! One writer at a time in a repository, and what the one before left behind.
//!
//! The lock is the kernel's, on the repository's own folder: no file to leave behind, and it is free when its holder
//! dies. Who gets it puts things in order first: a rekey that was cut off is undone, temporary files are removed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::folder::{Folder, folder_of};
use crate::journal::{Journal, Recovery};
use crate::rules::Rules;
use crate::write::sweep;

/// Others hold it while they write; who is asked for a passphrase is asked before.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(50);

/// The right to write secrets, until dropped.
#[derive(Debug)]
pub struct Lock {
    folder: Folder,
    _held: File,
}

impl Lock {
    /// Waits up to 10 s for the other writers of the repository around `folder`, then clears up. `rules` says where
    /// temporary files may lie.
    ///
    /// # Errors
    /// When another writer keeps it, or the clearing up does not work.
    pub fn take(folder: &Folder, rules: &Rules) -> Result<(Self, Option<Recovery>), LockError> {
        let held = File::open(folder.boundary()).map_err(LockError::Unlockable)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match flock(&held, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(TICK),
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(LockError::Busy { seconds: PATIENCE.as_secs() });
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(LockError::Unlockable(error.into())),
            }
        }
        let lock = Self { folder: folder.clone(), _held: held };
        let mut recovery = Journal::undo(folder).map_err(|source| LockError::Recovery { source })?;
        let removed = lock.sweep(rules);
        if removed > 0 {
            recovery.get_or_insert_default().leftovers += removed;
        }
        Ok((lock, recovery))
    }

    /// The folder that is locked.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Removes what writers that were killed left: nobody else can be writing now. What cannot be removed harms nobody.
    fn sweep(&self, rules: &Rules) -> usize {
        let places = rules.iter().filter_map(|rule| self.folder.file(rule.path()).ok());
        let mut folders: BTreeSet<PathBuf> = places.map(|file| folder_of(&file)).collect();
        folders.insert(self.folder.root().to_owned());
        folders.iter().map(|folder| sweep(folder)).sum()
    }

    /// The same in a folder that no rule has a file in, and transactions change files in. Gives how many there were.
    pub fn sweep_in(&self, folder: &Path) -> usize {
        sweep(folder)
    }
}

/// Why nothing may be written now.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("another process has been writing secrets here for more than {seconds} s")]
    Busy {
        /// How long was waited.
        seconds: u64,
    },
    /// The folder cannot be locked.
    #[error("failed to lock the repository")]
    Unlockable(#[source] io::Error),
    /// What a writer that was cut off left behind could not be put in order.
    #[error("failed to undo a rekey that was cut off")]
    Recovery {
        /// What did not work.
        source: io::Error,
    },
    /// It was put in order, and the rules at hand were read before that.
    #[error("{recovery}; the rules were read before that")]
    Stale {
        /// What was done.
        recovery: Recovery,
    },
}

impl LockError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Busy { .. } => "wait for it, or look for it: fuser --verbose . (in the repository's root)",
            Self::Stale { .. } => "run it again",
            Self::Unlockable(_) => "on a network file system that knows no locks, work in a local clone",
            Self::Recovery { .. } => {
                "put right what the reason says and run it again; the old files are the .agenix.*.old beside them"
            }
        }
        .to_owned()
    }
}
