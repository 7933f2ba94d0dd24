//! What a reboot takes: the boot default, whatever ran before.

use std::fs;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{systems, wait_for};
use crate::support::{configure, on, try_on, xtask};

each_k3s!(a_reboot_takes_the_boot_default_and_is_waited_for,);

fn a_reboot_takes_the_boot_default_and_is_waited_for(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let boot_id = || try_on(lab, "maia", "cat /proc/sys/kernel/random/boot_id").stdout;
        let (first, id) = (systems(lab, "maia"), boot_id());
        let unit = "systemd.services.fresh = { wantedBy = [ \"multi-user.target\" ]; serviceConfig = { \
                    Type = \"oneshot\"; RemainAfterExit = true; ExecStart = \"/bin/true\"; }; };";
        configure(lab, "maia", unit);

        // What was only tested is gone with a reboot.
        xtask(lab, &["deploy", "maia", "--goal", "test"]).expect(0);
        assert_eq!(on(lab, "maia", "systemctl is-active fresh.service"), "active");
        try_on(lab, "maia", "systemctl reboot");
        wait_for("it is back", 60, || ![String::new(), id.clone()].contains(&boot_id()));
        assert_eq!(systems(lab, "maia"), first);
        assert_eq!(on(lab, "maia", "systemctl is-active fresh.service || true"), "inactive");
        wait_for("verify is content", 60, || xtask(lab, &["verify"]).code == 0);

        xtask(lab, &["deploy", "maia", "--goal", "boot"]).expect(0).says("reboot it to run the new system");
        let second = systems(lab, "maia");
        assert!(second.running == first.running && second.boot != first.boot, "{second:?}");
        let answer = xtask(lab, &["deploy", "maia", "--goal", "boot", "--reboot"]).expect(0);
        assert!(answer.line("done  maia  reboot").contains("booted maia-"), "{}", answer.stderr);
        assert_eq!(systems(lab, "maia").running, second.boot);
        assert_eq!(on(lab, "maia", "systemctl is-active fresh.service"), "active");
        // One that does not pass its gate is not booted a second time.
        let module = configure(
            lab,
            "maia",
            "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                    serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };",
        );
        let flags = ["--goal", "boot", "--reboot", "--gate-timeout", "1"];
        let answer = xtask(lab, &[&["deploy", "maia"][..], &flags].concat()).expect(7);
        answer
            .says("trouble.service failed")
            .says("put back to maia-26.05-rehearsal")
            .says("which did not pass: reboot it");
        let bad = systems(lab, "maia");
        assert!(bad.boot == second.boot && bad.running != second.boot, "{bad:?}");
        fs::write(lab.deployer().repository().join("hosts/maia/default.nix"), module).unwrap();
        xtask(lab, &["deploy", "maia", "--reboot"]).expect(0);
        // A second one has nothing to do.
        let id = boot_id();
        let again = xtask(lab, &["deploy", "maia", "--reboot"]).expect(0);
        assert!(again.line("skip  maia  reboot").contains("already"), "{}", again.stderr);
        assert_eq!(boot_id(), id);
    });
}
