//! `node`: the life of a node. What it changes in the repository is [`change`]'s; what it does in the cluster is a plan.

mod add;
mod change;
mod folder;
mod list;
mod pin;
mod remove;
mod scratch;
mod secrets_nix;

use std::path::Path;

use agenix::{Change, SecretPath};
use console::style;
use fleet::edit::EditError;
use fleet::{Address, Fleet, Host, HostName, PublicKey};
use remote::question::{self, Enter};

use crate::cli::{self, Global, NodeCommand};
use crate::events::Event;
use crate::failure::{Failure, Kind, Result};
use crate::host_key;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &cli::Node) -> Result<()> {
    let repository = Repository::find()?;
    if !global.dry_run && !matches!(args.command, NodeCommand::List) {
        repository.put_in_order()?;
    }
    match &args.command {
        NodeCommand::Add(args) => add::run(global, &repository, args),
        NodeCommand::Remove(args) => remove::run(global, &repository, args),
        NodeCommand::Pin(args) => pin::run(global, &repository, args),
        NodeCommand::List => list::run(global, &repository),
    }
}

/// A host key, and whether somebody has to compare it first.
struct HostKey {
    key: PublicKey,
    /// Where it was heard.
    heard_at: Option<Address>,
}

impl HostKey {
    /// The one that was given; else what the host says at one of its addresses.
    fn find(given: Option<&str>, name: &HostName, addresses: &[Address]) -> Result<Self> {
        if let Some(given) = given {
            return Ok(Self { key: given_key(given)?, heard_at: None });
        }
        let Some((key, address)) = host_key::scan(addresses)? else {
            let asked: Vec<&str> = addresses.iter().map(Address::as_str).collect();
            let message = format!("no answer from {name} at {}", asked.join(" or "));
            return Err(Failure::new(Kind::Unreachable, message)
                .also("nothing was changed".to_owned())
                .hint("is it up, is the address right? --host-key KEY needs no answer".to_owned()));
        };
        Ok(Self { key, heard_at: Some(address) })
    }

    /// Shows it, and the one that it replaces.
    fn show(&self, global: &Global, name: &HostName, old: Option<&PublicKey>) {
        let (key, replaces) = (self.key.fingerprint(), old.map(PublicKey::fingerprint));
        let heard_at = self.heard_at.as_ref().map(Address::as_str);
        if global.json {
            let (host, heard_at) = (Some(name.to_string()), heard_at.map(str::to_owned));
            Event::Key { host, admin: None, key, replaces, heard_at }.print();
            return;
        }
        let source = heard_at.map_or_else(|| "as given".to_owned(), |at| format!("as {at} answers"));
        say!("{} {key}  {}", style(format!("host key of {name}")).bold(), style(source).dim());
        replaces.iter().for_each(|old| say!("  REPLACES {old}"));
        say!("");
    }

    /// The question in front of all that is written: with what only a person can compare.
    fn question(&self, what: &str) -> String {
        match self.heard_at {
            Some(_) => {
                format!("\nDoes `{}` show this key on the host, and {what}?", host_key::ON_THE_HOST)
            }
            None => format!("\n{}{}?", what[..1].to_uppercase(), &what[1..]),
        }
    }
}

/// What a dry run says in place of asking.
fn would_ask(global: &Global, host: &Host) {
    let addresses: Vec<&str> = host.addresses.iter().map(Address::as_str).collect();
    if global.json {
        let addresses = addresses.into_iter().map(str::to_owned).collect();
        Event::WouldAsk { host: host.name.to_string(), addresses }.print();
        return;
    }
    say!(
        "would ask {} for its host key: what is encrypted to it shows with --host-key KEY",
        addresses.join(" or ")
    );
}

/// A key, or the file of one.
fn given_key(given: &str) -> Result<PublicKey> {
    let usage = |message: String| Failure::new(Kind::Usage, message);
    let is_key = given.trim_start().starts_with("ssh-") || !Path::new(given).exists();
    if is_key {
        let hint = "a key (`ssh-ed25519 AAAA…`) or the file of one, such as ssh_host_ed25519_key.pub";
        return PublicKey::new(given)
            .map_err(|error| usage(format!("--host-key: {error}")).hint(hint.to_owned()));
    }
    let text = std::fs::read_to_string(given);
    let text = text.map_err(|error| usage(format!("failed to read the host key {given}: {error}")))?;
    PublicKey::new(&text).map_err(|error| usage(format!("{given}: {error}")))
}

/// One question about everything that was shown.
fn confirm(global: &Global, question: &str) -> Result<()> {
    if global.yes {
        return Ok(());
    }
    if !question::possible() {
        let message = "this has to be confirmed, and nobody can be asked here";
        return Err(Failure::new(Kind::Usage, message)
            .also("nothing was changed".to_owned())
            .hint("look at it with --dry-run, then run it with --yes".to_owned()));
    }
    match question::confirm(question, Enter::IsNo)? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(Kind::Verification, "not confirmed; nothing was changed")),
        None => Err(Failure::new(Kind::Interrupted, "interrupted; nothing was changed")),
    }
}

/// fleet.toml, as it is and as it will be.
fn fleet_change(repository: &Repository, before: String, after: String) -> Result<Change> {
    let file = repository.fleet_file();
    let inside = file.strip_prefix(repository.root()).ok().and_then(Path::to_str).unwrap_or_default();
    let path = SecretPath::parse(inside).expect("fleet.toml is in the repository");
    Ok(Change { path, before: Some(before.into_bytes()), after: Some(after.into_bytes()) })
}

fn fleet_text(repository: &Repository) -> Result<(String, Fleet)> {
    // Once with the message that every command has.
    repository.fleet()?;
    let text = std::fs::read_to_string(repository.fleet_file())?;
    let fleet = Fleet::parse(&text)?;
    Ok((text, fleet))
}

/// What is mistyped is usage; what cannot be beside the rest of the file is configuration.
fn edit_failure(error: EditError) -> Failure {
    match error {
        EditError::Fleet(error) => error.into(),
        EditError::Exists { .. } => Failure::new(Kind::Usage, error.to_string()).hint(error.hint()),
        _ => {
            let hint = error.hint();
            Failure::configuration(error.to_string()).also("nothing was changed".to_owned()).hint(hint)
        }
    }
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}

/// `✓ …`, or an event.
fn tell_done(global: &Global, event: &Event, text: &str) {
    if global.json {
        event.print();
    } else {
        say!("{} {text}", style("✓").green());
    }
}
