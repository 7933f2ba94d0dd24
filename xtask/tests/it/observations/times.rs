//! When a node shows that it lives: in which order at its starts, how often afterwards, and for how long once it is dead.

use lab::Lab;
use serde_json::Value;

use super::machine::{well, within};
use super::{Seen, bootstrap};
use crate::support::on;

/// Longer than a kubelet's Lease takes to be renewed twice.
const REST: u64 = 25;

pub(super) fn all(lab: &Lab, seen: &mut Seen) {
    let watch = Watch::start(lab);
    bootstrap(lab);
    std::thread::sleep(std::time::Duration::from_secs(12));
    for host in ["ocean", "maia"] {
        watch.first_start(seen, host);
    }
    for host in ["ocean", "maia"] {
        watch.restart(seen, host);
    }
    watch.rest(seen);
    watch.death(seen);
}

/// A change of a Node's Ready condition or of a Lease.
struct Change {
    at: f64,
    what: String,
    value: Value,
}

/// What `watch.py` says on the server.
struct Watch<'a> {
    lab: &'a Lab,
}

impl<'a> Watch<'a> {
    fn start(lab: &'a Lab) -> Self {
        std::fs::write(lab.machine("ocean").root().join("root/watch.py"), include_str!("watch.py")).unwrap();
        on(
            lab,
            "ocean",
            "systemd-run --quiet --unit watch sh -c 'exec python3 /root/watch.py > /root/changes'",
        );
        Self { lab }
    }

    fn changes(&self) -> Vec<Change> {
        let said = on(self.lab, "ocean", "cat /root/changes");
        let change = |line: &str| {
            let value: Value = serde_json::from_str(line).ok()?;
            Some(Change { at: value["at"].as_f64()?, what: value["what"].as_str()?.to_owned(), value })
        };
        said.lines().filter_map(change).collect()
    }

    /// The changes of a host's Node or Lease since a time.
    fn of(&self, kind: &str, host: &str, since: f64) -> Vec<Change> {
        let what = format!("{kind} {host}");
        self.changes().into_iter().filter(|change| change.what == what && change.at >= since).collect()
    }

    /// When the unit's main process started and when it became active, in seconds.
    fn unit(&self, host: &str) -> (f64, f64) {
        let time = |property: &str| {
            let shown = format!("systemctl show k3s --property {property} --value --timestamp=us");
            on(self.lab, host, &format!("date --date \"$({shown})\" +%s.%6N")).parse().unwrap()
        };
        (time("ExecMainStartTimestamp"), time("ActiveEnterTimestamp"))
    }

    fn first_start(&self, seen: &mut Seen, host: &str) {
        let (start, _) = self.unit(host);
        let node = self.of("node", host, start);
        let ready = node.iter().find(|change| change.value["status"] == "True").expect("a Ready node").at;
        let lease = self.of("lease", host, start).first().expect("a Lease").at;
        // Whether a server's unit becomes active before its Node is Ready is chance.
        let when = if lease - ready > 5.0 { "long after Ready" } else { "soon" };
        seen.see(&format!("{host}, first start, the Lease comes"), when);
    }

    fn restart(&self, seen: &mut Seen, host: &str) {
        let before = self.of("node", host, 0.0).pop().expect("a Node");
        on(self.lab, host, "systemctl restart k3s");
        well(self.lab, host);
        std::thread::sleep(std::time::Duration::from_secs(2));
        let (start, active) = self.unit(host);
        let node = self.of("node", host, start);
        let statuses: Vec<&str> = node.iter().filter_map(|change| change.value["status"].as_str()).collect();
        let stays = statuses.iter().all(|status| *status == "True");
        seen.see(&format!("{host}, restart, Ready stays True"), &stays.to_string());
        let since = "lastTransitionTime";
        let same = node.iter().all(|change| change.value[since] == before.value[since]);
        seen.see(&format!("{host}, restart, Ready's lastTransitionTime stays"), &same.to_string());
        let lease = self.of("lease", host, start).first().expect("a Lease").at;
        let report = node.first().map(|change| change.at);
        seen.see(
            &format!("{host}, restart, Ready's lastHeartbeatTime is renewed"),
            &report.is_some().to_string(),
        );
        let report = report.unwrap_or(lease);
        // Which of both is first with a server is chance. The stand-in's is the order that misleads: its report is the first.
        let near = (active - lease.min(report)).abs() < 10.0;
        seen.see(
            &format!("{host}, restart, unit active and first sign of life within 10 s"),
            &near.to_string(),
        );
    }

    /// Nothing happens.
    fn rest(&self, seen: &mut Seen) {
        let now = now();
        std::thread::sleep(std::time::Duration::from_secs(REST));
        let leases = self.of("lease", "maia", now);
        let between = leases.windows(2).map(|pair| pair[1].at - pair[0].at).fold(0.0, f64::max);
        seen.see("at rest, the Lease is renewed every", &about(between));
        // Every five minutes it would be.
        let moved = self.of("node", "maia", now).len();
        seen.see("at rest, Ready's lastHeartbeatTime is renewed", if moved == 0 { "no" } else { "yes" });
    }

    /// The agent's K3s is stopped: nobody says so to the cluster.
    fn death(&self, seen: &mut Seen) {
        let before = self.of("node", "maia", 0.0).pop().expect("a Node").value;
        on(self.lab, "maia", "systemctl stop k3s");
        let stopped = now();
        let missed = || self.of("node", "maia", stopped).pop();
        assert!(within(90, || missed().is_some()), "the node was not missed");
        let missed = missed().unwrap();
        seen.see("dead, Ready stays True for", &about(missed.at - stopped));
        let of = |key: &str| missed.value[key].as_str().unwrap_or("").to_owned();
        seen.see("dead, then Ready is", &format!("{} {} {}", of("status"), of("reason"), of("message")));
        let same = missed.value["lastHeartbeatTime"] == before["lastHeartbeatTime"];
        seen.see("dead, Ready's lastHeartbeatTime stays", &same.to_string());
        let unreachable = || {
            on(self.lab, "ocean", "k3s kubectl get node maia --output json")
                .contains("node.kubernetes.io/unreachable")
        };
        seen.see("dead, tainted as unreachable", &within(20, unreachable).to_string());
        on(self.lab, "maia", "systemctl start k3s");
        well(self.lab, "maia");
        let back = self.of("node", "maia", stopped).pop().unwrap().value;
        seen.see("back, Ready is", back["status"].as_str().unwrap_or(""));
        let same = back["lastTransitionTime"] == before["lastTransitionTime"];
        seen.see("back, Ready's lastTransitionTime stays", &same.to_string());
    }
}

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A time, near enough to be the same again.
fn about(seconds: f64) -> String {
    let near = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let near = near.iter().min_by(|one, other| (*one - seconds).abs().total_cmp(&(*other - seconds).abs()));
    format!("about {} s", near.expect("some"))
}
