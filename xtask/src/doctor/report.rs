//! How it is told: a block a host, fitted to the terminal; plain without one; a line of JSON a finding.

use console::{StyledObject, Term, measure_text_width, style, truncate_str};
use fleet::{Fleet, HostName};

use super::cluster::{Count, Part};
use super::{Asked, Cause, Consequence, Examination, Facts, Finding, Weight};
use crate::cli::Global;
use crate::events::{self, Event};

/// Wider than that nobody reads.
const WIDEST: usize = 100;
const INDENT: &str = "  ";

/// Prints everything on standard output. Hosts that were not named are told only where something is wrong with them.
pub(crate) fn print(global: &Global, fleet: &Fleet, named: &[&HostName], facts: &Facts, all: &Examination) {
    if global.json {
        return print_json(global, all);
    }
    let width = Term::stdout().is_term().then(|| usize::from(Term::stdout().size().1).min(WIDEST));
    // What stops all of the cluster comes first.
    let is_first = all.findings.first().is_some_and(|finding| finding.cause == Cause::NoQuorum);
    let (before, behind) = if is_first { (Some(None), None) } else { (None, Some(None)) };
    let subjects = before.into_iter().chain(facts.hosts.keys().map(Some)).chain(behind);
    let names: Vec<&str> =
        subjects.clone().map(|host| host.map_or(fleet.cluster.name.as_str(), HostName::as_str)).collect();
    let column = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (host, name) in subjects.zip(names) {
        let mut findings: Vec<&Finding> =
            all.findings.iter().filter(|finding| finding.host.as_ref() == host).collect();
        findings.sort_by_key(|finding| finding.cause.entry().weight);
        if host.is_some_and(|host| !named.contains(&host)) && findings.is_empty() {
            continue;
        }
        let checks = all.well.iter().filter(|well| well.host.as_ref() == host);
        let (mark, verdict) = match host {
            Some(host) => of_host(fleet, facts, all, host, &findings),
            // Asked about some hosts only, the cluster as a whole was not looked at.
            None if findings.is_empty() && all.cluster == Count::default() => continue,
            None => of_cluster(all, &findings),
        };
        say!("{mark} {:column$}  {verdict}", style(name).bold());
        for well in checks.filter(|_| global.verbose) {
            say!("{INDENT}{} {:12}  {}", style("✓").green(), well.check, well.value);
        }
        for finding in findings {
            block(finding, width, global.verbose);
        }
    }
}

type Styled = StyledObject<String>;

fn good(text: impl Into<String>) -> (Styled, Styled) {
    (style("✓".to_owned()).green(), style(text.into()).green())
}

fn unsure(text: impl Into<String>) -> (Styled, Styled) {
    (style("!".to_owned()).yellow().bold(), style(text.into()).yellow())
}

fn bad(text: impl Into<String>) -> (Styled, Styled) {
    (style("✗".to_owned()).red().bold(), style(text.into()).red())
}

/// Findings that are no notes.
fn errors(findings: &[&Finding]) -> usize {
    findings.iter().filter(|finding| finding.cause.entry().weight == Weight::Error).count()
}

fn counted(errors: usize) -> String {
    if errors == 1 { "one finding".to_owned() } else { format!("{errors} findings") }
}

fn of_host(
    fleet: &Fleet,
    facts: &Facts,
    all: &Examination,
    host: &HostName,
    findings: &[&Finding],
) -> (Styled, Styled) {
    let errors = errors(findings);
    if matches!(facts.hosts.get(host), Some(Asked::Unreached(_))) {
        return bad("it could not be asked");
    }
    if errors > 0 {
        return bad(counted(errors));
    }
    let elsewhere = all.consequences.iter().find(|consequence| consequence.host == *host);
    if let Some(Consequence { of, .. }) = elsewhere {
        let place = of.as_ref().map_or(fleet.cluster.name.as_str(), HostName::as_str);
        return bad(format!("what is wrong with it is told of {place}"));
    }
    let notes = match findings.len() {
        0 => String::new(),
        1 => "; a note".to_owned(),
        notes => format!("; {notes} notes"),
    };
    let checks = all.well.iter().filter(|well| well.host.as_ref() == Some(host)).count();
    let checks = if checks == 1 { "1 check".to_owned() } else { format!("{checks} checks") };
    if facts.nodes.is_none() && fleet.hosts.get(host).is_some_and(|host| host.role.is_some()) {
        return unsure(format!("nothing wrong was seen, {checks}; its node is not known{notes}"));
    }
    good(format!("all is well, {checks}{notes}"))
}

