//! The host's place in the network, and whether servers and agents reach each other.

use fleet::{Fleet, Role};

use super::facts::{Facts, HostFacts, K3sFacts, Tailscale};
use super::{Cause, Chart};

const TAILSCALE: &str = "tailscale0";
const VXLAN: &str = "8472";
const FLANNEL: &str = "flannel.1";
const FLANNEL_CONF: &str = "flannel-conf";

/// Has the cluster flannel's VXLAN? Agents get its backend from a server, and all servers have the same. `None` if nobody could
/// say.
pub(super) fn has_vxlan(fleet: &Fleet, facts: &Facts) -> Option<bool> {
    fleet.with_role(Role::Server).into_iter().find_map(|server| {
        let k3s = facts.of(&server.name)?.k3s.as_ref()?;
        k3s::start::has_vxlan(k3s.unit.as_ref()?.start.as_ref()?, &k3s.settings)
    })
}

/// Its interface, where K3s runs.
pub(super) fn flannel(chart: &mut Chart, seen: &HostFacts, k3s: &K3sFacts, has_vxlan: Option<bool>) {
    let is_active = k3s.unit.as_ref().is_some_and(k3s::unit::Unit::is_active);
    // An agent may have a configuration of flannel's of its own.
    let of_unit = k3s.unit.as_ref().and_then(|unit| unit.start.as_ref());
    let is_own = k3s.settings.contains_key(FLANNEL_CONF)
        || of_unit.is_some_and(|start| start.values(FLANNEL_CONF).count() > 0);
    if has_vxlan != Some(true) || is_own || !is_active || seen.interfaces.is_empty() {
        return;
    }
    if seen.interfaces.iter().any(|name| name == FLANNEL) {
        chart.well("flannel", format!("{FLANNEL} is there"));
    } else {
        let evidence = format!("it has {}", seen.interfaces.join(" "));
        chart.found(Cause::FlannelMissing, None, vec![evidence], "");
    }
}

pub(super) fn rules(chart: &mut Chart, fleet: &Fleet, seen: &HostFacts, has_vxlan: Option<bool>) {
    if chart.host.role.is_none() {
        return;
    }
    let interface = fleet.cluster.interface.as_deref();
    if interface == Some(TAILSCALE) {
        match &seen.tailscale {
            Tailscale::Down(state) => {
                chart.found(Cause::TailscaleDown, None, vec![format!("tailscaled: {state}")], "");
            }
            Tailscale::Up => chart.well("tailscale", "up"),
            Tailscale::Unseen => {}
        }
    }
    if let Some(interface) = interface.filter(|_| !seen.interfaces.is_empty()) {
        if seen.interfaces.iter().any(|there| there == interface) {
            chart.well("interface", interface);
        } else {
            let evidence = format!("it has {}", seen.interfaces.join(" "));
            chart.found(Cause::InterfaceMissing, Some(interface.to_owned()), vec![evidence], interface);
        }
    }
    if let Some(ip) = chart.host.node_ip.filter(|_| !seen.addresses.is_empty()) {
        if seen.addresses.contains(&ip) {
            chart.well("address", ip.to_string());
        } else {
            let has: Vec<String> = seen.addresses.iter().map(ToString::to_string).collect();
            chart.found(
                Cause::AddressMissing,
                Some(ip.to_string()),
                vec![format!("it has {}", has.join(" "))],
                "",
            );
        }
    }
    if has_vxlan == Some(true) {
        firewall(chart, interface, seen);
    }
}

/// 8472/udp answers no probe, so the rule is looked for.
fn firewall(chart: &mut Chart, interface: Option<&str>, seen: &HostFacts) {
    let Some(rules) = &seen.firewall else { return };
    if opens_vxlan(rules, interface) {
        chart.well("firewall", "8472/udp is open");
    } else {
        let evidence = format!("{} rules, none for 8472/udp", rules.lines().count());
        chart.found(Cause::VxlanClosed, None, vec![evidence], "");
    }
}

/// iptables' or nftables' words; a rule that accepts all of the interface, or one that names the port.
fn opens_vxlan(rules: &str, interface: Option<&str>) -> bool {
    let accepts = |line: &&str| line.contains("accept");
    rules.lines().filter(accepts).any(|line| {
        let mut words = line.split([' ', ',', '"', '{', '}']);
        let names_port = words.clone().any(|word| word == VXLAN);
        let is_whole = !line.contains("dport") && !line.contains("icmp") && !line.contains("state");
        names_port || (is_whole && interface.is_some_and(|interface| words.any(|word| word == interface)))
    })
}

/// From an agent to the server, and back.
pub(super) fn ways(chart: &mut Chart, k3s: &K3sFacts) {
    if let Some(probe) = &k3s.probe {
        match &probe.reach {
            Ok(()) => chart.well("server", format!("answers at {}", probe.server)),
            Err(no) => {
                let evidence = vec![no.said.clone()];
                let value = if no.silent { "no answer, as from a firewall" } else { "refused" };
                chart.found(Cause::ServerUnreachable, Some(value.to_owned()), evidence, "");
            }
        }
    }
    let role = chart.host.role;
    match &k3s.kubelet {
        Some(Ok(())) => chart.well("kubelet", "answers the server"),
        Some(Err(no)) if role == Some(Role::Agent) => {
            chart.found(Cause::KubeletUnreachable, None, vec![no.said.clone()], "");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_the_port_or_for_all_of_the_interface_is_enough() {
        let open = |rules: &str| opens_vxlan(rules, Some(TAILSCALE));
        assert!(open("-A nixos-fw -i tailscale0 -p udp -m udp --dport 8472 -j nixos-fw-accept"));
        assert!(open("-A nixos-fw -i tailscale0 -j nixos-fw-accept"));
        assert!(open("iifname \"tailscale0\" udp dport { 53, 8472 } accept"));
        assert!(open("iifname { \"cni0\", \"flannel.1\", \"lo\", \"tailscale0\" } accept"));
        assert!(open("-A nixos-fw -s 100.64.0.0/10 -p udp -m udp --dport 8472 -j nixos-fw-accept"));
        assert!(!open("-A nixos-fw -i lo -j nixos-fw-accept"));
        assert!(!open("-A nixos-fw -i tailscale0 -p tcp -m tcp --dport 10250 -j nixos-fw-accept"));
        assert!(!open("-A nixos-fw -i flannel.1 -j nixos-fw-accept\n-A nixos-fw -j nixos-fw-log-refuse"));
        assert!(!open("-A nixos-fw -p udp -m udp --dport 8472 -j DROP"));
    }
}
