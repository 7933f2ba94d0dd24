//! The command lines behind a step, for `--dry-run -v`: pure, nothing is started and nobody is asked.
//!
//! nix and nixos-rebuild are shown as the builders make them that a run uses. What a step asks a host is shown as it asks it,
//! without the shell around scripts: enough to know what will happen there, and to do it by hand. What only a run finds out
//! stands in capitals. Options of ssh are left out: each call goes over the master of its host.

use std::collections::HashMap;
use std::path::Path;

use fleet::{BuildOn, Fleet, Host, HostName, Role};
use k3s::{node, unit};
use remote::nix::{self, OverrideInput};
use remote::nixos_rebuild::{self, Placement};
use remote::quote_all;

use super::cluster::READYZ;
use super::{AGENT_SECRET, Built, Origin, SERVER_SECRET, host, switch};
use crate::playbook::{Action, Rotated, Target};

const SNAPSHOT: &str = "/nix/store/SNAPSHOT-source";
const SYSTEM: &str = "/nix/store/SYSTEM";
/// A server, where any that is well will do.
const SERVER: &str = "SERVER";

/// What command lines depend on beside their step.
pub(crate) struct Commands<'a> {
    /// The repository's folder.
    pub(crate) root: &'a Path,
    pub(crate) fleet: &'a Fleet,
    pub(crate) overrides: Vec<OverrideInput>,
    pub(crate) sudo: bool,
}

