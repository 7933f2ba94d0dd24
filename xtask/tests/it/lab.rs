//! The main job on real machines: bootstrap, deploy, verify, and each thing that can be wrong.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::wait_for;
use crate::support::{Answer, in_lab, on, run, xtask};
use expect_test::expect;
use lab::Lab;

each_k3s!(bootstrap_from_no_secrets_to_two_ready_nodes_and_again_to_nothing, verify_tells_what_is_wrong,);

const HOSTS: [&str; 2] = ["ocean", "maia"];

/// Everything that a run which does nothing leaves as it is.
fn state(lab: &Lab) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let secrets = lab.deployer().repository().join("secrets");
    for entry in fs::read_dir(secrets).unwrap().flatten() {
        let name = format!("secret {}", entry.file_name().to_string_lossy());
        state.insert(name, format!("{:?}", fs::read(entry.path()).unwrap()));
    }
    for host in HOSTS {
        let looked = on(
            lab,
            host,
            "readlink -f /run/current-system /nix/var/nix/profiles/system; ls /nix/var/nix/profiles; \
             systemctl show k3s.service -p ActiveEnterTimestampMonotonic -p InvocationID",
        );
        state.insert(host.to_owned(), looked);
    }
    state
}

fn bootstrap_from_no_secrets_to_two_ready_nodes_and_again_to_nothing(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        let secrets = lab.deployer().repository().join("secrets");
        assert!(
            !secrets.join("k3s-server-token.age").exists() && !secrets.join("k3s-agent-token.age").exists()
        );
        xtask(lab, &["bootstrap-cluster"]).expect(0).says("done in");
        let nodes = on(lab, "ocean", "k3s kubectl get nodes --no-headers");
        let ready = |line: &&str| line.split_whitespace().nth(1) == Some("Ready");
        assert_eq!(nodes.lines().filter(ready).count(), 2, "{nodes}");

        let before = state(lab);
        xtask(lab, &["deploy", "maia"]).expect(0).says("all is well; nothing was changed");
        let again = xtask(lab, &["bootstrap-cluster"]).expect(0).says("all is well; nothing was changed");
        assert_eq!(state(lab), before);
        // Each step that is not done says why.
        for step in [
            "repository  server token",
            "ocean  activate",
            "ocean  boot default",
            "ocean  agent token",
            "maia  activate",
        ] {
            let line = again.line(&format!("skip  {step}"));
            assert!(line.contains("already") || line.contains("is there"), "{line}");
        }
        xtask(lab, &["verify"]).expect(0).says("all is well");
        assert_eq!(xtask(lab, &["check"]).expect(0).stdout.matches('✓').count(), 6);
        // Without overrides, as in production, the inputs have to be locked.
        let argv = lab.deployer().command("/opt/xtask").args(["deploy", "maia"]).argv();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        run(&argv, &lab.deployer().repository(), &[])
            .expect(3)
            .says("hint: nix flake lock && git add flake.lock");
        the_agent_token_is_a_nodes_and_for_agents_only(lab);
        taints_labels_and_files_are_as_the_fleet_says(lab);
        a_real_kubectl_lists_the_nodes(lab);
        for host in ["ocean", "maia"] {
            // What stands in runs out of the store, and leaves it as it is.
            on(lab, host, "nix-store --verify --check-contents");
        }
    });
}

