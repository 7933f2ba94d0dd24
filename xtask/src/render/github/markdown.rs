//! The job summary: the end of a run, a refusal, or what `check` found, as a page of Markdown.
//!
//! All text in it is escaped: the words of a host are no table, no link and no HTML. What tools said stands in a fence that
//! is longer than any in it.

use std::fmt::Write as _;

use console::strip_ansi_codes;
use pipeline::Report;

use super::Finding;
use crate::failure::Failure;
use crate::playbook::Plan;
use crate::render::summary;

pub(super) fn of_run(plan: &Plan, report: &Report<Failure>) -> String {
    let mark = if report.failures.is_empty() { "✅" } else { "❌" };
    let verdict = summary::verdict(report);
    let mut text = format!("### {mark} {}: {}\n\n", escaped(&plan.title), escaped(&verdict));
    text += "| | changed | skipped | time | outcome |\n|---|--:|--:|--:|---|\n";
    for row in summary::rows(plan, report) {
        let _ = writeln!(text, "| {} |", row.map(|cell| escaped(&cell)).join(" | "));
    }
    for failure in &report.failures {
        let title = format!("{}: {}", failure.step.subject, failure.step.step);
        text += &details(&title, &failure.error);
    }
    text + "\n"
}

pub(super) fn of_refusal(failure: &Failure) -> String {
    format!("### ❌ {}\n{}\n", escaped(&failure.message), told(failure))
}

pub(super) fn of_findings(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "### ✅ check: nothing was found\n\n".to_owned();
    }
    let mut text = format!("### ❌ check: {} found\n\n| | finding | hint |\n|---|---|---|\n", findings.len());
    for Finding { subject, text: finding, hint } in findings {
        let cells = [subject, finding, hint.as_deref().unwrap_or_default()].map(escaped);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text + "\n"
}

/// A failure that can be folded away.
fn details(title: &str, failure: &Failure) -> String {
    let summary = format!("<b>{}</b>: {}", escaped(title), escaped(&failure.message));
    format!("\n<details open><summary>{summary}</summary>\n{}\n</details>\n", told(failure))
}

/// What a tool said last, what became of it, what to do.
fn told(failure: &Failure) -> String {
    let mut text = String::new();
    if !failure.tail.is_empty() {
        let tail = failure.tail.join("\n");
        let tail = strip_ansi_codes(&tail);
        let fence = "`".repeat(longest_run(&tail).max(2) + 1);
        let _ = write!(text, "\n{fence}text\n{tail}\n{fence}\n");
    }
    for note in &failure.notes {
        let _ = write!(text, "\n**note:** {}\n", escaped(note));
    }
    if let Some(hint) = &failure.hint {
        let _ = write!(text, "\n**hint:** {}\n", escaped(hint));
    }
    text
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// One line in which nothing means anything.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in strip_ansi_codes(text).chars() {
        match c {
            '&' | '<' | '>' | '|' | '\\' | '`' | '*' | '_' | '~' | '[' | ']' | '#' | '@' | '$' => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
