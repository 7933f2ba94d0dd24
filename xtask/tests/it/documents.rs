//! What the documents say of the code is there: each test that docs/security.md names, each file and page that they link.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Files of Rust below these folders.
fn sources() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("crates"), repository().join("xtask")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// `file::function` for each test: the file's name, or its folder's for a `mod.rs`.
fn tests() -> Vec<String> {
    let mut tests = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_stem().unwrap().to_str().unwrap();
        for after in text.split("#[test]\n").skip(1) {
            let function = after.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            tests.extend(function.map(|(name, _)| format!("{file}::{name}")));
        }
        // Each is two: on the stand-in, and on a real K3s.
        for after in text.split("each_k3s!(").skip(1) {
            let names = after.split_once(");").map_or("", |(names, _)| names).split(',').map(str::trim);
            tests.extend(names.filter(|name| !name.is_empty()).map(|name| format!("{file}::{name}")));
        }
    }
    tests
}

fn named_in(text: &str) -> Vec<&str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| code.contains("::") && !code.contains('…') && !code.contains(' ')).collect()
}

#[test]
fn every_test_that_the_security_model_names_is_there() {
    let tests = tests();
    assert!(tests.len() > 500, "{}", tests.len());
    let document = include_str!("../../../docs/security.md");
    let named = named_in(document);
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !tests.iter().any(|test| test == *name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // The control: what is no test is not found.
    assert!(!tests.contains(&"leaks::nothing_of_the_kind".to_owned()));
}

#[test]
fn the_oldest_k3s_is_that_of_the_code() {
    let oldest = k3s::version::OLDEST.to_string();
    let number = oldest.split('+').next().unwrap();
    for document in ["docs/runbook.md", "docs/nixos-options.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        assert!(
            text.contains(&format!("K3s {number}")) || text.contains(&format!("before {number}")),
            "{document}"
        );
    }
}

#[test]
fn every_promise_has_a_test() {
    let promises = include_str!("../../../docs/security.md").split("## From whom").nth(1).unwrap();
    let promises = promises.split("## What is not promised").next().unwrap();
    let rows = promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise "));
    for row in rows {
        assert!(!named_in(row).is_empty(), "{row}");
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for page in ["security.md", "contributing.md", "release.md"] {
        let folder = repository().join("docs");
        let text = fs::read_to_string(folder.join(page)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { folder.join(page) } else { folder.join(file) };
            assert!(Path::new(&file).is_file(), "{page}: {target}");
            let there = fs::read_to_string(&file).unwrap();
            let headings = there.lines().filter(|line| line.starts_with('#')).map(anchor_of);
            assert!(
                anchor.is_empty() || headings.into_iter().any(|heading| heading == anchor),
                "{page}: {target}"
            );
        }
    }
}

/// As GitHub makes it of a heading.
fn anchor_of(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
