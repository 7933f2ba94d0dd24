//! Playbooks: from what the fleet is and what was asked for to a plan. Pure; what each action does stands in `run`.
//!
//! The order is the point of this project: build everything before anything is touched; servers one at a time; the
//! token only from a server that passed its gate; agents only after the token; everything verified at the end.

mod action;
mod deploy;
mod drift;
mod leave;
mod rollback;
mod rotate;
mod verify;

pub(crate) use action::{Action, Rotated, Target, Token};
pub(crate) use deploy::{Aim, deploy};
pub(crate) use drift::drift;
pub(crate) use leave::{Leave, leave};
pub(crate) use rollback::rollback;
pub(crate) use rotate::rotate;
pub(crate) use verify::verify;

use fleet::{Fleet, Host, HostName};
use pipeline::{Step, Track};

pub(crate) type Plan = pipeline::Plan<Action>;

/// What the steps about the repository call it.
pub(crate) const REPOSITORY: &str = "repository";

/// Reaches a host that the plan asks, or changes: then it is locked.
fn connect_track(host: &Host, lock: bool) -> Track<Action> {
    let addresses: Vec<&str> = host.addresses.iter().map(fleet::Address::as_str).collect();
    let locked = if lock { "; no other deployer may" } else { "" };
    let about = format!("reach it at {}, by its pinned key{locked}", addresses.join(" or "));
    let action = Action::Connect { host: host.name.clone(), lock };
    Track::new(&host.name, vec![Step::new("connect", about, action)])
}

fn gate_step(fleet: &Fleet, host: &Host) -> Step<Action> {
    let about = match host.role {
        Some(fleet::Role::Server) => "over a fresh connection: units, secret, k3s, /readyz, its node Ready",
        Some(fleet::Role::Agent) => "over a fresh connection: units, secret, token, k3s, its node Ready",
        None => "over a fresh connection: units",
    };
    let server = fleet.first_server().map(|server| server.name.clone());
    Step::new("verify", about, Action::Gate { host: host.name.clone(), server })
}

/// Who else is needed.
#[derive(Clone, Copy)]
struct Ask {
    server: bool,
    builders: bool,
}

/// The hosts and whoever must be asked about them: the first server knows the nodes, a builder builds.
fn with_consulted<'a>(fleet: &'a Fleet, hosts: &[&'a Host], ask: Ask) -> Vec<&'a Host> {
    let mut names: Vec<&HostName> = hosts.iter().map(|host| &host.name).collect();
    if ask.server && hosts.iter().any(|host| host.role.is_some()) {
        names.extend(fleet.first_server().map(|server| &server.name));
    }
    if ask.builders {
        names.extend(hosts.iter().filter_map(|host| match &host.build_on {
            fleet::BuildOn::Host(name) => Some(name),
            _ => None,
        }));
    }
    fleet.hosts.values().filter(|host| names.contains(&&host.name)).collect()
}
