//! The end of a run: a table with a row a host, then every failure in full.

use std::fmt::Write;
use std::time::Duration;

use console::Alignment::{self, Left, Right};
use console::{Term, measure_text_width, pad_str, style, truncate_str};
use pipeline::{Outcome, Report};

use crate::failure::Failure;
use crate::playbook::{Plan, REPOSITORY};

/// `0.4 s`, `12 s`, `3 min 20 s`.
pub(crate) fn time(duration: Duration) -> String {
    match duration.as_secs() {
        // As a clock tells it: rounded, 9.96 s would be `10.0 s`, and wider than what comes before and after.
        whole @ 0..10 => format!("{whole}.{} s", duration.subsec_millis() / 100),
        whole @ 10..60 => format!("{whole} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

pub(super) fn summary(plan: &Plan, report: &Report<Failure>) -> String {
    let mut text = table(plan, report);
    for failure in &report.failures {
        let _ = write!(text, "\n{}", failure.error.block());
    }
    text
}

/// A row for each subject, and the verdict.
pub(super) fn table(plan: &Plan, report: &Report<Failure>) -> String {
    // A row has its line, as wide as the terminal is; without one nothing is cut.
    let room = Term::stderr().size_checked().map_or(usize::MAX, |(_, width)| width.into());
    let mut text = String::new();
    let heading = ["", "changed", "skipped", "time", "outcome"]
        .map(|title| style(title).bold().for_stderr().to_string());
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(rows(plan, report)).collect();
    for line in columns(&rows, [Left, Right, Right, Right, Left]) {
        let _ = writeln!(text, "{}", truncate_str(&format!("  {line}"), room, "…"));
    }
    let _ = writeln!(text, "\n{}", verdict(report));
    text
}

/// Rows as lines, each column as wide as its widest cell; behind the last one there is nothing.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]], sides: [Alignment; N]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cell = |column: usize| pad_str(&row[column], widths[column], sides[column], None);
        (0..N).map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Subject, steps that changed something, steps that were skipped, time, outcome.
pub(super) fn rows(plan: &Plan, report: &Report<Failure>) -> Vec<[String; 5]> {
    let mut subjects: Vec<&str> = Vec::new();
    for (_, track, _) in plan.steps() {
        if !subjects.contains(&track.subject.as_str()) {
            subjects.push(&track.subject);
        }
    }
    subjects.iter().map(|subject| row(subject, report)).collect()
}

fn row(subject: &str, report: &Report<Failure>) -> [String; 5] {
    let of_subject = || report.steps.iter().filter(|step| step.step.subject == subject);
    let count =
        |wanted: fn(&Outcome) -> bool| of_subject().filter(|step| wanted(&step.outcome)).count().to_string();
    let elapsed: Duration = of_subject().map(|step| step.elapsed).sum();
    let not_reached = report.not_reached.iter().find(|step| step.subject == subject);
    let failed = report.failures.iter().find(|failure| failure.step.subject == subject);
    let outcome = match (failed, not_reached) {
        (Some(failure), _) => style(format!("failed at {}", failure.step.step)).red(),
        (None, Some(step)) if of_subject().next().is_none() => {
            style(format!("not touched; first would be {}", step.step)).yellow()
        }
        (None, Some(step)) => style(format!("stopped before {} ({})", step.step, step.stage)).yellow(),
        (None, None) if subject == REPOSITORY => style("ready".to_owned()),
        (None, None) => {
            let last = of_subject().next_back().map(|step| match &step.outcome {
                Outcome::Changed { detail } | Outcome::Done { detail } => detail.clone(),
                Outcome::Skipped { reason } => reason.clone(),
                Outcome::Failed { error } => error.clone(),
            });
            style(last.unwrap_or_default())
        }
    };
    [
        subject.to_owned(),
        count(|outcome| matches!(outcome, Outcome::Changed { .. })),
        count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
        time(elapsed),
        outcome.for_stderr().to_string(),
    ]
}

pub(super) fn verdict(report: &Report<Failure>) -> String {
    let elapsed = time(report.elapsed);
    let changed = report.steps.iter().any(|step| matches!(step.outcome, Outcome::Changed { .. }));
    if !report.failures.is_empty() {
        let text = match report.not_reached.len() {
            0 => format!("failed after {elapsed}"),
            1 => format!("failed after {elapsed}; one step was not reached"),
            more => format!("failed after {elapsed}; {more} steps were not reached"),
        };
        return style(text).red().bold().for_stderr().to_string();
    }
    let text = if changed {
        format!("done in {elapsed}")
    } else {
        format!("all is well; nothing was changed ({elapsed})")
    };
    style(text).green().bold().for_stderr().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_a_clock_does() {
        let shown = [0, 440, 9_990, 10_000, 59_900, 200_000].map(|it| time(Duration::from_millis(it)));
        assert_eq!(shown, ["0.0 s", "0.4 s", "9.9 s", "10 s", "59 s", "3 min 20 s"]);
    }
}
