//! What comes after the bootstrap: a host that joins later, one that was reinstalled, tokens that went out of step.

use std::fs;
use std::path::Path;

use lab::Lab;

use crate::support::{configure, in_lab, on, run, xtask};

fn fleet_file(lab: &Lab) -> std::path::PathBuf {
    lab.deployer().repository().join("hosts/fleet.toml")
}

fn started(lab: &Lab, host: &str) -> String {
    on(lab, host, "systemctl show k3s.service -p InvocationID --value")
}

#[test]
fn what_failed_its_gate_does_not_become_the_boot_default_by_trying_again() {
    in_lab("lifecycle::what_failed_its_gate_does_not_become_the_boot_default_by_trying_again", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let boots = || on(lab, "ocean", "readlink -f /nix/var/nix/profiles/system");
        let old = boots();
        let unit = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                    serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";
        let module = configure(lab, "ocean", unit);
        for _ in 0..2 {
            let answer = xtask(lab, &["deploy", "ocean", "--gate-timeout", "1"]).expect(7);
            assert!(answer.stderr.contains("trouble.service failed"), "{}", answer.stderr);
            assert_eq!(boots(), old);
        }
        let path = lab.deployer().repository().join("hosts/ocean/default.nix");
        fs::write(
            path,
            module.replacen(
                "system.stateVersion",
                "environment.etc.mended.text = \"\";\n  system.stateVersion",
                1,
            ),
        )
        .unwrap();
        xtask(lab, &["deploy", "ocean"]).expect(0);
        assert_ne!(boots(), old);
    });
}

#[test]
fn a_link_that_is_lost_during_an_activation_is_no_failure_of_it() {
    in_lab("lifecycle::a_link_that_is_lost_during_an_activation_is_no_failure_of_it", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let old = on(lab, "maia", "readlink -f /nix/var/nix/profiles/system");
        // Ends every ssh session of the host, as a restart of the mesh would; the activation goes on without them.
        let cut = "systemd.services.cut = { wantedBy = [ \"multi-user.target\" ]; serviceConfig = { \
                   Type = \"oneshot\"; ExecStart = \"/usr/bin/pkill -f '^sshd(-session)?: root'\"; \
                   ExecStartPost = \"/usr/bin/sleep 2\"; }; };";
        configure(lab, "maia", cut);
        let answer = xtask(lab, &["deploy", "maia", "-v"]).expect(0);
        assert!(
            answer.stderr.contains("failed with exit code 255; looking where maia stands"),
            "the link was not cut:\n{}",
            answer.stderr
        );
        let new = on(lab, "maia", "readlink -f /nix/var/nix/profiles/system");
        assert_ne!(new, old);
        assert_eq!(on(lab, "maia", "readlink -f /run/current-system"), new);
    });
}

#[test]
fn a_server_that_runs_keeps_its_token_when_the_secret_is_lost() {
    in_lab("lifecycle::a_server_that_runs_keeps_its_token_when_the_secret_is_lost", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        fs::remove_file(lab.deployer().repository().join("secrets/k3s-server-token.age")).unwrap();
        xtask(lab, &["deploy", "ocean"]).expect(3).says("secrets/k3s-server-token.age does not exist");
        xtask(lab, &["bootstrap-cluster"]).expect(0).says("ocean has one: copied");
        on(lab, "ocean", "systemctl restart k3s.service");
        xtask(lab, &["verify"]).expect(0);
    });
}

#[test]
fn an_agent_joins_later_and_only_what_is_needed_changes() {
    in_lab("lifecycle::an_agent_joins_later_and_only_what_is_needed_changes", |lab| {
        let whole = fs::read_to_string(fleet_file(lab)).unwrap();
        let maia = whole.find("[hosts.maia]").unwrap();
        let end = whole[maia + 1..].find("\n[").map_or(whole.len(), |at| maia + 1 + at);
        fs::write(fleet_file(lab), format!("{}{}", &whole[..maia], &whole[end..])).unwrap();
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        assert!(!on(lab, "ocean", "k3s kubectl get nodes --no-headers").contains("maia"));
        let (server, secrets) = (started(lab, "ocean"), lab.deployer().repository().join("secrets"));
        let server_token = fs::read(secrets.join("k3s-server-token.age")).unwrap();

        fs::write(fleet_file(lab), whole).unwrap();
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        assert!(on(lab, "ocean", "k3s kubectl get nodes --no-headers").contains("maia"));
        assert_eq!(started(lab, "ocean"), server, "the server was not restarted for it");
        assert_eq!(fs::read(secrets.join("k3s-server-token.age")).unwrap(), server_token);
    });
}

