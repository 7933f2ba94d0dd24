//! The shell of a rehearsal: a person's at a terminal, and a script's on standard input.

use std::path::Path;

use expect_test::expect;
use lab::Lab;

use crate::support::{Answer, Clone, XTASK, in_lab, repository, run, run_at_terminal, run_fed};

/// A whole rehearsal whose shell gets this script.
fn rehearse(dir: &Path, command: &[&str], script: &str) -> Answer {
    let argv = [&[XTASK, "rehearse", "--shell", "--"], command].concat();
    run_fed(&argv, dir, &[], script.as_bytes())
}

/// A script in the shell of a lab.
fn script(lab: &Lab, text: &str) -> Answer {
    let argv = lab.script(text.as_bytes()).unwrap().argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    run(&argv, &lab.deployer().repository(), &[])
}

/// Each as the documentation writes it. What `ssh` reads of standard input is not the rest of the script.
const AS_DOCUMENTED: &str = r#"
ssh maia 'echo "$(whoami) on $(hostname)"'
ssh maia.mercury whoami
ssh root@ocean.mercury hostname
ssh 100.64.0.6 hostname
scp -q ocean:/etc/hostname /tmp/fetched && cat /tmp/fetched
kubectl get nodes 2>&1 | grep ^hint
cargo xtask kubeconfig --sudo > /tmp/kubeconfig
kubectl get nodes --output name
cargo xtask kubeconfig --merge --sudo > /dev/null
mv .kube/ocean.yml /tmp && kubectl get nodes --output name
kubectl --kubeconfig nowhere get nodes 2>&1 | grep -c ^hint
cargo xtask verify --sudo 2>&1 | grep -c 'all is well'
xtask node list | grep -c mercury
cargo xtask | head -n 1
cargo build 2>&1
cargo xtask rehearse 2>&1
read -r line || echo "nothing to read"
exit 42
"#;

#[test]
fn a_script_on_standard_input_works_as_the_documentation_writes_it() {
    let clone = Clone::new();
    clone.fleet("[hosts.maia]\n", "[hosts.maia]\nssh_user = \"deploy\"\n");
    let answer = rehearse(clone.path(), &["bootstrap-cluster", "--sudo"], AS_DOCUMENTED).expect(42);
    expect![[r#"
        deploy on maia
        deploy
        ocean
        ocean
        ocean
        hint: there is no kubeconfig yet: cargo xtask kubeconfig
        node/maia
        node/ocean
        node/maia
        node/ocean
        0
        1
        2
        mercury  2 hosts, 1 admin
        cargo: in a rehearsal there is only `cargo xtask`, the tool under rehearsal
        cargo: this is a rehearsal already: `cargo xtask rehearse` belongs outside
        nothing to read
    "#]]
    .assert_eq(&answer.stdout);
    for noise in ["process group", "job control", "known hosts", "[rehearsal"] {
        assert!(!answer.stderr.contains(noise), "{}", answer.stderr);
    }
    answer.says("the script ended with exit code 42");
}

#[test]
fn the_exit_code_is_the_commands_and_else_the_scripts() {
    let code = |command: &[&str], text: &str| rehearse(repository(), command, text).code;
    assert_eq!(code(&["node", "list"], "true"), 0);
    assert_eq!(code(&["node", "list"], "false"), 1);
    assert_eq!(code(&["node", "list"], ""), 0);
    assert_eq!(code(&["deploy", "nobody"], "exit 42"), 2);
    // It is the shell's and not the command's, which would take it for a secret.
    let both = rehearse(repository(), &["secrets", "edit", "secrets/k3s-agent-token.age"], "echo it ran");
    assert_eq!(both.stdout, "it ran\n", "{}", both.stderr);
    let long = "#".repeat((1 << 20) + 1);
    rehearse(repository(), &["node", "list"], &long).expect(2).says("longer than 1048576 bytes");
}

#[test]
fn at_a_terminal_the_prompt_says_where_one_is() {
    let prompt = "[rehearsal of mercury] /cluster # ";
    let argv = [XTASK, "rehearse", "--shell", "--", "node", "list"];
    // The Tab of a person who does not know how the word goes on.
    let keys = "ssh maia hostname; cargo xtask nod\t list --json | grep -c '\"ocean\"'; exit\r";
    let shown = run_at_terminal(&argv, repository(), &[("TERM", "xterm")], (prompt, keys)).expect(0).stdout;
    assert!(shown.contains("cargo xtask node  list"), "{shown}");
    assert!(shown.contains("maia\r\n1\r\nexit"), "{shown}");
    for noise in ["process group", "job control"] {
        assert!(!shown.contains(noise), "{shown}");
    }
}

#[test]
fn the_tool_does_not_meet_what_the_shell_has() {
    in_lab("shell::the_tool_does_not_meet_what_the_shell_has", |lab| {
        // Without the keys and the users that the tool hands over itself, no ssh of its own gets anywhere.
        let bare = lab.deployer().command("ssh").args(["maia.mercury", "true"]).argv();
        let bare: Vec<&str> = bare.iter().map(String::as_str).collect();
        run(&bare, Path::new("/"), &[]).expect(255).says("Host key verification failed");
        script(lab, "ssh maia.mercury true").expect(0);
        // Also from within the shell: a spy in the tool's own PATH sees its command lines.
        let spied = script(
            lab,
            "printf '#!/bin/sh\\necho \"$PATH $*\" >> /tmp/spied\\nexec /usr/bin/ssh \"$@\"\\n' > /opt/bin/ssh\n\
             chmod +x /opt/bin/ssh\n\
             cargo xtask bootstrap-cluster && cat /tmp/spied",
        );
        let spied = spied.expect(0).stdout;
        assert!(
            spied.contains("StrictHostKeyChecking=yes") && spied.contains("root@maia.mercury"),
            "{spied}"
        );
        assert!(!spied.contains("/opt/shell"), "{spied}");

        // Another machine than the pinned one is talked to by neither.
        let keys =
            "rm /etc/ssh/ssh_host_* && ssh-keygen -qt ed25519 -N \"\" -f /etc/ssh/ssh_host_ed25519_key";
        script(lab, &format!("ssh maia '{keys} && systemctl restart sshd.service'")).expect(0);
        script(lab, "ssh maia true").expect(255).says("Host key verification failed");
        let refused = script(lab, "cargo xtask verify maia").expect(4);
        refused.says("the host key of maia at maia.mercury is not the pinned one");
    });
}
