//! A deployer that is interrupted, or killed: what it leaves running, on either side. Nothing.

use std::fs;
use std::path::Path;

use lab::Lab;

use super::battery::{Expected, battery, meanwhile, send, wait_for};
use crate::each_k3s::Rehearsal;
use crate::support::{Answer, configure, on, run};

/// A system whose build takes longer than anybody waits.
fn slow_build(lab: &Lab, number: u32) {
    let module = lab.deployer().repository().join("hosts/maia/default.nix");
    let text = fs::read_to_string(&module).unwrap();
    fs::write(&module, text.replacen("{ lib, ... }:", "{ lib, pkgs, ... }:", 1)).unwrap();
    configure(
        lab,
        "maia",
        &format!(
            "environment.etc.slow.source = pkgs.runCommand \"slow-{number}\" {{ }} \"/usr/bin/sleep 97{number}; : > $out\";"
        ),
    );
}

/// What of a deploy still runs: the build on the host, and on this side its ssh, its nix, its folder.
pub(super) fn left(number: u32) -> String {
    // The lab's process namespace holds the deployer and the machines.
    let processes = format!("sleep 97{number}|ControlPath=/tmp/xtask-|opt/bin/nixos-rebuild");
    let found = run(&["pgrep", "--list-full", "--full", &processes], Path::new("/"), &[]).stdout;
    let folders =
        fs::read_dir("/tmp").unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let folders: Vec<String> = folders.filter(|name| name.starts_with("xtask-")).collect();
    format!("{found}{}", folders.join("\n"))
}

fn during_the_build(lab: &Lab, number: u32, act: impl FnOnce()) -> Answer {
    slow_build(lab, number);
    let building = |_: &str| left(number).contains(&format!("sleep 97{number}"));
    let answer = meanwhile(lab, &["deploy", "maia"], building, act);
    wait_for("nothing is left", 15, || left(number).is_empty());
    answer
}

#[test]
fn nothing_is_left_running_by_who_is_interrupted() {
    battery(
        &Rehearsal::with_stand_in(module_path!(), "nothing_is_left_running_by_who_is_interrupted"),
        &[],
        |battery| {
            let once = Expected {
                outcome: "the build ends, on both sides",
                code: 130,
                says: "nixos-rebuild build was interrupted",
                changed: &[],
            };
            battery.fault("ctrl-C during a build on the host", &once, |lab| {
                during_the_build(lab, 1, || send(lab, "INT"))
            });
            let lab = battery.lab;
            let terminated = Expected { outcome: "as ctrl-C", ..once };
            battery.fault("SIGTERM during a build on the host", &terminated, |lab| {
                during_the_build(lab, 2, || send(lab, "TERM"))
            });
            let before = battery.systems("maia");
            configure(lab, "maia", "environment.etc.new.text = \"\";");
            let activated = |said: &str| said.contains("done  maia  activate");
            let answer = meanwhile(lab, &["deploy", "maia"], activated, || send(lab, "INT")).expect(130);
            answer.says("note: rolled back: maia runs ");
            assert_eq!(battery.systems("maia"), before);
            // Which step it came into is a matter of chance.
            let happened =
                "exit code 130: note: rolled back: maia runs maia-26.05-rehearsal again; maia as before";
            battery.row("ctrl-C between an activation and its gate", "rolled back", happened);
            let units = "systemctl list-units --all --plain --no-legend 'xtask-*' 'nixos-rebuild-*'";
            assert_eq!(on(lab, "maia", units), "");
        },
    );
}

#[test]
fn a_deployer_that_is_killed_leaves_no_ssh_behind() {
    battery(
        &Rehearsal::with_stand_in(module_path!(), "a_deployer_that_is_killed_leaves_no_ssh_behind"),
        &[],
        |battery| {
            let lab = battery.lab;
            slow_build(lab, 3);
            let building = |_: &str| left(3).contains("sleep 973");
            meanwhile(lab, &["deploy", "maia"], building, || send(lab, "KILL"));
            wait_for("its logins are closed", 15, || !left(3).contains("/tmp/xtask-"));
            let happened =
                "its logins are closed at once, and its folder is gone; the host's build goes on to its end";
            battery.row(
                "the deployer is killed during a build on the host",
                "no login of it stays",
                happened,
            );
        },
    );
}
