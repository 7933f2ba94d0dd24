//! Facts and what is found in them: each cause alone, and what it brings about beside it.

mod servers;

use std::collections::BTreeMap;

use std::time::{Duration, SystemTime};

use fleet::{Fleet, HostName};
use k3s::Version;
use k3s::login::{Answer, JOINED};
use k3s::node::Node;
use k3s::start::Start;
use k3s::unit::Unit;

use super::facts::{
    Certificate, CniFile, Datastore, HostFacts, K3sFacts, NodeFacts, Probe, Room, SecretFile, ServerFacts,
    Tailscale, TokenForm, Unanswered,
};
use super::reach::Unreached;
use super::{Asked, Cause, Facts, examine};

const HASH: &str = "6f1d4d5c3e0a9b8877665544332211000112233445566778899aabbccddeeff0";

fn fleet() -> Fleet {
    let text = "[cluster]\nname = \"mercury\"\ndomain = \"mercury\"\nnetwork = \"100.64.0.0/10\"\ninterface = \"tailscale0\"\n\
                [hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\n[hosts.maia]\nrole = \"agent\"\nnode_ip = \
                \"100.64.0.5\"\n[hosts.zoe]\nrole = \"agent\"\nnode_ip = \"100.64.0.7\"\n";
    Fleet::parse(text).unwrap()
}

fn at(seconds: u64) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn start(flags: &str) -> Option<Start> {
    Start::parse(&format!("ExecStart=/nix/store/a-k3s-1.34.2+k3s1/bin/k3s server {flags}\n"))
}

fn host(ip: &str, token: TokenForm) -> HostFacts {
    let unit = Unit {
        id: "k3s.service".to_owned(),
        active: "active".to_owned(),
        sub: "running".to_owned(),
        result: "success".to_owned(),
        restart: "always".to_owned(),
        started: at(1),
        start: start(""),
        ..Unit::default()
    };
    let certificate =
        Certificate { file: "client-admin.crt".to_owned(), left: 300 * 86400, line: "ok".to_owned() };
    let k3s = K3sFacts {
        secret: Some(SecretFile { size: 70, mode: "400".to_owned(), owner: "root".to_owned() }),
        token: Some(token),
        is_recipient: Some(true),
        unit: Some(unit),
        certificates: vec![certificate],
        ..K3sFacts::default()
    };
    let room = Room { path: "/nix/store".to_owned(), mount: "/".to_owned(), bytes: 1 << 33, inodes: None };
    HostFacts {
        clock: Some(0),
        rooms: vec![room],
        running: Some("/nix/store/a-system".to_owned()),
        boot: Some("/nix/store/a-system".to_owned()),
        interfaces: ["lo", "tailscale0", "cni0", "flannel.1"].map(str::to_owned).to_vec(),
        addresses: vec![ip.parse().unwrap()],
        tailscale: Tailscale::Up,
        k3s: Some(k3s),
        ..HostFacts::default()
    }
}

fn agent(ip: &str) -> HostFacts {
    let mut agent = host(ip, TokenForm::Full { user: "node".to_owned(), ca_hash: HASH.to_owned() });
    let k3s = agent.k3s.as_mut().unwrap();
    k3s.digest = Some("node's".to_owned());
    k3s.probe =
        Some(Probe { server: "100.64.0.6:6443".to_owned(), reach: Ok(()), login: Some(Answer::Accepted) });
    k3s.kubelet = Some(Ok(()));
    agent
}

fn server() -> HostFacts {
    let mut server = host("100.64.0.6", TokenForm::Short);
    let k3s = server.k3s.as_mut().unwrap();
    k3s.digest = Some("server's".to_owned());
    k3s.server = Some(ServerFacts {
        token: Some("server's".to_owned()),
        agent_token: Some("node's".to_owned()),
        agent_token_is_link: false,
        ca: String::new(),
        ca_hash: Some(HASH.to_owned()),
        readyz: "[+]ping ok\n[+]etcd ok\nreadyz check passed".to_owned(),
        datastore: Datastore { ran: true, has_sqlite: true, ..Datastore::default() },
    });
    server
}

