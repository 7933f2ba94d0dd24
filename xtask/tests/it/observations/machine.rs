//! Words about machines that observations share.

use std::time::{Duration, Instant};

use lab::Lab;
use serde_json::Value;

use crate::support::on;

/// How long a cluster may take until it is well again.
const PATIENCE: u64 = 120;

/// Starts K3s, and waits for nothing.
pub(super) const START: &str = "systemctl reset-failed k3s; systemctl start --no-block k3s";

/// Runs a unit's program with further arguments (`ADD`), until `AS_BEFORE`.
pub(super) const ADD: &str = r#"
unit=$(systemctl show k3s --property FragmentPath --value)
line=$(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$unit" | sed -n 's/^ExecStart=//p')
mkdir -p /run/systemd/system/k3s.service.d
printf '[Service]\nExecStart=\nExecStart=%s %s\n' "$line" "$more" > /run/systemd/system/k3s.service.d/more.conf
systemctl daemon-reload"#;
pub(super) const AS_BEFORE: &str = "rm -r /run/systemd/system/k3s.service.d; systemctl daemon-reload";

/// What systemd says of the unit, all of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// `active (running), success, exit code 0`
    pub(super) shown: String,
    is_running: bool,
    /// It has ended by itself, and waits for its next start.
    waits: bool,
    pub(super) restarts: u32,
}

pub(super) fn state(lab: &Lab, host: &str) -> State {
    let said = on(lab, host, "systemctl show k3s");
    let of = |property: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {property}: {said}"))
    };
    let sub = of("SubState");
    State {
        shown: format!("{} ({sub}), {}, exit code {}", of("ActiveState"), of("Result"), of("ExecMainStatus")),
        is_running: sub == "running",
        waits: sub == "auto-restart",
        restarts: of("NRestarts").parse().expect("a number"),
    }
}

/// Waits until the unit has failed twice, or runs for longer than a first failure takes; at last it is as it is.
pub(super) fn settled(lab: &Lab, host: &str, seconds: u64, failure: Duration) -> String {
    let start = Instant::now();
    loop {
        let state = state(lab, host);
        if state.waits && state.restarts > 0 {
            return format!("{}, again and again", state.shown);
        }
        let is_up = state.is_running && state.restarts == 0 && start.elapsed() > failure;
        if is_up || start.elapsed() > Duration::from_secs(seconds) {
            return state.shown;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whether something comes to be so in time.
pub(super) fn within(seconds: u64, is: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        if is() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    false
}

/// The place in the unit's journal behind which all is new.
pub(super) fn cursor(lab: &Lab, host: &str) -> String {
    on(lab, host, "journalctl --unit k3s --lines 0 --show-cursor --output cat | sed 's/^-- cursor: //'")
}

/// What K3s said since that matters: each line once, without times.
pub(super) fn said_since(lab: &Lab, host: &str, cursor: &str) -> Vec<String> {
    let read = format!("journalctl --unit k3s --output cat --no-pager --after-cursor '{cursor}'");
    let mut lines = Vec::new();
    for line in on(lab, host, &read).lines().filter(|line| matters(line)) {
        let line = super::recording::without_chance(&without_time(line));
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// What ends a start or keeps a node from joining. Of a kubelet's and etcd's lines only how they end.
fn matters(line: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
    if line.starts_with("time=") {
        return says(&[
            "level=fatal",
            "level=error",
            "Waiting to retrieve",
            "Waiting for /",
            "signal received",
        ]);
    }
    line.starts_with("Error: ") || says(&["\"leaderelection lost\"", "Incorrect Usage"])
}

fn without_time(line: &str) -> String {
    if line.starts_with("time=") {
        let said = line.split_once(' ').map_or(line, |(_, rest)| rest);
        // A balancer's connection ends in one of two ways, by chance.
        return match said.split_once("read tcp 127.0.0.1:") {
            Some((before, _)) if said.ends_with("connection reset by peer\"") => format!("{before}EOF\""),
            _ => said.to_owned(),
        };
    }
    // `E1129 13:35:17.548760     303 controllermanager.go:368] "leaderelection lost"`
    match line.split_once("] ") {
        Some((_, said))
            if line.starts_with(['E', 'W', 'I']) && line[1..].starts_with(|c: char| c.is_ascii_digit()) =>
        {
            format!("{} {said}", &line[..1])
        }
        _ => line.to_owned(),
    }
}

/// The end of its journal, for whoever has to find out why it is not well.
pub(super) fn last_words(lab: &Lab, host: &str) -> String {
    on(lab, host, "journalctl --unit k3s --no-pager --lines 80 | cut --characters -300")
}

/// A Node.
pub(super) fn node(lab: &Lab, name: &str) -> Value {
    let said =
        on(lab, "ocean", &format!("k3s kubectl get node {name} --output json 2> /dev/null || echo null"));
    serde_json::from_str(&said).unwrap_or(Value::Null)
}

pub(super) fn condition<'a>(node: &'a Value, kind: &str) -> &'a Value {
    let conditions = node["status"]["conditions"].as_array();
    conditions.and_then(|all| all.iter().find(|one| one["type"] == kind)).unwrap_or(&Value::Null)
}

/// `Ready` as `kubectl get nodes` would say it.
pub(super) fn readiness(lab: &Lab, name: &str) -> String {
    let node = node(lab, name);
    condition(&node, "Ready")["status"].as_str().unwrap_or("no node").to_owned()
}

/// Waits until a host's K3s runs and its kubelet has renewed its Lease since then.
#[track_caller]
pub(super) fn well(lab: &Lab, host: &str) {
    let started = "date --date \"$(systemctl show k3s --property ExecMainStartTimestamp --value)\" +%s";
    let renewed = format!("k3s kubectl --namespace kube-node-lease get lease {host} --output json");
    let is_well = || {
        if on(lab, host, "systemctl is-active k3s || true") != "active" || readiness(lab, host) != "True" {
            return false;
        }
        let lease: Value = serde_json::from_str(&on(lab, "ocean", &format!("{renewed} || echo null")))
            .unwrap_or(Value::Null);
        let Some(renewed) = lease["spec"]["renewTime"].as_str() else { return false };
        on(lab, host, &format!("test $(date --date {renewed} +%s) -gt $({started}) && echo yes || true"))
            == "yes"
    };
    assert!(
        within(PATIENCE, is_well),
        "{host} did not become well: {}\n{}",
        state(lab, host).shown,
        last_words(lab, host)
    );
}
