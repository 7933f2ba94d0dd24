//! Does what was built fit what runs? K3s' versions, the settings that all servers share, and whether its kubelet bears the
//! host's cgroups: read from the units of the systems, before the first of them is activated.

use std::collections::HashMap;

use fleet::{HostName, Role};
use k3s::start::{self, Start};
use k3s::version::{self, Change};
use k3s::{Version, node::Node};
use pipeline::Outcome;
use remote::ssh::Session;

use super::cluster::each;
use super::{Run, done};
use crate::cli::Goal;
use crate::failure::{Failure, Result};

/// How a host's K3s is started: by the system that it runs, and by the one that it is to run.
pub(super) struct Starts {
    runs: Option<Start>,
    built: Option<Start>,
    /// The host has cgroup v1. `None`: it did not say.
    has_cgroup_v1: Option<bool>,
    /// What the kubelet's configuration will be, as far as files say.
    kubelet: String,
}

/// A server's K3s that is to be another one: the names of the packages.
#[derive(Clone)]
pub(super) struct NewK3s {
    pub(super) from: String,
    pub(super) to: String,
}

impl Run<'_> {
    pub(super) fn fit(&self, hosts: &[HostName], goal: Goal) -> Result<Outcome> {
        // A host may be missing that the run goes on without.
        let hosts: Vec<HostName> = hosts.iter().filter(|name| self.is_reached(name)).cloned().collect();
        let servers = self.fleet.with_role(Role::Server);
        let mut asked = hosts.clone();
        let deploys_server = hosts.iter().any(|name| self.host(name).role == Some(Role::Server));
        let more =
            servers.iter().map(|server| &server.name).filter(|name| deploys_server && !hosts.contains(name));
        asked.extend(more.filter(|name| self.is_reached(name)).cloned());
        let read = each(&asked, |name| {
            let built = self.state().built.get(name).map(|built| built.system.clone());
            self.ask(name, |session| starts(session, built.as_deref()))
        });
        let starts: HashMap<HostName, Starts> =
            asked.into_iter().zip(read).map(|(name, starts)| Ok((name, starts?))).collect::<Result<_>>()?;
        for (name, starts) in &starts {
            self.note_new_k3s(name, starts);
        }
        if deploys_server {
            self.settings_agree(&starts)?;
        }
        // What the next boot brings is not known.
        if goal != Goal::Boot {
            kubelets_start(&hosts, &starts)?;
        }
        self.versions_follow(&hosts, &starts)
    }

    /// For the copy of the datastore, which is made just before the server is touched.
    pub(super) fn note_new_k3s(&self, name: &HostName, starts: &Starts) {
        let (Some(runs), Some(built)) = (&starts.runs, &starts.built) else { return };
        if let (Some(from), Some(to)) = (&runs.package, &built.package)
            && from != to
        {
            let new = NewK3s { from: from.clone(), to: to.clone() };
            self.state().new_k3s.insert(name.clone(), new);
        }
    }

    fn settings_agree(&self, starts: &HashMap<HostName, Starts>) -> Result<()> {
        let servers = self.fleet.with_role(Role::Server);
        let mut known = servers.iter().filter_map(|server| {
            let Starts { runs, built, .. } = starts.get(&server.name)?;
            Some((&server.name, built.as_ref().or(runs.as_ref())?))
        });
        let Some((first, one)) = known.next() else { return Ok(()) };
        for (name, other) in known {
            let Some(found) = start::differences(one, other).into_iter().next() else { continue };
            let message = format!(
                "all servers must agree in {}: {first} has {}, {name} has {}",
                found.flag, found.one, found.other
            );
            return Err(Failure::configuration(message)
                .hint("set it for all servers alike, in hosts/common/k3s/server.nix".to_owned()));
        }
        Ok(())
    }

    fn versions_follow(&self, hosts: &[HostName], starts: &HashMap<HostName, Starts>) -> Result<Outcome> {
        let nodes = self.nodes()?.unwrap_or_default();
        let changes: Vec<Change<'_>> =
            self.in_order(hosts).into_iter().map(|name| change(self, name, starts, &nodes)).collect();
        let elsewhere = nodes.iter().filter(|node| !hosts.iter().any(|name| name.as_str() == node.name));
        let elsewhere = elsewhere.map(|node| Change {
            host: &node.name,
            is_server: node.labels.contains_key("node-role.kubernetes.io/control-plane"),
            runs: Version::parse(&node.version),
            built: None,
        });
        let all: Vec<Change<'_>> = changes.iter().copied().chain(elsewhere).collect();
        let mut refused = version::refusals(&all).into_iter();
        if let Some(first) = refused.next() {
            let more: Vec<String> = refused.map(|more| format!("also: {}", more.what)).collect();
            return Err(Failure::configuration(first.what).tail(&more).hint(first.hint));
        }
        done(told(&changes))
    }

    /// Servers as the plan takes them.
    fn in_order<'h>(&self, hosts: &'h [HostName]) -> Vec<&'h HostName> {
        let servers = self.fleet.with_role(Role::Server);
        let place = |name: &HostName| servers.iter().position(|server| server.name == *name);
        let mut ordered: Vec<&HostName> = hosts.iter().collect();
        ordered.sort_by_key(|name| place(name).unwrap_or(usize::MAX));
        ordered
    }
}

