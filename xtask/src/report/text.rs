//! The same for a terminal, and for whoever reads a log: what the run was, a row a host, every failure.

use std::fmt::Write as _;
use std::time::Duration;

use console::Alignment::{Left, Right};
use console::style;

use super::critical;
use super::story::{Outcome, Story};
use crate::render;

/// `240 ms`, `3.2 s`, `45 s`, `3 min 20 s`.
pub(crate) fn took(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ => render::time(Duration::from_millis(milliseconds)),
    }
}

/// `2026-11-27 09:54:33 UTC`, of a time as a journal has it.
pub(crate) fn time(at: &str) -> String {
    let whole = at.get(..19).unwrap_or(at);
    format!("{} UTC", whole.replace('T', " "))
}

pub(crate) fn text(story: &Story) -> String {
    let mut text = String::new();
    let code = story.exit_code().filter(|code| *code != 0);
    let code = code.map_or_else(String::new, |code| format!(" (exit code {code})"));
    let verdict = format!("{}{code}", story.verdict());
    let verdict = match story.outcome() {
        "ok" => style(verdict).green(),
        "unfinished" => style(verdict).yellow(),
        _ => style(verdict).red().bold(),
    };
    let _ = writeln!(text, "{}  {verdict}", style(clean(&story.title)).bold());
    let _ = writeln!(text, "{}, {}", time(&story.at), took(story.length));
    rows(&mut text, story);
    let path = critical::path(story);
    if path.len() > 1 {
        let mut longest = path.clone();
        longest.sort_by_key(|index| std::cmp::Reverse(story.steps[*index].took()));
        let of = |index: &usize| {
            let step = &story.steps[*index];
            format!("{} {} {}", clean(&step.id.subject), clean(&step.id.step), took(step.took()))
        };
        let longest: Vec<String> = longest.iter().take(3).map(of).collect();
        let _ = writeln!(text, "\nwhat it waited for most: {}", longest.join(", "));
    }
    for failure in &story.failures {
        let _ = writeln!(text, "\n{} {}", style("error:").red().bold(), clean(&failure.error));
        for line in &failure.tail {
            let _ = writeln!(text, "  {} {}", style("│").dim(), clean(line));
        }
        for note in &failure.notes {
            let _ = writeln!(text, "{} {}", style("note:").yellow().bold(), clean(note));
        }
        if let Some(hint) = &failure.hint {
            let _ = writeln!(text, "{} {}", style("hint:").cyan().bold(), clean(hint));
        }
    }
    text
}

/// What hosts said may hold what a terminal obeys.
fn clean(text: &str) -> String {
    let plain = console::strip_ansi_codes(text);
    plain.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn rows(text: &mut String, story: &Story) {
    let subjects = story.subjects();
    if subjects.is_empty() {
        return;
    }
    let heading = ["", "changed", "skipped", "time", "outcome"].map(|title| style(title).bold().to_string());
    let row = |subject: &&str| {
        let tally = story.tally(subject);
        let words = style(clean(&tally.words));
        let outcome = match tally.outcome {
            Outcome::Failed => words.red(),
            Outcome::CutOff => words.yellow(),
            _ => words,
        };
        [
            clean(subject),
            tally.changed.to_string(),
            tally.skipped.to_string(),
            took(tally.milliseconds),
            outcome.to_string(),
        ]
    };
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(subjects.iter().map(row)).collect();
    text.push('\n');
    for line in render::columns(&rows, [Left, Right, Right, Right, Left]) {
        let _ = writeln!(text, "  {line}");
    }
}
