//! `hosts/fleet.toml`, the one place where a fact about the fleet stands, as validated types.
//!
//! Raw serde structs mirror the file (unknown keys refused); [`Fleet`] holds what was checked: a [`HostName`]
//! is a DNS label, an [`Address`] can't be taken for an option, a [`PublicKey`] is one that age and ssh can use. Whoever
//! holds a `Fleet` need not check again. Everything here is pure: text in, types or text out.
//!
//! Hosts are written, too: into fleet.toml ([`edit`]) and into a `secrets.nix` that a person wrote ([`secrets_nix`]).
//!
//! What this crate leaves out: what `secrets.nix` means (evaluated by nix, read by `agenix`), and whether hosts answer.

pub mod edit;
mod error;
mod names;
mod network;
mod raw;
pub mod secrets_nix;
mod validate;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

pub use error::{FleetError, nearest};
pub use names::{Address, HostName, NameError, PublicKey};
pub use network::{Network, NextAddressError};

/// The validated fleet. Hosts are in the order of their names, as Nix sees them too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// `[cluster]`
    pub cluster: Cluster,
    /// `[admins]`: who can read and re-encrypt every secret, by name.
    pub admins: BTreeMap<String, PublicKey>,
    /// `[hosts.NAME]`
    pub hosts: BTreeMap<HostName, Host>,
}

/// What all hosts share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The kubeconfig's name for it.
    pub name: String,
    /// `ocean` is `ocean.DOMAIN`.
    pub domain: String,
    /// The mesh that node addresses belong to.
    pub network: Option<Network>,
    /// The interface that flannel and the firewall are bound to.
    pub interface: Option<String>,
    /// The server that the others join; only needed with several.
    pub first_server: Option<HostName>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its table's name.
    pub name: HostName,
    /// Absent: a NixOS host outside the cluster.
    pub role: Option<Role>,
    /// Its address in the cluster; there if it has a role.
    pub node_ip: Option<IpAddr>,
    /// Where to reach it, tried in order; never empty.
    pub addresses: Vec<Address>,
    /// Who logs in over ssh: `root`, unless said otherwise.
    pub ssh_user: String,
    /// Where its system is built.
    pub build_on: BuildOn,
    /// The pinned host key; absent until `init` or `node pin`.
    pub ssh_host_key: Option<PublicKey>,
    /// `key=value:Effect`
    pub taints: Vec<String>,
    /// `key=value`
    pub labels: Vec<String>,
    /// Further names for the API server's certificate.
    pub tls_sans: Vec<String>,
    /// Opens 30000–32767.
    pub node_ports: bool,
    /// For `deploy --tag`.
    pub tags: Vec<String>,
    /// Its Nix system, `x86_64-linux` if absent.
    pub system: Option<String>,
}

/// A host's part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs the control plane.
    Server,
    /// Runs workloads.
    Agent,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Agent => "agent",
        })
    }
}

/// Where a host's system is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOn {
    /// On the host itself.
    Target,
    /// On the machine that deploys.
    Local,
    /// On another host of the fleet.
    Host(HostName),
}

impl Fleet {
    /// Reads the text of fleet.toml.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and a hint.
    pub fn parse(text: &str) -> Result<Self, FleetError> {
        validate::validate(text, &raw::parse(text)?)
    }

    /// The address for a new node. They are given one after the other, so it is the one behind the highest that is in
    /// use; at the end of the network, the lowest free one. What any host has as node_ip, address or further TLS name
    /// is in use. The base and the broadcast address are nobody's.
    ///
    /// # Errors
    /// Without a `network` in `[cluster]`, with one of IPv6, and when all of its addresses are in use.
    pub fn next_node_ip(&self) -> Result<IpAddr, NextAddressError> {
        let network = self.cluster.network.ok_or(NextAddressError::NoNetwork)?;
        let named = |host: &Host| {
            let addresses = host.addresses.iter().filter_map(|address| address.as_str().parse().ok());
            let sans = host.tls_sans.iter().filter_map(|san| san.parse().ok());
            addresses.chain(sans).collect::<Vec<IpAddr>>()
        };
        let nodes: Vec<IpAddr> = self.hosts.values().filter_map(|host| host.node_ip).collect();
        network.next_address(&nodes, &self.hosts.values().flat_map(named).collect::<Vec<_>>())
    }

    /// The hosts of a role, by name; servers with the first server in front.
    pub fn with_role(&self, role: Role) -> Vec<&Host> {
        let mut hosts: Vec<&Host> = self.hosts.values().filter(|host| host.role == Some(role)).collect();
        // Stable: the others stay in the order of their names.
        hosts.sort_by_key(|host| Some(&host.name) != self.cluster.first_server.as_ref());
        hosts
    }

    /// The server that the others join and that is asked about nodes; `None` without a cluster.
    pub fn first_server(&self) -> Option<&Host> {
        self.with_role(Role::Server).into_iter().next()
    }

    /// The host of this name.
    ///
    /// # Errors
    /// An unknown name, with the nearest known one.
    pub fn host(&self, name: &str) -> Result<&Host, FleetError> {
        // Not through HostName: whatever was typed deserves the nearest name, not a lecture on DNS labels.
        self.hosts.values().find(|host| host.name.as_str() == name).ok_or_else(|| {
            let known = self.hosts.keys().map(HostName::as_str);
            FleetError::UnknownHost {
                name: name.to_owned(),
                nearest: nearest(name, known.clone()),
                known: { known.map(str::to_owned).collect() },
            }
        })
    }

    /// Whose key this is, for a person to read: an admin's or a host's name.
    pub fn owner_of(&self, key: &PublicKey) -> Option<&str> {
        let hosts = self.hosts.values().filter(|host| host.ssh_host_key.as_ref() == Some(key));
        let admins = self.admins.iter().filter(|(_, admin)| *admin == key);
        admins.map(|(name, _)| name.as_str()).chain(hosts.map(|host| host.name.as_str())).next()
    }
}
