//! Changing a token that a cluster uses. What is done already is seen on the servers, so an interrupted rotation is gone on
//! with by the same command.
//!
//! K3s compares logins with what it read at its start, and a server's datastore is encrypted with the servers' token: so
//! the new one is on every server before the datastore changes over, and each server is restarted with it once after that.

use std::time::{Duration, Instant};

use agenix::secrecy::{ExposeSecret, SecretSlice};
use fleet::{HostName, Role};
use k3s::Token;
use k3s::login::{self, Account, Answer};
use pipeline::{Outcome, Progress};
use remote::ssh::Session;

use super::build::short;
use super::secret::{AGENT_SECRET, SERVER_SECRET, log_in};
use super::{Rotation, Run, changed, done, host, skipped};
use crate::access;
use crate::failure::{Failure, Kind, Result};
use crate::playbook::Rotated;
use crate::tokens;

/// Where a single server keeps the agents' token that it made.
const OWN_AGENT_TOKEN: &str = "/var/lib/rancher/k3s-agent-token";
/// systemd gives a unit 90 s to stop and as many to start.
const RESTART_TIMEOUT: Duration = Duration::from_secs(200);

const POLL: Duration = Duration::from_millis(500);

/// Whole or not at all: written beside it, synced, renamed. The token is its standard input.
const REPLACE: &str =
    r#"set -e; umask 077; new=$(mktemp "$1.XXXXXX"); cat > "$new"; sync "$new"; mv -f "$new" "$1""#;

