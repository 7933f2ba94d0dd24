//! What the scripts printed, as facts. Pure; what does not parse is not seen, and never a finding.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet::Role;
use k3s::Version;
use k3s::login::{self, Account, Answer};
use k3s::start::Settings;
use serde_json::Value;

use super::facts::{
    Certificate, CniFile, Datastore, HostFacts, K3sFacts, NodeFacts, Probe, Room, SecretFile, ServerFacts,
    Tailscale, TokenForm, Unanswered,
};

/// `== name`, then its lines.
struct Sections<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Sections<'a> {
    fn of(text: &'a str) -> Self {
        let mut sections = BTreeMap::<_, Vec<_>>::new();
        let mut name = "";
        for line in text.lines() {
            match line.strip_prefix("== ") {
                Some(next) => name = next,
                None => sections.entry(name).or_default().push(line),
            }
        }
        Self(sections)
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let lines = self.0.get(name).cloned().unwrap_or_default();
        lines.into_iter().map(str::trim).filter(|line| !line.is_empty())
    }

    fn first(&self, name: &str) -> Option<&'a str> {
        self.lines(name).next()
    }

    fn text(&self, name: &str) -> String {
        self.lines(name).collect::<Vec<_>>().join("\n")
    }
}

/// `window`: our clock before the host was asked, and when its answer was there.
pub(super) fn host(text: &str, role: Option<Role>, window: (SystemTime, SystemTime)) -> HostFacts {
    let said = Sections::of(text);
    let mut systems = said.lines("systems");
    let mut system = |link: &str| systems.next().filter(|target| *target != link).map(str::to_owned);
    HostFacts {
        clock: said.first("clock").and_then(|seconds| offset(seconds.parse().ok()?, window)),
        rooms: said.lines("room").filter_map(room).collect(),
        failed_units: said
            .lines("failed")
            .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
            .collect(),
        rollback_armed: said.lines("timer").any(|state| ["active", "activating"].contains(&state)),
        running: system("/run/current-system"),
        boot: system("/nix/var/nix/profiles/system"),
        interfaces: said.lines("interfaces").map(str::to_owned).collect(),
        addresses: said.lines("addresses").filter_map(address).collect(),
        tailscale: tailscale(&said),
        containerd: containerd(&said),
        cni: said.lines("cni").filter_map(cni).min_by_key(|file| file.age),
        firewall: Some(said.text("firewall")).filter(|rules| !rules.is_empty()),
        k3s: role.map(|role| k3s(&said, role, window.1)),
    }
}

/// How far the host's second lies outside of the window in which it was read.
fn offset(theirs: i64, (asked, answered): (SystemTime, SystemTime)) -> Option<i64> {
    let seconds = |at: SystemTime| i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok();
    let (asked, answered) = (seconds(asked)?, seconds(answered)?);
    Some((theirs - answered).max(0) + (theirs - asked).min(0))
}

/// `path avail iavail itotal mount`
fn room(line: &str) -> Option<Room> {
    let mut words = line.split_whitespace();
    let path = words.next()?.to_owned();
    let bytes = words.next()?.parse().ok()?;
    let (free, all) = (words.next()?.parse::<u64>(), words.next()?.parse::<u64>());
    let inodes = free.ok().filter(|_| all.is_ok_and(|all| all > 0));
    Some(Room { path, bytes, inodes, mount: words.collect::<Vec<_>>().join(" ") })
}

/// `2: tailscale0    inet 100.64.0.5/10 scope …`
fn address(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace().skip_while(|word| !["inet", "inet6"].contains(word));
    let address: IpAddr = words.nth(1)?.split('/').next()?.parse().ok()?;
    Some(address).filter(|address| !address.is_loopback())
}

/// The socket's file outlives containerd, so its unit is looked at, too.
fn containerd(said: &Sections) -> Option<String> {
    let state = said.first("containerd")?;
    let has_socket = said.lines("containerd").any(|line| line == "socket");
    match state {
        "active" if has_socket => None,
        "active" => Some("/run/containerd/containerd.sock does not exist".to_owned()),
        state => Some(format!("containerd.service: {state}")),
    }
}

/// The unit's state, then tailscale's own, which tells of one that was logged out.
fn tailscale(said: &Sections) -> Tailscale {
    match said.first("tailscale") {
        None => return Tailscale::Unseen,
        Some("active") => {}
        Some(state) => return Tailscale::Down(state.to_owned()),
    }
    let json = said.lines("tailscale").skip(1).collect::<String>();
    let state = serde_json::from_str::<Value>(&json).ok();
    match state.as_ref().and_then(|state| state["BackendState"].as_str()) {
        None | Some("Running") => Tailscale::Up,
        Some(state) => Tailscale::Down(state.to_owned()),
    }
}

