//! The deployer is killed: at each step, and whatever it left behind is in nobody's way.

use std::fs::{self, File};

use lab::Lab;

use super::battery::{Systems, battery, send, systems, wait_for};
use crate::each_k3s::Rehearsal;
use crate::support::{configure, on, xtask};

const HOSTS: [&str; 2] = ["maia", "ocean"];

#[test]
fn a_deployer_that_is_killed_at_any_step() {
    battery(
        &Rehearsal::with_stand_in(module_path!(), "a_deployer_that_is_killed_at_any_step"),
        &[],
        |battery| {
            let lab = battery.lab;
            let mut step = 0;
            loop {
                let before = HOSTS.map(|host| systems(lab, host));
                for host in HOSTS {
                    configure(lab, host, &format!("environment.etc.\"round-{step}\".text = \"\";"));
                }
                let Some(events) = kill_at(lab, step) else { break };
                for (host, before) in HOSTS.iter().zip(&before) {
                    assert_sound(lab, host, before, &events);
                }
                assert_journal(lab, step);
                step += 1;
            }
            assert!(step > 10, "a deploy has more steps than {step}");
            xtask(lab, &["deploy", "ocean", "maia"]).expect(0);
            xtask(lab, &["verify"]).expect(0);
            for host in HOSTS {
                assert_eq!(
                    on(lab, host, "systemctl list-units --all --plain --no-legend 'xtask-rollback*'"),
                    ""
                );
                let Systems { running, boot } = systems(lab, host);
                assert_eq!(running, boot);
                on(lab, host, &format!("test -e /etc/round-{step}"));
            }
            let happened = "at none of its steps was a boot default left that had not passed; the next deploy went on at once";
            battery.row("the deployer is killed at each of its steps", "the next deploy goes on", happened);
        },
    );
}

/// Kills a deploy once the step of this number has begun; gives what it had said. `None`: it has no such step.
fn kill_at(lab: &Lab, step: usize) -> Option<String> {
    let path = lab.deployer().path("/tmp/kill.log");
    let log = File::create(&path).unwrap();
    let deploy = lab.deployer().xtask().args(["deploy", "ocean", "maia", "--json"]).spawn(log).unwrap();
    let said = || fs::read_to_string(&path).unwrap();
    let begun = || said().matches("\"event\":\"step-started\"").count();
    wait_for("the step has begun", 60, || begun() > step || deploy.ended());
    if begun() <= step {
        assert!(said().contains("\"event\":\"run-finished\",\"ok\":true"), "{}", said());
        return None;
    }
    send(lab, "KILL");
    wait_for("it is dead", 10, || deploy.ended());
    Some(said())
}

/// The boot default is the old one, or one that had passed its gate before.
#[track_caller]
fn assert_sound(lab: &Lab, host: &str, before: &Systems, events: &str) {
    let boot = systems(lab, host).boot;
    let passed = events.lines().any(|line| {
        line.contains("\"event\":\"step-finished\"")
            && line.contains(&format!("\"subject\":\"{host}\",\"step\":\"verify\""))
            && line.contains("\"outcome\":\"done\"")
    });
    assert!(boot == before.boot || passed, "{host} boots {boot}, after:\n{events}");
}

/// What the killed run wrote is whole.
#[track_caller]
fn assert_journal(lab: &Lab, step: usize) {
    let runs = lab.deployer().repository().join(".xtask/runs");
    let mut ids: Vec<_> = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()).collect();
    ids.sort();
    let text = fs::read_to_string(ids.last().unwrap().join("events.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(events[0]["event"], "run");
    let begun = events.iter().filter(|event| event["event"] == "step-started").count();
    assert!(begun > step, "{begun} of {step}");
}
