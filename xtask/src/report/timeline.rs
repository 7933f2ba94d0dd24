//! The timeline: a row a host, a bar a step, stages as bands behind them, the critical path as a line below its steps.
//!
//! Times are percentages of the drawing's width, so that it fits any screen without a script and its letters stay as they
//! are. Each bar is a link to its step in the table, which also says all of it in words.

use std::fmt::Write as _;

use super::escape::Text;
use super::story::{Outcome, Step, Story};
use super::text::took;

/// Pixels.
const ROW: usize = 36;
const BAR: usize = 22;
const HEAD: usize = 26;
const FOOT: usize = 26;
/// The drawing is at least this wide: what fits then fits always.
const LEAST: f64 = 720.0;
/// Of a letter, on average.
const LETTER: f64 = 6.6;
/// In percent: what takes no time is still seen.
const THIN: f64 = 0.35;

pub(super) fn timeline(story: &Story, path: &[usize]) -> String {
    let subjects: Vec<&str> = story
        .subjects()
        .into_iter()
        .filter(|subject| story.steps.iter().any(|step| step.id.subject == *subject))
        .collect();
    let height = HEAD + subjects.len() * ROW + FOOT;
    let scale = Scale { length: story.length.max(1) as f64 };
    let mut page = String::from("<div class=timeline>\n<div class=names aria-hidden=true>\n");
    for subject in &subjects {
        let _ = writeln!(page, "<span>{}</span>", Text(subject));
    }
    let _ = write!(
        page,
        "</div>\n<div class=drawing role=region aria-label=\"Timeline\" tabindex=0>\n\
         <svg role=group aria-label=\"{} over {}\" width=\"100%\" height=\"{height}\">\n",
        if story.steps.len() == 1 { "one step".to_owned() } else { format!("{} steps", story.steps.len()) },
        took(story.length)
    );
    bands(&mut page, story, &scale, height);
    axis(&mut page, &scale, height);
    for (row, _) in subjects.iter().enumerate() {
        let y = HEAD + row * ROW;
        let _ = writeln!(page, "<line class=row x1=0 x2=\"100%\" y1={y} y2={y} />");
    }
    let row = |step: &Step| subjects.iter().position(|subject| *subject == step.id.subject).unwrap_or(0);
    critical(&mut page, story, path, &scale, &row);
    for (index, step) in story.steps.iter().enumerate() {
        bar(&mut page, (index, step), &scale, row(step), path.contains(&index));
    }
    page + "</svg>\n</div>\n</div>\n"
}

struct Scale {
    length: f64,
}

impl Scale {
    /// In percent.
    fn at(&self, milliseconds: u64) -> f64 {
        milliseconds as f64 / self.length * 100.0
    }

    fn fits(&self, text: &str, percent: f64) -> bool {
        text.chars().count() as f64 * LETTER + 10.0 <= percent / 100.0 * LEAST
    }
}

fn bands(page: &mut String, story: &Story, scale: &Scale, height: usize) {
    for (index, stage) in story.stages.iter().enumerate() {
        let (x, end) = (scale.at(stage.from), scale.at(stage.to));
        let width = (end - x).max(THIN);
        let class = if index % 2 == 0 { "band" } else { "band odd" };
        let name = Text(&stage.name);
        let _ = write!(
            page,
            "<svg class=\"{class}\" x=\"{x:.2}%\" y=0 width=\"{width:.2}%\" height=\"{height}\">\
             <title>stage {name}, {}</title><rect width=\"100%\" height=\"100%\" />",
            took(stage.to - stage.from)
        );
        if scale.fits(&stage.name, width) {
            let _ = write!(page, "<text x=5 y=17>{name}</text>");
        }
        page.push_str("</svg>\n");
    }
}

fn axis(page: &mut String, scale: &Scale, height: usize) {
    let step = tick(scale.length);
    let (top, bottom) = (HEAD, height - FOOT);
    let mut at = 0;
    while at as f64 <= scale.length {
        let x = scale.at(at);
        // The last one has no room on its right.
        let side = if x > 94.0 { " class=last" } else { "" };
        let label = if at == 0 { "0".to_owned() } else { label(at) };
        let _ = writeln!(
            page,
            "<line class=tick x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1={top} y2={} /><text class=time{side} x=\"{x:.2}%\" y={}>{label}</text>",
            bottom + 5,
            bottom + 19,
            side = if side.is_empty() { "" } else { " text-anchor=end" },
        );
        at += step;
    }
}

