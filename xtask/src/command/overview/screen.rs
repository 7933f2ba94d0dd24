//! How it is shown.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use console::style;

use super::next::{Stage, suggestions};
use super::stand::{FleetStand, Git, HostStand, Stand};
use crate::events::{Event, Overview, OverviewHost, OverviewNext, OverviewRun};
use crate::journal::{End, Last};

/// More hosts than these are counted.
const HOSTS_SHOWN: usize = 12;
/// More names than these are counted.
const NAMES_SHOWN: usize = 3;

pub(super) fn text(stand: &Stand, now: SystemTime) -> String {
    let mut text = String::new();
    match &stand.fleet {
        Ok(fleet) => head(&mut text, fleet),
        Err((message, hint)) => {
            let _ = writeln!(text, "{} {message}", style("✗").red().bold());
            if let Some(hint) = hint {
                let _ = writeln!(text, "  {} {hint}", style("hint:").cyan());
            }
        }
    }
    text.push('\n');
    let mut row = |name: &str, what: &str| {
        let _ = writeln!(text, "  {}  {what}", style(format!("{name:8}")).dim());
    };
    if stand.was_cut_off {
        row("files", "a write of several files was cut off half-way");
    }
    if stand.fleet.as_ref().is_ok_and(has_server) {
        row("secrets", &secrets(&stand.missing_tokens));
    }
    row("git", &git(&stand.git, stand.has_lock));
    row("last run", &stand.last.as_ref().map_or("none yet".to_owned(), |last| run(last, now)));
    let next = suggestions(stand);
    let width = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let _ = writeln!(text, "\n{}", style("next").bold());
    for (command, why) in next {
        let _ = writeln!(text, "  {}  {}", style(format!("{command:width$}")).green(), style(why).dim());
    }
    let _ = writeln!(text, "\n{}", style("all commands: cargo xtask --help").dim());
    text
}

