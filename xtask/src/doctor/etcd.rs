//! etcd: who is a member of it, how many of them are healthy, and which server has lost its place.
//!
//! Healthy is whose own etcd says that it has a leader; of a host that could not be asked, whose etcd answers a server that has
//! one. The condition `EtcdIsVoter` of a Node tells neither: it stays True of a server that was stopped.

use fleet::{Fleet, Host, Role};
use k3s::etcd::{Member, Members};
use k3s::quorum::majority;

use super::cluster::Part;
use super::facts::{Asked, Datastore, Facts, HostFacts};
use super::{Cause, Chart, Examination, Finding};

/// A member that votes, or a server that stands for one.
pub(super) struct Voter {
    /// The host's name, or what etcd calls the member of no host.
    name: String,
    state: State,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    Healthy,
    /// Its etcd runs, and has no leader.
    Leaderless(String),
    /// What is there in its place.
    Missing(String),
    /// Why nobody knows.
    Unknown(String),
}

/// The cluster of those who vote.
pub(super) struct Electorate {
    voters: Vec<Voter>,
    has_leader: bool,
}

impl Electorate {
    /// By the member list; where no etcd gives one, by the servers of fleet.toml. `None` where no etcd was seen: with sqlite,
    /// another datastore, or servers that nobody could ask.
    pub(super) fn of(fleet: &Fleet, facts: &Facts) -> Option<Self> {
        let servers = fleet.with_role(Role::Server);
        let asked: Vec<&Datastore> = servers.iter().filter_map(|host| datastore(facts, host)).collect();
        let has_leader = asked.iter().any(|it| it.leader == Some(Ok(())));
        if !asked.iter().any(|it| it.has_etcd || it.leader.is_some()) {
            return None;
        }
        let list = reference(fleet, facts).or_else(|| asked.iter().find_map(|it| it.members.as_ref()));
        let voters = match list {
            Some(members) => {
                let votes = members.list.iter().filter(|member| member.votes);
                votes.map(|member| voter(fleet, facts, &servers, member)).collect()
            }
            None => servers
                .iter()
                .filter(|host| may_vote(facts, host))
                .map(|host| Voter { name: host.name.to_string(), state: state(facts, host) })
                .collect(),
        };
        Some(Self { voters, has_leader })
    }

    fn count(&self, is: impl Fn(&State) -> bool) -> usize {
        self.voters.iter().filter(|voter| is(&voter.state)).count()
    }

    fn healthy(&self) -> usize {
        self.count(|state| *state == State::Healthy)
    }

    /// For the cluster's own line; nothing where there is no choice of members.
    pub(super) fn part(&self) -> Option<Part> {
        let is_whole =
            if self.count(is_lost) > 0 { Some(false) } else { (self.unknown() == 0).then_some(true) };
        (self.voters.len() > 1).then(|| Part { text: self.told(), is_whole })
    }

    /// `2 of 3 voting members healthy`
    fn told(&self) -> String {
        let rest =
            if self.unknown() == 0 { String::new() } else { format!(", {} not known", self.unknown()) };
        format!("{} of {} voting members healthy{rest}", self.healthy(), self.voters.len())
    }

    fn unknown(&self) -> usize {
        self.count(|state| matches!(state, State::Unknown(_)))
    }

    fn needed(&self) -> usize {
        majority(self.voters.len())
    }

    /// Sure: an etcd that runs says that it has no leader, or too few are left to elect one.
    fn has_no_quorum(&self) -> bool {
        let missing = self.count(|state| matches!(state, State::Missing(_)));
        let says_so = self.count(|state| matches!(state, State::Leaderless(_))) > 0;
        self.voters.len() > 1 && !self.has_leader && (says_so || self.voters.len() - missing < self.needed())
    }

    /// They elect a leader, and would not without one more.
    fn is_bare(&self) -> bool {
        let lost = self.count(is_lost);
        self.voters.len() > 2 && self.has_leader && lost > 0 && self.voters.len() - lost <= self.needed()
    }

    fn without(&self) -> impl Iterator<Item = &Voter> {
        self.voters.iter().filter(|voter| voter.state != State::Healthy)
    }
}

