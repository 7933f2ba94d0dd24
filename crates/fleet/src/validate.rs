//! From what the file says to what can be true of a fleet.

use std::collections::BTreeMap;
use std::net::IpAddr;

use toml::Spanned;

use crate::error::FleetError;
use crate::names::{Address, HostName, NameError, PublicKey};
use crate::raw::{RawCluster, RawFleet, RawHost, RawRole, line_of};
use crate::{BuildOn, Cluster, Fleet, Host, Network, Role};

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(crate) fn validate(text: &str, raw: &RawFleet) -> Result<Fleet, FleetError> {
    let check = Check { text };
    let cluster = check.cluster(&raw.cluster)?;
    let mut admins = BTreeMap::new();
    for (name, key) in &raw.admins {
        admins.insert(name.clone(), check.key(&format!("admins.{name}"), key)?);
    }
    let mut hosts = BTreeMap::new();
    for (name, host) in &raw.hosts {
        let host = check.host(&cluster, name, host)?;
        hosts.insert(host.name.clone(), host);
    }
    let fleet = Fleet { cluster, admins, hosts };
    check.references(&fleet, raw)?;
    check.duplicates(&fleet, raw)?;
    check.servers(&fleet)?;
    Ok(fleet)
}

/// The checks, with the text at hand for line numbers.
struct Check<'a> {
    text: &'a str,
}

