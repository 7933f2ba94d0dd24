//! `rollback`

use super::{Keep, Needs, one_host, print_or_execute};
use crate::cli::{Global, Rollback};
use crate::failure::Result;
use crate::playbook;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Rollback) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let host = one_host(global, &fleet, args.host.as_deref())?;
    let plan = playbook::rollback(&fleet, host, args.to, global.yes);
    print_or_execute(
        global,
        &repository,
        &fleet,
        &plan,
        &Needs { secrets: false, patience: true, journal: Keep::Events },
    )
}
