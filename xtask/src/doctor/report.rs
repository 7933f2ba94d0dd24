//! How it is told: a block a host, fitted to the terminal; plain without one; a line of JSON a finding.

use console::{Term, measure_text_width, style, truncate_str};
use fleet::{Fleet, HostName};

use super::{Asked, Examination, Facts, Finding, Weight};
use crate::cli::Global;

/// Wider than that nobody reads.
const WIDEST: usize = 100;
const INDENT: &str = "  ";

/// Prints everything on standard output. Hosts that were not named are told only where something is wrong with them.
pub(crate) fn print(global: &Global, fleet: &Fleet, named: &[&HostName], facts: &Facts, all: &Examination) {
    if global.json {
        return print_json(global, all);
    }
    let width = Term::stdout().is_term().then(|| usize::from(Term::stdout().size().1).min(WIDEST));
    let subjects = facts.hosts.keys().map(Some).chain([None]);
    let names: Vec<&str> =
        subjects.clone().map(|host| host.map_or(fleet.cluster.name.as_str(), HostName::as_str)).collect();
    let column = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (host, name) in subjects.zip(names) {
        let findings: Vec<&Finding> =
            all.findings.iter().filter(|finding| finding.host.as_ref() == host).collect();
        if host.is_some_and(|host| !named.contains(&host)) && findings.is_empty() {
            continue;
        }
        let checks = all.well.iter().filter(|well| well.host.as_ref() == host);
        heading(facts, host, name, column, &findings, checks.clone().count());
        for well in checks.filter(|_| global.verbose) {
            say!("{INDENT}{} {:12}  {}", style("✓").green(), well.check, well.value);
        }
        for finding in findings {
            block(finding, width, global.verbose);
        }
    }
}

fn heading(
    facts: &Facts,
    host: Option<&HostName>,
    name: &str,
    column: usize,
    findings: &[&Finding],
    checks: usize,
) {
    let errors = findings.iter().filter(|finding| finding.cause.entry().weight == Weight::Error).count();
    let unreached = host.is_some_and(|host| matches!(facts.hosts.get(host), Some(Asked::Unreached(_))));
    let checks = if checks == 1 { "1 check".to_owned() } else { format!("{checks} checks") };
    let verdict = match (errors, findings.len() - errors) {
        _ if unreached => style("it could not be asked".to_owned()).red(),
        (0, 0) => style(format!("all is well, {checks}")).green(),
        (0, 1) => style(format!("all is well, {checks}; a note")).green(),
        (0, notes) => style(format!("all is well, {checks}; {notes} notes")).green(),
        (1, _) => style("one finding".to_owned()).red(),
        (more, _) => style(format!("{more} findings")).red(),
    };
    let mark = if errors == 0 { style("✓").green() } else { style("✗").red().bold() };
    say!("{mark} {:column$}  {verdict}", style(name).bold());
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
        say!("{INDENT}  {} {}", style("│").dim(), truncate_str(line, room, "…"));
    }
    // Whole, so that it can be copied.
    say!("{INDENT}{} {}", style("hint:").cyan().bold(), finding.remedy);
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
        let value = serde_json::json!({
            "event": "finding", "host": finding.host.as_ref().map(HostName::as_str), "cause": entry.name,
            "severity": severity, "finding": entry.what, "value": finding.value, "evidence": finding.evidence,
            "seen_by": entry.seen, "hint": finding.remedy,
        });
        say!("{value}");
    }
    for well in all.well.iter().filter(|_| global.verbose) {
        let host = well.host.as_ref().map(HostName::as_str);
        say!(
            "{}",
            serde_json::json!({"event": "check", "host": host, "check": well.check, "value": well.value})
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_only_in_a_terminal() {
        assert_eq!(wrapped("one two three", Some(7)), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", Some(3)), ["incomprehensible"]);
        assert_eq!(wrapped("one two three", None), ["one two three"]);
    }
}
