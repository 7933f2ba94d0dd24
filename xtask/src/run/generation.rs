//! An earlier system of a host, as it lies there: nothing is built and nothing is copied.

use fleet::{HostName, Role};
use pipeline::Outcome;
use remote::ssh::Session;

use super::build::short;
use super::fit::{self, NewK3s};
use super::{Built, Origin, Run, done, host};
use crate::failure::{Failure, Kind, Result};

impl Run<'_> {
    /// Finds the system of a generation: of `to`, else of the newest before the boot default.
    pub(super) fn generation(&self, name: &HostName, to: Option<u32>, yes: bool) -> Result<Outcome> {
        let session = self.session(name);
        let generations = generations(&session)?;
        let number = chosen(&generations, to).ok_or_else(|| {
            let known: Vec<String> = generations.iter().map(|(number, _)| number.to_string()).collect();
            let what = to.map_or("no earlier generation".to_owned(), |to| format!("no generation {to}"));
            Failure::new(Kind::Usage, format!("{name} has {what}"))
                .hint(format!("it has {}: --to NUMBER", known.join(", ")))
        })?;
        let link = format!("{}-{number}-link", host::PROFILE);
        let system = session.run(["readlink", "-f", &link])?.text();
        self.may_go_back(name, &session, &system, yes)?;
        let detail = format!("generation {number}, {}", short(&system));
        self.state().built.insert(name.clone(), Built { system, origin: Origin::OnHost(number) });
        done(detail)
    }

    /// A datastore does not go back with its K3s.
    fn may_go_back(&self, name: &HostName, session: &Session, system: &str, yes: bool) -> Result<()> {
        if self.host(name).role != Some(Role::Server) {
            return Ok(());
        }
        self.note_new_k3s(name, &fit::starts(session, Some(system))?);
        match self.state().new_k3s.get(name) {
            Some(NewK3s { from, to }) if !yes => {
                let message =
                    format!("{name} would go from {from} to {to}, and K3s' datastore does not go back");
                Err(Failure::new(Kind::Usage, message)
                    .hint("--yes does it, with a copy of the datastore before".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

/// Numbers in their order, and whether each is the boot default.
fn generations(session: &Session) -> Result<Vec<(u32, bool)>> {
    Ok(parse(&session.run(["nix-env", "-p", host::PROFILE, "--list-generations"])?.text()))
}

/// `  3   2026-11-22 22:00:00   (current)`
fn parse(list: &str) -> Vec<(u32, bool)> {
    let line = |line: &str| Some((line.split_whitespace().next()?.parse().ok()?, line.contains("(current)")));
    list.lines().filter_map(line).collect()
}

fn chosen(generations: &[(u32, bool)], to: Option<u32>) -> Option<u32> {
    let current = generations.iter().find(|(_, current)| *current).map_or(u32::MAX, |(number, _)| *number);
    let numbers = generations.iter().map(|(number, _)| *number);
    match to {
        Some(to) => numbers.into_iter().find(|number| *number == to),
        None => numbers.filter(|number| *number < current).max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_before_the_boot_default_is_chosen() {
        let list = "   1   2026-11-20 10:00:00   \n   3   2026-11-21 10:00:00   \n   7   2026-11-22 10:00:00   (current)";
        let generations = parse(list);
        assert_eq!(generations, [(1, false), (3, false), (7, true)]);
        assert_eq!((chosen(&generations, None), chosen(&generations, Some(1))), (Some(3), Some(1)));
        assert_eq!((chosen(&generations, Some(2)), chosen(&generations[..1], None)), (None, Some(1)));
        assert_eq!(chosen(&[(1, true)], None), None);
    }
}
