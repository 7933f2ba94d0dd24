//! Three servers with etcd, of which ocean is the first, and an agent.

use k3s::etcd::{Member, Members};

use super::*;
use crate::doctor::{Consequence, Examination, Finding};

const SERVERS: [(&str, &str); 3] = [("ocean", "100.64.0.6"), ("reef", "100.64.0.8"), ("sea", "100.64.0.9")];

fn fleet() -> Fleet {
    let server = |(name, ip)| format!("[hosts.{name}]\nrole = \"server\"\nnode_ip = \"{ip}\"\n");
    let servers: String = SERVERS.into_iter().map(server).collect();
    let text = format!(
        "[cluster]\nname = \"mercury\"\ndomain = \"m\"\nfirst_server = \"ocean\"\n{servers}[hosts.maia]\nrole = \"agent\"\nnode_ip = \
         \"100.64.0.5\"\n"
    );
    Fleet::parse(&text).unwrap()
}

fn member(id: u64, name: &str, ip: &str) -> Member {
    let url = |port: u16| vec![format!("https://{ip}:{port}")];
    Member { id, name: name.to_owned(), peers: url(2380), clients: url(2379), votes: true }
}

fn members(own: u64) -> Members {
    let list = (1..).zip(SERVERS).map(|(id, (name, ip))| member(id, &format!("{name}-0000000{id}"), ip));
    Members { own, list: list.collect() }
}

fn healthy() -> Facts {
    let mut facts = super::healthy();
    facts.hosts.remove("zoe");
    facts.nodes = Some(vec![node("maia", "100.64.0.5")]);
    for (id, (name, ip)) in (1..).zip(SERVERS) {
        let mut seen = HostFacts { addresses: vec![ip.parse().unwrap()], ..server() };
        seen.k3s.as_mut().unwrap().server.as_mut().unwrap().datastore = Datastore {
            ran: true,
            has_etcd: true,
            has_sqlite: false,
            member: Some(format!("{name}-0000000{id}")),
            leader: Some(Ok(())),
            members: Some(members(id)),
            answers: SERVERS.iter().map(|(_, ip)| (format!("https://{ip}:2379"), true)).collect(),
        };
        facts.hosts.insert(HostName::new(name).unwrap(), Asked::Answered(Box::new(seen)));
        facts.nodes.as_mut().unwrap().push(node(name, ip));
    }
    facts
}

/// The same facts, bent by words for servers.
struct Three(Facts);

impl Three {
    fn bend(bend: impl FnOnce(&mut Self)) -> Self {
        let mut three = Self(healthy());
        bend(&mut three);
        three
    }

