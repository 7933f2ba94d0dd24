//! Taking a host back to the system that it ran before, unless the new one passes its gate.
//!
//! A timer on the host itself does it, armed before the activation: so it happens as well when the link is lost, or when
//! this process is killed. It activates the very system that was recorded, not "the previous generation", which may be one
//! that failed. Where somebody is there to see that a gate failed, the timer's work is begun at once.
//!
//! Left alone is a host where going back would harm: a server whose K3s starts for the first time, or in another version,
//! since a datastore does not go back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agenix::secrecy::SecretSlice;
use fleet::{HostName, Role};
use pipeline::Progress;
use remote::RunError;
use remote::nixos_rebuild::UNIT as ACTIVATION;
use remote::ssh::Session;

use super::build::short;
use super::gate::Expected;
use super::standing::{is_active, standing};
use super::{Built, Run, host};
use crate::failure::{Failure, Kind, Result};

pub(super) const TIMER: &str = "xtask-rollback.timer";
pub(super) const SERVICE: &str = "xtask-rollback.service";
/// What the timer adds to the times of activation and gate: for logins, and for a clock of another pace.
const SLACK: Duration = Duration::from_secs(10);
/// How long a host that goes back may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a host that went back may take to be well again.
const WELL_AGAIN: Duration = Duration::from_secs(60);
/// Where its script is; gone with a reboot, as the timer is.
const SCRIPT: &str = "/run/xtask/rollback";
const POLL: Duration = Duration::from_millis(500);

/// The activation is not run into before its time is over; then it is ended, and not waited for any longer than it takes.
/// `$3` is that moment, in the host's own seconds since its boot.
const GO_BACK: &str = "\
while systemctl is-active --quiet \"$2\" && [ \"$(cut -d. -f1 /proc/uptime)\" -lt \"$3\" ]; do sleep 0.2; done
timeout 20 systemctl stop \"$2\" 2> /dev/null || systemctl kill --signal=KILL \"$2\" 2> /dev/null
export NIXOS_NO_CHECK=1
exec \"$1/bin/switch-to-configuration\" test";

/// The script becomes a file, since in a unit's command line systemd has a use of its own for `$`. It runs with the PATH of
/// the session, and that of the old system first: the new one may have broken its own.
const ARM: &str = "\
umask 077
mkdir -p \"${1%/*}\" && cat > \"$1\" || exit
old=$2 until=$(($(cut -d. -f1 /proc/uptime) + $3))
shift 3
exec systemd-run --quiet --collect --setenv=PATH=\"$old/sw/bin:$PATH\" \"$@\" \"$until\"";

/// What is true once the timer is stopped: the state of its service, and what runs.
const DISARM: &str =
    "systemctl stop \"$1\" && systemctl show --property ActiveState --value \"$2\" && readlink -m \"$3\"";

/// A timer that is armed.
#[derive(Clone)]
pub(super) struct Armed {
    /// The system that it goes back to.
    old: String,
    /// When it does.
    at: Instant,
}

