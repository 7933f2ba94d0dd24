//! Why an agent does not join, from its journal. Its unit is active all the while: only the log tells.

/// A cause that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The same as `cause`, for a program.
    pub kind: Kind,
    /// What is wrong, in words.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The line that says so.
    pub evidence: String,
}

/// What kind of cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server does not accept the token.
    Token,
    /// The token holds the hash of another CA.
    CaHash,
    /// The node's name is registered with another password.
    NodePassword,
    /// A certificate is not valid at the node's time.
    Clock,
    /// No answer on port 6443.
    Unreachable,
    /// Flannel's interface does not exist.
    Interface,
    /// The token's file is empty.
    TokenEmpty,
    /// The token's file does not exist.
    TokenMissing,
    /// The datastore is encrypted with another token.
    DatastoreToken,
    /// An agent token came later than the datastore.
    PasswdNewer,
}

struct Pattern {
    kind: Kind,
    /// All of these stand in the line.
    words: &'static [&'static str],
    cause: &'static str,
    remedy: &'static str,
}

/// Ordered: the first that fits a line is its cause.
const PATTERNS: &[Pattern] = &[
    Pattern {
        kind: Kind::Token,
        words: &["failed to retrieve configuration from server", "not authorized"],
        cause: "the server does not accept its token",
        remedy: "`cargo xtask deploy` copies the server's agent token and gives it to the agent again",
    },
    Pattern {
        kind: Kind::Token,
        words: &["/v1-k3s/config", "401"],
        cause: "the server does not accept its token",
        remedy: "`cargo xtask deploy` copies the server's agent token and gives it to the agent again",
    },
    Pattern {
        kind: Kind::CaHash,
        words: &["token CA hash does not match"],
        cause: "its token was made by a server with another CA",
        remedy: "`cargo xtask deploy` copies the server's agent token and gives it to the agent again",
    },
    Pattern {
        kind: Kind::NodePassword,
        words: &["Node password rejected"],
        cause: "a node of this name is registered already with another password (reinstalled, or a duplicate name)",
        remedy: "on the server: k3s kubectl -n kube-system delete secret NAME.node-password.k3s",
    },
    Pattern {
        kind: Kind::Clock,
        words: &["certificate has expired or is not yet valid"],
        cause: "its clock and the server's differ",
        remedy: "look at `timedatectl` on both",
    },
    Pattern {
        kind: Kind::Unreachable,
        words: &["failed to get CA certs"],
        cause: "it does not reach the server on port 6443",
        remedy: "look at the mesh (`tailscale status`), at k3s on the server and at the server's firewall",
    },
    Pattern {
        kind: Kind::Interface,
        words: &["unable to find interface"],
        cause: "the interface that flannel is bound to does not exist",
        remedy: "look at cluster.interface in hosts/fleet.toml and at the mesh's service on the host",
    },
    Pattern {
        kind: Kind::TokenEmpty,
        words: &["--token is required"],
        cause: "its token file is empty",
        remedy: "`cargo xtask deploy` gives it the agent token again",
    },
    Pattern {
        kind: Kind::TokenMissing,
        words: &["to be available", "Waiting for /run/agenix"],
        cause: "its token was not decrypted on the host",
        remedy: "is the host a recipient of the secret? `cargo xtask check`",
    },
    Pattern {
        kind: Kind::DatastoreToken,
        words: &["bootstrap data already found and encrypted with different token"],
        cause: "the server's token was changed in the secret, and its datastore is encrypted with the old one",
        remedy: "put the old token back; rotation is `k3s token rotate`",
    },
    Pattern {
        kind: Kind::PasswdNewer,
        words: &["newer than datastore"],
        cause: "an agent token was added to a server that ran without one",
        remedy: "on the server: `k3s token rotate` to the unchanged server token",
    },
];

/// The newest cause in the journal's text, if one is known. `journal` is oldest line first.
pub fn diagnose(journal: &str) -> Option<Diagnosis> {
    journal.lines().rev().find_map(|line| {
        let fits = |pattern: &&Pattern| pattern.words.iter().all(|word| line.contains(word));
        let pattern = PATTERNS.iter().find(fits)?;
        let &Pattern { kind, cause, remedy, .. } = pattern;
        Some(Diagnosis { kind, cause, remedy, evidence: line.trim().to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_of_a_failed_join_is_told() {
        for (line, cause) in [
            (
                "Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from \
                 server: not authorized",
                "the server does not accept its token",
            ),
            (
                "Failed to validate connection to cluster at https://100.64.0.6:6443: failed to get CA certs: Get \
                 \\\"https://127.0.0.1:6444/cacerts\\\": EOF",
                "it does not reach the server on port 6443",
            ),
            (
                "Node password rejected, duplicate hostname or contents of",
                "a node of this name is registered",
            ),
            ("unable to find interface tailscale0", "the interface that flannel is bound to"),
        ] {
            let told = diagnose(&format!("level=info msg=starting\n{line}\nlevel=info msg=later")).unwrap();
            assert!(told.cause.starts_with(cause), "{told:?}");
            assert!(line.contains(&told.evidence[..20]));
        }
        assert_eq!(diagnose("level=info msg=\"all is well\""), None);
    }
}