fn the_agent_token_is_a_nodes_and_for_agents_only(lab: &Lab) {
    let secrets = lab.deployer().repository().join("secrets");
    let token = on(lab, "maia", "cat /run/agenix/k3s-agent-token");
    assert_eq!(token, on(lab, "ocean", "cat /var/lib/rancher/k3s/server/agent-token"));
    let hash = on(lab, "ocean", "sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt | cut -d' ' -f1");
    assert!(token.starts_with(&format!("K10{hash}::node:")), "not a node's token");
    assert_ne!(token, on(lab, "ocean", "cat /var/lib/rancher/k3s/server/token"));
    assert_eq!(on(lab, "maia", "stat -Lc '%a %U %G' /run/agenix/k3s-agent-token"), "400 root root");
    assert_eq!(on(lab, "ocean", "stat -Lc '%a %U %G' /run/agenix/k3s-server-token"), "400 root root");

    let fleet = lab.fleet();
    let key = |text: &str| agenix::Recipient::parse(text).unwrap();
    let host = |name: &str| key(fleet.hosts[name].ssh_host_key.as_ref().unwrap().as_str());
    let admin = key(fleet.admins.values().next().unwrap().as_str());
    for (file, readers) in [("k3s-agent-token.age", "maia"), ("k3s-server-token.age", "ocean")] {
        let found = agenix::recipients_of(&fs::read(secrets.join(file)).unwrap()).unwrap();
        assert!(agenix::agrees(&found, &[admin.clone(), host(readers)]).holds(), "{file}: {found:?}");
    }
    // Real age, on a real host: the other role's secret stays closed.
    let path = secrets.join("k3s-server-token.age");
    let key = lab.machine("maia").root().join("etc/ssh/ssh_host_ed25519_key");
    let argv = ["age", "--decrypt", "--identity", key.to_str().unwrap(), path.to_str().unwrap()];
    run(&argv, &secrets, &[]).expect(1).says("no identity matched any of the recipients");
}

fn taints_labels_and_files_are_as_the_fleet_says(lab: &Lab) {
    let node = on(lab, "ocean", "k3s kubectl get node maia -o json");
    let node: serde_json::Value = serde_json::from_str(&node).unwrap();
    assert_eq!(node["metadata"]["labels"]["ncrmro.com/region"], "us-south-2");
    let taints = node["spec"]["taints"].as_array().unwrap();
    let taint = taints.iter().find(|taint| taint["key"] == "ncrmro.com/region").expect("the fleet's taint");
    assert_eq!((taint["value"].as_str(), taint["effect"].as_str()), (Some("us-south-2"), Some("NoSchedule")));
    let command = on(lab, "ocean", "systemctl show k3s.service -p ExecStart --value");
    for flag in [
        "--disable=traefik",
        "--disable=local-storage",
        "--container-runtime-endpoint=/run/containerd/containerd.sock",
        "--tls-san=ocean.mercury",
        "--tls-san=100.64.0.6",
        "--node-ip=100.64.0.6",
    ] {
        assert!(command.contains(flag), "{flag} is not in {command}");
    }
}

