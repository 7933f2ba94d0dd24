//! `token`: the two K3s tokens between the servers that made them, the secrets of the repository and the nodes.

mod check;
mod copy;
mod rotate;

use agenix::secrecy::ExposeSecret;
use agenix::{Identities, Rules, SecretPath};
use fleet::{Fleet, Host, Role};
use k3s::Token;
use remote::ssh::Session;

use crate::access;
use crate::ask::Asker;
use crate::cli::{Global, TokenCommand, TokenOf};
use crate::events::{Event, would};
use crate::failure::{Failure, Kind, Result};
use crate::identity;
use crate::render::Terminal;
use crate::repository::Repository;
use crate::tokens::{self, Tokens, names};

/// What these commands share.
struct Context {
    repository: Repository,
    fleet: Fleet,
    rules: Rules,
    identities: Identities,
    terminal: Terminal,
}

impl Context {
    fn tokens(&self) -> Tokens<'_> {
        Tokens { repository: &self.repository, rules: &self.rules, identities: &self.identities }
    }

    /// The server that is asked about tokens: the one that the others join.
    fn first_server(&self) -> Result<&Host> {
        let server = self.fleet.first_server();
        server.ok_or_else(|| Failure::configuration("no host in hosts/fleet.toml is a server"))
    }

    fn asker(&self, global: &Global) -> Result<Asker> {
        Asker::new(global, &self.fleet, &self.terminal)
    }
}

pub(crate) fn run(global: &Global, command: &TokenCommand) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    if let TokenCommand::Rotate(args) = command {
        return rotate::run(global, &repository, &fleet, args);
    }
    if let TokenCommand::Check(args) = command {
        // A mistyped name is told before anything else that may be wrong.
        super::named_or_cluster(&fleet, &args.hosts)?;
    }
    let rules = super::usable(repository.rules(&fleet)?)?;
    let terminal = Terminal::new();
    let identities = identity::load(global, &terminal)?;
    let context = Context { repository, fleet, rules, identities, terminal };
    match command {
        TokenCommand::Generate { of } => generate(global, &context, *of),
        TokenCommand::Pull => copy::pull(global, &context),
        TokenCommand::Sync(args) => copy::sync(global, &context, args),
        TokenCommand::Check(args) => check::run(global, &context, args),
        TokenCommand::Rotate(_) => unreachable!("it is a plan, and has been executed"),
    }
}

fn path(of: TokenOf) -> SecretPath {
    access::token_of(match of {
        TokenOf::Server => Role::Server,
        TokenOf::Agent => Role::Agent,
    })
}

/// A new token where there is none. One that a cluster uses is rotated, not replaced.
fn generate(global: &Global, context: &Context, of: TokenOf) -> Result<()> {
    let path = path(of);
    if context.repository.has(&path) {
        return Err(Failure::new(Kind::Usage, format!("{path} is there already"))
            .hint("a cluster's tokens are changed by `cargo xtask token rotate`".to_owned()));
    }
    let single = context.fleet.with_role(Role::Server).len() < 2;
    if of == TokenOf::Agent && single {
        return Err(Failure::new(Kind::Usage, "with one server, that server makes the agents' token")
            .hint("cargo xtask token sync copies it from there".to_owned()));
    }
    let readers = context.tokens().readers(&path)?;
    if global.dry_run {
        would(global, &format!("make {path}, for {}", names(&readers)));
        return Ok(());
    }
    context.tokens().write(&path, &tokens::random()?)?;
    told(global, &path, "written", &format!("made, for {}", names(&readers)));
    Ok(())
}

/// The token in a file of a host, read into memory.
fn token_at(session: &Session, file: &str, what: &str) -> Result<Token> {
    let attempt = format!("failed to read {what} of {}", session.name());
    let text = session.run_secret(["cat", file]).map_err(|error| {
        let lost = Failure::from(error).during(&attempt);
        let kind = if lost.kind == Kind::Unforeseen { Kind::Verification } else { lost.kind };
        lost.of_kind(kind).hint(format!("has its K3s started? cargo xtask verify {}", session.name()))
    })?;
    Token::parse(text.expose_secret())
        .map_err(|error| Failure::new(Kind::Verification, format!("{attempt}: {error}")))
}

fn told(global: &Global, secret: &SecretPath, outcome: &str, text: &str) {
    if global.json {
        let (secret, outcome, detail) = (secret.to_string(), outcome.to_owned(), text.to_owned());
        Event::SecretFinished { secret, outcome, detail }.print();
    } else {
        say!("{secret}: {text}");
    }
}
