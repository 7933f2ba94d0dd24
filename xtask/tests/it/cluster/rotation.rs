//! Another token for a cluster that runs, whole and cut off at each of its steps.

use std::fs::{self, File};

use lab::Lab;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{send, wait_for};
use crate::leaks::Watch;
use crate::support::{in_lab, on, xtask};

each_k3s!(both_tokens_are_rotated,);

const SERVER_TOKEN: &str = "/var/lib/rancher/k3s/server/token";
const AGENT_TOKEN: &str = "/var/lib/rancher/k3s/server/agent-token";

fn well(lab: &Lab) {
    xtask(lab, &["verify"]).expect(0);
    xtask(lab, &["token", "check"]).expect(0);
    // It would start again, twice: the second start is the one that a half-told datastore does not survive.
    for _ in 0..2 {
        on(lab, "ocean", "systemctl restart k3s.service");
    }
    wait_for("verify is content", 30, || xtask(lab, &["verify"]).code == 0);
}

fn both_tokens_are_rotated(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let token = |file: &str| on(lab, "ocean", &format!("cat {file}"));
        let (server, agent) = (token(SERVER_TOKEN), token(AGENT_TOKEN));
        xtask(lab, &["token", "rotate"]).expect(2);
        let plan = xtask(lab, &["token", "rotate", "--server", "--dry-run"]).expect(0).stdout;
        assert!(plan.contains("have the datastore encrypted with it"), "{plan}");
        assert_eq!(token(SERVER_TOKEN), server);

        let watch = Watch::start();
        let run = xtask(lab, &["token", "rotate", "--server"]).expect(0);
        assert!(run.line("done  ocean  back up").contains("copied to "), "{}", run.stderr);
        let next = token(SERVER_TOKEN);
        assert!(next != server && token(AGENT_TOKEN) == agent);
        let kept = "cd /var/lib/rancher/xtask/before-rotation-*; cat token; stat -c %a *";
        assert_eq!(on(lab, "ocean", kept), format!("{server}\n600\n600\n600"));
        well(lab);

        xtask(lab, &["token", "rotate", "--agent", "--json"]).expect(0);
        let last = token(AGENT_TOKEN);
        assert!(token(SERVER_TOKEN) == next && last != agent);
        well(lab);
        for token in [next, last] {
            let password = token.rsplit(':').next().unwrap().to_owned();
            assert!(password.len() == 64 && !watch.saw(&password), "in an argv or an environment");
        }

        // What the document calls a rotation: edit and deploy.
        let secret = "secrets/k3s-server-token.age";
        let repository = lab.deployer().repository();
        let before = fs::read(repository.join(secret)).unwrap();
        fs::remove_file(repository.join(secret)).unwrap();
        xtask(lab, &["token", "generate"]).expect(0);
        let refused = xtask(lab, &["deploy", "ocean"]).expect(3);
        refused.says("has another token than ocean uses").says("token rotate --server");
        fs::write(repository.join(secret), before).unwrap();
        well(lab);
    });
}

#[test]
fn a_rotation_that_is_killed_at_any_step_is_gone_on_with() {
    in_lab("cluster::rotation::a_rotation_that_is_killed_at_any_step_is_gone_on_with", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        for whose in ["--server", "--agent"] {
            // Each goes on with what the one before left, and is killed one step later.
            let mut step = 0;
            while kill_at(lab, whose, step) {
                step += 1;
            }
            assert!(step > 10, "a rotation has more steps than {step}");
            well(lab);
            // With the very last step behind it, there is nothing to go on with.
            let ended = xtask(lab, &["token", "rotate", whose, "--dry-run"]).expect(0).stderr;
            assert!(!ended.contains("cut off"), "{ended}");
        }
    });
}

/// Kills a rotation once the step of this number has begun. `false`: it has no such step.
fn kill_at(lab: &Lab, whose: &str, step: usize) -> bool {
    let path = lab.deployer().path("/tmp/kill.log");
    let log = File::create(&path).unwrap();
    let rotation = lab.deployer().xtask().args(["token", "rotate", whose, "--json"]).spawn(log).unwrap();
    let said = || fs::read_to_string(&path).unwrap();
    let begun = || said().matches("\"event\":\"step-started\"").count();
    wait_for("the step has begun", 90, || begun() > step || rotation.ended());
    if begun() <= step {
        // Whatever the ones before left, this one ends well.
        assert!(said().contains("\"event\":\"run-finished\",\"ok\":true"), "{whose}: {}", said());
        return false;
    }
    // Into the step, each time another way.
    std::thread::sleep(std::time::Duration::from_millis(37 * (step as u64 % 5)));
    send(lab, "KILL");
    wait_for("it is dead", 10, || rotation.ended());
    true
}
