//! The live view as lines: pure, from what is known of a run and the size of the terminal to what is drawn there.
//!
//! One line a host that is being worked on, its columns where they were a moment ago; below them one line on the whole.
//! Where there are more hosts than lines, those that have taken the longest, and counts of the others.

use std::time::Duration;

use console::{StyledObject, measure_text_width, style, truncate_str};
use pipeline::{Amount, Amounts, Outcome};

use super::board::{Board, Running, Settled};
use super::glyphs::Glyphs;
use super::summary;

/// A step that takes longer than this shows what its tool said last.
const SLOW: Duration = Duration::from_secs(2);
/// The widest name of a step, "boot default".
const STEP: usize = 12;
/// `12m05s`
const TIME: usize = 6;
/// Below this a last line says nothing.
const LEAST: usize = 16;
const BAR: usize = 10;

/// What there is to draw on, and with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) glyphs: Glyphs,
    /// Which picture of the spinner.
    pub(super) frame: usize,
    /// Somebody has asked us to stop.
    pub(super) stopping: bool,
}

/// The lines that change.
pub(super) fn live(board: &Board, now: Duration, look: &Look) -> Vec<String> {
    if board.is_over || board.steps == 0 {
        return Vec::new();
    }
    // Half of the terminal, so that all of it still fits when lines wrap in a window that has just been made narrower.
    let room = (look.height / 2).saturating_sub(1).max(2);
    let mut lines: Vec<String> = if board.running.len() <= room {
        board.running.iter().map(|it| running(board, it, now, look)).collect()
    } else {
        folded(board, room, now, look)
    };
    lines.push(whole(board, now, look));
    lines.iter().map(|line| cut(line, look)).collect()
}

/// What stays in the terminal.
pub(super) fn settled(line: &Settled, board: &Board, look: &Look) -> Vec<String> {
    let lines = match line {
        Settled::Title(title) => vec![style(title).bold().for_stderr().to_string()],
        Settled::Stage(stage) => vec![style(stage).cyan().for_stderr().to_string()],
        Settled::Step { step, outcome, elapsed, amounts, tail } => {
            let glyphs = look.glyphs;
            let (mark, text) = match outcome {
                Outcome::Changed { detail } | Outcome::Done { detail } => {
                    (style(glyphs.done).green(), style(detail.clone()))
                }
                Outcome::Skipped { reason } => (style(glyphs.skipped).dim(), style(reason.clone()).dim()),
                Outcome::Failed { error } => (style(glyphs.failed).red().bold(), style(error.clone()).red()),
            };
            let built = match amounts.builds.done {
                0 => String::new(),
                builds => dim(format!(" {} {builds} built", glyphs.dot)).to_string(),
            };
            let head = head(board, &step.subject, &step.step, *elapsed, look);
            let mut lines = vec![format!("  {} {head}  {}{built}", mark.for_stderr(), text.for_stderr())];
            let told = tail.iter().map(|line| dim(without_hashes(line)));
            lines.extend(told.map(|line| format!("    {} {line}", dim(glyphs.output))));
            lines
        }
    };
    lines.iter().map(|line| cut(line, look)).collect()
}

/// The columns that all lines about a step have.
fn head(board: &Board, subject: &str, step: &str, elapsed: Duration, look: &Look) -> String {
    let width = board.subject_width.min(look.width / 4);
    let subject = truncate_str(subject, width, look.glyphs.more);
    format!("{subject:width$}  {step:STEP$}  {}", dim(format!("{:>TIME$}", short_time(elapsed))))
}

fn running(board: &Board, step: &Running, now: Duration, look: &Look) -> String {
    let elapsed = now.saturating_sub(step.since);
    let spinner = style(look.glyphs.spinner[look.frame % look.glyphs.spinner.len()]).cyan().for_stderr();
    let mut line = format!("  {spinner} {}", head(board, &step.step.subject, &step.step.step, elapsed, look));
    let room = |line: &str| look.width.saturating_sub(measure_text_width(line) + 2);
    let progress = progress(&step.amounts, look.glyphs, room(&line));
    if !progress.is_empty() {
        line = format!("{line}  {progress}");
    }
    let room = room(&line);
    if let Some(last) = step.last.back().filter(|_| elapsed >= SLOW && room >= LEAST) {
        line = format!("{line}  {}", dim(truncate_str(&without_hashes(last.trim()), room, look.glyphs.more)));
    }
    line
}

