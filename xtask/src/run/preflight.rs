//! What would otherwise be noticed when a server is deployed already: missing tools, files that the flake does not see,
//! secrets that a host, or we, could not read.

use fleet::{BuildOn, HostName, Role};
use pipeline::Outcome;
use remote::Tool;

use super::token::agrees;
use super::{Run, done};
use crate::access;
use crate::cli::Goal;
use crate::failure::{Failure, Result};
use crate::playbook::Token;
use crate::repository::{AGENT_TOKEN, secret};

impl Run<'_> {
    pub(super) fn preflight(&self, hosts: &[HostName], goal: Goal, token: Token) -> Result<Outcome> {
        for tool in [Tool::NIX, Tool::NIXOS_REBUILD] {
            remote::require(tool)?;
        }
        if goal != Goal::Build && hosts.iter().any(|name| self.host(name).build_on == BuildOn::Local) {
            // While the hosts are being reached, nobody waits for the answer.
            self.knows_store_path();
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
        let shared = self.fleet.with_role(Role::Server).len() > 1;
        if shared && !self.repository.has(&secret(AGENT_TOKEN)) {
            // Each server has to have the same one before the first of them starts.
            let message = format!("several servers share one agent token, and {AGENT_TOKEN} does not exist");
            return Err(Failure::configuration(message)
                .hint(format!("openssl rand -hex 32 | cargo xtask secrets new {AGENT_TOKEN}")));
        }
        for role in roles {
            self.token_is_readable(role, goal, token)?;
        }
        done("tools, files and readers are right")
    }

    /// A role's token is there and encrypted to whom the rules say, or this run will see to it. An agent's is compared
    /// with the server's: for that a key at hand has to decrypt it.
    fn token_is_readable(&self, role: Role, goal: Goal, token: Token) -> Result<()> {
        let path = access::token_of(role);
        // The pipeline copies an agent's from the server, unless it only sets what is booted next.
        let seen_to = match role {
            Role::Server => token == Token::Make,
            Role::Agent => matches!(goal, Goal::Switch | Goal::Test),
        };
        let bootstrap = |verb: &str| format!("`cargo xtask bootstrap-cluster` {verb}");
        if !self.repository.has(&path) {
            let missing =
                Failure::configuration(format!("{path} does not exist")).hint(bootstrap("makes it"));
            return if seen_to { Ok(()) } else { Err(missing) };
        }
        let bytes = self.repository.read_secret(&path)?;
        if !seen_to && !agrees(&bytes, &self.readers(&path)?)? {
            let message = format!("the readers of {path} are not those of secrets.nix");
            return Err(Failure::configuration(message).hint(bootstrap("encrypts it anew")));
        }
        if role == Role::Agent && seen_to {
            self.read_token(&path, &bytes)?;
        }
        Ok(())
    }
}
