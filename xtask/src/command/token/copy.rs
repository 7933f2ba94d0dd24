//! `token pull` and `token sync`: from the server into the repository's secrets.

use fleet::{Host, Role};
use k3s::Token;

use super::{Context, path, token_at, told};
use crate::cli::{Global, Goal, TokenOf, TokenSync};
use crate::command::deploy::{asked, execute};
use crate::events::would;
use crate::failure::{Failure, Kind, Result};
use crate::playbook::Aim;
use crate::run::require_supported;
use crate::tokens::{names, require_nodes};

/// The servers' own token, in its full form: with the CA's hash, by which a server that joins knows the cluster.
pub(super) fn pull(global: &Global, context: &Context) -> Result<()> {
    let server = context.first_server()?;
    if global.dry_run {
        let path = path(TokenOf::Server);
        would(global, &format!("copy {} of {} into {path}", k3s::SERVER_TOKEN, server.name));
        return Ok(());
    }
    let session = context.asker(global)?.session(server)?;
    require_supported(&session)?;
    let token = token_at(&session, k3s::SERVER_TOKEN, "the server token")?;
    replace(global, context, TokenOf::Server, &token, server)
}

/// The agents' token; then, on request, the agents get it.
pub(super) fn sync(global: &Global, context: &Context, args: &TokenSync) -> Result<()> {
    let server = context.first_server()?;
    let agents = context.fleet.with_role(Role::Agent);
    if global.dry_run && !args.deploy {
        let path = path(TokenOf::Agent);
        would(global, &format!("copy {} of {} into {path}", k3s::AGENT_TOKEN, server.name));
        return Ok(());
    }
    if args.deploy {
        // A deploy of agents begins with this very copy.
        let title = format!("token sync, and deploy {}", list(&agents));
        let aim = Aim::new(Goal::Switch, crate::playbook::Token::Expect);
        return execute(
            global,
            &context.repository,
            &context.fleet,
            asked(global, title, &agents, aim),
            None,
        );
    }
    let session = context.asker(global)?.session(server)?;
    require_supported(&session)?;
    let token = token_at(&session, k3s::AGENT_TOKEN, "the agent token")?;
    require_nodes(server.name.as_str(), &token)?;
    replace(global, context, TokenOf::Agent, &token, server)?;
    if !global.json && !agents.is_empty() {
        say!("the agents get it with their next deploy: cargo xtask deploy {}", list(&agents));
    }
    Ok(())
}

fn list(hosts: &[&Host]) -> String {
    hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// Only if it differs: git has no use for a new ciphertext of the same token.
fn replace(global: &Global, context: &Context, of: TokenOf, token: &Token, server: &Host) -> Result<()> {
    let (path, tokens) = (path(of), context.tokens());
    let readers = tokens.readers(&path)?;
    let old = tokens.read(&path)?;
    if let Some(old) = &old {
        if old.is(token) {
            told(global, &path, "unchanged", &format!("holds the token of {} already", server.name));
            return Ok(());
        }
        if !old.agrees(token) && of == TokenOf::Server && !global.yes {
            let message = format!("{path} holds another token than {} uses", server.name);
            return Err(Failure::new(Kind::Verification, message).hint(
                "--yes takes the server's; `cargo xtask token rotate --server` makes the servers take the secret's"
                    .to_owned(),
            ));
        }
    }
    tokens.write(&path, token)?;
    let was =
        if old.is_some_and(|old| old.agrees(token)) { ", the same password in its full form" } else { "" };
    let text = format!("{token} copied from {}{was}, for {}", server.name, names(&readers));
    told(global, &path, "written", &text);
    Ok(())
}
