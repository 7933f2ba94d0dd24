//! Taking a node out of its cluster. Each step looks first whether there is something left to do.

use std::time::Duration;

use fleet::{HostName, Role};
use k3s::node::Node;
use pipeline::Outcome;
use remote::ssh::Session;

use super::{Run, changed, done, host, skipped};
use crate::failure::{Failure, Kind, Result};

/// What kubectl takes beyond the time that it was given.
const SLACK: u64 = 30;
/// systemd gives a unit 90 s to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

impl Run<'_> {
    /// The embedded etcd decides by a majority of its members: of those there are now, to let one go, and of those that
    /// stay, from then on.
    pub(super) fn quorum(&self, leaves: &HostName, server: &HostName, force: bool) -> Result<Outcome> {
        let nodes = nodes(&self.session(server))?;
        let servers: Vec<&HostName> =
            self.fleet.with_role(Role::Server).into_iter().map(|host| &host.name).collect();
        let of = |name: &HostName| nodes.iter().find(|node| node.name == name.as_str());
        let members: Vec<&&HostName> = servers.iter().filter(|name| of(name).is_some()).collect();
        if of(leaves).is_none() {
            return skipped(format!("the cluster has no node {leaves}"));
        }
        let staying: Vec<&&&HostName> = members.iter().filter(|name| ***name != leaves).collect();
        let well = staying.iter().filter(|name| of(name).is_some_and(Node::is_ready)).count();
        let all = well + usize::from(of(leaves).is_some_and(Node::is_ready));
        let (now, then) = (members.len() / 2 + 1, staying.len() / 2 + 1);
        let seen = format!("{well} of the {} servers that stay are Ready", staying.len());
        if all >= now && well >= then {
            return done(seen);
        }
        let message =
            format!("{seen}, and etcd needs {} of them to let {leaves} go", then.max(now.min(staying.len())));
        if force && well >= then {
            return done(format!("{message}; gone on with by --force"));
        }
        let hint =
            "bring the others back first: cargo xtask verify; from a snapshot: k3s server --cluster-reset";
        Err(Failure::new(Kind::Verification, message).hint(hint.to_owned()))
    }

    pub(super) fn drain(
        &self,
        name: &HostName,
        server: &HostName,
        seconds: u64,
        force: bool,
    ) -> Result<Outcome> {
        let session = self.session(server);
        if !nodes(&session)?.iter().any(|node| node.name == name.as_str()) {
            return skipped(format!("the cluster has no node {name}"));
        }
        let within = Duration::from_secs(seconds.saturating_add(SLACK));
        match session.run_within(within, k3s::node::drain(name.as_str(), seconds)) {
            Ok(_) => changed("its pods are gone from it"),
            Err(error) if force && error.code().is_some() => {
                changed(format!("not all of its pods went within {seconds} s; gone on with by --force"))
            }
            Err(error) => {
                let is_its = error.code().is_some();
                let failure = Failure::from(error).during(&format!("failed to drain {name}"));
                let kind = if is_its { Kind::Verification } else { failure.kind };
                Err(failure
                    .of_kind(kind)
                    .also(format!(
                        "{name} takes no new pods; to have it back, on {server}: k3s kubectl uncordon {name}"
                    ))
                    .hint("--drain-timeout SECONDS gives it longer, --force goes on without".to_owned()))
            }
        }
    }

    /// On NixOS a unit cannot be disabled but by another configuration: /etc is the system's.
    pub(super) fn stop_k3s(&self, name: &HostName) -> Result<Outcome> {
        let session = self.session(name);
        let Some(unit) = host::k3s_unit(&session)? else { return skipped("it has no k3s unit") };
        if matches!(unit.active.as_str(), "inactive" | "failed") {
            return skipped(format!("{} does not run", unit.id));
        }
        session.run_within(STOP_TIMEOUT, ["systemctl", "stop", &unit.id])?;
        changed(format!("{} is stopped, until its next boot or deploy", unit.id))
    }

    pub(super) fn delete_node(&self, name: &HostName, server: &HostName) -> Result<Outcome> {
        let session = self.session(server);
        let is_there = nodes(&session)?.iter().any(|node| node.name == name.as_str());
        session.run(k3s::node::delete(name.as_str()))?;
        let password = session.run(k3s::node::forget_password(name.as_str()))?.text();
        match (is_there, password.is_empty()) {
            (true, _) => changed(format!("{server} knows no node {name} any more")),
            (false, false) => changed(format!("there was no node {name}; its password is forgotten")),
            (false, true) => skipped(format!("{server} knows no node {name}")),
        }
    }
}

fn nodes(server: &Session) -> Result<Vec<Node>> {
    let attempt = format!("failed to list the nodes on {}", server.name());
    let list = server.run(["k3s", "kubectl", "get", "nodes", "--output", "json"]);
    let list = list.map_err(|error| Failure::from(error).during(&attempt))?;
    k3s::node::parse_list(&list.stdout)
        .map_err(|error| Failure::new(Kind::Verification, format!("{attempt}: {error}")))
}
