//! Hosts come and go: whole tables of fleet.toml.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::ops::Range;

use toml_edit::{Array, Item, Table, Value};

use super::error::EditError;
use super::lines::Lines;
use crate::{Address, BuildOn, Fleet, FleetError, Host, HostName, PublicKey, Role};

/// A host to add. What is empty or absent is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHost {
    /// Its table's name.
    pub name: HostName,
    /// Absent: a NixOS host outside the cluster.
    pub role: Option<Role>,
    /// Its address in the cluster: [`Fleet::next_node_ip`] has a free one.
    pub node_ip: Option<IpAddr>,
    /// Where to reach it, in this order. Empty: `NAME.DOMAIN`.
    pub addresses: Vec<Address>,
    /// Absent: root.
    pub ssh_user: Option<String>,
    /// Absent: on itself.
    pub build_on: Option<BuildOn>,
    /// Its pinned key; written without its comment.
    pub ssh_host_key: Option<PublicKey>,
    /// `key=value:Effect`
    pub taints: Vec<String>,
    /// `key=value`
    pub labels: Vec<String>,
    /// For `deploy --tag`.
    pub tags: Vec<String>,
}

impl NewHost {
    /// A host of this name and nothing else.
    pub fn new(name: HostName) -> Self {
        Self {
            name,
            role: None,
            node_ip: None,
            addresses: Vec::new(),
            ssh_user: None,
            build_on: None,
            ssh_host_key: None,
            taints: Vec::new(),
            labels: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// Its lines, in the order of keys that the comment in fleet.toml lists.
    fn lines(&self) -> Vec<String> {
        let word = |text: String| Some(Value::from(text));
        let list = |texts: &[String]| {
            let array: Array = texts.iter().map(String::as_str).collect();
            (!array.is_empty()).then(|| Value::from(array))
        };
        let addresses: Vec<String> = self.addresses.iter().map(|at| at.as_str().to_owned()).collect();
        let build_on = self.build_on.as_ref().map(|build_on| match build_on {
            BuildOn::Target => "target".to_owned(),
            BuildOn::Local => "local".to_owned(),
            BuildOn::Host(name) => name.to_string(),
        });
        let keys = [
            ("role", self.role.and_then(|role| word(role.to_string()))),
            ("node_ip", self.node_ip.and_then(|ip| word(ip.to_string()))),
            ("addresses", list(&addresses)),
            ("ssh_user", self.ssh_user.clone().and_then(word)),
            ("build_on", build_on.and_then(word)),
            ("ssh_host_key", self.ssh_host_key.as_ref().and_then(|key| word(key.bare()))),
            ("taints", list(&self.taints)),
            ("labels", list(&self.labels)),
            ("tags", list(&self.tags)),
        ];
        let values = keys.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}", value?)));
        [format!("[hosts.{}]", self.name)].into_iter().chain(values).collect()
    }

    /// What fleet.toml should say with it.
    fn expected(&self, fleet: &Fleet) -> Option<Host> {
        let mut addresses = self.addresses.clone();
        if addresses.is_empty() {
            addresses.push(Address::new(&format!("{}.{}", self.name, fleet.cluster.domain)).ok()?);
        }
        Some(Host {
            name: self.name.clone(),
            role: self.role,
            node_ip: self.node_ip,
            addresses,
            ssh_user: self.ssh_user.clone().unwrap_or_else(|| "root".to_owned()),
            build_on: self.build_on.clone().unwrap_or(BuildOn::Target),
            ssh_host_key: self.ssh_host_key.clone(),
            taints: self.taints.clone(),
            labels: self.labels.clone(),
            tls_sans: Vec::new(),
            node_ports: false,
            tags: self.tags.clone(),
            system: None,
        })
    }
}

/// The text with the host's table behind that of the last host: exactly its lines are new.
///
/// # Errors
/// When the text is no fleet or would be none with the host, when there is one of this name, or when the hosts
/// are written as an inline table, to which no table can be added.
pub fn add_host(text: &str, host: &NewHost) -> Result<String, EditError> {
    let before = Fleet::parse(text)?;
    if before.hosts.contains_key(&host.name) {
        return Err(EditError::Exists { name: host.name.to_string() });
    }
    if let Some(source) = conflict(&before, host) {
        return Err(EditError::Impossible { source });
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let table = host.lines();
    let form = |what: &str| EditError::Form {
        what: what.to_owned(),
        by_hand: format!("write each host as a table of its own, and add:\n{}", table.join("\n")),
    };
    let lines = Lines::of(text).map_err(|error| form(error.message()))?;
    let (at, is_apart) = behind_hosts(&lines).ok_or_else(|| form("`hosts` is an inline table"))?;

    let mut new = String::new();
    if is_apart {
        new.push_str(newline);
    }
    for line in &table {
        let _ = write!(new, "{newline}{line}");
    }
    let after = [&text[..at], &new, &text[at..]].concat();
    let mut expected = before;
    expected.hosts.extend(host.expected(&expected).map(|added| (host.name.clone(), added)));
    confirm(after, &expected, || form("the table could not be added behind the last host's"))
}

/// The text without the host's table and the comment block directly above it.
///
/// # Errors
/// When the text is no fleet or would be none without the host, when there is none of this name, or when it is
/// written neither as `[hosts.NAME]` nor as `NAME = { … }` below `[hosts]`.
pub fn remove_host(text: &str, name: &HostName) -> Result<String, EditError> {
    let before = Fleet::parse(text)?;
    before.host(name.as_str())?;
    let form = |what: String| EditError::Form {
        what,
        by_hand: format!("remove what hosts/fleet.toml says about `{name}`: all of `hosts.{name}`"),
    };
    let lines = Lines::of(text).map_err(|error| form(error.message().to_owned()))?;
    let unknown = || form(format!("`{name}` is not written as a table `[hosts.{name}]`"));
    let range = table_of(&lines, name).ok_or_else(unknown)?;
    let after = [&text[..range.start], &text[range.end..]].concat();
    let mut expected = before;
    expected.hosts.remove(name);
    confirm(after, &expected, unknown)
}

/// What the new host cannot share with one that is there. The parser would find it as well, but could take the old host
/// for the one that is wrong.
fn conflict(before: &Fleet, host: &NewHost) -> Option<FleetError> {
    let refuse = |field: &str, message: String, hint: &str| {
        let place = format!("hosts.{}.{field}", host.name);
        Some(FleetError::Value { line: None, place, message, hint: hint.to_owned() })
    };
    let added = host.expected(before)?;
    for (name, other) in &before.hosts {
        if let (Some(ip), true) = (added.node_ip, added.node_ip == other.node_ip) {
            let hint = "give each node an address of its own";
            return refuse("node_ip", format!("{ip} is the node_ip of {name} already"), hint);
        }
        if let Some(at) = added.addresses.iter().find(|at| other.addresses.iter().any(|o| o.same_place(at))) {
            let hint = "the pinned key is looked up by address: each belongs to one host";
            return refuse("addresses", format!("{} is an address of {name} already", at.as_str()), hint);
        }
        if added.ssh_host_key.is_some() && added.ssh_host_key == other.ssh_host_key {
            let hint = "a machine cloned from another needs host keys of its own: `ssh-keygen -A` there";
            return refuse("ssh_host_key", format!("this is the host key of {name} already"), hint);
        }
    }
    let first = before.first_server().filter(|_| added.role == Some(Role::Server))?;
    let hint = format!("add first_server = \"{}\" to [cluster]: the one that the others join", first.name);
    let is_open = before.cluster.first_server.is_none();
    is_open.then(|| refuse("role", "a second server, and no first one named".to_owned(), &hint)).flatten()
}

/// The edited text, if it says exactly what it should.
fn confirm(after: String, expected: &Fleet, otherwise: impl Fn() -> EditError) -> Result<String, EditError> {
    match Fleet::parse(&after) {
        Ok(found) if found == *expected => Ok(after),
        // A value that is impossible beside the others is the caller's; broken TOML would be ours.
        Err(source @ FleetError::Value { .. }) => Err(EditError::Impossible { source }),
        Ok(_) | Err(_) => Err(otherwise()),
    }
}

/// Where a table can be put, and whether tables are set apart by blank lines; nothing if hosts are one inline table.
fn behind_hosts(lines: &Lines<'_>) -> Option<(usize, bool)> {
    let Some(hosts) = lines.item(&["hosts"]) else { return Some((lines.end_of_text(), true)) };
    let hosts = hosts.as_table()?;
    let inner = hosts.iter().filter_map(|(_, item)| item.as_table());
    let headers = inner.filter(|table| !table.is_implicit() && !table.is_dotted()).filter_map(Table::span);
    if let Some(last) = headers.map(|span| span.start).max() {
        let table = lines.table(last);
        let is_apart = lines.is_apart_above(lines.with_comment(table.clone()).start);
        return Some((table.end, is_apart));
    }
    // Below `[hosts]`, or dotted keys in front of all headers.
    let header = if hosts.is_dotted() { 0 } else { hosts.span()?.start };
    Some((lines.table(header).end, true))
}

fn table_of(lines: &Lines<'_>, name: &HostName) -> Option<Range<usize>> {
    match lines.item(&["hosts", name.as_str()])? {
        Item::Table(table) if !table.is_implicit() && !table.is_dotted() => {
            Some(lines.to_remove(lines.with_comment(lines.table(table.span()?.start))))
        }
        Item::Value(value) if lines.item(&["hosts"])?.is_table() => {
            let key = lines.key_of("hosts", name.as_str())?;
            Some(lines.to_remove(lines.with_comment(lines.touched(&(key.start..value.span()?.end)))))
        }
        _ => None,
    }
}
