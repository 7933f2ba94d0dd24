//! `token rotate`: a new token for a cluster that runs.

use fleet::{Fleet, Host, Role};
use pipeline::{Step, Track};

use super::deploy::build_tracks;
use super::host::host_steps;
use super::{Action, Aim, Needed, Plan, REPOSITORY, Rotated, Token, connect_track, deploy, gate_step};
use crate::cli::Goal;

/// The order is what matters: the new token is on every server before the datastore changes over, and each server is
/// restarted soon after. In between, a server that reboots would not come back.
pub(crate) fn rotate(title: String, fleet: &Fleet, of: Rotated) -> Plan {
    let servers = fleet.with_role(Role::Server);
    let Some(first) = servers.first() else { return Plan::new(title) };
    let agents = fleet.with_role(Role::Agent);
    // Its servers' part is ours; what it does with agents is what any deploy does.
    let aim = Aim::new(Goal::Switch, Token::Expect);
    let for_agents = deploy(title.clone(), fleet, &agents, aim);
    let mut plan = Plan::new(title);
    let all = || {
        fleet
            .hosts
            .values()
            .filter(|host| host.role == Some(Role::Server) || of == Rotated::Agent && host.role.is_some())
    };
    let preflight = Action::Preflight {
        hosts: all().map(|host| host.name.clone()).collect(),
        goal: Goal::Switch,
        token: Token::Expect,
    };
    let about = "see that tools, files, keys and readers are those that this needs";
    let preflight = Track::new(REPOSITORY, vec![Step::new("preflight", about, preflight)]);
    plan.harmless_stage(
        "preflight",
        std::iter::once(preflight).chain(all().map(|host| connect_track(host, true, Needed::Yes))).collect(),
    );
    let gates = |plan: &mut Plan, name: &str| {
        let gates = servers.iter().map(|server| Track::new(&server.name, vec![gate_step(fleet, server)]));
        plan.harmless_stage(name, gates.collect());
    };
    gates(&mut plan, "verify before");
    let agents_read_it = of == Rotated::Agent && !agents.is_empty();
    let about = "resolve the flake once; every host is built from it";
    let snapshot = Step::new("snapshot", about, Action::Snapshot { with_agents: agents_read_it });
    plan.stage("repository", vec![Track::new(REPOSITORY, vec![snapshot])]);
    // Servers read the agents' token from a secret only if there are several.
    let is_staged = of == Rotated::Server || servers.len() > 1;
    if is_staged {
        let with_unit = |(mut track, server): (Track<Action>, &&Host)| {
            track.steps.push(same_unit(server));
            track
        };
        plan.harmless_stage(
            "build",
            build_tracks(&servers).into_iter().zip(&servers).map(with_unit).collect(),
        );
    }
    let change = |about: &str| Step::new("rotate", about, Action::Rotate { server: first.name.clone(), of });
    let about = "keep the datastore as it is now, and its token, on the server";
    let back_up = Step::new("back up", about, Action::BackUp { server: first.name.clone() });
    let about = "make it, unless an earlier run did";
    let new = Step::new("new token", about, Action::NewToken { server: first.name.clone(), of });
    let steps = match of {
        Rotated::Server => vec![back_up, new],
        // An earlier restart that it was not told of would make the next one fail.
        Rotated::Agent => vec![back_up, change("tell the datastore of the token that it has now"), new],
    };
    plan.stage("new token", vec![Track::new(&first.name, steps)]);
    if is_staged {
        plan.stage("build with token", build_tracks(&servers));
        for server in &servers {
            plan.stage("bring token", vec![Track::new(&server.name, host_steps(fleet, server, aim))]);
        }
    }
    if of == Rotated::Server {
        let step = change("have the datastore encrypted with it");
        plan.stage("rotate", vec![Track::new(&first.name, vec![step])]);
    }
    for server in &servers {
        let about = "restart K3s, unless it takes the new token already";
        let restart = Step::new("restart", about, Action::Restart { host: server.name.clone(), of });
        plan.stage("restart", vec![Track::new(&server.name, vec![restart, gate_step(fleet, server)])]);
    }
    if of == Rotated::Agent {
        let step = change("tell the datastore, or K3s would not start a second time");
        plan.stage("rotate", vec![Track::new(&first.name, vec![step])]);
        let done = ["preflight", "repository"];
        plan.stages
            .extend(for_agents.stages.into_iter().filter(|stage| !done.contains(&stage.name.as_str())));
    }
    let tries = servers.iter().map(|server| Track::new(&server.name, vec![try_token(server, of)]));
    plan.harmless_stage("try token", tries.collect());
    gates(&mut plan, "verify");
    plan
}

fn same_unit(server: &Host) -> Step<Action> {
    let about = "see that nothing else changes K3s, or it would be restarted too early";
    Step::new("unit", about, Action::SameUnit { host: server.name.clone() })
}

fn try_token(server: &Host, of: Rotated) -> Step<Action> {
    Step::new("try token", "log in with it", Action::TryToken { host: server.name.clone(), of })
}
