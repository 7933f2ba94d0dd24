//! Rebooting a host into its boot default, with a bound: it is back when it has another boot id.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::HostName;
use pipeline::{Outcome, Progress};
use remote::RunError;
use remote::ssh::Session;

use super::build::short;
use super::health::health;
use super::{Run, changed, host, skipped};
use crate::failure::{Failure, Kind, Result};

/// Firmware of servers takes its minutes.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) fn reboot(&self, name: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let wanted = self.built(name).system;
        let session = self.session(name);
        if session.is_local() {
            return skipped("this machine is not rebooted under itself: reboot it by hand");
        }
        if host::booted(&session)?.as_deref() == Some(wanted.as_str()) {
            return skipped(format!("booted {} already", short(&wanted)));
        }
        let failed = health(&session, &[])?.failed;
        self.state().failed_before.entry(name.clone()).or_insert(failed);
        let before = boot_id(&session)?;
        match session.run(["systemctl", "reboot"]) {
            // It may well be gone before it has answered.
            Ok(_) | Err(RunError::LinkLost { .. }) => {}
            Err(error) => return Err(Failure::from(error).during(&format!("failed to reboot {name}"))),
        }
        let session = self.wait_for_another_boot(name, &before, progress)?;
        // The lock was a process there.
        self.lock(name, &session, progress)?;
        let booted = host::booted(&session)?;
        if booted.as_deref() != Some(wanted.as_str()) {
            let now = booted.as_deref().map_or("nothing".to_owned(), short);
            let message = format!("{name} booted {now}, not its boot default {}", short(&wanted));
            return Err(Failure::new(Kind::Activation, message).hint(format!("on {name}: bootctl status")));
        }
        self.state().sessions.insert(name.clone(), Arc::new(session));
        changed(format!("booted {}", short(&wanted)))
    }

    fn wait_for_another_boot(
        &self,
        name: &HostName,
        before: &str,
        progress: &Progress<Failure>,
    ) -> Result<Session> {
        let start = Instant::now();
        let late = format!("{name} has not come back within {} s of its reboot", PATIENCE.as_secs());
        let hint = "look at its console; its boot default is the new system, older ones are in its boot menu";
        progress.line("waiting until it is back");
        loop {
            let look = || -> Result<(Session, String)> {
                let session = self.open_fresh(name)?;
                let id = boot_id(&session)?;
                Ok((session, id))
            };
            match look() {
                Ok((session, id)) if id != before => return Ok(session),
                Err(failure) if failure.kind != Kind::Unreachable || failure.is_final => return Err(failure),
                _ if remote::interrupted() => {
                    let message = format!("interrupted while {name} reboots");
                    return Err(Failure::new(Kind::Interrupted, message));
                }
                _ if start.elapsed() > PATIENCE => {
                    return Err(Failure::new(Kind::Unknown, late).hint(hint.to_owned()));
                }
                _ => std::thread::sleep(POLL),
            }
        }
    }
}

fn boot_id(session: &Session) -> Result<String> {
    Ok(session.run(["cat", host::BOOT_ID])?.text())
}
