//! Faults of what is activated: units that fail, hang, or take the ground from under the deploy.

use lab::Lab;

use super::battery::{Expected, battery, meanwhile, send, wait_for};
use super::interrupt::left;
use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{Answer, configure, on, try_on, xtask};

each_k3s!(
    what_an_activation_breaks_does_not_stay,
    a_host_that_cannot_be_reached_any_more_goes_back_by_itself,
    what_breaks_the_server_leaves_its_agents_alone
);

/// A unit of this name that runs a command once, and stays.
fn unit(name: &str, command: &str, more: &str) -> String {
    format!(
        "systemd.services.{name} = {{ wantedBy = [ \"multi-user.target\" ]; serviceConfig = {{ \
         Type = \"oneshot\"; RemainAfterExit = true; ExecStart = \"{command}\"; {more} }}; }};"
    )
}

/// Nothing of an activation, nor of a way back, is left on the host.
#[track_caller]
fn assert_settled(lab: &Lab, host: &str) {
    let units = "systemctl list-units --all --plain --no-legend 'xtask-rollback*' 'nixos-rebuild-*'";
    assert_eq!(on(lab, host, units), "", "{host}");
}

fn back(says: &str, code: i32) -> Expected<'_> {
    Expected { outcome: "rolled back", code, says, changed: &[] }
}

const BACK: &str = "note: rolled back: maia runs ";

fn what_an_activation_breaks_does_not_stay(rehearsal: &Rehearsal) {
    battery(rehearsal, &[], |battery| {
        let lab = battery.lab;
        battery.fault("a new unit fails", &back(BACK, 7), |lab| {
            configure(lab, "maia", &unit("trouble", "/bin/false", ""));
            xtask(lab, &["deploy", "maia", "--gate-timeout", "1"]).says("trouble.service failed")
        });
        battery.fault("the activation breaks K3s on an agent", &back(BACK, 7), |lab| {
            configure(lab, "maia", "services.k3s.extraFlags = [ \"--no-such-flag\" ];");
            xtask(lab, &["deploy", "maia", "--gate-timeout", "2"])
                .says("flag provided but not defined: -no-such-flag")
        });
        assert_eq!(on(lab, "maia", "systemctl is-active k3s.service"), "active");
        battery.fault("the activation hangs", &back(BACK, 6), |lab| {
            let more = "TimeoutStartSec = \"infinity\";";
            configure(lab, "maia", &unit("hang", "/usr/bin/sleep infinity", more));
            let times = ["--activation-timeout", "4", "--gate-timeout", "2"];
            xtask(lab, &[&["deploy", "maia"][..], &times].concat())
        });
        assert_eq!(on(lab, "maia", "systemctl is-active hang.service || true"), "inactive");
        let stopped = Expected { outcome: "not believed, rolled back", ..back(BACK, 6) };
        battery.fault("somebody stops the activation half-way", &stopped, |lab| {
            configure(lab, "maia", &unit("slow", "/usr/bin/sleep 30", ""));
            during_activation(lab, &[], || {
                on(lab, "maia", "systemctl stop nixos-rebuild-switch-to-configuration.service");
            })
        });
        assert_settled(lab, "maia");
        xtask(lab, &["verify"]).expect(0);

        // One that this host has since long, and that fails again at each activation.
        let old = "systemd.services.old-trouble = { wantedBy = [ \"multi-user.target\" ]; \
                   serviceConfig = { Type = \"oneshot\"; ExecStart = \"/usr/bin/test ! -e /var/broken\"; }; };";
        configure(lab, "maia", old);
        xtask(lab, &["deploy", "maia"]).expect(0);
        on(lab, "maia", "touch /var/broken; systemctl start old-trouble.service || true");
        let told = Expected {
            outcome: "applied: only units that failed newly count",
            code: 0,
            says: "failed before: old-trouble.service",
            changed: &["maia"],
        };
        battery.fault("a unit fails that had failed before", &told, |lab| {
            configure(lab, "maia", "environment.etc.new.text = \"\";");
            xtask(lab, &["deploy", "maia"])
        });
    });
}

