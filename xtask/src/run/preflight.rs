//! What would otherwise be noticed when a server is deployed already: missing tools, files that the flake does not see,
//! secrets that a host, or we, could not read.

use agenix::SecretPath;
use fleet::{HostName, Role};
use pipeline::Outcome;
use remote::Tool;

use super::token::agrees;
use super::{Run, done};
use crate::access;
use crate::cli::Goal;
use crate::failure::{Failure, Result};
use crate::playbook::Token;

impl Run<'_> {
    pub(super) fn preflight(&self, hosts: &[HostName], goal: Goal, token: Token) -> Result<Outcome> {
        for tool in [Tool::NIX, Tool::NIXOS_REBUILD] {
            remote::require(tool)?;
        }
        if self.overrides.is_empty() && !self.repository.root().join("flake.lock").exists() {
            // Without it every evaluation would take whatever nixpkgs is newest just then.
            return Err(Failure::configuration("flake.lock does not exist")
                .hint("nix flake lock && git add flake.lock".to_owned()));
        }
        if agenix::was_cut_off(&self.repository.folder()?) {
            return Err(Failure::configuration("a rekey of the secrets was cut off half-way")
                .hint("cargo xtask secrets rekey, which undoes it first".to_owned()));
        }
        self.repository.add_secrets()?;
        self.repository.require_visible()?;
        let has = |role: Role| hosts.iter().any(|name| self.host(name).role == Some(role));
        let roles: Vec<Role> = [Role::Server, Role::Agent].into_iter().filter(|role| has(*role)).collect();
        if matches!(goal, Goal::Build | Goal::DryActivate) || roles.is_empty() {
            return done("tools and files are right");
        }
        if let Some(misrule) = access::misrules(self.fleet, self.rules()).into_iter().next() {
            let message = format!("{}: {}", misrule.secret, misrule.what);
            return Err(Failure::configuration(message).hint(misrule.hint.to_owned()));
        }
        for role in roles {
            // The pipeline copies an agent's from the server, unless it only sets what is booted next.
            let seen_to = match role {
                Role::Server => token == Token::Make,
                Role::Agent => matches!(goal, Goal::Switch | Goal::Test),
            };
            let path = access::token_of(role);
            self.token_is_readable(&path, seen_to)?;
            if role == Role::Agent && seen_to && self.repository.has(&path) {
                self.tokens().decrypt(&path, &self.repository.read_secret(&path)?)?;
            }
        }
        if self.has_several_servers() && has(Role::Server) {
            // Each of them has to have the same one before the first of them starts.
            self.token_is_readable(&access::token_of(Role::Agent), token == Token::Make)?;
        }
        done("tools, files and readers are right")
    }

    /// It is there and encrypted to whom the rules say, or this run will see to it.
    fn token_is_readable(&self, path: &SecretPath, seen_to: bool) -> Result<()> {
        if seen_to {
            return Ok(());
        }
        let bootstrap = |verb: &str| format!("`cargo xtask bootstrap-cluster` {verb}");
        if !self.repository.has(path) {
            return Err(Failure::configuration(format!("{path} does not exist")).hint(bootstrap("makes it")));
        }
        if !agrees(&self.repository.read_secret(path)?, &self.tokens().readers(path)?)? {
            let message = format!("the readers of {path} are not those of secrets.nix");
            return Err(Failure::configuration(message).hint(bootstrap("encrypts it anew")));
        }
        Ok(())
    }
}
