//! All that a host says about itself at a glance: one script over the session at hand, since twenty logins and commands a
//! host would make `status` slow and a watched one a burden. What it prints is read by a pure function.
//!
//! Nothing is changed by looking, and no lock is tried: trying one would refuse a deploy that comes at that moment.

use std::collections::BTreeMap;

use agenix::secrecy::{ExposeSecret, SecretSlice, SecretString};
use fleet::{Host, Role};
use k3s::certificate::{self, Certificate};
use k3s::node::{self, Node};
use k3s::unit::{self, Unit};
use remote::RunError;
use remote::ssh::Session;

use super::{host, lock, rollback, secret};
use crate::failure::Result;

/// Sections, each under a line `== NAME`. `$1` is the token to make a digest of with the salt on standard input, `$2` says
/// whether the nodes are asked for. Whatever fails leaves its section empty; but kubectl, where the API server gives no nodes, prints a
/// list of none.
const SCRIPT: &str = "\
export LC_ALL=C
digest() { { cat; password_of \"$(tr -d '[:space:]' < \"$1\")\"; } 2> /dev/null | sha256sum; }
tell() { printf '== %s\\n' \"$1\"; }
tell token; if [ -s \"$1\" ]; then digest \"$1\"; fi
exec < /dev/null
tell clock; date +%s
tell running; readlink -e /run/current-system
tell boot; readlink -e PROFILE
tell booted; readlink -e /run/booted-system
kernel() { (cd \"$1\" && readlink -e kernel initrd kernel-modules); }
tell kernel; kernel /run/booted-system 2> /dev/null
tell next-kernel; kernel PROFILE 2> /dev/null
tell generations; find PROFILE-*-link -maxdepth 0 -printf '%f %T@ %l\\n' 2> /dev/null
tell unit; systemctl show TIMESTAMP --property UNIT_PROPERTIES UNITS
tell failed; systemctl list-units --state=failed --plain --no-legend --no-pager
tell rollback; systemctl is-active ROLLBACK
tell holder; HOLDER
if command -v k3s > /dev/null; then
  tell version; timeout 10 k3s --version
  tell certificates; timeout 20 k3s certificate check 2>&1
  if [ \"$2\" = nodes ]; then
    tell nodes; { said=$(timeout 20 GET_NODES --request-timeout 15s 2>&1 >&3); } 3>&1 || failed=1
    tell nodes-error; printf '%s\\n' \"$said\"
    if [ -n \"$failed\" ]; then tell nodes-failed; fi
  fi
fi
tell end";

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The host's own clock, in seconds since 1970.
    pub(crate) clock: u64,
    /// Store paths; `None` where there is none.
    pub(crate) running: Option<String>,
    pub(crate) boot: Option<String>,
    pub(crate) booted: Option<String>,
    /// The next boot has another kernel, initrd or modules than the last one.
    pub(crate) other_kernel: bool,
    pub(crate) generations: Vec<Kept>,
    pub(crate) unit: Option<Unit>,
    pub(crate) failed: Vec<String>,
    /// It goes back by itself unless a deploy disarms it, or does so just now.
    pub(crate) rollback: bool,
    /// Who is deploying it.
    pub(crate) holder: Option<String>,
    /// Of the K3s that would start there: `v1.34.2+k3s1`.
    pub(crate) version: Option<String>,
    /// Keyed by this look's salt. `None`: there is no token, or an empty one.
    pub(crate) token: Option<String>,
    pub(crate) certificates: Vec<Certificate>,
    /// Asked for on servers that have K3s; what the API server says instead, where it gives none.
    pub(crate) nodes: Option<std::result::Result<Vec<Node>, String>>,
}

/// A system that the host can go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) number: u32,
    /// Seconds since 1970.
    pub(crate) made: u64,
    pub(crate) system: String,
}

impl Seen {
    /// The generation that runs: the newest one of that system.
    pub(crate) fn generation(&self) -> Option<&Kept> {
        let running = self.running.as_deref()?;
        let of_it = self.generations.iter().filter(|generation| generation.system == running);
        of_it.max_by_key(|generation| generation.number)
    }
}

/// Looks at a host. Tokens of one salt can be compared: an agent's own, and on a server the one that it hands out.
pub(crate) fn look(host: &Host, session: &Session, salt: &SecretString) -> Result<Seen> {
    let token = match host.role {
        Some(Role::Server) => k3s::AGENT_TOKEN,
        Some(Role::Agent) => secret::AGENT_SECRET,
        None => "",
    };
    let salt = SecretSlice::from(salt.expose_secret().as_bytes().to_vec());
    let nodes = if host.role == Some(Role::Server) { "nodes" } else { "" };
    let said = session.run_with_input(["sh", "-c", &script(), "sh", token, nodes], salt)?.text();
    let lost = || RunError::OutputLost { command: format!("the look at {}", host.name) };
    Ok(parse(&said).ok_or_else(lost)?)
}

fn script() -> String {
    let rollback = format!("{} {}", rollback::TIMER, rollback::SERVICE);
    [
        ("PROFILE", host::PROFILE),
        ("TIMESTAMP", unit::TIMESTAMP),
        ("GET_NODES", &node::GET.join(" ")),
        ("UNIT_PROPERTIES", unit::PROPERTIES),
        ("UNITS", &unit::CANDIDATES.join(" ")),
        ("ROLLBACK", &rollback),
        ("HOLDER", lock::HOLDER),
    ]
    .iter()
    .fold(format!("{}{SCRIPT}", k3s::login::PASSWORD_OF), |script, (name, value)| script.replace(name, value))
}

/// `None` unless it is whole.
fn parse(text: &str) -> Option<Seen> {
    // Some of it is shown on a terminal, and a host is not trusted with that.
    let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let sections = sections(&text);
    sections.get("end")?;
    let section = |name: &str| sections.get(name).map_or("", |text| text.trim());
    let some = |name: &str| Some(section(name).to_owned()).filter(|text| !text.is_empty());
    let word = |line: &str| line.split_whitespace().next().map(str::to_owned);
    Some(Seen {
        clock: section("clock").parse().ok()?,
        running: some("running"),
        boot: some("boot"),
        booted: some("booted"),
        other_kernel: sections.get("kernel") != sections.get("next-kernel")
            && some("kernel").is_some()
            && some("next-kernel").is_some(),
        generations: section("generations").lines().filter_map(generation).collect(),
        unit: unit::parse(section("unit")),
        failed: section("failed").lines().filter_map(word).collect(),
        rollback: section("rollback")
            .lines()
            .any(|state| !["inactive", "failed", "unknown"].contains(&state)),
        holder: some("holder"),
        version: version(section("version")),
        token: some("token"),
        certificates: certificate::parse(section("certificates")),
        nodes: sections.contains_key("nodes").then(|| {
            let list = if sections.contains_key("nodes-failed") { "" } else { section("nodes") };
            nodes(list, section("nodes-error"))
        }),
    })
}

/// What stands under each line `== NAME`.
pub(super) fn sections(text: &str) -> BTreeMap<&str, String> {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(next) = line.strip_prefix("== ") {
            name = next;
            sections.entry(name).or_default();
        } else {
            *sections.entry(name).or_default() += &format!("{line}\n");
        }
    }
    sections
}

/// `system-12-link 1700000000.0000000000 /nix/store/…`
fn generation(line: &str) -> Option<Kept> {
    let mut words = line.splitn(3, ' ');
    let number = words.next()?.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok()?;
    let made = words.next()?.split('.').next()?.parse().ok()?;
    Some(Kept { number, made, system: words.next()?.to_owned() })
}

/// `k3s version v1.34.2+k3s1 (abcdef01)`, then Go's.
fn version(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("k3s version ")?.split(' ').next().map(str::to_owned))
}

fn nodes(list: &str, error: &str) -> std::result::Result<Vec<Node>, String> {
    let said = || error.lines().last().unwrap_or("it gives no answer").to_owned();
    node::parse_list(list.as_bytes())
        .map_err(|problem| if list.is_empty() { said() } else { problem.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCEAN: &str = "\
== token
0123  -
== clock
1700000600
== running
/nix/store/b-nixos-system-ocean
== boot
/nix/store/b-nixos-system-ocean
== booted
/nix/store/a-nixos-system-ocean
== kernel
/nix/store/k-linux-6.12/bzImage
== next-kernel
/nix/store/k-linux-6.12/bzImage
== generations
system-9-link 1699990000.1234567890 /nix/store/a-nixos-system-ocean
system-10-link 1700000000.1234567890 /nix/store/b-nixos-system-ocean
== unit
Id=k3s.service
LoadState=loaded
ActiveState=active
SubState=running
Result=success

Id=k3s-agent.service
LoadState=not-found
== failed
foo.service loaded failed failed A foo \u{1b}[31m== of a kind
== rollback
active
inactive
== holder
somebody on laptop, process 12, since 2026-01-02T03:04:05Z
== version
k3s version v1.34.2+k3s1 (abcdef01)
go version go1.24.9
== certificates
time=\"2026-01-01T00:00:00Z\" level=warning msg=\"a.crt: certificate x (ServerAuth) will expire within 120 days at 2026-03-01T00:00:00Z\"
== nodes
{\"items\":[{\"metadata\":{\"name\":\"ocean\"}}]}
== nodes-error

== end
";

    #[test]
    fn what_a_server_says_is_read() {
        let seen = parse(OCEAN).unwrap();
        assert_eq!((seen.clock, seen.token.as_deref()), (1_700_000_600, Some("0123  -")));
        let generation = Kept { number: 10, made: 1_700_000_000, system: seen.running.clone().unwrap() };
        assert_eq!((seen.generations.len(), seen.generation()), (2, Some(&generation)));
        assert_eq!((seen.booted != seen.running, seen.other_kernel), (true, false));
        assert_eq!(seen.unit.map(|unit| unit.id).as_deref(), Some("k3s.service"));
        assert_eq!((seen.failed, seen.rollback), (vec!["foo.service".to_owned()], true));
        assert!(seen.holder.unwrap().starts_with("somebody on laptop"));
        assert_eq!(seen.version.as_deref(), Some("v1.34.2+k3s1"));
        assert_eq!(seen.certificates.len(), 1);
        assert_eq!(seen.nodes.unwrap().unwrap()[0].name, "ocean");
    }

    #[test]
    fn a_reboot_is_due_for_another_kernel_only() {
        let newer =
            OCEAN.replace("next-kernel\n/nix/store/k-linux-6.12", "next-kernel\n/nix/store/l-linux-6.13");
        assert!(parse(&newer).unwrap().other_kernel);
        // A container boots none.
        assert!(!parse(&newer.replace("/nix/store/k-linux-6.12/bzImage", "")).unwrap().other_kernel);
    }

    #[test]
    fn what_is_missing_is_missing() {
        let seen = parse(
            "== token\n== clock\n1700000600\n== running\n== boot\n== rollback\ninactive\ninactive\n== end",
        )
        .unwrap();
        assert!(seen.running.is_none() && seen.generation().is_none() && seen.unit.is_none());
        assert!(seen.token.is_none() && !seen.rollback && seen.nodes.is_none() && !seen.other_kernel);
        let silent =
            "== clock\n1\n== nodes\n== nodes-error\nE1 memcache.go\nThe connection was refused\n== end\n";
        assert_eq!(parse(silent).unwrap().nodes, Some(Err("The connection was refused".to_owned())));
        // kubectl's list of none, where the API server gave no nodes in time.
        let none = "== clock\n1\n== nodes\n{\"items\":[],\"kind\":\"List\"}\n== nodes-error\n";
        let timed_out =
            format!("{none}Error from server (Timeout): request timed out\n== nodes-failed\n== end\n");
        let said = "Error from server (Timeout): request timed out".to_owned();
        assert_eq!(parse(&timed_out).unwrap().nodes, Some(Err(said)));
        let silent = format!("{none}\n== nodes-failed\n== end\n");
        assert_eq!(parse(&silent).unwrap().nodes, Some(Err("it gives no answer".to_owned())));
        assert!(parse(&OCEAN[..OCEAN.len() - 4]).is_none(), "cut off");
    }

    #[test]
    fn a_host_cannot_draw_on_the_terminal() {
        let seen = parse("== clock\n1\n== holder\nme\u{1b}[2J\r\n== end").unwrap();
        assert_eq!(seen.holder.as_deref(), Some("me[2J"));
    }

    #[test]
    fn the_script_is_whole() {
        let script = script();
        assert!(!script.contains("PROFILE") && !script.contains("HOLDER") && !script.contains("ROLLBACK"));
        assert!(!script.contains("UNIT") && !script.contains("TIMESTAMP"), "{script}");
    }
}