fn a_host_that_cannot_be_reached_any_more_goes_back_by_itself(rehearsal: &Rehearsal) {
    battery(rehearsal, &[], |battery| {
        let lab = battery.lab;
        let times = ["--gate-timeout", "1", "--activation-timeout", "5"];
        let deploy = |lab: &Lab| xtask(lab, &[&["deploy", "maia", "-v"][..], &times].concat());
        // Down while it runs; going back stops it.
        battery.fault("the activation cuts the network", &back(BACK, 6), |lab| {
            let up = "ExecStop = \"/usr/sbin/ip link set tailscale0 up\";";
            configure(lab, "maia", &unit("cut", "/usr/sbin/ip link set tailscale0 down", up));
            deploy(lab)
        });
        battery.fault("the activation stops sshd", &back(BACK, 6), |lab| {
            let up = "ExecStop = \"/usr/bin/systemctl start --no-block sshd.service\";";
            configure(
                lab,
                "maia",
                &unit(
                    "deaf",
                    "/usr/bin/pkill sshd",
                    &format!("ExecStartPre = \"/usr/bin/systemctl stop sshd.service\"; {up}"),
                ),
            );
            deploy(lab)
        });
        let rebooted = Expected { outcome: "it boots its boot default, the old system", ..back(BACK, 6) };
        battery.fault("the host reboots during the activation", &rebooted, |lab| {
            configure(lab, "maia", &unit("slow", "/usr/bin/sleep 30", ""));
            during_activation(lab, &[], || drop(try_on(lab, "maia", "systemctl reboot --force")))
        });
        wait_for("verify is content", 30, || xtask(lab, &["verify"]).code == 0);
        let interrupted = Expected { outcome: "finished, then rolled back", ..back(BACK, 130) };
        battery.fault("ctrl-C during the activation", &interrupted, |lab| {
            configure(lab, "maia", &unit("slow", "/usr/bin/sleep 3", ""));
            during_activation(lab, &[], || send(lab, "INT"))
        });
        assert_settled(lab, "maia");
        let twice = Expected { outcome: "the host's timer takes it back", ..back("deploy maia: ", 130) };
        battery.fault("ctrl-C twice during the activation", &twice, |lab| {
            configure(lab, "maia", &unit("slow", "/usr/bin/sleep 8", ""));
            let before = battery.systems("maia");
            let answer =
                during_activation(lab, &["--activation-timeout", "4", "--gate-timeout", "2"], || {
                    send(lab, "INT");
                    std::thread::sleep(std::time::Duration::from_millis(1500));
                    send(lab, "INT");
                });
            wait_for("nothing of the deployer is left", 15, || left(0).is_empty());
            wait_for("it goes back by itself", 40, || {
                battery.systems("maia") == before && is_settled(lab, "maia")
            });
            answer
        });
        wait_for("verify is content", 30, || xtask(lab, &["verify"]).code == 0);
    });
}

fn what_breaks_the_server_leaves_its_agents_alone(rehearsal: &Rehearsal) {
    battery(rehearsal, &[], |battery| {
        let outcome = "the server is rolled back, no agent is touched";
        let server = Expected { outcome, ..back("note: rolled back: ocean runs ", 7) };
        battery.fault("the activation breaks K3s on the server", &server, |lab| {
            configure(lab, "ocean", "services.k3s.extraFlags = [ \"--no-such-flag\" ];");
            configure(lab, "maia", "environment.etc.new.text = \"\";");
            let answer = xtask(lab, &["deploy", "ocean", "maia", "--gate-timeout", "2"]);
            let maia = answer.line("  maia ").to_owned();
            assert!(maia.contains("stopped before build (build with token)"), "{maia}");
            answer
        });
        let lab = battery.lab;
        wait_for("verify is content", 30, || xtask(lab, &["verify"]).code == 0);

        let loader =
            Expected { outcome: "the boot default is put back", ..back("of maia was put back to maia-", 6) };
        battery.fault("the boot loader cannot be installed", &loader, |lab| {
            configure(lab, "maia", "environment.etc.new.text = \"\";");
            on(lab, "maia", "mv /boot/loader/loader.conf /var/ && mkdir -p /boot/loader/loader.conf/full");
            let before = battery.systems("maia");
            let answer = xtask(lab, &["deploy", "maia"]);
            on(lab, "maia", "rm -r /boot/loader/loader.conf && mv /var/loader.conf /boot/loader/");
            assert_eq!(battery.systems("maia").boot, before.boot);
            // What runs has passed its gate: it is left running.
            on(lab, "maia", &format!("{}/bin/switch-to-configuration test", before.running));
            answer
        });
    });
}

fn is_settled(lab: &Lab, host: &str) -> bool {
    on(lab, host, "systemctl list-units --all --plain --no-legend 'xtask-rollback*' 'nixos-rebuild-*'")
        .is_empty()
}

/// A deploy of maia, with something done once the activation is under way.
fn during_activation(lab: &Lab, flags: &[&str], act: impl FnOnce()) -> Answer {
    let starting = |_: &str| on(lab, "maia", "systemctl is-active slow.service || true") == "activating";
    meanwhile(lab, &[&["deploy", "maia", "-v"][..], flags].concat(), starting, act)
}
