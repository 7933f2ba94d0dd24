//! Why a host could not be asked, address by address, from what ssh said.

use super::cause::Cause;
use crate::failure::{Failure, Kind};

/// A host that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreached {
    pub(crate) cause: Cause,
    /// One line an address.
    pub(crate) evidence: Vec<String>,
    /// A better remedy than the cause's own, where the failure had one.
    pub(crate) hint: Option<String>,
}

/// What ssh says, and what that means. Ordered: what tells most of a host comes first, since of several addresses the one
/// that got furthest knows best.
const SAID: &[(&str, Cause)] = &[
    ("is not the pinned one", Cause::WrongHostKey),
    ("refuses the login", Cause::LoginRefused),
    ("Permission denied", Cause::LoginRefused),
    ("Connection refused", Cause::SshRefused),
    ("Connection closed", Cause::SshRefused),
    ("Connection reset", Cause::SshRefused),
    ("timed out", Cause::SshSilent),
    ("no answer", Cause::SshSilent),
    ("No route to host", Cause::NoRoute),
    ("Network is unreachable", Cause::NoRoute),
    ("Could not resolve", Cause::NameUnresolved),
];

/// Reads the failure of a session.
pub(crate) fn unreached(failure: &Failure) -> Unreached {
    let found = SAID.iter().find(|(words, _)| failure.message.contains(words));
    let cause = found.map_or(Cause::NotAsked, |(_, cause)| *cause);
    let addresses = failure.message.split_once(" does not answer: ").map(|(_, addresses)| addresses);
    let evidence = match addresses {
        Some(addresses) => addresses.split("; ").map(str::to_owned).collect(),
        None => std::iter::once(failure.message.clone()).chain(failure.tail.iter().cloned()).collect(),
    };
    let knows_better = failure.kind != Kind::Unreachable || cause == Cause::NotAsked;
    Unreached { cause, evidence, hint: failure.hint.clone().filter(|_| knows_better) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_got_furthest_knows_best() {
        for (message, cause, lines) in [
            (
                "maia does not answer: Could not resolve hostname maia.mercury: Name or service not known; connect to host \
                 100.64.0.5 port 22: Connection refused",
                Cause::SshRefused,
                2,
            ),
            (
                "maia does not answer: Could not resolve hostname maia.mercury: Name or service not known",
                Cause::NameUnresolved,
                1,
            ),
            ("maia does not answer: connect to host 1.2.3.4 port 22: No route to host", Cause::NoRoute, 1),
            (
                "maia does not answer: connect to host 1.2.3.4 port 22: Connection timed out",
                Cause::SshSilent,
                1,
            ),
            ("the host key of maia at maia.mercury is not the pinned one", Cause::WrongHostKey, 1),
            (
                "maia at 1.2.3.4 refuses the login of root: Permission denied (publickey)",
                Cause::LoginRefused,
                1,
            ),
            ("maia is logged into as deploy, who is not root there", Cause::NotAsked, 1),
        ] {
            let told = unreached(&Failure::new(Kind::Unreachable, message));
            assert_eq!((told.cause, told.evidence.len()), (cause, lines), "{message}");
        }
    }
}
