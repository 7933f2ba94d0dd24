//! Which stage of a cluster's life it is, and the one or two commands that one would run there.

use super::stand::Stand;
use crate::journal::{End, Last, RunKind};
use crate::playbook::Rotated;

/// The first of these that is true: what stands in the way of more comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    FleetBroken,
    WriteCutOff,
    RunUnderWay,
    RotationUnfinished(Rotated),
    DeployUnfinished,
    KeysMissing,
    /// A host without a folder, a file that git does not know.
    CheckFinds,
    /// A run that nothing goes on with: something has to be edited first.
    RunFailed,
    /// They can be made only once, or only by who knows them.
    SecretsUncommitted,
    LockMissing,
    TokensMissing,
    /// There is something that no deploy brought to a host yet.
    Changed,
    Well,
}

impl Stage {
    pub(super) fn of(stand: &Stand) -> Self {
        let Ok(fleet) = &stand.fleet else { return Self::FleetBroken };
        if stand.was_cut_off {
            return Self::WriteCutOff;
        }
        let run = stand.last.as_ref().and_then(of_run);
        if let Some(unfinished) = run.filter(|stage| *stage != Self::RunFailed) {
            return unfinished;
        }
        if fleet.admins == 0 || fleet.hosts.iter().any(|host| !host.has_key) {
            return Self::KeysMissing;
        }
        if fleet.hosts.iter().any(|host| !host.has_folder) || !stand.git.unknown.is_empty() {
            return Self::CheckFinds;
        }
        if let Some(failed) = run {
            return failed;
        }
        if stand.git.uncommitted.iter().any(|name| name.ends_with(".age")) {
            return Self::SecretsUncommitted;
        }
        if !stand.has_lock {
            return Self::LockMissing;
        }
        if !stand.missing_tokens.is_empty() {
            return Self::TokensMissing;
        }
        let was_deploy = stand.last.as_ref().is_some_and(|last| last.kind == RunKind::Deploy);
        if !stand.git.uncommitted.is_empty() || (was_deploy && was_committed_since(stand)) {
            return Self::Changed;
        }
        Self::Well
    }

    /// For other programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FleetBroken => "fleet-broken",
            Self::WriteCutOff => "write-cut-off",
            Self::RunUnderWay => "run-under-way",
            Self::RotationUnfinished(_) => "rotation-unfinished",
            Self::DeployUnfinished => "deploy-unfinished",
            Self::RunFailed => "run-failed",
            Self::KeysMissing => "keys-missing",
            Self::CheckFinds => "check-finds",
            Self::LockMissing => "lock-missing",
            Self::TokensMissing => "tokens-missing",
            Self::SecretsUncommitted => "secrets-uncommitted",
            Self::Changed => "changed",
            Self::Well => "well",
        }
    }
}

/// Has anything been committed since the newest run began?
fn was_committed_since(stand: &Stand) -> bool {
    let begun = stand.last.as_ref().map(|last| last.begun);
    begun.is_some_and(|begun| stand.git.committed.is_some_and(|committed| committed > begun))
}

/// `None` for a run after which the repository tells what comes next.
fn of_run(last: &Last) -> Option<Stage> {
    match (&last.end, last.kind) {
        (End::Well, _) => None,
        (End::UnderWay, _) => Some(Stage::RunUnderWay),
        (_, RunKind::Rotation(of)) => Some(Stage::RotationUnfinished(of)),
        // As the run itself said: usage, configuration and builds need an edit first, and the snapshot would be the old one.
        (End::Failed { code: 2 | 3 | 5, .. }, _) => Some(Stage::RunFailed),
        (_, RunKind::Deploy) => Some(Stage::DeployUnfinished),
        (_, RunKind::Other) => Some(Stage::RunFailed),
    }
}

/// A command, and what for.
pub(super) type Suggestion = (&'static str, &'static str);

pub(super) fn suggestions(stand: &Stand) -> Vec<Suggestion> {
    match Stage::of(stand) {
        Stage::FleetBroken => vec![("cargo xtask check", "once hosts/fleet.toml is mended")],
        Stage::WriteCutOff => {
            vec![("cargo xtask secrets rekey", "undo what was cut off, encrypt what needs it")]
        }
        Stage::RunUnderWay => vec![("cargo xtask status --watch", "see the hosts while it goes on")],
        Stage::RotationUnfinished(Rotated::Agent) => {
            vec![("cargo xtask token rotate --agent", "go on with the rotation where it stood")]
        }
        Stage::RotationUnfinished(Rotated::Server) => {
            vec![("cargo xtask token rotate --server", "go on with the rotation where it stood")]
        }
        Stage::DeployUnfinished if was_committed_since(stand) => vec![
            ("cargo xtask deploy --resume", "go on with it, from the snapshot of then"),
            ("cargo xtask deploy --all --dry-run", "or see what is newer"),
        ],
        Stage::DeployUnfinished => vec![
            ("cargo xtask deploy --resume", "go on with it, from the same snapshot"),
            ("cargo xtask doctor", "find out first why it does not work"),
        ],
        Stage::RunFailed => vec![
            ("cargo xtask check", "see what can be seen here of what is wrong"),
            ("cargo xtask doctor", "ask the hosts"),
        ],
        Stage::KeysMissing => vec![
            ("cargo xtask init", "write your key and your hosts' into fleet.toml"),
            ("cargo xtask rehearse", "or see it all on throwaway machines"),
        ],
        Stage::CheckFinds => vec![("cargo xtask check", "see what is missing, and how to mend it")],
        Stage::LockMissing => vec![
            ("nix flake lock", "pin what the hosts are built from, then commit"),
            ("cargo xtask check", "see that the rest is well"),
        ],
        Stage::TokensMissing => vec![
            ("cargo xtask rehearse", "bootstrap the cluster on throwaway machines"),
            ("cargo xtask bootstrap-cluster", "then for real; run again, it does nothing"),
        ],
        Stage::SecretsUncommitted => vec![
            ("git add secrets && git commit", "keep the secrets: they are encrypted"),
            ("cargo xtask status", "see how the cluster is"),
        ],
        Stage::Changed => vec![
            ("cargo xtask check", "see that what changed is right"),
            ("cargo xtask deploy --all --dry-run", "see what a deploy would do"),
        ],
        Stage::Well => vec![("cargo xtask status", "see how the cluster is")],
    }
}
