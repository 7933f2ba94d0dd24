//! Ending commands: each leads a process group of its own, so with it goes all that it started.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};

/// What a process gets between the polite signal and the final one.
const GRACE: Duration = Duration::from_secs(3);
/// The process groups of the commands that somebody waits for.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// While it lives, [`end_all`] ends the command.
pub(crate) struct Running(Vec<Pid>);

impl Running {
    pub(crate) fn note(handle: &duct::Handle) -> Self {
        let pids = pids(handle);
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).extend(&pids);
        Self(pids)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).retain(|pid| !self.0.contains(pid));
    }
}

/// Kills every command that somebody waits for, with all that it started: we are about to end without another word.
pub(crate) fn end_all() {
    for pid in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// SIGINT to the group, on which nixos-rebuild tidies up what it began on the target; then SIGKILL to what is left.
pub(crate) fn end(handle: &duct::Handle) {
    signal(handle, rustix::process::kill_process_group, Signal::INT);
    let _ = handle.wait_timeout(GRACE);
    signal(handle, rustix::process::kill_process_group, Signal::KILL);
    let _ = handle.wait_timeout(GRACE);
}

pub(crate) fn signal(handle: &duct::Handle, kill: fn(Pid, Signal) -> rustix::io::Result<()>, with: Signal) {
    for pid in pids(handle) {
        // It may be gone already, which is what we want.
        let _ = kill(pid, with);
    }
}

fn pids(handle: &duct::Handle) -> Vec<Pid> {
    let pid = |pid: &u32| i32::try_from(*pid).ok().and_then(Pid::from_raw);
    handle.pids().iter().filter_map(pid).collect()
}
