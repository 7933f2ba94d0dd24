//! The drop-in does what the original agenix 0.15 does, but for the differences that we want.
//!
//! `tests/differential/recorded.json` is what the original did in each case of `cases.json`; `run.py` made it
//! and lets the drop-in go through the same cases here. Where ours does otherwise on purpose, the step has
//! `differs`: an id (`difference`), a reason (`why`), and what ours does:
//!
//! - `exit`, `stdout`, `stderr`, `files`, `left`: exactly this in place of what was recorded; `exit` may be
//!   `"fails"`.
//! - `stdout_has`, `stderr_has`: our own words, some at least, with these in them.
//! - `stdout_lacks`, `stderr_lacks`: our own words, maybe none, without these in them.
//! - `stdout_keeps_but`: every recorded line in its order, and more, but for lines that begin like these.
//!
//! A difference that is none fails, too: what is written down about ours has to be true.
//!
//! One case by hand: `python3 run.py PROGRAM NAME`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::keys::must;

const FIELDS: [&str; 5] = ["exit", "stdout", "stderr", "files", "left"];

#[test]
fn every_case_ends_as_recorded_or_as_it_is_said_to_differ() {
    let cases = json("cases.json");
    let recorded = &json("recorded.json")["cases"];
    let ours = executed_by(env!("CARGO_BIN_EXE_agenix"));
    let problems: Vec<String> = array(&cases)
        .iter()
        .flat_map(|case| {
            let name = text(&case["name"]);
            case_problems(case, &recorded[name], &ours[name])
        })
        .collect();
    assert!(problems.is_empty(), "{} differences:\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn cases_and_recordings_have_the_same_names() {
    let cases = json("cases.json");
    let names: BTreeSet<&str> = array(&cases).iter().map(|case| text(&case["name"])).collect();
    assert_eq!(names.len(), array(&cases).len(), "two cases have the same name");
    let recorded = json("recorded.json");
    let recorded = recorded["cases"].as_object().expect("cases by name");
    assert_eq!(names, recorded.keys().map(String::as_str).collect(), "run record.py");
}

#[test]
fn every_difference_is_in_the_manual() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/secrets.md");
    let manual = fs::read_to_string(manual).expect("docs/secrets.md");
    let cases = json("cases.json");
    let steps = array(&cases).iter().flat_map(|case| array(&case["run"]));
    let ids: BTreeSet<&str> =
        steps.filter_map(|step| step.get("differs")).map(|differs| text(&differs["difference"])).collect();
    let missing: Vec<&&str> = ids.iter().filter(|id| !manual.contains(&format!("`{id}`"))).collect();
    assert!(missing.is_empty(), "docs/secrets.md does not tell of {missing:?}");
}

fn executed_by(program: &str) -> Value {
    let driver = differential("run.py");
    // -B: python's cache has no place among the tests.
    let output = must("python3", &["-B", &driver, program]);
    serde_json::from_slice(&output).expect("JSON of run.py")
}

fn case_problems(case: &Value, recorded: &Value, ours: &Value) -> Vec<String> {
    let name = text(&case["name"]);
    if recorded["digest"] != ours["digest"] {
        return vec![format!("{name}: changed since it was recorded; run record.py")];
    }
    let mut problems = Vec::new();
    for (index, step) in array(&case["run"]).iter().enumerate() {
        let (recorded, ours) = (&recorded["steps"][index], &ours["steps"][index]);
        for problem in step_problems(step, recorded, ours) {
            problems.push(format!("{name}, step {}, {}: {problem}", index + 1, command(step)));
        }
    }
    problems
}

fn step_problems(step: &Value, recorded: &Value, ours: &Value) -> Vec<String> {
    let differs = step.get("differs");
    let mut problems: Vec<String> = differs.into_iter().flat_map(malformed).collect();
    for field in FIELDS {
        let (recorded, ours) = (&recorded[field], &ours[field]);
        let result = Wanted::of(field, differs).and_then(|wanted| wanted.check(recorded, ours));
        problems.extend(result.err().map(|problem| {
            format!("{field}: {problem}\n  recorded: {}\n  ours:     {}", shown(recorded), shown(ours))
        }));
    }
    problems
}

