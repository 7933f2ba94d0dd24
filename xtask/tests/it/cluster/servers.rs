//! Several servers: each joins the one before, one is touched at a time, and none while another is down.

use std::collections::BTreeMap;
use std::fs;

use expect_test::expect;
use lab::Lab;
use serde_json::Value;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{Systems, link, systems, wait_for};
use crate::support::{Clone, configure, edit, on, xtask};

each_k3s!(three_servers_from_nothing_through_a_life, one_server_becomes_three_and_keeps_what_it_has,);

const SERVERS: [&str; 3] = ["ocean", "atoll", "reef"];
const HOSTS: [&str; 5] = ["ocean", "atoll", "reef", "maia", "vega"];

/// This repository's fleet with two more servers and an agent, all with this package of K3s.
fn fleet(package: &str) -> Clone {
    let clone = Clone::in_namespace().with_hosts("ocean", "server", &["reef", "atoll"]).with_hosts(
        "maia",
        "agent",
        &["vega"],
    );
    clone.fleet("# first_server", "first_server");
    clone.edit("hosts/common/k3s/node.nix", "  lib,\n", "  lib,\n  pkgs,\n");
    clone.edit(
        "hosts/common/k3s/node.nix",
        "    enable = true;\n",
        &format!("    enable = true;\n    package = pkgs.{package};\n"),
    );
    clone
}

fn nodes(lab: &Lab, server: &str) -> BTreeMap<String, Value> {
    let list: Value = serde_json::from_str(&on(lab, server, "k3s kubectl get nodes -o json")).unwrap();
    let nodes = list["items"].as_array().unwrap().iter();
    nodes.map(|node| (node["metadata"]["name"].as_str().unwrap().to_owned(), node.clone())).collect()
}

fn condition<'a>(node: &'a Value, kind: &str) -> &'a str {
    let conditions = node["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|one| one["type"] == kind).and_then(|one| one["status"].as_str()).unwrap_or("none")
}

fn all(lab: &Lab) -> Vec<Systems> {
    HOSTS.iter().map(|host| systems(lab, host)).collect()
}

/// Another system for each, under which K3s goes on.
fn change(lab: &Lab, name: &str, hosts: &[&str]) {
    for host in hosts {
        configure(lab, host, &format!("environment.etc.{name}.text = \"\";"));
    }
}

fn three_servers_from_nothing_through_a_life(rehearsal: &Rehearsal) {
    let Some(versions) = rehearsal.two_versions() else { return };
    rehearsal.enter_lab(
        || fleet(&versions[0].0),
        |lab| {
            bootstrapped(lab);
            both_tokens_are_changed_on_all(lab);
            all_get_a_new_version_one_after_the_other(lab, versions);
            nobody_is_touched_while_one_is_down(lab);
            agents_do_without_the_first(lab);
            what_all_must_share_is_compared(lab);
            no_second_cluster_is_started(lab);
        },
    );
}

fn bootstrapped(lab: &Lab) {
    let answer = xtask(lab, &["bootstrap-cluster"]).expect(0);
    assert!(!answer.stderr.contains("warning"), "{}", answer.stderr);
    assert!(answer.line("skip  cluster  agent token").contains("already"), "{}", answer.stderr);
    assert!(answer.line("done  ocean  quorum").contains("no other server is a member of etcd yet"));
    for server in SERVERS {
        let nodes = nodes(lab, server);
        assert_eq!(nodes.len(), 5, "{nodes:?}");
        for (name, node) in &nodes {
            assert_eq!(condition(node, "Ready"), "True", "{name}");
            let votes = if SERVERS.contains(&name.as_str()) { "True" } else { "none" };
            assert_eq!(condition(node, "EtcdIsVoter"), votes, "{name}");
        }
    }
    // One token, which all servers had before the first of them started; and no server's.
    let token = on(lab, "maia", "cat /run/agenix/k3s-agent-token");
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "not 32 bytes as hex");
    for server in SERVERS {
        assert_eq!(on(lab, server, "cat /run/agenix/k3s-agent-token"), token, "{server}");
        assert!(
            on(lab, server, "cat /var/lib/rancher/k3s/server/agent-token")
                .ends_with(&format!("::node:{token}"))
        );
    }
    xtask(lab, &["check"]).expect(0);
    let before = all(lab);
    xtask(lab, &["bootstrap-cluster"]).expect(0).says("all is well; nothing was changed");
    assert_eq!(all(lab), before);
    xtask(lab, &["verify"]).expect(0);
}

