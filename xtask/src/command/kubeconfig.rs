//! `kubeconfig`: the administrator's access to the cluster, fetched over the pinned connection.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use agenix::secrecy::ExposeSecret;

use crate::ask::Asker;
use crate::cli::{Global, Kubeconfig};
use crate::failure::{Failure, Kind, Result, chain};
use crate::render::Terminal;
use crate::repository::Repository;

const PORT: u16 = 6443;

pub(crate) fn run(global: &Global, args: &Kubeconfig) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let Some(server) = fleet.first_server() else {
        return Err(Failure::configuration("no host in hosts/fleet.toml is a server"));
    };
    let address = server.node_ip.expect("a validated server has a node_ip");
    let default = || repository.root().join(".kube").join(format!("{}.yml", server.name));
    let out = args.out.clone().unwrap_or_else(default);
    if global.dry_run {
        say!("would fetch {} from {} and write {}", k3s::KUBECONFIG, server.name, out.display());
        return Ok(());
    }
    let asker = Asker::new(global, &fleet, &Terminal::new())?;
    let session = asker.session(server)?;
    let yaml = session.run_secret(["cat", k3s::KUBECONFIG]).map_err(|error| {
        let failure =
            Failure::from(error).during(&format!("failed to read the kubeconfig of {}", server.name));
        let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
        failure.of_kind(kind).hint(format!("cargo xtask verify {}", server.name))
    })?;
    let yaml = String::from_utf8_lossy(yaml.expose_secret());
    let url = format!("https://{}", SocketAddr::new(address, PORT));
    let config = k3s::personalise(&yaml, &fleet.cluster.name, &url)
        .map_err(|error| Failure::new(Kind::Verification, chain(&error)))?;
    if out == Path::new("-") {
        // A reader that has gone away is no failure of ours.
        let _ = std::io::stdout().write_all(config.as_bytes());
        return Ok(());
    }
    write_private(&out, config.as_bytes())?;
    if global.json {
        say!("{}", serde_json::json!({"event": "kubeconfig", "path": out, "server": url}));
    } else {
        say!("{}: the cluster {} at {url}", out.display(), fleet.cluster.name);
        say!("try it: kubectl --kubeconfig {} get nodes", remote::quote(&out.display().to_string()));
    }
    Ok(())
}

/// The kubeconfig holds a private key: 0600 from its first byte on, replaced whole.
fn write_private(path: &PathBuf, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| {
        Failure::new(Kind::Unforeseen, format!("failed to write {}: {error}", path.display()))
    })
}
