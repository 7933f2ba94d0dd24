//! `verify`: the gates alone.

use fleet::{Fleet, Host};
use pipeline::Track;

use super::{Ask, Plan, connect_track, gate_step, with_consulted};

/// Looks at these hosts and changes nothing.
pub(crate) fn verify(title: String, fleet: &Fleet, hosts: &[&Host]) -> Plan {
    let mut plan = Plan::new(title);
    let consulted = with_consulted(fleet, hosts, Ask { servers: true, builders: false });
    let connect = consulted.into_iter().map(|(host, needed)| connect_track(host, false, needed));
    plan.harmless_stage("preflight", connect.collect());
    let gates = hosts.iter().map(|host| Track::new(&host.name, vec![gate_step(fleet, host)]));
    plan.harmless_stage("verify", gates.collect());
    plan
}
