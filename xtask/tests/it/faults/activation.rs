//! Faults of what is activated: units that fail, hang, or take the ground from under the deploy.

use super::battery::{Expected, battery};
use crate::support::{configure, on, xtask};

/// A unit of this name that runs a command once.
fn unit(name: &str, command: &str) -> String {
    format!(
        "systemd.services.{name} = {{ wantedBy = [ \"multi-user.target\" ]; \
         serviceConfig = {{ Type = \"oneshot\"; ExecStart = \"{command}\"; }}; }};"
    )
}

#[test]
fn what_an_activation_breaks_does_not_stay() {
    battery("faults::activation::what_an_activation_breaks_does_not_stay", &[], |battery| {
        let lab = battery.lab;
        let refused =
            Expected { outcome: "rolled back", code: 7, says: "note: rolled back: maia runs ", changed: &[] };
        battery.fault("a new unit fails", &refused, |lab| {
            configure(lab, "maia", &unit("trouble", "/bin/false"));
            xtask(lab, &["deploy", "maia", "--gate-timeout", "1"]).says("trouble.service failed")
        });

        // One that this host has since long, and that fails again at each activation.
        configure(lab, "maia", &unit("old-trouble", "/usr/bin/test ! -e /var/broken"));
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
