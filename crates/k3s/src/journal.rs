//! Why K3s does not come up, from its journal. An agent's unit is active all the while: only the log tells.
//!
//! Most of what K3s writes is noise of its parts: etcd's JSON at level info, lines of klog, the usage after a flag that it does
//! not know, one line for each deprecated flag. [`telling`] is the line that matters.

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
    /// How many lines say so.
    pub times: usize,
}

impl Diagnosis {
    /// No waiting mends it, and it was said more than once: K3s comes to the same end each time.
    pub fn is_certain(&self) -> bool {
        // etcd may just be letting the old member go.
        let enough = if matches!(self.kind, Kind::Repeated | Kind::Member) { REPEATED } else { 2 };
        self.kind.is_final() && self.times >= enough
    }
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
    /// The token begins with K10 and is none.
    TokenMalformed,
    /// K3s, or a component in it, does not know a flag that it was given.
    Flag,
    /// No container runtime answers at the socket.
    Containerd,
    /// The kubelet refuses a host with cgroup v1.
    Cgroup,
    /// etcd still has a member of the server's name, and the server has no data of it.
    Member,
    /// K3s ends with the same line each time; which one, the evidence says.
    Repeated,
}

impl Kind {
    /// Would it go on for as long as one waits?
    fn is_final(self) -> bool {
        !matches!(self, Self::Clock | Self::Unreachable | Self::TokenMissing | Self::Containerd)
    }
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
        kind: Kind::TokenEmpty,
        words: &["token must not be empty"],
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
    Pattern {
        kind: Kind::TokenMalformed,
        words: &["invalid token CA hash length"],
        cause: MALFORMED,
        remedy: "`cargo xtask deploy` copies the server's agent token and gives it to the agent again",
    },
    Pattern {
        kind: Kind::TokenMalformed,
        words: &["invalid token format"],
        cause: MALFORMED,
        remedy: "`cargo xtask deploy` copies the server's agent token and gives it to the agent again",
    },
    Pattern {
        kind: Kind::Flag,
        words: &["flag provided but not defined"],
        cause: "K3s does not know a flag that it is given",
        remedy: "look at services.k3s.extraFlags, and at what this version of K3s knows: `k3s server --help`, `k3s agent --help`",
    },
    Pattern {
        kind: Kind::Flag,
        words: &["unknown flag: "],
        cause: "a component of K3s does not know a flag that it is given",
        remedy: "look at --kubelet-arg and its like in services.k3s.extraFlags",
    },
    Pattern {
        kind: Kind::Cgroup,
        words: &["not run on a host using cgroup v1"],
        cause: "its kubelet refuses a host with cgroup v1",
        remedy: "boot it with cgroup v2, NixOS' own default; systemd.unified_cgroup_hierarchy=0 in boot.kernelParams turns it off",
    },
    Pattern {
        kind: Kind::Member,
        words: &["etcd cluster join failed", "duplicate node name found"],
        cause: "its etcd's data are gone, and etcd still counts it as a member",
        remedy: "on another server: k3s kubectl delete node NAME; it then joins by itself",
    },
    Pattern {
        kind: Kind::Containerd,
        words: &["dial unix", "containerd.sock"],
        cause: "it waits for containerd",
        remedy: "look at containerd's journal: journalctl -u containerd",
    },
];

const MALFORMED: &str = "its token begins with K10 and is none";
/// So often the same last line, and it will be so the next time.
const REPEATED: usize = 3;

/// The newest cause in the journal's text, if one is known; or else that K3s ends in the same way each time. `journal` is
/// oldest line first.
pub fn diagnose(journal: &str) -> Option<Diagnosis> {
    let known = journal.lines().rev().find_map(|line| Some((line, pattern(line)?)));
    if let Some((line, &Pattern { kind, cause, remedy, .. })) = known {
        let times = journal.lines().filter_map(pattern).filter(|pattern| pattern.kind == kind).count();
        return Some(Diagnosis { kind, cause, remedy, evidence: line.trim().to_owned(), times });
    }
    let last = journal.lines().rev().find(|line| rank(line) == Rank::End)?;
    let times =
        journal.lines().filter(|line| rank(line) == Rank::End && message(line) == message(last)).count();
    (times >= REPEATED).then(|| Diagnosis {
        kind: Kind::Repeated,
        cause: "K3s ends with the same error each time",
        remedy: "look at its journal, and at what was changed last",
        evidence: last.trim().to_owned(),
        times,
    })
}

fn pattern(line: &str) -> Option<&'static Pattern> {
    PATTERNS.iter().find(|pattern| pattern.words.iter().all(|word| line.contains(word)))
}

/// How much a line says about why K3s is not up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Of a component, of systemd, a usage, a deprecation.
    Noise,
    /// K3s says what it does.
    Step,
    Error,
    /// It ends because of this.
    End,
}

fn rank(line: &str) -> Rank {
    let level = |level: &str| line.contains(&format!("level={level} "));
    let is_components = line.contains("exited: ") && level("error");
    if level("fatal") || is_components || line.starts_with("Error: ") {
        Rank::End
    } else if level("error") {
        Rank::Error
    } else if level("warning") || level("info") {
        Rank::Step
    } else {
        Rank::Noise
    }
}

