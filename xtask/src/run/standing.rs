//! Where a host stands, asked in one command: what it runs, what it boots, and whether something is about to change that.
//! Each question of its own would be a round trip, a login shell and two processes, for every host of a deploy.

use std::time::{Duration, Instant};

use remote::RunError;
use remote::nixos_rebuild::UNIT;
use remote::ssh::Session;

use super::host::{self, Systems};
use super::rollback::{SERVICE, TIMER};
use crate::failure::{Failure, Kind, Result};

/// The states of three units, a line each; two links; the clock; what activations said since `$6`, where that is given.
/// -m: a link that does not exist resolves to itself, so that every failure is one of the connection.
const ASK: &str = "\
systemctl show --property ActiveState --value \"$1\" \"$2\" \"$3\" | grep . && readlink -m \"$4\" \"$5\" && date +%s && \
if [ -n \"$6\" ]; then journalctl --identifier=nixos --output=cat --no-pager --since=\"@$6\" || echo unreadable; fi";

/// How often it is looked again whether an activation has ended.
const POLL: Duration = Duration::from_millis(500);

/// What a host said of itself at one moment.
pub(super) struct Standing {
    pub(super) systems: Systems,
    /// Is an activation under way?
    pub(super) is_activating: bool,
    /// Is a way back armed?
    pub(super) is_armed: bool,
    /// Is it being gone?
    pub(super) is_going_back: bool,
    /// Its own clock, in seconds since 1970.
    pub(super) clock: String,
    /// What activations said in the journal since a moment, where that was asked for.
    pub(super) said: String,
}

/// Asks; with what activations said since that moment by the host's own clock.
pub(super) fn standing(session: &Session, since: Option<&str>) -> std::result::Result<Standing, RunError> {
    let ask = ["sh", "-c", ASK, "sh", UNIT, TIMER, SERVICE, host::RUNNING, host::PROFILE];
    let text = session.run(ask.iter().chain(&[since.unwrap_or_default()]))?.text();
    Ok(parse(&text))
}

/// The same, once no activation is under way: two at once can leave a host on one system and its boot default on another.
/// Tells as well whether there was one to wait for.
pub(super) fn idle(session: &Session, since: Option<&str>, patience: Duration) -> Result<(Standing, bool)> {
    let start = Instant::now();
    let mut waited = false;
    loop {
        let now = standing(session, since)?;
        if !now.is_activating {
            return Ok((now, waited));
        }
        waited = true;
        let message = format!("an activation is under way on {} already ({UNIT})", session.name());
        if remote::interrupted() {
            return Err(Failure::new(Kind::Interrupted, message));
        }
        if start.elapsed() > patience {
            let hint = "wait for it, or stop the unit there".to_owned();
            return Err(Failure::new(Kind::Activation, message).hint(hint));
        }
        std::thread::sleep(POLL);
    }
}

fn parse(text: &str) -> Standing {
    let mut lines = text.splitn(7, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (activation, timer, service) = (next(), next(), next());
    let mut link = |path: &str| Some(next()).filter(|target| *target != path).map(str::to_owned);
    let systems = Systems { running: link(host::RUNNING), boot: link(host::PROFILE) };
    Standing {
        systems,
        is_activating: is_active(activation),
        is_armed: is_active(timer),
        is_going_back: is_active(service),
        clock: next().to_owned(),
        said: next().to_owned(),
    }
}

/// Of a unit's state: it does something, or waits to.
pub(super) fn is_active(state: &str) -> bool {
    ["active", "activating", "deactivating", "reloading"].contains(&state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_line_by_line() {
        let new =
            parse("inactive\ninactive\ninactive\n/run/current-system\n/nix/var/nix/profiles/system\n1795");
        assert!(!new.is_activating && !new.is_armed && !new.is_going_back);
        assert_eq!((new.systems.running, new.systems.boot), (None, None));
        assert_eq!((new.clock.as_str(), new.said.as_str()), ("1795", ""));
        let busy =
            parse("activating\nactive\ninactive\n/nix/store/a\n/nix/store/b\n1795\nswitching to\nfinished");
        assert!(busy.is_activating && busy.is_armed && !busy.is_going_back);
        assert_eq!(busy.systems.running.as_deref(), Some("/nix/store/a"));
        assert_eq!(busy.systems.boot.as_deref(), Some("/nix/store/b"));
        assert_eq!(busy.said, "switching to\nfinished");
        assert!(parse("inactive\ninactive\nactivating\n/a\n/b\n1").is_going_back);
    }
}
