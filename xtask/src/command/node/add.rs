//! `node add`

use std::net::IpAddr;

use fleet::edit::{self, NewHost};
use fleet::{Address, BuildOn, Fleet, Host, HostName, PublicKey};

use super::change::{Edits, names, show_differences};
use super::scratch::Scratch;
use super::{
    HostKey, confirm, edit_failure, fleet_change, fleet_text, folder, secrets_nix, tell_done, usage,
    would_ask,
};
use crate::access;
use crate::cli::{Global, Goal, NodeAdd, Role};
use crate::command::deploy;
use crate::events::Event;
use crate::failure::{Failure, Result};
use crate::playbook::{Aim, Token};
use crate::repository::Repository;

pub(super) fn run(global: &Global, repository: &Repository, args: &NodeAdd) -> Result<()> {
    let (text, fleet) = fleet_text(repository)?;
    let mut new = new_host(&fleet, args)?;
    // Without its key first: what cannot be is refused before the host is asked.
    let keyless = edit::add_host(&text, &new).map_err(edit_failure)?;
    if global.dry_run && args.host_key.is_none() {
        return without_key(global, repository, (text, keyless), &new.name, args);
    }
    let host_key = HostKey::find(args.host_key.as_deref(), &new.name, &new.addresses)?;
    new.ssh_host_key = Some(host_key.key.clone());
    let after = edit::add_host(&text, &new).map_err(edit_failure)?;
    let edits = edits(repository, (text, after), &fleet, &new)?;
    let name = &new.name;

    host_key.show(global, name, None);
    if folder::exists(repository, name) && !global.json {
        say!("hosts/{name} is there, and is left as it is\n");
    }
    edits.show(global)?;
    tell_of_shared_token(global, &edits, &host_key.key);
    let hosts = to_deploy(&edits, &fleet, name);
    if global.dry_run {
        return if args.no_deploy { Ok(()) } else { deploy(global, repository, &edits.fleet, &hosts) };
    }
    let identities = edits.unlock(global)?;
    let then = if args.no_deploy { String::new() } else { format!(" and {} deployed", join(&hosts)) };
    confirm(global, &host_key.question(&format!("is this to be written{then}")))?;
    edits.write(&identities)?;
    tell_done(
        global,
        &Event::Added { host: name.to_string() },
        &format!("{name} is added to the repository"),
    );
    let host = edits.fleet.host(name.as_str())?;
    if args.no_deploy {
        go_on(global, repository, host, &hosts);
        return Ok(());
    }
    let deployed = deploy(global, repository, &edits.fleet, &hosts);
    if deployed.is_err() {
        go_on(global, repository, host, &hosts);
    }
    deployed
}

