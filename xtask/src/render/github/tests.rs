//! What the runner reads, exactly; and what a host that means harm cannot make it read.

use std::path::Path;
use std::time::Duration;

use expect_test::expect;
use pipeline::{Event, Outcome, Report, StepId, StepReport};

use super::line::{Level, annotation, harmless, harmless_output};
use super::place::{self, Files, Place};
use super::{Finding, failure_lines, log_line, markdown};
use crate::failure::{Failure, Kind};
use crate::playbook::Plan;

/// As the runner reads a line: is it a command, in the form of today or of yesterday? It ends lines at a carriage return.
fn is_command(text: &str) -> bool {
    console::strip_ansi_codes(text).split(['\r', '\n']).any(|line| {
        // Characters without a width are passed over by a comparison as a locale makes it.
        let line: String = line.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
        line.trim_start().starts_with("::") || line.contains("##[")
    })
}

const HARMFUL: [&str; 11] = [
    "::error::planted",
    "  ::add-mask::planted",
    "\t\u{a0}\u{3000}::stop-commands::planted",
    "progress 10 %\r::error::planted",
    "\r\n::error::planted",
    "##[error]planted",
    "all is well ##[set-output name=x;]planted",
    "\u{ad}::error::planted",
    ":\u{200b}:error::planted",
    "##\u{ad}[error]planted",
    "\u{1b}[31m::error::planted\u{1b}[0m",
];

fn step() -> StepId {
    StepId { stage: "agents".to_owned(), subject: "maia".to_owned(), step: "gate".to_owned() }
}

fn files(known: &[&'static str]) -> Vec<std::path::PathBuf> {
    known.iter().map(|file| Path::new("/home/me/cluster").join(file)).collect()
}

fn with_files<T>(known: &[&'static str], use_them: impl FnOnce(&Files<'_>) -> T) -> T {
    let known = files(known);
    let exists = |path: &Path| known.iter().any(|file| file == path);
    use_them(&Files { root: Path::new("/home/me/cluster"), exists: &exists })
}

#[test]
fn the_words_of_a_host_are_no_command() {
    for text in HARMFUL {
        assert!(is_command(text), "no harm in {text:?}, so it proves nothing");
        assert!(!is_command(&harmless(text)), "{:?}", harmless(text));
        assert!(!is_command(&harmless_output(text)), "{:?}", harmless_output(text));
        let line = text.to_owned();
        for event in [
            Event::StepProgress { step: step(), line: line.clone() },
            Event::StepFinished {
                step: step(),
                outcome: Outcome::Done { detail: line.clone() },
                milliseconds: 1,
            },
            Event::RunStarted { title: line, steps: 1 },
        ] {
            let shown = log_line(&event).expect("it is shown");
            assert!(!is_command(&shown), "{shown:?}");
        }
    }
}

#[test]
fn a_failure_with_the_words_of_a_host_gives_our_annotations_only() {
    for text in HARMFUL {
        let failure = Failure::new(Kind::Verification, text).tail(&[text.to_owned()]).also(text.to_owned());
        let lines = with_files(&[], |files| failure_lines(text, &failure.hint(text.to_owned()), files));
        let names: Vec<&str> = lines
            .lines()
            .filter(|line| is_command(line))
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(names, ["::error", "::warning"], "{lines:?}");
        assert!(!lines.contains('\r'), "{lines:?}");
    }
}

#[test]
fn lines_of_json_stay_what_they_are() {
    let line = "{\"line\":\"##[error]x ::error::\"}";
    let shown = harmless_output(line);
    assert!(!is_command(&shown));
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&shown), value(line));
    assert_eq!(harmless_output("one\n::error::x\n## [link]"), "one\n\\::error::x\n## [link]");
}

#[test]
fn annotations_are_escaped_as_the_runner_reads_them() {
    let place = Place { file: "hosts/a,b:c.nix".to_owned(), line: Some(3) };
    let there = annotation(Level::Error, "maia: 100%, gate", Some(&place), "50% of it\r\nhint: a, b");
    expect![
        "::error file=hosts/a%2Cb%3Ac.nix,line=3,title=maia%3A 100%25%2C gate::50%25 of it%0D%0Ahint: a, b"
    ]
    .assert_eq(&there);
    let nowhere = annotation(Level::Warning, "maia", None, "was rolled back");
    expect!["::warning title=maia::was rolled back"].assert_eq(&nowhere);
}

