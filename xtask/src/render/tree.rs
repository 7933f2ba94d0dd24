//! A plan as a tree that a person reads in ten seconds: stages, hosts, steps. Pure: from the very value that is executed to
//! text.
//!
//! Hosts of a stage with the same steps are shown once, by their names, and so are batches that only differ in who is in them:
//! forty agents are no more to read than four.

mod alike;

use console::{measure_text_width, style};

use self::alike::{Batches, Group};
use super::glyphs::Glyphs;
use crate::playbook::{Action, Plan};

/// A subject's column is no wider: longer lists of names have lines of their own.
const SUBJECTS: usize = 20;
/// Narrower than this nothing is wrapped.
const LEAST: usize = 20;

/// From a step's action to the command lines behind it.
pub(crate) type CommandsOf<'a> = dyn Fn(&Action) -> Vec<String> + 'a;

/// How to draw it.
pub(crate) struct Paper<'a> {
    /// Of the terminal; none where it is no terminal, and whoever reads it cuts by himself.
    pub(crate) width: Option<usize>,
    pub(crate) glyphs: Glyphs,
    /// The command lines behind a step, if they are to be shown.
    pub(crate) commands: Option<&'a CommandsOf<'a>>,
}

/// The whole plan.
pub(crate) fn tree(plan: &Plan, paper: &Paper<'_>) -> String {
    let mut text = format!("{}\n", style(&plan.title).bold());
    for allowance in &plan.allowances {
        let most = allowance.failures.min(allowance.subjects.len());
        let names: Vec<&str> = allowance.subjects.iter().map(String::as_str).collect();
        let who = alike::list(&names);
        let line = format!("goes on without them if up to {most} of these fail: {who}");
        wrapped(&mut text, "", "  ", &line, paper.width);
    }
    let stages = alike::batches(&plan.stages);
    let columns = Columns::of(&stages);
    let mut number = 1;
    for (index, stage) in stages.iter().enumerate() {
        let is_last = index + 1 == stages.len();
        let (sign, past) = signs(is_last, paper.glyphs);
        text += &format!("{}{}\n", dim(sign), heading(stage, number, paper.glyphs));
        number += stage.count();
        for (index, group) in stage.groups.iter().enumerate() {
            let (sign, beyond) = signs(index + 1 == stage.groups.len(), paper.glyphs);
            let first = format!("{past}{sign}");
            draw_group(&mut text, group, (&first, &format!("{past}{beyond}")), &columns, paper);
        }
    }
    text
}

struct Columns {
    subject: usize,
    step: usize,
}

impl Columns {
    fn of(stages: &[Batches<'_>]) -> Self {
        let groups = || stages.iter().flat_map(|stage| &stage.groups);
        let subjects = groups().map(|group| group.names().chars().count()).filter(|width| *width <= SUBJECTS);
        let steps = groups().flat_map(|group| &group.steps).map(|step| step.name.chars().count());
        Self { subject: subjects.max().unwrap_or(0), step: steps.max().unwrap_or(0) }
    }
}

fn heading(stage: &Batches<'_>, number: usize, glyphs: Glyphs) -> String {
    let last = number + stage.count() - 1;
    let numbers = if stage.count() > 1 { format!("{number} to {last}") } else { number.to_string() };
    let how = match (stage.count(), stage.side_by_side) {
        (1, true) => format!(" {} side by side", glyphs.dot),
        (1, false) => String::new(),
        (count, _) => format!(" {} in {count} batches, one after the other", glyphs.dot),
    };
    format!("{} {}{}", dim(&format!("{numbers}.")), style(stage.name).cyan().bold(), dim(&how))
}

/// `signs` leads to its first line, and past it to the others.
fn draw_group(
    text: &mut String,
    group: &Group<'_>,
    signs: (&str, &str),
    columns: &Columns,
    paper: &Paper<'_>,
) {
    let (first, past) = signs;
    let names = group.names();
    let fits = names.chars().count() <= columns.subject;
    let gap = " ".repeat(columns.subject + 2);
    if !fits {
        for (index, batch) in group.batches.iter().enumerate() {
            let start = if index == 0 { first } else { past };
            wrapped(text, &dim(start), past, &style(alike::list(batch)).bold().to_string(), paper.width);
        }
    }
    for (index, step) in group.steps.iter().enumerate() {
        let lead = if index == 0 && fits {
            format!("{}{}  ", dim(first), style(format!("{names:0$}", columns.subject)).bold())
        } else {
            format!("{}{gap}", dim(past))
        };
        let name = format!("{:1$}  ", step.name, columns.step);
        let under = format!("{past}{gap}");
        wrapped(
            text,
            &format!("{lead}{name}"),
            &format!("{under}{}", " ".repeat(columns.step + 2)),
            &step.about,
            paper.width,
        );
        let commands = paper.commands.map_or_else(Vec::new, |commands| commands(step.action));
        commands.iter().for_each(|command| command_line(text, &under, command, paper));
        if !commands.is_empty() && group.is_of_many() {
            command_line(text, &under, "and so for each of them", paper);
        }
    }
}

/// Wrapped after the width of the prompt, dim: what matters is the step.
fn command_line(text: &mut String, under: &str, command: &str, paper: &Paper<'_>) {
    let indent = format!("{under}    ");
    for (index, line) in lines(command, paper.width, measure_text_width(&indent)).iter().enumerate() {
        let lead = if index == 0 { format!("{under}  ") } else { indent.clone() };
        *text += &format!("{}\n", dim(&format!("{lead}{line}")));
    }
}

/// `line` behind `lead`, and what does not fit on lines of its own behind `under`.
fn wrapped(text: &mut String, lead: &str, under: &str, line: &str, width: Option<usize>) {
    let parts = lines(line, width, measure_text_width(under).max(measure_text_width(lead)));
    for (index, part) in parts.iter().enumerate() {
        let front = if index == 0 { lead.to_owned() } else { dim(under) };
        *text += format!("{front}{part}").trim_end();
        text.push('\n');
    }
}

/// By words; one that is wider than its line goes beyond it.
fn lines(text: &str, width: Option<usize>, used: usize) -> Vec<String> {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(used));
    let room = if room < LEAST { usize::MAX } else { room };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always one");
        let widened = measure_text_width(line) + 1 + measure_text_width(word);
        if !line.is_empty() && widened > room {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn signs(is_last: bool, glyphs: Glyphs) -> (&'static str, &'static str) {
    if is_last { (glyphs.last, "   ") } else { (glyphs.branch, glyphs.past) }
}

fn dim(text: &str) -> String {
    style(text).dim().to_string()
}

#[cfg(test)]
mod tests;
