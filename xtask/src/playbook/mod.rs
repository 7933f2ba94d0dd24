//! Playbooks: from what the fleet is and what was asked for to a plan. Pure; what each action does stands in `run`.
//!
//! The order is the point of this project: build everything before anything is touched; servers one at a time; the
//! token only from a server that passed its gate; agents only after the token; everything verified at the end.

mod action;
mod deploy;
mod drift;
mod host;
mod leave;
mod rollback;
mod rotate;
mod verify;

pub(crate) use action::{Action, Needed, Rotated, Target, Token};
pub(crate) use deploy::{Aim, deploy};
pub(crate) use drift::drift;
pub(crate) use leave::{Leave, leave};
pub(crate) use rollback::rollback;
pub(crate) use rotate::rotate;
pub(crate) use verify::verify;

use fleet::{Fleet, Host, HostName, Role};
use pipeline::{Step, Track};

pub(crate) type Plan = pipeline::Plan<Action>;

/// What the steps about the repository call it.
pub(crate) const REPOSITORY: &str = "repository";
/// And what those about all of its nodes.
pub(crate) const CLUSTER: &str = "cluster";

fn has_several_servers(fleet: &Fleet) -> bool {
    fleet.with_role(Role::Server).len() > 1
}

fn names<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> Vec<HostName> {
    hosts.into_iter().map(|host| host.name.clone()).collect()
}

/// Reaches a host that the plan asks, or changes: then it is locked.
fn connect_track(host: &Host, lock: bool, needed: Needed) -> Track<Action> {
    let addresses: Vec<&str> = host.addresses.iter().map(fleet::Address::as_str).collect();
    let locked = if lock { "; no other deployer may" } else { "" };
    let asked = if needed == Needed::OneOfSeveral { "; it is only asked" } else { "" };
    let about = format!("reach it at {}, by its pinned key{locked}{asked}", addresses.join(" or "));
    let action = Action::Connect { host: host.name.clone(), lock, needed };
    Track::new(&host.name, vec![Step::new("connect", about, action)])
}

fn gate_step(fleet: &Fleet, host: &Host) -> Step<Action> {
    let about = match host.role {
        Some(Role::Server) if has_several_servers(fleet) => {
            "over a fresh connection: units, secrets, k3s, /readyz, its vote in etcd, its node Ready"
        }
        Some(Role::Server) => "over a fresh connection: units, secret, k3s, /readyz, its node Ready",
        Some(Role::Agent) => "over a fresh connection: units, secret, token, k3s, its node Ready",
        None => "over a fresh connection: units",
    };
    Step::new("verify", about, Action::Gate { host: host.name.clone() })
}

/// Who else is needed.
#[derive(Clone, Copy)]
struct Ask {
    servers: bool,
    builders: bool,
}

/// The hosts and whoever must be asked about them: servers know the nodes and are each other's majority, a builder builds.
fn with_consulted<'a>(fleet: &'a Fleet, hosts: &[&'a Host], ask: Ask) -> Vec<(&'a Host, Needed)> {
    let builds = |host: &Host| {
        let is_it = |other: &&Host| other.build_on == fleet::BuildOn::Host(host.name.clone());
        ask.builders && hosts.iter().copied().any(|other| is_it(&other))
    };
    let asks_servers = ask.servers && hosts.iter().any(|host| host.role.is_some());
    let several = has_several_servers(fleet);
    let needed = |host: &Host| match host.role {
        _ if hosts.iter().any(|other| other.name == host.name) || builds(host) => Some(Needed::Yes),
        Some(Role::Server) if asks_servers && several => Some(Needed::OneOfSeveral),
        Some(Role::Server) if asks_servers => Some(Needed::Yes),
        _ => None,
    };
    fleet.hosts.values().filter_map(|host| Some((host, needed(host)?))).collect()
}
