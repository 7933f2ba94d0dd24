//! A recording: what a real K3s did, a text of sections, and how an observation is compared with it.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Something in which the stand-in is not like the real one.
pub(super) struct Difference {
    pub(super) section: &'static str,
    /// The recording's line.
    pub(super) real: &'static str,
    /// The stand-in's lines in its place; none where it has nothing like it.
    pub(super) stand_in: &'static [&'static str],
    pub(super) reason: &'static str,
}

pub(super) struct Recording {
    file: File,
}

/// `k3s-1.35.txt` for `1.35.4+k3s1`: patch releases are taken to be alike, until a run says that they are not.
fn path(folder: &Path, version: &str) -> PathBuf {
    let minor: Vec<&str> = version.split('.').take(2).collect();
    folder.join(format!("k3s-{}.txt", minor.join(".")))
}

/// A recording of any version.
pub(super) fn newest(folder: &Path) -> Option<Recording> {
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let newest = files.filter(|path| path.extension().is_some_and(|it| it == "txt")).max()?;
    Some(Recording { file: File::open(newest).unwrap() })
}

impl Recording {
    /// Of this version's minor version. One that is not there is made where that was asked for.
    pub(super) fn open(folder: &Path, version: &str, is_real: bool) -> Self {
        let path = path(folder, version);
        let writes = is_real && is_update();
        let file = File::options().read(true).write(writes).create(writes).truncate(false).open(&path);
        let hint = "with a real K3s, UPDATE_EXPECT=1 makes it";
        Self { file: file.unwrap_or_else(|error| panic!("{}: {error}; {hint}", path.display())) }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        (&self.file).rewind().unwrap();
        (&self.file).read_to_string(&mut text).unwrap();
        text
    }

    /// The lines of a section.
    pub(super) fn lines(&self, section: &str) -> Vec<String> {
        let (_, lines, _) = parts(&self.text(), section);
        lines
    }

    /// The real K3s still does what was recorded; or the recording becomes what it does now.
    pub(super) fn is_or_becomes(&self, section: &str, seen: &[String]) {
        if !is_update() {
            return compare(section, &self.lines(section), seen, "UPDATE_EXPECT=1 records what was seen");
        }
        // Several tests write into one file, each its own section.
        flock(&self.file, FlockOperation::LockExclusive).unwrap();
        let text = self.text();
        let (before, _, behind) = parts(&text, section);
        let new = format!(
            "{before}[{section}]\n{}\n{behind}",
            seen.iter().map(|line| format!("{line}\n")).collect::<String>()
        );
        (&self.file).rewind().unwrap();
        self.file.set_len(0).unwrap();
        (&self.file).write_all(new.as_bytes()).unwrap();
    }

    /// The stand-in does what was recorded, and else exactly what the differences say.
    pub(super) fn agrees_but_for(&self, section: &str, seen: &[String], differences: &[Difference]) {
        let lines = self.lines(section);
        assert!(!lines.is_empty(), "nothing is recorded of: {section}");
        let expected: Vec<String> = (lines.into_iter())
            .flat_map(|line| {
                let other = differences.iter().find(|it| it.section == section && it.real == line);
                other.map_or_else(
                    || vec![line],
                    |it| it.stand_in.iter().map(|&line| line.to_owned()).collect(),
                )
            })
            .collect();
        compare(
            section,
            &expected,
            seen,
            "the stand-in has to do what was recorded, or differences.rs to say why not",
        );
    }
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

/// What stands before a section, its lines, and what stands behind it. A new section comes last.
fn parts(text: &str, section: &str) -> (String, Vec<String>, String) {
    let heading = format!("[{section}]\n");
    let Some(start) = text.find(&heading) else { return (text.to_owned(), Vec::new(), String::new()) };
    let rest = &text[start + heading.len()..];
    let end = rest.find("\n[").map_or(rest.len(), |end| end + 1);
    let lines = rest[..end].lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    (text[..start].to_owned(), lines, rest[end..].to_owned())
}

#[track_caller]
fn compare(section: &str, expected: &[String], seen: &[String], hint: &str) {
    if expected == seen {
        return;
    }
    let lacking = expected.iter().filter(|line| !seen.contains(line)).map(|line| format!("- {line}\n"));
    let more = seen.iter().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}\n"));
    let mut told: String = lacking.chain(more).collect();
    if told.is_empty() {
        told = format!("the order is another one:\n{}\n", seen.join("\n"));
    }
    panic!("[{section}] - recorded, + seen:\n{told}{hint}");
}

/// A text without what is different each time: times, hashes, numbers of processes. On one line.
pub(super) fn without_chance(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        words.push(word.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).map(part).collect::<String>());
    }
    words.join(" ")
}

/// A run of letters and digits with what ends it.
fn part(part: &str) -> String {
    let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_hex = word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex {
        return part.replacen(word, &format!("HEX{}", word.len()), 1);
    }
    match word.strip_prefix("K10") {
        Some(hash) if hash.len() == 64 => part.replacen(hash, "HEX64", 1),
        _ => part.to_owned(),
    }
}

#[test]
fn what_is_different_each_time_is_left_out() {
    let hash = "0123456789abcdef".repeat(4);
    let said = format!("a  {hash} != 0{hash}\nK10{hash}::node:{hash} 6443");
    assert_eq!(without_chance(&said), "a HEX64 != HEX65 K10HEX64::node:HEX64 6443");
}

#[test]
fn a_section_is_replaced_where_it_stands() {
    let text = "# note\n\n[one]\na: 1\n\n[two]\nb: 2\n";
    assert_eq!(
        parts(text, "one"),
        ("# note\n\n".to_owned(), vec!["a: 1".to_owned()], "[two]\nb: 2\n".to_owned())
    );
    assert_eq!(parts(text, "three"), (text.to_owned(), Vec::new(), String::new()));
}