#[test]
fn an_agent_with_another_token_gets_the_servers_and_is_restarted_once() {
    in_lab("lifecycle::an_agent_with_another_token_gets_the_servers_and_is_restarted_once", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let secret = lab.deployer().repository().join("secrets/k3s-agent-token.age");
        let keys = [
            lab.fleet().admins.values().next().unwrap(),
            lab.fleet().hosts["maia"].ssh_host_key.as_ref().unwrap(),
        ];
        let keys = keys.map(|key| agenix::Recipient::parse(key.as_str()).unwrap());
        let other = agenix::encrypt(b"another token", &keys, agenix::Format::Binary).unwrap();
        fs::write(&secret, other).unwrap();
        // The agent is given the other token, as by somebody who deployed by hand.
        on(lab, "maia", "printf 'another token' > /run/agenix/k3s-agent-token");
        xtask(lab, &["verify"]).expect(7).says("its token is not the agent token of ocean");

        let before = started(lab, "maia");
        xtask(lab, &["deploy", "maia"]).expect(0).says("copied from ocean");
        assert_eq!(
            on(lab, "maia", "cat /run/agenix/k3s-agent-token"),
            on(lab, "ocean", "cat /var/lib/rancher/k3s/server/agent-token")
        );
        let after = started(lab, "maia");
        assert_ne!(before, after, "it was restarted");
        xtask(lab, &["deploy", "maia"]).expect(0).says("nothing was changed");
        assert_eq!(started(lab, "maia"), after, "once");
        xtask(lab, &["verify"]).expect(0);
    });
}

#[test]
fn a_reinstalled_agent_is_pinned_anew_and_can_read_its_secret_again() {
    in_lab("lifecycle::a_reinstalled_agent_is_pinned_anew_and_can_read_its_secret_again", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        on(
            lab,
            "maia",
            "rm /etc/ssh/ssh_host_*; ssh-keygen -qt ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; \
             systemctl restart sshd.service",
        );
        xtask(lab, &["deploy", "maia"]).expect(4).says("is not the pinned one");
        xtask(lab, &["init", "--host", "maia=maia.mercury", "--yes"]).expect(0);
        let check = xtask(lab, &["check"]).expect(3);
        assert!(check.stdout.contains("its readers are not those of secrets.nix"), "{}", check.stdout);
        xtask(lab, &["bootstrap-cluster"]).expect(0).says("copied from ocean");
        xtask(lab, &["check"]).expect(0);
        let key = lab.machine("maia").root().join("etc/ssh/ssh_host_ed25519_key");
        let secret = lab.deployer().repository().join("secrets/k3s-agent-token.age");
        let argv = ["age", "--decrypt", "--identity", key.to_str().unwrap(), secret.to_str().unwrap()];
        assert!(run(&argv, Path::new("/"), &[]).expect(0).stdout.starts_with("K10"));
        xtask(lab, &["verify"]).expect(0);
    });
}

/// The first indented block of commands behind this heading of the runbook.
fn runbook(heading: &str) -> String {
    let text =
        fs::read_to_string(crate::support::repository().join("docs/runbook.md")).unwrap_or_else(|_| {
            // In the lab the repository is its copy.
            fs::read_to_string("/cluster/docs/runbook.md").unwrap()
        });
    let section = text.split(&format!("## {heading}\n")).nth(1).expect("the heading is there");
    section.split("```").nth(1).expect("a block follows it").trim().to_owned()
}

#[test]
fn a_server_that_ran_without_an_agent_token_gets_one_as_the_runbook_says() {
    in_lab("lifecycle::a_server_that_ran_without_an_agent_token_gets_one_as_the_runbook_says", |lab| {
        // As a server was before this configuration: no agent token, agents with the server's.
        let without = "services.k3s.agentTokenFile = lib.mkForce null;";
        let module = configure(lab, "ocean", without);
        let path = lab.deployer().repository().join("hosts/ocean/default.nix");
        xtask(lab, &["bootstrap-cluster"]).expect(7).says("agents would get a server's rights");
        on(lab, "ocean", "test -L /var/lib/rancher/k3s/server/agent-token");
        on(lab, "ocean", "rm /var/lib/rancher/k3s-agent-token");

        // It goes on as it was, and no agent is given the server's token.
        fs::write(path, module).unwrap();
        xtask(lab, &["bootstrap-cluster"]).expect(7).says("A server without an agent token");
        on(
            lab,
            "ocean",
            "for _ in 1 2; do systemctl reset-failed k3s.service; systemctl restart k3s.service; done",
        );

        on(lab, "ocean", &runbook("A server without an agent token"));
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        on(
            lab,
            "ocean",
            "for _ in 1 2; do systemctl reset-failed k3s.service; systemctl restart k3s.service; done",
        );
        std::thread::sleep(std::time::Duration::from_secs(2));
        xtask(lab, &["verify"]).expect(0);
        assert!(on(lab, "maia", "cat /run/agenix/k3s-agent-token").contains("::node:"));
    });
}
