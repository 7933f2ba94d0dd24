//! `deploy`

use fleet::{Fleet, Host};
use remote::nix::OverrideInput;

use super::{Keep, Needs, named_or_cluster, print_or_execute};
use crate::cli::{Deploy, Global, Goal, Role};
use crate::failure::{Failure, Kind, Result};
use crate::journal::{Asked, Past};
use crate::playbook::{self, Aim, Token};
use crate::repository::Repository;
use crate::run::is_this_machine;

pub(crate) fn run(global: &Global, args: &Deploy) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    if let Some(id) = &args.resume {
        let past = Past::unfinished(repository.root(), id.as_deref())?;
        if !global.json {
            eprintln!("going on with {}", past.id);
        }
        return execute(global, &repository, &fleet, past.asked, past.snapshot);
    }
    let hosts = select(&fleet, args)?;
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let title = format!("deploy {}", names.join(" "));
    let aim = Aim {
        batch: args.batch.map(usize::from),
        max_failures: args.max_failures.into(),
        keep_going: args.keep_going,
        reboot: args.reboot,
        drain: args.drain,
        ..Aim::new(args.goal, Token::Expect)
    };
    execute(global, &repository, &fleet, asked(global, title, &hosts, aim), None)
}

pub(super) fn asked(global: &Global, title: String, hosts: &[&Host], aim: Aim) -> Asked {
    let hosts = hosts.iter().map(|host| host.name.to_string()).collect();
    let pair = |input: OverrideInput| (input.name, input.reference);
    Asked { title, hosts, aim, overrides: global.overrides().into_iter().map(pair).collect() }
}

/// Does what was asked for, from this snapshot if there is one.
pub(super) fn execute(
    global: &Global,
    repository: &Repository,
    fleet: &Fleet,
    asked: Asked,
    snapshot: Option<String>,
) -> Result<()> {
    let hosts = named_or_cluster(fleet, &asked.hosts)?;
    let goal = asked.aim.goal;
    let plan = playbook::deploy(asked.title.clone(), fleet, &hosts, asked.aim);
    let servers = fleet.with_role(fleet::Role::Server);
    if let Some(advice) =
        k3s::quorum::advice(servers.len()).filter(|_| servers.iter().any(|it| hosts.contains(it)))
    {
        eprintln!("warning: {advice}");
    }
    let with_tokens = !matches!(goal, Goal::Build | Goal::DryActivate);
    let secrets = with_tokens && hosts.iter().any(|host| host.role.is_some());
    let reboot_is_left = goal == Goal::Boot && !asked.aim.reboot && !global.dry_run && !global.json;
    let names = asked.hosts.join(", ");
    let needs = Needs { secrets, patience: true, journal: Keep::Deploy { asked, snapshot } };
    print_or_execute(global, repository, fleet, &plan, &needs)?;
    if global.dry_run && !global.json && goal != Goal::DryActivate {
        eprintln!("\nwhat would change on each host, packages and units: --goal dry-activate");
    }
    if reboot_is_left {
        eprintln!(
            "{names} changes at its next boot: reboot it to run the new system, or deploy with --reboot"
        );
    }
    Ok(())
}

fn select<'a>(fleet: &'a Fleet, args: &Deploy) -> Result<Vec<&'a Host>> {
    if args.all {
        return Ok(fleet.hosts.values().collect());
    }
    if args.hosts.is_empty() && args.role.is_none() && args.tag.is_none() {
        let this = fleet.hosts.values().find(|host| is_this_machine(host));
        return Ok(vec![this.ok_or_else(|| {
            let known: Vec<&str> = fleet.hosts.keys().map(fleet::HostName::as_str).collect();
            Failure::new(Kind::Usage, "this machine is none of the fleet's hosts, and no host is named")
                .hint(format!("name one ({}), or --all", known.join(", ")))
        })?]);
    }
    let mut hosts = if args.hosts.is_empty() { Vec::new() } else { named_or_cluster(fleet, &args.hosts)? };
    let mut add = |more: Vec<&'a Host>| {
        for host in more {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
    };
    if let Some(role) = args.role {
        add(with_role(fleet, role)?);
    }
    if let Some(tag) = &args.tag {
        add(with_tag(fleet, tag)?);
    }
    Ok(hosts)
}

fn with_role(fleet: &Fleet, role: Role) -> Result<Vec<&Host>> {
    let role = match role {
        Role::Server => fleet::Role::Server,
        Role::Agent => fleet::Role::Agent,
    };
    let hosts: Vec<&Host> = fleet.hosts.values().filter(|host| host.role == Some(role)).collect();
    if hosts.is_empty() {
        let message = format!("no host in hosts/fleet.toml has the role {role}");
        return Err(Failure::new(Kind::Usage, message).hint("cargo xtask node list".to_owned()));
    }
    Ok(hosts)
}

fn with_tag<'a>(fleet: &'a Fleet, tag: &str) -> Result<Vec<&'a Host>> {
    let hosts: Vec<&Host> =
        fleet.hosts.values().filter(|host| host.tags.iter().any(|known| known == tag)).collect();
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    let mut known: Vec<&str> = fleet.hosts.values().flat_map(|host| &host.tags).map(String::as_str).collect();
    known.sort_unstable();
    known.dedup();
    let hint = match fleet::nearest(tag, known.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "no host has one yet: `tags = [\"…\"]` in its table".to_owned(),
        None => format!("known tags: {}", known.join(", ")),
    };
    Err(Failure::new(Kind::Usage, format!("no host in hosts/fleet.toml has the tag `{tag}`")).hint(hint))
}
