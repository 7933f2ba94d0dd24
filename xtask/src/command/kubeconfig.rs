//! `kubeconfig`: the administrator's access to the cluster, fetched over the pinned connection.
//!
//! It holds a private key: a secret from the ssh pipe to the file, but for what the YAML library keeps while it reads.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use agenix::secrecy::zeroize::Zeroizing;
use agenix::secrecy::{ExposeSecret, SecretSlice};
use agenix::terminal::print_secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleet::{Fleet, Host};

use crate::ask::Asker;
use crate::cli::{Global, Kubeconfig};
use crate::events::{Event, would};
use crate::failure::{Failure, Kind, Result, chain};
use crate::render::Terminal;
use crate::repository::Repository;

const PORT: u16 = 6443;

/// Where it goes.
enum To {
    Stdout,
    Base64,
    /// With a link to it from ~/.kube, where nobody said where.
    File {
        path: PathBuf,
        link: Option<PathBuf>,
    },
    /// Into somebody's own.
    Merged(PathBuf),
}

pub(crate) fn run(global: &Global, args: &Kubeconfig) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let Some(server) = fleet.first_server() else {
        return Err(Failure::configuration("no host in hosts/fleet.toml is a server"));
    };
    let address = server.node_ip.expect("a validated server has a node_ip");
    let url = format!("https://{}", SocketAddr::new(address, PORT));
    let to = to(args, &repository, server)?;
    if global.json && matches!(to, To::Stdout | To::Base64) {
        let message = "the kubeconfig itself is printed as it is, which --json has no form for";
        return Err(Failure::new(Kind::Usage, message));
    }
    if global.dry_run {
        would(global, &format!("fetch {} from {} {}", k3s::KUBECONFIG, server.name, to.planned()));
        return Ok(());
    }
    let config = fetch(global, &fleet, server, &url)?;
    match &to {
        // A reader that has gone away is no failure of ours.
        To::Stdout => drop(print_secret(&config)),
        To::Base64 => drop(print_secret(&base64(&config))),
        To::File { path, link } => {
            write_private(path, config.expose_secret(), None)?;
            let linked = link.as_ref().map(|link| make_link(link, path)).transpose()?.flatten();
            told(global, &fleet, &url, path, linked.as_deref());
        }
        To::Merged(path) => merge(global, &fleet, &url, path, &config)?,
    }
    Ok(())
}

fn to(args: &Kubeconfig, repository: &Repository, server: &Host) -> Result<To> {
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(|home| PathBuf::from(home).join(".kube"));
    if args.base64 {
        return Ok(To::Base64);
    }
    if args.merge {
        let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let first = std::env::split_paths(&named).find(|path| !path.as_os_str().is_empty());
        let path = first.or_else(|| home.map(|home| home.join("config"))).ok_or_else(|| {
            Failure::new(Kind::Usage, "neither HOME nor KUBECONFIG is set")
                .hint("--out FILE names a file".to_owned())
        })?;
        return Ok(To::Merged(path));
    }
    Ok(match &args.out {
        Some(path) if path == Path::new("-") => To::Stdout,
        Some(path) => To::File { path: path.clone(), link: None },
        None => To::File {
            path: repository.root().join(".kube").join(format!("{}.yml", server.name)),
            link: home.map(|home| home.join(format!("config.{}.yml", server.name))),
        },
    })
}

impl To {
    fn planned(&self) -> String {
        match self {
            Self::Stdout => "and print it".to_owned(),
            Self::Base64 => "and print it as base64".to_owned(),
            Self::File { path, link } => {
                let link = link.as_ref().map(|link| format!(", with a link from {}", link.display()));
                format!("and write {}{}", path.display(), link.unwrap_or_default())
            }
            Self::Merged(path) => format!("and merge it into {}", path.display()),
        }
    }
}

fn fetch(global: &Global, fleet: &Fleet, server: &Host, url: &str) -> Result<SecretSlice<u8>> {
    let asker = Asker::new(global, fleet, &Terminal::new())?;
    let session = asker.session(server)?;
    let yaml = session.run_secret(["cat", k3s::KUBECONFIG]).map_err(|error| {
        let failure =
            Failure::from(error).during(&format!("failed to read the kubeconfig of {}", server.name));
        let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
        failure.of_kind(kind).hint(format!("cargo xtask verify {}", server.name))
    })?;
    k3s::personalise(&yaml, &fleet.cluster.name, url).map_err(|error| {
        let message = format!("the kubeconfig of {} is none: {}", server.name, chain(&error));
        Failure::new(Kind::Verification, message)
    })
}

