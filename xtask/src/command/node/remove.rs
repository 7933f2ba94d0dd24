//! `node remove`: out of the cluster, then out of the repository. The cluster's steps come first, since each can be done
//! twice; what the repository needs is proved before them.

use agenix::SecretPath;
use fleet::{Fleet, Host, Role, edit, secrets_nix as literal};

use super::change::{Edits, readable};
use super::scratch::Scratch;
use super::{confirm, edit_failure, fleet_change, fleet_text, folder, secrets_nix, tell_done};
use crate::ask::Asker;
use crate::cli::{Global, NodeRemove};
use crate::command::{Keep, Needs, print_or_execute};
use crate::events::Event;
use crate::failure::{Failure, Kind, Result};
use crate::playbook::{self, Leave};
use crate::render::Terminal;
use crate::repository::{AGENT_TOKEN, Repository, SERVER_TOKEN};

pub(super) fn run(global: &Global, repository: &Repository, args: &NodeRemove) -> Result<()> {
    let (text, fleet) = fleet_text(repository)?;
    let host = fleet.host(&args.name)?;
    may_go(&fleet, host)?;
    let after = edit::remove_host(&text, &host.name).map_err(edit_failure)?;
    let rules = repository.rules(&fleet)?;
    let read: Vec<SecretPath> =
        host.ssh_host_key.iter().flat_map(|key| readable(repository, &rules, key)).collect();
    let edits = edits(repository, args, (text, after), &fleet, host, rules)?;

    edits.show(global)?;
    let leave = in_cluster(global, &fleet, &edits.fleet, host, args)?;
    let needs = Needs { secrets: false, patience: false, journal: Keep::Events };
    let plan = leave.map(|leave| playbook::leave(format!("remove {}", host.name), &leave));
    if global.dry_run {
        return plan.map_or(Ok(()), |plan| print_or_execute(global, repository, &fleet, &plan, &needs));
    }
    let identities = edits.unlock(global)?;
    let first = if plan.is_some() { "taken out of the cluster, and " } else { "" };
    confirm(global, &format!("\nIs {} to be {first}removed from the repository?", host.name))?;
    if let Some(plan) = &plan {
        print_or_execute(global, repository, &fleet, plan, &needs).inspect_err(|_| {
            if !global.json {
                eprintln!("\nthe repository was not changed; run it again to go on");
            }
        })?;
    }
    edits.write(&identities)?;
    if !args.keep_folder {
        folder::forget(repository, &host.name)?;
    }
    tell_done(
        global,
        &Event::Removed { host: host.name.to_string() },
        &format!("{} is removed from the repository", host.name),
    );
    advise(global, host, plan.is_some(), &read);
    Ok(())
}

fn may_go(fleet: &Fleet, host: &Host) -> Result<()> {
    let is_only_server = host.role == Some(Role::Server) && fleet.with_role(Role::Server).len() == 1;
    if is_only_server {
        let message = format!("{} is the only server: without it there is no cluster", host.name);
        let hint = "add another server first: cargo xtask node add NAME --role server";
        return Err(Failure::configuration(message)
            .also("nothing was changed".to_owned())
            .hint(hint.to_owned()));
    }
    Ok(())
}

fn edits<'a>(
    repository: &'a Repository,
    args: &NodeRemove,
    (text, after): (String, String),
    fleet: &Fleet,
    host: &Host,
    before: agenix::Rules,
) -> Result<Edits<'a>> {
    let mut texts = Vec::new();
    // First: it may be refused.
    if !args.keep_folder {
        texts.extend(folder::removal(repository, &host.name, args.force)?);
    }
    let fleet_after = Fleet::parse(&after)?;
    texts.push(fleet_change(repository, text, after)?);
    let scratch = Scratch::of(repository)?;
    scratch.put(&texts)?;
    let key = host.ssh_host_key.as_ref();
    let is_right = |rules: &agenix::Rules| !key.is_some_and(|key| secrets_nix::any_names(rules, key));
    let edit = |text: &str| literal::remove_host(text, &host.name);
    // By the names of the fleet before: what is removed has to be told by its name.
    texts.extend(secrets_nix::change(repository, &scratch, fleet, is_right, edit)?);
    Edits::new(repository, &scratch, fleet_after, texts, before, Vec::new())
}

/// What is to be done in the cluster; nothing for a host outside of it, and nothing where no server can be asked.
fn in_cluster<'a>(
    global: &Global,
    fleet: &'a Fleet,
    staying: &Fleet,
    host: &'a Host,
    args: &NodeRemove,
) -> Result<Option<Leave<'a>>> {
    let Some(server) = staying.first_server().filter(|_| host.role.is_some()) else { return Ok(None) };
    let server = fleet.host(server.name.as_str())?;
    let mut leave =
        Leave { host, server, is_down: false, drain_seconds: args.drain_timeout, force: args.force };
    if global.dry_run {
        return Ok(Some(leave));
    }
    let asker = Asker::new(global, fleet, &Terminal::new())?;
    let mut answers = asker.each(&[server, host], |_, _| Ok(())).into_iter();
    let mut is_down = |host: &Host| -> Result<bool> {
        match answers.next() {
            Some(Err(failure)) if skippable(host, &failure) && args.force => {
                eprintln!("{} {}", console::style("note:").yellow().bold().for_stderr(), failure.message);
                Ok(true)
            }
            Some(Err(failure)) => {
                let hint = failure.hint.clone().unwrap_or_default();
                Err(failure
                    .also("nothing was changed".to_owned())
                    .hint(format!("{hint} If it is gone for good: --force")))
            }
            _ => Ok(false),
        }
    };
    if is_down(server)? {
        eprintln!("      --force: nothing is done in the cluster; its node {} stays there", host.name);
        return Ok(None);
    }
    leave.is_down = is_down(host)?;
    if leave.is_down {
        eprintln!("      --force: it is not drained, its K3s is not stopped; only its node is deleted");
    }
    Ok(Some(leave))
}

/// It does not answer, is another machine by now, or was never pinned.
fn skippable(host: &Host, failure: &Failure) -> bool {
    failure.kind == Kind::Unreachable || host.ssh_host_key.is_none()
}

/// What is true afterwards, and what only the person can do.
fn advise(global: &Global, host: &Host, was_in_cluster: bool, read: &[SecretPath]) {
    let name = &host.name;
    if global.json {
        let secrets = read.iter().map(ToString::to_string).collect();
        Event::CouldRead { host: name.to_string(), secrets }.print();
        return;
    }
    if was_in_cluster {
        say!(
            "\n{name} still has its system and its token: at its next boot K3s starts there and joins again. Power it off, or\n\
             reinstall it, before that."
        );
    }
    if read.is_empty() {
        return;
    }
    say!("\n{name} could read, and whoever has its disk still can. Change these:");
    for path in read {
        let way = match path.as_str() {
            AGENT_TOKEN => "cargo xtask token rotate --agent".to_owned(),
            SERVER_TOKEN => "cargo xtask token rotate --server".to_owned(),
            other => format!("cargo xtask secrets edit {}", remote::quote(other)),
        };
        say!("  {path}  {way}");
    }
}
