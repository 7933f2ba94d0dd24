//! The one place where a secret is in a file in the clear: while an editor has it open.
//!
//! The file is on a tmpfs, so no disk ever has it; in a folder of its own that only its owner may enter, so that what
//! the editor puts beside it (swap files, backups) is gone with it. Left out: swapping, which is the kernel's (encrypt
//! swap, or have none), and what an editor keeps elsewhere, such as an undo history.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FsWord;
use tempfile::TempDir;

use crate::secrecy::SecretSlice;
use crate::secrecy::zeroize::Zeroizing;

/// Linux' name for a tmpfs in statfs(2).
const TMPFS: FsWord = 0x0102_1994;
/// And for its older sibling.
const RAMFS: FsWord = 0x8584_58f6;

/// A file for an editor. Dropped, it is gone, and all that lies beside it.
#[derive(Debug)]
pub(crate) struct Draft {
    folder: TempDir,
    file: PathBuf,
}

impl Draft {
    /// Makes the file under `name`, for the editor's sake: it shows it, and knows by it what kind of file it is.
    /// Without `content` there is a name and no file.
    ///
    /// # Errors
    /// When there is no tmpfs to write to.
    pub(crate) fn new(name: &str, content: Option<&[u8]>) -> Result<Self, DraftError> {
        let place = tmpfs().ok_or(DraftError::NoTmpfs)?;
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("agenix.").permissions(private).tempdir_in(place)?;
        let file = folder.path().join(name);
        if let Some(content) = content {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?.write_all(content)?;
        }
        Ok(Self { folder, file })
    }

    /// What the editor opens.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    /// What the editor left; `None` if it left no file.
    ///
    /// # Errors
    /// When it left something that cannot be read.
    pub(crate) fn read(&self) -> Result<Option<SecretSlice<u8>>, DraftError> {
        let mut file = match fs::File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        file.read_to_end(&mut bytes)?;
        Ok(Some(SecretSlice::from(Box::<[u8]>::from(bytes.as_slice()))))
    }

    /// Removes it, and says if that did not work: then a secret is left where the user must know of it.
    ///
    /// # Errors
    /// Names the folder that is left.
    pub(crate) fn close(self) -> Result<(), DraftError> {
        let path = self.folder.path().to_owned();
        match self.folder.close() {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DraftError::Left { path, source }),
            _ => Ok(()),
        }
    }
}

/// The user's own runtime folder; else the one that every Linux has.
fn tmpfs() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    own.into_iter().chain(["/dev/shm".into()]).find(|place| {
        place.is_absolute()
            && rustix::fs::statfs(place.as_path()).is_ok_and(|found| {
                let kind = found.f_type;
                kind == TMPFS || kind == RAMFS
            })
            && rustix::fs::access(place.as_path(), rustix::fs::Access::WRITE_OK).is_ok()
    })
}

/// Why there is no file for an editor.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Neither place is in memory.
    #[error("neither XDG_RUNTIME_DIR nor /dev/shm is a tmpfs, and a secret is not written to a disk")]
    NoTmpfs,
    /// The file system says no.
    #[error("failed to keep the secret for the editor: {0}")]
    Io(#[from] io::Error),
    /// It could not be removed.
    #[error("failed to remove {}, which has the secret in the clear: {source}", path.display())]
    Left {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DraftError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoTmpfs => "give the secret on standard input, which needs no file".to_owned(),
            Self::Io(_) => "is there space in /dev/shm?".to_owned(),
            Self::Left { path, .. } => format!("rm -r {}", path.display()),
        }
    }
}