/// The host, and those that get a secret with it. Where a second server comes, the first becomes one of several.
fn to_deploy(edits: &Edits<'_>, before: &Fleet, name: &HostName) -> Vec<HostName> {
    let servers = |fleet: &Fleet| fleet.with_role(fleet::Role::Server).len();
    let mut hosts = edits.gaining();
    hosts.push(name.clone());
    if servers(before) == 1 && servers(&edits.fleet) == 2 {
        hosts.extend(before.first_server().map(|server| server.name.clone()));
    }
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Servers of a cluster with several read the agents' token as well, which a literal secrets.nix need not say.
fn tell_of_shared_token(global: &Global, edits: &Edits<'_>, key: &PublicKey) {
    let servers = edits.fleet.with_role(fleet::Role::Server);
    let is_one_of_several =
        servers.len() > 1 && servers.iter().any(|server| server.ssh_host_key.as_ref() == Some(key));
    let token = access::token_of(fleet::Role::Agent);
    let reads = edits.rules().rule(&token).is_ok_and(|rule| names(rule, key));
    if is_one_of_several && !reads && !global.json {
        eprintln!(
            "{} several servers share the agents' token: let the rule of {token} name k3sServers as well, then\n\
             \x20     cargo xtask secrets rekey",
            console::style("note:").yellow().bold().for_stderr()
        );
    }
}

/// A dry run contacts nobody: what depends on the host's key is left out, and told.
fn without_key(
    global: &Global,
    repository: &Repository,
    (text, after): (String, String),
    name: &HostName,
    args: &NodeAdd,
) -> Result<()> {
    let fleet = Fleet::parse(&after)?;
    let host = fleet.host(name.as_str())?;
    let mut texts = vec![fleet_change(repository, text, after)?];
    texts.extend(folder::new(repository, host)?);
    show_differences(global, &texts)?;
    would_ask(global, host);
    if args.no_deploy { Ok(()) } else { deploy(global, repository, &fleet, std::slice::from_ref(name)) }
}

/// Servers come first by the playbook: where a second one comes, the first gets a secret as well.
fn deploy(global: &Global, repository: &Repository, fleet: &Fleet, hosts: &[HostName]) -> Result<()> {
    let hosts: Vec<&Host> = hosts.iter().map(|name| &fleet.hosts[name]).collect();
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let title = format!("deploy {}", names.join(" "));
    let asked = deploy::asked(global, title, &hosts, Aim::new(Goal::Switch, Token::Expect));
    deploy::execute(global, repository, fleet, asked, None)
}

/// The repository is right whatever became of the host.
fn go_on(global: &Global, repository: &Repository, host: &Host, hosts: &[HostName]) {
    if global.json {
        return;
    }
    let names: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    eprintln!("\n{} is in the repository; to go on: cargo xtask deploy {}", host.name, names.join(" "));
    folder::missing_hardware(repository, host).iter().for_each(|text| eprintln!("\n{text}"));
}

fn edits<'a>(
    repository: &'a Repository,
    (text, after): (String, String),
    fleet: &Fleet,
    new: &NewHost,
) -> Result<Edits<'a>> {
    let before = repository.rules(fleet)?;
    let (fleet, key) = (Fleet::parse(&after)?, new.ssh_host_key.clone().expect("its key is known by now"));
    let role = new.role.expect("clap asks for a role");
    let mut texts = vec![fleet_change(repository, text, after)?];
    let scratch = Scratch::of(repository)?;
    scratch.put(&texts)?;
    let token = access::token_of(role);
    let is_right = |rules: &agenix::Rules| rules.rule(&token).is_ok_and(|rule| names(rule, &key));
    let edit = |text: &str| fleet::secrets_nix::add_host(text, &new.name, new.role, &key);
    texts.extend(secrets_nix::change(repository, &scratch, &fleet, is_right, edit)?);
    texts.extend(folder::new(repository, fleet.host(new.name.as_str())?)?);
    let edits = Edits::new(repository, &scratch, fleet, texts, before, vec![key])?;
    // What was wrong before is another command's; what this would make wrong is refused.
    let wrong = access::misrules(&edits.fleet, edits.rules());
    match wrong.into_iter().find(|misrule| misrule.what.contains(new.name.as_str())) {
        None => Ok(edits),
        Some(misrule) => Err(Failure::configuration(format!("{}: {}", misrule.secret, misrule.what))
            .also("nothing was changed".to_owned())
            .hint(misrule.hint.to_owned())),
    }
}

/// What was typed, checked.
fn new_host(fleet: &Fleet, args: &NodeAdd) -> Result<NewHost> {
    let name = HostName::new(&args.name).map_err(usage)?;
    let node_ip: IpAddr = match &args.node_ip {
        Some(text) => text.parse().map_err(|_| usage(format!("--node-ip: `{text}` is not an IP address")))?,
        None => fleet
            .next_node_ip()
            .map_err(|error| Failure::configuration(error.to_string()).hint(error.hint().to_owned()))?,
    };
    let default = [format!("{name}.{}", fleet.cluster.domain), node_ip.to_string()];
    let addresses = if args.address.is_empty() { &default[..] } else { &args.address };
    let addresses = addresses.iter().map(|text| Address::new(text).map_err(usage)).collect::<Result<_>>()?;
    let build_on = match args.build_on.as_deref() {
        None => None,
        Some("target") => Some(BuildOn::Target),
        Some("local") => Some(BuildOn::Local),
        Some(other) => Some(BuildOn::Host(fleet.host(other)?.name.clone())),
    };
    Ok(NewHost {
        role: Some(match args.role {
            Role::Server => fleet::Role::Server,
            Role::Agent => fleet::Role::Agent,
        }),
        node_ip: Some(node_ip),
        addresses,
        ssh_user: args.ssh_user.clone(),
        build_on,
        taints: args.taint.clone(),
        labels: args.label.clone(),
        tags: args.tag.clone(),
        ..NewHost::new(name)
    })
}

fn join(hosts: &[HostName]) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(" and ")
}
