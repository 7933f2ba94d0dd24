//! The pipeline that `deploy` and `bootstrap-cluster` share.

use fleet::{BuildOn, Fleet, Host, HostName, Role};
use pipeline::{Step, Track};
use serde::{Deserialize, Serialize};

use super::host::{host_steps, labels_step};
use super::{
    Action, Ask, CLUSTER, Plan, REPOSITORY, Token, connect_track, gate_step, has_several_servers, names,
    with_consulted,
};
use crate::cli::Goal;

/// How many systems one nix evaluates: it keeps all of them in memory, and a real one takes up to 1.5 GB.
const TOGETHER: usize = 8;

/// What a deploy is to reach, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aim {
    pub(crate) goal: Goal,
    pub(crate) token: Token,
    /// How many agents side by side after the first; a quarter of them unless said otherwise. A batch that fails stops
    /// those after it.
    pub(crate) batch: Option<usize>,
    /// How many agents may fail before those after them are left alone.
    pub(crate) max_failures: usize,
    /// Any number of hosts outside of the cluster may.
    pub(crate) keep_going: bool,
    /// Each host is rebooted into its new boot default.
    pub(crate) reboot: bool,
    /// Each node is drained before it is touched, within so many seconds.
    #[serde(default)]
    pub(crate) drain: Option<u64>,
}

impl Aim {
    /// Every host must do; nothing is rebooted.
    pub(crate) fn new(goal: Goal, token: Token) -> Self {
        Self { goal, token, batch: None, max_failures: 0, keep_going: false, reboot: false, drain: None }
    }

    /// Does it change what runs?
    pub(super) fn activates(self) -> bool {
        matches!(self.goal, Goal::Switch | Goal::Test)
    }

    pub(super) fn reboots(self) -> bool {
        self.reboot && matches!(self.goal, Goal::Switch | Goal::Boot)
    }

    /// Is a host away for a while?
    pub(super) fn touches(self) -> bool {
        self.activates() || self.reboots()
    }
}

/// The plan that takes these hosts to the goal. `hosts` may be in any order; the plan is in the cluster's.
pub(crate) fn deploy(title: String, fleet: &Fleet, hosts: &[&Host], aim: Aim) -> Plan {
    let Aim { goal, token, batch, .. } = aim;
    let mut plan = Plan::new(title);
    let of = |role: Option<Role>| hosts.iter().copied().filter(|host| host.role == role).collect::<Vec<_>>();
    let (agents, others) = (of(Some(Role::Agent)), of(None));
    let servers: Vec<&Host> =
        fleet.with_role(Role::Server).into_iter().filter(|host| hosts.contains(host)).collect();

    let about = "see that tools, files, keys and readers are those that this needs";
    let preflight = vec![Step::new(
        "preflight",
        about,
        Action::Preflight { hosts: names(hosts.iter().copied()), goal, token },
    )];
    let ask = Ask { servers: aim.touches(), builders: true };
    let changes = !matches!(goal, Goal::Build | Goal::DryActivate);
    let connect = with_consulted(fleet, hosts, ask);
    let connect = connect
        .into_iter()
        .map(|(host, needed)| connect_track(host, changes && hosts.contains(&host), needed));
    plan.harmless_stage(
        "preflight",
        std::iter::once(Track::new(REPOSITORY, preflight)).chain(connect).collect(),
    );
    let steps = repository_steps(fleet, token, !agents.is_empty());
    plan.stage("repository", vec![Track::new(REPOSITORY, steps)]);
    plan.stage("build", build_tracks(hosts));
    let nodes: Vec<&Host> = servers.iter().chain(&agents).copied().collect();
    if changes && !nodes.is_empty() {
        let about = "see that K3s' versions may follow those that run, and that the servers' settings agree";
        let fit = Step::new("k3s", about, Action::Fit { hosts: names(nodes), goal });
        plan.harmless_stage("cluster", vec![Track::new(CLUSTER, vec![fit])]);
    }
    let track = |host: &Host| {
        let steps = host_steps(fleet, host, aim).into_iter().chain(labels_step(host, aim));
        Track::new(&host.name, steps.collect())
    };
    for server in &servers {
        plan.stage("server", vec![track(server)]);
    }
    if !agents.is_empty() && aim.activates() {
        token_stages(&mut plan, fleet, &servers, &agents);
    }
    let tracks = |hosts: &[&Host]| hosts.iter().map(|host| track(host)).collect();
    // One first: what breaks it need not break them all.
    let (first, rest) = agents.split_at(agents.len().min(1));
    plan.stage(if rest.is_empty() { "agents" } else { "first agent" }, tracks(first));
    let size = batch.unwrap_or(rest.len().div_ceil(4)).max(1);
    let batches = rest.len().div_ceil(size);
    for (index, batch) in rest.chunks(size).enumerate() {
        let name =
            if batches == 1 { "agents".to_owned() } else { format!("agents, {} of {batches}", index + 1) };
        plan.stage(name, tracks(batch));
    }
    plan.stage("others", tracks(&others));
    if aim.activates() {
        // What came after its own gate can only have harmed a node: those outside of the cluster are as they were.
        let nodes = hosts.iter().filter(|host| host.role.is_some());
        let verify = nodes.map(|host| Track::new(&host.name, vec![gate_step(fleet, host)]));
        plan.harmless_stage("verify", verify.collect());
    }
    allow_failures(&mut plan, hosts, aim);
    plan
}

