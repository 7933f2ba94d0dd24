//! One deploy a host at a time, whichever machine it comes from. The lock is on the host, held by a process there that
//! ends with our link: a deployer that was killed, or lost its power, leaves none behind.

use std::time::Duration;

use fleet::HostName;
use remote::ssh::Session;
use remote::{Held, Process};

use super::Run;
use crate::failure::{Failure, Kind, Result};

/// It ends with its input, or a minute after the last line of it: longer than a mesh takes to come back. A lock of `$1` itself,
/// or of `$2`, left there by a link that was lost, is taken over. The holder's name and process are in one line: whoever
/// reads the one has the other with it.
const SCRIPT: &str = "\
umask 022
mkdir -p /run/xtask && exec 9<> /run/xtask/lock || exit 2
holder() { line=$(cat /run/xtask/holder); holder=${line%$'\\t'*} pid=${line##*$'\\t'}; }
busy() { echo \"busy $holder\"; exit 0; }
if ! flock --nonblock 9; then
  holder
  [ \"$holder\" = \"$1\" ] || [ \"$holder\" = \"$2\" ] || busy
  [ \"$(readlink \"/proc/$pid/fd/9\")\" = /run/xtask/lock ] && kill \"$pid\"
  flock --timeout 10 9 || { holder; busy; }
fi
printf '%s\\t%s\\n' \"$1\" $$ > /run/xtask/holder
echo held
while read -r -t 60 _; do :; done";

/// Says who holds it, if anybody does: the process of [`SCRIPT`] that wrote its name has the lock's file open.
pub(super) const HOLDER: &str = "\
if [ \"$(readlink \"/proc/$(cut -f 3 /run/xtask/holder 2> /dev/null)/fd/9\" 2> /dev/null)\" = /run/xtask/lock ]; \
then cut -f 1 /run/xtask/holder; fi";

const PATIENCE: Duration = Duration::from_secs(15);

impl Run<'_> {
    /// Takes the host's lock, unless this run has it.
    pub(super) fn lock(&self, name: &HostName, session: &Session) -> Result<()> {
        if self.state().locks.get(name).is_some_and(|held| !held.ended()) {
            return Ok(());
        }
        let held = take(name, session, &self.deployer())?;
        self.state().locks.insert(name.clone(), held);
        Ok(())
    }

    /// Takes it again over a new connection, where the one that held it may be dead: the host learns of that only after
    /// a minute, and until then the next deploy would be refused.
    pub(super) fn lock_again(&self, name: &HostName, session: &Session) -> Result<()> {
        let Some(_dead) = self.state().locks.remove(name) else { return Ok(()) };
        self.lock(name, session)
    }

    /// Who we are: for whoever finds the host locked, and behind a tab for one on this machine, who can see whether we are
    /// still there.
    fn deployer(&self) -> String {
        let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname");
        let machine = machine.map_or_else(|_| "some machine".to_owned(), |name| name.trim().to_owned());
        let since = humantime::format_rfc3339_seconds(self.begun);
        let process = Process::own().map_or_else(|_| String::new(), |process| process.to_string());
        format!("{user} on {machine}, process {}, since {since}\t{process}", std::process::id())
    }
}

/// Also from a deployer that is certainly gone: its host has not learnt of that yet.
fn take(name: &HostName, session: &Session, deployer: &str) -> Result<Held> {
    let attempt = format!("failed to lock {name}");
    let mut gone = None;
    loop {
        // Never an empty one: nobody's name is yet in a lock that somebody takes this moment.
        let taken_over = gone.as_deref().unwrap_or(deployer);
        let command = session.command(["bash", "-c", SCRIPT, "bash", deployer, taken_over]).timeout(PATIENCE);
        let (held, said) = command.hold().map_err(|error| Failure::from(error).during(&attempt))?;
        if said == "held" {
            return Ok(held);
        }
        let holder = said.strip_prefix("busy").unwrap_or_default().trim_start();
        if gone.is_none() && is_gone(holder) {
            gone = Some(holder.to_owned());
            continue;
        }
        let who = holder.split('\t').next().unwrap_or_default();
        let who: String = who.chars().filter(|c| !c.is_control()).collect();
        let who = if who.is_empty() { "somebody else" } else { &who };
        return Err(Failure::new(Kind::Locked, format!("{name} is being deployed by {who}"))
            .hint("wait for it; a deployer that died frees the host within a minute".to_owned()));
    }
}

fn is_gone(deployer: &str) -> bool {
    let process = deployer.split_once('\t').and_then(|(_, process)| process.parse::<Process>().ok());
    process.is_some_and(|process| process.is_gone())
}
