//! The newest run, for who wants to know where one stands.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use super::{EVENTS, RUNS, ids};
use crate::events::FailureEvent;
use crate::playbook::Rotated;
use crate::report::Story;

/// A run, as its journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) id: String,
    /// `deploy maia`
    pub(crate) title: String,
    pub(crate) begun: SystemTime,
    pub(crate) end: End,
    pub(crate) kind: RunKind,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    /// The first failure: where, and what; and the exit code.
    Failed {
        at: String,
        error: String,
        code: u8,
    },
    /// By a kill, or a power cut.
    CutOff,
    /// Not yet: its process is there.
    UnderWay,
}

/// What one can go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunKind {
    Deploy,
    Rotation(Rotated),
    Other,
}

impl Last {
    /// `None` without a run whose journal can be read.
    pub(crate) fn read(root: &Path) -> Option<Self> {
        let runs = root.join(RUNS);
        let read = |id: &String| {
            let text = fs::read_to_string(runs.join(id).join(EVENTS)).ok()?;
            parse(id, &text, is_running(id))
        };
        ids(&runs).iter().find_map(read)
    }
}

/// The process of a run is the last part of its id. A number is given again: so the process has to be one of ours.
fn is_running(id: &str) -> bool {
    let process = id.rsplit('-').next().unwrap_or_default();
    fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim_end() == "xtask")
}

fn parse(id: &str, text: &str, is_running: bool) -> Option<Last> {
    // What was refused before its first step is no run: the refusal was told.
    let story = Story::read(text).filter(|story| story.has_begun)?;
    let first: Value = serde_json::from_str(text.lines().next()?).ok()?;
    let kind = match serde_json::from_value(first["rotation"].clone()) {
        Ok(of) => RunKind::Rotation(of),
        Err(_) if first["asked"].is_object() => RunKind::Deploy,
        Err(_) => RunKind::Other,
    };
    let end = match story.exit_code() {
        Some(0) => End::Well,
        Some(code) => failed(story.failures.first(), code),
        None if is_running => End::UnderWay,
        None => End::CutOff,
    };
    let begun = humantime::parse_rfc3339(&story.at).ok()?;
    Some(Last { id: id.to_owned(), title: story.title, begun, end, kind })
}

fn failed(failure: Option<&FailureEvent>, code: u8) -> End {
    let word = |word: Option<&String>| word.cloned().unwrap_or_default();
    let at = |failure: &FailureEvent| {
        format!("{} of {}", word(failure.step.as_ref()), word(failure.subject.as_ref()))
    };
    End::Failed {
        at: failure.map(at).unwrap_or_default(),
        error: word(failure.map(|failure| &failure.error)),
        code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: &str = r#"{"event":"run","version":1,"id":"id-1","title":"deploy maia","asked":{},"at":"2026-01-02T03:04:05.000Z"}"#;

    fn end(lines: &[&str], is_running: bool) -> End {
        let started = r#"{"event":"run-started","title":"deploy maia","steps":9}"#;
        parse("id-1", &format!("{BEGUN}\n{started}\n{}", lines.join("\n")), is_running).unwrap().end
    }

    #[test]
    fn a_run_ended_well_badly_by_a_kill_or_not_yet() {
        assert_eq!(end(&[r#"{"event":"run-finished","ok":true,"not_reached":[]}"#], false), End::Well);
        assert_eq!(end(&[r#"{"event":"step-star"#], false), End::CutOff);
        assert_eq!(end(&[], true), End::UnderWay);
        let failure = r#"{"event":"failure","stage":"agents","step":"gate","subject":"maia","error":"k3s is not active","tail":[],"notes":[],"hint":null,"exit_code":7}"#;
        let failed =
            End::Failed { at: "gate of maia".to_owned(), error: "k3s is not active".to_owned(), code: 7 };
        assert_eq!(end(&[r#"{"event":"run-finished","ok":false,"not_reached":[]}"#, failure], false), failed);
    }

    #[test]
    fn what_never_began_or_is_no_journal_of_this_version_is_none() {
        assert_eq!(parse("id-1", BEGUN, true), None);
        assert_eq!(parse("id-1", "", false), None);
        assert_eq!(parse("id-1", &BEGUN.replace("\"version\":1", "\"version\":9"), false), None);
    }
}
