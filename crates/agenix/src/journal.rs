//! What a transaction is about to replace, on disk before the first file is: so a transaction that was cut off can be
//! undone, by whoever comes next.
//!
//! It only knows one direction, back: the old files still lie beside the new ones, and a rename needs no space. A file
//! is put back only if its content is the one that the transaction wrote; what somebody else wrote since is kept.
//!
//! It lies in git's own folder, where no commit can put one, and is believed no further than need be: paths inside the
//! repository, names of our own temporary files, contents by their digests.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::folder::{Folder, folder_of};
use crate::path::SecretPath;
use crate::write::{STAGED, is_temporary, sweep, sync_folders, temporary};

/// Its name. In git's own folder no commit can put one.
const NAME: &str = ".agenix.journal";

/// One file of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The file, behind symlinks.
    pub(crate) target: PathBuf,
    /// The old content, beside it; `None` where there was no file.
    pub(crate) backup: Option<PathBuf>,
    /// The new content's digest; `None` where the file is to be gone.
    pub(crate) new: Option<String>,
}

/// What was done about a transaction that was cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Files that had been replaced, and are as they were before.
    pub undone: Vec<PathBuf>,
    /// Files that somebody changed since: they are left as they are.
    pub kept: Vec<PathBuf>,
    /// Temporary files that were removed.
    pub leftovers: usize,
}

impl Recovery {
    /// Was something put back that is no secret? Then the rules may have been read from what is gone now.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.undone.iter().any(|path| path.extension().is_none_or(|extension| extension != "age"))
    }
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an earlier run was cut off: ")?;
        let (noun, verb) = if self.has_others() { ("file", "changed") } else { ("secret", "replaced") };
        match self.undone.len() {
            0 if self.kept.is_empty() => f.write_str("nothing had been replaced")?,
            0 => f.write_str("no secret had to be put back")?,
            1 => write!(f, "the {noun} that it had {verb} is as it was before")?,
            many => write!(f, "the {many} {noun}s that it had {verb} are as they were before")?,
        }
        if !self.kept.is_empty() {
            let names: Vec<String> = self.kept.iter().map(|path| path.display().to_string()).collect();
            write!(f, "; changed since, and left alone: {}", names.join(", "))?;
        }
        match self.leftovers {
            0 => Ok(()),
            1 => f.write_str("; its temporary file is removed"),
            many => write!(f, "; its {many} temporary files are removed"),
        }
    }
}

pub(crate) struct Journal;

impl Journal {
    /// Is there one: has a transaction been cut off half-way?
    pub(crate) fn exists(folder: &Folder) -> bool {
        folder.private().join(NAME).exists()
    }

    /// From here on the transaction can be undone.
    pub(crate) fn write(folder: &Folder, entries: &[Entry]) -> io::Result<()> {
        let relative = |path: &Path| {
            let inside = folder.below_boundary(path).map(|path| path.as_str().to_owned());
            inside.ok_or_else(|| io::Error::other(format!("{} is no path for a journal", path.display())))
        };
        let mut files = Vec::new();
        for Entry { target, backup, new } in entries {
            let backup = backup.as_deref().map(relative).transpose()?;
            files.push(json!({ "target": relative(target)?, "backup": backup, "new": new }));
        }
        let text = format!("{}\n", json!({ "agenix": 1, "files": files }));
        let mut file = temporary(&folder.private(), STAGED)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(folder.private().join(NAME)).map_err(|error| error.error)?;
        sync_folders([folder.private()])
    }

    /// From here on the transaction stands. That the disk knows it is not waited for: a journal that came back after a
    /// power cut would find the old contents gone and leave the new ones as they are.
    pub(crate) fn remove(folder: &Folder) -> io::Result<()> {
        fs::remove_file(folder.private().join(NAME))?;
        let _ = sync_folders([folder.private()]);
        Ok(())
    }

    /// Undoes what the journal tells of, if there is one, and removes it.
    pub(crate) fn undo(folder: &Folder) -> io::Result<Option<Recovery>> {
        let text = match fs::read_to_string(folder.private().join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let entries = read(folder, &text).ok_or_else(|| {
            let path = folder.private().join(NAME);
            io::Error::other(format!("{} is not one of ours; remove it if you know why", path.display()))
        })?;
        let mut recovery = Recovery::default();
        for entry in &entries {
            undo(entry, &mut recovery)?;
        }
        let folders: BTreeSet<PathBuf> = entries.iter().map(|entry| folder_of(&entry.target)).collect();
        sync_folders(folders.iter().filter(|folder| folder.exists()).cloned())?;
        Self::remove(folder)?;
        // Here, since they may be folders in which no rule has a file.
        recovery.leftovers = folders.iter().map(|folder| sweep(folder)).sum();
        Ok(Some(recovery))
    }
}

/// Puts one file back.
pub(crate) fn undo(entry: &Entry, recovery: &mut Recovery) -> io::Result<()> {
    let Entry { target, backup, new } = entry;
    let now = digest_of_file(target)?;
    let before = match backup {
        Some(backup) => digest_of_file(backup)?,
        None => None,
    };
    if now == before {
        // Not replaced yet, or put back already.
        return Ok(());
    }
    if now != *new || (backup.is_some() && before.is_none()) {
        recovery.kept.push(target.clone());
        return Ok(());
    }
    match backup {
        Some(backup) => fs::rename(backup, target)?,
        None => fs::remove_file(target)?,
    }
    recovery.undone.push(target.clone());
    Ok(())
}

fn read(folder: &Folder, text: &str) -> Option<Vec<Entry>> {
    let value: Value = serde_json::from_str(text).ok()?;
    if value["agenix"] != 1 {
        return None;
    }
    let entry = |value: &Value| {
        let path = |value: &Value| folder.in_boundary(&SecretPath::parse(value.as_str()?).ok()?);
        let target = path(&value["target"])?;
        let backup = match &value["backup"] {
            Value::Null => None,
            backup => Some(path(backup).filter(|backup| is_backup(backup, &target))?),
        };
        let new = match &value["new"] {
            Value::Null => None,
            digest => Some(digest.as_str()?.to_owned()),
        };
        Some(Entry { target, backup, new })
    };
    value["files"].as_array()?.iter().map(entry).collect()
}

fn is_backup(path: &Path, target: &Path) -> bool {
    folder_of(path) == folder_of(target) && path.file_name().is_some_and(is_temporary)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn digest_of_file(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(digest(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
