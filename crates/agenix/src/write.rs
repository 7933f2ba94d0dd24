//! Replacing a file so that every reader, at every moment, and after a power cut, sees the old one or the new
//! one.
//!
//! The new content goes to a temporary file in the same folder, so that the last step is a rename within one
//! file system. It is removed on every way out except a kill, which leaves a `.agenix.*.tmp` with ciphertext
//! in it.
//!
//! Left out: many files at once. That is a rekey's journal.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A new file's mode: it is ciphertext, and git does not keep more.
const NEW_FILE_MODE: u32 = 0o644;

/// As the kernel's own bound.
const MAX_SYMLINKS: usize = 40;

/// Writes `bytes` to `path`, wholly or not at all. An existing file keeps its mode, a symlink stays and what
/// it points to is replaced, folders are made.
///
/// # Errors
/// Names the path and the step. The file at `path` is then as it was, unless the step is the last,
/// the folder's sync.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let fail = |step| move |source| WriteError { path: path.to_owned(), step, source };
    let target = behind_symlinks(path).map_err(fail("follow its symlink"))?;
    let folder = folder_of(&target);
    let grown = make_folders(folder).map_err(fail("make its folder"))?;
    let mode = mode_for(&target).map_err(fail("look at it"))?;

    let mut temporary = tempfile::Builder::new()
        .prefix(".agenix.")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(fail("make a temporary file beside it"))?;
    temporary.as_file_mut().write_all(bytes).map_err(fail("write its temporary file"))?;
    temporary.as_file().set_permissions(Permissions::from_mode(mode)).map_err(fail("set its mode"))?;
    temporary.as_file().sync_all().map_err(fail("sync its temporary file"))?;
    temporary.persist(&target).map_err(|error| fail("replace it")(error.error))?;
    // A rename is on disk when its folder is; a new folder, when the one above it is.
    for folder in grown.iter().map(PathBuf::as_path).chain([folder]) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail("sync its folder"))?;
    }
    Ok(())
}

/// The file that `path` means. It need not exist: a dangling symlink says where the new file goes.
fn behind_symlinks(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => path = folder_of(&path).join(fs::read_link(&path)?),
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("more than {MAX_SYMLINKS} symlinks")))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes `folder` and those above it; returns the folders that got a new entry by it.
fn make_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let changed = missing.map(|folder| folder_of(folder).to_owned()).collect();
    fs::create_dir_all(folder)?;
    Ok(changed)
}

fn mode_for(target: &Path) -> io::Result<u32> {
    match fs::metadata(target) {
        Ok(found) if found.is_file() => Ok(found.permissions().mode() & 0o7777),
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NEW_FILE_MODE),
        Err(error) => Err(error),
    }
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