/// Of a member its host knows best, unless it could not be asked, or goes by another one.
fn voter(fleet: &Fleet, facts: &Facts, servers: &[&Host], member: &Member) -> Voter {
    let host = servers.iter().find(|host| member.is_of(host.name.as_str(), host.node_ip));
    let name = host.map_or(member.label(), |host| host.name.as_str()).to_owned();
    let own = match host {
        None => State::Unknown("no server of fleet.toml".to_owned()),
        Some(host) => match (state(facts, host), datastore(facts, host)) {
            (State::Healthy, Some(store)) if !is_it(store, member) => {
                State::Unknown(format!("{} goes by another member", host.name))
            }
            (state, _) => state,
        },
    };
    let state = match own {
        State::Unknown(_) => seen_by_others(fleet, facts, member).unwrap_or(own),
        own => own,
    };
    Voter { name, state }
}

fn is_lost(state: &State) -> bool {
    matches!(state, State::Missing(_) | State::Leaderless(_))
}

fn datastore<'f>(facts: &'f Facts, host: &Host) -> Option<&'f Datastore> {
    Some(&facts.of(&host.name)?.k3s.as_ref()?.server.as_ref()?.datastore)
}

/// The list of an etcd that has a leader; of several, the longest: one that founded a cluster of its own knows itself alone.
fn reference<'f>(fleet: &Fleet, facts: &'f Facts) -> Option<&'f Members> {
    let servers = fleet.with_role(Role::Server).into_iter().rev();
    let lists = servers.filter_map(|host| datastore(facts, host)).filter(|it| it.leader == Some(Ok(())));
    lists.filter_map(|it| it.members.as_ref()).max_by_key(|members| members.list.len())
}

/// A server where K3s never ran is no member yet.
fn may_vote(facts: &Facts, host: &Host) -> bool {
    let never_ran = |seen: &HostFacts| {
        let k3s = seen.k3s.as_ref();
        k3s.is_some_and(|k3s| k3s.unit.is_none() && k3s.server.as_ref().is_some_and(|it| !it.datastore.ran))
    };
    facts.of(&host.name).is_none_or(|seen| !never_ran(seen))
}

fn state(facts: &Facts, host: &Host) -> State {
    let k3s = match facts.hosts.get(&host.name) {
        Some(Asked::Answered(seen)) => seen.k3s.as_ref(),
        Some(Asked::Unreached(_)) => return State::Unknown("could not be asked".to_owned()),
        None => return State::Unknown("was not asked".to_owned()),
    };
    let store = k3s.and_then(|k3s| Some(&k3s.server.as_ref()?.datastore));
    match store.and_then(|it| it.leader.as_ref()) {
        Some(Ok(())) => return State::Healthy,
        Some(Err(why)) => return State::Leaderless(format!("its etcd runs, and says: {why}")),
        None => {}
    }
    let gone = if store.is_some_and(|it| it.ran && !it.has_etcd) { "; its etcd's data are gone" } else { "" };
    match k3s.and_then(|k3s| k3s.unit.as_ref()) {
        Some(unit) if unit.is_active() => State::Unknown("its etcd gives no answer".to_owned()),
        Some(unit) => State::Missing(format!("{}{gone}", unit.told())),
        None => State::Missing("it has no k3s unit".to_owned()),
    }
}

/// What servers with a leader get from a member whose host says nothing.
fn seen_by_others(fleet: &Fleet, facts: &Facts, member: &Member) -> Option<State> {
    let servers = fleet.with_role(Role::Server);
    let asked = servers.iter().filter_map(|host| Some((host, datastore(facts, host)?)));
    let leading = asked.filter(|(_, it)| it.leader == Some(Ok(())));
    let mut answers = leading
        .filter_map(|(host, it)| Some((host, *member.clients.iter().find_map(|url| it.answers.get(url))?)));
    let (first, answers_first) = answers.next()?;
    if answers_first || answers.any(|(_, answers)| answers) {
        return Some(State::Healthy);
    }
    Some(State::Missing(format!("does not answer {}", first.name)))
}

/// The cluster's own findings.
pub(super) fn rules(all: &mut Examination, fleet: &Fleet, facts: &Facts, electorate: &Electorate) {
    let voting = electorate.voters.len();
    let names: Vec<&str> = electorate
        .without()
        .filter(|voter| !matches!(voter.state, State::Leaderless(_)))
        .map(|voter| voter.name.as_str())
        .collect();
    let missing = match &names[..] {
        [] => "none is missing, and none leads".to_owned(),
        names => format!("missing: {}", names.join(", ")),
    };
    let evidence = electorate.without().map(|Voter { name, state }| match state {
        State::Healthy => name.clone(),
        State::Leaderless(said) | State::Missing(said) | State::Unknown(said) => format!("{name}: {said}"),
    });
    if electorate.has_no_quorum() {
        let there = electorate.count(|state| matches!(state, State::Leaderless(_)));
        all.findings.push(Finding {
            host: None,
            cause: Cause::NoQuorum,
            value: Some(format!(
                "{there} of {voting} voting members there, {} are needed; {missing}",
                electorate.needed()
            )),
            evidence: evidence.collect(),
            remedy: regain(fleet, facts, electorate),
        });
    } else if electorate.is_bare() {
        all.findings.push(Finding {
            host: None,
            cause: Cause::BareMajority,
            value: Some(format!("{}; {missing}", electorate.told())),
            evidence: evidence.collect(),
            remedy: super::remedy(Cause::BareMajority, "", "", &names.join(" ")),
        });
    }
    strangers(all, fleet, facts);
}