fn told(global: &Global, fleet: &Fleet, url: &str, path: &Path, link: Option<&Path>) {
    if global.json {
        event(path, link, url, &fleet.cluster.name, true).print();
        return;
    }
    say!("{}: the cluster {} at {url}", path.display(), fleet.cluster.name);
    if let Some(link) = link {
        say!("{} leads to it", link.display());
    }
    say!("try it: kubectl --kubeconfig {} get nodes", remote::quote(&path.display().to_string()));
}

fn merge(global: &Global, fleet: &Fleet, url: &str, path: &Path, config: &SecretSlice<u8>) -> Result<()> {
    // A link, into somebody's dotfiles say, stays one.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::configuration(format!("failed to {what} {}: {error}", path.display()))
    };
    let (old, mode) = match fs::read(&real) {
        Ok(bytes) => {
            let mode = fs::metadata(&real).map_err(|error| failed("read", &error))?.permissions();
            (SecretSlice::from(bytes), Some(mode))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (SecretSlice::from(Vec::new()), None),
        Err(error) => return Err(failed("read", &error)),
    };
    let merged = k3s::merge(&old, config).map_err(|error| {
        failed("merge into", &chain(&error)).hint(
            "it was not touched; mend it, or name another file in KUBECONFIG, or use --out FILE".to_owned(),
        )
    })?;
    let name = &fleet.cluster.name;
    if let Some(merged) = &merged {
        write_private(&real, merged.expose_secret(), mode)?;
    }
    if global.json {
        event(path, None, url, name, merged.is_some()).print();
    } else if merged.is_some() {
        say!("{}: the cluster {name} at {url}, as the context {name}", path.display());
        say!("try it: kubectl --context {} get nodes", remote::quote(name));
    } else {
        say!("{}: the cluster {name} is there already; nothing was changed", path.display());
    }
    Ok(())
}

fn event(path: &Path, link: Option<&Path>, server: &str, context: &str, changed: bool) -> Event {
    Event::Kubeconfig {
        path: path.display().to_string(),
        link: link.map(|link| link.display().to_string()),
        server: server.to_owned(),
        context: context.to_owned(),
        changed,
    }
}

/// On one line, as a secret of CI is pasted.
fn base64(config: &SecretSlice<u8>) -> SecretSlice<u8> {
    let bytes = config.expose_secret();
    // Room for all of it at once: a text that grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4 + 1));
    BASE64_STANDARD.encode_string(bytes, &mut line);
    line.push('\n');
    SecretSlice::from(Box::from(line.as_bytes()))
}

/// `None`, and a word about it, where something else than a link is in its place.
fn make_link(link: &Path, path: &Path) -> Result<Option<PathBuf>> {
    if fs::symlink_metadata(link).is_ok_and(|found| !found.is_symlink()) {
        eprintln!("note: {} is no link, and is left as it is", link.display());
        return Ok(None);
    }
    let path = std::path::absolute(path)?;
    let make = || -> io::Result<()> {
        let folder = link.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // In its place at once, whatever stood there.
        let scratch = tempfile::tempdir_in(folder)?;
        let new = scratch.path().join("link");
        symlink(&path, &new)?;
        fs::rename(new, link)
    };
    make().map_err(|error| {
        Failure::new(Kind::Unforeseen, format!("failed to link {}: {error}", link.display()))
    })?;
    Ok(Some(link.to_owned()))
}

/// The kubeconfig holds a private key: 0600 from its first byte on, replaced whole. `mode` is what it had before.
fn write_private(path: &Path, bytes: &[u8], mode: Option<fs::Permissions>) -> Result<()> {
    let write = || -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        if let Some(mode) = mode {
            file.as_file().set_permissions(mode)?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| {
        Failure::new(Kind::Unforeseen, format!("failed to write {}: {error}", path.display()))
    })
}