/// A typo in `differs` would turn its check off.
fn malformed(differs: &Value) -> Vec<String> {
    const OTHERS: [&str; 7] =
        ["difference", "why", "stdout_has", "stderr_has", "stdout_lacks", "stderr_lacks", "stdout_keeps_but"];
    let keys = differs.as_object().expect("a set").keys().map(String::as_str);
    let unknown = keys.filter(|key| !FIELDS.contains(key) && !OTHERS.contains(key));
    let unknown = unknown.map(|key| format!("`differs` has an unknown {key:?}"));
    let empty =
        ["difference", "why"].into_iter().filter(|key| differs[*key].as_str().is_none_or(str::is_empty));
    unknown.chain(empty.map(|key| format!("`differs` has no {key:?}"))).collect()
}

/// What ours has to do with one field of one step.
enum Wanted<'a> {
    AsRecorded,
    Exactly(&'a Value),
    Failure,
    Words { has: Option<&'a [Value]>, lacks: &'a [Value] },
    LinesBut(&'a [Value]),
}

impl<'a> Wanted<'a> {
    fn of(field: &str, differs: Option<&'a Value>) -> Result<Self, String> {
        let Some(differs) = differs else { return Ok(Self::AsRecorded) };
        let list = |suffix: &str| differs.get(format!("{field}_{suffix}")).map(array);
        match (differs.get(field), list("has"), list("lacks"), list("keeps_but")) {
            (None, None, None, None) => Ok(Self::AsRecorded),
            (Some(wanted), None, None, None) if field == "exit" && wanted == "fails" => Ok(Self::Failure),
            (Some(wanted), None, None, None) => Ok(Self::Exactly(wanted)),
            (None, None, None, Some(but)) => Ok(Self::LinesBut(but)),
            (None, has, lacks, None) => Ok(Self::Words { has, lacks: lacks.unwrap_or_default() }),
            _ => Err("`differs` says two things about it".to_owned()),
        }
    }

    fn check(&self, recorded: &Value, ours: &Value) -> Result<(), String> {
        if self.is_no_difference(recorded, ours) {
            return Err("`differs` mentions it, and it is as in the recording".to_owned());
        }
        match self {
            Self::AsRecorded => holds(ours == recorded, "not as recorded"),
            Self::Exactly(wanted) => {
                holds(ours == *wanted, &format!("not as `differs` says\n  wanted:   {}", shown(wanted)))
            }
            Self::Failure => holds(*ours != 0, "`differs` says that it fails"),
            Self::Words { has, lacks } => words(text(ours), *has, lacks),
            Self::LinesBut(but) => lines_kept(text(recorded), text(ours), but),
        }
    }

    fn is_no_difference(&self, recorded: &Value, ours: &Value) -> bool {
        match self {
            Self::AsRecorded => false,
            Self::Exactly(wanted) => *wanted == recorded,
            Self::Failure => *recorded != 0,
            Self::Words { .. } | Self::LinesBut(_) => ours == recorded,
        }
    }
}

fn words(ours: &str, has: Option<&[Value]>, lacks: &[Value]) -> Result<(), String> {
    holds(has.is_none() || !ours.is_empty(), "nothing was said")?;
    for fragment in has.unwrap_or_default().iter().map(text) {
        holds(ours.contains(fragment), &format!("{fragment:?} is not in it"))?;
    }
    for fragment in lacks.iter().map(text) {
        holds(!ours.contains(fragment), &format!("{fragment:?} is in it"))?;
    }
    Ok(())
}

fn lines_kept(recorded: &str, ours: &str, but: &[Value]) -> Result<(), String> {
    let mut lines = ours.lines();
    for line in recorded.lines().filter(|line| !but.iter().any(|start| line.starts_with(text(start)))) {
        holds(lines.any(|found| found == line), &format!("{line:?} is missing, or not in its place"))?;
    }
    Ok(())
}

fn holds(condition: bool, problem: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(problem.to_owned()) }
}

/// A step as one would type it.
fn command(step: &Value) -> String {
    let words = array(&step["args"]).iter().map(|word| format!(" {}", text(word)));
    format!("agenix{}", words.collect::<String>())
}

/// Texts over several lines stay readable in a long list of problems.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) if text.trim_end().contains('\n') => text.trim_end().replace('\n', "\n    | "),
        _ => value.to_string(),
    }
}

fn differential(name: &str) -> String {
    format!("{}/tests/differential/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn json(name: &str) -> Value {
    let text = fs::read_to_string(differential(name)).expect(name);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text is wanted, not {value}"))
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("a list is wanted, not {value}"))
}
