//! A system that does not pass its gate does not stay: at once where somebody sees it, by the host's own timer where the
//! link is lost or the deployer is killed. The boot default never points at it.

use std::fs::{self, File};

use lab::Lab;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{Systems, send, systems, wait_for};
use crate::support::{configure, give_package, in_lab, on, xtask};

each_k3s!(
    a_host_that_fails_its_gate_is_taken_back_at_once,
    a_server_whose_k3s_starts_first_or_changes_stays_where_it_is,
    a_host_goes_back_to_an_earlier_generation_by_name,
);

/// A unit that fails: the gate's business.
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

/// Nothing waits there to go back any more.
fn assert_settled(lab: &Lab, host: &str) {
    let units = "systemctl list-units --all --plain --no-legend 'xtask-rollback*'";
    assert_eq!(on(lab, host, units), "", "{host}");
}

/// Starts a deploy of maia that cannot pass its gate, and waits until the new system runs there.
fn begin_in_vain(lab: &Lab, flags: &[&str]) -> (remote::Background, Systems) {
    xtask(lab, &["bootstrap-cluster"]).expect(0);
    let before = systems(lab, "maia");
    configure(lab, "maia", TROUBLE);
    let log = File::create(lab.deployer().path("/tmp/deploy.log")).unwrap();
    let deploy = lab.deployer().xtask().args(["deploy", "maia"]).args(flags).spawn(log).unwrap();
    wait_for("the new system runs", 60, || systems(lab, "maia").running != before.running);
    (deploy, before)
}

fn a_host_that_fails_its_gate_is_taken_back_at_once(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let (before, ocean) = (systems(lab, "maia"), systems(lab, "ocean"));
        let module = configure(lab, "maia", TROUBLE);
        for _ in 0..2 {
            let answer = xtask(lab, &["deploy", "maia", "--gate-timeout", "1", "-v"]).expect(7);
            let answer = answer.says("trouble.service failed").says("unless it passes its gate");
            let answer = answer.says("note: rolled back: maia runs ");
            assert!(!answer.stderr.contains("not rolled back"), "{}", answer.stderr);
            assert_eq!(systems(lab, "maia"), before);
            assert_settled(lab, "maia");
        }
        assert_eq!(systems(lab, "ocean"), ocean, "a host of no concern");
        xtask(lab, &["verify"]).expect(0);
        // One that passes stays, and its timer is gone.
        let path = lab.deployer().repository().join("hosts/maia/default.nix");
        let mended = "environment.etc.mended.text = \"\";\n  system.stateVersion";
        fs::write(path, module.replacen("system.stateVersion", mended, 1)).unwrap();
        xtask(lab, &["deploy", "maia"]).expect(0);
        let after = systems(lab, "maia");
        assert!(after.running != before.running && after.boot == after.running, "{after:?}");
        assert_settled(lab, "maia");
    });
}

#[test]
fn a_deployer_that_is_killed_leaves_the_host_to_its_timer() {
    in_lab("rollback::a_deployer_that_is_killed_leaves_the_host_to_its_timer", |lab| {
        let (deploy, before) = begin_in_vain(lab, &["--gate-timeout", "5", "--activation-timeout", "5"]);
        send(lab, "KILL");
        wait_for("it is dead", 10, || deploy.ended());
        assert_eq!(systems(lab, "maia").boot, before.boot);
        wait_for("it goes back by itself", 60, || systems(lab, "maia") == before);
        wait_for("K3s runs again", 30, || {
            on(lab, "maia", "systemctl is-active k3s.service || true") == "active"
        });
        wait_for("verify is content", 30, || xtask(lab, &["verify"]).code == 0);
        assert_settled(lab, "maia");
    });
}

#[test]
fn the_next_deploy_does_not_wait_for_the_timer_of_one_that_was_killed() {
    in_lab("rollback::the_next_deploy_does_not_wait_for_the_timer_of_one_that_was_killed", |lab| {
        let (deploy, before) = begin_in_vain(lab, &["--gate-timeout", "600"]);
        send(lab, "KILL");
        wait_for("it is dead", 10, || deploy.ended());
        let answer = xtask(lab, &["deploy", "maia", "--gate-timeout", "1", "-v"]).expect(7);
        answer.says("an earlier deploy was cut off: went back to ").says("note: rolled back: maia runs ");
        assert_eq!(systems(lab, "maia"), before);
        assert_settled(lab, "maia");
    });
}

