//! Reaching a host: at its first address that answers with the pinned key, or without ssh where it is this machine.

use std::sync::Arc;

use fleet::{Host, HostName, PublicKey};
use pipeline::{Outcome, Progress};
use remote::ssh::{self, Generation, Session};

use super::{Run, done, fitness, skipped};
use crate::failure::{Failure, Kind, Result};
use crate::playbook::Needed;

impl Run<'_> {
    pub(super) fn connect(
        &self,
        name: &HostName,
        lock: bool,
        needed: Needed,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let host = self.host(name);
        let opened = open(host, &self.generation).and_then(|session| self.elevation.root(host, session));
        let session = match opened {
            Err(failure) if needed == Needed::OneOfSeveral && failure.kind == Kind::Unreachable => {
                self.state().silent.insert(name.clone(), failure.message.clone());
                return skipped(format!("{}; another server is asked", failure.message));
            }
            opened => opened?,
        };
        if lock {
            // Both at once: over a new connection sshd's answer to the first is kept back, by Nagle's algorithm, until another
            // request acknowledges what came before it, or 40 ms are over.
            std::thread::scope(|scope| {
                let fit = scope.spawn(|| fitness::require_fit(name, &session));
                self.lock(name, &session, progress)?;
                fit.join().expect("a look does not panic")
            })?;
        }
        let detail = session.destination().unwrap_or_else(|| "this machine, without ssh".to_owned());
        self.state().sessions.insert(name.clone(), Arc::new(session));
        done(detail)
    }

    /// A session that shares nothing with those before it.
    pub(super) fn open_fresh(&self, name: &HostName) -> Result<Session> {
        let host = self.host(name);
        self.elevation.root(host, open(host, &self.ssh.generation()?)?)
    }

    /// The session that was opened after the host's activation had ended, which the gate will take; else a new one.
    pub(super) fn since_activation(&self, name: &HostName) -> Result<Arc<Session>> {
        let kept = self.state().fresh.get(name).cloned();
        kept.map_or_else(|| self.open_fresh(name).map(Arc::new), Ok)
    }
}

/// A session with a host, without ssh where it is this machine.
pub(crate) fn open(host: &Host, generation: &Generation) -> Result<Session> {
    if is_this_machine(host) {
        if !remote::is_root() {
            let message = format!("{} is this machine, and changing it needs root", host.name);
            return Err(Failure::configuration(message).hint("run it as root".to_owned()));
        }
        return Ok(Session::local(host.name.as_str()));
    }
    remote::require(remote::Tool::SSH)?;
    let Some(pinned) = ssh_host(host) else {
        let message = format!("hosts.{} has no ssh_host_key in hosts/fleet.toml", host.name);
        return Err(Failure::configuration(message).hint("cargo xtask init".to_owned()));
    };
    Ok(generation.connect(&pinned)?)
}

/// The host as ssh needs it; nothing while its key is not pinned.
pub(crate) fn ssh_host(host: &Host) -> Option<ssh::Host> {
    let key = host.ssh_host_key.as_ref()?;
    Some(ssh::Host {
        name: host.name.to_string(),
        addresses: host.addresses.iter().map(|address| address.as_str().to_owned()).collect(),
        key: key.bare(),
        user: host.ssh_user.clone(),
    })
}

/// By its host key and not by its name: any laptop may be called ocean.
pub(crate) fn is_this_machine(host: &Host) -> bool {
    let keys = ["/etc/ssh/ssh_host_ed25519_key.pub", "/etc/ssh/ssh_host_rsa_key.pub"];
    let own = keys.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let own = own.filter_map(|text| PublicKey::new(&text).ok());
    host.ssh_host_key.as_ref().is_some_and(|pinned| own.into_iter().any(|key| key == *pinned))
}
