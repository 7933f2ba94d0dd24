//! Replacing many files at once: all of them, or none. Files that are no secrets may be among them: a host comes with its
//! table, its folder and its secrets, and goes with all of them.
//!
//! First, each new content is staged beside its file, and all are brought to disk. Then each old content gets a second
//! name, and the journal is written; the new contents are renamed into place; the journal is removed. A failure between
//! the last two is undone at once, a kill by who locks the folder next. At any moment a file is the old one or the new
//! one, and after that all of them are.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tempfile::TempPath;

use crate::folder::{PlaceError, folder_of};
use crate::journal::{self, Entry, Journal};
use crate::lock::Lock;
use crate::path::SecretPath;
use crate::write::{
    BACKUP, WriteError, could_not, make_folders, second_name, stage, sync_folders, temporary,
};

/// How many files are brought to disk at once. A disk takes its time for each request, and many at the same time take
/// hardly longer than one: their file system writes them together.
const SYNCS: usize = 32;

/// New contents of secrets, beside the old ones. Dropped without [`Transaction::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Transaction<'a> {
    lock: &'a Lock,
    staged: Mutex<Vec<Staged>>,
}

#[derive(Debug)]
struct Staged {
    path: SecretPath,
    target: PathBuf,
    /// The new content and its digest; `None` where the file is to be gone.
    new: Option<(TempPath, String)>,
    /// Of the content that it was made from; `None` where there was no file.
    before: Option<String>,
}

impl<'a> Transaction<'a> {
    /// Nothing staged yet.
    #[must_use]
    pub fn new(lock: &'a Lock) -> Self {
        Self { lock, staged: Mutex::default() }
    }

    /// Writes `new` beside the secret's file. `before` is the content that it was made from: if the file is another
    /// by the time of the commit, nothing is replaced. May be called from several threads.
    ///
    /// # Errors
    /// When it cannot be written. Nothing is replaced.
    pub fn stage(&self, path: &SecretPath, new: &[u8], before: Option<&[u8]>) -> Result<(), CommitError> {
        let target = self.lock.folder().file(path)?;
        let named = path.in_repository(self.lock.folder().root());
        let made = make_folders(&folder_of(&target)).and_then(sync_folders);
        made.map_err(could_not("make its folder", &named))?;
        let staged = Staged {
            path: path.clone(),
            // Closed meanwhile: a thousand open files are more than a process may have.
            new: Some((stage(&named, &target, new)?.into_temp_path(), journal::digest(new))),
            target,
            before: before.map(journal::digest),
        };
        self.push(staged);
        Ok(())
    }

    /// The file, whose content is `before`, will be gone.
    ///
    /// # Errors
    /// When it has no place.
    pub fn stage_removal(&self, path: &SecretPath, before: &[u8]) -> Result<(), CommitError> {
        let target = self.lock.folder().file(path)?;
        let before = Some(journal::digest(before));
        self.push(Staged { path: path.clone(), target, new: None, before });
        Ok(())
    }

    fn push(&self, staged: Staged) {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).push(staged);
    }

    /// Replaces all files, or none.
    ///
    /// # Errors
    /// When it could not, and everything is as it was; or, [`CommitError::Stuck`], when even putting things back
    /// failed.
    pub fn commit(self) -> Result<(), CommitError> {
        self.commit_and(&|| Ok(()))
    }

    /// The same with a last step, such as letting git know of new files: if it fails, everything is as it was.
    pub(crate) fn commit_and(self, last: &dyn Fn() -> io::Result<()>) -> Result<(), CommitError> {
        let folder = self.lock.folder();
        let mut staged = self.staged.into_inner().unwrap_or_else(PoisonError::into_inner);
        staged.sort_by(|a, b| a.path.cmp(&b.path));
        sync(&staged)?;
        if let [_] = &staged[..] {
            staged.remove(0).replace_alone()?;
            return last().map_err(CommitError::Last);
        }
        // Gone on every way out from here: after a rename they are second names of nothing.
        let backups = staged.iter().map(Staged::back_up).collect::<Result<Vec<_>, _>>()?;
        let entries: Vec<Entry> =
            staged.iter().zip(&backups).map(|(file, backup)| file.entry(backup)).collect();
        let folders: BTreeSet<PathBuf> = entries.iter().map(|entry| folder_of(&entry.target)).collect();
        let fail = |step| move |source| CommitError::from(could_not(step, folder.boundary())(source));
        sync_folders(folders.iter().cloned()).map_err(fail("sync its folders"))?;
        let replaced = Journal::write(folder, &entries)
            .map_err(fail("write the journal"))
            .and_then(|()| {
                staged.into_iter().zip(&backups).try_for_each(|(file, backup)| file.replace(backup))
            })
            .and_then(|()| sync_folders(folders).map_err(fail("sync its folders")))
            .and_then(|()| last().map_err(CommitError::Last))
            .and_then(|()| Journal::remove(folder).map_err(fail("remove the journal")));
        let Err(cause) = replaced else { return Ok(()) };
        match Journal::undo(folder) {
            Ok(_) => Err(cause),
            Err(undo) => {
                // The next run needs them.
                backups.into_iter().flatten().for_each(|backup| drop(backup.keep()));
                Err(CommitError::Stuck { cause: Box::new(cause), undo })
            }
        }
    }
}