fn node(name: &str, ip: &str) -> NodeFacts {
    let node = Node {
        name: name.to_owned(),
        ready: Some("True".to_owned()),
        message: String::new(),
        heard: at(2),
        addresses: vec![ip.parse().unwrap()],
        version: "v1.34.2+k3s1".to_owned(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        taints: Vec::new(),
        cordoned: false,
        etcd: None,
    };
    NodeFacts { node, pressures: Vec::new() }
}

fn healthy() -> Facts {
    let mut facts = Facts { is_whole: true, ..Facts::default() };
    let seen = [("ocean", server()), ("maia", agent("100.64.0.5")), ("zoe", agent("100.64.0.7"))];
    for (name, seen) in seen {
        facts.hosts.insert(HostName::new(name).unwrap(), Asked::Answered(Box::new(seen)));
    }
    facts.nodes =
        Some(vec![node("maia", "100.64.0.5"), node("ocean", "100.64.0.6"), node("zoe", "100.64.0.7")]);
    facts
}

/// The facts, bent by short words.
struct Bent<'a>(&'a mut Facts);

impl Bent<'_> {
    fn host(&mut self, name: &str) -> &mut HostFacts {
        match self.0.hosts.get_mut(name).unwrap() {
            Asked::Answered(seen) => seen,
            Asked::Unreached(_) => panic!("{name} was not asked"),
        }
    }

    fn k3s(&mut self, name: &str) -> &mut K3sFacts {
        self.host(name).k3s.as_mut().unwrap()
    }

    fn server(&mut self) -> &mut ServerFacts {
        self.k3s("ocean").server.as_mut().unwrap()
    }

    fn node(&mut self, name: &str) -> &mut NodeFacts {
        let nodes = self.0.nodes.as_mut().unwrap();
        nodes.iter_mut().find(|it| it.node.name == name).unwrap()
    }

    fn not_ready(&mut self, name: &str) {
        self.node(name).node.ready = Some("Unknown".to_owned());
    }

    /// containerd says that it has no network, and a configuration was written so many seconds ago.
    fn blind(&mut self, name: &str, age: u64) {
        let node = &mut self.node(name).node;
        node.ready = Some("False".to_owned());
        node.message =
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                        message:Network plugin returns error: cni plugin not initialized"
                .to_owned();
        let path = "/var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist".to_owned();
        self.host(name).cni = Some(CniFile { path, age });
    }

    fn unit(&mut self, name: &str, active: &str, sub: &str) {
        let unit = self.k3s(name).unit.as_mut().unwrap();
        active.clone_into(&mut unit.active);
        sub.clone_into(&mut unit.sub);
    }

    fn version(&mut self, name: &str, version: &str) {
        self.node(name).node.version = format!("v{version}");
        let unit = self.k3s(name).unit.as_mut().unwrap();
        unit.start = Start::parse(&format!("ExecStart=/nix/store/a-k3s-{version}/bin/k3s server\n"));
    }

    fn says(&mut self, name: &str, line: &str) {
        line.clone_into(&mut self.k3s(name).journal);
    }

    /// Its K3s does not run, and what follows: no API, so no nodes, and no way for the agents.
    fn server_down(&mut self, active: &str, sub: &str) {
        self.unit("ocean", active, sub);
        self.server().readyz = "The connection to the server 127.0.0.1:6443 was refused".to_owned();
        self.0.nodes = None;
        for agent in ["maia", "zoe"] {
            self.unreachable(agent);
        }
    }

    fn unreachable(&mut self, agent: &str) {
        let no = Unanswered { silent: false, said: "curl: (7) Failed to connect".to_owned() };
        let probe = self.k3s(agent).probe.as_mut().unwrap();
        probe.reach = Err(no);
        probe.login = None;
    }

    fn refused(&mut self, agent: &str) {
        self.k3s(agent).probe.as_mut().unwrap().login = Some(Answer::Refused);
    }

    /// Neither of K3s' two answers.
    fn unclear(&mut self, agent: &str, said: &str) {
        self.k3s(agent).probe.as_mut().unwrap().login = Some(Answer::Unclear(said.to_owned()));
    }

    fn kubelet_gone(&mut self, agent: &str) {
        let no = Unanswered { silent: true, said: "curl: (28) Connection timed out".to_owned() };
        self.k3s(agent).kubelet = Some(Err(no));
    }
}

