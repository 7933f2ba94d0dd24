//! What is done to one host, in its order.

use fleet::{Fleet, Host, Role};
use pipeline::Step;

use super::{Action, Aim, Target, gate_step, has_several_servers};
use crate::cli::Goal;

/// Test first, then boot: a host's boot default never points at a system that failed its gate. Before it whatever has to
/// be so while the host is away.
pub(super) fn host_steps(fleet: &Fleet, host: &Host, aim: Aim) -> Vec<Step<Action>> {
    let (reboots, is_away) = (aim.reboots(), aim.touches());
    let drain = aim.drain.filter(|_| is_away && host.role.is_some());
    let mut steps = Vec::new();
    if is_away && host.role == Some(Role::Server) {
        steps.extend(server_steps(fleet, host, reboots));
    }
    if let Some(seconds) = drain {
        let about = format!("cordon it, and have what runs there go elsewhere within {seconds} s");
        let action = Action::Drain { host: host.name.clone(), seconds, reboot: reboots };
        steps.push(Step::new("drain", about, action));
    }
    let activate = |target: Target| {
        let name = match target {
            Target::Running => "activate",
            Target::Boot => "boot default",
            Target::DryRun => "dry-activate",
        };
        Step::new(name, target.to_string(), Action::Activate { host: host.name.clone(), target })
    };
    steps.extend(match aim.goal {
        Goal::Switch => vec![activate(Target::Running), gate_step(fleet, host), activate(Target::Boot)],
        Goal::Test => vec![activate(Target::Running), gate_step(fleet, host)],
        Goal::Boot => vec![activate(Target::Boot)],
        Goal::DryActivate => vec![activate(Target::DryRun)],
        Goal::Build => Vec::new(),
    });
    if reboots {
        let about = "reboot it into its boot default, and wait until it is back";
        steps.push(Step::new("reboot", about, Action::Reboot { host: host.name.clone() }));
        steps.push(gate_step(fleet, host));
    }
    if drain.is_some() {
        let about = "let it take work again, unless it took none before";
        steps.push(Step::new("uncordon", about, Action::Uncordon { host: host.name.clone() }));
    }
    steps
}

fn server_steps(fleet: &Fleet, host: &Host, reboot: bool) -> Vec<Step<Action>> {
    let mut steps = Vec::new();
    if has_several_servers(fleet) {
        let about = "see that the other servers are well, and enough of them without it";
        steps.push(Step::new("quorum", about, Action::Quorum { host: host.name.clone(), reboot }));
    }
    let about = "copy the datastore, if its version of K3s changes";
    steps.push(Step::new("datastore", about, Action::Datastore { host: host.name.clone() }));
    steps
}

/// After its gate, where K3s runs with what fleet.toml says.
pub(super) fn labels_step(host: &Host, aim: Aim) -> Option<Step<Action>> {
    if host.role.is_none() || !aim.touches() {
        return None;
    }
    let named = |what: &str, list: &[String]| match list {
        [] => format!("no {what}"),
        list => format!("{what} {}", list.join(" ")),
    };
    let (labels, taints) = (named("labels", &host.labels), named("taints", &host.taints));
    let about = format!("{labels}, {taints}: set what its node lacks, remove what an earlier run set");
    Some(Step::new("labels", about, Action::Labels { host: host.name.clone() }))
}
