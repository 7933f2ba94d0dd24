//! `verify`

use super::{Keep, Needs, named_or_cluster, print_or_execute};
use crate::cli::{Global, Hosts};
use crate::failure::{Failure, Kind, Result};
use crate::playbook;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Hosts) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let hosts = named_or_cluster(&fleet, &args.hosts)?;
    if hosts.is_empty() {
        return Err(Failure::new(
            Kind::Usage,
            "no host in hosts/fleet.toml has a role, and no host is named",
        ));
    }
    let plan = playbook::verify(format!("verify {}", fleet.cluster.name), &fleet, &hosts);
    print_or_execute(
        global,
        &repository,
        &fleet,
        &plan,
        &Needs { secrets: false, patience: false, journal: Keep::Nothing },
    )
}
