//! One file a command: what was asked for becomes a plan, or an answer.

pub(crate) mod bootstrap;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod kubeconfig;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod node;
pub(crate) mod overview;
pub(crate) mod rehearse;
pub(crate) mod report;
pub(crate) mod rollback;
pub(crate) mod secrets;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod verify;

use std::sync::Arc;
use std::time::Duration;

use agenix::{Rule, RuleError, Rules};
use console::Term;
use fleet::{Fleet, Host};
use remote::question;

use crate::ask::Asker;
use crate::cli::Global;
use crate::events::Event;
use crate::failure::{Failure, Kind, Result};
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
    let result = execute(global, repository, fleet, plan, needs, journal.as_mut());
    let can_resume = matches!(needs.journal, Keep::Deploy { .. });
    let failed_outside = result.as_ref().is_err_and(|failure| !failure.needs_an_edit());
    let Some(journal) = journal else { return result };
    let run = journal.id().to_owned();
    let Some(path) = journal.finish(&result).map(|path| path.display().to_string()) else { return result };
    // Refused before its first step, it has no more to tell than its error.
    let was_run = result.as_ref().map_or_else(Failure::is_told, |()| true);
    if global.json {
        Event::Report { run, path }.print();
    } else if was_run {
        if can_resume && failed_outside {
            eprintln!("\nto go on with it, from the same snapshot: cargo xtask deploy --resume");
        }
        eprintln!("\n{} {path}", console::style("report:").dim().for_stderr());
    }
    result
}

fn execute(
    global: &Global,
    repository: &Repository,
    fleet: &Fleet,
    plan: &Plan,
    needs: &Needs,
    journal: Option<&mut Journal>,
) -> Result<()> {
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
    let (elevation, jobs) = (run.elevation(), global.jobs);
    run.explain = Some(Box::new(move |name| {
        let asker = Asker::with(fleet, Arc::clone(&elevation), jobs).ok()?;
        crate::doctor::explain(repository, fleet, &asker, name)
    }));
    let mut renderer: Box<dyn render::Renderer> = renderer(global, &terminal);
    let mut renderers: Vec<&mut dyn render::Renderer> = vec![renderer.as_mut()];
    renderers.extend(journal.map(|journal| journal as _));
    let result = run.execute(plan, global.jobs, &mut renderers);
    for difference in run.differences().iter().filter(|_| !global.json) {
        say!("\n{difference}");
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
        Event::PlannedStep {
            stage: stage.name.clone(),
            subject: track.subject.clone(),
            step: step.name.clone(),
            about: step.about.clone(),
            commands: commands.map(|commands| commands(&step.action)),
        }
        .print();
    }
}

fn no_hosts() -> Failure {
    Failure::configuration("hosts/fleet.toml has no hosts").hint("write a [hosts.NAME] into it".to_owned())
}

/// The server that makes the cluster.
fn first_server(fleet: &Fleet) -> Result<&Host> {
    fleet.first_server().ok_or_else(|| {
        Failure::configuration("no host in hosts/fleet.toml is a server")
            .hint("give one role = \"server\"".to_owned())
    })
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

/// The host that was named; else the only one; else the one that is chosen at the terminal.
fn one_host<'a>(global: &Global, fleet: &'a Fleet, named: Option<&str>) -> Result<&'a Host> {
    if let Some(name) = named {
        return Ok(fleet.host(name)?);
    }
    let hosts: Vec<&Host> = fleet.hosts.values().collect();
    if let [only] = hosts[..] {
        return Ok(only);
    }
    let about = |host: &&Host| {
        let role = host.role.map_or("outside the cluster".to_owned(), |role| role.to_string());
        (host.name.to_string(), role)
    };
    let options: Vec<(String, String)> = hosts.iter().map(about).collect();
    choose(global, "Which host?", "no host is named", &options).map(|at| hosts[at])
}

/// One of these, by whoever is at the terminal; where nobody is, `refusal` with their names.
fn choose(global: &Global, question: &str, refusal: &str, options: &[(String, String)]) -> Result<usize> {
    if global.json || options.is_empty() || !question::possible() {
        let names: Vec<&str> = options.iter().map(|(name, _)| name.as_str()).collect();
        let hint = (!names.is_empty()).then(|| format!("name one of: {}", names.join(", ")));
        return Err(Failure::new(Kind::Usage, refusal).hint(hint));
    }
    let chosen = question::choose(question, options)?;
    chosen.ok_or_else(|| Failure::new(Kind::Interrupted, format!("{refusal}; nothing was done")))
}