fn both_tokens_are_changed_on_all(lab: &Lab) {
    let on_all = |file: &str| {
        let tokens =
            SERVERS.map(|server| on(lab, server, &format!("cat /var/lib/rancher/k3s/server/{file}")));
        assert!(tokens.iter().all(|token| *token == tokens[0]), "servers with different {file}s");
        tokens[0].clone()
    };
    let (server, agent) = (on_all("token"), on_all("agent-token"));
    xtask(lab, &["token", "rotate", "--server"]).expect(0);
    assert!(on_all("token") != server && on_all("agent-token") == agent);
    xtask(lab, &["token", "check"]).expect(0);
    xtask(lab, &["token", "rotate", "--agent"]).expect(0);
    assert_ne!(on_all("agent-token"), agent);
    xtask(lab, &["token", "check"]).expect(0);
    // Each starts again, the one that changed the datastore over as well.
    for server in SERVERS {
        on(lab, server, "systemctl restart k3s.service");
        wait_for("verify is content", 60, || xtask(lab, &["verify"]).code == 0);
    }
}

fn all_get_a_new_version_one_after_the_other(lab: &Lab, [was, now]: [&(String, String); 2]) {
    let before = all(lab);
    let module = lab.deployer().repository().join("hosts/common/k3s/node.nix");
    edit(&module, &format!("pkgs.{}", was.0), &format!("pkgs.{}", now.0));
    let answer = xtask(lab, &["deploy", "--all", "--drain"]).expect(0);
    assert!(
        answer.line("done  cluster  k3s").contains(&format!("reef {} → {}", was.1, now.1)),
        "{}",
        answer.stderr
    );
    for server in SERVERS {
        assert!(answer.line(&format!("done  {server}  quorum")).contains("2 of 3 voting members remain"));
        let copied = answer.line(&format!("done  {server}  datastore"));
        let snapshot = copied.split_whitespace().find(|word| word.contains("/snapshots/before-")).unwrap();
        assert_eq!(on(lab, server, &format!("stat -c %U {snapshot}")), "root");
        assert!(
            on(lab, server, "k3s etcd-snapshot ls")
                .contains(&format!("before-k3s-{}", now.1.replace('+', "-")))
        );
    }
    for (host, (old, new)) in HOSTS.iter().zip(before.iter().zip(all(lab))) {
        assert!(new.running != old.running && new.boot == new.running, "{host}: {new:?}");
        assert!(answer.line(&format!("done  {host}  drain")).contains("drained"));
        answer.line(&format!("done  {host}  uncordon"));
        let node = &nodes(lab, "reef")[*host];
        assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], format!("v{}", now.1), "{host}");
        assert_eq!(node["spec"]["unschedulable"], Value::Null, "{host}");
    }
}

