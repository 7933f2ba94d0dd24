//! The screen: a table with a row a host, then remarks. Or the same as JSON.
//!
//! In a terminal every line fits its width, so that a watched screen stands still. Elsewhere a host is one line, for grep.

use console::{Alignment, Term, measure_text_width, pad_str, style, truncate_str};
use fleet::Fleet;
use k3s::certificate;

use super::drift::Drift;
use super::survey::{Looked, Survey};
use super::view::{self, Level, Remark, Row, Told};
use crate::events::{CertificateEvent, Event, HostEvent, HostNode};

/// The terminal's, `None` where there is none.
pub(super) fn width() -> Option<usize> {
    let term = Term::stdout();
    term.is_term().then(|| usize::from(term.size().1).max(40))
}

pub(super) fn lines(survey: &Survey<'_>, fleet: &Fleet, width: Option<usize>) -> Vec<String> {
    let rows: Vec<Row> = survey.shown.iter().map(|looked| view::row(looked, survey)).collect();
    let mut lines = vec![heading(survey, fleet), String::new()];
    lines.extend(table(&rows, width));
    let remarks = view::remarks(survey, fleet);
    let remarks: Vec<&Remark> = remarks.iter().chain(&survey.secrets).collect();
    if !remarks.is_empty() {
        lines.push(String::new());
    }
    lines.extend(remarks.into_iter().flat_map(|remark| remark_lines(remark, width)));
    lines
}

fn heading(survey: &Survey<'_>, fleet: &Fleet) -> String {
    let reached = survey.shown.iter().filter(|looked| looked.seen.is_ok()).count();
    let count = |some: usize, all: usize, what: &str| format!("{some} of {all} {what}");
    let hosts = count(reached, survey.shown.len(), "hosts reached");
    let nodes = match survey.nodes() {
        Some(nodes) => {
            let ready = nodes.iter().filter(|node| node.is_ready()).count();
            format!(", {}", count(ready, nodes.len(), "nodes Ready"))
        }
        None if fleet.first_server().is_some() => ", nodes not known".to_owned(),
        None => String::new(),
    };
    format!("{}  {hosts}{nodes}", style(&fleet.cluster.name).bold())
}

fn table(rows: &[Row], width: Option<usize>) -> Vec<String> {
    let heading =
        ["", "host", "role", "node", "k3s", "generation"].map(|title| style(title).bold().to_string());
    let cells = |row: &Row| {
        let dash =
            |text: &str| if text.is_empty() { style("–").dim().to_string() } else { text.to_owned() };
        let mark = match row.level() {
            Level::Good => style("✓").green(),
            Level::Notice => style("!").yellow().bold(),
            Level::Bad => style("✗").red().bold(),
        };
        let node = if row.node.1.is_empty() { dash("") } else { coloured(&row.node) };
        [mark.to_string(), row.host.clone(), dash(&row.role), node, dash(&row.k3s), dash(&row.generation)]
    };
    let cells: Vec<[String; 6]> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
    let widths: Vec<usize> = (0..6)
        .map(|column| cells.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0))
        .collect();
    let notes_at = widths.iter().sum::<usize>() + 2 * widths.len() - 1;
    let mut lines = Vec::new();
    for (index, row) in cells.iter().enumerate() {
        let padded =
            |(cell, width): (&String, &usize)| pad_str(cell, *width, Alignment::Left, None).into_owned();
        let padded: Vec<String> = row.iter().zip(&widths).map(padded).collect();
        let line = format!("{} {}", padded[0], padded[1..].join("  "));
        let notes = index.checked_sub(1).map_or(&[][..], |row| &rows[row].notes);
        lines.extend(with_notes(&line, notes, notes_at, width));
    }
    lines
}

/// One note below the other where there is a width, else all in one line.
fn with_notes(line: &str, notes: &[Told], at: usize, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else {
        let notes: Vec<&str> = notes.iter().map(|(_, text)| text.as_str()).collect();
        return vec![format!("{line}  {}", notes.join("; ")).trim_end().to_owned()];
    };
    // Where a table is too wide for notes beside it, they stand below.
    let beside = at + 16 <= width;
    let cut = truncate_str(line.trim_end(), width, "…").into_owned();
    let (indent, mut lines) = if beside { (at, Vec::new()) } else { (4, vec![cut.clone()]) };
    let mut front = if beside { format!("{line}  ") } else { " ".repeat(indent) };
    for (level, text) in notes {
        for part in wrap(text, width - indent) {
            lines.push(format!("{front}{}", coloured(&(*level, part))));
            front = " ".repeat(indent);
        }
    }
    if lines.is_empty() { vec![cut] } else { lines }
}

