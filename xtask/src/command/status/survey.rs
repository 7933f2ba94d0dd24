//! Asking: every host at once, beside them the secrets of the repository, which take no host.

use std::sync::Arc;
use std::thread;

use fleet::{Fleet, Host, HostName};
use k3s::node::Node;
use remote::ssh::Session;

use super::drift::Drift;
use super::view::Remark;
use crate::ask::Asker;
use crate::cli::Global;
use crate::command::check;
use crate::failure::{Failure, Kind, Result};
use crate::render::Terminal;
use crate::repository::Repository;
use crate::run::{Elevation, Seen, look};

/// One host, and what it said.
#[derive(Debug)]
pub(super) struct Looked<'a> {
    pub(super) host: &'a Host,
    pub(super) seen: Result<Seen>,
    /// Only where it was asked for.
    pub(super) drift: Option<Drift>,
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    /// In the fleet's order.
    pub(super) shown: Vec<Looked<'a>>,
    /// Asked for what it knows of the others, and not shown.
    pub(super) consulted: Option<Looked<'a>>,
    pub(super) first: Option<HostName>,
    /// Secrets that are not as secrets.nix says; where no host was named.
    pub(super) secrets: Vec<Remark>,
}

impl Survey<'_> {
    /// Whoever was asked.
    pub(super) fn all(&self) -> impl Iterator<Item = &Looked<'_>> {
        self.shown.iter().chain(&self.consulted)
    }

    /// What the first server said, if it could be asked.
    pub(super) fn first(&self) -> Option<&Seen> {
        self.all().find(|looked| Some(&looked.host.name) == self.first.as_ref())?.seen.as_ref().ok()
    }

    /// The cluster's nodes by the first server, else by any other that knows them; or what an API server says instead, and whose.
    pub(super) fn node_list(&self) -> Option<(&HostName, &std::result::Result<Vec<Node>, String>)> {
        let told =
            |looked: &Looked<'_>| looked.seen.as_ref().ok()?.nodes.as_ref().map(std::result::Result::is_ok);
        let tellers = self.all().filter_map(|looked| Some((looked, told(looked)?)));
        let is_first = |looked: &Looked<'_>| Some(&looked.host.name) == self.first.as_ref();
        // Of several that are worth the same the one that comes first, as everywhere.
        let (best, _) = tellers.min_by_key(|(looked, knows)| (!knows, !is_first(looked)))?;
        Some((&best.host.name, best.seen.as_ref().ok()?.nodes.as_ref()?))
    }

    pub(super) fn nodes(&self) -> Option<&[Node]> {
        self.node_list()?.1.as_deref().ok()
    }

    /// The first server's name, and the digest of the token that it hands out to agents.
    pub(super) fn server_token(&self) -> Option<(&HostName, Option<&String>)> {
        Some((self.first.as_ref()?, self.first()?.token.as_ref()))
    }

    /// Why not everything could be told.
    pub(super) fn trouble(&self) -> Option<Kind> {
        let unknown = |looked: &Looked<'_>| match &looked.drift {
            Some(Drift::Unknown(failure)) => Some(failure.kind),
            _ => None,
        };
        // Whatever kept us from asking it, that is what somebody who waits for the exit code has to know.
        let not_asked = self.all().any(|looked| looked.seen.is_err()).then_some(Kind::Unreachable);
        not_asked.or_else(|| self.shown.iter().find_map(unknown))
    }
}

/// The hosts, and the first server, which knows the nodes and the agents' token.
pub(super) fn asked<'a>(fleet: &'a Fleet, hosts: &[&'a Host]) -> Vec<&'a Host> {
    let needs_first = hosts.iter().any(|host| host.role.is_some());
    let first = fleet.first_server().filter(|first| needs_first && !hosts.contains(first));
    hosts.iter().copied().chain(first).collect()
}

/// Who asks, once or again and again over the same logins.
pub(super) struct Surveyor<'a> {
    repository: &'a Repository,
    fleet: &'a Fleet,
    hosts: Vec<&'a Host>,
    with_secrets: bool,
    terminal: Terminal,
    asker: Asker,
}

impl<'a> Surveyor<'a> {
    pub(super) fn new(
        global: &Global,
        repository: &'a Repository,
        fleet: &'a Fleet,
        hosts: Vec<&'a Host>,
        with_secrets: bool,
    ) -> Result<Self> {
        let terminal = Terminal::new();
        let asker = Asker::new(global, fleet, &terminal)?;
        Ok(Self { repository, fleet, hosts, with_secrets, terminal, asker })
    }

    pub(super) fn elevation(&self) -> Arc<Elevation> {
        self.asker.elevation()
    }

    /// The first time, with something that moves while nothing is to be seen yet.
    pub(super) fn first_survey(&self) -> Result<Survey<'a>> {
        let count = asked(self.fleet, &self.hosts).len();
        let _showing = self.terminal.show_spinner(&format!("asking {count} hosts"));
        self.survey()
    }

    /// Asks all of them.
    pub(super) fn survey(&self) -> Result<Survey<'a>> {
        let asked = asked(self.fleet, &self.hosts);
        let first = self.fleet.first_server().map(|host| host.name.clone());
        // Anew each time, so that a digest is of no use to whoever has seen one.
        let salt = agenix::random_hex(32)?;
        let (seen, secrets) = thread::scope(|scope| {
            let secrets = scope.spawn(|| if self.with_secrets { self.secrets() } else { Vec::new() });
            let ask = |host: &Host, session: &Session| look(host, session, &salt);
            let seen = self.asker.each(&asked, ask);
            (seen, secrets.join().expect("looking at secrets does not panic"))
        });
        if remote::interrupted() {
            return Err(Failure::new(Kind::Interrupted, "interrupted while the hosts were asked"));
        }
        let looked = asked.into_iter().zip(seen).map(|(host, seen)| Looked { host, seen, drift: None });
        let (shown, mut consulted): (Vec<_>, Vec<_>) =
            looked.partition(|looked| self.hosts.contains(&looked.host));
        Ok(Survey { shown, consulted: consulted.pop(), first, secrets })
    }

    /// What `check` finds of them. What cannot be found out is a finding too, and stops nothing.
    fn secrets(&self) -> Vec<Remark> {
        match check::wrong_with_secrets(self.repository, self.fleet) {
            Ok(wrong) => {
                wrong.into_iter().map(|(subject, text, hint)| Remark::new(&subject, text, hint)).collect()
            }
            Err(failure) => vec![Remark::new(&"secrets.nix", failure.message, failure.hint)],
        }
    }
}