impl Check<'_> {
    fn refuse<T>(&self, place: &str, value: Option<&Spanned<T>>, message: String, hint: &str) -> FleetError {
        let line = value.map(|value| line_of(self.text, value.span().start));
        FleetError::Value { line, place: place.to_owned(), message, hint: hint.to_owned() }
    }

    fn cluster(&self, raw: &RawCluster) -> Result<Cluster, FleetError> {
        let name = |place: &str, value: &Spanned<String>| {
            Address::new(value.get_ref()).map(|address| address.as_str().to_owned()).map_err(|_| {
                let message = format!("`{}` is not a DNS name", value.get_ref());
                self.refuse(place, Some(value), message, "letters, digits, dashes and dots")
            })
        };
        let network = raw.network.as_ref().map(|value| self.network(value)).transpose()?;
        let interface = raw.interface.as_ref().map(|value| self.interface(value)).transpose()?;
        let first_server = raw.first_server.as_ref();
        Ok(Cluster {
            name: name("cluster.name", &raw.name)?,
            domain: name("cluster.domain", &raw.domain)?,
            network,
            interface,
            first_server: first_server.map(|v| self.name("cluster.first_server", v)).transpose()?,
        })
    }

    fn network(&self, value: &Spanned<String>) -> Result<Network, FleetError> {
        let parse = || {
            let (base, bits) = value.get_ref().split_once('/')?;
            let (base, bits): (IpAddr, u8) = (base.parse().ok()?, bits.parse().ok()?);
            (bits <= if base.is_ipv4() { 32 } else { 128 }).then_some(Network { base, bits })
        };
        parse().ok_or_else(|| {
            let message = format!("`{}` is not an address range", value.get_ref());
            self.refuse("cluster.network", Some(value), message, "for example \"100.64.0.0/10\"")
        })
    }

    /// Linux: at most 15 bytes, no slash, no space.
    fn interface(&self, value: &Spanned<String>) -> Result<String, FleetError> {
        let name = value.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if (1..=15).contains(&name.len()) && name.chars().all(plain) && !name.starts_with(['-', '.']) {
            return Ok(name.clone());
        }
        let message = format!("`{name}` is not the name of a network interface");
        Err(self.refuse("cluster.interface", Some(value), message, "as `ip link` shows it"))
    }

    /// It goes into argv and, in front of an `@`, into what Nix takes apart.
    fn user(&self, place: &str, value: &Spanned<String>) -> Result<String, FleetError> {
        let name = value.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if (1..=32).contains(&name.len()) && name.chars().all(plain) && !name.starts_with(['-', '.']) {
            return Ok(name.clone());
        }
        let message = format!("`{name}` is not a user's name");
        Err(self.refuse(place, Some(value), message, "letters, digits, dashes, dots and underscores"))
    }

    fn host(&self, cluster: &Cluster, key: &Spanned<String>, raw: &RawHost) -> Result<Host, FleetError> {
        let name = self.name(&format!("hosts.{}", key.get_ref()), key)?;
        let place = |field: &str| format!("hosts.{name}.{field}");
        let role = raw.role.map(|role| match role {
            RawRole::Server => Role::Server,
            RawRole::Agent => Role::Agent,
        });
        let node_ip =
            raw.node_ip.as_ref().map(|ip| self.node_ip(&place("node_ip"), cluster, ip)).transpose()?;
        if let (Some(role), None) = (role, node_ip) {
            let message = format!("{role} without a node_ip");
            return Err(self.refuse(&format!("hosts.{name}"), Some(key), message, "add node_ip = \"…\""));
        }
        let mut addresses = Vec::new();
        for address in &raw.addresses {
            let checked = Address::new(address.get_ref());
            addresses.push(checked.map_err(|error| self.named(&place("addresses"), address, &error))?);
        }
        if addresses.is_empty() {
            let default = format!("{name}.{}", cluster.domain);
            addresses
                .push(Address::new(&default).map_err(|error| self.named(&place("addresses"), key, &error))?);
        }
        let ssh_user = raw.ssh_user.as_ref().map(|user| self.user(&place("ssh_user"), user)).transpose()?;
        let build_on = raw.build_on.as_ref().map(|v| self.build_on(&place("build_on"), v)).transpose()?;
        let key = raw.ssh_host_key.as_ref();
        self.pairs(&place("labels"), &raw.labels, label)?;
        self.pairs(&place("taints"), &raw.taints, taint)?;
        self.pairs(&place("tls_sans"), &raw.tls_sans, |san| Address::new(san).is_ok())?;
        Ok(Host {
            role,
            node_ip,
            addresses,
            ssh_user: ssh_user.unwrap_or_else(|| "root".to_owned()),
            build_on: build_on.unwrap_or(BuildOn::Target),
            ssh_host_key: key.map(|key| self.key(&place("ssh_host_key"), key)).transpose()?,
            taints: raw.taints.iter().map(|taint| taint.get_ref().clone()).collect(),
            labels: raw.labels.iter().map(|label| label.get_ref().clone()).collect(),
            tls_sans: raw.tls_sans.iter().map(|san| san.get_ref().clone()).collect(),
            node_ports: raw.node_ports,
            tags: raw.tags.clone(),
            system: raw.system.clone(),
            name,
        })
    }

    fn named(&self, place: &str, value: &Spanned<String>, error: &NameError) -> FleetError {
        let hint = match error {
            NameError::PublicKey { .. } => "`cargo xtask init` fills keys in",
            NameError::HostName(_) => "rename the table; the name is also the host's DNS label",
            NameError::Address(_) => "write it without a user (that is ssh_user) or a port",
        };
        self.refuse(place, Some(value), error.to_string(), hint)
    }

    fn name(&self, place: &str, value: &Spanned<String>) -> Result<HostName, FleetError> {
        HostName::new(value.get_ref()).map_err(|error| self.named(place, value, &error))
    }

    fn key(&self, place: &str, value: &Spanned<String>) -> Result<PublicKey, FleetError> {
        PublicKey::new(value.get_ref()).map_err(|error| self.named(place, value, &error))
    }

    fn build_on(&self, place: &str, value: &Spanned<String>) -> Result<BuildOn, FleetError> {
        Ok(match value.get_ref().as_str() {
            "target" => BuildOn::Target,
            "local" => BuildOn::Local,
            _ => BuildOn::Host(self.name(place, value)?),
        })
    }

    fn node_ip(&self, place: &str, cluster: &Cluster, value: &Spanned<String>) -> Result<IpAddr, FleetError> {
        let text = value.get_ref();
        let ip: IpAddr = text.parse().map_err(|_| {
            self.refuse(
                place,
                Some(value),
                format!("`{text}` is not an IP address"),
                "for example \"100.64.0.7\"",
            )
        })?;
        if ip.is_ipv6() {
            let hint = "IPv6 is not supported within the cluster yet; addresses may be IPv6";
            return Err(self.refuse(place, Some(value), format!("{ip} is an IPv6 address"), hint));
        }
        match cluster.network {
            Some(network) if !network.contains(ip) => {
                let message = format!("{ip} is outside of cluster.network ({network})");
                Err(self.refuse(place, Some(value), message, "give the host's address in the mesh"))
            }
            _ => Ok(ip),
        }
    }

    fn pairs(&self, place: &str, values: &[Spanned<String>], ok: fn(&str) -> bool) -> Result<(), FleetError> {
        match values.iter().find(|value| !ok(value.get_ref())) {
            None => Ok(()),
            Some(value) => {
                let hint = match place.rsplit('.').next() {
                    Some("taints") => "key=value:NoSchedule, or PreferNoSchedule, or NoExecute",
                    Some("labels") => "key=value",
                    _ => "a DNS name or an IP address",
                };
                let message = format!("`{}` is not of the right form", value.get_ref());
                Err(self.refuse(place, Some(value), message, hint))
            }
        }
    }

    /// What names a host names one that is there.
    fn references(&self, fleet: &Fleet, raw: &RawFleet) -> Result<(), FleetError> {
        let known = |place: &str, value: &Spanned<String>| match fleet.host(value.get_ref()) {
            Ok(host) => Ok(host),
            Err(error) => {
                Err(self.refuse(place, Some(value), error.to_string(), &error.hint().unwrap_or_default()))
            }
        };
        for (name, host) in &raw.hosts {
            let Some(value) = &host.build_on else { continue };
            if !["target", "local"].contains(&value.get_ref().as_str()) {
                known(&format!("hosts.{}.build_on", name.get_ref()), value)?;
            }
        }
        if let Some(value) = &raw.cluster.first_server
            && known("cluster.first_server", value)?.role != Some(Role::Server)
        {
            let message = format!("`{}` is not a server", value.get_ref());
            return Err(self.refuse(
                "cluster.first_server",
                Some(value),
                message,
                "name a host with role = \"server\"",
            ));
        }
        Ok(())
    }

    fn duplicates(&self, fleet: &Fleet, raw: &RawFleet) -> Result<(), FleetError> {
        for (name, host) in &raw.hosts {
            let this = fleet.host(name.get_ref()).expect("every raw host became a host");
            let earlier = fleet.hosts.values().take_while(|other| other.name != this.name);
            for other in earlier {
                let place = |field: &str| format!("hosts.{}.{field}", this.name);
                if let (Some(ip), true) = (this.node_ip, this.node_ip == other.node_ip) {
                    let message = format!("{ip} is the node_ip of {} already", other.name);
                    let hint = "give each node an address of its own";
                    return Err(self.refuse(&place("node_ip"), host.node_ip.as_ref(), message, hint));
                }
                // Of the checked hosts, not of the file: the address that a host has by default counts as well.
                if let Some(shared) =
                    this.addresses.iter().find(|at| other.addresses.iter().any(|other| other.same_place(at)))
                {
                    let message = format!("{} is an address of {} already", shared.as_str(), other.name);
                    let hint = "the pinned key is looked up by address: each belongs to one host";
                    return Err(self.refuse(&place("addresses"), host.addresses.first(), message, hint));
                }
                if this.ssh_host_key.is_some() && this.ssh_host_key == other.ssh_host_key {
                    let message = format!("this is the host key of {} already", other.name);
                    let hint =
                        "a machine cloned from another needs host keys of its own: `ssh-keygen -A` there";
                    return Err(self.refuse(
                        &place("ssh_host_key"),
                        host.ssh_host_key.as_ref(),
                        message,
                        hint,
                    ));
                }
            }
        }
        Ok(())
    }

    fn servers(&self, fleet: &Fleet) -> Result<(), FleetError> {
        let servers = fleet.with_role(Role::Server);
        let nowhere: Option<&Spanned<String>> = None;
        if let (true, Some(agent)) = (servers.is_empty(), fleet.with_role(Role::Agent).first()) {
            let message = "an agent in a fleet without a server".to_owned();
            let place = format!("hosts.{}.role", agent.name);
            return Err(self.refuse(&place, nowhere, message, "one host needs role = \"server\""));
        }
        if servers.len() > 1 && fleet.cluster.first_server.is_none() {
            let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
            let message = format!("several servers ({}) and no first one", names.join(", "));
            let hint = format!("add first_server = \"{}\": the one that the others join", names[0]);
            return Err(self.refuse("cluster.first_server", nowhere, message, &hint));
        }
        Ok(())
    }
}

/// `[prefix/]name=value` as Kubernetes takes it.
fn label(text: &str) -> bool {
    let word = |word: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
        let ends = |c: char| c.is_ascii_alphanumeric();
        // A value may be empty; where there is something, its ends are letters or digits.
        word.len() <= 63
            && word.bytes().all(plain)
            && (word.is_empty() || word.starts_with(ends) && word.ends_with(ends))
    };
    let Some((key, value)) = text.split_once('=') else { return false };
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(|prefix| Address::new(prefix).is_ok()) && !name.is_empty() && word(name) && word(value)
}

fn taint(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(pair, effect)| EFFECTS.contains(&effect) && label(pair))
}
