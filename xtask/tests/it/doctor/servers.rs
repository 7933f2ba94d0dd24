//! Three servers that lose members of their etcd and regain them, by what doctor says to do.

use std::time::Duration;

use lab::Lab;
use serde_json::Value;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{Clone, on, xtask};

each_k3s!(members_are_lost_and_regained);

fn fleet() -> Clone {
    let clone = Clone::in_namespace().with_hosts("ocean", "server", &["reef", "atoll"]);
    clone.fleet("# first_server", "first_server");
    clone
}

/// What doctor finds that is no note, once it is that.
#[track_caller]
fn finds(lab: &Lab, wanted: &[(&str, &str)]) -> Vec<Value> {
    let mut last = None;
    for _ in 0..60 {
        let answer = xtask(lab, &["doctor", "--json"]);
        let found: Vec<Value> = answer.events().into_iter().filter(|it| it["severity"] == "error").collect();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or("").to_owned();
        let causes: Vec<_> = found.iter().map(|it| (text(it, "host"), text(it, "cause"))).collect();
        if causes.iter().map(|(host, cause)| (host.as_str(), cause.as_str())).eq(wanted.iter().copied()) {
            assert_eq!(answer.code, if wanted.is_empty() { 0 } else { 7 }, "{answer:?}");
            return found;
        }
        last = Some(answer);
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("wanted {wanted:?}: {last:?}");
}

/// As a person reads it.
fn cluster_line(lab: &Lab) -> String {
    let lines = xtask(lab, &["doctor"]).stdout;
    lines.lines().find(|line| line.contains(" mercury ")).unwrap_or_else(|| panic!("{lines}")).to_owned()
}

/// Does what the hint says: `on HOST: COMMAND; COMMAND; on HOST: …`
fn follow(lab: &Lab, finding: &Value) {
    let mut host = String::new();
    for part in finding["hint"].as_str().unwrap().split("; ") {
        let (place, command) = match part.strip_prefix("on ").and_then(|rest| rest.split_once(": ")) {
            Some((place, command)) => (place.to_owned(), command),
            None => (host.clone(), part),
        };
        // Its first start may come before etcd has let its old self go; systemd starts it again, and what is found then counts.
        let or_again = if command.starts_with("systemctl start") { " || true" } else { "" };
        on(lab, &place, &format!("{command}{or_again}"));
        host = place;
    }
}

fn members_are_lost_and_regained(rehearsal: &Rehearsal) {
    rehearsal.enter_lab(fleet, |lab| {
        xtask(lab, &["bootstrap-cluster", "--gate-timeout", "600"]).expect(0);
        finds(lab, &[]);
        let whole = "✓ mercury  all is well: 3 of 3 voting members healthy, 4 of 4 nodes Ready";
        assert_eq!(cluster_line(lab), whole);
        one_is_stopped(lab);
        the_majority_is_stopped(lab);
        one_has_lost_its_data(lab);
        one_is_no_member(lab);
        assert_eq!(cluster_line(lab), whole);
    });
}

fn one_is_stopped(lab: &Lab) {
    on(lab, "reef", "systemctl stop k3s");
    let found = finds(lab, &[("reef", "k3s-stopped"), ("", "bare-majority")]);
    let count = "2 of 3 voting members healthy";
    assert_eq!(found[1]["value"], format!("{count}; missing: reef"));
    assert_eq!(cluster_line(lab), format!("✗ mercury  one finding: {count}, 3 of 4 nodes Ready"));
}

fn the_majority_is_stopped(lab: &Lab) {
    on(lab, "atoll", "systemctl stop k3s");
    let found = finds(lab, &[("", "no-quorum")]);
    assert_eq!(found[0]["value"], "1 of 3 voting members there, 2 are needed; missing: atoll, reef");
    assert_eq!(found[0]["hint"], "on atoll and reef: systemctl start k3s; journalctl -u k3s");
    let screen = xtask(lab, &["doctor"]).stdout;
    let (first, rest) = screen.split_once('\n').unwrap();
    let counts = "0 of 3 voting members healthy, nodes not known: no API server answers";
    assert_eq!(first, format!("✗ mercury  one finding: {counts}"));
    assert!(!rest.contains("all is well"), "{screen}");
    // What nobody could answer is told as that.
    let status = xtask(lab, &["status"]).expect(0).stdout;
    assert!(status.starts_with("mercury  4 of 4 hosts reached, nodes not known\n"), "{status}");
    assert!(!status.contains("no node of its name") && !status.contains("none"), "{status}");
    assert!(status.contains("its node is not known"), "{status}");
    on(lab, "atoll", "systemctl start k3s");
    finds(lab, &[("reef", "k3s-stopped"), ("", "bare-majority")]);
}

fn one_has_lost_its_data(lab: &Lab) {
    on(lab, "reef", "rm -r /var/lib/rancher/k3s/server/db/etcd; systemctl start --no-block k3s");
    let found = finds(lab, &[("reef", "etcd-gone"), ("", "bare-majority")]);
    assert_eq!(
        found[0]["hint"],
        "on reef: systemctl stop k3s; on ocean: k3s kubectl delete node reef --ignore-not-found; on reef: systemctl start k3s"
    );
    follow(lab, &found[0]);
    finds(lab, &[]);
}

fn one_is_no_member(lab: &Lab) {
    on(lab, "reef", "systemctl stop k3s");
    on(lab, "ocean", "k3s kubectl delete node reef");
    finds(lab, &[("reef", "not-a-member")]);
    on(lab, "reef", "systemctl start --no-block k3s");
    let found = finds(lab, &[("reef", "not-a-member")]);
    assert_eq!(cluster_line(lab), "✗ mercury  2 of 2 voting members healthy, 3 of 4 nodes Ready");
    follow(lab, &found[0]);
    finds(lab, &[]);
}
