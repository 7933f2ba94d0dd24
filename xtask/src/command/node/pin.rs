//! `node pin`: a host was reinstalled, and has another key.

use agenix::Rules;
use fleet::{Fleet, Host, PublicKey, edit, secrets_nix as literal};

use super::change::{Edits, names};
use super::scratch::Scratch;
use super::{HostKey, confirm, fleet_change, fleet_text, secrets_nix, tell_done, would_ask};
use crate::access;
use crate::ask::Asker;
use crate::cli::{Global, Goal, NodePin};
use crate::command::deploy;
use crate::events::Event;
use crate::failure::{Failure, Result};
use crate::playbook::{Aim, Token};
use crate::render::Terminal;
use crate::repository::Repository;

pub(super) fn run(global: &Global, repository: &Repository, args: &NodePin) -> Result<()> {
    let (text, fleet) = fleet_text(repository)?;
    let host = fleet.host(&args.name)?;
    if global.dry_run && args.host_key.is_none() {
        would_ask(global, host);
        return Ok(());
    }
    let host_key = HostKey::find(args.host_key.as_deref(), &host.name, &host.addresses)?;
    let edits = edits(repository, text, &fleet, host, &host_key.key)?;
    let name = &host.name;
    let is_new = host.ssh_host_key.as_ref() != Some(&host_key.key);
    let node_password = password_keeper(&edits.fleet, host);
    if is_new || edits.due() > 0 {
        host_key.show(global, name, host.ssh_host_key.as_ref().filter(|_| is_new));
        edits.show(global)?;
    }
    if !global.json {
        node_password.iter().for_each(|server| say!("{}", about_password(server, host)));
    }
    if global.dry_run {
        return if args.deploy { deploy(global, repository, &edits.fleet, host) } else { Ok(()) };
    }
    if is_new || edits.due() > 0 {
        let identities = edits.unlock(global)?;
        confirm(global, &host_key.question("is this to be written"))?;
        edits.write(&identities)?;
        tell_done(global, &Event::Pinned { host: name.to_string() }, &format!("the key of {name} is pinned"));
    } else {
        tell_done(
            global,
            &Event::Pinned { host: name.to_string() },
            &format!("the key of {name} is pinned already"),
        );
    }
    if let Some(server) = node_password {
        forget_password(global, &edits.fleet, server, host)?;
    }
    if args.deploy {
        return deploy(global, repository, &edits.fleet, host);
    }
    if !global.json {
        eprintln!("\nto go on: cargo xtask deploy {name}");
    }
    Ok(())
}

fn deploy(global: &Global, repository: &Repository, fleet: &Fleet, host: &Host) -> Result<()> {
    let title = format!("deploy {}", host.name);
    let aim = Aim::new(Goal::Switch, Token::Expect);
    let asked = deploy::asked(global, title, &[fleet.host(host.name.as_str())?], aim);
    deploy::execute(global, repository, fleet, asked, None)
}

fn edits<'a>(
    repository: &'a Repository,
    text: String,
    fleet: &Fleet,
    host: &Host,
    key: &PublicKey,
) -> Result<Edits<'a>> {
    let before = repository.rules(fleet)?;
    let mut after = text.clone();
    if host.ssh_host_key.as_ref() != Some(key) {
        after = edit::set_host_key(&text, &host.name, key)
            .map_err(|error| Failure::configuration(format!("failed to edit hosts/fleet.toml: {error}")))?;
    }
    if let Some(other) =
        fleet.hosts.values().find(|other| other.name != host.name && other.ssh_host_key.as_ref() == Some(key))
    {
        let hint = "a machine cloned from another needs host keys of its own: `ssh-keygen -A` there";
        return Err(Failure::configuration(format!("this is the host key of {} already", other.name))
            .also("nothing was changed".to_owned())
            .hint(hint.to_owned()));
    }
    let fleet = Fleet::parse(&after)?;
    let scratch = Scratch::of(repository)?;
    let mut texts = Vec::new();
    if after != text {
        texts.push(fleet_change(repository, text, after)?);
    }
    scratch.put(&texts)?;
    let old = host.ssh_host_key.as_ref().filter(|old| *old != key);
    let token = host.role.map(access::token_of);
    let is_right = |rules: &Rules| {
        let reads = token.as_ref().is_none_or(|token| rules.rule(token).is_ok_and(|rule| names(rule, key)));
        reads && !old.is_some_and(|old| secrets_nix::any_names(rules, old))
    };
    let edit = |text: &str| literal::set_host_key(text, &host.name, key);
    texts.extend(secrets_nix::change(repository, &scratch, &fleet, is_right, edit)?);
    Edits::new(repository, &scratch, fleet, texts, before, vec![key.clone()])
}

/// The server that remembers the node's password. The first server keeps no other's: what it knew went with it.
fn password_keeper<'a>(fleet: &'a Fleet, host: &Host) -> Option<&'a Host> {
    let server = fleet.first_server()?;
    (host.role.is_some() && server.name != host.name && server.ssh_host_key.is_some()).then_some(server)
}

fn about_password(server: &Host, host: &Host) -> String {
    format!(
        "{} forgets the node password of {}, which the reinstalled host does not have",
        server.name, host.name
    )
}

fn forget_password(global: &Global, fleet: &Fleet, server: &Host, host: &Host) -> Result<()> {
    let argv = k3s::node::forget_password(host.name.as_str());
    let asker = Asker::new(global, fleet, &Terminal::new())?;
    let forgotten = asker.session(server).and_then(|session| Ok(session.run(&argv)?));
    forgotten.map(drop).map_err(|failure| {
        let attempt = format!("failed to have {} forget the node password of {}", server.name, host.name);
        let hint = format!("on {}: {}", server.name, remote::quote_all(&argv));
        failure.during(&attempt).also(format!("the new key of {} is pinned", host.name)).hint(hint)
    })
}
