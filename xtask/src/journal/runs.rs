//! The runs that are kept, and their reports.

use std::fs;
use std::path::{Path, PathBuf};

use super::EVENTS;
use crate::failure::{Failure, Kind, Result};
use crate::report::{self, Story};

pub(crate) const RUNS: &str = ".xtask/runs";
const REPORT: &str = "report.html";

/// One that has a journal.
pub(crate) struct KeptRun {
    root: PathBuf,
    pub(crate) id: String,
    pub(crate) story: Story,
}

impl KeptRun {
    /// The run of this id, or the only one whose id begins like this.
    pub(crate) fn find(root: &Path, wanted: &str) -> Result<Self> {
        let ids = ids(&root.join(RUNS));
        let id = pick(&ids, wanted)?;
        Self::read(root, id).ok_or_else(|| {
            Failure::configuration(format!("failed to read the journal of the run {id}"))
                .hint(format!("is it of another version? it is in {RUNS}/{id}/{EVENTS}"))
        })
    }

    /// All of them, the newest first. What is none is passed over.
    pub(crate) fn all(root: &Path) -> Vec<Self> {
        ids(&root.join(RUNS)).iter().filter_map(|id| Self::read(root, id)).collect()
    }

    /// The newest one that can be read.
    pub(crate) fn newest(root: &Path) -> Option<Self> {
        ids(&root.join(RUNS)).iter().find_map(|id| Self::read(root, id))
    }

    fn read(root: &Path, id: &str) -> Option<Self> {
        // Lossy: a line that a kill cut off may end inside of a character.
        let text = fs::read(root.join(RUNS).join(id).join(EVENTS)).ok()?;
        let story = Story::read(&String::from_utf8_lossy(&text))?;
        Some(Self { root: root.to_owned(), id: id.to_owned(), story })
    }

    /// From the repository's root.
    pub(crate) fn journal(&self) -> PathBuf {
        Path::new(RUNS).join(&self.id).join(EVENTS)
    }

    /// From the repository's root; of a run that was killed there is none yet.
    pub(crate) fn report(&self) -> Option<PathBuf> {
        let path = Path::new(RUNS).join(&self.id).join(REPORT);
        self.root.join(&path).exists().then_some(path)
    }

    /// Writes it whole, for its owner alone as the journal is; gives its path from the repository's root.
    pub(crate) fn write_report(&self) -> Result<PathBuf> {
        let path = Path::new(RUNS).join(&self.id).join(REPORT);
        agenix::write_atomic(&self.root.join(&path), report::html(&self.story).as_bytes())?;
        Ok(path)
    }
}

/// The runs, the newest first.
pub(super) fn ids(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids
}

fn pick<'a>(ids: &'a [String], wanted: &str) -> Result<&'a String> {
    if let Some(exact) = ids.iter().find(|id| *id == wanted) {
        return Ok(exact);
    }
    let begins: Vec<&String> = ids.iter().filter(|id| !wanted.is_empty() && id.starts_with(wanted)).collect();
    let usage = |message: String| Failure::new(Kind::Usage, message);
    match begins[..] {
        [only] => Ok(only),
        [first, .., last] => Err(usage(format!("{} runs begin with `{wanted}`", begins.len()))
            .hint(format!("name one of them in full: {last} … {first}"))),
        [] => {
            let nearest = fleet::nearest(wanted, ids.iter().map(String::as_str));
            let hint = match nearest {
                _ if ids.is_empty() => "no run has been kept yet: cargo xtask deploy HOST".to_owned(),
                Some(nearest) => format!("did you mean {nearest}? All of them: cargo xtask report --list"),
                None => "all of them: cargo xtask report --list".to_owned(),
            };
            Err(usage(format!("there is no run `{wanted}`")).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_run_is_named_by_its_beginning_if_that_is_its_own() {
        let ids = ["2026-11-27T10-00-00Z-12", "2026-11-27T09-00-00Z-7", "2026-11-26T09-00-00Z-7"]
            .map(str::to_owned);
        let told = |wanted: &str| match pick(&ids, wanted) {
            Ok(id) => format!("{id}\n"),
            Err(failure) => console::strip_ansi_codes(&failure.block()).into_owned(),
        };
        let all = ["2026-11-27T09-00-00Z-7", "2026-11-26", "2026-11-27T", "2026-11-28", ""];
        expect![[r#"
            2026-11-27T09-00-00Z-7
            2026-11-26T09-00-00Z-7
            error: 2 runs begin with `2026-11-27T`
            hint: name one of them in full: 2026-11-27T09-00-00Z-7 … 2026-11-27T10-00-00Z-12
            error: there is no run `2026-11-28`
            hint: did you mean 2026-11-26T09-00-00Z-7? All of them: cargo xtask report --list
            error: there is no run ``
            hint: all of them: cargo xtask report --list
        "#]]
        .assert_eq(&all.map(told).concat());
        let none = pick(&[], "2026").unwrap_err();
        assert_eq!(none.hint.as_deref(), Some("no run has been kept yet: cargo xtask deploy HOST"));
    }
}
