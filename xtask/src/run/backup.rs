//! A copy of the datastore and of the token that it is encrypted with, on the server, before either changes.
//!
//! With etcd it is K3s' own snapshot. sqlite's files are copied while K3s writes them: the database changes only at a
//! checkpoint, and of the log what was not written whole is passed over when it is read. So a copy is good if there was no
//! checkpoint meanwhile, which the database's times and the log's header tell; else it is made once more.

use std::time::Duration;

use fleet::HostName;
use pipeline::{Outcome, Progress};

use super::{Run, done};
use crate::failure::{Failure, Kind, Result};

const FOLDER: &str = "/var/lib/rancher/k3s-backups";
const TIMEOUT: Duration = Duration::from_secs(300);

/// `$1` the folder, `$2` the snapshot's name. Prints what it made.
const SCRIPT: &str = r#"
set -e
umask 077
cd /var/lib/rancher/k3s/server
mkdir -p "$1"
cp token "$1/token"
if [ -d db/etcd/member ]; then
  k3s etcd-snapshot save --name "$2" >&2
  echo "an etcd snapshot $2, and the token in $1"
  exit
fi
mark() { stat -c '%y %z %s' db/state.db; head -c 32 db/state.db-wal 2> /dev/null | od -An -tx1; }
for _ in 1 2 3 4 5 6 7 8 9 10; do
  before=$(mark)
  cp db/state.db "$1/state.db"
  if [ -e db/state.db-wal ]; then cp db/state.db-wal "$1/state.db-wal"; fi
  if [ "$before" = "$(mark)" ]; then
    sync "$1"/*
    echo "the datastore and its token in $1"
    exit
  fi
  sleep 0.5
done
echo "the datastore is written to all the time" >&2
exit 1
"#;

impl Run<'_> {
    pub(super) fn back_up(&self, server: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let stamp =
            humantime::format_rfc3339_seconds(self.begun).to_string().replace(':', "-").to_lowercase();
        let folder = format!("{FOLDER}/{stamp}");
        let session = self.session(server);
        let argv = ["sh", "-c", SCRIPT, "sh", &folder, &format!("xtask-{stamp}")];
        let said = session.run_within(TIMEOUT, argv).map_err(|error| {
            let failure =
                Failure::from(error).during(&format!("failed to back up the datastore of {server}"));
            let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
            failure.of_kind(kind).hint("nothing was changed".to_owned())
        })?;
        progress.fact("backup", folder);
        done(said.text())
    }
}
