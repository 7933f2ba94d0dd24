//! Versions of K3s, draining, and what a node is labelled with.

use std::fs;
use std::path::PathBuf;

use lab::Lab;
use serde_json::Value;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{meanwhile, systems, wait_for};
use crate::support::{configure, edit, give_k3s, in_lab, on, run, xtask};

each_k3s!(labels_and_taints_are_those_of_the_fleet_and_nobody_elses_are_touched,);

const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

fn module(lab: &Lab, host: &str) -> PathBuf {
    lab.deployer().repository().join(format!("hosts/{host}/default.nix"))
}

fn node(lab: &Lab, host: &str) -> Value {
    serde_json::from_str(&on(lab, "ocean", &format!("k3s kubectl get node {host} -o json"))).unwrap()
}

#[test]
fn versions_follow_each_other_and_the_datastore_is_copied_before() {
    in_lab("cluster::upgrade::versions_follow_each_other_and_the_datastore_is_copied_before", |lab| {
        give_k3s(lab, "ocean", 33);
        give_k3s(lab, "maia", 33);
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let before = (systems(lab, "ocean"), systems(lab, "maia"));
        let refused = |says: &str, args: &[&str]| {
            xtask(lab, args).expect(3).says(says);
            assert_eq!((systems(lab, "ocean"), systems(lab, "maia")), before, "{says}");
        };
        give_k3s(lab, "ocean", 35);
        refused(
            "ocean runs K3s 1.33.5+k3s1 and would get 1.35.1+k3s1; no minor version may be skipped",
            &["deploy", "ocean"],
        );
        refused(
            "hint: deploy 1.34 first, to all servers: services.k3s.package = pkgs.k3s_1_34",
            &["deploy", "--all"],
        );
        give_k3s(lab, "maia", 34);
        refused(
            "maia would run K3s 1.34.2+k3s1, newer than a server, which will be at 1.33.5+k3s1",
            &["deploy", "maia"],
        );

        on(lab, "ocean", "k3s kubectl label node ocean newest=yes");
        give_k3s(lab, "ocean", 34);
        let answer = xtask(lab, &["deploy", "ocean", "maia"]).expect(0);
        assert_eq!(node(lab, "ocean")["status"]["nodeInfo"]["kubeletVersion"], "v1.34.2+k3s1");
        assert_eq!(node(lab, "maia")["status"]["nodeInfo"]["kubeletVersion"], "v1.34.2+k3s1");
        let folder = answer.line("done  ocean  datastore").rsplit(' ').next().unwrap().to_owned();
        the_copy_is_whole(lab, &folder);
        // Its failure stops the deploy.
        let good = (systems(lab, "ocean"), systems(lab, "maia"));
        give_k3s(lab, "ocean", 35);
        on(lab, "ocean", "rm -r /var/lib/rancher/xtask && touch /var/lib/rancher/xtask");
        xtask(lab, &["deploy", "ocean"])
            .expect(7)
            .says("failed to copy the datastore before ocean goes from k3s-1.34.2");
        assert_eq!((systems(lab, "ocean"), systems(lab, "maia")), good);
        on(lab, "ocean", "rm /var/lib/rancher/xtask");
        give_k3s(lab, "ocean", 33);
        xtask(lab, &["deploy", "ocean"]).expect(3).says(
            "ocean runs K3s 1.34.2+k3s1 and would go back to 1.33.5+k3s1; its datastore does not go back",
        );
        // By name it may, and is copied before.
        xtask(lab, &["rollback", "ocean"])
            .expect(2)
            .says("hint: --yes does it, with a copy of the datastore before");
    });
}

