//! A connection to one host, and what can be run over it.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretSlice;

use super::Folder;
use crate::{Cmd, Output, RunError, Sudo, quote_all};

/// A connection to one host, or to this machine itself.
pub struct Session {
    name: String,
    link: Link,
    sudo: Option<Sudo>,
}

pub(super) enum Link {
    Local,
    Master { user: String, address: String, options: Vec<String>, _folder: Arc<Folder> },
}

/// Whoever runs a command that goes on by itself is not told of our end by ssh, which passes no signal on: so a reader of
/// the beat stands beside it, and ends it when the beat does. The command's exit code is that of all of it.
const FOLLOW: &str = "\
exec 3<&0
{ while read -r -t 60 _; do :; done; kill $$; } <&3 3<&- > /dev/null 2>&1 &
exec \"$@\" < /dev/null 3<&-";
/// Somebody who forgot about it should not find it next month.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(7 * 86400);

const END_NIX: &str = "\
sshd=$(ps -o ppid= -p $(ps -o sid= -p $$))
for session in $(ps -o pid= --ppid $sshd); do pkill -INT -s $session '^nix'; done
:";

impl Session {
    pub(super) fn new(name: String, link: Link) -> Self {
        Self { name, link, sudo: None }
    }

    /// This machine, without ssh.
    pub fn local(name: impl Into<String>) -> Self {
        Self::new(name.into(), Link::Local)
    }

    /// The same session, on which every command is root's.
    #[must_use]
    pub fn with_sudo(mut self, sudo: Sudo) -> Self {
        self.sudo = Some(sudo);
        self
    }

    /// Does sudo there take this password? One attempt, whatever it still remembers.
    ///
    /// # Errors
    /// See [`RunError`]; what sudo says to a wrong password is [`RunError::Failed`] with exit code 1.
    pub fn try_sudo(&self, sudo: &Sudo) -> Result<(), RunError> {
        let probe = ["sudo", "--stdin", "--reset-timestamp", "--prompt=", "true"];
        let alone = self.command_as(None, probe, sudo.answer());
        self.told(alone.run()).map(drop)
    }

    /// Ends what the login's own commands of Nix do there: ssh passes no signal on, and a build goes on without its client.
    /// Found by their sessions, which sshd makes one a command; other logins' are left alone. Nothing where no ssh is.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn end_nix(&self) -> Result<(), RunError> {
        if self.is_local() {
            return Ok(());
        }
        self.told(self.command_as(None, ["sh", "-c", END_NIX], None).run()).map(drop)
    }

    /// How its commands become root's, where the login is not root's.
    pub fn sudo(&self) -> Option<&Sudo> {
        self.sudo.as_ref()
    }

    /// The host's name in fleet.toml.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is it this machine?
    pub fn is_local(&self) -> bool {
        matches!(self.link, Link::Local)
    }

    /// The command that runs `argv` on the host.
    pub fn command<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> Cmd {
        self.command_as(self.sudo.as_ref(), argv, None)
    }

    fn command_as<S: AsRef<str>>(
        &self,
        sudo: Option<&Sudo>,
        argv: impl IntoIterator<Item = S>,
        input: Option<SecretSlice<u8>>,
    ) -> Cmd {
        let argv: Vec<String> = argv.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let label =
            format!("`{}` on {}", argv.iter().take(2).cloned().collect::<Vec<_>>().join(" "), self.name);
        let (argv, input) = match sudo {
            Some(sudo) => (sudo.argv(argv), sudo.stdin(input)),
            None => (argv, input),
        };
        let cmd = match &self.link {
            Link::Local => Cmd::new(&argv[0]).args(&argv[1..]),
            Link::Master { user, address, options, .. } => {
                Cmd::new("ssh").args(options).args(["-l", user, "--", address]).arg(quote_all(&argv))
            }
        };
        let cmd = cmd.label(label);
        match input {
            Some(input) => cmd.stdin(input),
            None => cmd,
        }
    }

    /// Runs `argv` on the host.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run<S: AsRef<str>>(&self, argv: impl IntoIterator<Item = S>) -> Result<Output, RunError> {
        self.told(self.command(argv).run())
    }

    /// Runs `argv` on the host, for at most `timeout`.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_within<S: AsRef<str>>(
        &self,
        timeout: Duration,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Output, RunError> {
        self.told(self.command(argv).timeout(timeout).run())
    }

    /// Runs `argv` on the host with these bytes on its standard input.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_with_input<S: AsRef<str>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        input: SecretSlice<u8>,
    ) -> Result<Output, RunError> {
        self.told(self.command_as(self.sudo.as_ref(), argv, Some(input)).run())
    }

    /// Runs `argv` on the host and keeps what it prints as a secret.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_secret<S: AsRef<str>>(
        &self,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<SecretSlice<u8>, RunError> {
        self.told(self.command(argv).run_secret())
    }

    /// Runs `argv` on the host for as long as it goes on by itself, at most a week, what it says copied to `out`; ends it
    /// there when we are asked to stop, die, or lose the link (then within a minute). Needs bash there. `Ok(Err(_))` when
    /// `out` takes no more.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn follow<S: AsRef<str>>(
        &self,
        argv: impl IntoIterator<Item = S>,
        out: impl Write + Send + 'static,
    ) -> Result<io::Result<()>, RunError> {
        let argv = argv.into_iter().map(|word| word.as_ref().to_owned());
        let argv = ["bash", "-c", FOLLOW, "bash"].map(str::to_owned).into_iter().chain(argv);
        let command = self.command(argv).timeout(FOLLOW_TIMEOUT);
        self.told(command.run_into(out))
    }

    /// 255 is ssh's own exit code: the command may have done anything, or nothing.
    fn told<T>(&self, result: Result<T, RunError>) -> Result<T, RunError> {
        match result {
            Err(error) if !self.is_local() && error.code() == Some(255) => {
                let said = error.tail().last().cloned().unwrap_or_else(|| "ssh gave no reason".to_owned());
                Err(RunError::LinkLost { host: self.name.clone(), said })
            }
            result => result,
        }
    }

    /// `user@address`, as nixos-rebuild wants it; nothing for this machine.
    pub fn destination(&self) -> Option<String> {
        match &self.link {
            Link::Local => None,
            // nix takes user@host apart at colons: an IPv6 address goes in brackets.
            Link::Master { user, address, .. } if address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => {
                Some(format!("{user}@[{address}]"))
            }
            Link::Master { user, address, .. } => Some(format!("{user}@{address}")),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.destination().unwrap_or_else(|| "this machine".to_owned());
        write!(f, "Session({} at {place})", self.name)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Link::Master { user, address, options, .. } = &self.link {
            let exit = Cmd::new("ssh").args(options).args(["-q", "-O", "exit", "-l", user, "--", address]);
            // A master that is gone already is what we want.
            let _ = exit.timeout(Duration::from_secs(2)).run();
        }
    }
}