fn k3s(said: &Sections, role: Role, now: SystemTime) -> K3sFacts {
    let server = (role == Role::Server).then(|| ServerFacts {
        token: said.first("server-token").map(str::to_owned),
        agent_token: said.first("agent-token").map(str::to_owned),
        agent_token_is_link: said.first("agent-token-kind") == Some("symbolic link"),
        ca: said.text("ca") + "\n",
        ca_hash: ca_hash(said),
        readyz: said.text("readyz"),
        datastore: datastore(said),
    });
    K3sFacts {
        secret: said.first("secret").and_then(secret),
        token: said.first("token").and_then(form),
        digest: said.first("digest").map(str::to_owned),
        version: Version::said(&said.text("version")),
        settings: settings(said),
        certificates: said.lines("certificates").filter_map(|line| certificate(line, now)).collect(),
        server,
        ..K3sFacts::default()
    }
}

fn datastore(said: &Sections) -> Datastore {
    let has = |what: &str| said.lines("datastore").any(|line| line == what);
    // curl could not connect, or was not answered.
    let answer = |line: &str| {
        let (url, code) = line.rsplit_once(' ')?;
        Some((url.to_owned(), reached(code.parse().ok()?)))
    };
    Datastore {
        ran: has("ran"),
        has_etcd: has("etcd"),
        has_sqlite: has("sqlite"),
        member: said.first("member").map(str::to_owned),
        leader: k3s::etcd::health(&said.text("etcd")),
        members: k3s::etcd::members(&said.text("members")),
        answers: said.lines("answers").filter_map(answer).collect(),
    }
}

/// `flannel-backend: none`, or a name alone. Later files win.
fn settings(said: &Sections) -> Settings {
    let setting = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.trim().trim_end_matches('+').to_owned(), value.trim().to_owned())
    };
    said.lines("settings").map(setting).collect()
}

/// `12 /var/lib/…/10-flannel.conflist`
fn cni(line: &str) -> Option<CniFile> {
    let (age, path) = line.split_once(' ')?;
    Some(CniFile { path: path.to_owned(), age: age.parse().ok()? })
}

/// Of the very bytes for one certificate; of a bundle's root otherwise, which is left to K3s.
fn ca_hash(said: &Sections) -> Option<String> {
    let certificates = said.lines("ca").filter(|line| line.starts_with("-----BEGIN")).count();
    let hash = said.first("ca-hash")?.split_whitespace().next()?;
    (certificates == 1).then(|| hash.to_owned())
}

fn secret(line: &str) -> Option<SecretFile> {
    let mut words = line.split_whitespace();
    Some(SecretFile {
        size: words.next()?.parse().ok()?,
        mode: words.next()?.to_owned(),
        owner: words.next()?.to_owned(),
    })
}

fn form(line: &str) -> Option<TokenForm> {
    Some(match line {
        "empty" => TokenForm::Empty,
        "malformed" => TokenForm::Malformed,
        "short" => TokenForm::Short,
        "k3s10" => TokenForm::K3s10,
        full => {
            let (user, ca_hash) = full.split_once(' ').unwrap_or((full, ""));
            TokenForm::Full { user: user.to_owned(), ca_hash: ca_hash.to_owned() }
        }
    })
}

/// `…msg="client-admin.crt: certificate system:admin (ClientAuth) is ok, expires at 2027-01-02T03:04:05Z"`
fn certificate(line: &str, now: SystemTime) -> Option<Certificate> {
    let said = line.split_once("msg=\"").map_or(line, |(_, said)| said).trim_end_matches('"');
    let (file, rest) = said.split_once(": certificate ")?;
    if rest.contains("not valid before") {
        return None;
    }
    let end = humantime::parse_rfc3339(rest.rsplit(" at ").next()?).ok()?;
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let left = match end.duration_since(now) {
        Ok(left) => seconds(left),
        Err(error) => -seconds(error.duration()).max(1),
    };
    Some(Certificate { file: file.to_owned(), left, line: said.to_owned() })
}