fn told(facts: &Facts) -> Vec<(String, Cause)> {
    let all = examine(&fleet(), facts);
    for finding in &all.findings {
        assert!(!finding.remedy.is_empty() && !finding.remedy.contains('{'), "{finding:?}");
    }
    all.findings
        .iter()
        .map(|it| (it.host.as_ref().map_or("", HostName::as_str).to_owned(), it.cause))
        .collect()
}

type Case = (&'static str, Cause, fn(&mut Bent<'_>));

/// One thing is wrong, with all that it brings about: one finding.
#[track_caller]
fn each(cases: &[Case]) {
    for (host, cause, bend) in cases {
        let mut facts = healthy();
        bend(&mut Bent(&mut facts));
        assert_eq!(told(&facts), [((*host).to_owned(), *cause)], "{cause:?}");
    }
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(told(&healthy()), []);
    assert!(examine(&fleet(), &healthy()).well.len() > 40);
    // And nothing where nothing could be seen.
    let mut blind = healthy();
    for name in ["ocean", "maia", "zoe"] {
        let k3s = Bent(&mut blind).k3s(name).clone();
        let bare = K3sFacts { secret: k3s.secret, unit: k3s.unit, ..K3sFacts::default() };
        *Bent(&mut blind).host(name) = HostFacts { k3s: Some(bare), ..HostFacts::default() };
    }
    blind.nodes = None;
    assert_eq!(told(&blind), []);
}

#[test]
fn what_is_wrong_with_a_host() {
    each(&[
        ("maia", Cause::ClockSkew, |it| {
            it.host("maia").clock = Some(-3600);
            it.not_ready("maia");
            it.says(
                "maia",
                "CA cert validation failed: certificate has expired or is not yet valid: current time",
            );
        }),
        ("ocean", Cause::ClockSkew, |it| {
            it.host("ocean").clock = Some(3600);
            for agent in ["maia", "zoe"] {
                it.not_ready(agent);
                it.says(
                    agent,
                    "CA cert validation failed: certificate has expired or is not yet valid: current time",
                );
            }
        }),
        // Neither is too far from us, and the two are from each other.
        ("zoe", Cause::ClockSkew, |it| {
            it.host("maia").clock = Some(-20);
            it.host("zoe").clock = Some(50);
        }),
        ("", Cause::OwnClock, |it| {
            for host in ["ocean", "maia", "zoe"] {
                it.host(host).clock = Some(86_400);
            }
        }),
        ("maia", Cause::DiskFull, |it| {
            it.host("maia").rooms[0].bytes = 4096;
            it.host("maia").failed_units = vec!["containerd.service".to_owned()];
            it.unit("maia", "activating", "auto-restart");
            it.not_ready("maia");
            it.node("maia").pressures = vec!["DiskPressure".to_owned()];
        }),
        ("maia", Cause::DiskFull, |it| it.host("maia").rooms[0].inodes = Some(3)),
        ("maia", Cause::NodeSilent, |it| it.node("maia").node.heard = at(1)),
        ("maia", Cause::NodeSilent, |it| it.node("maia").node.heard = None),
        ("maia", Cause::NodeVersion, |it| it.node("maia").node.version = "v1.34.1+k3s1".to_owned()),
        // Its node is still said to be Ready, for the best part of a minute.
        ("maia", Cause::UnknownFlag, |it| {
            it.node("maia").node.heard = at(1);
            it.unit("maia", "activating", "auto-restart");
            it.says(
                "maia",
                "level=error msg=\"kubelet exited: failed to parse kubelet flag: unknown flag: --x\"",
            );
        }),
        ("maia", Cause::CgroupV1, |it| {
            it.unit("maia", "activating", "auto-restart");
            it.says(
                "maia",
                "msg=\"kubelet exited: kubelet is configured to not run on a host using cgroup v1\"",
            );
        }),
        ("maia", Cause::FailedUnits, |it| it.host("maia").failed_units = vec!["x.service".to_owned()]),
        ("maia", Cause::BootDiffers, |it| it.host("maia").boot = Some("/nix/store/b-system".to_owned())),
        ("maia", Cause::RollbackArmed, |it| {
            it.host("maia").rollback_armed = true;
            it.host("maia").boot = Some("/nix/store/b-system".to_owned());
        }),
    ]);
}

