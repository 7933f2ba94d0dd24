//! A copy of the datastore before a server's K3s gets another version, or another token: it does not go back, so this is the
//! way back.
//!
//! With etcd K3s makes it, a snapshot in its own folder, where `k3s etcd-snapshot ls` shows it. K3s has nothing of the kind
//! for sqlite, and a host need not have `sqlite3`; there the files are copied, see [`COPY`].

use std::time::{Duration, SystemTime};

use fleet::{HostName, Role};
use pipeline::Outcome;
use remote::ssh::Session;

use super::cluster::READYZ;
use super::host::require_supported;
use super::{Run, changed, skipped};
use crate::failure::{Failure, Kind, Result};

/// Where the copies are, for root alone.
const COPIES: &str = "/var/lib/rancher/xtask";
const TIMEOUT: Duration = Duration::from_secs(600);

/// What a copy needs to be used, beside the datastore.
const COPY_TOKEN: &str = "\
set -eu; umask 077; mkdir -p \"$1\"
cp /var/lib/rancher/k3s/server/token \"$1/token\"
sync \"$1/token\" \"$1\"";

/// Copies an sqlite that may be in use. It is in WAL mode: what is written goes to the log, from where it is moved into the
/// database file; the log begins anew only when something is written after all of it was moved. So a database file that was
/// copied while the log stayed the same, and that log, are together what a power cut would have left at that moment, and
/// that is what sqlite repairs when it opens them. K3s writes every few seconds: it is tried until a copy falls between.
const COPY: &str = "\
set -eu; umask 077; mkdir -p \"$1\"
trap 'rm -rf \"$1\"' EXIT
db=/var/lib/rancher/k3s/server/db/state.db
same() { if [ -e \"$db-wal\" ]; then cmp -s \"$db-wal\" \"$1/state.db-wal\"; else ! [ -e \"$1/state.db-wal\" ]; fi; }
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rm -f \"$1/state.db\" \"$1/state.db-wal\"
  if [ -e \"$db-wal\" ]; then cp --reflink=auto \"$db-wal\" \"$1/state.db-wal\"; fi
  cp --reflink=auto \"$db\" \"$1/state.db\"
  if same \"$1\"; then sync \"$1\"/* \"$1\"; trap - EXIT; exit 0; fi
  sleep 0.3
done
echo 'K3s wrote to the datastore during each of 20 attempts' >&2
exit 1";

impl Run<'_> {
    pub(super) fn datastore(&self, name: &HostName) -> Result<Outcome> {
        let Some(new) = self.state().new_k3s.get(name).cloned() else {
            return skipped("its version of K3s stays as it is");
        };
        let session = self.session(name);
        let attempt =
            format!("failed to copy the datastore before {name} goes from {} to {}", new.from, new.to);
        let hint = "nothing was changed there. Is there room, is K3s well? A K3s that is stopped can be copied as well";
        let label = format!("before-{}", new.to.replace('+', "-"));
        let place = self.keep_datastore(name, &session, &label).map_err(|failure| {
            let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
            failure.of_kind(kind).during(&attempt).hint(hint.to_owned())
        })?;
        match place {
            Some(place) => changed(format!("copied to {place}")),
            None => skipped("K3s has not run there yet"),
        }
    }

    /// Before a rotation: older copies need the token that they were made with. Of a rotation that builds nothing it is the first
    /// step that needs K3s' help, so a server that is too old to give it is told here.
    pub(super) fn back_up(&self, name: &HostName) -> Result<Outcome> {
        for server in self.fleet.with_role(Role::Server) {
            require_supported(&self.session(&server.name))?;
        }
        let place = self.keep_datastore(name, &self.session(name), "before-rotation").map_err(|failure| {
            let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
            let failure =
                failure.of_kind(kind).hint("nothing was changed. Is there room, is K3s well?".to_owned());
            failure.during(&format!("failed to copy the datastore of {name}"))
        })?;
        changed(format!("copied to {}", place.unwrap_or_default()))
    }

    /// Tells where it is, with the token beside it. Nothing where K3s never ran.
    fn keep_datastore(&self, name: &HostName, session: &Session, label: &str) -> Result<Option<String>> {
        let is_there = |path: &str| match session.run(["test", "-e", path]) {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(1) => Ok(false),
            Err(error) => Err(Failure::from(error)),
        };
        if !is_there(k3s::SERVER_TOKEN)? {
            return Ok(None);
        }
        let moment = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace([':', '-'], "");
        let folder = format!("{COPIES}/{label}-{moment}");
        session.run(["sh", "-c", COPY_TOKEN, "sh", &folder])?;
        // K3s renames it when it goes over to etcd.
        if !is_there(&format!("{}/state.db", k3s::DATASTORE))? {
            let snapshot = self.snapshot_of_etcd(name, session, label)?;
            return Ok(Some(format!("{snapshot}, its token to {folder}")));
        }
        session.run_within(TIMEOUT, ["sh", "-c", COPY, "sh", &folder])?;
        Ok(Some(folder))
    }

    /// Any member has all of it. So where K3s is down on this one, another takes it.
    fn snapshot_of_etcd(&self, name: &HostName, own: &Session, label: &str) -> Result<String> {
        let is_well = own.run_within(TIMEOUT, READYZ).is_ok_and(|output| output.text() == "ok");
        let other = if is_well { None } else { Some(self.asked_about(name, &self.session(name))?) };
        let session = other.as_deref().unwrap_or(own);
        // K3s adds the node and the time.
        session.run_within(TIMEOUT, ["k3s", "etcd-snapshot", "save", "--name", label])?;
        let folder = format!("{}/snapshots", k3s::DATASTORE);
        let list = session.run(["ls", "-t", &folder])?.text();
        let newest = list.lines().find(|file| file.starts_with(label)).ok_or_else(|| {
            let message = format!("k3s etcd-snapshot says that it is done, and {folder} has none");
            Failure::new(Kind::Verification, message)
        })?;
        let path = format!("{folder}/{newest}");
        session.run(["test", "-s", &path])?;
        Ok(format!("{path} on {}", session.name()))
    }
}
