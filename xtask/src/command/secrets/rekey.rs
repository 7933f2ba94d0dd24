//! `secrets rekey`: encrypt anew what needs it, all of it or nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agenix::{Plan, Recipient, RekeyError, Secrets};
use console::style;

use super::{names_of, told};
use crate::cli::{Global, Rekey};
use crate::events::Event;
use crate::failure::{Failure, Kind, Result, chain};
use crate::identity;
use crate::render::Terminal;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, repository: &Repository, args: &Rekey) -> Result<()> {
    if !global.dry_run && agenix::was_cut_off(&repository.folder()?) {
        repository.put_in_order()?;
    }
    let fleet = repository.fleet()?;
    let secrets = repository.secrets(repository.rules(&fleet)?)?;
    let rule_of = |file: &Path| -> Result<_> { Ok(secrets.rules().first_of(&names_of(repository, file)?)?) };
    let rules = agenix::session::chosen(&secrets, &args.only, rule_of)?;
    if let (true, Some(error)) = (args.only.is_empty(), secrets.rules().refused().first()) {
        return Err(Failure::configuration(error.to_string()).hint(error.hint()));
    }
    if global.dry_run {
        return dry_run(global, &secrets, agenix::plan(&secrets, &rules, args.force));
    }
    if let Some(recovery) = secrets.put_in_order()? {
        told(&recovery);
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
        let count = Arc::new(AtomicUsize::new(0));
        let shown = Arc::clone(&count);
        let text = move |_| format!("  {} of {due} encrypted", shown.load(Ordering::Relaxed));
        let showing = (!global.json).then(|| terminal.show_line(text));
        let done = |done: usize| count.store(done, Ordering::Relaxed);
        let result = agenix::rekey(&secrets, plan, &identities, &remote::interrupted, &done);
        drop(showing);
        left = result.map_err(|error| failure(&error))?;
    }
    for path in &left {
        let why = "its age keys do not show who they are, and no key at hand opens it";
        if global.json {
            Event::Left { secret: path.to_string(), why: why.to_owned() }.print();
        } else {
            say!("{} {path}  {why}", style("?").yellow());
        }
    }
    summarise(global, Counts { changed: due - left.len(), right, missing, left: left.len() });
    Ok(())
}

fn dry_run(global: &Global, secrets: &Secrets, plan: Plan<'_>) -> Result<()> {
    if agenix::was_cut_off(secrets.folder()) {
        told_of_cut_off(global);
    }
    tell(global, &plan, &secrets.readers(), "would rekey");
    if plan.due.is_empty() && plan.failures.is_empty() {
        let (right, missing) = (plan.right.len(), plan.missing.len());
        summarise(global, Counts { right, missing, ..Counts::default() });
    }
    refuse(plan)
}

fn tell(global: &Global, plan: &Plan<'_>, known: &[Recipient], verb: &str) {
    for due in &plan.due {
        let (path, why) = (due.rule.path(), due.why.described(known));
        if global.json {
            let secret = path.to_string();
            let event =
                if global.dry_run { Event::WouldRekey { secret, why } } else { Event::Rekey { secret, why } };
            event.print();
        } else {
            say!("{} {path}  {}", style(verb).cyan(), style(why).dim());
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    changed: usize,
    right: usize,
    missing: usize,
    left: usize,
}

fn summarise(global: &Global, counts: Counts) {
    let Counts { changed, right, missing, left } = counts;
    if global.json {
        Event::Rekeyed { changed, right, missing, left }.print();
        return;
    }
    let what = match changed {
        0 => "nothing to do".to_owned(),
        1 => "1 secret encrypted anew".to_owned(),
        many => format!("{many} secrets encrypted anew"),
    };
    let mut parts = vec![what];
    let others = [(right, "right already"), (missing, "without a file"), (left, "left as they are")];
    parts
        .extend(others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    say!("{} {}", style("✓").green(), parts.join(", "));
}

fn told_of_cut_off(global: &Global) {
    let text = "a rekey was cut off half-way; it will be undone first, and this plan is of what is there now";
    if global.json {
        Event::CutOff { hint: "cargo xtask secrets rekey".to_owned() }.print();
    } else {
        eprintln!("{} {text}", style("note:").yellow().bold().for_stderr());
    }
}

fn refuse(plan: Plan<'_>) -> Result<()> {
    if plan.failures.is_empty() {
        Ok(())
    } else {
        Err(failure(&RekeyError::Failed { failures: plan.failures }))
    }
}

/// A rekey's failure as a person reads it.
pub(crate) fn failure(error: &RekeyError) -> Failure {
    let kind = match error {
        RekeyError::Stopped => Kind::Interrupted,
        RekeyError::Commit(_) => Kind::Unforeseen,
        RekeyError::Failed { .. } | RekeyError::Lock(_) => Kind::Configuration,
    };
    let (lines, hint) = agenix::session::failures_of(error);
    Failure::new(kind, chain(error)).tail(&lines).hint(hint)
}
