//! What a change would mean, seen before it is made: a copy of the repository's texts in which nix evaluates the rules
//! anew, and git tells the difference. Nothing of the user's is touched by it.
//!
//! Copied and not linked: Nix goes behind links, and would find the old fleet.toml there.

use std::fs;
use std::path::{Path, PathBuf};

use agenix::{Change, Rules};
use fleet::Fleet;
use remote::Cmd;
use tempfile::TempDir;

use crate::failure::{Failure, Result};
use crate::repository::Repository;

/// secrets.nix reads texts. A larger file is none of them.
const LARGEST: u64 = 1 << 20;

/// The copy; gone when it is dropped.
pub(super) struct Scratch {
    repository: Repository,
    _folder: TempDir,
}

impl Scratch {
    /// Of all that git knows or would not ignore, but for the secrets.
    pub(super) fn of(repository: &Repository) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().to_owned();
        let list = Cmd::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let list = list.dir(repository.root()).label("git ls-files").run()?;
        let names = String::from_utf8_lossy(&list.stdout).into_owned();
        for name in names.split('\0').filter(|name| !name.is_empty() && !name.ends_with(".age")) {
            let file = repository.root().join(name);
            let is_text = fs::metadata(&file).is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
            if is_text {
                write(&root.join(name), &fs::read(&file)?)?;
            }
        }
        Ok(Self { repository: Repository::at(root), _folder: folder })
    }

    /// Makes the changes in the copy.
    pub(super) fn put(&self, changes: &[Change]) -> Result<()> {
        for Change { path, after, .. } in changes {
            let file = path.in_repository(self.repository.root());
            match after {
                Some(after) => write(&file, after)?,
                None => {
                    let _ = fs::remove_file(file);
                }
            }
        }
        Ok(())
    }

    /// The rules as they stand in the copy, by the names of its fleet.
    pub(super) fn rules(&self, fleet: &Fleet) -> Result<Rules> {
        self.repository.rules(fleet)
    }
}

/// One file's difference, as `diff -u` writes it.
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) text: String,
}

/// The differences that these changes make, in the order of their paths.
pub(super) fn differences(changes: &[Change]) -> Result<Vec<Difference>> {
    let folder = tempfile::tempdir()?;
    for side in ["a", "b"] {
        fs::create_dir(folder.path().join(side))?;
    }
    for Change { path, before, after } in changes {
        for (side, content) in [("a", before), ("b", after)] {
            let Some(content) = content else { continue };
            write(&folder.path().join(side).join(path.as_str()), content)?;
        }
    }
    // Nobody's configuration: the output is read here.
    let diff = Cmd::new("git")
        .args(["-c", "core.quotePath=false", "-c", "core.autocrlf=false", "diff", "--no-index", "--no-color"])
        .args(["--no-ext-diff", "--no-textconv", "--no-renames", "--no-prefix", "--unified=3"])
        .args(["--output=difference", "a", "b"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .dir(folder.path());
    match diff.label("git diff").run() {
        Ok(_) => {}
        // There is a difference.
        Err(error) if error.code() == Some(1) => {}
        Err(error) => return Err(error.into()),
    }
    let text = fs::read(folder.path().join("difference"))?;
    Ok(split(&String::from_utf8_lossy(&text)))
}

/// Each file's part, from its `---` on.
fn split(text: &str) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    let mut in_header = true;
    for line in text.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            let path = names.rsplit_once(" b/").map_or(names, |(_, path)| path);
            found.push(Difference { path: path.to_owned(), text: String::new() });
            in_header = true;
        }
        in_header &= !line.starts_with("@@");
        let is_noise = in_header && !line.starts_with("--- ") && !line.starts_with("+++ ");
        if let Some(last) = found.last_mut().filter(|_| !is_noise || line.starts_with("Binary ")) {
            last.text.push_str(line);
            last.text.push('\n');
        }
    }
    found
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    let folder: PathBuf = file.parent().map(Path::to_owned).unwrap_or_default();
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, content));
    written.map_err(|error| {
        Failure::from(error).during(&format!("failed to write {} for a look at it", file.display()))
    })
}