/// By starting those that can be started; where that is not enough, from what is left.
fn regain(fleet: &Fleet, facts: &Facts, electorate: &Electorate) -> String {
    let store = |voter: &Voter| {
        let host = fleet.hosts.values().find(|host| host.name.as_str() == voter.name)?;
        datastore(facts, host)
    };
    let is_gone = |voter: &&Voter| store(voter).is_some_and(|it| !it.has_etcd);
    let lost = electorate.voters.iter().filter(is_gone).count();
    if electorate.voters.len() - lost < electorate.needed() {
        return "a majority has lost its data; docs/runbook.md: Several servers".to_owned();
    }
    let start: Vec<&str> = electorate
        .voters
        .iter()
        .filter(|voter| matches!(voter.state, State::Missing(_)) && !is_gone(voter))
        .map(|voter| voter.name.as_str())
        .collect();
    let reach: Vec<&str> = electorate
        .voters
        .iter()
        .filter(|voter| matches!(voter.state, State::Unknown(_)))
        .map(|voter| voter.name.as_str())
        .collect();
    match (&start[..], &reach[..]) {
        ([], []) => {
            "do the servers reach each other's ports 2379 and 2380? on each: journalctl -u k3s".to_owned()
        }
        ([], reach) => format!(
            "bring {} back; cargo xtask doctor says what of them does not answer",
            reach.join(" and ")
        ),
        (start, _) => format!("on {}: systemctl start k3s; journalctl -u k3s", start.join(" and ")),
    }
}

/// A member of no server counts, and is never there.
fn strangers(all: &mut Examination, fleet: &Fleet, facts: &Facts) {
    let Some(members) = reference(fleet, facts) else { return };
    let servers = fleet.with_role(Role::Server);
    let is_known =
        |member: &&Member| servers.iter().any(|host| member.is_of(host.name.as_str(), host.node_ip));
    let teller =
        servers.iter().find(|host| datastore(facts, host).is_some_and(|it| it.leader == Some(Ok(()))));
    for member in members.list.iter().filter(|member| !is_known(member)) {
        let evidence = format!("{}, at {}", named(member), member.peers.join(" "));
        all.findings.push(Finding {
            host: None,
            cause: Cause::MemberUnknown,
            value: Some(member.label().to_owned()),
            evidence: vec![evidence],
            remedy: super::remedy(
                Cause::MemberUnknown,
                "",
                teller.map_or("", |host| host.name.as_str()),
                &removal(member),
            ),
        });
    }
}

fn named(member: &Member) -> String {
    if member.name.is_empty() { "without a name: it never started".to_owned() } else { member.name.clone() }
}

/// The request that lets a member go, on a server that has a leader.
fn removal(member: &Member) -> String {
    format!(
        "cd /var/lib/rancher/k3s/server/tls/etcd && curl --http1.1 --cacert server-ca.crt --cert server-client.crt --key \
         server-client.key --data '{{\"ID\":\"{}\"}}' https://127.0.0.1:2382/v3/cluster/member/remove",
        member.id
    )
}

