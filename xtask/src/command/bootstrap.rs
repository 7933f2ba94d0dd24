//! `bootstrap-cluster`

use super::deploy::{self, asked};
use super::named_or_cluster;
use crate::cli::{Global, Goal};
use crate::failure::{Failure, Result};
use crate::playbook::{Aim, Token};
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
    let aim = Aim::new(Goal::Switch, Token::Make);
    deploy::execute(global, &repository, &fleet, asked(global, title, &hosts, aim), None)
}
