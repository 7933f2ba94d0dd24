//! Activation: test first, then boot. No exit code is believed: after each activation the host is looked at, over a fresh
//! connection.
//!
//! Before it the host's way back is armed; see `rollback`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use fleet::HostName;
use pipeline::{Outcome, Progress};
use remote::RunError;
use remote::nixos_rebuild::UNIT;
use remote::ssh::Session;

use super::build::short;
use super::difference::Difference;
use super::health::health;
use super::host::Systems;
use super::standing::{self, Standing};
use super::switch::{BOOT_TIMEOUT, switch};
use super::{Built, Run, changed, done, host, skipped};
use crate::failure::{Failure, Kind, Result};
use crate::playbook::Target;

impl Run<'_> {
    pub(super) fn activate(
        &self,
        name: &HostName,
        target: Target,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let built = self.built(name);
        let session = self.session(name);
        if target != Target::DryRun {
            // The link may have been lost since, and the lock with it.
            self.lock(name, &session, progress)?;
        }
        let (mut now, _) = standing::idle(&session, None, self.activation_timeout)?;
        if now.is_armed || now.is_going_back {
            progress.line(&self.finish_rollback(name, &session)?);
            now = standing::standing(&session, None)?;
        }
        match target {
            Target::Running => self.run_system(name, &built, now, &session, progress),
            Target::Boot => self.boot_system(name, &built, now.systems, &session, progress),
            Target::DryRun => self.dry_run(name, &built, &session, progress),
        }
    }

    fn run_system(
        &self,
        name: &HostName,
        built: &Built,
        Standing { systems: before, clock: since, .. }: Standing,
        session: &Arc<Session>,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let wanted = Some(built.system.as_str());
        let again = before.running.as_deref() == wanted;
        // Only the boot default tells that it passed its gate once: a system that runs may have failed it.
        let passed = again && before.boot.as_deref() == wanted;
        if self.runs_well(name, &before, &built.system, session)? {
            // It was opened since the host last changed.
            self.state().fresh.insert(name.clone(), Arc::clone(session));
            return skipped(format!("runs {} already", short(&built.system)));
        }
        self.refuse_edited_token(name, session)?;
        let health = health(session, self.secrets_of(name))?;
        let token = self.token_on(name, session, &health);
        // Of one that failed its gate before, no failed unit is an old one.
        let failed = if again && !passed { Vec::new() } else { health.failed };
        self.state().failed_before.insert(name.clone(), failed);
        // What runs already may have failed its gate before: then only the boot default is known to be good.
        let good = if again { &before.boot } else { &before.running };
        progress.line(&self.arm(name, session, good.as_deref(), built)?);
        self.state().activated.insert(name.clone(), since.clone());
        let start = Instant::now();
        let (result, hopeless) = self.watching_k3s(session, &since, progress, || {
            self.switch(session, Target::Running, built, &|line| progress.line(line))
        });
        if let Err(error) = &result {
            progress.line(&format!("{error}; looking where {name} stands"));
        }
        let judged = self.judge(name, &built.system, &since, result);
        if let Some(told) = hopeless {
            // As its gate would have said it a moment later: which of the two sees it first is chance.
            let after = start.elapsed().as_secs();
            let message = format!("{name} is not well, after {after} s: {}", told.cause);
            let failure = Failure::new(Kind::Verification, message).tail(&[told.evidence]);
            return Err(failure.hint(told.remedy.to_owned()));
        }
        judged?;
        self.restart_if_token_changed(name, again, &token)?;
        changed(format!("runs {}", short(&built.system)))
    }

    /// It is what is wanted, has passed its gate once, and has nothing to mend.
    fn runs_well(
        &self,
        name: &HostName,
        now: &host::Systems,
        wanted: &str,
        session: &Arc<Session>,
    ) -> Result<bool> {
        let is = |system: &Option<String>| system.as_deref() == Some(wanted);
        Ok(is(&now.running) && is(&now.boot) && self.is_intact(name, session)?)
    }

    /// Will the steps to come restart anything on this host?
    pub(super) fn will_touch(&self, name: &HostName, reboot: bool) -> Result<bool> {
        let wanted = self.built(name).system;
        let session = self.session(name);
        if reboot && host::booted(&session)?.as_deref() != Some(wanted.as_str()) {
            return Ok(true);
        }
        let now = host::systems(&session)?;
        Ok(!self.runs_well(name, &now, &wanted, &session)?)
    }

    /// What became of an activation that ended like this, and that was begun after `since`.
    fn judge(
        &self,
        name: &HostName,
        system: &str,
        since: &str,
        result: std::result::Result<(), RunError>,
    ) -> Result<()> {
        let attempt = format!("failed to activate {name}");
        let hint = format!("the boot default was not moved. On {name}: journalctl -u {UNIT}");
        let failed = |failure: Failure| Err(failure.of_kind(Kind::Activation).during(&attempt).hint(hint));
        let settled = self.settled(name, &result, Some(since));
        let is_unknown = settled.as_ref().is_err_and(|failure| failure.kind == Kind::Unknown);
        let result = match result {
            Err(error @ RunError::TimedOut { .. }) if !is_unknown => return failed(error.into()),
            result => result,
        };
        let now = settled?;
        let running = now.systems.running.clone();
        let reached = running.as_deref() == Some(system);
        if reached && self.was_cut_off(name, system, since, now)? {
            // Its link to the new system moves long before the new units are started.
            return failed(Failure::new(Kind::Activation, "somebody or something ended it half-way"));
        }
        match result {
            Ok(_) if reached => Ok(()),
            // 4: some unit failed, ours or not; 255: the link was lost while it went on. The gate tells.
            Err(error) if reached && matches!(error.code(), Some(4 | 255)) => Ok(()),
            Ok(_) => {
                let now = running.as_deref().map_or("nothing".to_owned(), short);
                let message = format!("switch-to-configuration said it was done, and the host runs {now}");
                failed(Failure::new(Kind::Activation, message))
            }
            Err(error) => failed(error.into()),
        }
    }

    fn boot_system(
        &self,
        name: &HostName,
        built: &Built,
        before: Systems,
        session: &Session,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let wanted = Some(built.system.as_str());
        if before.boot.as_deref() == wanted {
            return skipped(format!("boots {} already", short(&built.system)));
        }
        let result = self.switch(session, Target::Boot, built, &|line| progress.line(line));
        let after = match host::systems(session) {
            Ok(systems) if result.is_ok() => systems,
            _ => self.settled(name, &result, None)?.systems,
        };
        if result.is_ok() && after.boot.as_deref() == wanted {
            let old = before.boot.filter(|_| before.running.as_deref() != wanted);
            self.state().unproven.extend(old.map(|old| (name.clone(), old)));
            return changed(format!("boots {}", short(&built.system)));
        }
        let attempt = format!("failed to make it the boot default of {name}");
        let failure = match result {
            Err(error) => Failure::from(error).of_kind(Kind::Activation).during(&attempt),
            Ok(_) => Failure::new(Kind::Activation, format!("{attempt}: the profile names another system")),
        };
        // The profile moves first and installs the boot loader then: half of it is not to stay.
        let failure = failure.hint(format!("on {name}: journalctl -u {UNIT}"));
        Err(match before.boot.filter(|old| after.boot.as_deref() != Some(old)) {
            Some(old) => self.put_boot_default_back(name, &old, failure),
            None => failure,
        })
    }

    /// The profile, and what the boot loader made of it. Says what became of both.
    pub(super) fn put_boot_default_back(&self, name: &HostName, old: &str, failure: Failure) -> Failure {
        let install = format!("{old}/bin/switch-to-configuration");
        let put = || -> Result<bool> {
            let session = self.open_fresh(name)?;
            session.run(["nix-env", "-p", host::PROFILE, "--set", old])?;
            Ok(session.run_within(BOOT_TIMEOUT, [install.as_str(), "boot"]).is_ok())
        };
        match remote::shielded(put) {
            Ok(true) => failure.also(format!("the boot default of {name} was put back to {}", short(old))),
            Ok(false) => failure
                .also(format!(
                    "the profile of {name} was put back to {}, its boot loader was not",
                    short(old)
                ))
                .hint(format!("on {name}: {install} boot")),
            Err(problem) => failure
                .also(format!("the boot default of {name} may be the new system: {problem}"))
                .hint(format!("on {name}: nix-env -p {} --set {old} && {install} boot", host::PROFILE)),
        }
    }

    fn dry_run(
        &self,
        name: &HostName,
        built: &Built,
        session: &Session,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let would = RefCell::new(Vec::new());
        let result = self.switch(session, Target::DryRun, built, &|line| {
            progress.line(line);
            if line.starts_with("would ") {
                would.borrow_mut().push(line.to_owned());
            }
        });
        result.map_err(|error| {
            Failure::from(error).of_kind(Kind::Activation).during(&format!("failed to dry-activate {name}"))
        })?;
        let running = host::systems(session)?.running;
        let difference =
            Difference::ask(session, running, built.system.clone())?.with_units(&would.into_inner());
        let summary = difference.summary();
        progress.fact("difference", difference.to_string());
        self.state().differences.insert(name.clone(), difference);
        done(summary)
    }

    fn switch(
        &self,
        session: &Session,
        target: Target,
        built: &Built,
        on_line: &dyn Fn(&str),
    ) -> std::result::Result<(), RunError> {
        switch(session, target, built, self.activation_timeout, on_line)
    }
}
