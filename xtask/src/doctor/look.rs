//! Asking: each host what it says about itself, all at once; then the ways between them, which need the server's address and
//! CA. Nothing is changed anywhere, and no secret leaves its host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use agenix::Recipient;
use agenix::secrecy::{ExposeSecret, SecretSlice};
use fleet::{Fleet, Host, HostName, Role};
use k3s::unit::Unit;
use remote::RunError;
use remote::ssh::Session;

use super::facts::{Asked, Facts, HostFacts, NodeFacts, Probe, Unanswered};
use super::{reach, read};
use crate::access::token_of;
use crate::ask::Asker;
use crate::failure::Result;
use crate::repository::Repository;
use crate::run::{journal_since, k3s_unit};

/// Where agenix puts an agent's token.
pub(super) const AGENT_SECRET: &str = "/run/agenix/k3s-agent-token";
/// Where agenix puts a server's token.
pub(super) const SERVER_SECRET: &str = "/run/agenix/k3s-server-token";

const LOOK: &str = include_str!("look.sh");
const PROBE: &str = include_str!("probe.sh");
const KUBELETS: &str = include_str!("kubelets.sh");
const API: u16 = 6443;
const KUBELET: u16 = 10250;
/// A running K3s says what is wrong every few seconds; older lines are history.
const RECENT: u64 = 60;

/// Asks these hosts, and the first server for what only it knows.
pub(crate) fn look(repository: &Repository, fleet: &Fleet, asker: &Asker, hosts: &[&Host]) -> Result<Facts> {
    let salt = agenix::random_hex(32)?;
    let salt = || SecretSlice::from(salt.expose_secret().as_bytes().to_vec());
    let seen = asker.each(hosts, |host, session| Ok(look_at(host, session, salt())?));
    let mut facts = Facts { is_whole: hosts.len() == fleet.hosts.len(), ..Facts::default() };
    for (host, seen) in hosts.iter().zip(seen) {
        let asked = match seen {
            Ok(mut seen) => {
                if let Some(k3s) = &mut seen.k3s {
                    k3s.is_recipient = is_recipient(repository, host);
                }
                Asked::Answered(Box::new(seen))
            }
            Err(failure) if failure.kind == crate::failure::Kind::Interrupted => return Err(failure),
            Err(failure) => Asked::Unreached(reach::unreached(&failure)),
        };
        facts.hosts.insert(host.name.clone(), asked);
    }
    if let Some(server) = fleet.first_server() {
        ways(fleet, asker, server, &mut facts);
    }
    Ok(facts)
}

fn look_at(
    host: &Host,
    session: &Session,
    salt: SecretSlice<u8>,
) -> std::result::Result<HostFacts, RunError> {
    let (secret, role) = match host.role {
        Some(Role::Server) => (SERVER_SECRET, "server"),
        Some(Role::Agent) => (AGENT_SECRET, "agent"),
        None => ("", ""),
    };
    let asked = SystemTime::now();
    let said = session.run_with_input(["sh", "-c", LOOK, "sh", secret, role], salt)?.text();
    let mut seen = read::host(&said, host.role, (asked, SystemTime::now()));
    if let Some(k3s) = &mut seen.k3s {
        k3s.unit = k3s_unit(session)?;
        if let Some(unit) = &k3s.unit {
            k3s.journal = journal(session, unit)?;
        }
    }
    Ok(seen)
}

/// Since its start, if that was a moment ago; a unit that is not up has its reason in its last attempts.
fn journal(session: &Session, unit: &Unit) -> std::result::Result<String, RunError> {
    let now = k3s::unit::seconds(SystemTime::now());
    let since = match unit.started.filter(|_| unit.is_active()).map(k3s::unit::seconds) {
        Some(started) if started + RECENT > now => format!("@{started}"),
        _ => format!("-{RECENT}s"),
    };
    journal_since(session, &unit.id, &since)
}