fn nobody_is_touched_while_one_is_down(lab: &Lab) {
    on(lab, "reef", "systemctl stop k3s.service");
    let before = all(lab);
    change(lab, "rolling", &["ocean", "atoll"]);
    let answer = xtask(lab, &["deploy", "ocean", "atoll"]).expect(7);
    let from = answer.stderr.find("error:").unwrap();
    expect![[r#"
        error: ocean is not touched: reef is down: k3s.service was stopped
          │ 1 of 3 voting members would remain, 2 are needed
        hint: on reef: systemctl start k3s.service
    "#]]
    .assert_eq(answer.stderr[from..].split("\nto go on").next().unwrap());
    xtask(lab, &["rollback", "atoll", "--yes"]).expect(7).says("atoll is not touched: reef is down");
    assert_eq!(all(lab), before);
    xtask(lab, &["verify"])
        .expect(7)
        .says("reef is not well: k3s.service was stopped; to systemd it is inactive (dead)");
    // Whose machine does not answer is down as well.
    link("reef", "down");
    let answer = xtask(lab, &["deploy", "ocean"]).expect(7);
    link("reef", "up");
    assert!(
        answer.stderr.contains("ocean is not touched: reef cannot be asked: reef does not answer"),
        "{}",
        answer.stderr
    );
    assert_eq!(all(lab), before);
    // The one that is down may be mended; then the others follow.
    let mended = xtask(lab, &["deploy", "reef"]).expect(0);
    assert!(mended.line("done  reef  quorum").contains("remain"), "{}", mended.stderr);
    xtask(lab, &["deploy", "ocean", "atoll"]).expect(0);
    assert_ne!(all(lab), before);
}

fn agents_do_without_the_first(lab: &Lab) {
    on(lab, "ocean", "systemctl stop k3s.service");
    let before = systems(lab, "maia");
    change(lab, "without-k3s", &["maia"]);
    xtask(lab, &["deploy", "maia"]).expect(0);
    let without_k3s = systems(lab, "maia");
    assert_ne!(without_k3s, before);
    link("ocean", "down");
    change(lab, "without-ocean", &["maia"]);
    let answer = xtask(lab, &["deploy", "maia"]);
    link("ocean", "up");
    let answer = answer.expect(0);
    assert!(answer.line("skip  ocean  connect").contains("another server is asked"), "{}", answer.stderr);
    assert_ne!(systems(lab, "maia"), without_k3s);
    xtask(lab, &["deploy", "ocean"]).expect(0);
    xtask(lab, &["verify"]).expect(0);
}

fn what_all_must_share_is_compared(lab: &Lab) {
    let before = all(lab);
    let module = configure(lab, "atoll", "services.k3s.extraFlags = [ \"--flannel-backend=host-gw\" ];");
    xtask(lab, &["deploy", "atoll"])
        .expect(3)
        .says("all servers must agree in --flannel-backend: ocean has vxlan, atoll has host-gw");
    assert_eq!(all(lab), before);
    fs::write(lab.deployer().repository().join("hosts/atoll/default.nix"), module).unwrap();
}

fn no_second_cluster_is_started(lab: &Lab) {
    on(lab, "ocean", "systemctl stop k3s.service && mv /var/lib/rancher /var/lib/rancher.away");
    xtask(lab, &["deploy", "ocean"]).expect(7).says("would start a second cluster beside that of ");
    on(lab, "ocean", "test ! -e /var/lib/rancher && mv /var/lib/rancher.away /var/lib/rancher");
    on(lab, "ocean", "systemctl start k3s.service");
    wait_for("all is well again", 30, || xtask(lab, &["verify"]).code == 0);
}

/// fleet.toml's text without a host's table.
fn without(text: &str, host: &str) -> String {
    let start = text.find(&format!("[hosts.{host}]")).unwrap();
    let end = text[start + 1..].find("\n[").map_or(text.len(), |at| start + 2 + at);
    format!("{}{}", &text[..start], &text[end..])
}

fn one_server_becomes_three_and_keeps_what_it_has(rehearsal: &Rehearsal) {
    rehearsal.enter_lab(
        || fleet(rehearsal.package()),
        |lab| {
            let path = lab.deployer().repository().join("hosts/fleet.toml");
            let whole = fs::read_to_string(&path).unwrap();
            let one = ["atoll", "reef", "vega"].iter().fold(whole.clone(), |text, host| without(&text, host));
            fs::write(&path, one).unwrap();
            xtask(lab, &["bootstrap-cluster"]).expect(0);
            on(lab, "ocean", "k3s kubectl label node maia kept=yes");
            let agent = || {
                on(lab, "maia", "systemctl show k3s.service -p InvocationID; cat /run/agenix/k3s-agent-token")
            };
            let (token, before) = (on(lab, "ocean", "cat /var/lib/rancher/k3s-agent-token"), agent());

            fs::write(&path, without(&whole, "vega")).unwrap();
            let answer = xtask(lab, &["bootstrap-cluster"]).expect(0);
            assert!(answer.line("done  repository  shared token").contains("encrypted anew, now to"));
            for server in SERVERS {
                let nodes = nodes(lab, server);
                assert_eq!(nodes.len(), 4, "{server}: {nodes:?}");
                assert_eq!(nodes["maia"]["metadata"]["labels"]["kept"], "yes", "{server}");
                assert_eq!(condition(&nodes[server], "EtcdIsVoter"), "True");
                let shown = on(lab, server, "cat /var/lib/rancher/k3s/server/agent-token");
                assert!(shown.ends_with(&format!("::node:{token}")), "{server} has another agent token");
            }
            assert_eq!(agent(), before, "the agent was not restarted for it, nor given another token");
            xtask(lab, &["bootstrap-cluster"]).expect(0).says("all is well; nothing was changed");
        },
    );
}

#[test]
fn an_even_number_is_told_and_is_no_error() {
    let clone = Clone::new().with_hosts("ocean", "server", &["reef"]);
    clone.fleet("# first_server", "first_server");
    let told =
        "warning: 2 servers bear the loss of 0, no more than 1 would: an odd number of them is better\n";
    // It fails for want of keys; for nothing else.
    let check = clone.xtask(&["check"]).expect(3);
    assert_eq!(check.stderr.matches(told).count(), 1, "{}", check.stderr);
    let plan = clone.xtask(&["deploy", "--all", "--dry-run"]).expect(0);
    assert_eq!(plan.stderr.matches(told).count(), 1, "{}", plan.stderr);
    assert_eq!(clone.xtask(&["deploy", "maia", "--dry-run"]).expect(0).stderr.matches("warning").count(), 0);
}
