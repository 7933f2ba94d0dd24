//! Where a host stands after an activation, whatever its exit code: asked over a connection of its own, once the
//! unit that activates has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::HostName;
use remote::RunError;
use remote::nixos_rebuild::UNIT;
use remote::ssh::Session;

use super::Run;
use super::standing::{self, Standing};
use crate::failure::{Failure, Kind, Result};

/// How long a host may be away after an activation: it may well have restarted the mesh or sshd, or itself.
const LINK_PATIENCE: Duration = Duration::from_secs(120);

/// How often the journal is looked at before an activation is said to have been cut off.
const JOURNAL_LOOKS: u32 = 4;

impl Run<'_> {
    /// Where the host stands, over a connection that was opened after its activation had ended, with what activations said
    /// since a moment. It stays open: the gate takes it.
    pub(super) fn settled(
        &self,
        name: &HostName,
        result: &std::result::Result<(), RunError>,
        since: Option<&str>,
    ) -> Result<Standing> {
        let state = format!("on {name}: systemctl status {UNIT}; readlink /run/current-system");
        if let Err(RunError::Interrupted { .. }) = result {
            let message = format!("interrupted while {name} was activated");
            return Err(Failure::new(Kind::Interrupted, message).hint(state));
        }
        if let Err(RunError::TimedOut { .. }) = result {
            // Its client was ended, and the unit goes on.
            let _ =
                self.open_fresh(name).map(|session| session.run(["systemctl", "stop", "--no-block", UNIT]));
        }
        let start = Instant::now();
        loop {
            let look = || -> Result<Option<(Session, Standing)>> {
                let session = self.open_fresh(name)?;
                // What was opened before the end of it could still be what only an old connection can do.
                let (now, waited) = standing::idle(&session, since, self.activation_timeout)?;
                Ok((!waited).then_some((session, now)))
            };
            match look() {
                Ok(Some((session, now))) => {
                    if result.is_err() {
                        self.lock_again(name, &session)?;
                    }
                    self.state().fresh.insert(name.clone(), Arc::new(session));
                    return Ok(now);
                }
                Ok(None) => {}
                Err(failure) if failure.kind != Kind::Unreachable || failure.is_final => return Err(failure),
                Err(failure) if start.elapsed() > LINK_PATIENCE || remote::interrupted() => {
                    let attempt = format!("it is not known whether {name} was changed");
                    return Err(failure.of_kind(Kind::Unknown).during(&attempt).hint(state));
                }
                Err(_) => std::thread::sleep(Duration::from_secs(1)),
            }
        }
    }

    /// Did the activation of this system, begun after `since`, end before its time, stopped or killed? In one such case it
    /// is said to be done. `now` is what was seen of the host since.
    pub(super) fn was_cut_off(
        &self,
        name: &HostName,
        system: &str,
        since: &str,
        mut now: Standing,
    ) -> Result<bool> {
        for _ in 0..JOURNAL_LOOKS {
            if ended(&now.said, system) {
                return Ok(false);
            }
            // What was said last may be a moment in coming.
            std::thread::sleep(Duration::from_millis(500));
            now = standing::standing(&*self.since_activation(name)?, Some(since))?;
        }
        Ok(!ended(&now.said, system))
    }
}

/// switch-to-configuration says in the journal when it begins and how it ends. Where it says nothing at all nothing can be
/// concluded.
fn ended(said: &str, system: &str) -> bool {
    let about = format!("switching to system configuration {system}");
    let mut lines = said.lines().filter(|line| line.contains(&about)).peekable();
    lines.peek().is_none() || lines.any(|line| line.starts_with("finished") || line.contains(" failed "))
}

#[cfg(test)]
mod tests {
    use super::ended;

    #[test]
    fn an_activation_that_was_cut_off_said_that_it_began_and_no_more() {
        let system = "/nix/store/a-nixos-system-maia";
        let begun = format!("switching to system configuration {system}");
        let other = "finished switching to system configuration /nix/store/b-nixos-system-maia";
        assert!(!ended(&begun, system) && !ended(&format!("{begun}\n{other}"), system));
        assert!(ended(&format!("{begun}\nfinished {begun}"), system));
        assert!(ended(&format!("{begun}\n{begun} failed (status 4)"), system));
        assert!(ended("", system) && ended(other, system));
    }
}