impl Run<'_> {
    /// From now on the host goes back to `old` by itself. Says when, or why it will not.
    pub(super) fn arm(
        &self,
        name: &HostName,
        session: &Session,
        old: Option<&str>,
        built: &Built,
    ) -> Result<String> {
        let old = match (old, self.harm_of_going_back(name, session, old, built)?) {
            (None, _) => return Ok(self.stays(name, "nothing ran there that it could go back to")),
            (_, Some(reason)) => return Ok(self.stays(name, reason)),
            (Some(old), None) => old,
        };
        let after = self.activation_timeout + self.patience + SLACK;
        let seconds = format!("--on-active={}", after.as_secs());
        let patience = self.activation_timeout.as_secs().to_string();
        let start = ["sh", "-c", ARM, "sh", SCRIPT, old, &patience];
        let timer = [
            "--unit=xtask-rollback",
            "--description=Goes back to the system that ran before, unless a deploy is confirmed",
            "--timer-property=AccuracySec=1s",
            &seconds,
            "--",
            "sh",
            SCRIPT,
            old,
            ACTIVATION,
        ];
        let script = SecretSlice::from(GO_BACK.as_bytes().to_vec());
        session.run_with_input(start.iter().chain(&timer), script)?;
        let armed = Armed { old: old.to_owned(), at: Instant::now() + after };
        self.state().armed.insert(name.clone(), armed);
        Ok(format!("it goes back to {} in {} s unless it passes its gate", short(old), after.as_secs()))
    }

    fn stays(&self, name: &HostName, reason: &str) -> String {
        self.state().stays.insert(name.clone(), reason.to_owned());
        format!("it will not go back by itself: {reason}")
    }

    fn harm_of_going_back(
        &self,
        name: &HostName,
        session: &Session,
        old: Option<&str>,
        built: &Built,
    ) -> Result<Option<&'static str>> {
        if self.host(name).role != Some(Role::Server) {
            return Ok(None);
        }
        match session.run(["test", "-e", k3s::SERVER_TOKEN]) {
            Ok(_) => {}
            Err(error) if error.code() == Some(1) => {
                return Ok(Some("its K3s starts for the first time, and what it makes then stays"));
            }
            Err(error) => return Err(error.into()),
        }
        let Some(old) = old else { return Ok(None) };
        let (before, after) = (k3s_of(session, old)?, k3s_of(session, &built.system)?);
        let changes = before.is_some() && before != after;
        Ok(changes.then_some("it changes the version of K3s, whose datastore does not go back"))
    }

    /// The host passed its gate: it stays. Does nothing where no timer is armed.
    pub(super) fn disarm(&self, name: &HostName, session: &Session) -> Result<()> {
        self.state().stays.remove(name);
        self.state().unproven.remove(name);
        let Some(armed) = self.state().armed.get(name).cloned() else { return Ok(()) };
        let said = session.run(["sh", "-c", DISARM, "sh", TIMER, SERVICE, host::RUNNING])?.text();
        let wanted = self.state().built.get(name).map(|built| built.system.clone());
        let stays = said
            .split_once('\n')
            .is_some_and(|(service, running)| !is_active(service) && Some(running) == wanted.as_deref());
        if !stays {
            let message = format!("{name} took longer than it had, and goes back to {}", short(&armed.old));
            return Err(Failure::new(Kind::Activation, message)
                .hint("--activation-timeout and --gate-timeout give it more time".to_owned()));
        }
        self.state().armed.remove(name);
        Ok(())
    }

    /// What failed, with what became of the host: it is back where it was, or the reason why it is not.
    pub(super) fn undone(&self, name: &HostName, failure: Failure, progress: &Progress<Failure>) -> Failure {
        let unproven = self.state().unproven.remove(name);
        if let Some(old) = unproven {
            let failure = self.put_boot_default_back(name, &old, failure);
            return failure.also(format!("{name} runs the new system, which did not pass: reboot it"));
        }
        let stays = self.state().stays.remove(name);
        let Some(armed) = self.state().armed.remove(name) else {
            return match stays {
                Some(reason) => failure.also(format!(
                    "not rolled back: {reason}. {name} may run the new system; its boot default is the old one"
                )),
                None => failure,
            };
        };
        progress.line(&failure.message);
        progress.line(&format!("going back to {}", short(&armed.old)));
        // Somebody who pressed ctrl-C wants it undone, not left half-way. A second one ends us, and the timer is there.
        match remote::shielded(|| self.go_back(name, &armed, &|line| progress.line(line))) {
            Ok(()) => {
                let note = format!("rolled back: {name} runs {} again", short(&armed.old));
                let now = remote::shielded(|| self.after_going_back(name, &armed.old, progress));
                failure.also(format!("{note}{now}"))
            }
            Err(problem) => {
                let kind = if problem.kind == Kind::Unknown { Kind::Unknown } else { failure.kind };
                let tail = [&failure.tail[..], &problem.tail].concat();
                let note = format!("not rolled back: {problem}");
                failure.of_kind(kind).tail(&tail).also(note).hint(problem.hint)
            }
        }
    }

    /// Is it well again? In words that follow where it is.
    fn after_going_back(&self, name: &HostName, old: &str, progress: &Progress<Failure>) -> String {
        let expected = Expected {
            system: Some(old.to_owned()),
            failed_before: self.state().failed_before.get(name).cloned(),
            since: None,
        };
        let start = Instant::now();
        loop {
            let look =
                self.open_fresh(name).and_then(|session| self.look_at(name, &Arc::new(session), &expected));
            let trouble = match look {
                Ok(look) => match look.findings.first() {
                    None => return format!(", and is well: {}", look.summary),
                    Some(finding) => format!(", and is not well: {}", finding.what),
                },
                Err(failure) => format!(", and could not be looked at: {failure}"),
            };
            if start.elapsed() > WELL_AGAIN {
                return trouble;
            }
            progress.line(&format!("{name} is back{trouble}"));
            std::thread::sleep(POLL);
        }
    }

    fn go_back(&self, name: &HostName, armed: &Armed, tell: &dyn Fn(&str)) -> Result<()> {
        let (mut begun, mut away) = (false, false);
        loop {
            let late = Instant::now() > armed.at + PATIENCE;
            // A host that shows another key now is still reached over the login that saw the pinned one.
            let session = self.open_fresh(name).map(Arc::new);
            let session = session
                .or_else(|failure| if failure.is_final { Ok(self.session(name)) } else { Err(failure) });
            let stepped = session.and_then(|session| {
                let is_back = step_back(&session, armed, &mut begun)?;
                Ok((session, is_back))
            });
            match stepped.map(|(session, is_back)| is_back.then_some(session)) {
                Ok(Some(session)) => {
                    // It is back where it was: that nobody can deploy it for a minute is no reason to fail.
                    let _ = self.lock_again(name, &session);
                    return Ok(());
                }
                Ok(None) if !late => {}
                Err(failure) if failure.kind == Kind::Unreachable && !late => {
                    if !away {
                        let left = armed.at.saturating_duration_since(Instant::now()).as_secs();
                        tell(&format!("{name} does not answer; its own timer takes it back in {left} s"));
                    }
                    away = true;
                }
                Ok(None) => {
                    let message = format!("{name} did not go back in time");
                    return Err(Failure::new(Kind::Activation, message).hint(look(name)));
                }
                Err(failure) if failure.kind == Kind::Unreachable => {
                    let attempt = format!("it is not known whether {name} went back");
                    return Err(failure.of_kind(Kind::Unknown).during(&attempt).hint(look(name)));
                }
                Err(failure) => return Err(failure.hint(look(name))),
            }
            std::thread::sleep(POLL);
        }
    }

    /// A deploy that was killed left its timer behind: what it wanted is not waited for, the host goes back first.
    pub(super) fn finish_rollback(&self, name: &HostName, session: &Session) -> Result<String> {
        let what = session.run(["systemctl", "show", "--property", "ExecStart", "--value", SERVICE])?.text();
        let old = what.split_whitespace().find(|word| is_system(word)).map(str::to_owned);
        let Some(old) = old else {
            let message = format!("{TIMER} on {name} is none of ours");
            return Err(
                Failure::new(Kind::Activation, message).hint(format!("on {name}: systemctl cat {SERVICE}"))
            );
        };
        let armed = Armed { old, at: Instant::now() };
        remote::shielded(|| self.go_back(name, &armed, &|_| {}))?;
        Ok(format!("an earlier deploy was cut off: went back to {} first", short(&armed.old)))
    }
}

