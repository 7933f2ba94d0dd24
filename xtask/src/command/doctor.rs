//! `doctor`: why it does not work. Everything is asked side by side, and nothing is changed.

use fleet::{Host, HostName};

use super::named_or_cluster;
use crate::ask::Asker;
use crate::cli::{Doctor, Global};
use crate::doctor::{self, Asked, Weight};
use crate::events::would;
use crate::failure::{Failure, Kind, Result};
use crate::render::Terminal;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Doctor) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let named = if args.hosts.is_empty() {
        fleet.hosts.values().collect()
    } else {
        named_or_cluster(&fleet, &args.hosts)?
    };
    if named.is_empty() {
        return Err(Failure::new(Kind::Usage, "hosts/fleet.toml has no host"));
    }
    // An agent's trouble may well be its server's.
    let server = fleet.first_server().filter(|_| named.iter().any(|host| host.role.is_some()));
    let mut hosts: Vec<&Host> = named.clone();
    hosts.extend(server.filter(|server| !named.contains(server)));
    if global.dry_run {
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        would(global, &format!("ask {}, and change nothing", names.join(", ")));
        return Ok(());
    }
    let asker = Asker::new(global, &fleet, &Terminal::new())?;
    let facts = doctor::look(&repository, &fleet, &asker, &hosts)?;
    let all = doctor::examine(&fleet, &facts);
    let names: Vec<&HostName> = named.iter().map(|host| &host.name).collect();
    doctor::print(global, &fleet, &names, &facts, &all);
    // Told already; what is left is the exit code.
    if facts.hosts.values().any(|asked| matches!(asked, Asked::Unreached(_))) {
        return Err(Failure::told(Kind::Unreachable));
    }
    let errors = all.findings.iter().filter(|finding| finding.cause.entry().weight == Weight::Error);
    if errors.count() > 0 { Err(Failure::told(Kind::Verification)) } else { Ok(()) }
}
