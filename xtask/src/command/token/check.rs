//! `token check`: do the secret in the repository, the file on the node and what the server accepts agree?
//!
//! By a digest over a fresh salt, and by a login with the very token; neither the token nor its password travels.

use agenix::secrecy::ExposeSecret;
use fleet::{Host, HostName, Role};
use k3s::Token;
use k3s::login::{Account, Answer, JOINED};
use k3s::node::{self, Node};
use k3s::unit::Unit;
use k3s::version::{self, Refusal};
use remote::ssh::Session;

use super::{Context, path};
use crate::cli::{Global, Hosts, TokenOf};
use crate::command::named_or_cluster;
use crate::events::{self, Event, would};
use crate::failure::{Failure, Kind, Result};
use crate::run::{AGENT_SECRET, SERVER_SECRET, digest, k3s_unit, k3s_version, log_in, nodes};

/// What a host says about its token.
enum Seen {
    /// Its K3s may have neither the files nor the answers that tell of a token.
    TooOld(Refusal),
    Token(Box<Held>),
}

/// The token that a host has.
struct Held {
    /// Has its file the secret's token? Nothing where the secret does not exist.
    same: Option<bool>,
    /// Is there a token in the file?
    there: bool,
    login: Answer,
    /// A server whose agents' token is its own.
    shares: bool,
    /// Of an agent that is refused, by which its node is judged.
    unit: Option<Unit>,
}

/// What is wrong, and what to do.
struct Finding {
    host: Option<HostName>,
    what: String,
    hint: String,
}

pub(super) fn run(global: &Global, context: &Context, args: &Hosts) -> Result<()> {
    let hosts = named_or_cluster(&context.fleet, &args.hosts)?;
    let hosts: Vec<&Host> = hosts.into_iter().filter(|host| host.role.is_some()).collect();
    let secrets =
        (context.tokens().read(&path(TokenOf::Server))?, context.tokens().read(&path(TokenOf::Agent))?);
    let mut findings = about_secrets(&secrets);
    for (of, token) in [(TokenOf::Server, &secrets.0), (TokenOf::Agent, &secrets.1)] {
        if token.as_ref().is_some_and(Token::is_slip) && !global.json {
            eprintln!(
                "note: the token in {} begins with K3S10::, which K3s takes for a part of the password. It works, and is not \
                 to be mended: that would be another password",
                path(of)
            );
        }
    }
    let server = context.first_server()?;
    if global.dry_run {
        hosts.iter().for_each(|host| would(global, &format!("ask {} for its token", host.name)));
        return Ok(());
    }
    let salt = agenix::random_hex(32)?;
    let asker = context.asker(global)?;
    let answers = asker.each(&hosts, |host, session| {
        let secret = if host.role == Some(Role::Server) { &secrets.0 } else { &secrets.1 };
        look(host, session, secret.as_ref(), &salt, server)
    });
    // Only the server knows which agents have joined, and only of one that it refuses does that matter.
    let is_refused = |host: &Host, seen: &Result<Seen>| {
        let login = matches!(seen, Ok(Seen::Token(held)) if held.login == Answer::Refused);
        host.role == Some(Role::Agent) && login
    };
    let some_refused = hosts.iter().zip(&answers).any(|(host, seen)| is_refused(host, seen));
    let nodes = some_refused.then(|| nodes(&asker.session(server).ok()?).ok()).flatten();
    let mut unreachable = None;
    for (host, answer) in hosts.iter().zip(answers) {
        match answer {
            Ok(Seen::TooOld(Refusal { what, hint })) => {
                findings.push(Finding { host: Some(host.name.clone()), what, hint });
            }
            Ok(Seen::Token(held)) => {
                let found = about_host(host, &held, server, nodes.as_deref());
                tell(global, host, &held, found.is_empty());
                findings.extend(found);
            }
            Err(failure) => {
                if global.json {
                    Event::failure(&failure, None).print();
                } else {
                    eprint!("{}", failure.block());
                }
                unreachable = Some(failure.kind);
            }
        }
    }
    conclude(global, &findings, unreachable)
}

fn look(
    host: &Host,
    session: &Session,
    secret: Option<&Token>,
    salt: &agenix::secrecy::SecretString,
    server: &Host,
) -> Result<Seen> {
    if let Some(too_old) = k3s_version(session)?.and_then(|runs| version::unsupported("it", runs)) {
        return Ok(Seen::TooOld(too_old));
    }
    let is_server = host.role == Some(Role::Server);
    let (file, account) =
        if is_server { (SERVER_SECRET, Account::Server) } else { (AGENT_SECRET, Account::Node) };
    let on_host = digest(session, file, salt)?;
    let here = secret.map(|token| token.digest(salt.expose_secret()));
    let at = if is_server { None } else { server.node_ip };
    let login = log_in(session, account, at, file)?;
    let shares = is_server
        && match session.run(["test", "-L", k3s::AGENT_TOKEN]) {
            Ok(_) => true,
            Err(error) if error.code().is_some() => false,
            Err(error) => return Err(error.into()),
        };
    let same = here.map(|here| on_host.as_ref() == Some(&here));
    let is_refused = !is_server && login == Answer::Refused;
    let unit = if is_refused { k3s_unit(session)? } else { None };
    Ok(Seen::Token(Box::new(Held { same, there: on_host.is_some(), login, shares, unit })))
}

