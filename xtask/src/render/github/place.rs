//! Where in the repository a failure is: the file and line that its texts name.
//!
//! Nix names files of a copy of the repository in its store, `/nix/store/…-source/hosts/maia/default.nix:12:3`; and so it
//! does with those of nixpkgs. What is not a file here as well is nobody's annotation.

use std::path::Path;

use crate::failure::Failure;

/// A file of the repository, and a line if one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// From the repository's root.
    pub(super) file: String,
    /// 1-based.
    pub(super) line: Option<usize>,
}

/// The repository's files.
pub(super) struct Files<'a> {
    pub(super) root: &'a Path,
    pub(super) exists: &'a dyn Fn(&Path) -> bool,
}

/// The place that a failure names: in its message; else the last in what its tool said, which is the innermost of a trace.
pub(super) fn of_failure(failure: &Failure, files: &Files<'_>) -> Option<Place> {
    let in_message = in_text(&failure.message, files);
    if in_message.as_ref().is_some_and(|place| place.line.is_some()) {
        return in_message;
    }
    let in_tail = failure.tail.iter().rev().flat_map(|line| places(line, files));
    in_tail.into_iter().find(|place| place.line.is_some()).or(in_message)
}

/// The first place that a text names, one with a line if there is one.
pub(super) fn in_text(text: &str, files: &Files<'_>) -> Option<Place> {
    let all: Vec<Place> = places(text, files).collect();
    all.iter().find(|place| place.line.is_some()).or(all.first()).cloned()
}

/// Where the fleet or the rules say something about what `check` looked at: `hosts.maia`, `secrets/wifi.age`.
pub(super) fn of_subject(subject: &str, read: impl Fn(&str) -> String) -> Option<Place> {
    let (file, wanted) = match subject.strip_prefix("hosts.") {
        Some(_) => ("hosts/fleet.toml", format!("[{subject}]")),
        None if subject.ends_with(".age") => ("secrets.nix", format!("\"{subject}\"")),
        None => return None,
    };
    let line = read(file).lines().position(|line| line.trim_start().starts_with(&wanted));
    Some(Place { file: file.to_owned(), line: line.map(|index| index + 1) })
}

fn places<'a>(text: &'a str, files: &'a Files<'_>) -> impl Iterator<Item = Place> + 'a {
    let words = text.split(|c: char| c.is_whitespace() || "\"'`«»()[],;".contains(c));
    words.filter_map(|word| place(word, files))
}

/// `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`.
fn place(word: &str, files: &Files<'_>) -> Option<Place> {
    let mut parts = word.split(':');
    let file = inside(parts.next()?, files.root)?;
    // A word is a file's name only if it looks like one.
    let is_ours = file.contains('.') && !file.split('/').any(|part| part == "..");
    (is_ours && (files.exists)(&files.root.join(file)))
        .then(|| Place { file: file.to_owned(), line: parts.next().and_then(|line| line.parse().ok()) })
}

/// The path from the root, of a path that is there, or in a copy of the repository in the store.
fn inside<'a>(path: &'a str, root: &Path) -> Option<&'a str> {
    if !path.starts_with('/') {
        return Some(path);
    }
    if let Some(rest) = root.to_str().and_then(|root| path.strip_prefix(root)) {
        return rest.strip_prefix('/');
    }
    let (copy, file) = path.strip_prefix("/nix/store/")?.split_once('/')?;
    copy.ends_with("-source").then_some(file)
}
