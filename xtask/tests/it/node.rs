//! The life of a node: added, removed, added again, reinstalled. On machines here; what needs none stands in the modules.

mod kills;
mod offline;
mod secrets_nix;

use std::fs;
use std::path::Path;

use expect_test::expect;
use lab::{Lab, Options};

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{Clone, enter_lab_with, on, run, run_at_terminal, xtask};

each_k3s!(
    an_agent_is_added_removed_and_added_again,
    a_reinstalled_agent_is_pinned_and_joins_again,
    a_node_that_is_down_is_removed_by_force_and_what_fails_can_be_taken_up,
    a_second_server_is_added_and_removed_again,
);

/// A machine of which neither fleet.toml nor the cluster knows: the lab made it for a table that is taken out of the
/// deployer's copy.
pub(crate) fn in_lab_with_a_new_machine(test: &str, name: &str, body: impl FnOnce(&Lab)) {
    in_lab_with_a_new_machine_of(&Options::default(), test, name, body);
}

/// The same with machines of another kind.
pub(crate) fn in_lab_with_a_new_machine_of(
    options: &Options,
    test: &str,
    name: &str,
    body: impl FnOnce(&Lab),
) {
    let clone = || {
        let clone = Clone::in_namespace();
        let table = format!("\n[hosts.{name}]\nrole = \"agent\"\nnode_ip = \"100.64.0.7\"\n");
        let file = clone.path().join("hosts/fleet.toml");
        fs::write(&file, format!("{}{table}", fs::read_to_string(&file).unwrap())).unwrap();
        clone
    };
    enter_lab_with(options, test, clone, |lab| {
        let file = lab.deployer().repository().join("hosts/fleet.toml");
        let text = fs::read_to_string(&file).unwrap();
        let at = text.find(&format!("\n[hosts.{name}]")).unwrap();
        fs::write(&file, &text[..at]).unwrap();
        commit(lab);
        body(lab);
    });
}

fn git(lab: &Lab, args: &[&str]) -> String {
    let argv = lab.deployer().command("git").args(args).argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    run(&argv, &lab.deployer().repository(), &[]).expect(0).stdout
}

pub(crate) fn commit(lab: &Lab) {
    git(lab, &["add", "--all"]);
    git(lab, &["commit", "--quiet", "--message=as it is"]);
}