fn a_real_kubectl_lists_the_nodes(lab: &Lab) {
    xtask(lab, &["kubeconfig"]).expect(0);
    let path = lab.deployer().repository().join(".kube/ocean.yml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let argv = ["kubectl", "--kubeconfig", path.to_str().unwrap(), "get", "nodes", "--output", "wide"];
    let answer = run(&argv, &lab.deployer().repository(), &[("HOME", "/root")]).expect(0);
    for (host, address) in [("ocean", "100.64.0.6"), ("maia", "100.64.0.5")] {
        let line =
            answer.stdout.lines().find(|line| line.starts_with(host)).unwrap_or_else(|| panic!("{answer:?}"));
        assert!(line.contains(" Ready ") && line.contains(address), "{line}");
    }
    let config = fs::read_to_string(&path).unwrap();
    assert!(
        config.contains("server: https://100.64.0.6:6443") && config.contains("current-context: mercury")
    );
}

/// The message about a failure, without the table: from `error:` on, tools' lines left out.
fn message(answer: &Answer) -> String {
    answer.error().lines().filter(|line| !line.starts_with("  │")).collect::<Vec<_>>().join("\n")
}

fn verify_tells_what_is_wrong(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let told = |code| message(&xtask(lab, &["verify"]).expect(code));

        on(lab, "maia", "systemctl stop k3s.service");
        expect![[r#"
            error: maia is not well: k3s.service was stopped; to systemd it is inactive (dead)
            hint: on maia: systemctl start k3s.service"#]]
        .assert_eq(&told(7));
        xtask(lab, &["deploy", "maia"]).expect(0);
        assert_eq!(on(lab, "maia", "systemctl is-active k3s.service"), "active");

        on(lab, "maia", "cp -L /run/agenix/k3s-agent-token /root/kept && : > /run/agenix/k3s-agent-token");
        expect![[r#"
            error: maia is not well: its token's file is empty
            hint: cargo xtask deploy maia"#]]
        .assert_eq(&told(7));

        on(
            lab,
            "maia",
            "sed 's/.$/x/' /root/kept > /run/agenix/k3s-agent-token && systemctl restart k3s.service",
        );
        // It logs in with its kubelet's certificate all the same.
        wait_for("it is heard of again", 30, || message(&xtask(lab, &["verify"])).contains("has joined"));
        expect![[r#"
            error: maia has joined, and a first join would be refused: its token is not the agent token of ocean
            hint: cargo xtask deploy maia copies it again"#]]
        .assert_eq(&told(7));
        on(lab, "maia", "rm /var/lib/rancher/k3s/agent/client-kubelet.* && systemctl restart k3s.service");
        wait_for("its journal says why", 30, || {
            xtask(lab, &["verify"]).stderr.contains("the server does not accept its token")
        });
        // As the hint says.
        xtask(lab, &["deploy", "maia"]).expect(0);
        assert_eq!(on(lab, "maia", "cat /run/agenix/k3s-agent-token"), on(lab, "maia", "cat /root/kept"));
        on(lab, "maia", "rm /root/kept");
        xtask(lab, &["verify"]).expect(0);

        // The machine is another one than was pinned: ssh must not talk to it.
        on(
            lab,
            "maia",
            "cp -a /etc/ssh /root/ssh && rm /etc/ssh/ssh_host_* && ssh-keygen -qt ed25519 -N '' -f \
            /etc/ssh/ssh_host_ed25519_key && systemctl restart sshd.service",
        );
        expect![[r#"
            error: the host key of maia at maia.mercury is not the pinned one
            hint: either another machine has its address, or maia was reinstalled, or your ssh_config sends it elsewhere. Compare fingerprints over a path you trust (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host), then `cargo xtask node pin maia`"#]]
        .assert_eq(&told(4));
        on(lab, "maia", "cp -a /root/ssh/. /etc/ssh/ && systemctl restart sshd.service");
        xtask(lab, &["verify"]).expect(0);

        // In the background: this command travels over the link that it cuts.
        on(lab, "ocean", "(sleep 0.3; ip link set tailscale0 down) > /dev/null 2>&1 &");
        std::thread::sleep(Duration::from_millis(600));
        let told = told(4);
        assert!(
            told.starts_with("error: ocean does not answer: connect to host ocean.mercury port 22: "),
            "{told}"
        );
        assert!(told.ends_with(
            "hint: is the host up, is the mesh connected (`tailscale status`), are its addresses right?"
        ));
    });
}

#[test]
fn a_build_that_fails_touches_nothing() {
    in_lab("lab::a_build_that_fails_touches_nothing", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let before = state(lab);
        let module = lab.deployer().repository().join("hosts/maia/default.nix");
        let text = fs::read_to_string(&module).unwrap();
        let end = text.rfind('}').unwrap();
        let boom = "environment.etc.boom.source = inputs.nixpkgs.legacyPackages.x86_64-linux.runCommand \"boom\" { } \
                    \"echo it went wrong; exit 1\";";
        let broken = format!("{}{boom}\n}}\n", &text[..end]).replacen('{', "{ inputs,", 1);
        fs::write(&module, broken).unwrap();
        let answer = xtask(lab, &["bootstrap-cluster"]).expect(5).says("it went wrong");
        expect![[r#"
            error: failed to build maia: nixos-rebuild build failed with exit code 1
            hint: the hosts of this stage were not changed; `-v` shows all of the build's output"#]]
        .assert_eq(&message(&answer));
        // ocean's build may well have ended; ocean was not changed by it.
        assert!(!answer.stderr.contains("ocean  activate"), "{}", answer.stderr);
        assert_eq!(state(lab), before);
    });
}
