//! `init`: from a new clone to a fleet.toml with keys. Here and in `node` a host key is learnt from the network, and so
//! its fingerprint is shown, and somebody asked.

use std::path::PathBuf;

use fleet::{Address, Fleet, Host, PublicKey, edit};

use crate::cli::{Global, Init};
use crate::events::{Event, would};
use crate::failure::{Failure, Kind, Result};
use crate::host_key;
use crate::repository::Repository;
use remote::question::{self, Enter};

/// One key to write, as it is shown before.
struct Change {
    what: String,
    key: PublicKey,
    edit: Edit,
}

enum Edit {
    Admin(String),
    Host(fleet::HostName, Address),
}

impl Change {
    fn event(&self, key: String, replaces: Option<String>) -> Event {
        let (host, admin, heard_at) = match &self.edit {
            Edit::Admin(name) => (None, Some(name.clone()), None),
            Edit::Host(name, address) => (Some(name.to_string()), None, Some(address.as_str().to_owned())),
        };
        Event::Key { host, admin, key, replaces, heard_at }
    }
}

pub(crate) fn run(global: &Global, args: &Init) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    // Mistyped words are refused before anybody is asked.
    let hosts = hosts_to_ask(&fleet, args)?;
    let mut changes = admins(&fleet, args)?;
    if global.dry_run {
        changes.iter().for_each(|change| would(global, &format!("write: {}", change.what)));
        hosts.iter().for_each(|host| would(global, &format!("ask {} for its key", host.name)));
        return Ok(());
    }
    let mut silent = Vec::new();
    for host in hosts {
        match scan(host, args)? {
            Some(change) => changes.push(change),
            None => silent.push(host.name.to_string()),
        }
    }
    changes.retain(|change| old_key(&fleet, change) != Some(&change.key));
    if changes.is_empty() && silent.is_empty() && !global.json {
        say!("hosts/fleet.toml has a key for every host and an admin: nothing to do");
    }
    let declined = confirm_and_write(global, &repository, &fleet, &changes)?;
    if !declined.is_empty() {
        let message = format!("not confirmed, not written: {}", declined.join("; "));
        return Err(Failure::new(Kind::Verification, message));
    }
    let Some(first) = silent.first() else { return Ok(()) };
    let hint = format!("give an address: cargo xtask init --host {first}=ADDRESS");
    Err(Failure::new(Kind::Unreachable, format!("no answer from {}", silent.join(", "))).hint(hint))
}

fn old_key<'a>(fleet: &'a Fleet, change: &Change) -> Option<&'a PublicKey> {
    match &change.edit {
        Edit::Admin(name) => fleet.admins.get(name),
        Edit::Host(name, _) => fleet.hosts[name].ssh_host_key.as_ref(),
    }
}

/// Shows each key, asks about it, and writes those that were confirmed, all at once. Gives those that were not.
fn confirm_and_write(
    global: &Global,
    repository: &Repository,
    fleet: &Fleet,
    changes: &[Change],
) -> Result<Vec<String>> {
    let before = std::fs::read_to_string(repository.fleet_file())?;
    let mut text = before.clone();
    let mut declined = Vec::new();
    for change in changes {
        let (key, old) = (change.key.fingerprint(), old_key(fleet, change).map(PublicKey::fingerprint));
        if global.json {
            change.event(key, old).print();
        } else {
            say!("{}\n  {key}", change.what);
            old.iter().for_each(|old| say!("  REPLACES {old}"));
        }
        if confirm(global, change)? {
            text = apply(&text, change)?;
        } else {
            declined.push(change.what.clone());
        }
    }
    if text != before {
        // What it would make is checked before it is written: two machines cloned from one have one key.
        Fleet::parse(&text)?;
        agenix::write_atomic(&repository.fleet_file(), text.as_bytes())?;
        eprintln!("written to hosts/fleet.toml");
    }
    Ok(declined)
}

