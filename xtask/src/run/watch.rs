//! Watching K3s while a system is activated: `switch-to-configuration` waits for a server's K3s without a word, for as long
//! as it is let. What K3s itself says meanwhile is told, and an activation that waits for a K3s which no waiting mends is
//! ended.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use k3s::journal::{self, Diagnosis};
use k3s::unit::Unit;
use pipeline::Progress;
use remote::nixos_rebuild::UNIT;
use remote::ssh::Session;

use super::gate::certain;
use super::health::health;
use super::{Run, host};
use crate::failure::{Failure, Result};

/// Most activations are over by then.
const FIRST: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(20);

impl Run<'_> {
    /// Does the work beside which K3s is watched. Gives with its result why the activation was ended, if it was.
    pub(super) fn watching_k3s<T>(
        &self,
        session: &Session,
        since: &str,
        progress: &Progress<Failure>,
        work: impl FnOnce() -> T,
    ) -> (T, Option<Diagnosis>) {
        let (done, is_done) = mpsc::channel();
        std::thread::scope(|scope| {
            let watcher = scope.spawn(move || self.watch(session, since, progress, &is_done));
            let result = work();
            drop(done);
            (result, watcher.join().expect("a watcher does not panic"))
        })
    }

    fn watch(
        &self,
        session: &Session,
        since: &str,
        progress: &Progress<Failure>,
        is_done: &Receiver<()>,
    ) -> Option<Diagnosis> {
        let (mut pause, mut last) = (FIRST, String::new());
        while is_done.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = AGAIN;
            // That it could not be asked is no reason to stop anything.
            let Ok(Some((unit, said, has_containerd))) = ask(session, since) else { continue };
            if let Some(told) = certain(&said, has_containerd).filter(|told| self.is_cause(told)) {
                progress.line(&format!("ending the activation: {}: {}", told.cause, told.evidence));
                let _ = session.run_within(TIMEOUT, ["systemctl", "stop", "--no-block", UNIT]);
                return Some(told);
            }
            let now = journal::telling(&said).unwrap_or_default();
            if now != last {
                now.clone_into(&mut last);
                progress.line(&format!("{} is {}; k3s: {now}", unit.id, unit.state()));
            }
        }
        None
    }
}

/// What a K3s that is not up said since then, and whether there is a containerd for it. Nothing of one that is up.
fn ask(session: &Session, since: &str) -> Result<Option<(Unit, String, bool)>> {
    let health = health(session, &[])?;
    let Some(unit) = health.unit.filter(|unit| !unit.is_active()) else { return Ok(None) };
    let said = host::journal_since(session, &unit.id, &format!("@{since}"))?;
    Ok(Some((unit, said, health.has_containerd)))
}
