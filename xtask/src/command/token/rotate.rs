//! `token rotate`

use fleet::Fleet;

use crate::cli::{Global, TokenRotate};
use crate::command::{Keep, Needs, first_server, print_or_execute};
use crate::failure::Result;
use crate::journal::Past;
use crate::playbook::{self, Rotated};
use crate::repository::Repository;

pub(super) fn run(global: &Global, repository: &Repository, fleet: &Fleet, args: &TokenRotate) -> Result<()> {
    first_server(fleet)?;
    let (of, whose) = if args.server { (Rotated::Server, "servers'") } else { (Rotated::Agent, "agents'") };
    let title = format!("rotate the {whose} token of {}", fleet.cluster.name);
    let plan = playbook::rotate(title, fleet, of);
    let goes_on = Past::rotation_under_way(repository.root(), of);
    if goes_on && !global.json {
        eprintln!("going on with the rotation that was cut off");
    }
    let needs = Needs { secrets: true, patience: true, journal: Keep::Rotation { of, goes_on } };
    print_or_execute(global, repository, fleet, &plan, &needs)
}
