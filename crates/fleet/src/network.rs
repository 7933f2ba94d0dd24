//! The address range of the nodes, and the next free address of it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Why there is no address for a new node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NextAddressError {
    /// Nothing says where addresses come from.
    #[error("hosts/fleet.toml has no cluster.network to take an address from")]
    NoNetwork,
    /// Nodes have IPv4 addresses.
    #[error("cluster.network ({network}) is IPv6, which is not supported within the cluster yet")]
    Ipv6 {
        /// The range.
        network: Network,
    },
    /// All in use.
    #[error("cluster.network ({network}) has no free address")]
    Full {
        /// The range.
        network: Network,
    },
}

impl NextAddressError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoNetwork => "add network = \"100.64.0.0/10\", or whatever the mesh has, to [cluster]",
            Self::Ipv6 { .. } => "name the IPv4 range of the mesh",
            Self::Full { .. } => "remove hosts that are gone, or name a larger range",
        }
    }
}

/// An address range, `100.64.0.0/10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its base address.
    pub base: IpAddr,
    /// How many leading bits are fixed.
    pub bits: u8,
}

impl Network {
    /// Is the address of this range?
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = |bytes: &[u8]| {
            let whole = usize::from(self.bits / 8);
            let mut kept = bytes[..whole].to_vec();
            if let Some(byte) = bytes.get(whole) {
                kept.push(byte & !(0xff_u16 >> (self.bits % 8)) as u8);
            }
            kept
        };
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => prefix(&base.octets()) == prefix(&address.octets()),
            (IpAddr::V6(base), IpAddr::V6(address)) => prefix(&base.octets()) == prefix(&address.octets()),
            _ => false,
        }
    }

    /// See [`crate::Fleet::next_node_ip`].
    pub(crate) fn next_address(
        self,
        nodes: &[IpAddr],
        others: &[IpAddr],
    ) -> Result<IpAddr, NextAddressError> {
        let IpAddr::V4(base) = self.base else { return Err(NextAddressError::Ipv6 { network: self }) };
        let v4 = |address: &IpAddr| match address.to_canonical() {
            IpAddr::V4(address) if self.contains(address.into()) => Some(address.to_bits()),
            _ => None,
        };
        let used: BTreeSet<u32> = nodes.iter().chain(others).filter_map(v4).collect();
        // No shift by 32, which /0 would be.
        let hosts = u32::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
        let (first, broadcast) = (base.to_bits() & !hosts, base.to_bits() | hosts);
        let highest = nodes.iter().filter_map(v4).max().unwrap_or(first);
        // Each passes over used ones only, so neither takes more steps than there are hosts.
        let above = (highest..broadcast).skip(1).find(|address| !used.contains(address));
        let free = above.or_else(|| (first..highest).skip(1).find(|address| !used.contains(address)));
        free.map(|address| Ipv4Addr::from_bits(address).into())
            .ok_or(NextAddressError::Full { network: self })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}