    fn it(&mut self) -> Bent<'_> {
        Bent(&mut self.0)
    }

    fn store(&mut self, name: &str) -> &mut Datastore {
        let k3s = match self.0.hosts.get_mut(name).unwrap() {
            Asked::Answered(seen) => seen.k3s.as_mut().unwrap(),
            Asked::Unreached(_) => panic!("{name} was not asked"),
        };
        &mut k3s.server.as_mut().unwrap().datastore
    }

    /// Its K3s is not there: what its etcd would say nobody says. Its node is still said to be Ready.
    fn down(&mut self, name: &str, active: &str, sub: &str) {
        self.it().unit(name, active, sub);
        let store = self.store(name);
        (store.leader, store.members, store.answers) = (None, None, BTreeMap::new());
        self.answers(name, false);
    }

    fn answers(&mut self, name: &str, answers: bool) {
        let ip = SERVERS.iter().find(|(server, _)| *server == name).unwrap().1;
        for (server, _) in SERVERS {
            if let Some(Asked::Answered(_)) = self.0.hosts.get(server)
                && let Some(known) = self.store(server).answers.get_mut(&format!("https://{ip}:2379"))
            {
                *known = answers;
            }
        }
    }

    /// Its etcd runs without a leader; nothing that needs it answers.
    fn leaderless(&mut self, name: &str) {
        self.it().unit(name, "activating", "start");
        self.store(name).leader = Some(Err("RAFT NO LEADER".to_owned()));
        self.store(name).members = None;
        self.0.nodes = None;
        self.it().k3s(name).server.as_mut().unwrap().readyz =
            "Error from server (ServiceUnavailable): the server is currently unable to handle the request"
                .to_owned();
        self.it().unreachable("maia");
    }

    fn unreached(&mut self, name: &str) {
        let why = Unreached {
            cause: Cause::SshSilent,
            evidence: vec!["ssh".to_owned()],
            tells: String::new(),
            hint: None,
        };
        self.0.hosts.insert(HostName::new(name).unwrap(), Asked::Unreached(why));
    }

    fn examined(&self) -> Examination {
        examine(&fleet(), &self.0)
    }

    fn told(&self) -> Vec<(String, Cause)> {
        let name = |it: &Finding| it.host.as_ref().map_or(String::new(), HostName::to_string);
        self.examined().findings.iter().map(|it| (name(it), it.cause)).collect()
    }

    fn one(&self, host: &str, cause: Cause) -> Finding {
        let findings = self.examined().findings;
        let is_it = |it: &Finding| it.cause == cause && it.host.as_ref().map_or("", HostName::as_str) == host;
        findings.into_iter().find(is_it).unwrap_or_else(|| panic!("{host} {cause:?}: {:?}", self.told()))
    }

    /// Members and nodes, as the cluster's line tells them.
    fn counts(&self) -> (String, String) {
        let count = self.examined().cluster;
        (count.members.map_or(String::new(), |part| part.text), count.nodes.unwrap().text)
    }
}

fn wanted<const N: usize>(findings: [(&str, Cause); N]) -> Vec<(String, Cause)> {
    findings.map(|(host, cause)| (host.to_owned(), cause)).to_vec()
}

fn counted(members: &str, nodes: &str) -> (String, String) {
    (members.to_owned(), nodes.to_owned())
}

#[test]
fn members_and_nodes_are_counted() {
    let all = Three::bend(|_| {});
    assert_eq!(all.told(), []);
    assert_eq!(all.counts(), counted("3 of 3 voting members healthy", "4 of 4 nodes Ready"));
    // With sqlite nobody votes, and one server has no choice.
    assert_eq!(examine(&super::fleet(), &super::healthy()).cluster.members, None);
    let two = Three::bend(|it| {
        it.it().not_ready("maia");
        it.it().0.nodes.as_mut().unwrap().retain(|it| it.node.name != "sea");
    });
    assert_eq!(two.counts().1, "2 of 4 nodes Ready");
    assert_eq!(two.told(), wanted([("maia", Cause::NodeNotReady), ("sea", Cause::NodeMissing)]));
}

#[test]
fn a_bare_majority_is_told_beside_its_cause() {
    let facts = Three::bend(|it| it.down("reef", "inactive", "dead"));
    assert_eq!(facts.told(), wanted([("reef", Cause::K3sStopped), ("", Cause::BareMajority)]));
    assert_eq!(facts.counts(), counted("2 of 3 voting members healthy", "3 of 4 nodes Ready"));
    let finding = facts.one("", Cause::BareMajority);
    assert_eq!(finding.value.unwrap(), "2 of 3 voting members healthy; missing: reef");
    assert_eq!(finding.evidence, ["reef: k3s.service was not started; to systemd it is inactive (dead)"]);
    // Five bear the loss of one.
    let five = Three::bend(|it| {
        it.down("reef", "inactive", "dead");
        for server in ["ocean", "sea"] {
            let store = it.store(server);
            for (id, ip) in [(4, "100.64.0.14"), (5, "100.64.0.15")] {
                store.members.as_mut().unwrap().list.push(member(id, &format!("more-{id}"), ip));
                store.answers.insert(format!("https://{ip}:2379"), true);
            }
        }
    });
    assert_eq!(five.counts().0, "4 of 5 voting members healthy");
    assert!(!five.told().contains(&(String::new(), Cause::BareMajority)), "{:?}", five.told());
}

