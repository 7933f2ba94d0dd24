//! Systems that are built on this machine are evaluated by one nix, which evaluates once what they share, and realised by
//! one: neither waits for the locks of seven others.
//!
//! Only where all of it went well is anything concluded from it. Otherwise each host's own nixos-rebuild comes after it,
//! finds done what could be done, and says whose fault it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use fleet::HostName;
use pipeline::Progress;
use remote::nix;

use super::{Run, tell};
use crate::failure::Failure;

/// The systems of each group that was built, by its snapshot and its first host.
#[derive(Default)]
pub(super) struct Together(Mutex<HashMap<(String, HostName), BTreeMap<String, String>>>);

impl Run<'_> {
    /// The host's system, if all of its group could be built: the first of them builds, the others wait meanwhile.
    pub(super) fn built_together(
        &self,
        name: &HostName,
        snapshot: &str,
        hosts: &[HostName],
        progress: &Progress<Failure>,
    ) -> Option<String> {
        let [first, _, ..] = hosts else { return None };
        // Nothing is half done where one panicked, only not done.
        let mut groups = self.together.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remote::interrupted() {
            return None;
        }
        let group = groups
            .entry((snapshot.to_owned(), first.clone()))
            .or_insert_with(|| self.build_all(snapshot, hosts, progress).unwrap_or_default());
        group.get(name.as_str()).cloned()
    }

    fn build_all(
        &self,
        snapshot: &str,
        hosts: &[HostName],
        progress: &Progress<Failure>,
    ) -> Option<BTreeMap<String, String>> {
        let evaluate = nix::systems(snapshot, hosts.iter().map(HostName::as_str), &self.overrides);
        let systems = nix::parse_systems(&evaluate.run_watched(&|line| progress.line(line)).ok()?.stdout)?;
        let derivations = systems.values().map(|system| system.derivation.as_str());
        nix::realise(derivations).run_measured(&|said| tell(progress, said)).ok()?;
        Some(systems.into_iter().map(|(host, system)| (host, system.path)).collect())
    }
}