fn apply(text: &str, change: &Change) -> Result<String> {
    let edited = match &change.edit {
        Edit::Admin(name) => edit::set_admin(text, name, &change.key),
        Edit::Host(name, _) => edit::set_host_key(text, name, &change.key),
    };
    edited.map_err(|error| Failure::configuration(format!("failed to edit hosts/fleet.toml: {error}")))
}

fn admins(fleet: &Fleet, args: &Init) -> Result<Vec<Change>> {
    let mut sources: Vec<(String, PathBuf)> = Vec::new();
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for text in &args.admin {
        let (name, file) = pair(text).ok_or_else(|| usage("--admin", text, "NAME=FILE"))?;
        // The shell expands a tilde only at the beginning of a word.
        let file = file.strip_prefix("~/").map_or_else(|| PathBuf::from(file), |rest| home.join(rest));
        sources.push((name.to_owned(), file));
    }
    if sources.is_empty() && fleet.admins.is_empty() {
        let user = std::env::var("SUDO_USER")
            .or_else(|_| std::env::var("USER"))
            .unwrap_or_else(|_| "admin".to_owned());
        sources.push((user, home.join(".ssh/id_ed25519.pub")));
    }
    let change = |(name, file): (String, PathBuf)| {
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::configuration(format!("failed to read your public key {}: {error}", file.display()))
                .hint("name another with --admin NAME=FILE, or make one: ssh-keygen -t ed25519".to_owned())
        })?;
        let key = PublicKey::new(&text).map_err(|error| Failure::configuration(error.to_string()))?;
        Ok(Change { what: format!("admin {name}, from {}", file.display()), key, edit: Edit::Admin(name) })
    };
    sources.into_iter().map(change).collect()
}

/// Those that were named; else those without a key.
fn hosts_to_ask<'a>(fleet: &'a Fleet, args: &Init) -> Result<Vec<&'a Host>> {
    if args.host.is_empty() {
        return Ok(fleet.hosts.values().filter(|host| host.ssh_host_key.is_none()).collect());
    }
    let host = |text: &String| {
        let (name, _) = pair(text).ok_or_else(|| usage("--host", text, "HOST=ADDRESS"))?;
        Ok(fleet.host(name)?)
    };
    args.host.iter().map(host).collect()
}

fn usage(flag: &str, text: &str, form: &str) -> Failure {
    let example = if flag == "--host" { "maia=100.64.0.5" } else { "me=~/.ssh/id_ed25519.pub" };
    Failure::new(Kind::Usage, format!("{flag} `{text}` is not of the form {form}"))
        .hint(format!("such as: {flag} {example}"))
}

/// Asks the host's addresses for its key; `None` when none answers.
fn scan(host: &Host, args: &Init) -> Result<Option<Change>> {
    let named = args.host.iter().filter_map(|text| pair(text)).find(|(name, _)| *name == host.name.as_str());
    let addresses = match named {
        Some((_, address)) => {
            vec![Address::new(address).map_err(|error| Failure::new(Kind::Usage, error.to_string()))?]
        }
        None => host.addresses.clone(),
    };
    let change = |(key, address): (PublicKey, Address)| {
        let what = format!("host {}, as {} answers", host.name, address.as_str());
        Change { what, key, edit: Edit::Host(host.name.clone(), address) }
    };
    Ok(host_key::scan(&addresses)?.map(change))
}

/// An admin's key comes from the user's own file; a host's came over the network and has to be compared.
fn confirm(global: &Global, change: &Change) -> Result<bool> {
    if global.yes || matches!(change.edit, Edit::Admin(_)) {
        return Ok(true);
    }
    if !question::possible() {
        return Err(Failure::new(
            Kind::Usage,
            "a host key has to be confirmed, and nobody can be asked here",
        )
        .hint("compare the fingerprints, then run it again with --yes".to_owned()));
    }
    let text =
        format!("  does `{}` show the same on the host, and is it to be written?", host_key::ON_THE_HOST);
    match question::confirm(&text, Enter::IsNo)? {
        Some(answer) => Ok(answer),
        None => Err(Failure::new(Kind::Interrupted, "interrupted; nothing was written")),
    }
}

/// `NAME=VALUE` taken apart.
fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
}