pub(crate) fn node_names(lab: &Lab) -> Vec<String> {
    let list = on(lab, "ocean", "k3s kubectl get nodes --no-headers");
    let ready = list.lines().filter(|line| line.contains(" Ready "));
    ready.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

fn started(lab: &Lab, host: &str) -> String {
    on(lab, host, "systemctl show k3s.service -p InvocationID --value")
}

fn an_agent_is_added_removed_and_added_again(rehearsal: &Rehearsal) {
    in_lab_with_a_new_machine_of(&rehearsal.options(), rehearsal.test(), "new-agent", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        commit(lab);
        let others = [started(lab, "ocean"), started(lab, "maia")];
        let secrets = lab.deployer().repository().join("secrets");
        let server_token = fs::read(secrets.join("k3s-server-token.age")).unwrap();

        let add = ["node", "add", "new-agent", "--role", "agent", "--label", "disk=ssd", "--yes"];
        let answer = xtask(lab, &add).expect(0);
        // Heard over the network, from the machine itself.
        let key =
            fs::read_to_string(lab.machine("new-agent").root().join("etc/ssh/ssh_host_ed25519_key.pub"));
        let key = fleet::PublicKey::new(&key.unwrap()).unwrap();
        let heard = format!("host key of new-agent {}  as new-agent.mercury answers", key.fingerprint());
        assert!(
            answer.stdout.contains(&heard) || answer.stdout.contains("as 100.64.0.7 answers"),
            "{answer:?}"
        );
        assert!(answer.stdout.contains("secrets/k3s-agent-token.age  +new-agent\n"), "{}", answer.stdout);
        assert_eq!(node_names(lab), ["maia", "new-agent", "ocean"]);
        let node = on(lab, "ocean", "k3s kubectl get node new-agent -o json");
        let node: serde_json::Value = serde_json::from_str(&node).unwrap();
        assert_eq!(node["metadata"]["labels"]["disk"], "ssd");
        assert_eq!([started(lab, "ocean"), started(lab, "maia")], others, "nobody else was restarted");
        assert_eq!(fs::read(secrets.join("k3s-server-token.age")).unwrap(), server_token);
        xtask(lab, &["verify"]).expect(0);
        xtask(lab, &["check"]).expect(0);

        // What was not committed is not thrown away.
        xtask(lab, &["node", "remove", "new-agent", "--yes"])
            .expect(3)
            .says("hosts/new-agent/default.nix has changes that are not committed");
        assert_eq!(node_names(lab), ["maia", "new-agent", "ocean"]);
        commit(lab);
        let answer = xtask(lab, &["node", "remove", "new-agent", "--yes"]).expect(0);
        let advice = answer.stdout.split("✓ new-agent is removed").nth(1).unwrap();
        expect![[r#"
             from the repository

            new-agent still has its system and its token: at its next boot K3s starts there and joins again. Power it off, or
            reinstall it, before that.

            new-agent could read, and whoever has its disk still can. Change these:
              secrets/k3s-agent-token.age  cargo xtask token rotate --agent
        "#]].assert_eq(advice);
        assert_eq!(node_names(lab), ["maia", "ocean"]);
        assert_eq!(on(lab, "new-agent", "systemctl is-active k3s.service || true"), "inactive");
        let left = on(lab, "ocean", "k3s kubectl -n kube-system get secrets -o name");
        assert!(!left.contains("new-agent"), "{left}");
        assert!(!lab.deployer().repository().join("hosts/new-agent").exists());
        xtask(lab, &["check"]).expect(0);
        xtask(lab, &["verify"]).expect(0);
        commit(lab);

        // Somebody compares the fingerprint.
        let argv = lab.deployer().xtask().args(&add[..7]).argv();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let question = "show this key on the host, and is this to be written and new-agent deployed? [y/N] ";
        let again = run_at_terminal(&argv, &lab.deployer().repository(), &[], (question, "y\n")).expect(0);
        assert!(again.stdout.contains(&key.fingerprint()), "{}", again.stdout);
        assert_eq!(node_names(lab), ["maia", "new-agent", "ocean"]);
        xtask(lab, &["verify"]).expect(0);
        assert_eq!([started(lab, "ocean"), started(lab, "maia")], others, "nobody else was restarted");
    });
}

fn a_reinstalled_agent_is_pinned_and_joins_again(rehearsal: &Rehearsal) {
    rehearsal.enter_lab(Clone::in_namespace, |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        // As a new installation: another host key, no node password, nothing that K3s kept.
        on(
            lab,
            "maia",
            "systemctl stop k3s.service; rm -rf /etc/rancher/node /var/lib/rancher/k3s; rm /etc/ssh/ssh_host_*; \
             systemctl restart containerd.service; \
             ssh-keygen -qt ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; systemctl restart sshd.service",
        );
        xtask(lab, &["deploy", "maia"]).expect(4).says("is not the pinned one");
        let answer = xtask(lab, &["node", "pin", "maia", "--yes", "--deploy"]).expect(0);
        assert!(answer.stdout.contains("  REPLACES SHA256:"), "{}", answer.stdout);
        assert!(
            answer
                .stdout
                .contains("secrets/k3s-agent-token.age  maia, by the new key instead of the old one"),
            "{}",
            answer.stdout
        );
        assert_eq!(node_names(lab), ["maia", "ocean"]);
        let key = lab.machine("maia").root().join("etc/ssh/ssh_host_ed25519_key");
        let secret = lab.deployer().repository().join("secrets/k3s-agent-token.age");
        let argv = ["age", "--decrypt", "--identity", key.to_str().unwrap(), secret.to_str().unwrap()];
        assert!(run(&argv, Path::new("/"), &[]).expect(0).stdout.starts_with("K10"));
        xtask(lab, &["verify"]).expect(0);
        let again = xtask(lab, &["node", "pin", "maia", "--yes"]).expect(0);
        assert!(again.stdout.contains("the key of maia is pinned already"), "{}", again.stdout);
    });
}

fn a_node_that_is_down_is_removed_by_force_and_what_fails_can_be_taken_up(rehearsal: &Rehearsal) {
    rehearsal.enter_lab(Clone::in_namespace, |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        commit(lab);
        let before = git(lab, &["status", "--porcelain"]);
        xtask(lab, &["node", "remove", "ocean", "--yes"]).expect(3).says("ocean is the only server");
        if !rehearsal.is_real() {
            a_drain_that_takes_too_long_stops_it(lab, &before);
        }
        on(lab, "maia", "(sleep 0.3; ip link set tailscale0 down) > /dev/null 2>&1 &");
        std::thread::sleep(std::time::Duration::from_millis(600));
        xtask(lab, &["node", "remove", "maia", "--yes"]).expect(4).says("If it is gone for good: --force");
        xtask(lab, &["node", "remove", "maia", "--yes", "--force"])
            .expect(0)
            .says("it is not drained, its K3s is not stopped; only its node is deleted");
        assert_eq!(node_names(lab), ["ocean"]);
        let nodes = on(lab, "ocean", "k3s kubectl get nodes --no-headers");
        assert!(!nodes.contains("maia"), "{nodes}");
        xtask(lab, &["check"]).expect(0);
    });
}

