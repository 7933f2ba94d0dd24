//! The lab's network: one bridge, in a namespace that has nothing else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fleet::{Fleet, Host};
use remote::Cmd;

use crate::error::LabError;

/// The bridge; the deployer's address is on it.
pub(crate) const BRIDGE: &str = "lab0";
/// The mesh's interface where fleet.toml names none.
const INTERFACE: &str = "mesh0";

/// Who has which address.
pub(crate) struct Plan {
    deployer: IpAddr,
    bits: u8,
    pub(crate) interface: String,
    hosts: BTreeMap<String, Place>,
}

struct Place {
    address: IpAddr,
    /// Other literal addresses under which fleet.toml expects the host.
    more: Vec<IpAddr>,
    names: Vec<String>,
}

impl Plan {
    /// Production's own addresses: node_ip for the cluster's hosts, free ones of the same network for the rest.
    pub(crate) fn new(fleet: &Fleet) -> Result<Self, LabError> {
        let network =
            fleet.cluster.network.unwrap_or(fleet::Network { base: IpAddr::from([100, 64, 0, 0]), bits: 10 });
        let taken: Vec<IpAddr> = fleet.hosts.values().filter_map(|host| host.node_ip).collect();
        let mut free = (1..=u16::MAX)
            .filter_map(|n| nth(network.base, n))
            .filter(|ip| network.contains(*ip) && !taken.contains(ip));
        let full = || LabError::NetworkFull(network.to_string());
        let deployer = free.next().ok_or_else(full)?;
        let mut hosts = BTreeMap::new();
        for host in fleet.hosts.values() {
            let address = host.node_ip.or_else(|| free.next()).ok_or_else(full)?;
            hosts.insert(host.name.to_string(), Place::new(host, address));
        }
        let interface = fleet.cluster.interface.clone().unwrap_or_else(|| INTERFACE.to_owned());
        Ok(Self { deployer, bits: network.bits, interface, hosts })
    }

    pub(crate) fn address(&self, host: &str) -> IpAddr {
        self.hosts[host].address
    }

    /// Each address of a host as `ip addr` takes it.
    pub(crate) fn assignments(&self, host: &str) -> Vec<String> {
        let place = &self.hosts[host];
        let single = |ip: &IpAddr| format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 });
        let first = format!("{}/{}", place.address, self.bits);
        std::iter::once(first).chain(place.more.iter().map(single)).collect()
    }

    /// `/etc/hosts` of every machine.
    pub(crate) fn hosts_file(&self) -> String {
        let line = |place: &Place| format!("{} {}\n", place.address, place.names.join(" "));
        let localhost = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        std::iter::once(localhost).chain(self.hosts.values().map(line)).collect()
    }

    /// Makes the bridge, in the namespace that we are in.
    pub(crate) fn set_up(&self) -> Result<(), LabError> {
        let ip = |args: &[&str]| Cmd::new("ip").args(args).run();
        ip(&["link", "set", "lo", "up"])?;
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{}/{}", self.deployer, self.bits), "dev", BRIDGE])?;
        ip(&["link", "set", BRIDGE, "up"])?;
        for address in self.hosts.values().flat_map(|place| &place.more) {
            ip(&["route", "add", &address.to_string(), "dev", BRIDGE])?;
        }
        Ok(())
    }
}

impl Place {
    fn new(host: &Host, address: IpAddr) -> Self {
        let mut place = Self { address, more: Vec::new(), names: vec![host.name.to_string()] };
        for reached in &host.addresses {
            match reached.as_str().parse::<IpAddr>() {
                Ok(ip) if ip == address => {}
                Ok(ip) => place.more.push(ip),
                Err(_) => place.names.push(reached.as_str().to_owned()),
            }
        }
        place
    }
}

/// The n-th address after the base.
fn nth(base: IpAddr, n: u16) -> Option<IpAddr> {
    match base {
        IpAddr::V4(base) => u32::from(base).checked_add(u32::from(n)).map(|ip| IpAddr::V4(ip.into())),
        IpAddr::V6(base) => u128::from(base).checked_add(u128::from(n)).map(|ip| IpAddr::V6(ip.into())),
    }
}
