//! The runbook's commands, read from it and run in its order. One that is added there is run here, or has its reason.

use std::fs;

use lab::Lab;

use crate::node::{commit, in_lab_with_a_new_machine};
use crate::support::{Answer, configure, on, repository, run_fed, xtask};

/// What a lab lacks for it.
const NOT_HERE: [(&str, &str); 4] = [
    ("node add reef --role server", "a machine for a second server; `servers` has several"),
    ("deploy reef", "the same"),
    ("logs maia -f", "an end; `access` follows and leaves"),
    ("deploy --resume", "a deploy that failed; `faults` has many"),
];

/// The commands in back quotes, without `cargo xtask`, in their order. A fenced block is no command of this tool.
fn commands(text: &str) -> Vec<String> {
    let prose: String = text.split("\n```").step_by(2).collect();
    let code = prose.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.strip_prefix("cargo xtask ")).map(str::to_owned).collect()
}

/// Runs one, after what the runbook says that comes before it.
fn carry_out(lab: &Lab, command: &str) -> Answer {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["secrets", "edit", file] => {
            let rules = lab.deployer().repository().join("secrets.nix");
            let text = fs::read_to_string(&rules).unwrap();
            let rule = format!("  \"{file}\".publicKeys = adminKeys ++ [ systems.maia ];\n}}");
            fs::write(&rules, format!("{}{rule}\n", &text[..text.rfind('}').unwrap()])).unwrap();
            let argv = lab.deployer().xtask().args(words).argv();
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            return run_fed(&argv, &lab.deployer().repository(), &[], b"a password");
        }
        ["node", "remove", ..] => commit(lab),
        ["node", "pin", host, ..] => {
            let reinstalled = "rm /etc/ssh/ssh_host_*; ssh-keygen -qt ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; \
                               systemctl restart sshd.service";
            on(lab, host, reinstalled);
        }
        ["rollback", host, ..] => {
            configure(lab, host, "environment.etc.\"of-the-runbook\".text = \"\";");
            xtask(lab, &["deploy", host]).expect(0);
        }
        _ => {}
    }
    // Nobody is there to be asked.
    if words[0] == "node" && !words.contains(&"--yes") {
        words.push("--yes");
    }
    xtask(lab, &words)
}

#[test]
fn every_command_of_the_runbook_does_what_it_says() {
    in_lab_with_a_new_machine(
        "cluster::runbook::every_command_of_the_runbook_does_what_it_says",
        "alma",
        |lab| {
            let text = include_str!("../../../../docs/runbook.md");
            let commands = commands(text);
            assert!(commands.len() > 25, "{commands:?}");
            for command in &commands {
                if NOT_HERE.iter().any(|(other, _)| other == command) {
                    continue;
                }
                let answer = carry_out(lab, command);
                assert_eq!(answer.code, 0, "cargo xtask {command}:\n{answer:?}");
            }
            xtask(lab, &["verify"]).expect(0);
        },
    );
}

#[test]
fn what_is_left_out_stands_in_the_runbook() {
    let text = fs::read_to_string(repository().join("docs/runbook.md")).unwrap();
    let commands = commands(&text);
    for (command, reason) in NOT_HERE {
        assert!(commands.iter().any(|other| other == command), "{command}: {reason}");
    }
}
