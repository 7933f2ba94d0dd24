//! `secrets list`: who can read what, at a glance.

use agenix::{Finding, Format, Found, Recipient, Secrets, State, Why};
use console::style;

use crate::cli::Global;
use crate::events::{Event, SecretEvent};
use crate::failure::Result;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, repository: &Repository) -> Result<()> {
    let fleet = repository.fleet()?;
    let secrets = repository.secrets(repository.rules(&fleet)?)?;
    let known = secrets.readers();
    let findings = secrets.survey();
    if global.json {
        print_json(&secrets, &findings, &known);
        return Ok(());
    }
    let rows: Vec<Row> = findings.iter().map(|finding| row(finding, &known)).collect();
    let width = |cell: fn(&Row) -> &str| rows.iter().map(|row| console::measure_text_width(cell(row))).max();
    let (name, readers) = (width(|row| &row.name).unwrap_or(0), width(|row| &row.readers).unwrap_or(0));
    for Row { mark, name: path, readers: who, size, note } in &rows {
        let pad =
            |text: &str, width| console::pad_str(text, width, console::Alignment::Left, None).into_owned();
        let line = format!("{mark} {}  {}  {size}", pad(path, name), pad(who, readers));
        say!("{}", line.trim_end());
        for line in note {
            say!("  {}  {line}", pad("", name));
        }
    }
    for error in secrets.rules().refused() {
        say!("{} {error}", style("✗").red().bold());
    }
    if agenix::was_cut_off(secrets.folder()) {
        say!(
            "{} a rekey was cut off half-way; `cargo xtask secrets rekey` undoes it",
            style("✗").red().bold()
        );
    }
    Ok(())
}

fn print_json(secrets: &Secrets, findings: &[Finding<'_>], known: &[Recipient]) {
    findings.iter().for_each(|finding| Event::Secret(event(finding, known)).print());
    for error in secrets.rules().refused() {
        Event::RefusedRule { finding: error.to_string(), hint: error.hint() }.print();
    }
    if agenix::was_cut_off(secrets.folder()) {
        Event::CutOff { hint: "cargo xtask secrets rekey".to_owned() }.print();
    }
}

struct Row {
    mark: console::StyledObject<&'static str>,
    name: String,
    readers: String,
    size: String,
    /// Lines below.
    note: Vec<String>,
}

fn row(finding: &Finding<'_>, known: &[Recipient]) -> Row {
    let name = finding.rule.path().to_string();
    let plain =
        |mark, readers: String, note| Row { mark, name: name.clone(), readers, size: String::new(), note };
    match &finding.state {
        State::Missing => plain(style("·").dim(), "not there yet".to_owned(), Vec::new()),
        State::Unusable(error) => {
            let hint = error.hint().map(|hint| format!("{} {hint}", style("hint:").cyan()));
            let note = [Some(error.to_string()), hint].into_iter().flatten().collect();
            plain(style("✗").red().bold(), "unusable".to_owned(), note)
        }
        State::Found(found) => {
            let armor = if found.format == Format::Armor { "  armor" } else { "" };
            let why = found.why_due();
            Row {
                mark: mark(why.as_ref()),
                name,
                readers: found.file.described(known),
                size: format!("{:>9}{armor}", bytes(found.size)),
                note: why.map(|why| note(found, &why, known)).into_iter().collect(),
            }
        }
    }
}

fn mark(why: Option<&Why>) -> console::StyledObject<&'static str> {
    match why {
        None => style("✓").green(),
        Some(Why::Unproven) => style("?").yellow(),
        Some(_) => style("✗").red().bold(),
    }
}

/// What the rule says, where the file does not say the same.
fn note(found: &Found, why: &Why, known: &[Recipient]) -> String {
    let readers = labels(&found.readers).join(", ");
    let rule = match why {
        Why::Format if found.wanted == Format::Armor => "with armor".to_owned(),
        Why::Format => "without armor".to_owned(),
        Why::Unproven => format!("{readers} (the number agrees)"),
        why => format!("{readers} ({})", why.described(known)),
    };
    format!("{} {rule}", style("rule:").yellow())
}

fn labels(readers: &[Recipient]) -> Vec<String> {
    readers.iter().map(Recipient::label).collect()
}

/// Sizes of secrets: exact while they are small.
fn bytes(size: u64) -> String {
    match size {
        0..=9_999 => format!("{size} B"),
        10_000..=10_239_999 => format!("{} KiB", size / 1024),
        _ => format!("{} MiB", size / 1024 / 1024),
    }
}

fn event(finding: &Finding<'_>, known: &[Recipient]) -> SecretEvent {
    let secret = finding.rule.path().to_string();
    let of = |state: &str| SecretEvent { secret, state: state.to_owned(), ..SecretEvent::default() };
    match &finding.state {
        State::Missing => of("missing"),
        State::Unusable(error) => {
            SecretEvent { finding: Some(error.to_string()), hint: error.hint(), ..of("unusable") }
        }
        State::Found(found) => {
            let differs = found.why_due().filter(|why| !matches!(why, Why::Unproven));
            SecretEvent {
                rule: Some(labels(&found.readers)),
                readers: Some(found.file.described(known)),
                agrees: Some(differs.is_none()),
                proven: Some(!found.agreement.unproven),
                finding: Some(
                    differs.map_or_else(|| found.agreement.to_string(), |why| why.described(known)),
                ),
                bytes: Some(found.size),
                armor: Some(found.format == Format::Armor),
                ..of("found")
            }
        }
    }
}
