//! Versions of K3s, and which may follow which.
//!
//! Kubernetes' rules: a server goes up by one minor version at a time and never down, since its datastore does not; the
//! servers are at most one minor version apart; a kubelet is never newer than the API server that it may talk to, and at
//! most three minor versions older.

use std::fmt;

/// The oldest kubelet that servers bear with, in minor versions.
const KUBELET_LAG: u32 = 3;

/// `1.34.2+k3s1`. What a pre-release adds is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    /// K3s' own revision of it.
    k3s: u32,
}

/// The oldest K3s that this project operates: the first one in whose own release all is there that it relies on.
///
/// - the condition `EtcdIsVoter` on Nodes, by which a majority is counted: 1.28.4;
/// - `k3s token rotate` and its request, by which a server's token is changed: 1.28.3;
/// - agents that come back by their kubelet's certificate, so that a token can change before all of them have it: 1.26.2;
/// - the file `server/agent-token`, and an answer at `server-bootstrap` on sqlite, by which tokens are copied and tried.
pub const OLDEST: Version = Version { major: 1, minor: 28, patch: 4, k3s: 1 };

impl Version {
    /// Reads what a Node says (`v1.34.2+k3s1`), or the name of a package (`k3s-1.34.2+k3s1`).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches("k3s-").trim_start_matches('v');
        let (version, build) = text.split_once('+').unwrap_or((text, ""));
        let version = version.split('-').next().unwrap_or_default();
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (major, minor, patch) = (next()?, next()?, next().unwrap_or(0));
        let k3s = build.strip_prefix("k3s").and_then(|k3s| k3s.parse().ok()).unwrap_or(0);
        Some(Self { major, minor, patch, k3s })
    }

    /// Reads what `k3s --version` prints: `k3s version v1.34.2+k3s1 (abcdef01)`, then Go's.
    pub fn said(text: &str) -> Option<Self> {
        let said = text.lines().find_map(|line| line.strip_prefix("k3s version "))?;
        Self::parse(said.split(' ').next()?)
    }

    /// Is it older than [`OLDEST`]? What K3s itself made of a release does not matter.
    pub fn is_too_old(self) -> bool {
        (self.line(), self.patch) < (OLDEST.line(), OLDEST.patch)
    }

    /// Its kubelet ends on a host with cgroup v1 unless it is told not to.
    pub(crate) fn fails_on_cgroup_v1(self) -> bool {
        self.line() >= (1, 35)
    }

    fn line(self) -> (u32, u32) {
        (self.major, self.minor)
    }

    /// How many minor versions it is ahead of the other; none if it is behind.
    fn ahead(self, other: Self) -> u32 {
        if self.major == other.major { self.minor.saturating_sub(other.minor) } else { u32::MAX }
    }

    /// As nixpkgs calls the package.
    fn package(self) -> String {
        format!("pkgs.k3s_{}_{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+k3s{}", self.major, self.minor, self.patch, self.k3s)
    }
}

/// A node's version now, and the one that it is to get.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Its name.
    pub host: &'a str,
    /// Servers come before agents, whatever their order here.
    pub is_server: bool,
    /// `None` where K3s never ran.
    pub runs: Option<Version>,
    /// `None` for a node that stays as it is.
    pub built: Option<Version>,
}

/// A version that may not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The host, both versions, and what is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// Why this project does not operate a host's K3s, if it is too old.
pub fn unsupported(host: &str, runs: Version) -> Option<Refusal> {
    too_old(host, "runs", runs).map(|what| Refusal {
        what,
        hint: format!(
            "upgrade it to {OLDEST} or newer first, servers before agents, one minor version after the other: \
             https://docs.k3s.io/upgrades/manual"
        ),
    })
}

fn too_old(host: &str, verb: &str, version: Version) -> Option<String> {
    let what = || format!("{host} {verb} K3s {version}; cargo xtask supports {OLDEST} and newer");
    version.is_too_old().then(what)
}

/// Of a node that changes counts what it will run, and of a server also whether it gets there from what it runs. A server that
/// stays as it is will be asked about the others.
fn age_refusal(node: &Change<'_>) -> Option<Refusal> {
    let far = |built: Version, runs: Version| built.is_too_old() || node.is_server && built.ahead(runs) > 1;
    match (node.built, node.runs.filter(|runs| runs.is_too_old())) {
        (Some(built), Some(runs)) if far(built, runs) => unsupported(node.host, runs),
        (Some(built), _) => too_old(node.host, "would run", built).map(|what| Refusal {
            what,
            hint: "give it a newer one: services.k3s.package = pkgs.k3s".to_owned(),
        }),
        (None, Some(runs)) if node.is_server => unsupported(node.host, runs),
        (None, _) => None,
    }
}