/// How much of it is there.
fn of_cluster(all: &Examination, findings: &[&Finding]) -> (Styled, Styled) {
    let parts: Vec<&Part> = [&all.cluster.members, &all.cluster.nodes].into_iter().flatten().collect();
    let counts = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(", ");
    let behind = if counts.is_empty() { String::new() } else { format!(": {counts}") };
    match errors(findings) {
        0 if parts.iter().any(|part| part.is_whole == Some(false)) => bad(counts),
        0 if parts.iter().any(|part| part.is_whole.is_none()) => unsure(counts),
        0 => good(format!("all is well{behind}")),
        errors => bad(format!("{}{behind}", counted(errors))),
    }
}

fn block(finding: &Finding, width: Option<usize>, verbose: bool) {
    let entry = finding.cause.entry();
    let word = match entry.weight {
        Weight::Error => style("error:").red().bold(),
        Weight::Note => style("note:").yellow().bold(),
    };
    let text = match &finding.value {
        Some(value) => format!("{}: {value} ({})", entry.what, entry.name),
        None => format!("{} ({})", entry.what, entry.name),
    };
    let label = if entry.weight == Weight::Error { 7 } else { 6 };
    let mut lines = wrapped(&text, width.map(|width| width - INDENT.len() - label)).into_iter();
    say!("{INDENT}{word} {}", lines.next().unwrap_or_default());
    for line in lines {
        say!("{INDENT}{:label$}{line}", "");
    }
    for line in &finding.evidence {
        let room = width.filter(|_| !verbose).map_or(usize::MAX, |width| width - INDENT.len() - 4);
        let line = if width.is_some() && !verbose { message(line) } else { line };
        say!("{INDENT}  {} {}", style("│").dim(), truncate_str(line, room, "…"));
    }
    let mut label = style("hint:").cyan().bold().to_string();
    for part in parts(&finding.remedy, width.map(|width| width - INDENT.len() - HINT)) {
        say!("{INDENT}{label} {part}");
        label = " ".repeat(HINT - 1);
    }
}

/// `hint: `
const HINT: usize = 6;

/// A remedy that does not fit is told command by command, each whole, so that it can be copied.
fn parts(remedy: &str, width: Option<usize>) -> Vec<&str> {
    match width {
        Some(width) if measure_text_width(remedy) > width => remedy.split("; ").collect(),
        _ => vec![remedy],
    }
}

/// What a line of K3s' log says, without its time and level.
fn message(line: &str) -> &str {
    line.split_once(" msg=").map_or(line, |(_, message)| message.trim_matches('"'))
}

/// By words; none is broken.
fn wrapped(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("it begins with one");
        if last.is_empty() {
            last.push_str(word);
        } else if measure_text_width(last) + 1 + measure_text_width(word) <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn print_json(global: &Global, all: &Examination) {
    for finding in &all.findings {
        let entry = finding.cause.entry();
        let severity = if entry.weight == Weight::Error { "error" } else { "note" };
        Event::Finding(events::Finding {
            host: finding.host.as_ref().map(ToString::to_string),
            cause: Some(entry.name.to_owned()),
            severity: severity.to_owned(),
            finding: entry.what.to_owned(),
            value: finding.value.clone(),
            evidence: finding.evidence.clone(),
            seen_by: Some(entry.seen.to_owned()),
            hint: finding.remedy.clone(),
        })
        .print();
    }
    for well in all.well.iter().filter(|_| global.verbose) {
        let host = well.host.as_ref().map(ToString::to_string);
        Event::Well { host, check: well.check.to_owned(), value: well.value.clone() }.print();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_whole_and_a_log_line_is_its_message() {
        assert_eq!(parts("a b; c d", Some(8)), ["a b; c d"]);
        assert_eq!(parts("a b; c d", Some(7)), ["a b", "c d"]);
        assert_eq!(parts("a b; c d", None), ["a b; c d"]);
        assert_eq!(message("time=\"x\" level=info msg=\"it says so\""), "it says so");
        assert_eq!(message("plain"), "plain");
    }

    #[test]
    fn lines_are_broken_between_words_and_only_in_a_terminal() {
        assert_eq!(wrapped("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", Some(3)), ["incomprehensible"]);
        assert_eq!(wrapped("one two three", None), ["one two three"]);
    }
}
