//! Is a host fit for a deploy: room where the store is, a clock that agrees with ours. Asked of every host before anything
//! is built for any of them; all that is wrong with one is told at once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet::HostName;
use remote::ssh::Session;

use super::copy::bytes;
use super::host::{self, Room};
use crate::failure::{Failure, Kind, Result};

/// Less than that, and not even an activation's own files are sure to find a place.
const LEAST_ROOM: u64 = 64 << 20;
const LEAST_INODES: u64 = 1000;
/// Certificates of a new cluster are not valid yet to a host that is this much behind, and heartbeats seem old.
const SKEW: Duration = Duration::from_secs(60);

pub(super) fn require_fit(name: &HostName, session: &Session) -> Result<()> {
    let asked = SystemTime::now();
    // Before its first system a host may have no store yet; df says so, and that is no finding.
    let script = format!("date +%s && {{ {} 2> /dev/null || :; }}", host::ROOM.join(" "));
    let said = session.run(["sh", "-c", &script])?.text();
    let (clock, room) = said.split_once('\n').unwrap_or((&said, ""));
    let clock = clock.trim().parse().ok().map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    let mut findings = findings(clock, (asked, SystemTime::now()), &host::parse_room(room));
    if findings.is_empty() {
        return Ok(());
    }
    let (first, hint) = findings.remove(0);
    let more: Vec<String> =
        findings.into_iter().map(|(what, hint)| format!("also: {what} ({hint})")).collect();
    Err(Failure::new(Kind::Verification, format!("{name} is not fit for a deploy: {first}"))
        .tail(&more)
        .hint(hint))
}

/// What is wrong, and what to do about it. `ours` is when we asked and when the answer was there.
fn findings(
    theirs: Option<SystemTime>,
    (asked, answered): (SystemTime, SystemTime),
    room: &Room,
) -> Vec<(String, String)> {
    let mut findings = Vec::new();
    let mut found = |what: String, hint: &str| findings.push((what, hint.to_owned()));
    let ahead = theirs.and_then(|theirs| theirs.duration_since(answered).ok());
    let behind = theirs.and_then(|theirs| asked.duration_since(theirs).ok());
    let synchronise = "is its clock synchronised, or is it this machine's that is wrong? timedatectl";
    if let Some(by) = ahead.filter(|by| *by > SKEW) {
        found(format!("its clock is {} ahead of ours", rounded(by)), synchronise);
    }
    if let Some(by) = behind.filter(|by| *by > SKEW) {
        found(format!("its clock is {} behind ours", rounded(by)), synchronise);
    }
    let collect = "nix-collect-garbage --delete-older-than 30d there makes room";
    if room.bytes < LEAST_ROOM {
        found(format!("its /nix/store has {} free", bytes(room.bytes)), collect);
    }
    if let Some(free) = room.inodes.filter(|free| *free < LEAST_INODES) {
        found(format!("its /nix/store has {free} inodes free"), collect);
    }
    findings
}

fn rounded(by: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(by.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let texts = |clock, bytes, inodes| -> Vec<String> {
            let room = Room { bytes, inodes };
            findings(Some(at(clock)), (at(10_000), at(10_020)), &room)
                .into_iter()
                .map(|(what, _)| what)
                .collect()
        };
        assert_eq!(texts(10_075, LEAST_ROOM, None), <[&str; 0]>::default());
        assert_eq!(texts(9_945, LEAST_ROOM, Some(LEAST_INODES)), <[&str; 0]>::default());
        assert_eq!(
            texts(13_620, 1 << 20, Some(3)),
            [
                "its clock is 1h ahead of ours",
                "its /nix/store has 1.0 MiB free",
                "its /nix/store has 3 inodes free"
            ]
        );
        assert_eq!(texts(9_900, LEAST_ROOM, None), ["its clock is 1m 40s behind ours"]);
    }
}
