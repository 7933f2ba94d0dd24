//! What a host says about itself: small questions, each one command over the session at hand.

use k3s::Version;
use k3s::unit::{self, Unit};
use k3s::version::{self, Refusal};
use remote::RunError;
use remote::ssh::Session;

use crate::failure::Failure;

/// What runs.
pub(super) const RUNNING: &str = "/run/current-system";
/// What the next boot takes.
pub(super) const PROFILE: &str = "/nix/var/nix/profiles/system";

/// A random number of the kernel's, another one at each boot.
pub(super) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// In front of a command: what it says on standard output goes where whoever watches reads it, with the rest.
pub(super) const ALOUD: [&str; 4] = ["sh", "-c", "exec \"$@\" >&2", "sh"];

/// Which system runs, and which one the next boot takes. `None` where the link does not exist.
pub(super) struct Systems {
    pub(super) running: Option<String>,
    pub(super) boot: Option<String>,
}

/// Reads both links. -m: one that does not exist resolves to itself, so that every failure is one of the connection.
pub(super) fn systems(session: &Session) -> Result<Systems, RunError> {
    let paths = [RUNNING, PROFILE];
    let text = session.run(["readlink", "-m"].iter().chain(&paths))?.text();
    let mut targets =
        text.lines().zip(paths).map(|(target, path)| (target != path).then(|| target.to_owned()));
    let mut next = || targets.next().flatten();
    Ok(Systems { running: next(), boot: next() })
}

/// The system of the last boot.
pub(super) fn booted(session: &Session) -> Result<Option<String>, RunError> {
    let path = "/run/booted-system";
    let target = session.run(["readlink", "-m", path])?.text();
    Ok((target != path).then_some(target))
}

/// What is free where the store is.
pub(super) struct Room {
    /// In bytes.
    pub(super) bytes: u64,
    /// `None` where the file system makes them as it goes.
    pub(super) inodes: Option<u64>,
}

/// Answered in the form that [`parse_room`] reads.
pub(super) const ROOM: [&str; 4] = ["df", "--block-size=1", "--output=avail,iavail,itotal", "/nix/store"];

/// A line of headings, then one of numbers. What cannot be read is no reason to stop.
pub(super) fn parse_room(text: &str) -> Room {
    let mut numbers = text.lines().last().unwrap_or_default().split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next().and_then(Result::ok);
    let (bytes, free, all) = (next(), next(), next());
    Room { bytes: bytes.unwrap_or(u64::MAX), inodes: free.filter(|_| all.is_some_and(|all| all > 0)) }
}

/// Its own clock, in seconds since 1970.
pub(super) fn clock(session: &Session) -> Result<String, RunError> {
    Ok(session.run(["date", "+%s"])?.text())
}

/// The K3s unit, if there is one.
pub(crate) fn k3s_unit(session: &Session) -> Result<Option<Unit>, RunError> {
    let mut argv = vec!["systemctl", "show", unit::TIMESTAMP, "--property", unit::PROPERTIES];
    argv.extend(unit::CANDIDATES);
    Ok(unit::parse(&session.run(argv)?.text()))
}

/// The version of the K3s that is installed. `None`: there is none, or it does not say.
pub(crate) fn k3s_version(session: &Session) -> Result<Option<Version>, RunError> {
    match session.run(["timeout", "10", "k3s", "--version"]) {
        Ok(output) => Ok(Version::said(&output.text())),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Refuses a host whose K3s is too old for what is to be done there or asked of it.
pub(crate) fn require_supported(session: &Session) -> crate::failure::Result<()> {
    let refusal = k3s_version(session)?.and_then(|runs| version::unsupported(session.name(), runs));
    refusal.map_or(Ok(()), |Refusal { what, hint }| Err(Failure::configuration(what).hint(hint)))
}

/// A unit's newest lines since then, as journalctl takes a time: without etcd's JSON, without what its components say at level
/// info and without usages, which would push out the lines that matter.
pub(crate) fn journal_since(session: &Session, unit: &str, since: &str) -> Result<String, RunError> {
    Ok(session.run(["sh", "-c", JOURNAL, "sh", unit, since])?.text())
}

/// The last lines of a unit, a few.
pub(super) fn last_words(session: &Session, unit: &str) -> Result<Vec<String>, RunError> {
    let argv = ["journalctl", "--unit", unit, "--lines", "5", "--no-pager", "--output", "cat"];
    let text = session.run(argv)?.text();
    let own = text.lines().filter(|line| !k3s::journal::is_systemds(line, unit));
    Ok(own.map(|line| line.trim().to_owned()).collect())
}

const JOURNAL: &str = r#"
said=$(journalctl --unit "$1" --since "$2" --lines 5000 --no-pager --output cat) || exit
printf '%s\n' "$said" | grep -Ev '^(\{|[IW][0-9]{4} |   |Flag --|$)' | tail -n 200
exit 0
"#;
