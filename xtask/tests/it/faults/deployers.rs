//! Two deployers at once: from one machine, and from two.

use std::fs::{self, File};
use std::path::Path;

use lab::Lab;

use super::battery::{Expected, battery, send, systems, wait_for};
use crate::each_k3s::Rehearsal;
use crate::support::{configure, on, run, xtask};

/// It does not pass its gate, so its deploy goes on until it is told to end.
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";
const LONG: [&str; 4] = ["deploy", "maia", "--gate-timeout", "600"];

fn locked(says: &str) -> Expected<'_> {
    Expected { outcome: "the second is told who, where, since when", code: 9, says, changed: &[] }
}

#[test]
fn two_deployers_do_not_meet_on_a_host() {
    battery(
        &Rehearsal::with_stand_in(module_path!(), "two_deployers_do_not_meet_on_a_host"),
        &[],
        |battery| {
            let lab = battery.lab;
            let before = systems(lab, "maia");
            let elsewhere = || systems(lab, "maia").running != before.running;
            let back = || wait_for("maia is back", 60, || systems(lab, "maia") == before);
            battery.fault(
                "a second deployer, on the same machine",
                &locked("is being deployed by root on"),
                |lab| {
                    configure(lab, "maia", TROUBLE);
                    let log = File::create(lab.deployer().path("/tmp/first.log")).unwrap();
                    let first = lab.deployer().xtask().args(LONG).spawn(log).unwrap();
                    wait_for("the new system runs", 60, elsewhere);
                    let second = xtask(lab, &["deploy", "maia"]);
                    let holder = second.line("error: maia is being deployed by ");
                    assert!(holder.contains(", process ") && holder.contains(", since 2"), "{holder}");
                    // Others, and looking, are free.
                    xtask(lab, &["deploy", "ocean"]).expect(0);
                    xtask(lab, &["deploy", "maia", "--goal", "dry-activate"]).expect(0);
                    send(lab, "INT");
                    wait_for("it ends", 60, || first.ended());
                    back();
                    // Nothing is left of the lock.
                    xtask(lab, &["deploy", "maia", "--gate-timeout", "1"]).expect(7);
                    second
                },
            );
            battery.fault(
            "a second deployer, on another machine",
            &locked("by root on ocean, process "),
            |lab| {
                configure(lab, "maia", TROUBLE);
                move_to_ocean(lab);
                let argv = lab.deployer().xtask().args(LONG).argv();
                let line = format!(
                    "systemd-run --quiet --unit=deployer --working-directory=/cluster --setenv=HOME=/root --setenv=USER=root \
                 --setenv=PATH=/opt/bin:$PATH -- {}",
                    remote::quote_all(argv.iter().skip_while(|word| !word.ends_with("/xtask")))
                );
                on(lab, "ocean", &line);
                wait_for("the new system runs", 60, elsewhere);
                let second = xtask(lab, &["deploy", "maia"]);
                on(lab, "ocean", "systemctl kill --kill-who=main --signal=INT deployer");
                wait_for("it ends", 60, || on(lab, "ocean", "pgrep --exact xtask || true").is_empty());
                back();
                second
            },
        );
            let let_go = Expected {
                outcome: "a deploy from the same machine waits until the host lets go of it, others are refused",
                code: 0,
                says: "all is well; nothing was changed",
                changed: &[],
            };
            battery.fault("a lock is left of a deployer that is gone", &let_go, |lab| {
                let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
                let boot = boot.trim();
                let refused = |holder: &str, who: &str| {
                    leave_lock(lab, holder, 600);
                    let answer = xtask(lab, &["deploy", "maia"]).expect(9);
                    let error = answer.line("error: ");
                    assert!(error.ends_with(&format!("maia is being deployed by {who}")), "{error}");
                    on(lab, "maia", "systemctl stop left");
                };
                refused(&format!("root on vm\\t{boot} {}", std::process::id()), "root on vm");
                refused("root on vm\\tanother-boot 4194305", "root on vm");
                refused("", "somebody else");
                // Above what Linux gives to a process.
                leave_lock(lab, &format!("root on vm\\t{boot} 4194305"), 5);
                let answer = xtask(lab, &["deploy", "maia", "-v"]);
                on(lab, "maia", "! systemctl --quiet is-active left");
                answer.says("waiting for the lock of a deployer that is gone: root on vm")
            });
            without_flock_nobody_is_blamed(lab);
        },
    );
}

/// The lock on maia, held under this name for so many seconds.
fn leave_lock(lab: &Lab, holder: &str, seconds: u32) {
    let script = format!(
        "mkdir -p /run/xtask; exec 9<> /run/xtask/lock; flock 9; printf '{holder}\\n' > /run/xtask/holder; exec sleep {seconds}"
    );
    on(lab, "maia", &format!("systemd-run --quiet --unit=left bash -c {}", remote::quote(&script)));
    wait_for("it is held", 10, || {
        on(lab, "maia", "flock --nonblock /run/xtask/lock true || echo held") == "held"
    });
}

fn without_flock_nobody_is_blamed(lab: &Lab) {
    let broken = "printf '#!/bin/sh\\nexit 66\\n' > /run/flock && chmod +x /run/flock && mount --bind /run/flock /usr/bin/flock";
    on(lab, "maia", broken);
    xtask(lab, &["deploy", "maia"])
        .expect(1)
        .says("failed to lock maia: it answers `flock there failed with exit code 66`");
    on(lab, "maia", "umount /usr/bin/flock");
}

/// The tool, the repository and the admin's key.
fn move_to_ocean(lab: &Lab) {
    let ocean = format!("root@{}", lab.machine("ocean").address());
    let scp = ["scp", "-Oqr", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
    for (what, to) in [
        ("/opt", "/"),
        ("/cluster", "/"),
        ("/root/.ssh/id_ed25519", "/root/.ssh/"),
        ("/root/.gitconfig", "/root/"),
    ] {
        run(&[&scp[..], &[what, &format!("{ocean}:{to}")]].concat(), Path::new("/"), &[("HOME", "/root")])
            .expect(0);
    }
}
