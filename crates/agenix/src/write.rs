//! Replacing a file so that every reader, at every moment, and after a power cut, sees the old one or the new
//! one.
//!
//! The new content goes to a temporary file in the same folder, so that the last step is a rename within one
//! file system. It is removed on every way out except a kill, which leaves a `.agenix.*.tmp` with ciphertext
//! in it; who locks the folder next removes it ([`crate::Lock`]).
//!
//! Left out: many files at once: that is [`crate::Transaction`]'s.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::folder::{behind_symlinks, folder_of};

/// A new file's mode: it is ciphertext, and git does not keep more.
const NEW_FILE_MODE: u32 = 0o644;

/// What temporary files begin with.
pub(crate) const PREFIX: &str = ".agenix.";
/// What a new content ends with until it is in its place.
pub(crate) const STAGED: &str = ".tmp";
/// What an old content ends with while a transaction replaces it.
pub(crate) const BACKUP: &str = ".old";

/// Writes `bytes` to `path`, wholly or not at all. An existing file keeps its mode and owner, a symlink stays and
/// what it points to is replaced, folders are made.
///
/// # Errors
/// Names the path and the step. The file at `path` is then as it was, unless the step is the last,
/// the folder's sync.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let target = behind_symlinks(path).map_err(could_not("follow its symlink", path))?;
    let grown = make_folders(&folder_of(&target)).map_err(could_not("make its folder", path))?;
    let staged = stage(path, &target, bytes)?;
    staged.as_file().sync_all().map_err(could_not("sync its temporary file", path))?;
    staged.persist(&target).map_err(|error| could_not("replace it", path)(error.error))?;
    sync_folders(grown.into_iter().chain([folder_of(&target)])).map_err(could_not("sync its folder", path))
}

/// Writes `bytes` beside `target`, with the mode and the owner that `target` has. `path` is what the user calls it.
/// The caller syncs it.
pub(crate) fn stage(path: &Path, target: &Path, bytes: &[u8]) -> Result<NamedTempFile, WriteError> {
    let before = look_at(target).map_err(could_not("look at it", path))?;
    let mut temporary =
        temporary(&folder_of(target), STAGED).map_err(could_not("make a temporary file beside it", path))?;
    temporary.as_file_mut().write_all(bytes).map_err(could_not("write its temporary file", path))?;
    if let Some(before) = &before {
        keep_owner(temporary.as_file(), before).map_err(could_not("keep its owner", path))?;
    }
    let mode = before.map_or(NEW_FILE_MODE, |before| before.permissions().mode() & 0o7777);
    let permitted = temporary.as_file().set_permissions(Permissions::from_mode(mode));
    permitted.map_err(could_not("set its mode", path))?;
    Ok(temporary)
}

/// An empty file in `folder` that is gone when it is dropped.
pub(crate) fn temporary(folder: &Path, suffix: &str) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(PREFIX).suffix(suffix).tempfile_in(folder)
}

/// A second name for the file `target`, beside it, that is gone when it is dropped.
pub(crate) fn second_name(target: &Path, suffix: &str) -> io::Result<TempPath> {
    let link = |name: &Path| fs::hard_link(target, name);
    let named = tempfile::Builder::new().prefix(PREFIX).suffix(suffix).make_in(folder_of(target), link)?;
    Ok(named.into_temp_path())
}

/// Is it the name of one of these, or of the second name of an old content? As `tempfile` makes them, and no other.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    let middle = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    let middle = middle.and_then(|name| name.strip_suffix(STAGED).or_else(|| name.strip_suffix(BACKUP)));
    middle.is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Removes what writers that were killed left in a folder; the caller has the lock. Gives how many there were.
pub(crate) fn sweep(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        is_temporary(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    ours.filter(|entry| fs::remove_file(entry.path()).is_ok()).count()
}

/// A rename is on disk when its folder is; a new folder, when the one above it is.
pub(crate) fn sync_folders(folders: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
    folders.into_iter().try_for_each(|folder| match File::open(folder)?.sync_all() {
        // Some file systems have no such thing for folders, and nothing better.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    })
}

/// Makes `folder` and those above it; returns the folders that got a new entry by it.
pub(crate) fn make_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let changed = missing.map(folder_of).collect();
    fs::create_dir_all(folder)?;
    Ok(changed)
}

fn look_at(target: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_file() => Ok(Some(found)),
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Only root can give a file away; anybody else had better not take it over silently.
fn keep_owner(file: &File, before: &fs::Metadata) -> io::Result<()> {
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid()))
}

/// For `map_err`. `path` is the file that was to be written.
pub(crate) fn could_not(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    move |source| WriteError { path: path.to_owned(), step, source }
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {}: could not {step}", path.display())]
pub struct WriteError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What did not work.
    pub step: &'static str,
    /// Why.
    pub source: io::Error,
}

impl WriteError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => Some("run it as the user who owns the repository".to_owned()),
            io::ErrorKind::StorageFull => Some("free some space; the file is as it was".to_owned()),
            _ => None,
        }
    }
}
