//! `logs`: the journal of a host's K3s. On NixOS its unit is `k3s.service` for both roles; the upstream installer calls an
//! agent's `k3s-agent.service`: the one that is there is read.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use k3s::unit;
use remote::RunError;
use remote::ssh::Session;

use super::one_host;
use crate::ask::Asker;
use crate::cli::{Global, Logs};
use crate::events::would;
use crate::failure::{Failure, Kind, Result};
use crate::render::{Terminal, github};
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Logs) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let host = one_host(global, &fleet, args.host.as_deref())?;
    if global.dry_run {
        let unit = args.unit.as_deref().unwrap_or("k3s");
        would(global, &format!("read the journal of {unit} on {}", host.name));
        return Ok(());
    }
    let asker = Asker::new(global, &fleet, &Terminal::new())?;
    let session = asker.session(host)?;
    let unit = match &args.unit {
        Some(unit) => unit.clone(),
        None => k3s_unit(&session)?,
    };
    let argv = argv(args, &unit, global.json);
    // A journal is the host's words.
    let _silence = github::silence()?;
    // Past the standard library's lines: what comes is shown as it comes.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let result =
        if args.follow { session.follow(argv, stdout) } else { once(&session, &argv, stdout, &unit) };
    match result {
        // A reader that has gone away has seen enough, and ctrl-C is how following ends.
        Ok(_) => Ok(()),
        Err(RunError::Interrupted { .. }) if args.follow => Ok(()),
        Err(error) => {
            let failure = Failure::from(error).during(&format!("failed to read the journal of {unit}"));
            let lost = failure.kind == Kind::Unreachable;
            Err(failure
                .hint(lost.then(|| format!("cargo xtask status {} tells whether it is back", host.name))))
        }
    }
}

fn once(
    session: &Session,
    argv: &[String],
    mut stdout: File,
    unit: &str,
) -> std::result::Result<io::Result<()>, RunError> {
    let output = session.run(argv)?;
    if output.stdout.is_empty() {
        eprintln!("the journal of {} has nothing of {unit}", session.name());
        if let Some(nearest) = nearest_unit(session, unit) {
            eprintln!("{} did you mean `{nearest}`?", console::style("hint:").cyan().bold().for_stderr());
        }
    }
    Ok(stdout.write_all(&output.stdout))
}

/// `None` where the unit is there and has said nothing.
fn nearest_unit(session: &Session, unit: &str) -> Option<String> {
    let list = ["systemctl", "list-unit-files", "--no-legend", "--no-pager", "--type=service"];
    let text = session.run(list).ok()?.text();
    let short = |name: &str| name.strip_suffix(".service").unwrap_or(name).to_owned();
    let known: Vec<String> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(short).collect();
    let nearest = fleet::nearest(&short(unit), known.iter().map(String::as_str))?;
    (nearest != short(unit)).then_some(nearest)
}

fn argv(args: &Logs, unit: &str, json: bool) -> Vec<String> {
    let colours = console::colors_enabled() && io::stdout().is_terminal() && !json;
    let mut argv: Vec<String> = ["env", "LC_ALL=C.UTF-8", "SYSTEMD_URLIFY=0"].map(str::to_owned).to_vec();
    argv.push(format!("SYSTEMD_COLORS={}", u8::from(colours)));
    argv.extend(["journalctl", "--no-pager", "--quiet"].map(str::to_owned));
    argv.push(format!("--output={}", if json { "json" } else { "short" }));
    argv.push(format!("--lines={}", args.lines));
    argv.push(format!("--unit={unit}"));
    if args.follow {
        argv.push("--follow".to_owned());
    }
    argv
}

fn k3s_unit(session: &Session) -> Result<String> {
    let mut argv = vec!["systemctl", "show", unit::TIMESTAMP, "--property", unit::PROPERTIES];
    argv.extend(unit::CANDIDATES);
    match unit::parse(&session.run(argv)?.text()) {
        Some(unit) => Ok(unit.id),
        None => {
            let message = format!("{} has no k3s unit", session.name());
            Err(Failure::new(Kind::Verification, message)
                .hint("--unit UNIT reads another one's journal".to_owned()))
        }
    }
}