/// As somebody would find it who needs it: for root alone, openable, with the newest changes, which were in the log only.
fn the_copy_is_whole(lab: &Lab, folder: &str) {
    assert_eq!(on(lab, "ocean", &format!("stat -c '%a %U' {folder} {folder}/token {folder}/state.db")), {
        "700 root\n600 root\n600 root"
    });
    assert_eq!(
        on(lab, "ocean", &format!("cat {folder}/token")),
        on(lab, "ocean", "cat /var/lib/rancher/k3s/server/token")
    );
    let path = lab.machine("ocean").root().join(folder.trim_start_matches('/'));
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1] + '/state.db'); \
                  print(db.execute('PRAGMA integrity_check').fetchone()[0]); \
                  print('\"newest\":\"yes\"' in str(db.execute(\"SELECT value FROM kine WHERE name LIKE '%nodes/ocean'\").fetchall()))";
    let argv = ["python3", "-c", script, path.to_str().unwrap()];
    assert_eq!(run(&argv, &path, &[]).expect(0).stdout, "ok\nTrue\n");
}

// The stand-in has no pods, and takes a time for them that a label gives; real ones are drained in `faults`.
#[test]
fn a_node_is_drained_and_takes_work_again() {
    in_lab("cluster::upgrade::a_node_is_drained_and_takes_work_again", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let is_cordoned = || node(lab, "maia")["spec"]["unschedulable"] == true;
        let plain = fs::read_to_string(module(lab, "maia")).unwrap();
        let label = |seconds: &str| {
            on(
                lab,
                "ocean",
                &format!("k3s kubectl label node maia k3s-stand-in/drain-seconds={seconds} --overwrite"),
            );
        };
        // Nothing to do: nobody is sent away.
        let answer = xtask(lab, &["deploy", "maia", "--drain"]).expect(0).says("nothing was changed");
        assert!(answer.line("skip  maia  drain").contains("it is not touched"));

        label("30");
        let before = systems(lab, "maia");
        configure(lab, "maia", "environment.etc.one.text = \"\";");
        let late = xtask(lab, &["deploy", "maia", "--drain=1"]).expect(7);
        late.says("failed to drain maia, which was not touched").says("note: maia takes work again");
        assert!(systems(lab, "maia") == before && !is_cordoned());

        label("4");
        let answer = meanwhile(
            lab,
            &["deploy", "maia", "--drain", "-v"],
            |said| said.contains("node/maia cordoned"),
            || assert!(is_cordoned()),
        );
        let answer = answer.expect(0).says("evicting pod default/stand-in");
        answer.line("done  maia  uncordon");
        assert!(systems(lab, "maia") != before && !is_cordoned());

        label("0");
        let good = systems(lab, "maia");
        configure(lab, "maia", TROUBLE);
        let answer = xtask(lab, &["deploy", "maia", "--drain", "--gate-timeout", "1"]).expect(7);
        answer.says("note: rolled back: maia runs ").says("note: maia takes work again");
        assert!(systems(lab, "maia") == good && !is_cordoned());

        // Who was cordoned by somebody stays so; who was left so by a run that was cut off does not.
        on(lab, "ocean", "k3s kubectl cordon maia");
        fs::write(module(lab, "maia"), &plain).unwrap();
        let answer = xtask(lab, &["deploy", "maia", "--drain"]).expect(0);
        assert!(answer.line("done  maia  drain").contains("it was cordoned before"));
        assert!(is_cordoned());
        on(lab, "ocean", "k3s kubectl annotate node maia xtask/cordoned=drained");
        xtask(lab, &["deploy", "maia"])
            .expect(0)
            .says("takes work again: an earlier run drained it and was cut off");
        assert!(!is_cordoned());
        // A single server drains itself, and answers again after it.
        configure(lab, "ocean", "environment.etc.one.text = \"\";");
        xtask(lab, &["deploy", "ocean", "--drain"]).expect(0);
        wait_for("ocean takes work", 10, || node(lab, "ocean")["spec"]["unschedulable"] == Value::Null);
    });
}

fn labels_and_taints_are_those_of_the_fleet_and_nobody_elses_are_touched(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let fleet = lab.deployer().repository().join("hosts/fleet.toml");
        on(
            lab,
            "ocean",
            "k3s kubectl label node maia theirs=1; k3s kubectl taint node maia theirs=1:NoSchedule",
        );
        let taints = || {
            let taints = node(lab, "maia")["spec"]["taints"].as_array().unwrap().clone();
            let text = |one: &Value| {
                let part = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                format!("{}={}:{}", part("key"), part("value"), part("effect"))
            };
            let mut taints: Vec<String> = taints.iter().map(text).collect();
            taints.sort();
            taints
        };
        xtask(lab, &["deploy", "maia"]).expect(0).says("nothing was changed");

        edit(
            &fleet,
            "taints = [\"ncrmro.com/region=us-south-2:NoSchedule\"]",
            "taints = [\"ncrmro.com/region=eu:NoSchedule\"]",
        );
        edit(&fleet, "labels = [\"ncrmro.com/region=us-south-2\"]", "labels = [\"ncrmro.com/zone=a\"]");
        let plan = xtask(lab, &["deploy", "maia", "--dry-run"]).expect(0).stdout;
        assert!(
            plan.contains("labels ncrmro.com/zone=a, taints ncrmro.com/region=eu:NoSchedule: set what"),
            "{plan}"
        );
        let answer = xtask(lab, &["deploy", "maia"]).expect(0);
        let line = answer.line("done  maia  labels");
        assert!(
            line.contains("label ncrmro.com/region removed, taint ncrmro.com/region=eu:NoSchedule, was "),
            "{line}"
        );
        let labels = node(lab, "maia")["metadata"]["labels"].clone();
        assert_eq!(
            (&labels["ncrmro.com/zone"], &labels["ncrmro.com/region"]),
            (&Value::from("a"), &Value::Null)
        );
        assert_eq!(labels["theirs"], "1");
        assert_eq!(taints(), ["ncrmro.com/region=eu:NoSchedule", "theirs=1:NoSchedule"]);
        let again = xtask(lab, &["deploy", "maia"]).expect(0).says("nothing was changed");
        assert!(again.line("skip  maia  labels").contains("are those of fleet.toml"));

        edit(&fleet, "taints = [\"ncrmro.com/region=eu:NoSchedule\"]\n", "");
        let answer = xtask(lab, &["deploy", "maia"]).expect(0);
        assert!(answer.line("done  maia  labels").contains("taint ncrmro.com/region:NoSchedule removed"));
        assert_eq!(taints(), ["theirs=1:NoSchedule"]);
    });
}
