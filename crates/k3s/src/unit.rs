//! `systemctl show` of the K3s unit, whichever it is: `k3s.service` on NixOS for both roles, `k3s-agent.service` where
//! the upstream installer made an agent.

/// The units to ask about, in the order of preference.
pub const CANDIDATES: [&str; 2] = ["k3s.service", "k3s-agent.service"];
/// The properties that [`parse`] reads.
pub const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,ActiveEnterTimestamp";

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
    /// Since when it is active, as `systemctl --timestamp=unix` shows it: `@` and seconds since 1970.
    pub since: Option<u64>,
}

impl Unit {
    /// Running, not on its way up or down.
    pub fn is_active(&self) -> bool {
        self.active == "active"
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
            "ActiveEnterTimestamp" => unit.since = value.strip_prefix('@').and_then(|at| at.parse().ok()),
            _ => {}
        }
    }
    (unit, loaded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_that_exists_is_taken() {
        let text = "Id=k3s.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nActiveEnterTimestamp=\n\n\
                    Id=k3s-agent.service\nLoadState=loaded\nActiveState=activating\nSubState=auto-restart\n\
                    Result=exit-code\nActiveEnterTimestamp=@1700000000\n";
        let unit = parse(text).unwrap();
        assert_eq!(
            (unit.id.as_str(), unit.is_active(), unit.since),
            ("k3s-agent.service", false, Some(1_700_000_000))
        );
        assert_eq!(unit.state(), "activating (auto-restart, exit-code)");
        assert_eq!(parse("Id=k3s.service\nLoadState=not-found\n"), None);
    }
}
