//! `status --drift`: every system built where fleet.toml says, and nothing done with it.

use fleet::{Fleet, Host, Role};
use pipeline::{Step, Track};

use super::{Action, Ask, Plan, REPOSITORY, connect_track, with_consulted};

/// Builds these hosts' systems from one snapshot of the flake. One that fails is no reason not to build the others.
pub(crate) fn drift(title: String, fleet: &Fleet, hosts: &[&Host]) -> Plan {
    let mut plan = Plan::new(title);
    let consulted = with_consulted(fleet, hosts, Ask { servers: false, builders: true });
    plan.harmless_stage(
        "preflight",
        consulted.into_iter().map(|(host, needed)| connect_track(host, false, needed)).collect(),
    );
    let with_agents = hosts.iter().any(|host| host.role == Some(Role::Agent));
    let about = "resolve the flake once; every host is built from it";
    let snapshot = Step::new("snapshot", about, Action::Snapshot { with_agents });
    plan.harmless_stage("repository", vec![Track::new(REPOSITORY, vec![snapshot])]);
    let build = |host: &&Host| {
        let build = Action::Build { host: host.name.clone(), together: Vec::new() };
        let step = Step::new("build", "build its system", build);
        Track::new(&host.name, vec![step])
    };
    plan.harmless_stage("build", hosts.iter().map(build).collect());
    // Not a builder: those after it could not be built.
    let builds =
        |host: &Host| hosts.iter().any(|other| other.build_on == fleet::BuildOn::Host(host.name.clone()));
    plan.allow(hosts.len(), hosts.iter().filter(|host| !builds(host)).map(|host| &host.name));
    plan
}