/// What K3s itself last said that matters: of the lines since its last start why it ended, else its newest error, else what
/// it does. Without the time in front.
pub fn telling(journal: &str) -> Option<&str> {
    let lines = || journal.lines().rev().filter(|line| !line.contains(SIGNAL));
    let newest = |wanted: Rank| lines().find(|line| rank(line) == wanted);
    newest(Rank::End).or_else(|| newest(Rank::Error)).or_else(|| newest(Rank::Step)).map(message)
}

/// What systemd says about a unit stands among the unit's own lines, and says less.
pub fn is_systemds(line: &str, unit: &str) -> bool {
    let said = ["Starting ", "Started ", "Stopping ", "Stopped ", "Failed to start "];
    let about = |said: &&str| line.strip_prefix(*said).is_some_and(|rest| rest.starts_with(unit));
    line.strip_prefix(unit).is_some_and(|rest| rest.starts_with(": ")) || said.iter().any(about)
}

/// A stop that somebody asked for is no error of K3s'.
const SIGNAL: &str = "signal received: ";

/// The text of a line `time="…" level=… msg="…"`, as it is; of any other the whole line.
fn message(line: &str) -> &str {
    let said = line.split_once("msg=").map_or(line, |(_, said)| said).trim();
    said.strip_prefix('"').and_then(|said| said.rsplit_once('"')).map_or(said, |(said, _)| said)
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
            assert!(!told.is_certain(), "it was said once");
        }
        assert_eq!(diagnose("level=info msg=\"all is well\""), None);
    }

    /// As K3s 1.35.4 wrote it.
    const KUBELET: &str = "\
time=\"2026-11-29T13:29:18Z\" level=info msg=\"Connecting to proxy\" url=\"wss://100.64.0.6:6443/v1-k3s/connect\"
Flag --fail-swap-on has been deprecated, This parameter should be set via the config file
Error: failed to parse kubelet flag: unknown flag: --no-such-flag
time=\"2026-11-29T13:29:18Z\" level=error msg=\"kubelet exited: failed to parse kubelet flag: unknown flag: --no-such-flag\"
k3s.service: Main process exited, code=exited, status=1/FAILURE
k3s.service: Failed with result 'exit-code'.
";

    #[test]
    fn the_line_that_matters_is_found_among_noise() {
        assert_eq!(
            telling(KUBELET),
            Some("kubelet exited: failed to parse kubelet flag: unknown flag: --no-such-flag")
        );
        let etcd = "time=\"x\" level=info msg=\"Starting etcd\"\n{\"level\":\"info\",\"msg\":\"raft\"}\n\
                    I1129 13:22:07.635329     299 cidrallocator.go:278] updated";
        assert_eq!(telling(etcd), Some("Starting etcd"));
        let usage = "time=\"x\" level=fatal msg=\"flag provided but not defined: -x\"\n   --docker  (agent/runtime)\n";
        assert_eq!(telling(usage), Some("flag provided but not defined: -x"));
        let stopped = "time=\"x\" level=info msg=\"it runs\"\ntime=\"x\" level=warning msg=\"signal received: terminated\"";
        assert_eq!((telling(stopped), telling("")), (Some("it runs"), None));
    }

    #[test]
    fn what_no_waiting_mends_is_certain_once_it_was_said_again() {
        // K3s logs this twice in one start: as the component's error, and as its own.
        let told = diagnose(KUBELET).unwrap();
        assert_eq!((told.kind, told.is_certain()), (Kind::Flag, true));
        let malformed = "time=\"x\" level=error msg=\"invalid token CA hash length\"\n";
        assert!(!diagnose(malformed).unwrap().is_certain());
        assert!(diagnose(&malformed.repeat(2)).unwrap().is_certain());
        let twice = "time=\"x\" level=fatal msg=\"etcd cluster join failed: duplicate node name found, please use a unique name for \
                     this node\"\n";
        assert!(!diagnose(&twice.repeat(2)).unwrap().is_certain());
        assert!(diagnose(&twice.repeat(3)).unwrap().is_certain());
        // The server may come.
        let unreachable = "level=error msg=\"failed to get CA certs: EOF\"\n";
        assert!(!diagnose(&unreachable.repeat(9)).unwrap().is_certain());
    }

    #[test]
    fn the_same_end_for_the_third_time_is_certain_whatever_it_is() {
        let end = |second: u8| {
            format!("time=\"2026-11-29T13:29:1{second}Z\" level=fatal msg=\"nobody knows why\"\n")
        };
        let twice = format!("{}{}", end(1), end(2));
        assert_eq!(diagnose(&twice), None);
        let told = diagnose(&format!("{twice}{}", end(3))).unwrap();
        assert_eq!((told.kind, told.is_certain()), (Kind::Repeated, true));
        assert!(told.evidence.ends_with("msg=\"nobody knows why\""));
    }
}
