//! `hosts/NAME/`: written for a new host in the manner of those that are there, and taken away with one that goes.

use std::fs;

use agenix::{Change, SecretPath};
use fleet::{Host, HostName, Role};
use remote::Cmd;

use crate::failure::{Failure, Result};
use crate::repository::Repository;

/// The files that are missing. With a default.nix the folder is its author's and left as it is.
pub(super) fn new(repository: &Repository, host: &Host) -> Result<Vec<Change>> {
    let name = &host.name;
    if exists(repository, name) {
        return Ok(Vec::new());
    }
    let role = host.role.map_or("agent", |role| if role == Role::Server { "server" } else { "agent" });
    let common = ["base.nix", "optional/agenix.nix", &format!("k3s/{role}.nix")]
        .map(|file| format!("hosts/common/{file}"));
    if let Some(missing) = common.iter().find(|file| !repository.root().join(file).is_file()) {
        let message = format!("{missing} does not exist, which hosts/{name} would be made of");
        return Err(Failure::configuration(message)
            .untouched()
            .hint(format!("write hosts/{name}/default.nix your way: a folder that is there is kept")));
    }
    let files = [("default.nix", default_nix(host)), ("k3s.nix", k3s_nix(host, role))];
    let files = files.into_iter().map(|(file, text)| (path(&format!("hosts/{name}/{file}")), text));
    let new = files.filter(|(path, _)| !path.in_repository(repository.root()).exists());
    Ok(new.map(|(path, text)| Change { path, before: None, after: Some(text.into_bytes()) }).collect())
}

/// Is there a configuration of this host?
pub(super) fn exists(repository: &Repository, name: &HostName) -> bool {
    repository.root().join(format!("hosts/{name}/default.nix")).exists()
}

/// What the machine itself would have to say, and does not yet.
pub(super) fn missing_hardware(repository: &Repository, host: &Host) -> Option<String> {
    let name = &host.name;
    let file = format!("hosts/{name}/hardware-configuration.nix");
    let (user, at) = (&host.ssh_user, host.addresses[0].as_str());
    (!repository.root().join(&file).exists()).then(|| {
        format!(
            "a real machine has to say its disks first, and its default.nix its boot loader:\n  \
             ssh {user}@{at} nixos-generate-config --show-hardware-config > {file}\n  git add -N {file}"
        )
    })
}

/// Its removal, file by file.
pub(super) fn removal(repository: &Repository, name: &HostName, force: bool) -> Result<Vec<Change>> {
    let folder = format!("hosts/{name}");
    let git = |args: &[&str]| -> Result<Vec<String>> {
        let git = Cmd::new("git").arg("--literal-pathspecs").args(args).args(["--", &folder]);
        let output = git.dir(repository.root()).label(format!("git {}", args[0])).run()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.split('\0').filter(|line| !line.is_empty()).map(str::to_owned).collect())
    };
    let uncommitted = git(&["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"])?;
    if let (Some(first), false) = (uncommitted.first(), force) {
        let file = first.get(3..).unwrap_or(first);
        return Err(Failure::configuration(format!("{file} has changes that are not committed"))
            .untouched()
            .hint(
                "commit them; or --keep-folder leaves the folder, --force removes it with them".to_owned(),
            ));
    }
    let mut changes = Vec::new();
    for name in git(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])? {
        // A link is git's to remove: what it leads to stays.
        let file = repository.root().join(&name);
        let is_file = fs::symlink_metadata(&file).is_ok_and(|found| found.is_file());
        if let (true, Ok(path)) = (is_file, SecretPath::parse(&name)) {
            changes.push(Change { path, before: Some(fs::read(file)?), after: None });
        }
    }
    Ok(changes)
}

/// Git forgets the folder, whose files are gone; links in it go now. What git ignores stays, and with it the folder.
pub(super) fn forget(repository: &Repository, name: &HostName) -> Result<()> {
    let folder = format!("hosts/{name}");
    let rm = ["--literal-pathspecs", "rm", "-r", "--force", "--quiet", "--ignore-unmatch", "--", &folder];
    Cmd::new("git").args(rm).dir(repository.root()).label("git rm").run()?;
    let _ = remove_empty(&repository.root().join(folder));
    Ok(())
}

fn remove_empty(folder: &std::path::Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            let _ = remove_empty(&entry.path());
        }
    }
    fs::remove_dir(folder)
}

/// A host's name is a DNS label.
fn path(name: &str) -> SecretPath {
    SecretPath::parse(name).expect("it is a path in the repository")
}

fn default_nix(host: &Host) -> String {
    let Host { name, ssh_user, addresses, .. } = host;
    let kind = if host.role == Some(Role::Server) { "K3s server" } else { "K3s agent" };
    let at = addresses[0].as_str();
    format!(
        r#"# {name}: a {kind}. Its addresses, keys and role stand in ../fleet.toml.
#
# What belongs to the machine itself (disks, boot loader, kernel modules) goes into
# hardware-configuration.nix, as the machine says it:
#
#   ssh {ssh_user}@{at} nixos-generate-config --show-hardware-config > hosts/{name}/hardware-configuration.nix
#   git add hosts/{name}/hardware-configuration.nix
#
# plus its boot loader, for example `boot.loader.systemd-boot.enable = true;` in this file. Nothing
# is guessed here: until then NixOS itself refuses to build {name} and names what it misses.
{{ lib, ... }}:
{{
  imports = [
    ../common/base.nix
    ../common/optional/agenix.nix
    ./k3s.nix
  ]
  ++ lib.optional (builtins.pathExists ./hardware-configuration.nix) ./hardware-configuration.nix;

  # The NixOS release this host was installed with. Not to be raised on upgrades.
  system.stateVersion = "25.11";
}}
"#
    )
}

fn k3s_nix(host: &Host, role: &str) -> String {
    let Host { name, .. } = host;
    let article = if role == "agent" { "an" } else { "a" };
    format!(
        r#"# K3s on {name}: {article} {role}, as hosts/fleet.toml says. What only {name} needs goes below, for example
# `services.k3s.extraFlags = [ "--kubelet-arg=max-pods=200" ];`, which adds to the common flags.
{{
  imports = [ ../common/k3s/{role}.nix ];
}}
"#
    )
}
