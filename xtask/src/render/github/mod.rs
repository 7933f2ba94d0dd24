//! What a runner of GitHub Actions understands: groups that fold, annotations at file and line, a job summary.
//!
//! It is chosen by `GITHUB_ACTIONS=true` and writes to standard error, which the runner reads as well: so `--json` keeps
//! standard output for its events, and whoever looks at the log sees what happened. Each stage is a group, with all that
//! its tools say, since a group is folded. Failures come behind the last of them, where nobody has to unfold anything.
//!
//! What is printed may be the words of a host that means harm, and to the runner a line can be a command. So nothing from
//! outside is printed but through [`line::harmless`] or escaped. Left out: masks, since no secret is ever printed.

mod line;
mod markdown;
mod place;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agenix::secrecy::ExposeSecret as _;
use pipeline::{Event, Outcome, Report};

use super::{Renderer, json, summary};
use crate::cli::{Global, Here};
use crate::failure::Failure;
use crate::playbook::Plan;
use line::{Level, annotation, harmless};

/// Does a runner read what we print?
pub(crate) fn on_runner() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Draws a run for the runner, beside the events where those were asked for.
pub(super) struct Github {
    events: Option<json::Json>,
    group_is_open: bool,
}

impl Github {
    pub(super) fn new(global: &Global) -> Self {
        Self { events: global.json.then_some(json::Json), group_is_open: false }
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.group_is_open) {
            eprintln!("::endgroup::");
        }
    }
}

impl Renderer for Github {
    fn event(&mut self, event: &Event) {
        if let Some(events) = &mut self.events {
            events.event(event);
        }
        match event {
            Event::StageStarted { .. } | Event::RunFinished { .. } => self.end_group(),
            _ => {}
        }
        if let Some(line) = log_line(event) {
            eprintln!("{line}");
        }
        self.group_is_open |= matches!(event, Event::StageStarted { .. });
    }

    fn report(&mut self, plan: &Plan, report: &Report<Failure>) {
        if let Some(events) = &mut self.events {
            events.report(plan, report);
        }
        self.end_group();
        let table = summary::table(plan, report);
        table.lines().for_each(|line| eprintln!("{}", harmless(line)));
        let root = root();
        for failure in &report.failures {
            let title = format!("{}: {}", failure.step.subject, failure.step.step);
            eprint!("\n{}", failure_lines(&title, &failure.error, &files(&root)));
        }
        append_to_summary(&markdown::of_run(plan, report));
    }
}

/// What an event is in the log.
fn log_line(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStarted { title, steps } => harmless(&format!("{title}: {steps} steps")),
        Event::StageStarted { stage, subjects } => {
            line::command("group", &[], &format!("{stage} ({})", subjects.join(", ")))
        }
        Event::StepProgress { step, line } => harmless(&format!("{}  {}  {line}", step.subject, step.step)),
        Event::StepFinished { step, outcome, milliseconds } => {
            let time = summary::time(Duration::from_millis(*milliseconds));
            let (mark, text) = match outcome {
                Outcome::Changed { detail } | Outcome::Done { detail } => ("done", detail.as_str()),
                Outcome::Skipped { reason } => ("skip", reason.as_str()),
                Outcome::Failed { error } => ("FAIL", error.as_str()),
            };
            harmless(&format!("{mark}  {}  {}  {time}  {text}", step.subject, step.step))
        }
        Event::StepStarted { .. }
        | Event::StepAmount { .. }
        | Event::StepFact { .. }
        | Event::RunFinished { .. } => return None,
    })
}

/// A failure outside of a run: a refusal, as an annotation and in the job summary.
pub(crate) fn refused(failure: &Failure) {
    eprint!("{}", failure_lines("cargo xtask", failure, &files(&root())));
    append_to_summary(&markdown::of_refusal(failure));
}

/// One thing that `check` found wrong.
pub(crate) struct Finding {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

/// What `check` found wrong: an annotation each, where the repository says it.
pub(crate) fn found(findings: &[Finding]) {
    let root = root();
    for finding in findings {
        let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let Finding { subject, text, hint } = finding;
        let place = place::of_subject(subject, read).or_else(|| place::in_text(text, &files(&root)));
        eprintln!("{}", annotation(Level::Error, subject, place.as_ref(), &with_hint(text, hint.as_deref())));
    }
    append_to_summary(&markdown::of_findings(findings));
}

/// What is worth knowing and no failure.
pub(crate) fn warn(text: &str) {
    eprintln!("{}", annotation(Level::Warning, "cargo xtask", None, text));
}

/// While it lives, the runner takes no line of standard output for a command: for what is passed on as it comes.
pub(crate) struct Silence(String);

/// Begins it, where a runner reads standard output.
pub(crate) fn silence() -> crate::failure::Result<Option<Silence>> {
    let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    if !on_runner() || stdout.metadata()?.is_file() {
        return Ok(None);
    }
    // Nobody who writes into a journal on a host can guess it.
    let token = agenix::random_hex(16)?.expose_secret().to_owned();
    let _ = writeln!(std::io::stdout(), "::stop-commands::{token}");
    Ok(Some(Silence(token)))
}

impl Drop for Silence {
    fn drop(&mut self) {
        // On a line of its own, whatever the last one was.
        let _ = writeln!(std::io::stdout(), "\n::{}::", self.0);
    }
}

/// What a command prints on standard output: as it is, but to a runner no line of it is a command.
pub(crate) fn said(text: String) -> String {
    if on_runner() { line::harmless_output(&text) } else { text }
}

/// A failure as the log shows it: the annotation, the tool's lines, what became of it.
fn failure_lines(title: &str, failure: &Failure, files: &place::Files<'_>) -> String {
    let place = place::of_failure(failure, files);
    // What nix calls the error says more than that its caller failed.
    let error = failure.tail.iter().rev().find(|line| line.trim_start().starts_with("error: "));
    let message = [Some(&failure.message), error].into_iter().flatten().map(|line| line.trim());
    let text = with_hint(&message.collect::<Vec<_>>().join("\n"), failure.hint.as_deref());
    let mut lines = annotation(Level::Error, title, place.as_ref(), &text) + "\n";
    for line in &failure.tail {
        lines += &format!("  │ {}\n", harmless(line));
    }
    for note in &failure.notes {
        lines += &(annotation(Level::Warning, title, None, note) + "\n");
    }
    lines
}

fn with_hint(text: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| text.to_owned(), |hint| format!("{text}\nhint: {hint}"))
}

/// The repository that we stand in, found without a process: it is asked for when everything else may have failed.
fn root() -> PathBuf {
    Here::find().map_or_else(|| std::env::current_dir().unwrap_or_default(), |here| here.root().to_owned())
}

fn files(root: &Path) -> place::Files<'_> {
    place::Files { root, exists: &|path: &Path| path.is_file() }
}

fn append_to_summary(markdown: &str) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(markdown.as_bytes())) {
        eprintln!("warning: the job summary cannot be written: {error}");
    }
}