/// Brings all of them to disk.
fn sync(staged: &[Staged]) -> Result<(), WriteError> {
    let sync = |share: &[Staged]| share.iter().try_for_each(Staged::sync);
    let share = staged.len().div_ceil(SYNCS).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = staged.chunks(share).map(|share| scope.spawn(move || sync(share))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a sync does not panic"))
    })
}

impl Staged {
    fn sync(&self) -> Result<(), WriteError> {
        let Some((new, _)) = &self.new else { return Ok(()) };
        let synced = File::open(new).and_then(|file| file.sync_all());
        synced.map_err(could_not("sync its temporary file", &self.target))
    }

    /// A rename is all or nothing by itself.
    fn replace_alone(self) -> Result<(), CommitError> {
        let Self { path, target, new, before, .. } = self;
        if journal::digest_of_file(&target).map_err(could_not("read it again", &target))? != before {
            return Err(CommitError::Changed { path });
        }
        put(new, &target)?;
        sync_folders([folder_of(&target)]).map_err(|source| CommitError::Unsynced { path, source })
    }

    /// Keeps the old content, if there is one and it is still what the new one was made from.
    fn back_up(&self) -> Result<Option<TempPath>, CommitError> {
        let kept = match &self.before {
            Some(_) => Some(back_up(&self.target).map_err(could_not("keep its old content", &self.target))?),
            None => None,
        };
        let found = match &kept {
            Some(kept) => journal::digest_of_file(kept),
            None => journal::digest_of_file(&self.target),
        };
        if found.map_err(could_not("read it again", &self.target))? != self.before {
            return Err(CommitError::Changed { path: self.path.clone() });
        }
        Ok(kept)
    }

    fn entry(&self, backup: &Option<TempPath>) -> Entry {
        let backup = backup.as_ref().map(|path| path.to_path_buf());
        let new = self.new.as_ref().map(|(_, digest)| digest.clone());
        Entry { target: self.target.clone(), backup, new }
    }

    /// Only while the file is still the one that was backed up: somebody may have been quicker.
    fn replace(self, backup: &Option<TempPath>) -> Result<(), CommitError> {
        let is_same = match backup {
            Some(backup) => same_file(&self.target, backup, self.before.as_deref()),
            None => fs::symlink_metadata(&self.target).map(|_| false).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(true),
                _ => Err(error),
            }),
        };
        if !is_same.map_err(could_not("look at it again", &self.target))? {
            return Err(CommitError::Changed { path: self.path });
        }
        Ok(put(self.new, &self.target)?)
    }
}

/// One rename, or one removal: all or nothing by itself.
fn put(new: Option<(TempPath, String)>, target: &Path) -> Result<(), WriteError> {
    match new {
        Some((new, _)) => new.persist(target).map_err(|error| could_not("replace it", target)(error.error)),
        None => fs::remove_file(target).map_err(could_not("remove it", target)),
    }
}

/// One file under two names, not written to since; or, where it had to be copied, the same content.
fn same_file(target: &Path, backup: &Path, before: Option<&str>) -> io::Result<bool> {
    let (now, kept) = (fs::symlink_metadata(target)?, fs::symlink_metadata(backup)?);
    if (now.dev(), now.ino()) == (kept.dev(), kept.ino()) {
        return Ok(true);
    }
    Ok(journal::digest_of_file(target)?.as_deref() == before)
}

/// A second name for the old content; a copy where the file system has no second names.
fn back_up(target: &Path) -> io::Result<TempPath> {
    if let Ok(name) = second_name(target, BACKUP) {
        return Ok(name);
    }
    let copy = temporary(&folder_of(target), BACKUP)?;
    fs::copy(target, copy.path())?;
    copy.as_file().sync_all()?;
    Ok(copy.into_temp_path())
}

/// What was cut off earlier, for those who only read: see [`Lock::take`].
#[must_use]
pub fn was_cut_off(folder: &crate::Folder) -> bool {
    Journal::exists(folder)
}

/// Why files were not replaced.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A secret has no place where it could be written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Somebody changed a file meanwhile.
    #[error("{path} was changed by somebody else meanwhile")]
    Changed {
        /// The secret.
        path: SecretPath,
    },
    /// It is replaced, and a power cut may still undo it.
    #[error("{path} is replaced, and its folder could not be synced: {source}")]
    Unsynced {
        /// The secret.
        path: SecretPath,
        /// Why.
        source: io::Error,
    },
    /// All files were replaced, and what the caller does with them failed.
    #[error(transparent)]
    Last(io::Error),
    /// Replacing failed, and so did putting things back. The journal is there for the next run.
    #[error("{cause}; and putting things back failed as well: {undo}")]
    Stuck {
        /// Why replacing failed.
        cause: Box<CommitError>,
        /// Why putting back failed.
        undo: io::Error,
    },
}

impl CommitError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => Some(error.hint()),
            Self::Write(error) => error.hint(),
            Self::Unsynced { .. } => Some("sync".to_owned()),
            Self::Last(_) => None,
            Self::Changed { .. } => Some("run it again: it starts from what is there now".to_owned()),
            Self::Stuck { .. } => Some(
                "put the reason right and run it again: it undoes what was done, first of all".to_owned(),
            ),
        }
    }
}