/// What probe.sh printed.
pub(super) fn probe(text: &str, server: &str) -> Probe {
    let said = Sections::of(text);
    let (status, code, words) = answered(said.lines("reach"));
    let reach = if status.is_some() || code == 0 { Ok(()) } else { Err(unanswered(code, words)) };
    let (statuses, words): (Vec<&str>, Vec<&str>) = said.lines("login").partition(|line| is_status(line));
    let login = words.last().map(|last| match words[..] {
        ["exit 0"] => login::answer(Account::Node, &statuses.join(" ")),
        [.., said, _] => Answer::Unclear(said.to_owned()),
        _ => Answer::Unclear(format!("curl: {last}")),
    });
    Probe { server: server.to_owned(), reach, login }
}

/// Status, curl's exit code, its words. A status of 000 is none.
fn answered<'a>(lines: impl Iterator<Item = &'a str>) -> (Option<String>, i32, String) {
    let (mut status, mut code, mut words) = (None, 0, String::new());
    for line in lines {
        if let Some(number) = line.strip_prefix("exit ") {
            code = number.parse().unwrap_or(1);
        } else if is_status(line) {
            status = Some(line.to_owned()).filter(|status| status != "000");
        } else {
            line.clone_into(&mut words);
        }
    }
    (status, code, words)
}

fn is_status(line: &str) -> bool {
    line.len() == 3 && line.bytes().all(|byte| byte.is_ascii_digit())
}

/// 28 is curl's time-out.
fn unanswered(code: i32, words: String) -> Unanswered {
    let said = if words.is_empty() { format!("curl: exit code {code}") } else { words };
    Unanswered { silent: code == 28, said }
}

/// What kubelets.sh printed: each node's address as it was given, and whether it answered. curl's codes above 50 are TLS'
/// and come from somebody who did.
pub(super) fn kubelets(text: &str) -> BTreeMap<String, Result<(), Unanswered>> {
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (node, code) = (words.next()?.to_owned(), words.next()?.parse::<i32>().ok()?);
        let said = words.next().unwrap_or_default().to_owned();
        Some((node, if reached(code) { Ok(()) } else { Err(unanswered(code, said)) }))
    };
    text.lines().filter_map(line).collect()
}

/// By curl's exit code: neither unresolved, nor refused, nor out of time.
fn reached(code: i32) -> bool {
    !matches!(code, 5..=7 | 28)
}

/// `kubectl get nodes -o json`
pub(super) fn nodes(json: &[u8]) -> Option<Vec<NodeFacts>> {
    let nodes = k3s::node::parse_list(json).ok()?;
    let raw: Value = serde_json::from_slice(json).ok()?;
    let items = raw["items"].as_array()?.iter().filter(|item| item["kind"] != "Lease");
    let facts = nodes.into_iter().zip(items).map(|(node, item)| NodeFacts {
        node,
        pressures: item["status"]["conditions"].as_array().map(|all| pressures(all)).unwrap_or_default(),
    });
    Some(facts.collect())
}