/// A server has to do, and so has a host that builds for another.
fn allow_failures(plan: &mut Plan, hosts: &[&Host], aim: Aim) {
    let builds = |host: &Host| hosts.iter().any(|other| other.build_on == BuildOn::Host(host.name.clone()));
    let of = |role: Option<Role>| hosts.iter().filter(move |host| host.role == role && !builds(host));
    plan.allow(aim.max_failures, of(Some(Role::Agent)).map(|host| &host.name));
    plan.allow(if aim.keep_going { hosts.len() } else { 0 }, of(None).map(|host| &host.name));
}

fn repository_steps(fleet: &Fleet, token: Token, with_agents: bool) -> Vec<Step<Action>> {
    let mut steps = Vec::new();
    let servers = names(fleet.with_role(Role::Server));
    if token == Token::Make && !servers.is_empty() {
        let about = "make the server token if there is none, encrypted to admins and servers";
        let action = Action::ServerToken { servers: servers.clone() };
        steps.push(Step::new("server token", about, action));
    }
    if token == Token::Make && has_several_servers(fleet) {
        // All of them have to have the same one before the first of them starts.
        let about = "make the agent token that the servers share if there is none, encrypted to all nodes";
        steps.push(Step::new("shared token", about, Action::SharedToken { servers }));
    }
    let about = "resolve the flake once; every host is built from it";
    steps.push(Step::new("snapshot", about, Action::Snapshot { with_agents }));
    steps
}

/// The token comes from a server that is well, whether or not this run changes it; and agents are built with it before
/// the first of them is touched.
fn token_stages(plan: &mut Plan, fleet: &Fleet, servers: &[&Host], agents: &[&Host]) {
    let Some(server) = fleet.first_server() else { return };
    let several = has_several_servers(fleet);
    let mut steps = Vec::new();
    if servers.is_empty() && !several {
        steps.push(gate_step(fleet, server));
    }
    let (subject, whose) = if several {
        (CLUSTER, "that of the first server that is well".to_owned())
    } else {
        (server.name.as_str(), format!("{}'s", server.name))
    };
    let about = format!("compare {whose} with the secret; encrypt it to its readers if it differs");
    steps.push(Step::new("agent token", about, Action::AgentToken));
    plan.stage("agent token", vec![Track::new(subject, steps)]);
    plan.stage("build with token", build_tracks(agents));
}

