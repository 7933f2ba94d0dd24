//! Snapshot and build: everything that happens before a host changes.

use std::path::Path;

use fleet::{BuildOn, HostName};
use pipeline::{Outcome, Progress};
use remote::nixos_rebuild::{self, Build, Placement};
use remote::{RunError, Said, nix};

use super::{Built, Origin, Run, done, skipped, tell};
use crate::failure::{Failure, Kind, Result, chain};
use crate::repository::{AGENT_TOKEN, secret};

/// What the agents are built with before the server has made their token. Never activated: the token's step comes
/// between, and every agent is built again after it.
const PLACEHOLDER: &[u8] = b"no token yet: replaced before any agent is touched\n";

impl Run<'_> {
    pub(super) fn snapshot(&self, with_agents: bool, progress: &Progress<Failure>) -> Result<Outcome> {
        if let Some(earlier) = &self.taken_up {
            return self.take_up(earlier, progress);
        }
        let metadata = nix::flake_metadata(self.repository.root(), &self.overrides).run();
        let metadata = metadata.map_err(|error| match error {
            // What nix says of flake.nix and flake.lock: no run can go on before it is mended.
            error @ RunError::Failed { .. } => Failure::from(error).of_kind(Kind::Configuration),
            error => error.into(),
        })?;
        let path = nix::metadata_path(&metadata.stdout).map_err(|error| {
            Failure::new(Kind::Unforeseen, format!("failed to read nix flake metadata: {error}"))
        })?;
        let token = secret(AGENT_TOKEN);
        let placeholder = with_agents && !self.repository.has(&token);
        let snapshot = if placeholder { add_file(&path, token.as_str(), PLACEHOLDER)? } else { path };
        let short = short(&snapshot);
        self.set_snapshot(snapshot, progress);
        done(if placeholder { format!("{short}, without an agent token yet") } else { short })
    }

    /// The same sources as those of the run that is gone on with, whatever was changed since.
    fn take_up(&self, earlier: &str, progress: &Progress<Failure>) -> Result<Outcome> {
        if !Path::new(earlier).exists() {
            let message = format!("the snapshot of that run, {earlier}, was removed from the store since");
            return Err(Failure::configuration(message).hint("deploy anew, without --resume".to_owned()));
        }
        self.set_snapshot(earlier.to_owned(), progress);
        done(format!("{}, that of the run before", short(earlier)))
    }

    fn set_snapshot(&self, path: String, progress: &Progress<Failure>) {
        progress.fact("snapshot", path.clone());
        self.state().snapshot = Some(path);
    }

    pub(super) fn build(
        &self,
        name: &HostName,
        together: &[HostName],
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let snapshot = self.state().snapshot.clone().expect("a plan takes a snapshot before it builds");
        if self
            .state()
            .built
            .get(name)
            .is_some_and(|built| built.origin == Origin::Snapshot(snapshot.clone()))
        {
            return skipped("built already, the token is unchanged");
        }
        let output = match self.built_together(name, &snapshot, together, progress) {
            Some(system) => system,
            None => self.build_alone(name, &snapshot, progress)?,
        };
        let detail = short(&output);
        progress.fact("system", output.clone());
        if self.host(name).build_on != BuildOn::Local {
            self.keep(name, &output)?;
        }
        self.state().built.insert(name.clone(), Built { system: output, origin: Origin::Snapshot(snapshot) });
        done(detail)
    }

    fn build_alone(&self, name: &HostName, snapshot: &str, progress: &Progress<Failure>) -> Result<String> {
        let output = self.build_with(name, snapshot, &|said| tell(progress, said)).map_err(|error| {
            let hint =
                "the hosts of this stage were not changed; `-v` shows all of the build's output".to_owned();
            let mut failure = Failure::from(error);
            failure.tail.retain(|line| !nixos_rebuild::is_epilogue(line));
            let kind = if failure.kind == Kind::Unforeseen { Kind::Build } else { failure.kind };
            failure.hint(hint).of_kind(kind).during(&format!("failed to build {name}"))
        })?;
        // Standard output is one line, the path, when all went well: anything else is not a system.
        if !output.starts_with("/nix/store/") || output.contains(char::is_whitespace) {
            let message = format!("failed to build {name}: nixos-rebuild printed no store path");
            return Err(Failure::new(Kind::Build, message));
        }
        Ok(output)
    }

    pub(super) fn built(&self, name: &HostName) -> Built {
        self.state().built.get(name).cloned().expect("a plan builds before it does anything with a system")
    }

    /// The token is put into the snapshot, not taken from the tree: what else changed there since is not for this run.
    pub(super) fn put_into_snapshot(
        &self,
        file: &str,
        bytes: &[u8],
        progress: &Progress<Failure>,
    ) -> Result<()> {
        let snapshot =
            self.state().snapshot.clone().expect("a plan takes a snapshot before it copies a token");
        if std::fs::read(Path::new(&snapshot).join(file)).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        self.set_snapshot(add_file(&snapshot, file, bytes)?, progress);
        Ok(())
    }

    /// Calls nixos-rebuild for a host, where fleet.toml says; gives what it printed.
    fn build_with(
        &self,
        name: &HostName,
        snapshot: &str,
        on: &dyn Fn(Said<'_>),
    ) -> std::result::Result<String, RunError> {
        let (target, builder) = match &self.host(name).build_on {
            // What is built here is copied in a step of its own.
            BuildOn::Local => (None, None),
            BuildOn::Target => {
                let target = self.session(name).destination();
                (target.clone(), target)
            }
            BuildOn::Host(builder) => (self.session(name).destination(), self.session(builder).destination()),
        };
        // A build leaves a link in the folder it runs in.
        let dir = tempfile::tempdir()
            .map_err(|source| RunError::Start { command: "nixos-rebuild".to_owned(), source })?;
        let build = Build {
            reference: snapshot,
            name: name.as_str(),
            placement: &Placement { target, builder },
            overrides: &self.overrides,
            ssh_options: &self.generation.nix_options(),
            dir: dir.path(),
        };
        let result = build.command().run_measured(on);
        if let Err(RunError::Interrupted { .. } | RunError::TimedOut { .. }) = result {
            self.end_build(name);
        }
        Ok(result?.text())
    }

    /// nixos-rebuild is gone, and what it had another host build goes on there.
    fn end_build(&self, name: &HostName) {
        let builder = match &self.host(name).build_on {
            BuildOn::Target => name,
            BuildOn::Local => return,
            BuildOn::Host(builder) => builder,
        };
        // A host that does not answer any more cannot be told.
        let _ = remote::shielded(|| self.session(builder).end_nix());
    }
}

fn add_file(snapshot: &str, file: &str, bytes: &[u8]) -> Result<String> {
    nix::snapshot_with_file(Path::new(snapshot), Path::new(file), bytes)
        .map_err(|error| Failure::new(Kind::Unforeseen, chain(&error)))
}

/// A store path as a person reads it: `ocean-26.05 (2ii7dim3)`.
pub(super) fn short(path: &str) -> String {
    let name = path.trim_start_matches("/nix/store/");
    match name.split_once('-') {
        Some((hash, name)) if hash.len() > 8 => {
            format!("{} ({})", name.trim_start_matches("nixos-system-"), &hash[..8])
        }
        _ => name.to_owned(),
    }
}