impl Commands<'_> {
    /// Those of this step, in their order; a step may well skip some, or all. `ocean$ …` runs on ocean, `$ …` here.
    pub(crate) fn of(&self, action: &Action) -> Vec<String> {
        match action {
            Action::Preflight { .. } => vec![here(&["git", "add", "--intent-to-add", "secrets"])],
            Action::Connect { host, lock, .. } => self.connect(host, *lock),
            Action::ServerToken { servers } => each(servers, &["cat", k3s::SERVER_TOKEN]),
            Action::SharedToken { servers } => each(servers, &["cat", k3s::AGENT_TOKEN]),
            Action::Snapshot { .. } => {
                let metadata = nix::flake_metadata(self.root, &self.overrides);
                vec![format!("$ {metadata}")]
            }
            Action::Generation { host, .. } => {
                vec![on(host, &["nix-env", "-p", host::PROFILE, "--list-generations"])]
            }
            Action::Build { host, together } => self.build(host, together),
            Action::Copy { host } => self.copy(host),
            Action::Fit { hosts, .. } => hosts.iter().map(|it| on(it, &["cat", &unit_in(SYSTEM)])).collect(),
            Action::Quorum { host, .. } => {
                let servers = self.fleet.with_role(Role::Server).into_iter().map(|it| &it.name);
                servers.filter(|it| *it != host).map(|it| on(it, &READYZ)).collect()
            }
            Action::Datastore { host } | Action::BackUp { server: host } => self.keep_datastore(host),
            Action::Drain { host, seconds, .. } | Action::Empty { host, seconds, .. } => {
                vec![on_name(self.server(), &node::drain(host.as_str(), *seconds))]
            }
            Action::Uncordon { host } => vec![self.kubectl(&["uncordon", host.as_str()])],
            Action::Reboot { host } => vec![on(host, &["systemctl", "reboot"])],
            Action::Activate { host, target } => self.activate(host, *target),
            Action::Gate { host } => self.gate(host),
            Action::Labels { host } => ["label", "taint", "annotate"]
                .map(|verb| self.kubectl(&[verb, "node", host.as_str(), "--overwrite", "CHANGES"]))
                .to_vec(),
            Action::AgentToken => vec![on_name(self.server(), &["cat", k3s::AGENT_TOKEN])],
            Action::SameUnit { host } => {
                vec![on(host, &["cmp", "--silent", &unit_in(SYSTEM), &unit_in(host::RUNNING)])]
            }
            Action::NewToken { server, of } => vec![on(server, &["cat", token_file(*of)])],
            Action::Rotate { server, .. } => {
                vec![on(server, &["curl", "--request", "PUT", "https://127.0.0.1:6443/v1-k3s/token"])]
            }
            Action::Restart { host, .. } => vec![on(host, &["systemctl", "restart", unit::CANDIDATES[0]])],
            Action::TryToken { host, of } => vec![on(host, &["curl", &login_url(*of)])],
            Action::CanLeave { server, .. } => vec![on(server, &node::GET)],
            Action::LeaveEtcd { host, server } | Action::DeleteNode { host, server } => vec![
                on(server, &node::delete(host.as_str())),
                on(server, &node::forget_password(host.as_str())),
            ],
            Action::StopK3s { host } => vec![on(host, &["systemctl", "stop", unit::CANDIDATES[0]])],
        }
    }

    fn connect(&self, name: &HostName, lock: bool) -> Vec<String> {
        let destination = self.destination(name);
        let mut lines = vec![format!("$ ssh -o StrictHostKeyChecking=yes -o BatchMode=yes {destination}")];
        if self.becomes_root(&self.fleet.hosts[name]) {
            lines.push(on(name, &["sudo", "--non-interactive", "true"]));
        }
        if lock {
            lines.push(on(name, &["flock", "--nonblock", "/run/xtask/lock"]));
        }
        lines
    }

    fn build(&self, name: &HostName, together: &[HostName]) -> Vec<String> {
        let mut lines = Vec::new();
        if together.len() > 1 && together.first() == Some(name) {
            let hosts = together.iter().map(HostName::as_str);
            lines.push(format!("$ {}", nix::systems(SNAPSHOT, hosts, &self.overrides)));
            lines.push(format!("$ {}", nix::realise(["DERIVATIONS"].into_iter())));
        }
        if together.len() > 1 {
            return lines;
        }
        let host = &self.fleet.hosts[name];
        let (target, builder) = match &host.build_on {
            // What is built here is copied in a step of its own.
            BuildOn::Local => (None, None),
            BuildOn::Target => (Some(self.destination(name)), Some(self.destination(name))),
            BuildOn::Host(builder) => (Some(self.destination(name)), Some(self.destination(builder))),
        };
        let build = nixos_rebuild::Build {
            reference: SNAPSHOT,
            name: name.as_str(),
            placement: &Placement { target, builder },
            overrides: &self.overrides,
            ssh_options: &[],
            dir: self.root,
        };
        lines.push(format!("$ {}", build.command()));
        lines
    }

    fn copy(&self, name: &HostName) -> Vec<String> {
        vec![
            format!("$ {}", nix::closure(SYSTEM)),
            on(name, &["nix-store", "--check-validity", "--print-invalid", "PATHS"]),
            on(name, &host::ROOM),
            format!("$ {}", nix::copy_closure(&self.destination(name), SYSTEM, HashMap::new(), &[])),
        ]
    }

    fn activate(&self, name: &HostName, target: Target) -> Vec<String> {
        let look = on(name, &["readlink", "-m", host::RUNNING, host::PROFILE]);
        let mut lines = vec![look.clone()];
        if target == Target::Running {
            let timer =
                ["systemd-run", "--unit=xtask-rollback", "--on-active=SECONDS", "--", "sh", "GO-BACK"];
            lines.push(on(name, &timer));
        }
        let origin = Origin::Snapshot(SNAPSHOT.to_owned());
        lines.push(on(name, &switch::argv(target, &Built { system: SYSTEM.to_owned(), origin })));
        if target != Target::DryRun {
            lines.push(look);
        }
        lines
    }

    fn gate(&self, name: &HostName) -> Vec<String> {
        let role = self.fleet.hosts[name].role;
        let mut lines = vec![on(name, &["systemctl", "list-units", "--state=failed"])];
        let secret = match role {
            Some(Role::Server) => SERVER_SECRET,
            Some(Role::Agent) => AGENT_SECRET,
            None => return lines,
        };
        lines.push(on(name, &["stat", "--dereference", "--format", "%s %a %U", secret]));
        let show = ["systemctl", "show", "--property", unit::PROPERTIES];
        lines.push(on(name, &[&show[..], &unit::CANDIDATES].concat()));
        if role == Some(Role::Server) {
            lines.push(on(name, &READYZ));
        }
        lines.push(on_name(self.server(), &node::GET));
        lines
    }

    fn keep_datastore(&self, name: &HostName) -> Vec<String> {
        let copy = "/var/lib/rancher/xtask/COPY";
        if self.fleet.with_role(Role::Server).len() > 1 {
            return vec![on(name, &["k3s", "etcd-snapshot", "save", "--name", "COPY"])];
        }
        vec![
            on(name, &["cp", k3s::SERVER_TOKEN, copy]),
            on(name, &["cp", &format!("{}/state.db", k3s::DATASTORE), copy]),
        ]
    }

    /// At its first address: which one answers, only a run finds out.
    fn destination(&self, name: &HostName) -> String {
        let host = &self.fleet.hosts[name];
        let address = host.addresses.first().map_or_else(|| name.as_str(), |address| address.as_str());
        format!("{}@{address}", host.ssh_user)
    }

    fn becomes_root(&self, host: &Host) -> bool {
        self.sudo && host.ssh_user != "root"
    }

    /// The one server; of several, any.
    fn server(&self) -> &str {
        match self.fleet.with_role(Role::Server)[..] {
            [only] => only.name.as_str(),
            _ => SERVER,
        }
    }

    fn kubectl(&self, argv: &[&str]) -> String {
        on_name(self.server(), &[&["k3s", "kubectl"], argv].concat())
    }
}