impl Run<'_> {
    /// Until every server has been restarted, what its secret says is not what it uses.
    pub(super) fn is_rotating(&self) -> bool {
        self.rotation.is_some() && !self.state().rotated
    }

    /// An edited secret does not change a token that a cluster uses: with it, no server would start again. Where no key at
    /// hand can read the secret, the gate notices.
    pub(super) fn refuse_edited_token(&self, name: &HostName, session: &Session) -> Result<()> {
        if self.host(name).role != Some(Role::Server) || self.is_rotating() || self.rules.is_none() {
            return Ok(());
        }
        let path = access::token_of(Role::Server);
        let Ok(Some(secret)) = self.tokens().read(&path) else { return Ok(()) };
        let used = match session.run_secret(["cat", k3s::SERVER_TOKEN]) {
            Ok(text) => Token::parse(text.expose_secret()).ok(),
            // It never ran.
            Err(error) if error.code().is_some() => None,
            Err(error) => return Err(error.into()),
        };
        if used.is_none_or(|used| used.agrees(&secret)) {
            return Ok(());
        }
        let message = format!("{path} has another token than {name} uses, and K3s would not start with it");
        let hint = "cargo xtask token rotate --server changes it everywhere; `token pull --yes` takes the server's back";
        Err(Failure::configuration(message).hint(hint.to_owned()))
    }

    /// K3s must not be restarted by the deploy that brings the new token, so its unit has to be the one that runs.
    pub(super) fn same_unit(&self, name: &HostName) -> Result<Outcome> {
        let session = self.session(name);
        host::require_supported(&session)?;
        let unit = "etc/systemd/system/k3s.service";
        let (built, running) =
            (self.built(name).system, host::systems(&session)?.running.unwrap_or_default());
        let same = ["cmp", "--silent", &format!("{built}/{unit}"), &format!("{running}/{unit}")];
        match session.run(same) {
            Ok(_) => skipped(format!("K3s' unit is the same in {}", short(&built))),
            Err(error) if error.code().is_some() => {
                let message = format!(
                    "the repository changes K3s on {name}: it would be restarted with the new token too early"
                );
                Err(Failure::configuration(message).hint(format!("cargo xtask deploy {name}, then rotate")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the new token, unless an earlier run did that already.
    pub(super) fn new_token(
        &self,
        server: &HostName,
        of: Rotated,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let used = self.used_token(server, of)?;
        let outcome = if of == Rotated::Agent && !self.shares_agent_token() {
            self.new_own_agent_token(server, &used)?
        } else {
            self.new_token_in_secret(of, &used, progress)?
        };
        // Only now: a run that was killed before has nothing to go on with, or shows it by what it left.
        progress.fact("rotation", "begun");
        Ok(outcome)
    }

    fn new_token_in_secret(
        &self,
        of: Rotated,
        used: &Token,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let path = access::token_of(if of == Rotated::Server { Role::Server } else { Role::Agent });
        let wanted = self.secret_of(if of == Rotated::Server { Role::Server } else { Role::Agent })?;
        let begun = self.rotation == Some(Rotation::GoesOn)
            || !wanted.agrees(used)
            || self.is_refused_somewhere(of)?;
        if !begun {
            self.tokens().write(&path, &tokens::random()?)?;
        }
        self.put_into_snapshot(path.as_str(), &self.repository.read_secret(&path)?, progress)?;
        if begun {
            return skipped(format!("{path} has a new one already"));
        }
        changed(format!("{path} has a new one"))
    }

    /// One server makes the agents' token by itself: there, and nowhere else.
    fn new_own_agent_token(&self, server: &HostName, used: &Token) -> Result<Outcome> {
        let session = self.session(server);
        let own = self.token_in(&session, OWN_AGENT_TOKEN)?;
        if self.rotation == Some(Rotation::GoesOn)
            || !own.agrees(used)
            || self.is_refused_somewhere(Rotated::Agent)?
        {
            return skipped(format!("{server} has a new one already"));
        }
        let bytes = SecretSlice::from(tokens::random()?.expose().as_bytes().to_vec());
        session.run_with_input(["sh", "-c", REPLACE, "sh", OWN_AGENT_TOKEN], bytes)?;
        changed(format!("{server} has a new one"))
    }

    /// Has the datastore encrypted with the new server token, or told that the agents' changed.
    pub(super) fn rotate(&self, server: &HostName, of: Rotated) -> Result<Outcome> {
        let session = self.session(server);
        let current = self.token_in(&session, k3s::SERVER_TOKEN)?;
        let new = match of {
            Rotated::Server => self.secret_of(Role::Server)?,
            Rotated::Agent => current.clone(),
        };
        if of == Rotated::Server && current.agrees(&new) {
            return skipped("the datastore is encrypted with it already");
        }
        let lines = login::change(&current, &new);
        let said = session.run_with_input(login::change_argv(), lines).map_err(Failure::from);
        let failed = |what: String| {
            Failure::new(Kind::Verification, format!("failed to rotate the token on {server}: {what}"))
                .hint("run it again: what is done already is seen to be done".to_owned())
        };
        match said {
            Ok(output) if output.text() == "200" => {}
            Ok(output) => return Err(failed(format!("the server answers {}", output.text()))),
            Err(failure) if failure.kind == Kind::Unforeseen => {
                return Err(failed(failure.message).tail(&failure.tail));
            }
            Err(failure) => return Err(failure),
        }
        match of {
            Rotated::Server => changed("the datastore is encrypted with it"),
            Rotated::Agent => done("the datastore knows of it; the servers' own token is unchanged"),
        }
    }

    /// Restarts K3s on a server that does not take the new token yet, and starts it where it is down. One that is up, or on its
    /// way, and gives no clear answer is left alone: a second start with another agents' token may be one too many.
    pub(super) fn restart_with_token(&self, name: &HostName, of: Rotated) -> Result<Outcome> {
        let session = self.session(name);
        let answer = self.clear_answer(&session, of)?;
        let unit = host::k3s_unit(&session)?;
        match answer {
            Answer::Accepted => return skipped("it takes the new token already"),
            Answer::Unclear(said) if unit.as_ref().is_some_and(|unit| !unit.is_at_rest()) => {
                return Err(untold(name, &said));
            }
            Answer::Refused | Answer::Unclear(_) => {}
        }
        let unit = unit.map_or_else(|| "k3s.service".to_owned(), |unit| unit.id);
        session.run_within(RESTART_TIMEOUT, ["systemctl", "restart", &unit]).map_err(|error| {
            Failure::from(error)
                .of_kind(Kind::Activation)
                .during(&format!("failed to restart K3s on {name}"))
                .hint(format!("on {name}: journalctl -u {unit}"))
        })?;
        changed(format!("{unit} was restarted"))
    }

    /// A login with the new token, on each server.
    pub(super) fn try_token(&self, name: &HostName, of: Rotated) -> Result<Outcome> {
        let session = self.session(name);
        // From here on a gate may compare again.
        self.state().rotated = true;
        match self.answer(&session, of)? {
            Answer::Accepted => done("it takes the new token"),
            Answer::Refused => Err(Failure::new(Kind::Verification, format!("{name} refuses the new token"))
                .hint("cargo xtask token check".to_owned())),
            Answer::Unclear(said) => Err(untold(name, &said)),
        }
    }

    /// The same, once K3s has started: one that is starting is waited for.
    fn clear_answer(&self, session: &Session, of: Rotated) -> Result<Answer> {
        let start = Instant::now();
        loop {
            let answer = self.answer(session, of)?;
            let may_change = || -> Result<bool> {
                let in_time = start.elapsed() < self.patience && !remote::interrupted();
                Ok(in_time && !host::k3s_unit(session)?.is_none_or(|unit| unit.is_at_rest()))
            };
            if !matches!(answer, Answer::Unclear(_)) || !may_change()? {
                return Ok(answer);
            }
            std::thread::sleep(POLL);
        }
    }

    /// A login on a server with the token of the file that its K3s reads.
    fn answer(&self, session: &Session, of: Rotated) -> Result<Answer> {
        let (account, file) = match of {
            Rotated::Server => (Account::Server, SERVER_SECRET),
            Rotated::Agent if self.shares_agent_token() => (Account::Node, AGENT_SECRET),
            Rotated::Agent => (Account::Node, OWN_AGENT_TOKEN),
        };
        log_in(session, account, None, file)
    }

    /// Is there a server whose K3s was not restarted with the token that its file has? Then a rotation was begun. Where a server
    /// does not say, it is not known, and another new token would be one too many.
    fn is_refused_somewhere(&self, of: Rotated) -> Result<bool> {
        let mut unclear = None;
        for server in self.fleet.with_role(Role::Server) {
            match self.clear_answer(&self.session(&server.name), of)? {
                Answer::Refused => return Ok(true),
                Answer::Unclear(said) => unclear = unclear.or(Some(untold(&server.name, &said))),
                Answer::Accepted => {}
            }
        }
        unclear.map_or(Ok(false), Err)
    }

    /// Several servers read the agents' token from a secret; one makes it by itself.
    fn shares_agent_token(&self) -> bool {
        self.fleet.with_role(Role::Server).len() > 1
    }

    /// The token that the secret of a role has.
    fn secret_of(&self, role: Role) -> Result<Token> {
        let path = access::token_of(role);
        self.tokens().read(&path)?.ok_or_else(|| {
            Failure::configuration(format!("{path} does not exist"))
                .hint("`cargo xtask token pull` or `sync` copies the token that is used".to_owned())
        })
    }

    fn token_in(&self, session: &Session, file: &str) -> Result<Token> {
        let attempt = format!("failed to read {file} on {}", session.name());
        let text =
            session.run_secret(["cat", file]).map_err(|error| Failure::from(error).during(&attempt))?;
        Token::parse(text.expose_secret())
            .map_err(|error| Failure::new(Kind::Verification, format!("{attempt}: {error}")))
    }

    /// What the cluster logs in with now.
    fn used_token(&self, server: &HostName, of: Rotated) -> Result<Token> {
        let file = match of {
            Rotated::Server => k3s::SERVER_TOKEN,
            Rotated::Agent => k3s::AGENT_TOKEN,
        };
        let token = self.token_in(&self.session(server), file)?;
        if of == Rotated::Agent {
            tokens::require_nodes(server.as_str(), &token)?;
        }
        Ok(token)
    }
}

fn untold(name: &HostName, said: &str) -> Failure {
    let message = format!("it cannot be told whether {name} takes the token that it has: {said}");
    Failure::new(Kind::Verification, message).hint(format!(
        "cargo xtask doctor {name}; then run it again: what is done already is seen to be done"
    ))
}