/// A kubelet that refuses the host's cgroups ends K3s, and the host would come up without it.
fn kubelets_start(hosts: &[HostName], starts: &HashMap<HostName, Starts>) -> Result<()> {
    let refused = hosts.iter().filter_map(|name| {
        let Starts { built, has_cgroup_v1, kubelet, .. } = &starts[name];
        let built = built
            .as_ref()
            .filter(|built| *has_cgroup_v1 == Some(true) && built.refuses_cgroup_v1(kubelet))?;
        let version = built.version().map_or_else(String::new, |version| format!(" of K3s {version}"));
        Some(format!("{name} has cgroup v1, and the kubelet{version} does not start on it"))
    });
    let mut refused = refused.collect::<Vec<_>>().into_iter();
    let Some(first) = refused.next() else { return Ok(()) };
    let more: Vec<String> = refused.map(|more| format!("also: {more}")).collect();
    let hint = "boot it with cgroup v2 first: no systemd.unified_cgroup_hierarchy=0 in boot.kernelParams, --goal boot --reboot; or for \
                a while: services.k3s.extraKubeletConfig.failCgroupV1 = false";
    Err(Failure::configuration(first).tail(&more).hint(hint.to_owned()))
}

/// What runs is what the node says; before it is one, and while no server tells, what the running system starts.
fn change<'n>(
    run: &Run<'_>,
    name: &'n HostName,
    starts: &HashMap<HostName, Starts>,
    nodes: &[Node],
) -> Change<'n> {
    let node = nodes.iter().find(|node| node.name == name.as_str());
    let starts = &starts[name];
    let running = || starts.runs.as_ref().and_then(Start::version).filter(|_| nodes.is_empty());
    Change {
        host: name.as_str(),
        is_server: run.host(name).role == Some(Role::Server),
        runs: node.and_then(|node| Version::parse(&node.version)).or_else(running),
        built: starts.built.as_ref().and_then(Start::version),
    }
}

fn told(changes: &[Change<'_>]) -> String {
    let new = changes.iter().filter_map(|change| match (change.runs, change.built) {
        (Some(runs), Some(built)) if runs != built => Some(format!("{} {runs} → {built}", change.host)),
        _ => None,
    });
    match new.collect::<Vec<_>>() {
        new if new.is_empty() => "no version of K3s changes".to_owned(),
        new => new.join(", "),
    }
}

/// Two units; which file system the cgroups are; the files of the kubelet's configuration: the one that the unit names, and those
/// that were put on the host.
const ASK: &str = r#"
for system; do unit=$system/etc/systemd/system/k3s.service; cat "$unit" 2> /dev/null; echo; echo ---; done
stat --file-system --format %T /sys/fs/cgroup; echo ---
grep -oE 'kubelet-arg[= ]config=[^ ]+' "$unit" 2> /dev/null | while read -r flag; do cat "${flag#*config=}"; done
cat /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/* 2> /dev/null
grep -rhos fail-cgroupv1=false /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d "$system/etc/rancher" | sed 's/.*/failCgroupV1: false/'
:"#;

/// All in one command.
pub(super) fn starts(session: &Session, built: Option<&str>) -> Result<Starts> {
    let systems = ["/run/current-system"].into_iter().chain([built.unwrap_or("/none")]);
    let said = session.run(["sh", "-c", ASK, "sh"].into_iter().chain(systems))?.text();
    Ok(parse(&said))
}

fn parse(said: &str) -> Starts {
    let mut parts = said.splitn(4, "---\n");
    let mut next = || parts.next().unwrap_or_default();
    let (runs, built) = (Start::parse(next()), Start::parse(next()));
    let has_cgroup_v1 = match next().trim() {
        "cgroup2fs" => Some(false),
        // A folder of one mount a controller.
        "tmpfs" | "cgroupfs" => Some(true),
        _ => None,
    };
    Starts { runs, built, has_cgroup_v1, kubelet: next().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: &str =
        "[Service]\nExecStart=/nix/store/a-k3s-1.35.4+k3s1/bin/k3s agent \\\n --server https://x\n\n---\n";

    fn starts(said: &str) -> HashMap<HostName, Starts> {
        HashMap::from([(HostName::new("maia").unwrap(), parse(said))])
    }

    #[test]
    fn a_kubelet_that_refuses_the_hosts_cgroups_is_refused() {
        let told = |said: &str| {
            let starts = starts(said);
            let hosts: Vec<HostName> = starts.keys().cloned().collect();
            kubelets_start(&hosts, &starts).err().map(|failure| failure.message)
        };
        let said = |cgroup: &str, kubelet: &str| format!("\n---\n{UNIT}{cgroup}\n---\n{kubelet}");
        assert_eq!(
            told(&said("tmpfs", "")).as_deref(),
            Some("maia has cgroup v1, and the kubelet of K3s 1.35.4+k3s1 does not start on it")
        );
        assert_eq!(told(&said("tmpfs", "---\nfailCgroupV1: false\n")), None);
        // Newer, or nobody could say.
        assert_eq!((told(&said("cgroup2fs", "")), told(&said("", "")), told("")), (None, None, None));
        assert_eq!(told(&said("tmpfs", "").replace("1.35", "1.34")), None);
        // What runs is not asked, only what was built.
        assert_eq!(told(&format!("{UNIT}\n---\ntmpfs\n---\n")), None);
    }
}