fn unit_in(system: &str) -> String {
    format!("{system}/etc/systemd/system/{}", unit::CANDIDATES[0])
}

fn token_file(of: Rotated) -> &'static str {
    match of {
        Rotated::Server => k3s::SERVER_TOKEN,
        Rotated::Agent => k3s::AGENT_TOKEN,
    }
}

fn login_url(of: Rotated) -> String {
    let path = match of {
        Rotated::Server => "server-bootstrap",
        Rotated::Agent => "config",
    };
    format!("https://127.0.0.1:6443/v1-k3s/{path}")
}

fn here(argv: &[&str]) -> String {
    format!("$ {}", quote_all(argv))
}

fn on<S: AsRef<str>>(host: &HostName, argv: &[S]) -> String {
    on_name(host.as_str(), argv)
}

fn on_name<S: AsRef<str>>(host: &str, argv: &[S]) -> String {
    format!("{host}$ {}", quote_all(argv.iter().map(AsRef::as_ref)))
}

fn each(hosts: &[HostName], argv: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| on(host, argv)).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::playbook::Needed;

    const FLEET: &str = r#"
        [cluster]
        name = "mercury"
        domain = "mercury"
        [hosts.attic]
        [hosts.maia]
        role = "agent"
        node_ip = "100.64.0.5"
        build_on = "attic"
        ssh_user = "admin"
        [hosts.ocean]
        role = "server"
        node_ip = "100.64.0.6"
        build_on = "local"
    "#;

    fn of(actions: &[Action]) -> String {
        let fleet = Fleet::parse(FLEET).unwrap();
        let override_input = |name: &str, reference: &str| OverrideInput {
            name: name.to_owned(),
            reference: reference.to_owned(),
        };
        let overrides = vec![override_input("nixpkgs", "path:/src/my nixpkgs")];
        let commands = Commands { root: Path::new("/cluster"), fleet: &fleet, overrides, sudo: true };
        actions.iter().flat_map(|action| commands.of(action)).collect::<Vec<_>>().join("\n")
    }

    fn name(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    #[test]
    fn what_is_built_here_is_copied_and_activated_by_its_path() {
        let (host, together) = (name("ocean"), vec![name("ocean"), name("attic")]);
        let actions = [
            Action::Build { host: host.clone(), together },
            Action::Copy { host: host.clone() },
            Action::Activate { host, target: Target::Boot },
            Action::Build { host: name("attic"), together: Vec::new() },
        ];
        expect![[r#"
            $ nix --extra-experimental-features 'nix-command flakes' eval --json --override-input nixpkgs 'path:/src/my nixpkgs' '/nix/store/SNAPSHOT-source#nixosConfigurations' --apply 'all: builtins.listToAttrs (map (name: { inherit name; value = let it = all.${name}.config.system.build.toplevel; in { derivation = it.drvPath; path = it.outPath; }; }) [ "ocean" "attic" ])'
            $ nix-store --realise --keep-going DERIVATIONS --log-format internal-json
            $ nix --extra-experimental-features 'nix-command flakes' path-info --recursive --size /nix/store/SYSTEM
            ocean$ nix-store --check-validity --print-invalid PATHS
            ocean$ df --block-size=1 --output=avail,iavail,itotal /nix/store
            $ nix-copy-closure --to root@ocean.mercury /nix/store/SYSTEM --log-format internal-json
            ocean$ readlink -m /run/current-system /nix/var/nix/profiles/system
            ocean$ sh -c 'nix-env --profile "$1" "$2" "$3" && shift 3 && exec "$@"' sh /nix/var/nix/profiles/system --set /nix/store/SYSTEM systemd-run -E LOCALE_ARCHIVE -E NIXOS_NO_CHECK -E NIXOS_INSTALL_BOOTLOADER=0 --collect --no-ask-password --pipe --quiet --service-type=exec --unit=nixos-rebuild-switch-to-configuration /nix/store/SYSTEM/bin/switch-to-configuration boot
            ocean$ readlink -m /run/current-system /nix/var/nix/profiles/system
            $ nixos-rebuild build --flake '/nix/store/SNAPSHOT-source#attic' --override-input nixpkgs 'path:/src/my nixpkgs' --log-format internal-json --build-host root@attic.mercury --target-host root@attic.mercury"#]].assert_eq(&of(&actions));
    }

    #[test]
    fn what_another_host_builds_goes_from_there() {
        let host = name("maia");
        let actions = [
            Action::Connect { host: host.clone(), lock: true, needed: Needed::Yes },
            Action::Build { host: host.clone(), together: Vec::new() },
            Action::Activate { host: host.clone(), target: Target::Running },
            Action::Gate { host: host.clone() },
            Action::Drain { host, seconds: 60, reboot: false },
        ];
        expect![[r#"
            $ ssh -o StrictHostKeyChecking=yes -o BatchMode=yes admin@maia.mercury
            maia$ sudo --non-interactive true
            maia$ flock --nonblock /run/xtask/lock
            $ nixos-rebuild build --flake '/nix/store/SNAPSHOT-source#maia' --override-input nixpkgs 'path:/src/my nixpkgs' --log-format internal-json --build-host root@attic.mercury --target-host admin@maia.mercury
            maia$ readlink -m /run/current-system /nix/var/nix/profiles/system
            maia$ systemd-run --unit=xtask-rollback --on-active=SECONDS -- sh GO-BACK
            maia$ systemd-run -E LOCALE_ARCHIVE -E NIXOS_NO_CHECK -E NIXOS_INSTALL_BOOTLOADER=0 --collect --no-ask-password --pipe --quiet --service-type=exec --unit=nixos-rebuild-switch-to-configuration /nix/store/SYSTEM/bin/switch-to-configuration test
            maia$ readlink -m /run/current-system /nix/var/nix/profiles/system
            maia$ systemctl list-units --state=failed
            maia$ stat --dereference --format '%s %a %U' /run/agenix/k3s-agent-token
            maia$ systemctl show --property Id,LoadState,ActiveState,SubState,Result,ActiveEnterTimestamp,ExecMainStartTimestamp,ExecStart,NRestarts,Restart,RestartUSec,ExecMainExitTimestampMonotonic,StateChangeTimestampMonotonic k3s.service k3s-agent.service
            ocean$ k3s kubectl get nodes,leases.coordination.k8s.io --namespace kube-node-lease --output json
            ocean$ k3s kubectl drain maia --ignore-daemonsets --delete-emptydir-data --timeout=60s"#]].assert_eq(&of(&actions));
    }

    #[test]
    fn a_rotation_says_what_it_does_to_the_server() {
        let server = name("ocean");
        let of_server = Rotated::Server;
        let actions = [
            Action::BackUp { server: server.clone() },
            Action::Rotate { server: server.clone(), of: of_server },
            Action::Restart { host: server.clone(), of: of_server },
            Action::TryToken { host: server, of: of_server },
        ];
        expect![[r#"
            ocean$ cp /var/lib/rancher/k3s/server/token /var/lib/rancher/xtask/COPY
            ocean$ cp /var/lib/rancher/k3s/server/db/state.db /var/lib/rancher/xtask/COPY
            ocean$ curl --request PUT https://127.0.0.1:6443/v1-k3s/token
            ocean$ systemctl restart k3s.service
            ocean$ curl https://127.0.0.1:6443/v1-k3s/server-bootstrap"#]]
        .assert_eq(&of(&actions));
    }
}
