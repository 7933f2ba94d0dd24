//! The fleet as a graph: what there is, and how it hangs together. A pure function of fleet and rules; each format is a
//! function of this value.
//!
//! Readers are known by their keys, not by their names: a key whose comment says `ocean` is not the host's.

pub(crate) mod dot;
pub(crate) mod mermaid;
pub(crate) mod svg;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use agenix::{Recipient, Rules};
use fleet::{BuildOn, Fleet, Host, PublicKey, Role};
use serde_json::{Value, json};

/// What is drawn.
#[derive(Debug)]
pub(crate) struct Graph {
    cluster: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    faults: Vec<Fault>,
}

/// What could not be drawn, and why.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
}

/// A box.
#[derive(Debug)]
struct Node {
    kind: Kind,
    name: String,
    /// Lines below the name.
    details: Vec<String>,
    /// Something is wrong with it.
    is_broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Of `[admins]`.
    Admin,
    /// A key that fleet.toml does not know.
    Key,
    Secret,
    Server,
    Agent,
    /// Outside of the cluster.
    Host,
}

/// An arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    /// Places in the list of nodes.
    from: usize,
    to: usize,
    relation: Relation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// A node joins the cluster at a server.
    Joins,
    /// A host's system is built on another one.
    BuiltOn,
    /// Who can decrypt a secret.
    Reads,
}

impl Graph {
    pub(crate) fn new(fleet: &Fleet, rules: &Rules) -> Self {
        let mut graph = Self::of_fleet(fleet);
        let owners = graph.owners(fleet);
        for rule in rules.iter() {
            let secret = graph.add(Kind::Secret, rule.path().as_str(), Vec::new());
            match rule.recipients() {
                Ok(readers) => readers.iter().for_each(|reader| graph.add_reader(&owners, reader, secret)),
                Err(error) => {
                    graph.nodes[secret].is_broken = true;
                    graph.nodes[secret].details.push("its rule cannot be used".to_owned());
                    graph.faults.push(Fault { what: error.to_string(), hint: Some(error.hint()) });
                }
            }
        }
        let refused = rules.refused().iter();
        graph.faults.extend(refused.map(|error| Fault { what: error.to_string(), hint: Some(error.hint()) }));
        graph
    }

    /// Where nothing is known of secrets.
    pub(crate) fn without_rules(fleet: &Fleet, fault: Fault) -> Self {
        let mut graph = Self::of_fleet(fleet);
        graph.faults.push(fault);
        graph
    }

    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Each node and each edge as an event.
    pub(crate) fn events(&self) -> Vec<Value> {
        let node = |node: &Node| {
            json!({
                "event": "graph-node", "id": node.id(), "kind": node.kind.word(), "name": node.name,
                "details": node.details, "broken": node.is_broken,
            })
        };
        let edge = |edge: &Edge| {
            let (from, to) = (self.nodes[edge.from].id(), self.nodes[edge.to].id());
            json!({ "event": "graph-edge", "from": from, "to": to, "relation": edge.relation.word() })
        };
        let fault =
            |fault: &Fault| json!({ "event": "graph-fault", "finding": fault.what, "hint": fault.hint });
        let nodes = self.nodes.iter().map(node).chain(self.edges.iter().map(edge));
        nodes.chain(self.faults.iter().map(fault)).collect()
    }

    fn of_fleet(fleet: &Fleet) -> Self {
        let cluster = fleet.cluster.name.clone();
        let mut graph = Self { cluster, nodes: Vec::new(), edges: Vec::new(), faults: Vec::new() };
        for name in fleet.admins.keys() {
            graph.add(Kind::Admin, name, Vec::new());
        }
        let outside = fleet.hosts.values().filter(|host| host.role.is_none());
        let hosts: Vec<&Host> = [Role::Server, Role::Agent]
            .map(|role| fleet.with_role(role))
            .into_iter()
            .flatten()
            .chain(outside)
            .collect();
        for host in &hosts {
            let kind = match host.role {
                Some(Role::Server) => Kind::Server,
                Some(Role::Agent) => Kind::Agent,
                None => Kind::Host,
            };
            graph.add(kind, host.name.as_str(), details(fleet, host));
        }
        let first = fleet.first_server();
        for host in hosts {
            let this = graph.host(host.name.as_str());
            if let Some(first) = first.filter(|first| host.role.is_some() && first.name != host.name) {
                graph.edges.push(Edge {
                    from: this,
                    to: graph.host(first.name.as_str()),
                    relation: Relation::Joins,
                });
            }
            if let BuildOn::Host(builder) = &host.build_on {
                let to = graph.host(builder.as_str());
                graph.edges.push(Edge { from: this, to, relation: Relation::BuiltOn });
            }
        }
        graph
    }

