//! `systemctl show` of the K3s unit, whichever it is: `k3s.service` on NixOS for both roles, `k3s-agent.service` where
//! the upstream installer made an agent.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::Version;
use crate::start::{self, Start};

/// The units to ask about, in the order of preference.
pub const CANDIDATES: [&str; 2] = ["k3s.service", "k3s-agent.service"];
/// The properties that [`parse`] reads.
pub const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,ActiveEnterTimestamp,ExecMainStartTimestamp,ExecStart,NRestarts";
/// Where NixOS' containerd listens: not the socket of the one that K3s brings.
const CONTAINERD: &str = "/run/containerd/containerd.sock";
/// How `systemctl show` is to write times: in microseconds, since a kubelet's last report and the start of the next K3s may
/// lie in one second.
pub const TIMESTAMP: &str = "--timestamp=us+utc";

/// A unit's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// `k3s.service`
    pub id: String,
    /// `active`, `activating`, `failed`, `inactive` …
    pub active: String,
    /// `running`, `auto-restart`, `dead` …
    pub sub: String,
    /// `success`, `exit-code`, `timeout` …
    pub result: String,
    /// When it last became active. A server does so when K3s is ready, an agent when its process starts.
    pub since: Option<SystemTime>,
    /// When its main process was started, the last one if it has none now.
    pub started: Option<SystemTime>,
    /// The name of the package that it starts: `k3s-1.34.2+k3s1`. `None` where that is no path of a Nix store.
    pub package: Option<String>,
    /// How it starts K3s.
    pub start: Option<Start>,
    /// It is given the socket of the host's own containerd.
    pub needs_containerd: bool,
    /// How often systemd started it again by itself since somebody last started it.
    pub restarts: u32,
}

impl Unit {
    /// Running, not on its way up or down.
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }

    /// Of the K3s that it starts; `None` where nothing names it.
    pub fn version(&self) -> Option<Version> {
        Version::parse(self.package.as_deref()?)
    }

    /// In words.
    pub fn state(&self) -> String {
        match self.result.as_str() {
            "" | "success" => format!("{} ({})", self.active, self.sub),
            result => format!("{} ({}, {result})", self.active, self.sub),
        }
    }
}

/// The first unit that exists, of the blocks that `systemctl show A B` prints, separated by empty lines.
pub fn parse(text: &str) -> Option<Unit> {
    let blocks = text.split("\n\n").map(block);
    blocks.into_iter().find(|(_, loaded)| *loaded).map(|(unit, _)| unit)
}

fn block(text: &str) -> (Unit, bool) {
    let mut unit = Unit::default();
    let mut loaded = false;
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match name {
            "Id" => value.clone_into(&mut unit.id),
            "LoadState" => loaded = value == "loaded",
            "ActiveState" => value.clone_into(&mut unit.active),
            "SubState" => value.clone_into(&mut unit.sub),
            "Result" => value.clone_into(&mut unit.result),
            "ActiveEnterTimestamp" => unit.since = timestamp(value),
            "ExecMainStartTimestamp" => unit.started = timestamp(value),
            "ExecStart" => {
                unit.package = value.split_once("path=").and_then(|(_, path)| start::package(path));
                unit.needs_containerd = value.contains(CONTAINERD);
                let command = value.split_once("argv[]=").and_then(|(_, rest)| rest.split(" ; ").next());
                unit.start = command.and_then(Start::of_command);
            }
            "NRestarts" => unit.restarts = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    (unit, loaded)
}

/// `Sun 2026-11-29 13:24:50.532896 UTC`
fn timestamp(text: &str) -> Option<SystemTime> {
    let [_weekday, day, time, "UTC"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    humantime::parse_rfc3339(&format!("{day}T{time}Z")).ok()
}

/// Whole seconds since 1970, as `date +%s` and `journalctl --since=@` have them.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_that_exists_is_taken() {
        let text = "Id=k3s.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nActiveEnterTimestamp=\n\n\
                    Id=k3s-agent.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\n\
                    Result=exit-code\nNRestarts=3\nActiveEnterTimestamp=Sun 2026-11-29 13:24:59.230433 UTC\n\
                    ExecMainStartTimestamp=Sun 2026-11-29 13:24:50.532896 UTC\n\
                    ExecStart={ path=/nix/store/bq-k3s-1.35.4+k3s1/bin/k3s ; argv[]=/nix/store/bq-k3s-1.35.4+k3s1/bin/k3s agent \
                    --server https://x ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 }\n";
        let unit = parse(text).unwrap();
        assert_eq!((unit.id.as_str(), unit.is_active()), ("k3s-agent.service", false));
        assert_eq!(unit.since.map(seconds), Some(1_795_958_699));
        let micros = unit.started.unwrap().duration_since(UNIX_EPOCH).unwrap().as_micros();
        assert_eq!(micros, 1_795_958_690_532_896);
        assert_eq!((unit.package.as_deref(), unit.restarts), (Some("k3s-1.35.4+k3s1"), 3));
        assert_eq!(unit.state(), "activating (auto-restart, exit-code)");
        assert_eq!(unit.version(), Version::parse("v1.35.4+k3s1"));
        assert_eq!(unit.start.unwrap().values("server").collect::<Vec<_>>(), ["https://x"]);
        assert_eq!(parse("Id=k3s.service\nLoadState=not-found\n"), None);
    }
}
