//! Where a host stands after an activation, whatever its exit code: asked over a connection of its own, once the
//! unit that activates has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::HostName;
use remote::RunError;
use remote::nixos_rebuild::UNIT;
use remote::ssh::Session;

use super::host::{self, Systems};
use super::{Run, rollback};
use crate::failure::{Failure, Kind, Result};

/// How long a host may be away after an activation: it may well have restarted the mesh or sshd, or itself.
const LINK_PATIENCE: Duration = Duration::from_secs(120);

/// How often the journal is looked at before an activation is said to have been cut off.
const JOURNAL_LOOKS: u32 = 4;

impl Run<'_> {
    /// Where the host stands, over a connection that was opened after its activation had ended. It stays open: the gate
    /// takes it.
    pub(super) fn settled(
        &self,
        name: &HostName,
        result: &std::result::Result<String, RunError>,
    ) -> Result<Systems> {
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
            let look = || -> Result<Option<(Session, Systems)>> {
                let session = self.open_fresh(name)?;
                // What was opened before the end of it could still be what only an old connection can do.
                let waited = wait_until_idle(&session, self.activation_timeout)?;
                let systems = host::systems(&session)?;
                Ok((!waited).then_some((session, systems)))
            };
            match look() {
                Ok(Some((session, systems))) => {
                    if result.is_err() {
                        self.lock_again(name, &session)?;
                    }
                    self.state().fresh.insert(name.clone(), Arc::new(session));
                    return Ok(systems);
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
    /// is said to be done.
    pub(super) fn was_cut_off(&self, name: &HostName, system: &str, since: &str) -> Result<bool> {
        let session = self.since_activation(name)?;
        let since = format!("--since=@{since}");
        for _ in 0..JOURNAL_LOOKS {
            let ask = ["journalctl", "--identifier=nixos", "--output=cat", "--no-pager", &since];
            match session.run(ask) {
                Ok(output) if ended(&output.text(), system) => return Ok(false),
                Ok(_) => {}
                // It cannot be read: nothing can be concluded.
                Err(error) if error.code().is_some() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            // What was said last may be a moment in coming.
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(true)
    }
}

/// The host's own clock.
pub(super) fn now(session: &Session) -> Result<String> {
    Ok(session.run(["date", "+%s"])?.text())
}

/// switch-to-configuration says in the journal when it begins and how it ends. Where it says nothing at all nothing can be
/// concluded.
fn ended(said: &str, system: &str) -> bool {
    let about = format!("switching to system configuration {system}");
    let mut lines = said.lines().filter(|line| line.contains(&about)).peekable();
    lines.peek().is_none() || lines.any(|line| line.starts_with("finished") || line.contains(" failed "))
}

/// Two activations at once can leave a host on one system and its boot default on another. Tells whether there was one to
/// wait for.
pub(super) fn wait_until_idle(session: &Session, patience: Duration) -> Result<bool> {
    let start = Instant::now();
    let mut waited = false;
    while rollback::is_active(session, UNIT)? {
        waited = true;
        let message = format!("an activation is under way on {} already ({UNIT})", session.name());
        if remote::interrupted() {
            return Err(Failure::new(Kind::Interrupted, message));
        }
        if start.elapsed() > patience {
            let hint = "wait for it, or stop the unit there".to_owned();
            return Err(Failure::new(Kind::Activation, message).hint(hint));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(waited)
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