/// By the header of the encrypted file, without a key. A file that does not exist yet, or is none, is `check`'s to tell.
fn is_recipient(repository: &Repository, host: &Host) -> Option<bool> {
    let key = Recipient::parse(&host.ssh_host_key.as_ref()?.bare()).ok()?.ssh_tag()?;
    let path = token_of(host.role?);
    let file = repository.has(&path).then(|| repository.read_secret(&path).ok()).flatten()?;
    Some(agenix::recipients_of(&file).ok()?.ssh.contains(&key))
}

/// What one answered of the ways between them.
enum Way {
    FromAgent(Probe),
    FromServer(Option<Vec<NodeFacts>>, BTreeMap<String, std::result::Result<(), Unanswered>>),
    None,
}

fn ways(fleet: &Fleet, asker: &Asker, server: &Host, facts: &mut Facts) {
    let Some(address) = server.node_ip.map(|ip| SocketAddr::new(ip, API).to_string()) else { return };
    let ca = facts.of(&server.name).and_then(|seen| Some(seen.k3s.as_ref()?.server.as_ref()?.ca.clone()));
    let ca = ca.unwrap_or_default();
    let answered = |host: &&Host| facts.of(&host.name).is_some_and(|seen| seen.k3s.is_some());
    let hosts: Vec<&Host> = fleet.hosts.values().filter(answered).collect();
    let kubelets: BTreeMap<String, HostName> =
        hosts.iter().filter_map(|host| Some((kubelet(host)?, host.name.clone()))).collect();
    let said = asker.each(&hosts, |host, session| {
        match host.role {
            None => return Ok(Way::None),
            Some(Role::Server) => {
                let kubelets = if host.name == server.name { &kubelets } else { &BTreeMap::new() };
                return Ok(Way::FromServer(nodes(session), from_server(session, kubelets)?));
            }
            Some(Role::Agent) => {}
        }
        let input = SecretSlice::from(ca.clone().into_bytes());
        let probe = format!("{}{}{PROBE}", k3s::login::PASSWORD_OF, k3s::login::LOG_IN);
        let said = session.run_with_input(["sh", "-c", &probe, "sh", AGENT_SECRET, &address], input)?;
        Ok(Way::FromAgent(read::probe(&said.text(), &address)))
    });
    for (name, way) in hosts.iter().map(|host| host.name.clone()).zip(said) {
        match way {
            Ok(Way::FromAgent(probe)) => {
                if let Some(k3s) = k3s_of(facts, &name) {
                    k3s.probe = Some(probe);
                }
            }
            Ok(Way::FromServer(nodes, answers)) => {
                // The first server's word is worth most, and any other's is better than none.
                if nodes.is_some() && (facts.nodes.is_none() || name == server.name) {
                    facts.nodes = nodes;
                }
                for (node, answer) in answers {
                    if let Some(k3s) = kubelets.get(&node).and_then(|name| k3s_of(facts, name)) {
                        k3s.kubelet = Some(answer);
                    }
                }
            }
            // It answered a moment ago; what it says of itself stands.
            Ok(Way::None) | Err(_) => {}
        }
    }
}

fn k3s_of<'a>(facts: &'a mut Facts, name: &HostName) -> Option<&'a mut super::facts::K3sFacts> {
    match facts.hosts.get_mut(name)? {
        Asked::Answered(seen) => seen.k3s.as_mut(),
        Asked::Unreached(_) => None,
    }
}

/// As it stands in a URL.
fn kubelet(host: &Host) -> Option<String> {
    (host.role == Some(Role::Agent)).then(|| Some(SocketAddr::new(host.node_ip?, KUBELET).to_string()))?
}

fn from_server(
    session: &Session,
    kubelets: &BTreeMap<String, HostName>,
) -> std::result::Result<BTreeMap<String, std::result::Result<(), Unanswered>>, RunError> {
    if kubelets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let argv = ["sh", "-c", KUBELETS, "sh"].into_iter().chain(kubelets.keys().map(String::as_str));
    Ok(read::kubelets(&session.run_within(Duration::from_secs(60), argv)?.text()))
}

/// `None` where the API server does not answer, for which there are findings of its own.
fn nodes(session: &Session) -> Option<Vec<NodeFacts>> {
    let argv = ["timeout", "20"].into_iter().chain(k3s::node::GET);
    read::nodes(&session.run(argv).ok()?.stdout)
}
