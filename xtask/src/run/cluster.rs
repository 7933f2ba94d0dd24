//! Asking the cluster: which server, where there are several.

use std::sync::Arc;
use std::time::Duration;

use fleet::{HostName, Role};
use k3s::node::Node;
use remote::ssh::Session;

use super::Run;
use crate::failure::{Failure, Kind, Result};

/// How many hosts are asked at once by a step that asks many.
const AT_ONCE: usize = 8;
/// etcd gives a request up after 7 s; then the API server answers.
const API_TIMEOUT: Duration = Duration::from_secs(20);

impl Run<'_> {
    pub(super) fn has_several_servers(&self) -> bool {
        self.fleet.with_role(Role::Server).len() > 1
    }

    /// Those that the plan reached, the first server in front.
    fn reached_servers(&self) -> Vec<HostName> {
        let servers = self.fleet.with_role(Role::Server).into_iter();
        servers.map(|server| server.name.clone()).filter(|name| self.is_reached(name)).collect()
    }

    pub(super) fn is_reached(&self, name: &HostName) -> bool {
        self.state().sessions.contains_key(name)
    }

    /// A server that knows about this host: the first *other* one that is well. Without one, a server is asked itself, and
    /// of an agent whichever answers.
    pub(super) fn asked_about(&self, name: &HostName, own: &Arc<Session>) -> Result<Arc<Session>> {
        match self.well_server(Some(name))? {
            Some(session) => Ok(session),
            None if self.host(name).role == Some(Role::Server) => Ok(Arc::clone(own)),
            None => self.any_server(),
        }
    }

    /// The first that is well; else whichever answers, so that what is wrong shows.
    pub(super) fn knowing_server(&self) -> Result<Arc<Session>> {
        self.well_server(None)?.map_or_else(|| self.any_server(), Ok)
    }

    fn any_server(&self) -> Result<Arc<Session>> {
        let first = self.reached_servers().into_iter().next();
        first.map(|name| self.session(&name)).ok_or_else(|| {
            let silent: Vec<String> = self.state().silent.values().cloned().collect();
            Failure::new(Kind::Unreachable, format!("no server answers: {}", silent.join("; ")))
        })
    }

    /// A single server is not asked how it is before it is asked something else.
    fn well_server(&self, but: Option<&HostName>) -> Result<Option<Arc<Session>>> {
        let servers: Vec<HostName> =
            self.reached_servers().into_iter().filter(|name| Some(name) != but).collect();
        if !self.has_several_servers() {
            return Ok(servers.first().map(|name| self.session(name)));
        }
        for name in servers {
            match self.ask(&name, |session| Ok(session.run_within(API_TIMEOUT, READYZ)?.text() == "ok")) {
                Ok(true) => return Ok(Some(self.session(&name))),
                Err(failure) if failure.kind == Kind::Interrupted => return Err(failure),
                Ok(false) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The nodes by the first server that tells them. Nothing before there is a cluster.
    pub(super) fn nodes(&self) -> Result<Option<Vec<Node>>> {
        for name in self.reached_servers() {
            match self.ask(&name, nodes) {
                Ok(nodes) => return Ok(Some(nodes)),
                Err(failure) if failure.kind == Kind::Interrupted => return Err(failure),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Over the login at hand, else over a new one: it may have been lost since, as when the mesh restarts.
    pub(super) fn ask<T>(&self, name: &HostName, ask: impl Fn(&Session) -> Result<T>) -> Result<T> {
        match ask(&self.session(name)) {
            Err(failure) if failure.kind == Kind::Unreachable => {}
            answer => return answer,
        }
        let session = Arc::new(self.open_fresh(name)?);
        let answer = ask(&session)?;
        self.state().sessions.insert(name.clone(), session);
        Ok(answer)
    }
}

pub(super) const READYZ: [&str; 5] = ["k3s", "kubectl", "get", "--raw", "/readyz"];

pub(crate) fn nodes(session: &Session) -> Result<Vec<Node>> {
    let list = session.run_within(API_TIMEOUT, k3s::node::GET)?.stdout;
    read(&list)
}

/// The answer to [`k3s::node::GET`].
pub(super) fn read(list: &[u8]) -> Result<Vec<Node>> {
    k3s::node::parse_list(list)
        .map_err(|error| Failure::new(Kind::Verification, format!("failed to read the node list: {error}")))
}

/// A command of kubectl that changes a node, on a server.
pub(super) fn kubectl(session: &Session, argv: &[&str]) -> Result<String> {
    let argv = [&["k3s", "kubectl"], argv].concat();
    Ok(session.run_within(API_TIMEOUT, argv)?.text())
}

/// What `f` says of each, in their order, several at once.
pub(super) fn each<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut answers = Vec::new();
    for some in items.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|item| scope.spawn(|| f(item))).collect();
            let joined = threads.into_iter().map(|thread| thread.join().expect("no asker panics"));
            answers.extend(joined);
        });
    }
    answers
}