#[test]
fn a_member_whose_host_is_away_is_asked_by_the_others() {
    for (answers, members, found) in [(true, "3 of 3", false), (false, "2 of 3", true)] {
        let facts = Three::bend(|it| {
            it.unreached("reef");
            it.answers("reef", answers);
        });
        assert_eq!(facts.counts().0, format!("{members} voting members healthy"));
        assert_eq!(facts.told().contains(&(String::new(), Cause::BareMajority)), found, "{:?}", facts.told());
    }
    // Nobody could say.
    let facts = Three::bend(|it| {
        it.unreached("reef");
        it.store("ocean").answers.clear();
        it.store("sea").answers.clear();
    });
    assert_eq!(facts.counts().0, "2 of 3 voting members healthy, 1 not known");
    assert_eq!(facts.told(), wanted([("reef", Cause::SshSilent)]));
}

#[test]
fn without_a_majority_there_is_one_finding_first() {
    let facts = Three::bend(|it| {
        it.down("reef", "inactive", "dead");
        it.down("sea", "activating", "auto-restart");
        it.leaderless("ocean");
    });
    assert_eq!(facts.told(), wanted([("", Cause::NoQuorum)]));
    let finding = facts.one("", Cause::NoQuorum);
    assert_eq!(finding.value.unwrap(), "1 of 3 voting members there, 2 are needed; missing: reef, sea");
    assert_eq!(finding.remedy, "on reef and sea: systemctl start k3s; journalctl -u k3s");
    let lines = [
        "ocean: its etcd runs, and says: RAFT NO LEADER",
        "reef: k3s.service was not started; to systemd it is inactive (dead)",
        "sea: k3s.service has ended by itself and will be started again; to systemd it is activating (auto-restart)",
    ];
    assert_eq!(finding.evidence, lines);
    assert_eq!(
        facts.counts(),
        counted("0 of 3 voting members healthy", "nodes not known: no API server answers")
    );
    // Of none of them it is said that all is well.
    let of_cluster = |it: &Consequence| it.of.is_none().then(|| it.host.to_string());
    let mut hosts: Vec<String> = facts.examined().consequences.iter().filter_map(of_cluster).collect();
    hosts.dedup();
    assert_eq!(hosts, ["maia", "ocean", "reef", "sea"]);
    // Its own cause and the way back of one that is missing stay.
    let own = Three::bend(|it| {
        it.down("reef", "inactive", "dead");
        it.unreached("sea");
        it.leaderless("ocean");
        it.it().host("reef").rooms[0].bytes = 4096;
        // An agent's K3s is its own affair.
        it.it().unit("maia", "inactive", "dead");
    });
    let rest = [("maia", Cause::K3sStopped), ("reef", Cause::DiskFull), ("sea", Cause::SshSilent)];
    assert_eq!(own.told(), [wanted([("", Cause::NoQuorum)]), wanted(rest)].concat());
}

#[test]
fn no_majority_is_told_only_where_it_is_sure() {
    // All three stopped: no etcd says so, and none can.
    let stopped = Three::bend(|it| {
        for (server, _) in SERVERS {
            it.down(server, "inactive", "dead");
        }
        it.0.nodes = None;
    });
    assert_eq!(stopped.told(), wanted([("", Cause::NoQuorum)]));
    // Two cannot be asked, and may be well with each other; the third one says nothing of a leader.
    let unknown = Three::bend(|it| {
        it.unreached("reef");
        it.unreached("sea");
        it.down("ocean", "inactive", "dead");
        it.0.nodes = None;
    });
    let away = [("ocean", Cause::K3sStopped), ("reef", Cause::SshSilent), ("sea", Cause::SshSilent)];
    assert_eq!(unknown.told(), wanted(away));
    // All run, and do not reach each other.
    let apart = Three::bend(|it| {
        for (server, _) in SERVERS {
            it.leaderless(server);
        }
    });
    assert_eq!(apart.told(), wanted([("", Cause::NoQuorum)]));
    let finding = apart.one("", Cause::NoQuorum);
    assert!(finding.value.unwrap().ends_with("none is missing, and none leads"));
    assert!(finding.remedy.starts_with("do the servers reach each other's ports"), "{}", finding.remedy);
    // Servers on which K3s never ran do not vote: the only one that did is down, which is its own finding.
    let growing = Three::bend(|it| {
        for server in ["reef", "sea"] {
            it.down(server, "", "");
            it.it().k3s(server).unit = None;
            *it.store(server) = Datastore::default();
            it.it().0.nodes.as_mut().unwrap().retain(|it| it.node.name != server);
        }
        it.down("ocean", "inactive", "dead");
        it.0.nodes = None;
    });
    assert!(!growing.told().iter().any(|(_, cause)| *cause == Cause::NoQuorum), "{:?}", growing.told());
    // Where only some hosts were asked nobody counts.
    let some = Three::bend(|it| {
        it.0.hosts.remove("reef");
        it.0.hosts.remove("sea");
        it.leaderless("ocean");
        it.0.is_whole = false;
    });
    assert_eq!(some.told(), wanted([("ocean", Cause::EtcdFailed)]));
}