/// At most nine of them.
fn tick(length: f64) -> u64 {
    TICKS.into_iter().find(|tick| length / *tick as f64 <= 9.0).unwrap_or(24 * 3_600_000)
}

/// As clocks are divided.
const TICKS: [u64; 24] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000,
    600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
];

/// Without the digits that a tick has no use for.
fn label(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ if milliseconds.is_multiple_of(60_000) => format!("{} min", milliseconds / 60_000),
        _ if milliseconds.is_multiple_of(1000) => format!("{} s", milliseconds / 1000),
        _ => format!("{:.1} s", milliseconds as f64 / 1000.0),
    }
}

fn bar(page: &mut String, (index, step): (usize, &Step), scale: &Scale, row: usize, is_critical: bool) {
    let x = scale.at(step.from);
    let width = (scale.at(step.to) - x).max(THIN);
    let y = HEAD + row * ROW + (ROW - BAR) / 2 - 2;
    let class = match step.outcome {
        Outcome::CutOff => "cut-off",
        outcome => outcome.word(),
    };
    let on_path = if is_critical { ", on the critical path" } else { "" };
    let (subject, name) = (Text(&step.id.subject), Text(&step.id.step));
    let words = format!("{subject}, {name}: {}, {}{on_path}", step.outcome.word(), took(step.took()));
    let _ = write!(
        page,
        "<a href=\"#s{index}\" class={class} aria-label=\"{words}\"><title>{words}\n{}</title>\
         <svg x=\"{x:.2}%\" y={y} width=\"{width:.2}%\" height={BAR}><rect width=\"100%\" height=\"100%\" rx=3 />",
        Text(&step.detail)
    );
    if scale.fits(&step.id.step, width) {
        let _ = write!(page, "<text x=6 y=15 aria-hidden=true>{name}</text>");
    }
    page.push_str("</svg></a>\n");
}

/// Below each of its steps, and down or up to the next one.
fn critical(page: &mut String, story: &Story, path: &[usize], scale: &Scale, row: &impl Fn(&Step) -> usize) {
    let y = |step: &Step| HEAD + row(step) * ROW + ROW - 5;
    page.push_str("<g class=critical aria-hidden=true>\n");
    let mut before: Option<&Step> = None;
    for step in path.iter().map(|index| &story.steps[*index]) {
        let (from, y) = (scale.at(step.from), y(step));
        let to = scale.at(step.to).max(from + THIN);
        if let Some(before) = before.filter(|before| row(before) != row(step)) {
            let above = HEAD + row(before) * ROW + ROW - 5;
            let _ = writeln!(page, "<line x1=\"{from:.2}%\" x2=\"{from:.2}%\" y1={above} y2={y} />");
        }
        let begin = before.map_or(from, |before| scale.at(before.to).min(from));
        let (begin, y_before) = (begin, before.map_or(y, |before| HEAD + row(before) * ROW + ROW - 5));
        if begin < from {
            let _ =
                writeln!(page, "<line x1=\"{begin:.2}%\" x2=\"{from:.2}%\" y1={y_before} y2={y_before} />");
        }
        let _ = writeln!(page, "<line x1=\"{from:.2}%\" x2=\"{to:.2}%\" y1={y} y2={y} />");
        before = Some(step);
    }
    page.push_str("</g>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (length, wanted) in [
            (45.0, "10 ms"),
            (900.0, "100 ms"),
            (6_100.0, "1 s"),
            (59_000.0, "10 s"),
            (200_000.0, "30 s"),
            (3_600_000.0, "10 min"),
        ] {
            let step = tick(length);
            assert_eq!(label(step), wanted, "of {length}");
            assert!((3.0..=9.0).contains(&(length / step as f64)), "{length}");
        }
    }
}