/// Is it back? Begins its way if nobody has.
fn step_back(session: &Session, armed: &Armed, begun: &mut bool) -> Result<bool> {
    let now = standing(session, None)?;
    if now.is_going_back {
        *begun = true;
        return Ok(false);
    }
    let is_back = now.systems.running.as_deref() == Some(armed.old.as_str());
    if *begun && is_back {
        // Whoever began it, the timer has no more to do.
        let _ = session.run(["systemctl", "stop", TIMER]);
        return Ok(true);
    }
    if *begun {
        let said =
            session.run(["journalctl", "--unit", SERVICE, "--lines", "10", "--no-pager", "--output", "cat"]);
        let said: Vec<String> =
            said.map(|said| said.text().lines().map(str::to_owned).collect()).unwrap_or_default();
        return Err(Failure::new(Kind::Activation, "going back failed").tail(&said));
    }
    match session.run(["systemctl", "start", "--no-block", SERVICE]) {
        Ok(_) => *begun = true,
        // The timer has elapsed, and its unit is gone with its work.
        Err(RunError::Failed { .. }) if is_back => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    Ok(false)
}

fn is_system(word: &str) -> bool {
    word.starts_with("/nix/store/") && word[11..].split('/').count() == 1 && word.contains("-nixos-system-")
}

/// Which K3s a system has: `k3s-1.34.2+k3s1`, without the hash, which changes with any dependency.
fn k3s_of(session: &Session, system: &str) -> Result<Option<String>> {
    let unit = format!("{system}/etc/systemd/system/k3s.service");
    match session.run(["cat", &unit]) {
        Ok(output) => Ok(k3s::Start::parse(&output.text()).and_then(|start| start.package)),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn look(name: &HostName) -> String {
    format!("on {name}: readlink /run/current-system; journalctl -u {SERVICE} -u {ACTIVATION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_told_from_other_paths() {
        assert!(is_system("/nix/store/abc-nixos-system-ocean-25.05"));
        assert!(!is_system("/nix/store/abc-nixos-system-ocean-25.05/bin/switch-to-configuration"));
        assert!(!is_system("/nix/store/abc-bash-5.2"));
    }
}
