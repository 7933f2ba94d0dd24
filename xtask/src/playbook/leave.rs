//! `node remove`, in the cluster: drained, stopped, deleted, in this order, since a kubelet that runs would register its
//! node again. A server leaves etcd before it is stopped. Each step can be done twice.

use fleet::{Host, Role};
use pipeline::{Step, Track};

use super::{Action, Needed, Plan, connect_track};

/// Who leaves, and who sees to it.
pub(crate) struct Leave<'a> {
    pub(crate) host: &'a Host,
    /// One that stays.
    pub(crate) server: &'a Host,
    /// The host does not answer: what needs it is left out.
    pub(crate) is_down: bool,
    /// How long its pods may take to go.
    pub(crate) drain_seconds: u64,
    /// Go on where it cannot be drained.
    pub(crate) force: bool,
}

/// The plan that takes a host out of its cluster.
pub(crate) fn leave(title: String, leave: &Leave<'_>) -> Plan {
    let Leave { host, server, is_down, drain_seconds: seconds, force } = *leave;
    let mut plan = Plan::new(title);
    let (name, by) = (|| host.name.clone(), || server.name.clone());
    let mut connect = vec![connect_track(server, false, Needed::Yes)];
    if !is_down {
        connect.insert(0, connect_track(host, true, Needed::Yes));
    }
    plan.harmless_stage("preflight", connect);
    if host.role == Some(Role::Server) {
        let action = Action::CanLeave { leaves: name(), server: by() };
        let step = Step::new("quorum", "enough servers stay to decide by", action);
        plan.harmless_stage("quorum", vec![Track::new(&server.name, vec![step])]);
    }
    let mut steps = Vec::new();
    if !is_down {
        let about = format!("move its pods elsewhere, within {seconds} s");
        steps.push(Step::new("drain", about, Action::Empty { host: name(), server: by(), seconds, force }));
    }
    let delete =
        |step: &str, about: String| Step::new(step, about, Action::DeleteNode { host: name(), server: by() });
    // Of two members none could decide to let the other go, once that one is stopped.
    if host.role == Some(Role::Server) {
        let about = format!("delete its node on {}: its etcd member goes with it", server.name);
        steps.push(Step::new("leave etcd", about, Action::LeaveEtcd { host: name(), server: by() }));
    }
    if !is_down {
        let about = "stop its K3s, or it would register again";
        steps.push(Step::new("stop k3s", about, Action::StopK3s { host: name() }));
    }
    steps.push(delete("delete node", format!("delete its node and its password on {}", server.name)));
    plan.stage("leave", vec![Track::new(&host.name, steps)]);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::Fleet;

    fn outline(host: &str, is_down: bool) -> String {
        let fleet = Fleet::parse(
            "[cluster]\nname = \"m\"\ndomain = \"m\"\nfirst_server = \"ocean\"\n\
             [hosts.maia]\nrole = \"agent\"\nnode_ip = \"100.64.0.5\"\n\
             [hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\n\
             [hosts.reef]\nrole = \"server\"\nnode_ip = \"100.64.0.7\"\n",
        )
        .unwrap();
        let (host, server) = (fleet.host(host).unwrap(), fleet.host("ocean").unwrap());
        let plan =
            leave("leave".to_owned(), &Leave { host, server, is_down, drain_seconds: 120, force: is_down });
        let line = |(stage, track, step): (&pipeline::Stage<Action>, &Track<Action>, &Step<Action>)| {
            format!("{}: {} {}", stage.name, track.subject, step.name)
        };
        plan.steps().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_node_is_drained_stopped_and_deleted_in_this_order() {
        expect_test::expect![[r#"
            preflight: maia connect
            preflight: ocean connect
            leave: maia drain
            leave: maia stop k3s
            leave: maia delete node"#]]
        .assert_eq(&outline("maia", false));
        expect_test::expect![[r#"
            preflight: ocean connect
            quorum: ocean quorum
            leave: reef leave etcd
            leave: reef delete node"#]]
        .assert_eq(&outline("reef", true));
        expect_test::expect![[r#"
            preflight: reef connect
            preflight: ocean connect
            quorum: ocean quorum
            leave: reef drain
            leave: reef leave etcd
            leave: reef stop k3s
            leave: reef delete node"#]]
        .assert_eq(&outline("reef", false));
    }
}
