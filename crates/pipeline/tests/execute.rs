//! The executor's promises, through its public face.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use pipeline::{Amount, Amounts, Event, Outcome, Plan, Step, Track, execute};

/// A subject and its steps.
type Row<'a> = (&'a str, &'a [&'static str]);

fn plan(stages: &[(&str, &[Row])]) -> Plan<&'static str> {
    let mut plan = Plan::new("test");
    for (name, tracks) in stages {
        let track = |(subject, steps): &Row| {
            Track::new(
                subject,
                steps.iter().map(|step| Step::new(*step, format!("does {step}"), *step)).collect(),
            )
        };
        plan.stage(*name, tracks.iter().map(track).collect());
    }
    plan
}

fn done() -> Result<Outcome, String> {
    Ok(Outcome::Done { detail: String::new() })
}

#[test]
fn a_failed_track_stops_what_has_not_begun_but_not_its_neighbour() {
    let plan = plan(&[
        ("build", &[("ocean", &["a", "boom", "b"]), ("maia", &["c", "d"])]),
        ("activate", &[("ocean", &["e"]), ("maia", &["f"])]),
    ]);
    let ran = Mutex::new(Vec::new());
    let both = Barrier::new(2);
    let act = |action: &&'static str, _: &_| {
        ran.lock().unwrap().push(*action);
        if ["a", "c"].contains(action) {
            both.wait();
        }
        if *action == "boom" { Err("it broke".to_owned()) } else { done() }
    };
    let report = execute(&plan, 2, || false, act, |_| {});
    ran.lock().unwrap().sort_unstable();
    assert_eq!(*ran.lock().unwrap(), ["a", "boom", "c", "d"]);
    assert_eq!(report.failures.len(), 1);
    assert_eq!(report.failures[0].error, "it broke");
    let names: Vec<&str> = report.not_reached.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(names, ["b", "e", "f"]);
}

#[test]
fn one_thread_begins_no_track_after_a_failure() {
    let plan = plan(&[("build", &[("ocean", &["boom"]), ("maia", &["c"])])]);
    let act =
        |action: &&'static str, _: &_| if *action == "boom" { Err("it broke".to_owned()) } else { done() };
    let report = execute(&plan, 1, || false, act, |_| {});
    assert_eq!((report.steps.len(), report.not_reached.len()), (1, 1));
}

/// Which actions were begun, in order, on one thread.
fn begun(plan: &Plan<&'static str>, stopped: fn() -> bool) -> Vec<&'static str> {
    let ran = Mutex::new(Vec::new());
    let act = |action: &&'static str, _: &_| {
        ran.lock().unwrap().push(*action);
        if action.starts_with("boom") { Err("it broke".to_owned()) } else { done() }
    };
    execute(plan, 1, stopped, act, |_| {});
    ran.into_inner().unwrap()
}

#[test]
fn a_plan_may_go_on_without_some_of_its_subjects() {
    let stages: &[(&str, &[Row])] = &[
        ("build", &[("maia", &["boom1"]), ("vega", &["a"]), ("zoe", &["boom2"])]),
        ("activate", &[("maia", &["b"]), ("vega", &["c"])]),
        ("verify", &[("maia", &["d"]), ("zoe", &["e"])]),
    ];
    let mut strict = plan(stages);
    assert_eq!(begun(&strict, || false), ["boom1"]);
    strict.allow(1, ["maia", "vega"]);
    assert_eq!(begun(&strict, || false), ["boom1", "a", "boom2"], "zoe may not fail");
    let mut lenient = plan(stages);
    lenient.allow(2, ["maia", "vega", "zoe"]);
    assert_eq!(begun(&lenient, || false), ["boom1", "a", "boom2", "c"]);
    assert_eq!(begun(&lenient, || true), ["boom1"], "somebody wants it to stop");
    let mut one = plan(stages);
    one.allow(1, ["maia", "vega", "zoe"]);
    assert_eq!(begun(&one, || false), ["boom1", "a", "boom2"]);
}

#[test]
fn a_harmless_stage_tells_all_that_is_wrong() {
    let mut plan = Plan::new("test");
    let track = |subject: &str, step| Track::new(subject, vec![Step::new(step, "", step)]);
    plan.harmless_stage(
        "preflight",
        vec![track("maia", "boom1"), track("ocean", "a"), track("zoe", "boom2")],
    );
    plan.stage("activate", vec![track("ocean", "b")]);
    assert_eq!(begun(&plan, || false), ["boom1", "a", "boom2"]);
    assert_eq!(begun(&plan, || true), ["boom1"]);
}

#[test]
fn tracks_run_side_by_side_up_to_jobs_and_stages_never() {
    let wide: &[Row] = &[("a", &["x"]), ("b", &["x"]), ("c", &["x"]), ("d", &["x"])];
    let plan = plan(&[("one", wide), ("two", wide)]);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let act = |_: &&'static str, _: &_| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        now.fetch_sub(1, Ordering::SeqCst);
        done()
    };
    let mut stages = Vec::new();
    execute(
        &plan,
        3,
        || false,
        act,
        |event| match event {
            Event::StageStarted { stage, .. } => stages.push(stage.clone()),
            Event::StepFinished { step, .. } => assert_eq!(Some(&step.stage), stages.last()),
            _ => {}
        },
    );
    assert_eq!((most.load(Ordering::SeqCst), stages.len()), (3, 2));
}

#[test]
fn events_are_one_line_of_json_each() {
    let plan = plan(&[("build", &[("ocean", &["build"])])]);
    let mut lines = Vec::new();
    let act = |_: &&'static str, progress: &pipeline::Progress<String>| {
        progress.line("building\n…");
        let amount = |done, expected| Amount { done, expected };
        progress.amounts(Amounts { builds: amount(1, 3), paths: amount(0, 0), bytes: amount(5, 6) });
        Ok(Outcome::Skipped { reason: "built already".to_owned() })
    };
    execute(&plan, 2, || false, act, |event| lines.push(serde_json::to_string(event).unwrap()));
    assert_eq!(lines[0], r#"{"event":"run-started","title":"test","steps":1}"#);
    assert_eq!(
        lines[3],
        r#"{"event":"step-progress","stage":"build","subject":"ocean","step":"build","line":"building\n…"}"#
    );
    assert_eq!(
        lines[4],
        r#"{"event":"step-amount","stage":"build","subject":"ocean","step":"build","builds":{"done":1,"expected":3},"paths":{"done":0,"expected":0},"bytes":{"done":5,"expected":6}}"#
    );
    assert!(lines[5].starts_with(
        r#"{"event":"step-finished","stage":"build","subject":"ocean","step":"build","outcome":"skipped","reason":"built already","milliseconds":"#
    ), "{}", lines[5]);
    assert!(lines[6].starts_with(r#"{"event":"run-finished","ok":true,"not_reached":[],"milliseconds":"#));
}

#[test]
fn an_empty_stage_is_no_stage() {
    let plan = plan(&[("nothing", &[("x", &[])]), ("build", &[("ocean", &["build"]), ("maia", &["build"])])]);
    let stages: Vec<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["build"]);
}