/// One server's place among the members.
pub(super) fn server_rules(chart: &mut Chart, fleet: &Fleet, facts: &Facts) {
    let host = chart.host;
    let Some(store) = datastore(facts, host) else { return };
    if let Some(Err(said)) = &store.leader {
        let evidence = format!("its etcd's own health: {said}");
        chart.found(Cause::EtcdFailed, None, vec![evidence], "");
    }
    let members = reference(fleet, facts);
    let own: Vec<&Member> = members.map_or(Vec::new(), |members| {
        members.list.iter().filter(|member| member.is_of(host.name.as_str(), host.node_ip)).collect()
    });
    let listed = || {
        let labels = members.iter().flat_map(|members| &members.list).map(Member::label);
        format!("members: {}", labels.collect::<Vec<_>>().join(" "))
    };
    let knows_itself_alone =
        store.leader == Some(Ok(())) && store.members.as_ref().is_some_and(|it| it.list.len() == 1);
    if is_gone(chart, facts, store, &own) {
        let mut evidence = vec!["/var/lib/rancher/k3s/server/db/etcd/member does not exist".to_owned()];
        evidence.extend(members.map(|_| listed()));
        rejoin(chart, fleet, facts, Cause::EtcdGone, evidence);
    } else if knows_itself_alone && members.is_some_and(|members| members.list.len() > 1) {
        rejoin(
            chart,
            fleet,
            facts,
            Cause::OtherCluster,
            vec!["its own etcd: one member, itself".to_owned(), listed()],
        );
    } else if members.is_some() && store.has_etcd && !is_listed(store, members, &own) {
        let as_whom = store.member.as_deref().unwrap_or("it does not say");
        rejoin(chart, fleet, facts, Cause::NotAMember, vec![format!("its own: {as_whom}"), listed()]);
    }
    if own.len() > 1 {
        let old = own.iter().find(|member| !is_it(store, member)).or(own.last());
        chart.found(
            Cause::MemberTwice,
            None,
            vec![listed()],
            &old.map_or_else(String::new, |old| removal(old)),
        );
    }
}

/// Its etcd's data are not there, and should be: etcd counts it as a member, or it had them and does not run. With another
/// datastore there are none.
fn is_gone(chart: &Chart, facts: &Facts, store: &Datastore, own: &[&Member]) -> bool {
    let Some(k3s) = facts.of(&chart.host.name).and_then(|seen| seen.k3s.as_ref()) else { return false };
    let is_active = k3s.unit.as_ref().is_some_and(k3s::unit::Unit::is_active);
    let is_external = ["datastore-endpoint", "K3S_DATASTORE_ENDPOINT"];
    let is_external = is_external.iter().any(|name| k3s.settings.contains_key(*name))
        || k3s
            .unit
            .as_ref()
            .and_then(|unit| unit.start.as_ref())
            .is_none_or(|start| start.values("datastore-endpoint").count() > 0);
    let had = store.ran && !is_active && !is_external;
    !store.has_etcd && !store.has_sqlite && (!own.is_empty() || had)
}

/// By the name that K3s wrote down, or by the member's number. One that was added and has not started yet has no name.
fn is_listed(store: &Datastore, members: Option<&Members>, own: &[&Member]) -> bool {
    let starts = own.iter().any(|member| member.name.is_empty());
    starts || members.is_none_or(|members| members.list.iter().any(|member| is_it(store, member)))
}

fn is_it(store: &Datastore, member: &Member) -> bool {
    let number = store.members.as_ref().map(|it| it.own);
    store.member.as_ref() == Some(&member.name) || number == Some(member.id)
}

/// It joins as a new member once etcd has let the old one go, which happens with its Node.
fn rejoin(chart: &mut Chart, fleet: &Fleet, facts: &Facts, cause: Cause, evidence: Vec<String>) {
    let host = &chart.host.name;
    let servers = fleet.with_role(Role::Server);
    let is_well = |other: &&&Host| {
        other.name != *host && datastore(facts, other).is_some_and(|it| it.leader == Some(Ok(())))
    };
    let has_data = datastore(facts, chart.host).is_some_and(|it| it.has_etcd);
    let aside = if has_data { "; cd /var/lib/rancher/k3s/server/db && mv etcd etcd-old" } else { "" };
    let remedy = match servers.iter().find(is_well) {
        // Started as the first, it would found a cluster of its own.
        Some(other) if chart.server == Some(host) => format!(
            "first_server = \"{0}\" in hosts/fleet.toml; on {host}: systemctl stop k3s{aside}; on {0}: k3s kubectl delete node {host} --ignore-not-found; \
             cargo xtask deploy {host}",
            other.name
        ),
        Some(other) => format!(
            "on {host}: systemctl stop k3s{aside}; on {}: k3s kubectl delete node {host} --ignore-not-found; on {host}: systemctl start k3s",
            other.name
        ),
        None if servers.len() > 1 => format!("wait until the other servers are well, then cargo xtask doctor {host}"),
        None => "do not start k3s, which would begin an empty cluster; docs/runbook.md: Another version of K3s, the way back"
            .to_owned(),
    };
    chart.found(cause, None, evidence, "");
    if let Some(last) = chart.all.findings.last_mut() {
        last.remedy = remedy;
    }
}
