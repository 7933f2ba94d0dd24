//! Becoming root on hosts whose login is not root's: by sudo, and where it asks for a password, with one that a person is
//! asked for once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agenix::Asker;
use agenix::secrecy::SecretString;
use fleet::{Host, HostName};
use remote::Sudo;
use remote::ssh::Session;

use crate::failure::{Failure, Kind, Result};

/// How often a mistyped password may be typed again, as with sudo itself.
const ATTEMPTS: u32 = 3;
const UNPOISONED: &str = "nothing panics while it holds the password";

/// What this run knows about it.
pub(crate) struct Elevation {
    /// `--sudo`
    allowed: bool,
    asker: Arc<dyn Asker>,
    /// Held while somebody is asked: the others wait for the answer.
    answer: Mutex<Answer>,
    hosts: Mutex<HashMap<HostName, Sudo>>,
}

#[derive(Default)]
enum Answer {
    #[default]
    NotAsked,
    Password(Sudo),
    /// Mistyped too often: nobody is asked for each further host.
    GivenUp,
}

impl Elevation {
    pub(crate) fn new(allowed: bool, asker: Arc<dyn Asker>) -> Self {
        Self { allowed, asker, answer: Mutex::default(), hosts: Mutex::default() }
    }

    /// The session, on which every command is root's.
    pub(crate) fn root(&self, host: &Host, session: Session) -> Result<Session> {
        if session.is_local() || host.ssh_user == "root" {
            return Ok(session);
        }
        if !self.allowed {
            let message = format!("{} is logged into as {}, who is not root there", host.name, host.ssh_user);
            return Err(Failure::new(Kind::Usage, message).hint("--sudo becomes root by sudo".to_owned()));
        }
        let known = self.hosts.lock().expect(UNPOISONED).get(&host.name).cloned();
        let sudo = known.map_or_else(|| self.find_way(host, &session), Ok)?;
        self.hosts.lock().expect(UNPOISONED).insert(host.name.clone(), sudo.clone());
        Ok(session.with_sudo(sudo))
    }

    /// Without a password where the host asks for none.
    fn find_way(&self, host: &Host, session: &Session) -> Result<Sudo> {
        match session.run(["sudo", "--non-interactive", "true"]) {
            Ok(_) => Ok(Sudo::Free),
            Err(error) if error.code() == Some(1) => self.with_password(host, session),
            Err(error) => Err(Failure::from(error)
                .during(&format!("failed to become root on {}", host.name))
                .hint("is sudo there, and may the login use it?".to_owned())),
        }
    }

    fn with_password(&self, host: &Host, session: &Session) -> Result<Sudo> {
        let mut answer = self.answer.lock().expect(UNPOISONED);
        let mut said = Vec::new();
        match &*answer {
            Answer::Password(sudo) => {
                let sudo = sudo.clone();
                // Others need not wait while this host is asked.
                drop(answer);
                if takes(session, &sudo, &mut said)? {
                    return Ok(sudo);
                }
            }
            Answer::GivenUp => {}
            Answer::NotAsked => {
                for _ in 0..ATTEMPTS {
                    let sudo = Sudo::Password(Arc::new(self.ask(host)?));
                    if takes(session, &sudo, &mut said)? {
                        *answer = Answer::Password(sudo.clone());
                        return Ok(sudo);
                    }
                }
                *answer = Answer::GivenUp;
            }
        }
        let user = &host.ssh_user;
        let message = format!("sudo on {} does not take the password of {user}", host.name);
        let hint = format!("one password is for all hosts of a run; is {user} in the group wheel there?");
        Err(Failure::new(Kind::Unreachable, message).tail(&said).hint(hint))
    }

    fn ask(&self, host: &Host) -> Result<SecretString> {
        if !remote::question::possible() {
            let message = format!("sudo on {} asks for a password, and nobody can be asked here", host.name);
            return Err(Failure::new(Kind::Usage, message)
                .hint("run it in a terminal, or let wheel use sudo without a password there: security.sudo.wheelNeedsPassword = false".to_owned()));
        }
        let question = format!("sudo password of {} on {}", host.ssh_user, host.name);
        self.asker.secret(&question).ok_or_else(|| {
            Failure::new(Kind::Interrupted, format!("interrupted before the password of {}", host.ssh_user))
        })
    }
}

/// `said` is what sudo says to a wrong one.
fn takes(session: &Session, sudo: &Sudo, said: &mut Vec<String>) -> Result<bool> {
    match session.try_sudo(sudo) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Some(1) => {
            *said = error.tail().to_vec();
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
