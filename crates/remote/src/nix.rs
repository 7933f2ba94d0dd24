//! Calls of `nix`: rules, snapshots of the flake.
//!
//! Each call names the features it needs, so that it works on a machine whose nix.conf does not enable flakes.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::nix_log::NixLog;
use crate::nixos_rebuild::BUILD_TIMEOUT;
use crate::{Cmd, RunError};

/// The bound of an evaluation. A real NixOS takes 3 to 15 s a host; a first run also fetches nixpkgs.
pub const EVALUATION_TIMEOUT: Duration = Duration::from_secs(900);

const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// One `--override-input NAME REF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideInput {
    /// The input's name in `flake.nix`.
    pub name: String,
    /// The flake reference to take in its place.
    pub reference: String,
}

/// `--override-input` flags, as both nix and nixos-rebuild take them.
pub fn override_args(overrides: &[OverrideInput]) -> Vec<String> {
    let args = |o: &OverrideInput| ["--override-input".to_owned(), o.name.clone(), o.reference.clone()];
    overrides.iter().flat_map(args).collect()
}

/// Resolves the flake of `repository` once, into a store path that no later edit changes.
pub fn flake_metadata(repository: &Path, overrides: &[OverrideInput]) -> Cmd {
    Cmd::new("nix")
        .args(FEATURES)
        .args(["flake", "metadata", "--json"])
        .args(override_args(overrides))
        // As the folder it runs in: in a reference, a path with a `#`, a `?` or a space would mean something else.
        .arg(".")
        .dir(repository)
        .timeout(EVALUATION_TIMEOUT)
        .label("nix flake metadata")
}

/// A system that was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct System {
    /// How it is built: a path of this machine's store.
    pub derivation: String,
    /// What comes of it.
    pub path: String,
}

/// Evaluates the systems of these hosts, in one evaluation: see [`parse_systems`]. They come by their names, since a host's
/// own name may be another than its configuration's.
pub fn systems<'a>(
    reference: &str,
    hosts: impl Iterator<Item = &'a str>,
    overrides: &[OverrideInput],
) -> Cmd {
    let names: Vec<String> = hosts.map(|host| format!("\"{host}\"")).collect();
    // Not by its own names: what has an `outPath` is that path to `--json`.
    let value = "let it = all.${name}.config.system.build.toplevel; in { derivation = it.drvPath; path = it.outPath; }";
    let list = format!("map (name: {{ inherit name; value = {value}; }}) [ {} ]", names.join(" "));
    Cmd::new("nix")
        .args(FEATURES)
        .args(["eval", "--json"])
        .args(override_args(overrides))
        .arg(format!("{reference}#nixosConfigurations"))
        .args(["--apply", &format!("all: builtins.listToAttrs ({list})")])
        .timeout(EVALUATION_TIMEOUT)
        .label("nix eval")
}

/// The answer of [`systems`], by host; `None` if it is none.
pub fn parse_systems(json: &[u8]) -> Option<BTreeMap<String, System>> {
    serde_json::from_slice(json).ok()
}

/// Builds these derivations in this machine's store, as many as can be built.
pub fn realise<'a>(derivations: impl Iterator<Item = &'a str>) -> Cmd {
    let cmd = Cmd::new("nix-store").args(["--realise", "--keep-going"]).args(derivations);
    cmd.nix_log(NixLog::default()).timeout(BUILD_TIMEOUT)
}

/// The store path in the answer of [`flake_metadata`].
///
/// # Errors
/// When the answer is not JSON with a `path`.
pub fn metadata_path(json: &[u8]) -> Result<String, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        path: String,
    }
    serde_json::from_slice::<Metadata>(json).map(|metadata| metadata.path)
}

/// The closure of a path, a path a line; to be run anywhere.
pub fn requisites_argv(path: &str) -> [&str; 4] {
    ["nix-store", "--query", "--requisites", path]
}

/// Each path with the size of its closure in bytes, to be run anywhere.
pub fn closure_sizes_argv<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let nix = ["nix"].into_iter().chain(FEATURES);
    nix.chain(["path-info", "--closure-size"]).chain(paths.iter().copied()).collect()
}

/// The closure of a path of this machine's store, each path with its size as an archive in bytes: see [`parse_sizes`].
pub fn closure(path: &str) -> Cmd {
    Cmd::new("nix").args(FEATURES).args(["path-info", "--recursive", "--size", path]).label("nix path-info")
}

/// The answer of [`closure`].
pub fn parse_sizes(lines: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (path, size) = line.split_once(char::is_whitespace)?;
        Some((path.to_owned(), size.trim().parse().ok()?))
    };
    lines.lines().filter_map(line).collect()
}

/// Copies a path with all that it refers to, where `to` (`user@address`) lacks it. `sizes` of what it lacks, in bytes.
pub fn copy_closure(to: &str, path: &str, sizes: HashMap<String, u64>, ssh_options: &[String]) -> Cmd {
    let cmd = Cmd::new("nix-copy-closure").args(["--to", to, path]).timeout(BUILD_TIMEOUT);
    let cmd = cmd.nix_log(NixLog::with_sizes(sizes));
    if ssh_options.is_empty() { cmd } else { cmd.env("NIX_SSHOPTS", ssh_options.join(" ")) }
}

/// A copy of the snapshot in the store with one file put in its place, as a new snapshot.
///
/// The token is known only after the server runs. So the agents are built from the *same* sources as the server plus
/// that one file, whatever has happened to the working tree meanwhile.
///
/// # Errors
/// What copying or `nix store add-path` say.
pub fn snapshot_with_file(snapshot: &Path, file: &Path, bytes: &[u8]) -> Result<String, SnapshotError> {
    let scratch = tempfile::tempdir()?;
    let source = scratch.path().join("source");
    copy_tree(snapshot, &source)?;
    let target = source.join(file);
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if target.exists() {
        std::fs::remove_file(&target)?;
    }
    std::fs::write(&target, bytes)?;
    let add = Cmd::new("nix").args(FEATURES).args(["store", "add-path", "--name", "source"]).arg(&source);
    Ok(add.label("nix store add-path").run()?.text())
}

/// Why a snapshot could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The copy failed.
    #[error("failed to copy the snapshot")]
    Copy(#[from] std::io::Error),
    /// The store would not take it.
    #[error(transparent)]
    Store(#[from] RunError),
}

/// Store paths are read-only; the copy is not, or its files could not be replaced.
fn copy_tree(from: &Path, to: &PathBuf) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&source)?, &target)?;
        } else {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
