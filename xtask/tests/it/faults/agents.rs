//! Faults of one host among several: who is left alone, and who is not.

use std::fs;

use lab::Lab;

use super::battery::{Expected, OUTSIDER, battery, link};
use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{Answer, configure, xtask};

each_k3s!(one_host_that_fails_among_several);

const AGENTS: [&str; 3] = ["maia", "vega", "zoe"];
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

/// Another system for each of them.
fn change(lab: &Lab, name: &str, hosts: &[&str]) {
    for host in hosts {
        configure(lab, host, &format!("environment.etc.{name}.text = \"\";"));
    }
}

fn without(host: &str, deploy: impl FnOnce() -> Answer) -> Answer {
    link(host, "down");
    let answer = deploy();
    link(host, "up");
    answer
}

fn one_host_that_fails_among_several(rehearsal: &Rehearsal) {
    battery(rehearsal, &["vega", "zoe", OUTSIDER], |battery| {
        let strict = |code, says| Expected { outcome: "nobody is changed", code, says, changed: &[] };
        battery.fault("a build fails for one of three agents", &strict(5, "failed to build vega"), |lab| {
            change(lab, "one", &AGENTS);
            let module = lab.deployer().repository().join("hosts/vega/default.nix");
            fs::write(module, "throw \"it does not evaluate\"").unwrap();
            xtask(lab, &["deploy", "--role", "agent"])
        });
        battery.fault("one of three agents is down", &strict(4, "vega does not answer"), |lab| {
            change(lab, "two", &AGENTS);
            without("vega", || xtask(lab, &["deploy", "--role", "agent"]))
        });
        let others = Expected {
            outcome: "the others are changed",
            changed: &["maia", "zoe"],
            ..strict(4, "vega does not answer")
        };
        battery.fault("one of three agents is down, `--max-failures 1`", &others, |lab| {
            change(lab, "three", &AGENTS);
            without("vega", || xtask(lab, &["deploy", "--role", "agent", "--max-failures", "1"]))
        });
        let maia = Expected {
            outcome: "the other is changed",
            changed: &["maia"],
            ..strict(4, "attic does not answer")
        };
        battery.fault("a host outside of the cluster is down, `--keep-going`", &maia, |lab| {
            change(lab, "four", &["maia", OUTSIDER]);
            without(OUTSIDER, || xtask(lab, &["deploy", "maia", OUTSIDER, "--keep-going"]))
        });
        let first = strict(7, "note: rolled back: maia runs ");
        battery.fault("the first agent fails its gate", &first, |lab| {
            change(lab, "five", &AGENTS);
            configure(lab, "maia", TROUBLE);
            let answer = xtask(lab, &["deploy", "--role", "agent", "--gate-timeout", "1"]);
            for host in ["vega", "zoe"] {
                let row = answer.line(&format!("  {host} "));
                assert!(row.contains("stopped before activate (agents, "), "{row}");
            }
            answer
        });
        let rest = Expected { outcome: "the others are changed", changed: &["vega", "zoe"], ..first };
        battery.fault("the first agent fails its gate, `--max-failures 1`", &rest, |lab| {
            change(lab, "six", &AGENTS);
            configure(lab, "maia", TROUBLE);
            let flags = ["--max-failures", "1", "--gate-timeout", "1"];
            xtask(lab, &[&["deploy", "--role", "agent"][..], &flags].concat())
        });
    });
}
