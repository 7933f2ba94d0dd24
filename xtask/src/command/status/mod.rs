//! `status`: the whole cluster on one screen. It tells what is and is no gate: that is `verify`.

mod drift;
mod screen;
mod survey;
#[cfg(test)]
mod tests;
mod view;
mod watch;

use fleet::{Fleet, Host, Role};

use self::survey::Surveyor;
use crate::cli::{Global, Status};
use crate::command::{no_hosts, print_plan};
use crate::events::Event;
use crate::failure::{Failure, Result};
use crate::playbook;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Status) -> Result<()> {
    if args.watch.is_some() {
        watch::require_possible(global)?;
    }
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let hosts = shown(&fleet, &args.hosts)?;
    if global.dry_run {
        return dry_run(global, args, &repository, &fleet, &hosts);
    }
    let surveyor = Surveyor::new(global, &repository, &fleet, hosts, args.hosts.is_empty())?;
    if let Some(seconds) = args.watch {
        return watch::run(&surveyor, &fleet, seconds);
    }
    let mut survey = surveyor.first_survey()?;
    if args.drift {
        drift::find(global, &repository, &fleet, surveyor.elevation(), &mut survey)?;
    }
    if global.json {
        screen::print_json(&survey, &fleet);
    } else {
        let lines = screen::lines(&survey, &fleet, screen::width());
        lines.iter().for_each(|line| say!("{line}"));
    }
    match survey.trouble() {
        Some(kind) => Err(Failure::told(kind)),
        None => Ok(()),
    }
}

/// The named hosts; without names all of them, those outside of the cluster too.
fn shown<'a>(fleet: &'a Fleet, names: &[String]) -> Result<Vec<&'a Host>> {
    if names.is_empty() {
        if fleet.hosts.is_empty() {
            return Err(no_hosts());
        }
        let mut hosts: Vec<&Host> = fleet.hosts.values().collect();
        // As they are deployed: servers, agents, those outside of the cluster.
        hosts.sort_by_key(|host| match host.role {
            Some(Role::Server) => 0,
            Some(Role::Agent) => 1,
            None => 2,
        });
        return Ok(hosts);
    }
    super::named_or_cluster(fleet, names)
}

fn dry_run(
    global: &Global,
    args: &Status,
    repository: &Repository,
    fleet: &Fleet,
    hosts: &[&Host],
) -> Result<()> {
    if args.drift {
        print_plan(
            global,
            repository,
            fleet,
            &playbook::drift(format!("build {}", fleet.cluster.name), fleet, hosts),
        );
        return Ok(());
    }
    for host in survey::asked(fleet, hosts) {
        if global.json {
            let (stage, subject, step) = ("ask".to_owned(), host.name.to_string(), "ask".to_owned());
            let about = "ask for all that it says about itself, and change nothing".to_owned();
            Event::PlannedStep { stage, subject, step, about, commands: None }.print();
        } else {
            say!("would ask {}", host.name);
        }
    }
    Ok(())
}
