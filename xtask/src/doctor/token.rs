//! The tokens: the file on the host, its form, and whether it is the right one.

use fleet::Role;
use k3s::login::Answer;

use super::facts::{K3sFacts, Probe, ServerFacts, TokenForm};
use super::{Cause, Chart};
use crate::access::token_of;

/// `server` is the cluster's first one, where it could be looked at. `joined`: is the host's node Ready? `None` if nobody could
/// say.
pub(super) fn rules(chart: &mut Chart, k3s: &K3sFacts, server: Option<&ServerFacts>, joined: Option<bool>) {
    let Some(role) = chart.host.role else { return };
    if k3s.is_recipient == Some(false) {
        let evidence = format!("{} has no stanza for its ssh_host_key", token_of(role));
        chart.found(Cause::NotRecipient, None, vec![evidence], "");
    }
    let path = path_of(role);
    let Some(file) = &k3s.secret else {
        return chart.found(Cause::SecretMissing, None, vec![format!("{path} does not exist")], "");
    };
    if file.size == 0 || k3s.token == Some(TokenForm::Empty) {
        return chart.found(Cause::SecretEmpty, None, vec![format!("{path}: {} bytes", file.size)], "");
    }
    if (file.mode.as_str(), file.owner.as_str()) == ("400", "root") {
        chart.well("secret", format!("{path}, 400 root"));
    } else {
        let evidence = format!("{path}: {} {}", file.mode, file.owner);
        chart.found(Cause::SecretExposed, None, vec![evidence], "");
    }
    form(chart, role, k3s);
    match role {
        Role::Server => of_server(chart, k3s),
        Role::Agent => of_agent(chart, k3s, server, joined),
    }
}

fn path_of(role: Role) -> &'static str {
    match role {
        Role::Server => super::look::SERVER_SECRET,
        Role::Agent => super::look::AGENT_SECRET,
    }
}

fn form(chart: &mut Chart, role: Role, k3s: &K3sFacts) {
    let path = path_of(role);
    let mut found = |cause, is: &str| chart.found(cause, None, vec![format!("{path}: {is}")], "");
    match &k3s.token {
        Some(TokenForm::Malformed) => {
            found(Cause::TokenMalformed, "K10…, and neither K10HASH::USER:PASSWORD nor K10::USER:PASSWORD");
        }
        Some(TokenForm::K3s10) => found(Cause::K3s10Token, "K3S10::…"),
        // A server's own is a password at first: its CA does not exist yet.
        Some(TokenForm::Short) if role == Role::Agent => {
            found(Cause::ShortToken, "a password, no K10HASH:: in front");
        }
        Some(TokenForm::Full { ca_hash, user }) if ca_hash.is_empty() && role == Role::Agent => {
            found(Cause::ShortToken, &format!("K10::{user}:…"));
        }
        _ => {}
    }
}

fn of_server(chart: &mut Chart, k3s: &K3sFacts) {
    let Some(server) = &k3s.server else { return };
    match (&k3s.digest, &server.token) {
        (Some(secret), Some(running)) if secret != running => {
            let evidence =
                format!("{} and {} hold different passwords", super::look::SERVER_SECRET, k3s::SERVER_TOKEN);
            chart.found(Cause::ServerTokenChanged, None, vec![evidence], "");
        }
        (Some(_), Some(_)) => chart.well("token", "the one that K3s runs with"),
        _ => {}
    }
    if server.agent_token.is_none() {
        return;
    }
    if server.agent_token_is_link || server.agent_token == server.token {
        let evidence = format!("{} is {}", k3s::AGENT_TOKEN, k3s::SERVER_TOKEN);
        chart.found(Cause::NoAgentToken, None, vec![evidence], "");
    } else {
        chart.well("agent token", "one of its own");
    }
}

fn of_agent(chart: &mut Chart, k3s: &K3sFacts, server: Option<&ServerFacts>, joined: Option<bool>) {
    let says_server = matches!(&k3s.token, Some(TokenForm::Full { user, .. }) if user == "server");
    let is_servers = server.is_some_and(|server| k3s.digest.is_some() && k3s.digest == server.token);
    if says_server || is_servers {
        let evidence = if is_servers { "its password is that of server/token" } else { "K10…::server:…" };
        chart.found(Cause::ServersToken, None, vec![evidence.to_owned()], "");
    }
    if let (Some(TokenForm::Full { ca_hash, .. }), Some(theirs)) =
        (&k3s.token, server.and_then(|it| it.ca_hash.as_ref()))
        && !ca_hash.is_empty()
        && !ca_hash.eq_ignore_ascii_case(theirs)
    {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let evidence = format!("K10{}… in the token, {}… on the server", short(ca_hash), short(theirs));
        chart.found(Cause::CaMismatch, None, vec![evidence], "");
    }
    // An agent that has joined needs no token until it has to join anew.
    let wrong = if joined == Some(true) { Cause::FirstJoinRefused } else { Cause::WrongToken };
    // A file that is not there, or could not be read, says nothing about the other one.
    let theirs = server.and_then(|server| server.agent_token.as_ref());
    let agrees = k3s.digest.as_ref().zip(theirs).map(|(ours, theirs)| ours == theirs);
    let login = k3s.probe.as_ref().and_then(|probe| Some((probe.login.as_ref()?, probe)));
    match (login, agrees) {
        // The server's own word is worth more than a comparison of files.
        (Some((Answer::Accepted, Probe { server, .. })), _) => {
            chart.well("token", format!("{server} accepts it"));
        }
        (Some((Answer::Refused, Probe { server, .. })), _) => {
            let evidence = format!("https://{server}/v1-k3s/config, as node: 401 not authorized");
            chart.found(wrong, None, vec![evidence], "");
        }
        (_, Some(false)) => {
            let evidence = format!("its password is not that of {}", k3s::AGENT_TOKEN);
            chart.found(wrong, None, vec![evidence], "");
        }
        (Some((Answer::Unclear(said), Probe { server, reach: Ok(()), .. })), _) => {
            let evidence = format!("https://{server}/v1-k3s/config, as node: {said}");
            chart.found(Cause::TokenUntold, None, vec![evidence], "");
        }
        _ => {}
    }
}