#[test]
fn a_majority_without_data_is_not_started_again() {
    let facts = Three::bend(|it| {
        for server in ["reef", "sea"] {
            it.down(server, "activating", "auto-restart");
            it.store(server).has_etcd = false;
        }
        it.leaderless("ocean");
    });
    let wanted = wanted([("", Cause::NoQuorum), ("reef", Cause::EtcdGone), ("sea", Cause::EtcdGone)]);
    assert_eq!(facts.told(), wanted);
    let finding = facts.one("", Cause::NoQuorum);
    assert_eq!(finding.remedy, "a majority has lost its data; docs/runbook.md: Several servers");
    assert!(finding.evidence[1].ends_with("; its etcd's data are gone"), "{:?}", finding.evidence);
}

/// K3s goes on for as long as it runs, and fails as soon as it has to join.
#[test]
fn a_server_without_its_data_is_named_with_the_way_back() {
    let lost = |server: &'static str, active: &'static str, sub: &'static str| {
        Three::bend(move |it| {
            if active != "active" {
                it.down(server, active, sub);
            }
            it.store(server).has_etcd = false;
        })
    };
    assert_eq!(lost("reef", "active", "running").told(), wanted([("reef", Cause::EtcdGone)]));
    for (active, sub) in [("activating", "auto-restart"), ("activating", "start"), ("inactive", "dead")] {
        let facts = lost("reef", active, sub);
        assert_eq!(facts.told(), wanted([("reef", Cause::EtcdGone), ("", Cause::BareMajority)]));
        let finding = facts.one("reef", Cause::EtcdGone);
        assert_eq!(
            finding.remedy,
            "on reef: systemctl stop k3s; on ocean: k3s kubectl delete node reef --ignore-not-found; on reef: systemctl start k3s"
        );
        assert_eq!(finding.evidence[1], "members: ocean-00000001 reef-00000002 sea-00000003");
    }
    // The first one would found a cluster of its own.
    let first = lost("ocean", "inactive", "dead").one("ocean", Cause::EtcdGone);
    assert!(
        first.remedy.starts_with("first_server = \"reef\" in hosts/fleet.toml; on ocean:"),
        "{}",
        first.remedy
    );
    // What K3s says of it is the same cause.
    let mut said = lost("reef", "activating", "auto-restart");
    let line = "level=fatal msg=\"etcd cluster join failed: duplicate node name found, please use a unique name for this node\"";
    said.it().says("reef", line);
    let finding = said.one("reef", Cause::EtcdGone);
    assert!(
        finding.evidence.contains(&line.to_owned())
            && finding.remedy.contains("on ocean: k3s kubectl delete")
    );
}

