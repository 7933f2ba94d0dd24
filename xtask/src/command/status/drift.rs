//! `--drift`: does a host run what the flake says now? Known only once its system is built; so it is, where fleet.toml says,
//! and nothing is activated.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{BuildOn, Fleet, Host, HostName};
use pipeline::{Event, Report};

use super::survey::Survey;
use super::view::{Level, Told};
use crate::cli::Global;
use crate::failure::{Failure, Kind, Result};
use crate::playbook::{self, Plan};
use crate::render::{self, Renderer, Terminal};
use crate::repository::Repository;
use crate::run::{Elevation, Run};

/// What came of one host.
#[derive(Debug)]
pub(super) enum Drift {
    /// It runs the system that the flake says.
    None,
    /// The flake's system is this one, and it runs another.
    Drifted(String),
    /// It could not be built.
    Unknown(Failure),
}

/// The built systems.
type Built = BTreeMap<HostName, std::result::Result<String, Failure>>;

impl Drift {
    pub(super) fn told(&self) -> Told {
        match self {
            Self::None => (Level::Good, "as the flake says".to_owned()),
            Self::Drifted(_) => (Level::Notice, "drifted: the flake says another system".to_owned()),
            Self::Unknown(_) => (Level::Bad, "drift not known".to_owned()),
        }
    }
}

/// Builds what can be built, and puts each answer to its host.
pub(super) fn find(
    global: &Global,
    repository: &Repository,
    fleet: &Fleet,
    elevation: Arc<Elevation>,
    survey: &mut Survey<'_>,
) -> Result<()> {
    repository.require_lock(&global.overrides())?;
    repository.require_visible()?;
    let reached =
        |name: &HostName| survey.all().any(|looked| looked.host.name == *name && looked.seen.is_ok());
    let hosts: Vec<&Host> = survey.shown.iter().filter(|l| l.seen.is_ok()).map(|l| l.host).collect();
    // A builder that is none of the hosts asked is reached by the plan itself; one that was asked and is away is not.
    let away = |name: &HostName| survey.all().any(|l| l.host.name == *name) && !reached(name);
    let (lost, hosts): (Vec<&Host>, Vec<&Host>) =
        hosts.into_iter().partition(|host| matches!(&host.build_on, BuildOn::Host(name) if away(name)));
    let mut found = Built::new();
    for host in lost {
        let BuildOn::Host(builder) = &host.build_on else { continue };
        let message = format!("{} is built on {builder}, which could not be asked", host.name);
        found.insert(host.name.clone(), Err(Failure::new(Kind::Unreachable, message)));
    }
    if !hosts.is_empty() {
        found.extend(build(global, repository, fleet, elevation, &hosts)?);
    }
    for looked in &mut survey.shown {
        let Ok(seen) = &looked.seen else { continue };
        looked.drift = found.remove(&looked.host.name).map(|built| match built {
            Ok(system) if seen.running.as_ref() == Some(&system) => Drift::None,
            Ok(system) => Drift::Drifted(system),
            Err(failure) => Drift::Unknown(failure),
        });
    }
    Ok(())
}

fn build(
    global: &Global,
    repository: &Repository,
    fleet: &Fleet,
    elevation: Arc<Elevation>,
    hosts: &[&Host],
) -> Result<Built> {
    let plan = playbook::drift(format!("build {}", fleet.cluster.name), fleet, hosts);
    let mut run = Run::new(repository, fleet, None, agenix::Identities::default(), elevation)?;
    run.overrides = global.overrides();
    let terminal = Terminal::new();
    let mut failures = Failures { events: render::renderer(global, &terminal), found: BTreeMap::new() };
    let result = run.execute(&plan, global.jobs, &mut [&mut failures]);
    if !global.json {
        eprintln!();
    }
    let systems = run.systems();
    let mut built = Built::new();
    for host in hosts {
        let answer = match (systems.get(&host.name), failures.found.remove(host.name.as_str())) {
            (Some(system), _) => Ok(system.clone()),
            (None, Some(failure)) => Err(failure),
            // Stopped by what another track said, which is told there, or by us.
            (None, None) => {
                let kind = result.as_ref().err().map_or(Kind::Unforeseen, |failure| failure.kind);
                let why =
                    failures.found.values().next().map_or(String::new(), |failure| format!(": {failure}"));
                Err(Failure::new(kind, format!("{} was not built{why}", host.name)))
            }
        };
        built.insert(host.name.clone(), answer);
    }
    Ok(built)
}

/// Draws the steps, and keeps their failures for the screen that follows.
struct Failures {
    events: Box<dyn Renderer>,
    found: BTreeMap<String, Failure>,
}

impl Renderer for Failures {
    fn event(&mut self, event: &Event) {
        self.events.event(event);
    }

    /// The table that others draw here would be a second one.
    fn report(&mut self, _plan: &Plan, report: &Report<Failure>) {
        for failure in &report.failures {
            let Failure { kind, message, tail, hint, .. } = &failure.error;
            let kept = Failure::new(*kind, message.clone()).tail(tail).hint(hint.clone());
            self.found.insert(failure.step.subject.clone(), kept);
        }
    }
}
