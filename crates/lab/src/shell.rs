//! The shell on the deployer: what a person, or a script, finds there.
//!
//! `cargo xtask` is the tool under rehearsal there, `ssh` knows the machines by their pinned keys, `kubectl` finds the kubeconfig. These
//! programs are in a folder that only the shell has in its PATH, and each takes it out again for what it starts. The
//! tool itself must never meet them, nor find a configuration of ssh: a call of the tool's that names the wrong user or the wrong keys would succeed,
//! and no rehearsal and no test would show it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fleet::{Fleet, Host};
use remote::Cmd;

use crate::deployer::{self, Deployer, OVERRIDES, REPOSITORY, XTASK};
use crate::error::LabError;
use crate::write;

/// The programs of the shell, and what they read.
const FOLDER: &str = "/opt/shell";
/// The script that was given in place of a person.
const SCRIPT: &str = "/root/script.sh";

/// Writes the folder, for the hosts of this fleet, whose keys are the rehearsal's own.
pub(crate) fn furnish(deployer: &Deployer, fleet: &Fleet) -> Result<(), LabError> {
    let file = |name: &str, text: String| write(&deployer.path(FOLDER).join(name), text);
    file("rc", rc(fleet))?;
    file("known_hosts", fleet.hosts.values().map(known_host).collect())?;
    file("ssh_config", ssh_config(fleet))?;
    let program = |name: &str, text: &str| {
        let path = deployer.path(FOLDER).join(name);
        // Behind this line programs are looked up as the tool looks them up.
        write(&path, format!("#!/bin/bash\nPATH=${{PATH//\"{FOLDER}:\"/}}\n{text}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(LabError::io(&path))
    };
    let xtask = format!("exec {XTASK} {} \"$@\"\n", remote::quote_all(OVERRIDES));
    program("xtask", &xtask)?;
    program("cargo", &format!("{CARGO}{xtask}"))?;
    program("kubectl", KUBECTL)?;
    for name in ["ssh", "scp", "sftp"] {
        program(name, &format!("exec {name} -F {FOLDER}/ssh_config \"$@\"\n"))?;
    }
    Ok(())
}

/// A shell for whoever is at the terminal.
pub(crate) fn interactive(deployer: &Deployer, fleet: &Fleet) -> Cmd {
    bash(deployer, fleet).args(["--rcfile", &format!("{FOLDER}/rc"), "-i"])
}

/// The same place for a script, which is a file there: read from standard input, its rest would be the input of the first `ssh` in it.
pub(crate) fn script(deployer: &Deployer, fleet: &Fleet, text: &[u8]) -> Result<Cmd, LabError> {
    write(&deployer.path(SCRIPT), text)?;
    Ok(bash(deployer, fleet).arg(SCRIPT))
}

fn bash(deployer: &Deployer, fleet: &Fleet) -> Cmd {
    let path = format!("PATH={FOLDER}:{}", deployer::path());
    // Where `kubeconfig --merge` writes, then where `kubeconfig` does: kubectl passes over what is not there.
    let fetched = fleet.first_server().map(|server| format!("{REPOSITORY}/.kube/{}.yml", server.name));
    let kubeconfig = fetched.map(|fetched| format!("KUBECONFIG=/root/.kube/config:{fetched}"));
    deployer.command_with(&[Some(path), kubeconfig].into_iter().flatten().collect::<Vec<_>>(), "bash")
}

/// Its name and each address under which it is reached.
fn names(host: &Host) -> Vec<&str> {
    let addresses = host.addresses.iter().map(fleet::Address::as_str);
    let mut names: Vec<&str> = std::iter::once(host.name.as_str()).chain(addresses).collect();
    names.dedup();
    names
}

fn known_host(host: &Host) -> String {
    let line = |key: &fleet::PublicKey| format!("{} {}\n", names(host).join(","), key.bare());
    host.ssh_host_key.as_ref().map(line).unwrap_or_default()
}

fn ssh_config(fleet: &Fleet) -> String {
    let user = |host: &Host| format!("Host {}\n  User {}\n", names(host).join(" "), host.ssh_user);
    let users: String = fleet.hosts.values().map(user).collect();
    format!(
        "{users}Host *\n  UserKnownHostsFile {FOLDER}/known_hosts\n  GlobalKnownHostsFile none\n  \
         StrictHostKeyChecking yes\n  UpdateHostKeys no\n  ConnectTimeout 10\n"
    )
}

/// The cluster's name is a DNS name: the prompt expands nothing in it.
fn rc(fleet: &Fleet) -> String {
    let name = &fleet.cluster.name;
    format!("PS1='[rehearsal of {name}] \\w \\$ '\n. <({XTASK} completions bash)\n")
}

const CARGO: &str = r#"case "$1 $2" in
    'xtask rehearse' | 'xtask test')
        echo "cargo: this is a rehearsal already: \`cargo $1 $2\` belongs outside" >&2
        exit 2
        ;;
    xtask\ *) shift ;;
    *)
        echo 'cargo: in a rehearsal there is only `cargo xtask`, the tool under rehearsal' >&2
        exit 2
        ;;
esac
"#;

/// kubectl itself says that localhost:8080 was refused.
const KUBECTL: &str = r#"if ! type kubectl > /dev/null 2>&1; then
    echo 'kubectl: it is not installed here; Debian has it in kubernetes-client' >&2
    echo 'hint: a server has one, too: ssh SERVER k3s kubectl get nodes' >&2
    exit 127
fi
kubectl "$@"
code=$?
IFS=:
for file in $KUBECONFIG; do
    if [[ -e $file ]]; then exit "$code"; fi
done
if ((code != 0)); then echo 'hint: there is no kubeconfig yet: cargo xtask kubeconfig' >&2; fi
exit "$code"
"#;