    fn add(&mut self, kind: Kind, name: &str, details: Vec<String>) -> usize {
        self.nodes.push(Node { kind, name: name.to_owned(), details, is_broken: false });
        self.nodes.len() - 1
    }

    /// A host's place. Every host of the fleet is drawn, and a builder is one of them.
    fn host(&self, name: &str) -> usize {
        let is_it = |node: &Node| node.kind >= Kind::Server && node.name == name;
        self.nodes.iter().position(is_it).expect("every host of the fleet is drawn")
    }

    /// Who has which key, by its text as agenix spells it. Who is both is drawn as the admin.
    fn owners(&self, fleet: &Fleet) -> BTreeMap<String, usize> {
        let text = |key: &PublicKey| Some(Recipient::parse(&key.bare()).ok()?.text().to_owned());
        let hosts = fleet.hosts.values().filter_map(|host| {
            let key = host.ssh_host_key.as_ref()?;
            Some((text(key)?, self.host(host.name.as_str())))
        });
        // Admins are drawn first, in this order.
        let admins = fleet.admins.values().enumerate().filter_map(|(place, key)| Some((text(key)?, place)));
        hosts.chain(admins).collect()
    }

    fn add_reader(&mut self, owners: &BTreeMap<String, usize>, reader: &Recipient, secret: usize) {
        let from = owners.get(reader.text()).copied().unwrap_or_else(|| {
            let name = reader.label();
            let known = self.nodes.iter().position(|node| node.kind == Kind::Key && node.name == name);
            known.unwrap_or_else(|| self.add(Kind::Key, &name, Vec::new()))
        });
        self.edges.push(Edge { from, to: secret, relation: Relation::Reads });
    }

    /// In one sentence, for whoever does not see the picture.
    fn description(&self) -> String {
        let count = |kinds: &[Kind], one: &str, many: &str| {
            let count = self.nodes.iter().filter(|node| kinds.contains(&node.kind)).count();
            format!("{count} {}", if count == 1 { one } else { many })
        };
        let servers = count(&[Kind::Server], "server", "servers");
        let agents = count(&[Kind::Agent], "agent", "agents");
        let others = count(&[Kind::Host], "other host", "other hosts");
        let secrets = count(&[Kind::Secret], "secret", "secrets");
        let readers = count(&[Kind::Admin, Kind::Key], "reader", "readers");
        format!("{servers}, {agents}, {others}, {secrets} and {readers} besides the hosts")
    }

    /// The nodes of some kinds, with their places.
    fn of<'a>(&'a self, kinds: &'a [Kind]) -> impl Iterator<Item = (usize, &'a Node)> {
        self.nodes.iter().enumerate().filter(|(_, node)| kinds.contains(&node.kind))
    }
}

impl Node {
    fn id(&self) -> String {
        format!("{}:{}", self.kind.word(), self.name)
    }

    /// The name, and what stands below.
    fn lines(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str()].into_iter().chain(self.details.iter().map(String::as_str))
    }
}

impl Kind {
    const HOSTS: [Self; 3] = [Self::Server, Self::Agent, Self::Host];
    const PEOPLE: [Self; 2] = [Self::Admin, Self::Key];

    fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Key => "key",
            Self::Secret => "secret",
            Self::Server => "server",
            Self::Agent => "agent",
            Self::Host => "host",
        }
    }
}

impl Relation {
    fn word(self) -> &'static str {
        match self {
            Self::Joins => "joins",
            Self::BuiltOn => "built on",
            Self::Reads => "reads",
        }
    }
}

fn details(fleet: &Fleet, host: &Host) -> Vec<String> {
    let is_first = fleet.with_role(Role::Server).len() > 1
        && fleet.first_server().is_some_and(|first| first.name == host.name);
    let role = match host.role {
        Some(role) if is_first => format!("{role}, the first"),
        Some(role) => role.to_string(),
        None => "outside of the cluster".to_owned(),
    };
    let ip = host.node_ip.map(|ip| ip.to_string());
    let reached = host.addresses[0].as_str();
    let reached = (ip.as_deref() != Some(reached)).then(|| format!("at {reached}"));
    let built = match host.build_on {
        BuildOn::Target => Some("built on itself".to_owned()),
        BuildOn::Local => Some("built where it is deployed from".to_owned()),
        // An arrow says it.
        BuildOn::Host(_) => None,
    };
    let unpinned = host.ssh_host_key.is_none().then(|| "no pinned key".to_owned());
    [Some(role), ip, reached, built, unpinned].into_iter().flatten().collect()
}
