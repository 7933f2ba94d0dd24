//! What a journal tells about a run that is over.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::runs::{RUNS, ids};
use super::{Asked, EVENTS};
use crate::events::VERSION;
use crate::failure::{Failure, Kind, Result};
use crate::playbook::Rotated;

/// A run that was to deploy something.
pub(crate) struct Past {
    pub(crate) id: String,
    pub(crate) asked: Asked,
    /// The flake as a store path, if it came that far.
    pub(crate) snapshot: Option<String>,
    /// A run that was refused before its first step is none that one can go on with.
    begun: bool,
    ended_well: bool,
}

impl Past {
    /// The run of this id, else the newest deploy; one that did not end well.
    pub(crate) fn unfinished(root: &Path, id: Option<&str>) -> Result<Self> {
        let runs = root.join(RUNS);
        let found = match id {
            Some(id) => ids(&runs).into_iter().find(|known| known == id).and_then(|id| read(&runs, id)),
            None => ids(&runs).into_iter().find_map(|id| read(&runs, id).filter(|past| past.begun)),
        };
        let hint = format!("the runs of this repository are in {RUNS}; without one: cargo xtask deploy HOST");
        let found = found.ok_or_else(|| {
            let what = id.map_or("there is no deploy to resume".to_owned(), |id| {
                format!("there is no deploy `{id}` to resume")
            });
            let all = ids(&runs);
            let nearest = id.and_then(|id| fleet::nearest(id, all.iter().map(String::as_str)));
            let meant = nearest.filter(|near| id != Some(near)).map(|near| format!("did you mean `{near}`?"));
            Failure::new(Kind::Usage, what).hint(meant.unwrap_or_else(|| hint.clone()))
        })?;
        if found.ended_well {
            let what = format!("the deploy {} ended well: there is nothing to resume", found.id);
            return Err(Failure::new(Kind::Usage, what).hint(hint));
        }
        Ok(found)
    }

    /// Was a rotation of this token begun here, and cut off?
    pub(crate) fn rotation_under_way(root: &Path, of: Rotated) -> bool {
        let runs = root.join(RUNS);
        let text = |id: &String| fs::read_to_string(runs.join(id).join(EVENTS)).ok();
        let newest = ids(&runs).iter().find_map(|id| under_way(&text(id)?, of));
        newest.unwrap_or(false)
    }
}

/// Was the newest rotation of this token begun, and has it not ended well?
fn under_way(text: &str, of: Rotated) -> Option<bool> {
    let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let rotated: Rotated = serde_json::from_value(events.first()?["rotation"].clone()).ok()?;
    let begun = events.iter().any(|event| event["event"] == "step-fact" && event["name"] == "rotation");
    let ended_well = events.iter().any(|event| event["event"] == "run-finished" && event["ok"] == true);
    (rotated == of).then_some(begun && !ended_well)
}

/// `None` for what is no deploy's journal, or one of another version.
fn read(runs: &Path, id: String) -> Option<Past> {
    let text = fs::read_to_string(runs.join(&id).join(EVENTS)).ok()?;
    parse(&text, id)
}

fn parse(text: &str, id: String) -> Option<Past> {
    // The last line of one that was killed may be cut off: it is no JSON then, and tells nothing.
    let mut events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut first = events.next()?;
    if first["version"] != VERSION {
        return None;
    }
    let asked: Asked = serde_json::from_value(first["asked"].take()).ok()?;
    let mut past = Past { id, asked, snapshot: None, begun: false, ended_well: false };
    for event in events {
        match event["event"].as_str() {
            Some("step-fact") if event["name"] == "snapshot" => {
                past.snapshot = event["value"].as_str().map(str::to_owned);
            }
            Some("run-started") => past.begun = true,
            Some("run-finished") => past.ended_well = event["ok"] == true,
            _ => {}
        }
    }
    Some(past)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"event":"run","version":1,"asked":{"title":"deploy maia","hosts":["maia"],"aim":
        {"goal":"switch","token":"expect","batch":null,"max_failures":0,"keep_going":false,"reboot":false},
        "overrides":[]}}"#;

    fn past(lines: &[&str]) -> Option<Past> {
        let first = FIRST.replace('\n', " ");
        parse(&format!("{first}\n{}", lines.join("\n")), "id".to_owned())
    }

    #[test]
    fn a_killed_run_has_its_newest_snapshot_and_no_end() {
        let snapshot = |path: &str| format!(r#"{{"event":"step-fact","name":"snapshot","value":"{path}"}}"#);
        let run =
            past(&[&snapshot("/nix/store/a-source"), &snapshot("/nix/store/b-source"), r#"{"event":"step-"#]);
        let run = run.unwrap();
        assert_eq!((run.snapshot.as_deref(), run.ended_well), (Some("/nix/store/b-source"), false));
        assert_eq!(run.asked.hosts, ["maia"]);
    }

    #[test]
    fn an_end_is_told_from_a_failure_and_another_version_is_not_read() {
        let refused = past(&[]).unwrap();
        assert!(!refused.begun && !refused.ended_well);
        assert!(past(&[r#"{"event":"run-started","title":"deploy maia","steps":9}"#]).unwrap().begun);
        assert!(past(&[r#"{"event":"run-finished","ok":true}"#]).unwrap().ended_well);
        assert!(!past(&[r#"{"event":"run-finished","ok":false}"#]).unwrap().ended_well);
        assert!(
            parse(&FIRST.replace('\n', " ").replace("\"version\":1", "\"version\":2"), String::new())
                .is_none()
        );
    }
}
