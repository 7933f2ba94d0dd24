//! Systems that are built on this machine are built by one nix first, which evaluates once what they share, and does not
//! wait for the locks of seven others.
//!
//! Each host's own nixos-rebuild comes after it all the same and finds its work done: it names the system, and where
//! something is wrong, whose fault it is. So nothing is concluded here from how the common build ended.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use fleet::HostName;
use pipeline::Progress;
use remote::nix;

use super::{Run, tell};
use crate::failure::Failure;

/// The groups that were built, by their snapshot and their first host.
#[derive(Default)]
pub(super) struct Together(Mutex<HashSet<(String, HostName)>>);

impl Run<'_> {
    /// The first of a group builds for all of it; the others wait meanwhile.
    pub(super) fn build_together(&self, snapshot: &str, hosts: &[HostName], progress: &Progress<Failure>) {
        let [first, _, ..] = hosts else { return };
        // Nothing is half done where one panicked, only not done.
        let mut done = self.together.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remote::interrupted() || !done.insert((snapshot.to_owned(), first.clone())) {
            return;
        }
        let build = nix::build_systems(snapshot, hosts.iter().map(HostName::as_str), &self.overrides);
        let _ = build.run_measured(&|said| tell(progress, said));
    }
}