#[test]
fn data_are_missed_only_where_they_were() {
    let lone = |bend: fn(&mut Bent<'_>)| {
        let mut facts = super::healthy();
        let mut bent = Bent(&mut facts);
        bent.server().datastore.has_sqlite = false;
        bent.server_down("inactive", "dead");
        bend(&mut bent);
        super::told(&facts).into_iter().map(|(_, cause)| cause).collect::<Vec<_>>()
    };
    assert_eq!(lone(|_| {}), [Cause::EtcdGone]);
    assert_eq!(lone(|it| it.server().datastore.has_sqlite = true), [Cause::K3sStopped]);
    assert_eq!(lone(|it| it.server().datastore.ran = false), [Cause::K3sStopped]);
    // Another datastore lies elsewhere.
    let elsewhere = [
        lone(|it| it.k3s("ocean").unit.as_mut().unwrap().start = start("--datastore-endpoint=postgres://x")),
        lone(|it| {
            it.k3s("ocean").settings.insert("K3S_DATASTORE_ENDPOINT".to_owned(), String::new());
        }),
        lone(|it| it.k3s("ocean").unit.as_mut().unwrap().start = None),
    ];
    assert!(elsewhere.iter().all(|found| *found == [Cause::K3sStopped]), "{elsewhere:?}");
}

#[test]
fn a_server_that_is_no_member_is_named() {
    // Its member was let go while it was down; it was started with its old data.
    let facts = Three::bend(|it| {
        for server in ["ocean", "sea"] {
            it.store(server).members.as_mut().unwrap().list.retain(|member| member.id != 2);
        }
        it.leaderless("reef");
        it.0.nodes = healthy().nodes;
        it.it().k3s("maia").probe = None;
        it.it().0.nodes.as_mut().unwrap().retain(|it| it.node.name != "reef");
    });
    assert_eq!(facts.told(), wanted([("reef", Cause::NotAMember)]));
    assert_eq!(facts.counts(), counted("2 of 2 voting members healthy", "3 of 4 nodes Ready"));
    let finding = facts.one("reef", Cause::NotAMember);
    let lines = ["its own: reef-00000002", "members: ocean-00000001 sea-00000003"];
    assert_eq!(finding.evidence[..2], lines);
    let way = "on reef: systemctl stop k3s; cd /var/lib/rancher/k3s/server/db && mv etcd etcd-old; on ocean: k3s kubectl delete node reef --ignore-not-found; on reef: systemctl start k3s";
    assert_eq!(finding.remedy, way);
    // One that is just being added has no name yet; one that goes by another name is it by its number.
    let starting = Three::bend(|it| {
        for server in ["ocean", "sea"] {
            it.store(server).members.as_mut().unwrap().list[1].name.clear();
        }
        it.down("reef", "activating", "start");
    });
    let causes = [("reef", Cause::K3sStarting), ("", Cause::BareMajority)];
    assert_eq!(starting.told(), wanted(causes));
    let renamed = Three::bend(|it| it.store("reef").member = Some("reef-ffffffff".to_owned()));
    assert_eq!(renamed.told(), []);
}

#[test]
fn a_cluster_of_its_own_and_a_vote_of_nobody_are_named() {
    let own = Three::bend(|it| it.store("ocean").members.as_mut().unwrap().list.truncate(1));
    assert_eq!(own.told(), wanted([("ocean", Cause::OtherCluster)]));
    let with = |name: &str, ip: &str| {
        Three::bend(|it| {
            for (server, _) in SERVERS {
                it.store(server).members.as_mut().unwrap().list.push(member(77, name, ip));
                it.store(server).answers.insert(format!("https://{ip}:2379"), false);
            }
        })
    };
    let twice = with("reef-11111111", "100.64.0.77");
    assert_eq!(twice.told(), wanted([("reef", Cause::MemberTwice), ("", Cause::BareMajority)]));
    assert_eq!(twice.counts().0, "3 of 4 voting members healthy");
    assert!(twice.one("reef", Cause::MemberTwice).remedy.contains("\"ID\":\"77\""));
    let stranger = with("gone-11111111", "100.64.0.77");
    assert_eq!(stranger.told(), wanted([("", Cause::BareMajority), ("", Cause::MemberUnknown)]));
    assert_eq!(stranger.counts().0, "3 of 4 voting members healthy");
    let remedy = stranger.one("", Cause::MemberUnknown).remedy;
    assert!(remedy.starts_with("if it is gone for good, on ocean: cd /var/lib"), "{remedy}");
}
