//! `secrets rekey`: encrypt anew what needs it, all of it or nothing.

use agenix::{Plan, Recipient, RekeyError};
use console::style;
use indicatif::{ProgressBar, ProgressStyle};

use super::{chosen, told};
use crate::cli::{Global, Rekey};
use crate::failure::{Failure, Kind, Result};
use crate::identity;
use crate::render::Terminal;
use crate::repository::Repository;

/// More failures than this make nobody wiser.
const SHOWN_FAILURES: usize = 10;

pub(crate) fn run(global: &Global, repository: &Repository, args: &Rekey) -> Result<()> {
    let fleet = repository.fleet()?;
    let secrets = repository.secrets(repository.rules(&fleet)?)?;
    let rules = chosen(repository, &secrets, &args.only)?;
    if let (true, Some(error)) = (args.only.is_empty(), secrets.rules().refused().first()) {
        return Err(Failure::configuration(error.to_string()).hint(error.hint()));
    }
    if global.dry_run {
        let plan = agenix::plan(&secrets, &rules, args.force);
        tell(global, &plan, &secrets.readers(), "would rekey");
        if plan.due.is_empty() && plan.failures.is_empty() {
            summarise(global, 0, plan.right.len(), plan.missing.len());
        }
        return refuse(plan);
    }
    let (lock, recovery) = secrets.lock()?;
    if let Some(recovery) = &recovery {
        told(recovery);
    }
    let plan = agenix::plan(&secrets, &rules, args.force);
    let (due, right, missing) = (plan.due.len(), plan.right.len(), plan.missing.len());
    if !plan.failures.is_empty() {
        return refuse(plan);
    }
    let mut left = Vec::new();
    if due > 0 {
        let terminal = Terminal::new();
        tell(global, &plan, &secrets.readers(), "rekey");
        let identities = identity::load(global, &terminal)?;
        let bar = terminal.add(bar(global, due));
        let done = |done: usize| bar.set_position(done as u64);
        let result = agenix::rekey(&secrets, &lock, plan, &identities, &remote::interrupted, &done);
        bar.finish_and_clear();
        left = result.map_err(|error| failure(&error))?;
    }
    for path in left.iter().filter(|_| !global.json) {
        say!(
            "{} {path}  its age keys do not show who they are, and no key at hand opens it",
            style("?").yellow()
        );
    }
    summarise(global, due - left.len(), right + left.len(), missing);
    Ok(())
}

/// Drawn only once it has taken long enough that somebody may wonder.
fn bar(global: &Global, due: usize) -> ProgressBar {
    if global.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("  {bar:40.cyan/dim} {pos} of {len} encrypted");
    ProgressBar::new(due as u64).with_style(style.expect("a valid template"))
}

fn tell(global: &Global, plan: &Plan<'_>, known: &[Recipient], verb: &str) {
    for due in &plan.due {
        let (path, why) = (due.rule.path(), due.why.described(known));
        if global.json {
            say!(
                "{}",
                serde_json::json!({ "event": verb.replace(' ', "-"), "secret": path.as_str(), "why": why })
            );
        } else {
            say!("{} {path}  {}", style(verb).cyan(), style(why).dim());
        }
    }
}

fn summarise(global: &Global, due: usize, right: usize, missing: usize) {
    if global.json {
        let value =
            serde_json::json!({ "event": "rekeyed", "changed": due, "right": right, "missing": missing });
        say!("{value}");
        return;
    }
    let changed = match due {
        0 => "nothing to do".to_owned(),
        1 => "1 secret encrypted anew".to_owned(),
        many => format!("{many} secrets encrypted anew"),
    };
    let mut parts = vec![changed];
    if right > 0 {
        parts.push(format!("{right} right already"));
    }
    if missing > 0 {
        parts.push(format!("{missing} without a file"));
    }
    say!("{} {}", style("✓").green(), parts.join(", "));
}

fn refuse(plan: Plan<'_>) -> Result<()> {
    if plan.failures.is_empty() {
        Ok(())
    } else {
        Err(failure(&RekeyError::Failed { failures: plan.failures }))
    }
}

fn failure(error: &RekeyError) -> Failure {
    match error {
        RekeyError::Stopped => Failure::new(Kind::Interrupted, error.to_string()),
        RekeyError::Commit(cause) => {
            Failure::new(Kind::Unforeseen, format!("{error}: {cause}")).hint(cause.hint())
        }
        RekeyError::Failed { failures } => {
            let mut lines: Vec<String> =
                failures.iter().take(SHOWN_FAILURES).map(ToString::to_string).collect();
            if failures.len() > SHOWN_FAILURES {
                lines.push(format!("… and {} more", failures.len() - SHOWN_FAILURES));
            }
            let hint = failures.first().and_then(|failure| failure.error.hint());
            Failure::configuration(error.to_string()).tail(&lines).hint(hint)
        }
    }
}