fn head(text: &mut String, fleet: &FleetStand) {
    let admins = match fleet.admins {
        0 => "no admin yet".to_owned(),
        many => counted(many, "admin"),
    };
    let hosts = counted(fleet.hosts.len(), "host");
    let _ = writeln!(text, "{}  {hosts}, {admins}", style(&fleet.cluster).bold());
    text.push('\n');
    if fleet.hosts.len() > HOSTS_SHOWN {
        return folded(text, fleet);
    }
    let width = fleet.hosts.iter().map(|host| host.name.len()).max().unwrap_or(0);
    for host in &fleet.hosts {
        let wrong = wrong(host).map(|wrong| style(wrong).yellow().to_string()).unwrap_or_default();
        let line = format!("  {:width$}  {:7}  {wrong}", host.name, role(host));
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// A fleet of forty: how many of each role, and those with something wrong.
fn folded(text: &mut String, fleet: &FleetStand) {
    let of = |role| fleet.hosts.iter().filter(|host| host.role == role).count();
    let roles = [
        (of(Some(fleet::Role::Server)), "server"),
        (of(Some(fleet::Role::Agent)), "agent"),
        (of(None), "host outside"),
    ];
    let roles = roles.iter().filter(|(count, _)| *count > 0).map(|(count, what)| match *what {
        "host outside" => format!("{count} outside the cluster"),
        what => counted(*count, what),
    });
    let _ = writeln!(text, "  {}", roles.collect::<Vec<_>>().join(", "));
    let mut kinds: Vec<(&str, Vec<String>)> = Vec::new();
    for host in &fleet.hosts {
        let Some(wrong) = wrong(host) else { continue };
        match kinds.iter_mut().find(|(kind, _)| *kind == wrong) {
            Some((_, names)) => names.push(host.name.clone()),
            None => kinds.push((wrong, vec![host.name.clone()])),
        }
    }
    for (wrong, names) in kinds {
        let _ = writeln!(text, "  {}: {}", style(wrong).yellow(), some(&names));
    }
}

fn has_server(fleet: &FleetStand) -> bool {
    fleet.hosts.iter().any(|host| host.role == Some(fleet::Role::Server))
}

fn role(host: &HostStand) -> String {
    host.role.map_or("outside".to_owned(), |role| role.to_string())
}

fn wrong(host: &HostStand) -> Option<&'static str> {
    match (host.has_folder, host.has_key) {
        (false, _) => Some("no hosts/NAME/default.nix"),
        (true, false) => Some("host key not pinned"),
        (true, true) => None,
    }
}

fn secrets(missing: &[&str]) -> String {
    match missing {
        [] => "the cluster's tokens are there".to_owned(),
        paths => {
            let names: Vec<&str> = paths.iter().map(|path| path.trim_start_matches("secrets/")).collect();
            format!("not there yet: {}", names.join(", "))
        }
    }
}

fn git(git: &Git, has_lock: bool) -> String {
    let mut parts = Vec::new();
    if !git.unknown.is_empty() {
        parts.push(format!("git does not know {}", some(&git.unknown)));
    }
    match (git.committed, git.uncommitted.as_slice()) {
        (None, _) => parts.push("nothing is committed yet".to_owned()),
        (_, []) if git.unknown.is_empty() => parts.push("what hosts are made of is committed".to_owned()),
        (_, []) => {}
        (_, names) => parts.push(format!("not committed: {}", some(names))),
    }
    if !has_lock {
        parts.push("no flake.lock".to_owned());
    }
    parts.join("; ")
}

fn run(last: &Last, now: SystemTime) -> String {
    let when = now.duration_since(last.begun).map_or("just now".to_owned(), ago);
    let end = match &last.end {
        End::Well => style("ended well".to_owned()).green(),
        End::Failed { at, error, .. } => style(format!("failed at {at}: {error}")).red(),
        End::CutOff => style("was cut off".to_owned()).red(),
        End::UnderWay => style("is under way".to_owned()).cyan(),
    };
    format!("{}, {when}: {end}", last.title)
}

/// `3 hours ago`
pub(super) fn ago(passed: Duration) -> String {
    let seconds = passed.as_secs();
    let (number, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{} ago", counted(usize::try_from(number).unwrap_or(usize::MAX), unit))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// One event with the same.
pub(super) fn event(stand: &Stand) -> Event {
    let fleet = stand.fleet.as_ref().ok();
    let host = |host: &HostStand| OverviewHost {
        host: host.name.clone(),
        role: host.role.map(|role| role.to_string()),
        has_key: host.has_key,
        has_folder: host.has_folder,
    };
    let owned = |names: &[&'static str]| names.iter().map(ToString::to_string).collect();
    Event::Overview(Box::new(Overview {
        stage: Stage::of(stand).name().to_owned(),
        cluster: fleet.map(|fleet| fleet.cluster.clone()),
        admins: fleet.map(|fleet| fleet.admins),
        hosts: fleet.map(|fleet| fleet.hosts.iter().map(host).collect()),
        error: stand.fleet.as_ref().err().map(|(message, _)| message.clone()),
        missing_tokens: owned(&stand.missing_tokens),
        was_cut_off: stand.was_cut_off,
        has_lock: stand.has_lock,
        unknown_to_git: stand.git.unknown.clone(),
        uncommitted: stand.git.uncommitted.clone(),
        last_run: stand.last.as_ref().map(last_run),
        next: suggestions(stand)
            .into_iter()
            .map(|(command, why)| OverviewNext { command: command.to_string(), why: why.to_string() })
            .collect(),
    }))
}

fn last_run(last: &Last) -> OverviewRun {
    let (outcome, error) = match &last.end {
        End::Well => ("ok", None),
        End::Failed { at, error, code } => {
            (if *code == 130 { "interrupted" } else { "failed" }, Some(format!("{at}: {error}")))
        }
        End::CutOff | End::UnderWay => ("unfinished", None),
    };
    OverviewRun {
        run: last.id.clone(),
        title: last.title.clone(),
        at: humantime::format_rfc3339_seconds(last.begun).to_string(),
        outcome: outcome.to_owned(),
        error,
    }
}