/// As much as there is room for, what matters most first.
fn progress(amounts: &Amounts, glyphs: Glyphs, room: usize) -> String {
    let all = [amounts.bytes, amounts.paths, amounts.builds];
    let open = all.iter().any(|it| it.done < it.expected);
    // What is complete is of no interest while something else is not.
    let matters = |it: Amount| it.expected > 0 && (!open || it.done < it.expected);
    let some = |it: Amount, text: String| matters(it).then_some(text);
    let bar = some(amounts.bytes, bar(amounts.bytes, glyphs, BAR));
    let bytes = some(amounts.bytes, bytes_of(amounts.bytes));
    let paths = some(amounts.paths, count_of(amounts.paths, "paths"));
    let builds = some(amounts.builds, count_of(amounts.builds, "builds"));
    let choices: [&[&Option<String>]; 5] = [
        &[&builds, &bar, &bytes, &paths],
        &[&builds, &bytes, &paths],
        &[&builds, &bytes],
        &[&bytes],
        &[if builds.is_some() { &builds } else { &paths }],
    ];
    let texts = choices.map(|parts| {
        let parts: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
        parts.join("  ")
    });
    let fits = |text: &&String| !text.is_empty() && measure_text_width(text) <= room;
    texts.iter().find(fits).cloned().unwrap_or_default()
}

/// Store paths by their names: of `/nix/store/…-linux-6.12.drv` the first 44 characters say nothing at a glance.
fn without_hashes(line: &str) -> String {
    let mut parts = line.split("/nix/store/");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hash = part.bytes().take_while(u8::is_ascii_alphanumeric).count();
        match part[hash..].strip_prefix('-') {
            Some(name) if hash == 32 => text += name,
            _ => text += &format!("/nix/store/{part}"),
        }
    }
    text
}

fn folded(board: &Board, room: usize, now: Duration, look: &Look) -> Vec<String> {
    let mut slowest: Vec<&Running> = board.running.iter().collect();
    slowest.sort_by_key(|it| it.since);
    let rest = slowest.split_off(room - 1);
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for step in &rest {
        match counts.iter_mut().find(|(name, _)| *name == step.step.step) {
            Some((_, count)) => *count += 1,
            None => counts.push((&step.step.step, 1)),
        }
    }
    counts.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let mut lines: Vec<String> = slowest.iter().map(|it| running(board, it, now, look)).collect();
    let text = format!("  {} and {} more: {}", look.glyphs.more, rest.len(), counts.join(", "));
    lines.push(dim(text).to_string());
    lines
}

fn whole(board: &Board, now: Duration, look: &Look) -> String {
    let (dot, now) = (look.glyphs.dot, short_time(now));
    if look.stopping {
        let text = format!(
            "  stopping {dot} hosts are put in order first; ctrl-C again ends it at once {dot} {now}"
        );
        return style(text).yellow().for_stderr().to_string();
    }
    let amount = Amount { done: board.ended as u64, expected: board.steps as u64 };
    let text = format!("{}/{} steps {dot} {} {dot} {now}", board.ended, board.steps, board.stage);
    format!("  {} {}", bar(amount, look.glyphs, 2 * BAR), dim(text))
}

fn bar(amount: Amount, glyphs: Glyphs, width: usize) -> String {
    let share = amount.done.min(amount.expected) as f64 / amount.expected.max(1) as f64;
    let full = (share * width as f64) as usize;
    let (full, empty) = (glyphs.full.repeat(full), glyphs.empty.repeat(width - full));
    format!("{}{}", style(full).cyan().for_stderr(), dim(empty))
}

/// How far a step is, as a plain line says it.
pub(super) fn in_words(amounts: &Amounts) -> String {
    let mut parts = Vec::new();
    for (amount, what) in [(amounts.builds, "builds"), (amounts.paths, "paths")] {
        if amount.expected > 0 {
            parts.push(count_of(amount, what));
        }
    }
    if amounts.bytes.expected > 0 {
        parts.push(bytes_of(amounts.bytes));
    }
    parts.join(", ")
}

fn count_of(amount: Amount, what: &str) -> String {
    format!("{}/{} {what}", amount.done, amount.expected)
}

/// `0.3/3.1 MiB`, both in the unit of the larger.
fn bytes_of(amount: Amount) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (amount.expected.max(1).ilog2() / 10).min(4);
    let number = |bytes: u64| {
        let value = bytes as f64 / f64::from(power * 10).exp2();
        format!("{value:.*}", usize::from(value < 10.0 && power > 0))
    };
    format!("{}/{} {}", number(amount.done), number(amount.expected), units[power as usize])
}

/// `0.4 s`, `12 s`, `3m20s`, `1h02m`: never wider than its column.
pub(super) fn short_time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => summary::time(duration),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

fn dim<T: std::fmt::Display>(text: T) -> StyledObject<String> {
    style(text.to_string()).dim().for_stderr()
}

fn cut(line: &str, look: &Look) -> String {
    truncate_str(line, look.width, look.glyphs.more).into_owned()
}

#[cfg(test)]
mod tests;
