//! `rollback`: an earlier system of a host, with the same care as a new one.

use fleet::{Fleet, Host};
use pipeline::{Step, Track};

use super::host::host_steps;
use super::{Action, Aim, Ask, Plan, Token, connect_track, with_consulted};
use crate::cli::Goal;

/// Takes one host back to a generation, or to the one before its boot default.
pub(crate) fn rollback(fleet: &Fleet, host: &Host, to: Option<u32>, yes: bool) -> Plan {
    let mut plan = Plan::new(format!("roll back {}", host.name));
    let consulted = with_consulted(fleet, &[host], Ask { servers: true, builders: false });
    let connect = consulted.into_iter().map(|(other, needed)| connect_track(other, other == host, needed));
    plan.harmless_stage("preflight", connect.collect());
    let about = match to {
        Some(to) => format!("find generation {to} on the host"),
        None => "find the generation before its boot default, on the host".to_owned(),
    };
    let action = Action::Generation { host: host.name.clone(), to, yes };
    let find = Step::new("generation", about, action);
    plan.stage("generation", vec![Track::new(&host.name, vec![find])]);
    plan.stage(
        "rollback",
        vec![Track::new(&host.name, host_steps(fleet, host, Aim::new(Goal::Switch, Token::Expect)))],
    );
    plan
}
