//! Faults of the hosts themselves: no room, a wrong clock.

use std::fs;

use lab::Lab;

use super::battery::{Expected, battery};
use crate::each_k3s::Rehearsal;
use crate::support::{Answer, configure, on, xtask};

/// The store on a file system of 80 MiB, of which some 79 are free.
const SMALL: &str = "mkdir -p /small && mount -t tmpfs -o size=80M small /small && cp -a /nix/. /small/ && \
                     mount --bind /small /nix";
/// Stands in for a wrong clock: containers share their kernel's.
const WRONG: &str = "cp /usr/bin/date /root/date && printf '#!/bin/sh\\nexec /root/date -d \"+1 hour\" \"$@\"\\n' > \
                     /root/wrong && chmod +x /root/wrong && mount --bind /root/wrong /usr/bin/date";

#[test]
fn a_host_that_is_not_fit_is_left_alone() {
    battery(
        &Rehearsal::with_stand_in(module_path!(), "a_host_that_is_not_fit_is_left_alone"),
        &[],
        |battery| {
            let lab = battery.lab;
            on(lab, "maia", SMALL);
            let seen = Expected {
                outcome: "seen before anything is copied",
                code: 5,
                says: "maia has no room for its new system",
                changed: &[],
            };
            battery.fault("a system that is larger than what is free", &seen, |lab| deploy_of(lab, "local"));
            let full = Expected {
                outcome: "nothing that runs is changed",
                code: 5,
                says: "No space left on device",
                changed: &[],
            };
            battery.fault("the disk fills up during the build on the host", &full, |lab| {
                deploy_of(lab, "target")
            });
            battery.fault("the disk fills up during the copy", &full, |lab| deploy_of(lab, "ocean"));

            on(lab, "maia", "nix-collect-garbage > /dev/null; fallocate -l 40M /nix/fill");
            on(lab, "ocean", WRONG);
            let unfit = Expected {
                outcome: "refused before anything is built, all at once",
                code: 7,
                says: "its clock is 59m ",
                changed: &[],
            };
            battery.fault("one disk is full and another host's clock is an hour off", &unfit, |lab| {
                let answer =
                    xtask(lab, &["deploy", "--all"]).says("maia is not fit for a deploy: its /nix/store has");
                assert!(!answer.stderr.contains("  build  "), "{}", answer.stderr);
                // The seconds that it took to ask.
                Answer { stderr: answer.stderr.replace("1h ahead", "59m 59s ahead"), ..answer }
            });
            on(lab, "ocean", "umount /usr/bin/date");
            on(lab, "maia", "rm /nix/fill");
            xtask(lab, &["verify"]).expect(0);
        },
    );
}

/// A deploy of maia, built there, with a hundred megabytes that no compression makes smaller.
fn deploy_of(lab: &Lab, build_on: &str) -> Answer {
    on(lab, "maia", "nix-collect-garbage > /dev/null");
    let fleet = lab.deployer().repository().join("hosts/fleet.toml");
    let text = fs::read_to_string(&fleet).unwrap();
    let (before, maia) = text.split_at(text.find("[hosts.maia]").unwrap());
    let there = format!("build_on = \"{build_on}\"");
    fs::write(&fleet, format!("{before}{}", maia.replacen("build_on = \"target\"", &there, 1))).unwrap();
    configure(
        lab,
        "maia",
        "environment.etc.big.source = pkgs.runCommand \"big\" { } \"/usr/bin/head -c 100M /dev/urandom > $out\";",
    );
    let module = lab.deployer().repository().join("hosts/maia/default.nix");
    let text = fs::read_to_string(&module).unwrap();
    fs::write(&module, text.replacen("{ lib, ... }:", "{ lib, pkgs, ... }:", 1)).unwrap();
    xtask(lab, &["deploy", "maia"])
}