#[test]
fn a_failure_is_annotated_where_it_says() {
    let known = ["hosts/fleet.toml", "hosts/maia/default.nix", "secrets.nix", "flake.nix"];
    let of = |message: &str, tail: &[&str]| {
        let tail: Vec<String> = tail.iter().map(ToString::to_string).collect();
        let failure = Failure::configuration(message).tail(&tail);
        let place = with_files(&known, |files| place::of_failure(&failure, files));
        place.map(|place| format!("{} {:?}", place.file, place.line))
    };
    let of = |message: &str, tail: &[&str]| of(message, tail).unwrap_or_else(|| "nowhere".to_owned());
    let store = "/nix/store/0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c-source";
    assert_eq!(of("hosts/fleet.toml:45: unknown field", &[]), "hosts/fleet.toml Some(45)");
    assert_eq!(of("hosts/fleet.toml: no first server", &[]), "hosts/fleet.toml None");
    assert_eq!(
        of("secrets.nix does not evaluate: x", &["at /home/me/cluster/secrets.nix:12:3:"]),
        "secrets.nix Some(12)"
    );
    let trace = [
        &format!("at {store}/hosts/maia/default.nix:12:3:")[..],
        &format!("at {store}/lib/modules.nix:7:1:"),
        "error: undefined variable 'foo'",
        &format!("at «{store}/hosts/maia/default.nix»:14:9:"),
    ];
    assert_eq!(of("nix build failed", &trace[..3]), "hosts/maia/default.nix Some(12)");
    assert_eq!(of("nix build failed", &trace), "hosts/maia/default.nix Some(12)");
    assert_eq!(of("maia does not answer at 100.64.0.5:22", &[]), "nowhere");
    assert_eq!(of("../../etc/passwd:1 and /etc/passwd:1", &[]), "nowhere");
    assert_eq!(of("/nix/store/x-source/../../../etc/passwd:1", &[]), "nowhere");
}

#[test]
fn a_finding_of_check_is_annotated_where_the_repository_says_it() {
    let read = |file: &str| match file {
        "hosts/fleet.toml" => "[cluster]\n\n[hosts.maia]\nrole = 1\n".to_owned(),
        "secrets.nix" => "{\n  \"secrets/a.age\".publicKeys = x;\n}\n".to_owned(),
        _ => panic!("{file}"),
    };
    let of = |subject: &str| place::of_subject(subject, read).map(|place| (place.file, place.line));
    assert_eq!(of("hosts.maia"), Some(("hosts/fleet.toml".to_owned(), Some(3))));
    assert_eq!(of("secrets/a.age"), Some(("secrets.nix".to_owned(), Some(2))));
    assert_eq!(of("secrets/derived.age"), Some(("secrets.nix".to_owned(), None)));
    assert_eq!(of("git"), None);
}

#[test]
fn the_job_summary_of_a_failed_run_is_a_table_and_each_failure() {
    let mut plan = Plan::new("deploy maia");
    let track = |subject: &str| pipeline::Track::new(subject, Vec::new());
    plan.stages.push(pipeline::Stage {
        name: "agents".to_owned(),
        tracks: vec![track("maia")],
        harmless: false,
    });
    let tail = vec!["```".to_owned(), "\u{1b}[31m::error::</details> $(x)\u{1b}[0m".to_owned()];
    let error = Failure::new(Kind::Verification, "maia | <b>is</b> `not` [well](x)")
        .tail(&tail)
        .also("rolled back".to_owned())
        .hint("cargo xtask doctor maia".to_owned());
    let failed = Outcome::Failed { error: "is not well".to_owned() };
    let report = Report {
        steps: vec![StepReport { step: step(), outcome: failed, elapsed: Duration::from_secs(2) }],
        failures: vec![pipeline::Failure { step: step(), error }],
        not_reached: vec![],
        elapsed: Duration::from_secs(75),
    };
    expect![[r#"
        ### ❌ deploy maia: failed after 1 min 15 s

        | | changed | skipped | time | outcome |
        |---|--:|--:|--:|---|

        <details open><summary><b>maia: gate</b>: maia &#124; &#60;b&#62;is&#60;/b&#62; &#96;not&#96; &#91;well&#93;(x)</summary>

        ````text
        ```
        ::error::</details> $(x)
        ````

        **note:** rolled back

        **hint:** cargo xtask doctor maia

        </details>

    "#]]
    .assert_eq(&markdown::of_run(&plan, &report));
}

#[test]
fn the_job_summary_of_check_tells_each_finding() {
    expect!["### ✅ check: nothing was found\n\n"].assert_eq(&markdown::of_findings(&[]));
    let finding = Finding {
        subject: "secrets/a_b.age".to_owned(),
        text: "a | b\nc".to_owned(),
        hint: Some("`x`".to_owned()),
    };
    expect![[r#"
        ### ❌ check: 1 found

        | | finding | hint |
        |---|---|---|
        | secrets/a&#95;b.age | a &#124; b c | &#96;x&#96; |

    "#]]
    .assert_eq(&markdown::of_findings(&[finding]));
}