#[test]
fn what_is_wrong_with_its_network() {
    each(&[
        ("maia", Cause::TailscaleDown, |it| {
            it.host("maia").tailscale = Tailscale::Down("inactive".to_owned());
            it.host("maia").interfaces.retain(|name| name != "tailscale0" && name != "flannel.1");
            it.host("maia").addresses = vec!["192.168.1.5".parse().unwrap()];
            it.unreachable("maia");
            it.kubelet_gone("maia");
            it.not_ready("maia");
        }),
        ("maia", Cause::InterfaceMissing, |it| {
            it.host("maia").interfaces.retain(|name| name != "tailscale0" && name != "flannel.1");
            it.not_ready("maia");
            it.says("maia", "unable to find interface tailscale0: route ip+net: no such network interface");
        }),
        ("maia", Cause::AddressMissing, |it| {
            it.host("maia").addresses = vec!["100.64.0.9".parse().unwrap()];
            it.node("maia").node.addresses = vec!["100.64.0.9".parse().unwrap()];
            it.kubelet_gone("maia");
        }),
        ("maia", Cause::ServerUnreachable, |it| {
            it.unreachable("maia");
            it.not_ready("maia");
            it.says("maia", "failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": EOF");
        }),
        ("maia", Cause::KubeletUnreachable, |it| it.kubelet_gone("maia")),
        ("maia", Cause::VxlanClosed, |it| it.host("maia").firewall = Some("-P nixos-fw".to_owned())),
        ("maia", Cause::FlannelMissing, |it| it.host("maia").interfaces.retain(|name| name != "flannel.1")),
    ]);
}

#[test]
fn without_flannels_vxlan_neither_its_interface_nor_its_port_is_missed() {
    let facts = |bend: fn(&mut Bent<'_>)| {
        let mut facts = healthy();
        let mut bent = Bent(&mut facts);
        for host in ["ocean", "maia", "zoe"] {
            bent.host(host).interfaces.retain(|name| name != "flannel.1");
            bent.host(host).firewall = Some("-P nixos-fw".to_owned());
        }
        bend(&mut bent);
        facts
    };
    let missed = told(&facts(|_| {})).len();
    assert_eq!(missed, 6, "an interface and a port of each");
    let known: [fn(&mut Bent<'_>); 5] = [
        |it| it.k3s("ocean").unit.as_mut().unwrap().start = start("--flannel-backend=none"),
        |it| it.k3s("ocean").unit.as_mut().unwrap().start = start("--flannel-backend host-gw"),
        |it| {
            it.k3s("ocean").settings.insert("flannel-backend".to_owned(), "none".to_owned());
        },
        // Nobody knows: its unit starts something else, or it could not be asked.
        |it| it.k3s("ocean").unit.as_mut().unwrap().start = None,
        |it| it.host("ocean").k3s = None,
    ];
    for bend in known {
        assert_eq!(told(&facts(bend)), []);
    }
    // What an agent's own unit says is not asked for: it has the server's.
    let mut agent = facts(|_| {});
    Bent(&mut agent).k3s("maia").unit.as_mut().unwrap().start = start("--flannel-backend=none");
    assert_eq!(told(&agent).len(), missed);
    let mut own = facts(|_| {});
    Bent(&mut own).k3s("ocean").unit.as_mut().unwrap().start = start("--flannel-conf=/etc/flannel.json");
    assert_eq!(told(&own), []);
}

#[test]
fn what_is_wrong_with_a_token() {
    each(&[
        ("maia", Cause::NotRecipient, |it| {
            it.k3s("maia").is_recipient = Some(false);
            it.k3s("maia").secret = None;
            it.unit("maia", "activating", "start");
            it.not_ready("maia");
        }),
        ("maia", Cause::SecretMissing, |it| it.k3s("maia").secret = None),
        ("maia", Cause::SecretEmpty, |it| {
            it.k3s("maia").secret.as_mut().unwrap().size = 0;
            it.unit("maia", "activating", "auto-restart");
            it.says("maia", "level=fatal msg=\"--token is required\"");
            it.not_ready("maia");
        }),
        ("maia", Cause::SecretExposed, |it| it.k3s("maia").secret.as_mut().unwrap().mode = "444".to_owned()),
        ("maia", Cause::TokenMalformed, |it| {
            it.k3s("maia").token = Some(TokenForm::Malformed);
            it.refused("maia");
            it.not_ready("maia");
        }),
        ("maia", Cause::ShortToken, |it| it.k3s("maia").token = Some(TokenForm::Short)),
        ("ocean", Cause::K3s10Token, |it| it.k3s("ocean").token = Some(TokenForm::K3s10)),
        ("maia", Cause::ServersToken, |it| {
            it.k3s("maia").digest = Some("server's".to_owned());
            it.refused("maia");
        }),
        ("ocean", Cause::NoAgentToken, |it| {
            it.server().agent_token_is_link = true;
            it.server().agent_token = Some("server's".to_owned());
            for agent in ["maia", "zoe"] {
                it.k3s(agent).digest = Some("server's".to_owned());
            }
        }),
        ("ocean", Cause::ServerTokenChanged, |it| it.k3s("ocean").digest = Some("new".to_owned())),
        ("ocean", Cause::ServerTokenChanged, |it| {
            it.server_down("activating", "auto-restart");
            it.says("ocean", "bootstrap data already found and encrypted with different token");
        }),
        ("ocean", Cause::PasswdNewer, |it| {
            it.server_down("activating", "auto-restart");
            it.says("ocean", "/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause");
        }),
        ("maia", Cause::CaMismatch, |it| {
            it.k3s("maia").token = Some(TokenForm::Full { user: "node".to_owned(), ca_hash: "0".repeat(64) });
            it.refused("maia");
            it.not_ready("maia");
            it.says("maia", "token CA hash does not match the Cluster CA certificate hash: A != B");
        }),
        ("maia", Cause::WrongToken, |it| {
            it.k3s("maia").digest = Some("old".to_owned());
            it.refused("maia");
            it.not_ready("maia");
            it.says("maia", "failed to retrieve configuration from server: not authorized");
        }),
        // Nobody could try it, and the files differ.
        ("maia", Cause::WrongToken, |it| {
            it.k3s("maia").digest = Some("old".to_owned());
            it.k3s("maia").probe = None;
            it.not_ready("maia");
        }),
        // Whether it has joined is not known.
        ("maia", Cause::WrongToken, |it| {
            it.refused("maia");
            it.0.nodes = None;
        }),
        ("maia", Cause::FirstJoinRefused, |it| it.refused("maia")),
        ("maia", Cause::FirstJoinRefused, |it| {
            it.k3s("maia").digest = Some("old".to_owned());
            it.k3s("maia").probe = None;
        }),
        ("maia", Cause::StaleToken, |it| {
            it.not_ready("maia");
            it.says("maia", "failed to retrieve configuration from server: not authorized");
        }),
        ("maia", Cause::NodePasswordRejected, |it| {
            it.not_ready("maia");
            it.says("maia", "Node password rejected, duplicate hostname or contents of");
        }),
    ]);
}

#[test]
fn neither_of_two_answers_is_no_answer() {
    let no_route = "the server answers 401 to whoever asks";
    each(&[
        ("maia", Cause::TokenUntold, |it| it.unclear("maia", "the server answers 403")),
        // It is starting, which is why.
        ("ocean", Cause::K3sStarting, |it| {
            it.unit("ocean", "activating", "start");
            it.server().readyz = "The connection to the server was refused".to_owned();
            it.unclear("maia", "the server answers 503");
        }),
        // A server that has written no file for agents, or one that cannot be read, differs from nothing.
        ("maia", Cause::TokenUntold, |it| {
            it.unclear("maia", "the server answers 500");
            it.server().agent_token = None;
        }),
    ]);
    let mut facts = healthy();
    let mut bent = Bent(&mut facts);
    bent.server().agent_token = None;
    bent.k3s("maia").probe = None;
    bent.k3s("zoe").digest = None;
    bent.k3s("zoe").probe = None;
    assert_eq!(told(&facts), []);
    let mut facts = healthy();
    Bent(&mut facts).unclear("maia", no_route);
    let evidence = examine(&fleet(), &facts).findings[0].evidence.clone();
    assert_eq!(evidence, [format!("https://100.64.0.6:6443/v1-k3s/config, as node: {no_route}")]);
    let what = Cause::FirstJoinRefused.entry().what;
    assert!(what.starts_with(&format!("it {JOINED}: ")), "the other commands say the same");
}

#[test]
fn what_is_wrong_with_k3s() {
    each(&[
        ("ocean", Cause::K3sTooOld, |it| {
            it.k3s("ocean").version = Version::parse("v1.21.3+k3s1");
            it.server().agent_token = None;
            it.unclear("maia", "the server answers 401 to whoever asks");
            it.refused("zoe");
        }),
        ("maia", Cause::K3sAbsent, |it| {
            it.k3s("maia").unit = None;
            it.kubelet_gone("maia");
            it.not_ready("maia");
        }),
        ("maia", Cause::K3sStopped, |it| {
            it.unit("maia", "inactive", "dead");
            it.kubelet_gone("maia");
            it.not_ready("maia");
        }),
        ("maia", Cause::K3sFailed, |it| {
            it.unit("maia", "activating", "auto-restart");
            it.host("maia").failed_units = vec!["k3s.service".to_owned()];
        }),
        // Told to stop, it ended with exit code 1, and systemd calls that failed.
        ("maia", Cause::K3sStopped, |it| {
            it.unit("maia", "failed", "failed");
            it.k3s("maia").unit.as_mut().unwrap().result = "exit-code".to_owned();
            it.host("maia").failed_units = vec!["k3s.service".to_owned()];
            it.kubelet_gone("maia");
            it.not_ready("maia");
        }),
        ("maia", Cause::K3sFailed, |it| {
            it.unit("maia", "failed", "failed");
            it.k3s("maia").unit.as_mut().unwrap().result = "start-limit-hit".to_owned();
        }),
        ("ocean", Cause::K3sStarting, |it| it.server_down("activating", "start")),
        ("ocean", Cause::K3sStopped, |it| it.server_down("inactive", "dead")),
        ("maia", Cause::ContainerdDown, |it| {
            it.host("maia").containerd = Some("containerd.service: failed".to_owned());
            it.host("maia").failed_units = vec!["containerd.service".to_owned()];
            it.not_ready("maia");
            it.kubelet_gone("maia");
        }),
        // It sees its network's configuration no more, since the folder that it watched was deleted.
        ("maia", Cause::ContainerdBlind, |it| {
            it.blind("maia", 30);
        }),
        // That was written a moment ago, and containerd may just be reading it.
        ("maia", Cause::NodeNotReady, |it| it.blind("maia", 29)),
        // It has none to see.
        ("maia", Cause::NodeNotReady, |it| {
            it.blind("maia", 30);
            it.host("maia").cni = None;
        }),
        ("ocean", Cause::EtcdFailed, |it| {
            it.server().readyz =
                "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed".to_owned();
            it.0.nodes = None;
        }),
        ("ocean", Cause::EtcdFailed, |it| {
            it.server().readyz = "Error from server (InternalError): an error on the server (\"[+]ping ok\\n[-]etcd failed: \
                                  reason withheld\\nreadyz check failed\") has prevented the request from succeeding"
                .to_owned();
            it.not_ready("maia");
            it.not_ready("ocean");
        }),
        ("ocean", Cause::ApiNotReady, |it| {
            it.server().readyz = "[+]etcd ok\n[-]informer-sync failed: reason withheld".to_owned();
            it.not_ready("ocean");
        }),
        ("ocean", Cause::CertificateExpired, |it| {
            it.k3s("ocean").certificates[0].left = -5;
            it.k3s("ocean").certificates.push(Certificate {
                file: "b".to_owned(),
                left: 5,
                line: String::new(),
            });
            it.not_ready("maia");
            it.says(
                "maia",
                "CA cert validation failed: certificate has expired or is not yet valid: current time",
            );
        }),
        ("maia", Cause::CertificateNear, |it| it.k3s("maia").certificates[0].left = 86_400),
        ("maia", Cause::CertificateNotValid, |it| {
            it.not_ready("maia");
            it.says(
                "maia",
                "CA cert validation failed: certificate has expired or is not yet valid: current time",
            );
        }),
    ]);
}

#[test]
fn what_is_wrong_with_a_node() {
    each(&[
        ("maia", Cause::NodeMissing, |it| {
            it.0.nodes.as_mut().unwrap().retain(|it| it.node.name != "maia");
            it.kubelet_gone("maia");
        }),
        ("maia", Cause::NodeNotReady, |it| {
            it.not_ready("maia");
            it.kubelet_gone("maia");
            // History: the server is reached.
            it.says("maia", "failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": EOF");
        }),
        ("maia", Cause::NodeAddress, |it| it.node("maia").node.addresses = vec!["10.0.0.1".parse().unwrap()]),
        ("maia", Cause::NodeCordoned, |it| it.node("maia").node.cordoned = true),
        ("maia", Cause::NodePressure, |it| it.node("maia").pressures = vec!["MemoryPressure".to_owned()]),
        ("maia", Cause::KubeletNewer, |it| it.version("maia", "1.35.0+k3s1")),
        ("", Cause::NodeUnknown, |it| it.0.nodes.as_mut().unwrap().push(node("attic", "100.64.0.9"))),
    ]);
    // A patch is not a minor version, and only the whole fleet's nodes are all known.
    let mut facts = healthy();
    Bent(&mut facts).version("maia", "1.34.9+k3s1");
    facts.nodes.as_mut().unwrap().push(node("attic", "100.64.0.9"));
    facts.is_whole = false;
    assert_eq!(told(&facts), []);
}

#[test]
fn a_host_that_cannot_be_asked_is_its_own_finding() {
    use Cause::{LoginRefused, NameUnresolved, NoRoute, NotAsked, SshRefused, SshSilent, WrongHostKey};
    for cause in [NameUnresolved, NoRoute, SshRefused, SshSilent, WrongHostKey, LoginRefused, NotAsked] {
        for name in ["maia", "ocean"] {
            let mut facts = healthy();
            Bent(&mut facts).not_ready("maia");
            if name == "ocean" {
                Bent(&mut facts).unreachable("maia");
                Bent(&mut facts).unreachable("zoe");
                facts.nodes = None;
            }
            let why = Unreached { cause, evidence: vec!["ssh".to_owned()], tells: String::new(), hint: None };
            facts.hosts.insert(HostName::new(name).unwrap(), Asked::Unreached(why));
            assert_eq!(told(&facts), [(name.to_owned(), cause)]);
        }
    }
}

#[test]
fn two_causes_are_two_findings_and_their_consequences_none() {
    let mut facts = healthy();
    let mut bent = Bent(&mut facts);
    bent.server_down("inactive", "dead");
    bent.host("zoe").tailscale = Tailscale::Down("inactive".to_owned());
    // An agent's trouble explains nothing on another host.
    bent.unit("maia", "inactive", "dead");
    let told = told(&facts);
    let wanted = [("maia", Cause::K3sStopped), ("ocean", Cause::K3sStopped), ("zoe", Cause::TailscaleDown)];
    assert_eq!(told, wanted.map(|(host, cause)| (host.to_owned(), cause)));
}