fn coloured((level, text): &Told) -> String {
    match level {
        Level::Good => style(text).green().to_string(),
        Level::Notice => style(text).yellow().to_string(),
        Level::Bad => style(text).red().to_string(),
    }
}

fn remark_lines(remark: &Remark, width: Option<usize>) -> Vec<String> {
    let width = width.unwrap_or(usize::MAX);
    let subject = measure_text_width(&remark.subject) + 4;
    // A long subject, the path of a secret say, has the text below it.
    let indent = if subject > width / 3 { 2 } else { subject };
    let mut lines = Vec::new();
    let mut front = format!("{} {}", style("✗").red().bold(), remark.subject);
    if indent == subject {
        front += "  ";
    } else {
        lines.push(std::mem::replace(&mut front, "  ".to_owned()));
    }
    for part in wrap(&remark.text, width - indent) {
        lines.push(format!("{front}{part}"));
        front = " ".repeat(indent);
    }
    let bar = format!("{front}{} ", style("│").dim());
    lines.extend(
        remark.tail.iter().flat_map(|line| wrap(line, width - indent - 2)).map(|line| bar.clone() + &line),
    );
    if let Some(hint) = &remark.hint {
        for (index, part) in wrap(hint, width - indent - 6).into_iter().enumerate() {
            let word = if index == 0 { style("hint:").cyan().to_string() } else { " ".repeat(5) };
            lines.push(format!("{front}{word} {part}"));
        }
    }
    lines
}

/// At blanks; a word that is wider than all of it is cut.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word.to_owned();
        let last = lines.last_mut().expect("there is always one");
        if !last.is_empty() && measure_text_width(last) + 1 + measure_text_width(&word) <= width {
            last.push(' ');
            last.push_str(&word);
            continue;
        }
        while measure_text_width(&word) > width {
            let end = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
            lines.push(word.drain(..end).collect());
        }
        lines.push(word);
    }
    lines.retain(|line| !line.is_empty());
    lines
}

pub(super) fn print_json(survey: &Survey<'_>, fleet: &Fleet) {
    survey.all().for_each(|looked| Event::Host(Box::new(host_event(looked, survey))).print());
    for remark in view::remarks(survey, fleet).into_iter().chain(survey.secrets.iter().cloned()) {
        let Remark { subject, text, tail, hint } = remark;
        Event::Remark { subject, finding: text, tail, hint }.print();
    }
}

fn host_event(looked: &Looked<'_>, survey: &Survey<'_>) -> HostEvent {
    let host = looked.host;
    let node = survey.nodes().and_then(|nodes| nodes.iter().find(|node| node.name == host.name.as_str()));
    let row = view::row(looked, survey);
    let notes = row.notes.into_iter().filter(|(level, _)| *level > Level::Good).map(|(_, text)| text);
    let drift = looked.drift.as_ref().map(|drift| match drift {
        Drift::None => "none",
        Drift::Drifted(_) => "drifted",
        Drift::Unknown(_) => "unknown",
    });
    let event = HostEvent {
        host: host.name.to_string(),
        role: host.role.map(|role| role.to_string()),
        reached: looked.seen.is_ok(),
        nodes_known: survey.nodes().is_some(),
        node: node.map(node_event),
        notes: notes.collect(),
        drift: drift.map(str::to_owned),
        flake: match &looked.drift {
            Some(Drift::Drifted(system)) => Some(system.clone()),
            _ => None,
        },
        ..HostEvent::default()
    };
    let Ok(seen) = &looked.seen else { return event };
    let generation = seen.generation();
    let worst = certificate::worst(&seen.certificates);
    HostEvent {
        k3s: seen.version.clone(),
        unit: seen.unit.as_ref().map(k3s::unit::Unit::state),
        generation: generation.map(|one| one.number),
        generation_made: generation.map(|one| one.made),
        clock: Some(seen.clock),
        running: seen.running.clone(),
        boot_default: seen.boot.clone(),
        booted: seen.booted.clone(),
        other_kernel: Some(seen.other_kernel),
        rollback_armed: Some(seen.rollback),
        deployed_by: seen.holder.clone(),
        failed_units: Some(seen.failed.clone()),
        certificate: worst.map(|worst| CertificateEvent { file: worst.file.clone(), moment: worst.moment }),
        ..event
    }
}

fn node_event(node: &k3s::node::Node) -> HostNode {
    HostNode {
        ready: node.is_ready(),
        status: node.ready.clone(),
        cordoned: node.cordoned,
        version: node.version.clone(),
        last_heartbeat: node.heard.map(k3s::unit::seconds),
    }
}