/// What is wrong with changing these nodes: servers one after the other in this order, then agents. At most one refusal a
/// node.
pub fn refusals(nodes: &[Change<'_>]) -> Vec<Refusal> {
    // The other rules' advice leads through versions that are not supported.
    let too_old: Vec<Refusal> = nodes.iter().filter_map(age_refusal).collect();
    if !too_old.is_empty() {
        return too_old;
    }
    let (mut servers, agents): (Vec<Change<'_>>, Vec<Change<'_>>) =
        nodes.iter().copied().partition(|node| node.is_server);
    let mut refused = Vec::new();
    for at in 0..servers.len() {
        let Some(built) = servers[at].built else { continue };
        let others = servers.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<Version> = others.filter_map(|(_, other)| other.runs).collect();
        refused.extend(server_refusal(&servers[at], built, &others));
        // The servers behind it in the plan meet it as it will be.
        servers[at].runs = Some(built);
    }
    let versions = || servers.iter().filter_map(|server| server.runs);
    if let (Some(lowest), Some(highest)) = (versions().min(), versions().max()) {
        refused.extend(agents.iter().filter_map(|agent| agent_refusal(agent, lowest, highest)));
    }
    refused
}

fn server_refusal(server: &Change<'_>, built: Version, others: &[Version]) -> Option<Refusal> {
    let host = server.host;
    if let Some(runs) = server.runs {
        if built < runs {
            return Some(Refusal {
                what: format!(
                    "{host} runs K3s {runs} and would go back to {built}; its datastore does not go back"
                ),
                hint: format!("give it what it runs, or newer: services.k3s.package = {}", runs.package()),
            });
        }
        if built.ahead(runs) > 1 {
            let next = Version { minor: runs.minor + 1, ..runs };
            return Some(Refusal {
                what: format!(
                    "{host} runs K3s {runs} and would get {built}; no minor version may be skipped"
                ),
                hint: format!(
                    "deploy {}.{} first, to all servers: services.k3s.package = {}",
                    next.major,
                    next.minor,
                    next.package()
                ),
            });
        }
    }
    let far = others.iter().find(|other| built.ahead(**other) > 1 || other.ahead(built) > 1)?;
    Some(Refusal {
        what: format!(
            "{host} would run K3s {built} beside a server at {far}; servers are at most one minor version apart"
        ),
        hint: "bring all servers to one version before the next".to_owned(),
    })
}

fn agent_refusal(agent: &Change<'_>, lowest: Version, highest: Version) -> Option<Refusal> {
    let host = agent.host;
    if let Some(built) = agent.built.filter(|built| built.line() > lowest.line()) {
        return Some(Refusal {
            what: format!("{host} would run K3s {built}, newer than a server, which will be at {lowest}"),
            hint: format!(
                "deploy the servers with it first, or give {host} theirs: services.k3s.package = {}",
                lowest.package()
            ),
        });
    }
    let old = |version: Version| highest.ahead(version) > KUBELET_LAG;
    let (verb, version, hint) = match (agent.built.filter(|built| old(*built)), agent.runs) {
        (Some(built), _) => {
            ("would run", built, format!("give it a newer one: services.k3s.package = {}", lowest.package()))
        }
        // Also where it gets a newer one: that comes after the servers.
        (None, Some(runs)) if old(runs) => {
            ("runs", runs, format!("deploy {host} first, with a version that the servers run already"))
        }
        _ => return None,
    };
    Some(Refusal {
        what: format!(
            "{host} {verb} K3s {version}, more than {KUBELET_LAG} minor versions older than a server, which will be at \
             {highest}"
        ),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    /// `server ocean 1.34.2 1.35.1`; `-` for none.
    fn told(nodes: &[&str]) -> Vec<String> {
        let words: Vec<Vec<&str>> = nodes.iter().map(|node| node.split(' ').collect()).collect();
        let changes: Vec<Change<'_>> = words
            .iter()
            .map(|word| Change {
                host: word[1],
                is_server: word[0] == "server",
                runs: Version::parse(word[2]),
                built: Version::parse(word[3]),
            })
            .collect();
        refusals(&changes).into_iter().map(|refusal| refusal.what).collect()
    }

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!(version("v1.34.2+k3s1"), version("k3s-1.34.2+k3s1"));
        assert_eq!(version("v1.34.2-rc1+k3s2").to_string(), "1.34.2+k3s2");
        assert!(version("1.9.9+k3s9") < version("1.10.0+k3s1"));
        assert!(version("1.34.2+k3s1") < version("1.34.2+k3s2"));
        assert_eq!((Version::parse(""), Version::parse("k3s"), Version::parse("v1")), (None, None, None));
    }

    #[test]
    fn a_server_goes_up_one_minor_version_at_a_time_and_never_down() {
        assert_eq!(told(&["server ocean 1.34.2 1.35.1"]), [""; 0]);
        assert_eq!(told(&["server ocean - 1.35.1", "agent maia - 1.35.1"]), [""; 0]);
        assert_eq!(
            told(&["server ocean 1.33.5+k3s1 1.35.1+k3s1"]),
            ["ocean runs K3s 1.33.5+k3s1 and would get 1.35.1+k3s1; no minor version may be skipped"]
        );
        assert_eq!(
            told(&["server ocean 1.34.2+k3s2 1.34.2+k3s1"]),
            ["ocean runs K3s 1.34.2+k3s2 and would go back to 1.34.2+k3s1; its datastore does not go back"]
        );
    }

    #[test]
    fn a_k3s_that_is_too_old_is_told_before_anything_else() {
        let old = "runs K3s 1.21.3+k3s1; cargo xtask supports 1.28.4+k3s1 and newer";
        let ocean = [format!("ocean {old}")];
        assert_eq!(told(&["server ocean 1.21.3+k3s1 1.21.3+k3s1", "agent maia - 1.35.1"]), ocean);
        // Not "deploy 1.22 first", which is not supported either.
        assert_eq!(told(&["server ocean 1.21.3+k3s1 1.35.1"]), ocean);
        // It stays as it is, and will be asked about maia.
        assert_eq!(told(&["server ocean 1.21.3+k3s1 -", "agent maia 1.21.3 1.35.1"]), ocean);
        assert_eq!(
            told(&["server ocean - 1.28.3+k3s2"]),
            ["ocean would run K3s 1.28.3+k3s2; cargo xtask supports 1.28.4+k3s1 and newer"]
        );
        assert_eq!(
            told(&["agent maia 1.21.3+k3s1 1.21.3+k3s1", "server ocean 1.28.4 -"]),
            [format!("maia {old}")]
        );
        // The step into what is supported; an agent that nobody touches.
        assert_eq!(told(&["server ocean 1.27.16 1.28.4", "agent maia 1.27.16 -"]), [""; 0]);
        assert!(!version("1.28.4-rc1").is_too_old() && version("1.28.3+k3s9").is_too_old());
        assert_eq!(unsupported("ocean", OLDEST), None);
    }

    #[test]
    fn what_a_program_says_of_itself_is_read() {
        let said = "k3s version v1.21.3+k3s1 (1d1f220f)\ngo version go1.16.6\n";
        assert_eq!(Version::said(said), Version::parse("1.21.3+k3s1"));
        assert_eq!((Version::said(""), Version::said("k3s: not found")), (None, None));
    }

    #[test]
    fn servers_are_at_most_one_minor_version_apart() {
        // Each meets those before it as they will be.
        assert_eq!(told(&["server a 1.34.2 1.35.1", "server b 1.34.2 1.35.1"]), [""; 0]);
        assert_eq!(
            told(&["server a 1.34.2 1.35.1", "server b 1.33.5 -"]),
            [
                "a would run K3s 1.35.1+k3s0 beside a server at 1.33.5+k3s0; servers are at most one minor version apart"
            ]
        );
        assert_eq!(told(&["server a 1.35.1 -", "server new - 1.33.5"]).len(), 1);
    }

    #[test]
    fn a_kubelet_is_never_newer_and_at_most_three_minor_versions_older() {
        let both = ["server ocean 1.34.2 1.35.1", "agent maia 1.34.2 1.35.1"];
        assert_eq!(told(&both), [""; 0]);
        assert_eq!(
            told(&["server ocean 1.34.2 -", "agent maia 1.34.2 1.35.1"]),
            ["maia would run K3s 1.35.1+k3s0, newer than a server, which will be at 1.34.2+k3s0"]
        );
        // One server of three is left behind: the kubelet may talk to that one.
        assert_eq!(
            told(&["server a 1.34.2 1.35.1", "server b 1.34.2 -", "agent maia 1.34.2 1.35.1"]).len(),
            1
        );
        assert_eq!(told(&["server ocean 1.34.2 1.35.1", "agent maia 1.32.1 -"]), [""; 0]);
        assert_eq!(
            told(&["server ocean 1.34.2 1.35.1", "agent maia 1.31.1 -"]),
            [
                "maia runs K3s 1.31.1+k3s0, more than 3 minor versions older than a server, which will be at 1.35.1+k3s0"
            ]
        );
        assert_eq!(told(&["server ocean 1.35.1 -", "agent new - 1.31.1"]).len(), 1);
        // An agent that is newer by itself is nobody's plan.
        assert_eq!(told(&["server ocean 1.34.2 -", "agent maia 1.35.1 -"]), [""; 0]);
    }
}