/// A pod that takes its time, as the stand-in has it.
fn a_drain_that_takes_too_long_stops_it(lab: &Lab, before: &str) {
    on(lab, "ocean", "k3s kubectl label node maia k3s-stand-in/drain-seconds=30");
    xtask(lab, &["node", "remove", "maia", "--yes", "--drain-timeout", "1"])
        .expect(7)
        .says("failed to drain maia")
        .says("k3s kubectl uncordon maia")
        .says("the repository was not changed; run it again to go on");
    assert_eq!(node_names(lab), ["ocean"], "it takes no new pods");
    assert_eq!(git(lab, &["status", "--porcelain"]), before);
}

#[test]
fn an_added_node_that_does_not_deploy_stays_in_the_repository() {
    in_lab_with_a_new_machine(
        "node::an_added_node_that_does_not_deploy_stays_in_the_repository",
        "new-agent",
        |lab| {
            xtask(lab, &["bootstrap-cluster"]).expect(0);
            // Its folder is there already, and does not build.
            let folder = lab.deployer().repository().join("hosts/new-agent");
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("default.nix"), "{ throw \"not yet\" }").unwrap();
            commit(lab);
            let add = ["node", "add", "new-agent", "--role", "agent", "--yes"];
            let answer = xtask(lab, &add)
                .expect(5)
                .says("new-agent is in the repository; to go on: cargo xtask deploy new-agent");
            assert!(
                answer.stdout.contains("hosts/new-agent is there, and is left as it is"),
                "{}",
                answer.stdout
            );
            let maia =
                fs::read_to_string(lab.deployer().repository().join("hosts/maia/default.nix")).unwrap();
            fs::write(folder.join("default.nix"), maia).unwrap();
            fs::write(folder.join("k3s.nix"), "{ imports = [ ../common/k3s/agent.nix ]; }\n").unwrap();
            git(lab, &["add", "--all"]);
            xtask(lab, &["deploy", "new-agent"]).expect(0);
            assert_eq!(node_names(lab), ["maia", "new-agent", "ocean"]);
        },
    );
}

fn a_second_server_is_added_and_removed_again(rehearsal: &Rehearsal) {
    in_lab_with_a_new_machine_of(&rehearsal.options(), rehearsal.test(), "reef", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        commit(lab);
        let add = ["node", "add", "reef", "--role", "server", "--yes"];
        xtask(lab, &add).expect(3).says("first_server");
        let fleet = lab.deployer().repository().join("hosts/fleet.toml");
        let text = fs::read_to_string(&fleet).unwrap();
        fs::write(&fleet, text.replacen("# first_server", "first_server", 1)).unwrap();
        commit(lab);
        let added = xtask(lab, &add).expect(0);
        assert!(added.stdout.contains("secrets/k3s-server-token.age  +reef\n"), "{}", added.stdout);
        assert_eq!(node_names(lab), ["maia", "ocean", "reef"]);
        xtask(lab, &["verify"]).expect(0);
        xtask(lab, &["token", "check"]).expect(0);
        let voters = "k3s kubectl get nodes -l node-role.kubernetes.io/etcd=true --no-headers | wc -l";
        assert_eq!(on(lab, "ocean", voters), "2");
        commit(lab);
        xtask(lab, &["node", "remove", "reef", "--yes", "--json"]).expect(0);
        assert_eq!(node_names(lab), ["maia", "ocean"]);
        // Alone again, it goes on with what it has.
        xtask(lab, &["deploy", "ocean"]).expect(0);
        xtask(lab, &["verify"]).expect(0);
    });
}