pub(super) fn build_tracks(hosts: &[&Host]) -> Vec<Track<Action>> {
    let local = hosts.iter().filter(|host| host.build_on == BuildOn::Local);
    let local: Vec<HostName> = local.map(|host| host.name.clone()).collect();
    let group = |host: &Host| local.chunks(TOGETHER).find(|group| group.contains(&host.name));
    let track = |host: &&Host| Track::new(&host.name, build_steps(host, group(host).unwrap_or_default()));
    hosts.iter().map(track).collect()
}

fn build_steps(host: &Host, together: &[HostName]) -> Vec<Step<Action>> {
    let place = match &host.build_on {
        BuildOn::Target => "on the host itself".to_owned(),
        BuildOn::Local => "on this machine".to_owned(),
        BuildOn::Host(name) => format!("on {name}"),
    };
    let name = || host.name.clone();
    let build = Action::Build { host: name(), together: together.to_vec() };
    let mut steps = vec![Step::new("build", format!("build its system {place}"), build)];
    if host.build_on == BuildOn::Local {
        steps.push(Step::new("copy", "copy what it lacks, if there is room", Action::Copy { host: name() }));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLEET: &str = r#"
        [cluster]
        name = "mercury"
        domain = "mercury"
        [hosts.attic]
        [hosts.maia]
        role = "agent"
        node_ip = "100.64.0.5"
        [hosts.ocean]
        role = "server"
        node_ip = "100.64.0.6"
        build_on = "attic"
    "#;

    #[test]
    fn one_agent_goes_first_and_the_others_follow_in_batches() {
        let more = "[hosts.alma]\nrole = \"agent\"\nnode_ip = \"100.64.0.7\"\n\
                    [hosts.zoe]\nrole = \"agent\"\nnode_ip = \"100.64.0.8\"\n";
        let fleet = Fleet::parse(&format!("{FLEET}\n{more}")).unwrap();
        let hosts: Vec<&Host> = fleet.with_role(Role::Agent);
        let agents = |batch| {
            let aim = Aim { batch, ..Aim::new(Goal::Test, Token::Expect) };
            let plan = deploy("test".to_owned(), &fleet, &hosts, aim);
            let stages = plan.stages.into_iter().filter(|stage| stage.name.contains("agent"));
            let names = |stage: pipeline::Stage<Action>| {
                let hosts: Vec<String> = stage.tracks.into_iter().map(|track| track.subject).collect();
                format!("{}: {}", stage.name, hosts.join(" "))
            };
            stages.filter(|stage| stage.name != "agent token").map(names).collect::<Vec<_>>()
        };
        assert_eq!(agents(None), ["first agent: alma", "agents, 1 of 2: maia", "agents, 2 of 2: zoe"]);
        assert_eq!(agents(Some(2)), ["first agent: alma", "agents: maia zoe"]);
    }

    /// Stages as `name: subject[step step] subject[…]`.
    fn outline(hosts: &[&str], goal: Goal, token: Token) -> Vec<String> {
        outline_of(FLEET, hosts, Aim::new(goal, token))
    }

    fn outline_of(fleet: &str, hosts: &[&str], aim: Aim) -> Vec<String> {
        let fleet = Fleet::parse(fleet).unwrap();
        let hosts: Vec<&Host> = hosts.iter().map(|name| fleet.host(name).unwrap()).collect();
        let plan = deploy("test".to_owned(), &fleet, &hosts, aim);
        let track = |track: &Track<Action>| {
            let steps: Vec<&str> = track.steps.iter().map(|step| step.name.as_str()).collect();
            format!("{}[{}]", track.subject, steps.join(", "))
        };
        let line = |stage: &pipeline::Stage<Action>| {
            format!("{}: {}", stage.name, stage.tracks.iter().map(track).collect::<Vec<_>>().join(" "))
        };
        plan.stages.iter().map(line).collect()
    }

    #[test]
    fn a_bootstrap_is_server_then_token_then_agents() {
        expect_test::expect![[r#"
            preflight: repository[preflight] attic[connect] maia[connect] ocean[connect]
            repository: repository[server token, snapshot]
            build: maia[build] ocean[build]
            cluster: cluster[k3s]
            server: ocean[datastore, activate, verify, boot default, labels]
            agent token: ocean[agent token]
            build with token: maia[build]
            agents: maia[activate, verify, boot default, labels]
            verify: maia[verify] ocean[verify]"#]]
        .assert_eq(&outline(&["maia", "ocean"], Goal::Switch, Token::Make).join("\n"));
    }

    const SEVERAL: &str = r#"
        [cluster]
        name = "mercury"
        domain = "mercury"
        first_server = "reef"
        [hosts.atoll]
        role = "server"
        node_ip = "100.64.0.7"
        [hosts.maia]
        role = "agent"
        node_ip = "100.64.0.5"
        [hosts.reef]
        role = "server"
        node_ip = "100.64.0.6"
    "#;

    #[test]
    fn several_servers_share_a_token_and_are_touched_one_at_a_time() {
        let aim = Aim::new(Goal::Switch, Token::Make);
        expect_test::expect![[r#"
            preflight: repository[preflight] atoll[connect] maia[connect] reef[connect]
            repository: repository[server token, shared token, snapshot]
            build: maia[build] atoll[build] reef[build]
            cluster: cluster[k3s]
            server: reef[quorum, datastore, activate, verify, boot default, labels]
            server: atoll[quorum, datastore, activate, verify, boot default, labels]
            agent token: cluster[agent token]
            build with token: maia[build]
            agents: maia[activate, verify, boot default, labels]
            verify: maia[verify] atoll[verify] reef[verify]"#]]
        .assert_eq(&outline_of(SEVERAL, &["maia", "atoll", "reef"], aim).join("\n"));
        let aim = Aim { drain: Some(60), reboot: true, ..Aim::new(Goal::Boot, Token::Expect) };
        expect_test::expect![[r#"
            preflight: repository[preflight] atoll[connect] reef[connect]
            repository: repository[snapshot]
            build: atoll[build]
            cluster: cluster[k3s]
            server: atoll[quorum, datastore, drain, boot default, reboot, verify, uncordon, labels]"#]]
        .assert_eq(&outline_of(SEVERAL, &["atoll"], aim).join("\n"));
        // Any server knows the nodes, and none is touched.
        let aim = Aim { drain: Some(60), ..Aim::new(Goal::Test, Token::Expect) };
        expect_test::expect![[r#"
            preflight: repository[preflight] atoll[connect] maia[connect] reef[connect]
            repository: repository[snapshot]
            build: maia[build]
            cluster: cluster[k3s]
            agent token: cluster[agent token]
            build with token: maia[build]
            agents: maia[drain, activate, verify, uncordon, labels]
            verify: maia[verify]"#]]
        .assert_eq(&outline_of(SEVERAL, &["maia"], aim).join("\n"));
    }

    #[test]
    fn an_agent_alone_still_asks_the_server_and_changes_it_in_nothing() {
        expect_test::expect![[r#"
            preflight: repository[preflight] maia[connect] ocean[connect]
            repository: repository[snapshot]
            build: maia[build]
            cluster: cluster[k3s]
            agent token: ocean[verify, agent token]
            build with token: maia[build]
            agents: maia[activate, verify, boot default, labels]
            verify: maia[verify]"#]]
        .assert_eq(&outline(&["maia"], Goal::Switch, Token::Expect).join("\n"));
    }

    #[test]
    fn no_other_host_than_those_of_the_plan_is_contacted() {
        assert_eq!(outline(&["attic"], Goal::Build, Token::Expect), {
            [
                "preflight: repository[preflight] attic[connect]",
                "repository: repository[snapshot]",
                "build: attic[build]",
            ]
        });
        assert_eq!(
            outline(&["maia"], Goal::Boot, Token::Expect),
            [
                "preflight: repository[preflight] maia[connect]",
                "repository: repository[snapshot]",
                "build: maia[build]",
                "cluster: cluster[k3s]",
                "agents: maia[boot default]",
            ]
        );
    }
}
