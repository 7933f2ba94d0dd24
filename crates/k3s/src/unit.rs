//! `systemctl show` of the K3s unit, whichever it is: `k3s.service` on NixOS for both roles, `k3s-agent.service` where
//! the upstream installer made an agent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Version;
use crate::start::Start;

/// The units to ask about, in the order of preference.
pub const CANDIDATES: [&str; 2] = ["k3s.service", "k3s-agent.service"];
/// The properties that [`parse`] reads.
pub const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,ActiveEnterTimestamp,ExecMainStartTimestamp,ExecStart,NRestarts,\
    Restart,RestartUSec,ExecMainExitTimestampMonotonic,StateChangeTimestampMonotonic";
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
    /// How it starts K3s.
    pub start: Option<Start>,
    /// How often systemd started it again by itself since somebody last started it.
    pub restarts: u32,
    /// `always`, `on-failure`, `no` …: whether systemd starts it again when it ends by itself.
    pub restart: String,
    /// Did systemd wait for `RestartSec` or longer between the end of its process and its present state? `None`: it never
    /// ended.
    pub waited: Option<bool>,
}

/// What a unit is doing, and by whose will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is up.
    Running,
    /// On its way up, for the first time since somebody started it.
    Starting,
    /// On its way down.
    Stopping,
    /// Down, because somebody stopped it.
    Stopped,
    /// Down, and it never ran since the host booted.
    NotStarted,
    /// It ends by itself, and systemd starts it again: so often since somebody last started it.
    Crashing {
        /// Restarts so far.
        restarts: u32,
    },
    /// It ended by itself, and systemd does not start it again.
    Failed,
}

impl Unit {
    /// Judges its state by how it got there.
    ///
    /// A K3s that is told to stop may end with exit code 1, and one that hangs is killed: systemd calls both `failed`. But a
    /// unit that systemd starts again whenever it ends by itself, as NixOS' is (`Restart=always`), stays `failed` in two cases
    /// only: somebody stopped it, or it was started too often. Of the second one `Result` says nothing where the process had
    /// failed: it keeps the first result, `exit-code`. But there systemd had waited for `RestartSec` after the process' end
    /// before it gave up, while a unit that was stopped is `failed` as soon as its process has ended.
    pub fn phase(&self) -> Phase {
        let restarts = self.restarts;
        let comes_back = matches!(self.restart.as_str(), "always" | "on-failure");
        let too_often = self.result == "start-limit-hit" || restarts > 0 && self.waited == Some(true);
        match (self.active.as_str(), self.sub.as_str()) {
            ("active" | "reloading" | "refreshing", _) => Phase::Running,
            ("activating", sub) if restarts > 0 || sub.starts_with("auto-restart") => {
                Phase::Crashing { restarts }
            }
            ("activating", _) => Phase::Starting,
            ("deactivating", _) => Phase::Stopping,
            ("failed", _) if !comes_back || too_often => Phase::Failed,
            ("inactive", _) if self.waited.is_none() => Phase::NotStarted,
            _ => Phase::Stopped,
        }
    }

