//! Activation. No exit code of nixos-rebuild is believed: after each call the host is looked at.
//!
//! Today a failed gate leaves the host on the new system with the old boot default. The timer that takes it back is
//! armed before `rebuild` and disarmed after the gate: here is its place.

use std::time::{Duration, Instant};

use fleet::{HostName, Role};
use pipeline::{Outcome, Progress};
use remote::nixos_rebuild::{self, Action, Source};
use remote::ssh::Session;

use super::build::short;
use super::{Run, done, gate, host, skipped};
use crate::failure::{Failure, Kind, Result};
use crate::playbook::Target;

/// The unit in which every nixos-rebuild activates: it outlives a client whose link is lost.
const UNIT: &str = "nixos-rebuild-switch-to-configuration.service";
/// How long an activation that is under way already is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

impl Run<'_> {
    pub(super) fn activate(
        &self,
        name: &HostName,
        target: Target,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let built = self.state().built.get(name).cloned().expect("a plan builds before it activates");
        let session = self.session(name);
        wait_until_idle(&session)?;
        let before = host::systems(&session)?;
        let there = match target {
            Target::Running => before.running.as_deref(),
            Target::Boot => before.boot.as_deref(),
            Target::DryRun => None,
        };
        let intact = target != Target::Running || self.secret_is_intact(name, &session)?;
        if there == Some(built.system.as_str()) && intact {
            let verb = if target == Target::Boot { "boots" } else { "runs" };
            return skipped(format!("{verb} {} already", short(&built.system)));
        }
        if target == Target::Running {
            let failed = host::failed_units(&session)?;
            self.state().failed_before.insert(name.clone(), failed);
        }
        let token = self.token_on(name, &session)?;
        let action = match target {
            Target::Running => Action::Test,
            Target::Boot => Action::Boot,
            Target::DryRun => Action::DryActivate,
        };
        let source = self.source(name, &built)?;
        let result = self.rebuild(name, action, &source, progress);
        self.look(&session, name, target, &built.system, result)?;
        if target == Target::Running {
            self.restart_if_token_changed(name, &session, &token)?;
        }
        done(match target {
            Target::Running => format!("runs {}", short(&built.system)),
            Target::Boot => format!("boots {}", short(&built.system)),
            Target::DryRun => "told above what would happen (-v)".to_owned(),
        })
    }

    /// A path that was built here is activated as such; one that was built elsewhere is named by its flake again.
    fn source(&self, name: &HostName, built: &super::Built) -> Result<Source> {
        let built_here = match self.host(name).build_on {
            fleet::BuildOn::Local => true,
            fleet::BuildOn::Target => self.session(name).is_local(),
            fleet::BuildOn::Host(_) => false,
        };
        if built_here && self.knows_store_path() {
            return Ok(Source::StorePath(built.system.clone()));
        }
        Ok(Source::Flake { reference: built.snapshot.clone(), name: name.to_string() })
    }

    fn knows_store_path(&self) -> bool {
        if let Some(known) = self.state().knows_store_path {
            return known;
        }
        let tail = nixos_rebuild::probe_store_path().run().err().map(|error| error.tail().to_vec());
        let known = tail.is_some_and(|tail| nixos_rebuild::knows_store_path(&tail));
        self.state().knows_store_path = Some(known);
        known
    }

    /// Where the host stands now, whatever nixos-rebuild said.
    fn look(
        &self,
        session: &Session,
        name: &HostName,
        target: Target,
        wanted: &str,
        result: Result<String>,
    ) -> Result<()> {
        let attempt = format!("failed to activate {name}");
        if let Err(failure) = &result
            && failure.kind == Kind::Interrupted
        {
            return Err(failure_of(result, &attempt));
        }
        if target == Target::DryRun {
            return if result.is_ok() { Ok(()) } else { Err(failure_of(result, &attempt)) };
        }
        wait_until_idle(session)?;
        let systems = host::systems(session)?;
        let reached = match target {
            Target::Boot => systems.boot.as_deref() == Some(wanted),
            Target::Running | Target::DryRun => systems.running.as_deref() == Some(wanted),
        };
        match result {
            Ok(_) if reached => Ok(()),
            Ok(_) => {
                let now = systems.running.as_deref().map_or("nothing".to_owned(), short);
                let message = format!("{attempt}: nixos-rebuild said it was done, and the host runs {now}");
                Err(Failure::new(Kind::Activation, message).hint(journal_hint(name)))
            }
            // switch-to-configuration says 4 when some unit failed, ours or not. The gate tells which.
            Err(failure) if reached && failure.message.ends_with("exit code 4") => Ok(()),
            Err(failure) => Err(failure.of_kind(Kind::Activation).during(&attempt).hint(journal_hint(name))),
        }
    }

    /// Activating the same system once more decrypts its secrets once more: worth doing where they are not what they
    /// should be.
    fn secret_is_intact(&self, name: &HostName, session: &Session) -> Result<bool> {
        let finding = match self.host(name).role {
            None => None,
            Some(Role::Server) => gate::secret_finding(session, gate::SERVER_SECRET)?,
            Some(Role::Agent) => match gate::secret_finding(session, gate::AGENT_SECRET)? {
                Some(finding) => Some(finding),
                None => {
                    let server =
                        self.fleet.first_server().expect("a validated fleet with an agent has a server");
                    self.token_finding(name, session, &self.session(&server.name))?
                }
            },
        };
        Ok(finding.is_none())
    }

    /// agenix restarts nothing. So an agent whose token changed under a unit that did not gets restarted, once.
    fn restart_if_token_changed(
        &self,
        name: &HostName,
        session: &Session,
        before: &TokenState,
    ) -> Result<()> {
        let after = self.token_on(name, session)?;
        let (Some(old), Some(new)) = (&before.digest, &after.digest) else { return Ok(()) };
        if old != new && before.started == after.started {
            let unit = host::k3s_unit(session)?.map_or_else(|| "k3s.service".to_owned(), |unit| unit.id);
            session.command(["systemctl", "restart", &unit]).timeout(Duration::from_secs(180)).run()?;
        }
        Ok(())
    }

    fn token_on(&self, name: &HostName, session: &Session) -> Result<TokenState> {
        if self.host(name).role != Some(Role::Agent) {
            return Ok(TokenState::default());
        }
        // Of a token of at least 128 random bits; compared here and kept nowhere.
        let sum = session.run(["sha256sum", gate::AGENT_SECRET]);
        Ok(TokenState {
            digest: sum.ok().map(|output| output.text()),
            started: host::k3s_unit(session)?.and_then(|unit| unit.since),
        })
    }
}

/// An agent's token and its unit's start, to tell whether one changed without the other.
#[derive(Default)]
struct TokenState {
    digest: Option<String>,
    started: Option<u64>,
}

fn failure_of(result: Result<String>, attempt: &str) -> Failure {
    match result {
        Err(failure) => failure.during(attempt),
        Ok(_) => Failure::new(Kind::Activation, attempt),
    }
}

fn journal_hint(name: &HostName) -> String {
    format!("the boot default was not moved. On {name}: journalctl -u {UNIT}")
}

/// Two activations at once can leave a host on one system and its boot default on another.
fn wait_until_idle(session: &Session) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = session.run(["systemctl", "show", "--property", "ActiveState", "--value", UNIT])?.text();
        if !["active", "activating", "deactivating", "reloading"].contains(&state.as_str()) {
            return Ok(());
        }
        if Instant::now() > deadline || remote::interrupted() {
            let message =
                format!("an activation is under way on {} already ({UNIT} is {state})", session.name());
            return Err(Failure::new(Kind::Activation, message)
                .hint("wait for it, or stop the unit there".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
