//! One file a command: what was asked for becomes a plan, or an answer.

pub(crate) mod bootstrap;
pub(crate) mod check;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod kubeconfig;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod rehearse;
pub(crate) mod rollback;
pub(crate) mod secrets;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod verify;

use std::time::Duration;

use agenix::{Rule, RuleError, Rules};
use console::Term;
use fleet::{Fleet, Host};

use crate::cli::Global;
use crate::failure::Result;
use crate::journal::{Asked, Journal};
use crate::playbook::{Action, Plan, Rotated};
use crate::render::{CommandsOf, Glyphs, Paper, Terminal, renderer};
use crate::repository::{AGENT_TOKEN, Repository, SERVER_TOKEN, secret};
use crate::run::{Commands, Elevation, Rotation, Run};
use crate::{identity, render};

/// `--dry-run` prints the plan; otherwise it is executed.
fn print_or_execute(
    global: &Global,
    repository: &Repository,
    fleet: &Fleet,
    plan: &Plan,
    needs: &Needs,
) -> Result<()> {
    if global.dry_run {
        print_plan(global, repository, fleet, plan);
        return Ok(());
    }
    let mut journal = needs.journal.begin(repository, plan);
    let terminal = Terminal::new();
    let rules = if needs.secrets { Some(usable(repository.rules(fleet)?)?) } else { None };
    let identities = identity::load(global, &terminal)?;
    let elevation = Elevation::new(global.sudo, identity::asker(&terminal));
    let mut run = Run::new(repository, fleet, rules.as_ref(), identities, elevation)?;
    run.overrides = global.overrides();
    if let Keep::Deploy { asked, snapshot } = &needs.journal {
        run.overrides = asked.overrides();
        run.taken_up.clone_from(snapshot);
    }
    run.rotation = match needs.journal {
        Keep::Rotation { goes_on: true, .. } => Some(Rotation::GoesOn),
        Keep::Rotation { .. } => Some(Rotation::New),
        _ => None,
    };
    run.patience = if needs.patience { Duration::from_secs(global.gate_timeout) } else { Duration::ZERO };
    run.activation_timeout = Duration::from_secs(global.activation_timeout);
    let mut renderer: Box<dyn render::Renderer> = renderer(global, &terminal);
    let mut renderers: Vec<&mut dyn render::Renderer> = vec![renderer.as_mut()];
    renderers.extend(journal.as_mut().map(|journal| journal as _));
    let result = run.execute(plan, global.jobs, &mut renderers);
    for difference in run.differences().iter().filter(|_| !global.json) {
        say!("\n{difference}");
    }
    let can_resume = matches!(needs.journal, Keep::Deploy { .. });
    let failed_outside = result.as_ref().is_err_and(|failure| !failure.needs_an_edit());
    if let Some(journal) = journal.filter(|_| can_resume && failed_outside && !global.json) {
        eprintln!("\nto go on with it, from the same snapshot: cargo xtask deploy --resume");
        eprintln!("what happened: {}", journal.path().display());
    }
    result
}

/// Told at once, since no step can do without: the tokens' rules evaluate.
fn usable(rules: Rules) -> Result<Rules> {
    for token in [SERVER_TOKEN, AGENT_TOKEN] {
        let recipients = rules.rule(&secret(token)).and_then(Rule::recipients);
        if let Err(error @ RuleError::Thrown { .. }) = recipients {
            return Err(error.into());
        }
    }
    Ok(rules)
}

/// What a plan needs beyond the fleet.
struct Needs {
    /// Rules and identities.
    secrets: bool,
    /// Gates that wait for a host to get well.
    patience: bool,
    journal: Keep,
}

/// What is kept of a run.
enum Keep {
    /// It changes nothing.
    Nothing,
    /// What happened.
    Events,
    /// That, and that it was a rotation; it may be one that an earlier run began.
    Rotation { of: Rotated, goes_on: bool },
    /// That, and what a later run needs to go on; `snapshot` is that of an earlier one.
    Deploy { asked: Asked, snapshot: Option<String> },
}

impl Keep {
    fn begin(&self, repository: &Repository, plan: &Plan) -> Option<Journal> {
        let asked = match self {
            Self::Nothing => return None,
            Self::Events => serde_json::json!({}),
            Self::Rotation { of, .. } => serde_json::json!({ "rotation": of }),
            Self::Deploy { asked, .. } => serde_json::json!({ "asked": asked }),
        };
        let journal = Journal::begin(repository.root(), &plan.title, &asked);
        journal.inspect_err(|error| eprintln!("warning: this run keeps no journal: {error}")).ok()
    }
}

fn print_plan(global: &Global, repository: &Repository, fleet: &Fleet, plan: &Plan) {
    let commands =
        Commands { root: repository.root(), fleet, overrides: global.overrides(), sudo: global.sudo };
    let commands = |action: &Action| commands.of(action);
    let commands: Option<&CommandsOf<'_>> = global.verbose.then_some(&commands);
    if !global.json {
        let width = Term::stdout().size_checked().map(|(_, width)| usize::from(width));
        let paper = Paper { width, glyphs: Glyphs::of_locale(), commands };
        say!("{}", render::tree(plan, &paper).trim_end());
        return;
    }
    for (stage, track, step) in plan.steps() {
        let mut value = serde_json::json!({
            "event": "planned-step",
            "stage": stage.name, "subject": track.subject, "step": step.name, "about": step.about,
        });
        if let Some(commands) = commands {
            value["commands"] = commands(&step.action).into();
        }
        say!("{value}");
    }
}

/// The named hosts; without names all of the cluster's.
fn named_or_cluster<'a>(fleet: &'a Fleet, names: &[String]) -> Result<Vec<&'a Host>> {
    if names.is_empty() {
        return Ok(fleet.hosts.values().filter(|host| host.role.is_some()).collect());
    }
    let mut hosts = Vec::new();
    for name in names {
        let host = fleet.host(name)?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}