    /// Does nothing happen to it until somebody starts it?
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase(), Phase::Stopped | Phase::NotStarted | Phase::Failed)
    }

    /// What it does, as the rest of a sentence about it: `was stopped`.
    pub fn does(&self) -> String {
        match self.phase() {
            Phase::Running => "runs".to_owned(),
            Phase::Starting => "is starting".to_owned(),
            Phase::Stopping => "is being stopped".to_owned(),
            Phase::Stopped => "was stopped".to_owned(),
            Phase::NotStarted => "was not started".to_owned(),
            Phase::Crashing { restarts: 0 } => "has ended by itself and will be started again".to_owned(),
            Phase::Crashing { restarts: 1 } => "ended by itself and was started again once".to_owned(),
            Phase::Crashing { restarts } => format!("ends by itself and was started again {restarts} times"),
            Phase::Failed => "has failed, and is not started again".to_owned(),
        }
    }

    /// The same with systemd's own words, which may be others: what was stopped may have failed to systemd.
    pub fn told(&self) -> String {
        format!("{} {}; to systemd it is {}", self.id, self.does(), self.state())
    }

    /// The command for the host: what starts it where nothing is wrong with it, else what tells why it does not run.
    pub fn remedy(&self) -> String {
        match self.phase() {
            Phase::Stopped | Phase::NotStarted | Phase::Stopping => format!("systemctl start {}", self.id),
            Phase::Failed => format!("journalctl -u {0}; systemctl start {0}", self.id),
            Phase::Running | Phase::Starting | Phase::Crashing { .. } => format!("journalctl -u {}", self.id),
        }
    }

    /// Running, not on its way up or down.
    pub fn is_active(&self) -> bool {
        self.active == "active"
    }

    /// Of the K3s that it starts; `None` where nothing names it.
    pub fn version(&self) -> Option<Version> {
        self.start.as_ref()?.version()
    }

    /// Is it given the socket of the host's own containerd?
    pub fn needs_containerd(&self) -> bool {
        let endpoints =
            |start: &Start| start.values("container-runtime-endpoint").any(|it| it.ends_with(CONTAINERD));
        self.start.as_ref().is_some_and(endpoints)
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
    let (mut delay, mut ended, mut changed) = (None, None, None);
    let number = |value: &str| value.parse::<u64>().ok();
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
                let command = value.split_once("argv[]=").and_then(|(_, rest)| rest.split(" ; ").next());
                unit.start = command.and_then(Start::of_command);
            }
            "NRestarts" => unit.restarts = value.parse().unwrap_or_default(),
            "Restart" => value.clone_into(&mut unit.restart),
            "RestartUSec" => delay = humantime::parse_duration(value).ok(),
            "ExecMainExitTimestampMonotonic" => ended = number(value).filter(|at| *at > 0),
            "StateChangeTimestampMonotonic" => changed = number(value),
            _ => {}
        }
    }
    let (delay, changed) = (delay.unwrap_or(Duration::MAX), changed.unwrap_or(0));
    unit.waited = ended.map(|ended| Duration::from_micros(changed.saturating_sub(ended)) >= delay);
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
        assert_eq!((unit.restarts, unit.needs_containerd()), (3, false));
        assert_eq!(unit.state(), "activating (auto-restart, exit-code)");
        assert_eq!(unit.version(), Version::parse("v1.35.4+k3s1"));
        assert_eq!(unit.start.unwrap().values("server").collect::<Vec<_>>(), ["https://x"]);
        assert_eq!(parse("Id=k3s.service\nLoadState=not-found\n"), None);
    }

    /// As a K3s of NixOS' unit was seen: state, result, restarts, and the microseconds of its end and of its last change.
    fn seen(restart: &str, line: &str) -> Unit {
        let [active, sub, result, restarts, ended, changed] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let text = format!(
            "Id=k3s.service\nLoadState=loaded\nRestart={restart}\nRestartUSec=5s\nActiveState={active}\nSubState={sub}\n\
             Result={result}\nNRestarts={restarts}\nExecMainExitTimestampMonotonic={ended}\n\
             StateChangeTimestampMonotonic={changed}\n"
        );
        parse(&text).unwrap()
    }

    #[test]
    fn stopped_is_told_from_broken() {
        use Phase::{Crashing, Failed, NotStarted, Running, Starting, Stopped, Stopping};
        for (line, phase) in [
            ("active running success 0 0 1000000", Running),
            // Stopped while it ran; in its first second, or a server at any time; while it started, and it hung.
            ("inactive dead success 0 9000000 9000100", Stopped),
            ("failed failed exit-code 0 9000000 9000200", Stopped),
            ("failed failed timeout 0 19000000 19000400", Stopped),
            // The same of one that had been killed an hour before, which counts until somebody starts it.
            ("failed failed exit-code 1 3609000000 3609000200", Stopped),
            // While it waited to be started again.
            ("inactive dead signal 1 9000000 10000000", Stopped),
            ("deactivating stop-sigterm success 0 0 9000000", Stopping),
            ("inactive dead success 0 0 0", NotStarted),
            ("activating start success 0 9000000 14000000", Starting),
            // Killed, or a flag that K3s does not know.
            ("activating auto-restart signal 0 9000000 9000100", Crashing { restarts: 0 }),
            ("activating auto-restart exit-code 2 9000000 9000100", Crashing { restarts: 2 }),
            ("activating start success 2 9000000 14000000", Crashing { restarts: 2 }),
            // The limit of starts: what it had ended with is what systemd shows of it.
            ("failed failed exit-code 5 9000000 14000300", Failed),
            ("failed failed start-limit-hit 0 9000000 9000100", Failed),
        ] {
            assert_eq!(seen("always", line).phase(), phase, "{line}");
        }
        // Nobody starts this one again, so its exit code is its own.
        assert_eq!(seen("no", "failed failed exit-code 0 9000000 9000200").phase(), Failed);
    }

    #[test]
    fn what_starts_it_is_offered_only_where_nothing_is_wrong() {
        let told = |line: &str| {
            let unit = seen("always", line);
            format!("{} {}: {}", unit.id, unit.does(), unit.remedy())
        };
        assert_eq!(
            told("failed failed exit-code 0 9000000 9000200"),
            "k3s.service was stopped: systemctl start k3s.service"
        );
        assert_eq!(
            told("activating auto-restart exit-code 7 9000000 9000100"),
            "k3s.service ends by itself and was started again 7 times: journalctl -u k3s.service"
        );
    }
}
