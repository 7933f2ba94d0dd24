//! Who may read which token, by the rules, against the roles of the fleet. Pure, and keyless.

use agenix::{Rules, SecretPath};
use fleet::{Fleet, Host, PublicKey, Role};

use crate::repository::{AGENT_TOKEN, SERVER_TOKEN, secret};

/// What is wrong with a rule, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misrule {
    pub(crate) secret: SecretPath,
    pub(crate) what: String,
    pub(crate) hint: &'static str,
}

/// The token that a host of this role reads.
pub(crate) fn token_of(role: Role) -> SecretPath {
    secret(match role {
        Role::Server => SERVER_TOKEN,
        Role::Agent => AGENT_TOKEN,
    })
}

/// Each host can read its role's token; no agent can read the servers'; some admin can read both.
///
/// Rules that do not parse, and hosts without a key, are told by others: they are passed over here.
pub(crate) fn misrules(fleet: &Fleet, rules: &Rules) -> Vec<Misrule> {
    let mut found = Vec::new();
    for role in [Role::Server, Role::Agent] {
        let path = token_of(role);
        let Some(readers) = readers(rules, &path) else { continue };
        let reads = |key: &PublicKey| readers.contains(key);
        let mut tell =
            |what: String, hint: &'static str| found.push(Misrule { secret: path.clone(), what, hint });
        for host in fleet.hosts.values() {
            let Host { name, role: Some(its), ssh_host_key: Some(key), .. } = host else { continue };
            if *its == role && !reads(key) {
                tell(
                    format!("{name} is {role} and no reader of it"),
                    "add the host's key to the rule in secrets.nix",
                );
            }
            if *its == Role::Agent && role == Role::Server && reads(key) {
                let what = format!("the agent {name} can read it, and could join as a server");
                tell(what, "take the host's key out of the rule in secrets.nix");
            }
        }
        if !fleet.admins.is_empty() && !fleet.admins.values().any(reads) {
            tell("no admin can read it".to_owned(), "add an admin's key to the rule in secrets.nix");
        }
    }
    found
}

fn readers(rules: &Rules, path: &SecretPath) -> Option<Vec<PublicKey>> {
    let recipients = rules.rule(path).ok()?.recipients().ok()?;
    Some(recipients.iter().filter_map(|reader| PublicKey::new(reader.text()).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OCEAN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDccQhZ6rQjOKYSuRsXWhmu/hBAnWZRGpxbPsyGYyVbs";
    const MAIA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINwtGWIz22EXRyl8aHwn5YTT70jZcZf/i0G4Ntbdy83x";
    const ADMIN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM9VfqfF6XjY74JS3igpBu3Bu6m6MdaYwcO/cFMVucF7";

    fn told(server: &[&str], agent: &[&str]) -> Vec<String> {
        let fleet = format!(
            "[cluster]\nname = \"m\"\ndomain = \"m\"\n[admins]\nme = \"{ADMIN}\"\n\
             [hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\nssh_host_key = \"{OCEAN}\"\n\
             [hosts.maia]\nrole = \"agent\"\nnode_ip = \"100.64.0.5\"\nssh_host_key = \"{MAIA}\"\n"
        );
        let rules =
            serde_json::json!({SERVER_TOKEN: {"publicKeys": server}, AGENT_TOKEN: {"publicKeys": agent}});
        let rules = Rules::from_json(&rules.to_string()).unwrap();
        let found = misrules(&Fleet::parse(&fleet).unwrap(), &rules);
        found.into_iter().map(|misrule| format!("{}: {}", misrule.secret, misrule.what)).collect()
    }

    #[test]
    fn rules_that_do_not_fit_the_roles_are_told() {
        assert_eq!(told(&[ADMIN, OCEAN], &[ADMIN, MAIA]), Vec::<String>::new());
        assert_eq!(
            told(&[ADMIN, OCEAN, MAIA], &[ADMIN]),
            [
                "secrets/k3s-server-token.age: the agent maia can read it, and could join as a server",
                "secrets/k3s-agent-token.age: maia is agent and no reader of it",
            ]
        );
        assert_eq!(told(&[OCEAN], &[ADMIN, MAIA]), ["secrets/k3s-server-token.age: no admin can read it"]);
    }
}
