//! `bootstrap-cluster`

use super::{Needs, named_or_cluster, print_or_execute};
use crate::cli::{Global, Goal};
use crate::failure::{Failure, Result};
use crate::playbook::{self, Aim, Token};
use crate::repository::Repository;

pub(crate) fn run(global: &Global) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let hosts = named_or_cluster(&fleet, &[])?;
    if hosts.is_empty() {
        return Err(Failure::configuration("no host in hosts/fleet.toml has a role, so there is no cluster")
            .hint("give one host role = \"server\"".to_owned()));
    }
    let title = format!("bootstrap {}", fleet.cluster.name);
    let plan =
        playbook::deploy(title, &fleet, &hosts, Aim { goal: Goal::Switch, token: Token::Make, batch: None });
    print_or_execute(global, &repository, &fleet, &plan, Needs { secrets: true, patience: true })
}