/// What the secrets alone tell.
fn about_secrets((server, agent): &(Option<Token>, Option<Token>)) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found =
        |what: String, hint: &str| findings.push(Finding { host: None, what, hint: hint.to_owned() });
    for (of, token) in [(TokenOf::Server, server), (TokenOf::Agent, agent)] {
        if token.is_none() {
            found(format!("{} does not exist", path(of)), "cargo xtask bootstrap-cluster makes it");
        }
    }
    let Some(agent) = agent else { return findings };
    let privileged =
        agent.role == Some(k3s::Role::Server) || server.as_ref().is_some_and(|server| server.agrees(agent));
    if privileged {
        let what = format!("{} holds a server's token: agents could join as servers", path(TokenOf::Agent));
        found(what, "docs/runbook.md, \"A server without an agent token\"");
    }
    findings
}

/// Pure: what is wrong with one host, the cause and not its consequences. `nodes` are the cluster's, where the server tells.
fn about_host(host: &Host, seen: &Held, server: &Host, nodes: Option<&[Node]>) -> Vec<Finding> {
    let name = &host.name;
    let of = if host.role == Some(Role::Server) { TokenOf::Server } else { TokenOf::Agent };
    let mut findings = Vec::new();
    let mut found = |what: String, hint: String| {
        findings.push(Finding { host: Some(name.clone()), what, hint });
    };
    if seen.shares {
        let hint = "docs/runbook.md, \"A server without an agent token\"".to_owned();
        found("it has no agent token: its agents hold its own".to_owned(), hint);
    }
    if !seen.there {
        found(
            "it has no token: the secret was not decrypted".to_owned(),
            format!("cargo xtask deploy {name}"),
        );
        return findings;
    }
    match (&seen.login, of) {
        (Answer::Accepted, _) if seen.same == Some(false) => {
            let hint = match of {
                TokenOf::Server => "cargo xtask token pull takes the server's",
                TokenOf::Agent => "cargo xtask token sync takes the server's",
            };
            found(format!("its token is not that of {}, and the server takes it", path(of)), hint.to_owned());
        }
        (Answer::Accepted, _) => {}
        (Answer::Refused, TokenOf::Server) => found(
            "its K3s runs with another token than the secret has, and would not start with it again"
                .to_owned(),
            "cargo xtask token rotate --server, or put the old secret back".to_owned(),
        ),
        (Answer::Refused, TokenOf::Agent) => {
            let node = nodes.map(|nodes| nodes.iter().find(|node| node.name == name.as_str()));
            let is_well = |node| node::trouble(node, seen.unit.as_ref(), None).is_none();
            let refused = format!("{} refuses its token", server.name);
            let what = match node {
                Some(node) if is_well(node) => format!("it {JOINED}: {refused}"),
                Some(_) => refused,
                None => format!("{refused}; whether it has joined cannot be told"),
            };
            found(what, format!("cargo xtask deploy {name}"));
        }
        (Answer::Unclear(said), of) => {
            let taker = if of == TokenOf::Server { "its K3s" } else { server.name.as_str() };
            found(
                format!("it cannot be told whether {taker} takes its token: {said}"),
                format!("cargo xtask doctor {name}"),
            );
        }
    }
    findings
}

fn tell(global: &Global, host: &Host, seen: &Held, well: bool) {
    if global.json {
        let login = match &seen.login {
            Answer::Accepted => "accepted",
            Answer::Refused => "refused",
            Answer::Unclear(_) => "unclear",
        };
        let (host, login) = (host.name.to_string(), login.to_owned());
        Event::Token { host, as_secret: seen.same, login, ok: well }.print();
    } else if well {
        say!("{}  its token is the secret's, and the server takes it", host.name);
    }
}

fn conclude(global: &Global, findings: &[Finding], unreachable: Option<Kind>) -> Result<()> {
    for Finding { host, what, hint } in findings {
        let host = host.as_ref().map(ToString::to_string);
        if global.json {
            Event::Finding(events::Finding {
                host,
                cause: None,
                severity: "error".to_owned(),
                finding: what.clone(),
                value: None,
                evidence: Vec::new(),
                seen_by: None,
                hint: hint.clone(),
            })
            .print();
        } else {
            let place = host.map_or(String::new(), |host| format!("{host}: "));
            eprint!(
                "{}",
                Failure::new(Kind::Verification, format!("{place}{what}")).hint(hint.clone()).block()
            );
        }
    }
    match unreachable {
        _ if !findings.is_empty() => Err(Failure::told(Kind::Verification)),
        Some(kind) => Err(Failure::told(kind)),
        None => Ok(()),
    }
}