#[test]
fn ctrl_c_while_a_host_is_verified_takes_it_back() {
    in_lab("rollback::ctrl_c_while_a_host_is_verified_takes_it_back", |lab| {
        let (deploy, before) = begin_in_vain(lab, &["--gate-timeout", "600"]);
        send(lab, "INT");
        wait_for("it ends", 60, || deploy.ended());
        let log = fs::read_to_string(lab.deployer().path("/tmp/deploy.log")).unwrap();
        assert!(log.contains("note: rolled back: maia runs "), "{log}");
        assert_eq!(systems(lab, "maia"), before);
        assert_settled(lab, "maia");
        let report = xtask(lab, &["report"]).expect(0).stdout;
        assert!(report.starts_with("deploy maia  interrupted (exit code 130)\n"), "{report}");
    });
}

fn a_server_whose_k3s_starts_first_or_changes_stays_where_it_is(rehearsal: &Rehearsal) {
    let Some([old, new]) = rehearsal.two_versions() else { return };
    rehearsal.in_lab(|lab| {
        give_package(lab, "ocean", &old.0);
        give_package(lab, "maia", &old.0);
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        // As on a host that is NixOS already and gets its role.
        on(lab, "ocean", "systemctl stop k3s.service && mv /var/lib/rancher /var/lib/rancher.away");
        let module = configure(lab, "ocean", TROUBLE);
        let first = xtask(lab, &["deploy", "ocean", "--gate-timeout", "1", "-v"]).expect(7);
        first.says("note: not rolled back: its K3s starts for the first time");
        on(
            lab,
            "ocean",
            "systemctl stop k3s.service && rm -r /var/lib/rancher && mv /var/lib/rancher.away /var/lib/rancher",
        );
        let path = lab.deployer().repository().join("hosts/ocean/default.nix");
        fs::write(&path, &module).unwrap();
        xtask(lab, &["deploy", "ocean"]).expect(0);
        let before = systems(lab, "ocean");
        configure(lab, "ocean", TROUBLE);
        give_package(lab, "ocean", &new.0);
        // The second time it runs what failed already: good is still only the boot default.
        for _ in 0..2 {
            let changed = xtask(lab, &["deploy", "ocean", "--gate-timeout", "1", "-v"]).expect(7);
            changed.says("note: not rolled back: it changes the version of K3s");
        }
        let after = systems(lab, "ocean");
        assert!(after.running != before.running && after.boot == before.boot, "{after:?}");
        assert_settled(lab, "ocean");
    });
}

fn a_host_goes_back_to_an_earlier_generation_by_name(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        xtask(lab, &["rollback", "maia"]).expect(2).says("maia has no earlier generation");
        let first = systems(lab, "maia");
        configure(lab, "maia", "environment.etc.second.text = \"\";");
        xtask(lab, &["deploy", "maia"]).expect(0);
        let second = systems(lab, "maia");
        assert_ne!(first, second);
        let plan = xtask(lab, &["rollback", "maia", "--dry-run"]).expect(0).stdout;
        assert!(plan.contains("find the generation before its boot default"), "{plan}");
        assert_eq!(systems(lab, "maia"), second);
        xtask(lab, &["rollback", "maia", "--json"]).expect(0);
        assert_eq!(systems(lab, "maia"), first);
        assert_settled(lab, "maia");
        xtask(lab, &["verify"]).expect(0);
        xtask(lab, &["rollback", "maia", "--to", "9"]).expect(2).says("hint: it has 1, 2: --to NUMBER");
        xtask(lab, &["rollback", "maia", "--to", "2"]).expect(0);
        assert_eq!(systems(lab, "maia"), second);
        let again = xtask(lab, &["rollback", "maia", "--to", "2"]).expect(0);
        assert!(again.line("skip  maia  activate").contains("already"), "{}", again.stderr);
    });
}
