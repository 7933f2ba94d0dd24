//! One deploy a host at a time, whichever machine it comes from. The lock is on the host, held by a process there that
//! ends with our link: a deployer that was killed, or lost its power, leaves none behind.

use std::path::Path;
use std::time::{Duration, Instant};

use fleet::HostName;
use pipeline::Progress;
use remote::ssh::Session;

use super::{Run, host};
use crate::failure::{Failure, Kind, Result};

/// It ends with its input, or a minute after the last line of it: longer than a mesh takes to come back. A lock of this
/// very run, left there by a link that was lost, is taken over.
const SCRIPT: &str = "\
umask 022
mkdir -p /run/xtask && exec 9<> /run/xtask/lock || exit 2
flock --nonblock 9
code=$?
if [ $code = 1 ]; then
  holder=$(cat /run/xtask/holder)
  if [ \"$holder\" = \"$1\" ]; then
    kill \"$(cat /run/xtask/holder.pid)\"
    flock --timeout 10 9 || exit 2
  else
    echo \"busy $holder\"
    exit 0
  fi
elif [ $code != 0 ]; then
  echo \"flock there failed with exit code $code\"
  exit 2
fi
printf '%s\\n' \"$1\" > /run/xtask/holder
echo $$ > /run/xtask/holder.pid
echo held
while read -r -t 60 _; do :; done";

/// Says who holds it, if anybody does: the process of [`SCRIPT`] that wrote its name has the lock's file open.
pub(super) const HOLDER: &str = "\
if [ \"$(readlink \"/proc/$(cat /run/xtask/holder.pid 2> /dev/null)/fd/9\" 2> /dev/null)\" = /run/xtask/lock ]; \
then cut -f 1 /run/xtask/holder; fi";

const PATIENCE: Duration = Duration::from_secs(15);
/// Within this time a host lets go of a deployer that is gone.
const LETS_GO: Duration = Duration::from_secs(75);
const POLL: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Takes the host's lock, unless this run has it. Waits for that of a deployer that is gone: where the link was lost its
    /// host learns of it late, and ends the lock with that login, or a minute after its last word. Nothing is taken from it before:
    /// a command of it may still be on its way.
    pub(super) fn lock(
        &self,
        name: &HostName,
        session: &Session,
        progress: &Progress<Failure>,
    ) -> Result<()> {
        if self.state().locks.get(name).is_some_and(|held| !held.ended()) {
            return Ok(());
        }
        let start = Instant::now();
        let mut told = false;
        while let Some(holder) = self.take(name, session)? {
            if remote::interrupted() {
                return Err(Failure::new(
                    Kind::Interrupted,
                    format!("interrupted while waiting for the lock of {name}"),
                ));
            }
            if !holder.is_gone() || start.elapsed() > LETS_GO {
                return Err(holder.refusal(name));
            }
            if !told {
                progress.line(&format!("waiting for the lock of a deployer that is gone: {}", holder.who));
                told = true;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Takes it again over a new connection, where the one that held it may be dead: the host learns of that only after
    /// a minute, and until then the next deploy would be refused.
    pub(super) fn lock_again(&self, name: &HostName, session: &Session) -> Result<()> {
        let Some(_dead) = self.state().locks.remove(name) else { return Ok(()) };
        self.take(name, session)?.map_or(Ok(()), |holder| Err(holder.refusal(name)))
    }

    /// Gives who has it, where somebody has.
    fn take(&self, name: &HostName, session: &Session) -> Result<Option<Holder>> {
        let attempt = format!("failed to lock {name}");
        let command = session.command(["bash", "-c", SCRIPT, "bash", &self.deployer()]).timeout(PATIENCE);
        let (held, said) = command.hold().map_err(|error| Failure::from(error).during(&attempt))?;
        if said == "held" {
            self.state().locks.insert(name.clone(), held);
            return Ok(None);
        }
        if let Some(holder) = said.strip_prefix("busy") {
            return Ok(Some(Holder::parse(holder.trim_start())));
        }
        let said: String = said.chars().filter(|c| !c.is_control()).collect();
        Err(Failure::new(Kind::Unforeseen, format!("{attempt}: it answers `{said}`")))
    }

    /// Who we are, for whoever finds the host locked; behind a tab, for one on this machine, on which boot of it and by which
    /// number.
    fn deployer(&self) -> String {
        let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname");
        let machine = machine.map_or_else(|_| "some machine".to_owned(), |name| name.trim().to_owned());
        let since = humantime::format_rfc3339_seconds(self.begun);
        let process = std::process::id();
        format!("{user} on {machine}, process {process}, since {since}\t{} {process}", boot())
    }
}

/// Who holds a lock, by its own words.
struct Holder {
    who: String,
    boot: String,
    process: Option<u32>,
}

impl Holder {
    fn parse(text: &str) -> Self {
        let (who, place) = text.split_once('\t').unwrap_or((text, ""));
        let (boot, process) = place.split_once(' ').unwrap_or_default();
        let who: String = who.chars().filter(|c| !c.is_control()).collect();
        let who = if who.is_empty() { "somebody else".to_owned() } else { who };
        Self { who, boot: boot.to_owned(), process: process.parse().ok() }
    }

    /// Of this machine, and not to be seen on it; in another container of it one may be there all the same, and is waited for in
    /// vain.
    fn is_gone(&self) -> bool {
        let is_there = |process: u32| Path::new("/proc").join(process.to_string()).exists();
        !self.boot.is_empty() && self.boot == boot() && self.process.is_some_and(|process| !is_there(process))
    }

    fn refusal(&self, name: &HostName) -> Failure {
        Failure::new(Kind::Locked, format!("{name} is being deployed by {}", self.who))
            .hint("wait for it; a deployer that died frees the host within a minute".to_owned())
    }
}

/// Of this machine.
fn boot() -> String {
    std::fs::read_to_string(host::BOOT_ID).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployer_is_gone_only_where_it_would_be_seen() {
        let gone = |text: String| Holder::parse(&text).is_gone();
        let (here, own) = (boot(), std::process::id());
        // Above what Linux gives to a process: PID_MAX_LIMIT is 2^22.
        assert!(gone(format!("root on vm\t{here} 4194305")));
        assert!(!gone(format!("root on vm\t{here} {own}")));
        for other in ["elsewhere 4194305", " 4194305", "4194305", ""] {
            assert!(!gone(format!("root on vm\t{other}")), "{other}");
        }
        assert!(
            !gone(format!("root on vm\t{here} -1")) && !gone("root on vm".to_owned()) && !gone(String::new())
        );
    }

    #[test]
    fn a_holder_is_told_by_name_alone() {
        assert_eq!(Holder::parse("root on \u{1b}vm\tboot 1").who, "root on vm");
        assert_eq!(Holder::parse("").who, "somebody else");
    }
}