fn pressures(conditions: &[Value]) -> Vec<String> {
    let bad = |condition: &&Value| condition["status"] == "True" && condition["type"] != "Ready";
    let names = conditions.iter().filter(bad).filter_map(|condition| condition["type"].as_str());
    names.filter(|name| name.ends_with("Pressure")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_host_says_it_all() {
        let text = "\n== clock\n1000\n\n== room\n/nix/store 1048576 - - /nix store\n/run 5 7 9 /run\n\n== failed\nx.service \
                    loaded failed failed X\n\n== timer\ninactive\ninactive\n\n== systems\n/nix/store/a\n\
                    /nix/var/nix/profiles/system\n\n== interfaces\nlo\ncni0\n\n== addresses\n1: lo inet 127.0.0.1/8 scope \
                    host lo\n2: tailscale0    inet 100.64.0.5/10 brd 1.2.3.4 scope global tailscale0\n\n== tailscale\n\
                    active\n{\"BackendState\": \"NeedsLogin\"}\n\n== containerd\nactive\nsocket\n\n== firewall\n\n== secret\n\
                    73 400 root\n\n== token\nnode abcd\n\n== digest\n0a1b\n";
        let facts = host(text, Some(Role::Agent), (at(1010), at(1020)));
        assert_eq!(facts.clock, Some(-10));
        assert_eq!(facts.rooms[0].mount, "/nix store");
        assert_eq!((facts.rooms[0].inodes, facts.rooms[1].inodes), (None, Some(7)));
        assert_eq!(facts.failed_units, ["x.service"]);
        assert_eq!((facts.running.as_deref(), facts.boot), (Some("/nix/store/a"), None));
        assert_eq!(facts.addresses, ["100.64.0.5".parse::<IpAddr>().unwrap()]);
        assert_eq!(facts.tailscale, Tailscale::Down("NeedsLogin".to_owned()));
        assert!(facts.containerd.is_none() && facts.firewall.is_none() && !facts.rollback_armed);
        let k3s = facts.k3s.unwrap();
        assert_eq!(k3s.token, Some(TokenForm::Full { user: "node".to_owned(), ca_hash: "abcd".to_owned() }));
        assert!(k3s.server.is_none() && k3s.secret.unwrap().mode == "400");
    }

    #[test]
    fn a_clock_within_what_asking_took_is_right() {
        for (theirs, told) in [(1009, -1), (1010, 0), (1015, 0), (1020, 0), (1081, 61)] {
            assert_eq!(offset(theirs, (at(1010), at(1020))), Some(told));
        }
    }

    #[test]
    fn certificates_are_read_in_each_of_k3s_words() {
        let now = humantime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let left = |line: &str| certificate(line, now).map(|certificate| certificate.left);
        let line = |what: &str| {
            format!(
                "time=\"x\" level=info msg=\"client-admin.crt: certificate system:admin (ClientAuth) {what}\""
            )
        };
        assert_eq!(left(&line("is ok, expires at 2026-01-02T00:00:00Z")), Some(86400));
        assert_eq!(left(&line("will expire within 120 days at 2026-01-01T00:01:00Z")), Some(60));
        assert_eq!(left(&line("expired at 2025-12-31T23:59:00Z")), Some(-60));
        assert_eq!(left(&line("is not valid before 2027-12-31T23:59:00Z")), None);
        assert_eq!(left("Server detected, checking agent and server certificates"), None);
    }

    #[test]
    fn a_probe_tells_reaching_from_logging_in() {
        let probe = |text: &str| probe(text, "s:6443");
        let good = probe("== reach\n200\nexit 0\n== login\n200\nexit 0\n");
        assert_eq!((good.reach, good.login), (Ok(()), Some(Answer::Accepted)));
        let login = |text: &str| probe(&format!("== reach\n200\nexit 0\n== login\n{text}")).login;
        assert_eq!(login("401\n403\nexit 0\n"), Some(Answer::Refused));
        let said = |text: &str| match login(text) {
            Some(Answer::Unclear(said)) => said,
            other => panic!("{other:?}"),
        };
        // A node's account never gets this for a wrong password.
        assert_eq!(said("403\nexit 0\n"), "the server answers 403");
        assert!(said("401\n401\nexit 0\n").starts_with("the server answers 401 to whoever asks"));
        assert_eq!(
            said("curl: (60) SSL certificate problem\nexit 60\n"),
            "curl: (60) SSL certificate problem"
        );
        assert_eq!(said("401\ncurl: (7) Failed\n000\nexit 7\n"), "curl: (7) Failed");
        assert_eq!(said("exit 77\n"), "curl: exit 77");
        let silent = probe("== reach\ncurl: (28) Connection timed out\n000\nexit 28\n");
        assert!(silent.reach.unwrap_err().silent);
        assert_eq!(silent.login, None, "it was not tried");
        let refused = probe("== reach\ncurl: (7) Failed to connect\n000\nexit 7\n");
        assert_eq!(refused.reach.unwrap_err().said, "curl: (7) Failed to connect");
    }

    #[test]
    fn a_kubelet_that_refuses_our_login_is_there() {
        let told = kubelets(
            "10.0.0.1:10250 0 \n10.0.0.2:10250 7 curl: (7) Failed\n[fd00::1]:10250 28 curl: (28) x\n",
        );
        assert_eq!(told["10.0.0.1:10250"], Ok(()));
        assert!(
            told["10.0.0.2:10250"].is_err() && told["[fd00::1]:10250"].as_ref().is_err_and(|no| no.silent)
        );
    }

    #[test]
    fn nodes_bring_what_ails_them() {
        let json = br#"{"items":[{"metadata":{"name":"maia"},"status":{"conditions":[
            {"type":"DiskPressure","status":"True"},{"type":"PIDPressure","status":"False"},
            {"type":"Ready","status":"True"}]}},{"metadata":{"name":"zoe"},"spec":{}}]}"#;
        let told = nodes(json).unwrap();
        assert_eq!(told[0].pressures, ["DiskPressure"]);
    }
}
