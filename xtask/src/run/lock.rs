//! One deploy a host at a time, whichever machine it comes from. The lock is on the host, held by a process there that
//! ends with our link: a deployer that was killed, or lost its power, leaves none behind.

use std::time::Duration;

use fleet::HostName;
use remote::Held;
use remote::ssh::Session;

use super::Run;
use crate::failure::{Failure, Kind, Result};

/// It ends with its input, or a minute after the last line of it: longer than a mesh takes to come back. A lock of this
/// very run, left there by a link that was lost, is taken over.
const SCRIPT: &str = "\
umask 022
mkdir -p /run/xtask && exec 9<> /run/xtask/lock || exit 2
if ! flock --nonblock 9; then
  holder=$(cat /run/xtask/holder)
  if [ \"$holder\" = \"$1\" ]; then
    kill \"$(cat /run/xtask/holder.pid)\"
    flock --timeout 10 9 || exit 2
  else
    echo \"busy $holder\"
    exit 0
  fi
fi
printf '%s\\n' \"$1\" > /run/xtask/holder
echo $$ > /run/xtask/holder.pid
echo held
while read -r -t 60 _; do :; done";

/// Says who holds it, if anybody does: the process of [`SCRIPT`] that wrote its name has the lock's file open.
pub(super) const HOLDER: &str = "\
if [ \"$(readlink \"/proc/$(cat /run/xtask/holder.pid 2> /dev/null)/fd/9\" 2> /dev/null)\" = /run/xtask/lock ]; \
then cat /run/xtask/holder; fi";

const PATIENCE: Duration = Duration::from_secs(15);

impl Run<'_> {
    /// Takes the host's lock, unless this run has it.
    pub(super) fn lock(&self, name: &HostName, session: &Session) -> Result<()> {
        if self.state().locks.get(name).is_some_and(|held| !held.ended()) {
            return Ok(());
        }
        let held = take(name, session, &self.identity_of_run())?;
        self.state().locks.insert(name.clone(), held);
        Ok(())
    }

    /// Takes it again over a new connection, where the one that held it may be dead: the host learns of that only after
    /// a minute, and until then the next deploy would be refused.
    pub(super) fn lock_again(&self, name: &HostName, session: &Session) -> Result<()> {
        let Some(_dead) = self.state().locks.remove(name) else { return Ok(()) };
        self.lock(name, session)
    }

    /// Who we are, for whoever finds the host locked.
    fn identity_of_run(&self) -> String {
        let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname");
        let machine = machine.map_or_else(|_| "some machine".to_owned(), |name| name.trim().to_owned());
        let since = humantime::format_rfc3339_seconds(self.begun);
        format!("{user} on {machine}, process {}, since {since}", std::process::id())
    }
}

fn take(name: &HostName, session: &Session, who: &str) -> Result<Held> {
    let attempt = format!("failed to lock {name}");
    let command = session.command(["bash", "-c", SCRIPT, "bash", who]).timeout(PATIENCE);
    let (held, said) = command.hold().map_err(|error| Failure::from(error).during(&attempt))?;
    match said.strip_prefix("busy ") {
        None => Ok(held),
        Some(holder) => {
            let holder: String = holder.chars().filter(|c| !c.is_control()).collect();
            Err(Failure::new(Kind::Locked, format!("{name} is being deployed by {holder}"))
                .hint("wait for it; a deployer that died frees the host within a minute".to_owned()))
        }
    }
}
