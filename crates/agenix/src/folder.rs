//! The folder of secrets.nix, in which the names of rules are paths: from a file that a user names, in whatever
//! folder he stands, to its rule, and from a rule to the file that is read and written.
//!
//! Symlinks are followed, in the middle and at the end. Where one leads out of the repository it is refused: a rekey
//! would write there, and a repository is often somebody else's work.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::path::{PathError, SecretPath};

/// As the kernel's own bound.
const MAX_SYMLINKS: usize = 40;

/// Where the rules are, and how far their files may be away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
    /// The repository around it; itself, where there is none.
    boundary: PathBuf,
}

impl Folder {
    /// The folder at `root`, which must exist.
    ///
    /// # Errors
    /// When it does not, or cannot be looked at.
    pub fn new(root: &Path) -> io::Result<Self> {
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let root = root.canonicalize()?;
        let repository = root.ancestors().find(|folder| folder.join(".git").exists());
        let boundary = repository.unwrap_or(&root).to_owned();
        Ok(Self { root, boundary })
    }

    /// The repository around it; itself, where there is none.
    #[must_use]
    pub fn boundary(&self) -> &Path {
        &self.boundary
    }

    /// Where what is ours alone can lie, and no commit of anybody can put a file: git's own folder. Without git, the
    /// folder itself.
    pub(crate) fn private(&self) -> PathBuf {
        let git = self.boundary.join(".git");
        if git.is_dir() {
            return git;
        }
        // A worktree and a submodule have a file there that says where it is.
        let elsewhere = fs::read_to_string(&git).ok();
        let elsewhere = elsewhere.as_deref().and_then(|text| text.trim().strip_prefix("gitdir: "));
        match elsewhere.map(|path| self.boundary.join(path)) {
            Some(folder) if folder.is_dir() => folder,
            _ => self.boundary.clone(),
        }
    }

    /// Its real path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a secret behind all symlinks. It need not exist: a dangling symlink says where the new file goes.
    ///
    /// # Errors
    /// When a symlink leads out of the repository, or in a circle.
    pub fn file(&self, path: &SecretPath) -> Result<PathBuf, PlaceError> {
        let named = path.in_repository(&self.root);
        let io = |source| PlaceError::Unreadable { path: named.clone(), source };
        let file = behind_symlinks(&named).map_err(io)?;
        if file.starts_with(&self.boundary) {
            return Ok(file);
        }
        Err(PlaceError::LeadsOut { path: path.clone(), target: file, repository: self.boundary.clone() })
    }

    /// What `file` may be called in secrets.nix: as it is spelt, by its real folder, and behind all symlinks.
    /// A relative `file` is relative to the current folder.
    ///
    /// # Errors
    /// When it is not in this folder, or no name of a secret.
    pub fn names_of(&self, file: &Path) -> Result<Vec<SecretPath>, PlaceError> {
        let io = |source| PlaceError::Unreadable { path: file.to_owned(), source };
        // The last part stays as it is: it may be a symlink, and its name is the rule's.
        let named = match file.file_name() {
            Some(name) => real_folder(&folder_of(file)).map_err(io)?.join(name),
            None => return Err(PlaceError::Name(PathError::NoFile { path: file.display().to_string() })),
        };
        let real = behind_symlinks(&named).map_err(io)?;
        let spelt = spelt(file);
        let mut names = Vec::new();
        for candidate in [&spelt, &named, &real] {
            let Ok(inside) = candidate.strip_prefix(&self.root) else { continue };
            let text = inside.to_str().ok_or_else(|| PlaceError::NotUnicode { path: file.to_owned() })?;
            let name = SecretPath::parse(text).map_err(PlaceError::Name)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(PlaceError::Outside { file: file.to_owned(), root: self.root.clone() });
        }
        Ok(names)
    }

    /// The path of a file from the repository's own root, for a record that outlives a move of the repository.
    pub(crate) fn below_boundary(&self, file: &Path) -> Option<SecretPath> {
        SecretPath::parse(file.strip_prefix(&self.boundary).ok()?.to_str()?).ok()
    }

    /// The reverse of [`Folder::below_boundary`]; `None` where it leads out by now.
    pub(crate) fn in_boundary(&self, path: &SecretPath) -> Option<PathBuf> {
        let file = behind_symlinks(&path.in_repository(&self.boundary)).ok()?;
        let is_git_s = path.as_str().split('/').any(|part| part == ".git");
        (file.starts_with(&self.boundary) && !is_git_s).then_some(file)
    }
}

/// The file as it is spelt, no symlink followed but those to the current folder: a rule may be spelt so. Where `..`
/// comes after a symlink it is another file, which has no rule then.
fn spelt(file: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let mut spelt = PathBuf::new();
    for part in here.join(file).components() {
        match part {
            Component::ParentDir => drop(spelt.pop()),
            part => spelt.push(part),
        }
    }
    spelt
}

/// The file that `path` means, by its real path.
pub(crate) fn behind_symlinks(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?.to_owned();
        let folder = real_folder(&folder_of(&path))?;
        let file = folder.join(name);
        match fs::symlink_metadata(&file) {
            Ok(found) if found.is_symlink() => path = folder.join(fs::read_link(&file)?),
            Ok(_) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(file),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("more than {MAX_SYMLINKS} symlinks")))
}

pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The real path of a folder of which the last parts may not exist yet.
fn real_folder(folder: &Path) -> io::Result<PathBuf> {
    match folder.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        done => return done,
    }
    match folder.components().next_back() {
        // `new/..`: who knows what `new` will be.
        Some(Component::Normal(name)) => Ok(real_folder(&folder_of(folder))?.join(name)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Why a file and a secret's name cannot be brought together.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file is somewhere else.
    #[error("{} is not in {}, the folder of the rules", file.display(), root.display())]
    Outside {
        /// As it was named.
        file: PathBuf,
        /// The rules' folder.
        root: PathBuf,
    },
    /// A symlink on the way leads out of the repository.
    #[error("{path} is behind a symlink that leads out of {}: to {}", repository.display(), target.display())]
    LeadsOut {
        /// The secret.
        path: SecretPath,
        /// Where it leads.
        target: PathBuf,
        /// The repository.
        repository: PathBuf,
    },
    /// In the folder, and no name for a secret.
    #[error(transparent)]
    Name(PathError),
    /// A name that is not UTF-8, which nix could not write down.
    #[error("{} is no Unicode text", path.display())]
    NotUnicode {
        /// As it was named.
        path: PathBuf,
    },
    /// The file system says no.
    #[error("failed to look at {}", path.display())]
    Unreadable {
        /// What was looked at.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl PlaceError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Outside { .. } => "name a file beside secrets.nix, or another secrets.nix".to_owned(),
            Self::LeadsOut { .. } => "put the file itself there, or a rule for it beside the file".to_owned(),
            Self::Name(error) => error.hint(),
            Self::NotUnicode { .. } => "rename it".to_owned(),
            Self::Unreadable { .. } => "is each folder of the path there, and may you enter it?".to_owned(),
        }
    }
}
