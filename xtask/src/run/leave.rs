//! Taking a node out of its cluster. Each step looks first whether there is something left to do.

use std::time::{Duration, Instant};

use fleet::{HostName, Role};
use k3s::quorum;
use k3s::unit::Unit;
use pipeline::{Outcome, Progress};

use super::cluster::nodes;
use super::drain::send_away;
use super::{Run, changed, done, host, skipped};
use crate::failure::{Failure, Kind, Result};

/// K3s looks for members to remove every so often.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(90);
/// What a server says once its member is gone.
const LEFT: &str = "removed from the cluster";
/// systemd gives a unit 90 s to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

impl Run<'_> {
    /// See [`quorum::undecidable`]. Members are the fleet's servers that the cluster has as nodes.
    pub(super) fn can_leave(&self, leaves: &HostName, server: &HostName) -> Result<Outcome> {
        let nodes = nodes(&self.session(server))?;
        let node = |name: &str| nodes.iter().find(|node| node.name == name);
        let Some(leaving) = node(leaves.as_str()) else {
            return skipped(format!("the cluster has no node {leaves}"));
        };
        let servers = self.fleet.with_role(Role::Server).into_iter().filter(|host| host.name != *leaves);
        let staying: Vec<bool> =
            servers.filter_map(|host| Some(node(host.name.as_str())?.is_ready())).collect();
        let well = staying.iter().filter(|is_ready| **is_ready).count();
        let seen = format!("{well} of the {} servers that stay are Ready", staying.len());
        match quorum::undecidable(leaving.is_ready(), &staying) {
            None => done(seen),
            Some(why) => Err(Failure::new(Kind::Verification, format!("{seen}: {why}"))
                .hint("bring the others back first: cargo xtask verify".to_owned())),
        }
    }

    pub(super) fn empty(
        &self,
        name: &HostName,
        server: &HostName,
        seconds: u64,
        force: bool,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        let session = self.session(server);
        if !nodes(&session)?.iter().any(|node| node.name == name.as_str()) {
            return skipped(format!("the cluster has no node {name}"));
        }
        match send_away(&session, name, seconds, progress) {
            Ok(()) => changed("its pods are gone from it"),
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

    /// Deletes a server's node, with which its etcd member goes, and waits until that server says that it is out: stopped
    /// before, it would still count, and of two members one alone decides nothing.
    pub(super) fn leave_etcd(&self, name: &HostName, server: &HostName) -> Result<Outcome> {
        let reached = self.state().sessions.contains_key(name);
        let session = reached.then(|| self.session(name));
        let since = session.as_deref().map(host::clock).transpose()?;
        let outcome = self.delete_node(name, server)?;
        let (Some(session), Some(since)) = (session, since) else { return Ok(outcome) };
        let unit = host::k3s_unit(&session)?.filter(Unit::is_active);
        let Some(unit) = unit.filter(|_| !matches!(outcome, Outcome::Skipped { .. })) else {
            return Ok(outcome);
        };
        let start = Instant::now();
        loop {
            if host::journal_since(&session, &unit.id, &format!("@{since}"))?.contains(LEFT) {
                return Ok(outcome);
            }
            if start.elapsed() > LEAVE_TIMEOUT || remote::interrupted() {
                let message = format!("{name} does not say that it has left etcd");
                return Err(Failure::new(Kind::Verification, message)
                    .hint(format!("on {server}: journalctl -u k3s; then run it again")));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
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
