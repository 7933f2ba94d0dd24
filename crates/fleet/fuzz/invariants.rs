//! What holds for any input whatever. Asked by the fuzz targets and, in every `cargo test`, by `tests/property.rs`.
//!
//! Each function takes what somebody made up, and panics where the library does not keep its word. What an edit did is
//! read from the two texts, not from the library's own view of them.

use std::net::IpAddr;

use fleet::edit::{self, EditError, NewHost};
use fleet::secrets_nix::{self, SecretsNixError};
use fleet::{Address, Fleet, FleetError, Host, HostName, PublicKey, Role};
use rnix::SyntaxKind::{self, TOKEN_COMMENT, TOKEN_STRING_CONTENT, TOKEN_WHITESPACE};

/// Nobody's, and no seed's.
const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFpjBFKFdvU4V7R0jJQsAIHrFKMhfWpO8WQgRMRKL03u",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL6Xoy1okBmOHiz30QDXYC+M999/S6jQvTROaPyUlaOD",
];

fn key(index: usize) -> PublicKey {
    PublicKey::new(KEYS[index]).expect("a key")
}

fn name(text: &str) -> HostName {
    HostName::new(text).expect("a name")
}

/// Any text as fleet.toml.
pub(crate) fn fleet(text: &str) {
    let new = NewHost {
        ssh_host_key: Some(key(0)),
        addresses: vec![Address::new("reef.example").expect("an address")],
        tags: vec!["\"\n'''\\#".to_owned()],
        ..NewHost::new(name("a-reef"))
    };
    let fleet = match Fleet::parse(text) {
        Ok(fleet) => fleet,
        Err(error) => {
            let _ = (error.to_string(), error.hint());
            assert_eq!(edit::add_host(text, &new), Err(EditError::Fleet(error.clone())));
            return assert_eq!(edit::remove_host(text, &new.name), Err(EditError::Fleet(error)));
        }
    };
    next_node_ip(&fleet);
    assert!(matches!(
        edit::remove_host(text, &name("no-such-host")),
        Err(EditError::Fleet(FleetError::UnknownHost { .. }))
    ));
    for host in fleet.hosts.keys() {
        let twice = edit::add_host(text, &NewHost::new(host.clone()));
        assert_eq!(twice, Err(EditError::Exists { name: host.to_string() }));
        removed(text, &fleet, host);
        let pinned = edit::set_host_key(text, host, &key(1)).expect("a fleet is TOML");
        let mut expected = fleet.clone();
        expected.hosts.get_mut(host.as_str()).expect("the host").ssh_host_key = Some(key(1));
        // Two hosts may not have one key: then it is no fleet.
        assert!(Fleet::parse(&pinned).is_ok_and(|found| found == expected) || text.contains(KEYS[1]));
    }
    let ip = fleet.next_node_ip().ok();
    let role = (ip.is_some() && fleet.first_server().is_some()).then_some(Role::Agent);
    added(text, &fleet, &NewHost { role, node_ip: ip, ..new });
}

fn next_node_ip(fleet: &Fleet) {
    let network = fleet.cluster.network;
    let Ok(ip) = fleet.next_node_ip() else {
        return assert!(
            network.is_none_or(|network| network.base.is_ipv6() || network.bits > 20 || full(fleet))
        );
    };
    let network = network.expect("an address of a network");
    assert!(network.contains(ip) && ip.is_ipv4());
    let is_used = |host: &Host| {
        host.node_ip == Some(ip) || host.addresses.iter().any(|at| at.as_str().parse::<IpAddr>() == Ok(ip))
    };
    assert!(!fleet.hosts.values().any(is_used), "{ip} is in use");
}

/// So many hosts that 4094 addresses are not enough.
fn full(fleet: &Fleet) -> bool {
    fleet.hosts.values().map(|host| 1 + host.addresses.len() + host.tls_sans.len()).sum::<usize>() > 4000
}

fn added(text: &str, fleet: &Fleet, new: &NewHost) {
    let after = match edit::add_host(text, new) {
        Ok(after) => after,
        Err(error) => {
            let _ = (error.to_string(), error.hint());
            return assert!(!matches!(error, EditError::Fleet(_)), "{error}");
        }
    };
    assert!(is_one_piece_shorter(text, &after), "more than the host was added:\n{after}");
    let mut found = Fleet::parse(&after).expect("a fleet");
    let host = found.hosts.remove(new.name.as_str()).expect("the host");
    assert_eq!(&found, fleet, "another host changed:\n{after}");
    assert_eq!((host.role, host.node_ip, &host.tags), (new.role, new.node_ip, &new.tags));
    assert_eq!((&host.addresses, &host.ssh_host_key), (&new.addresses, &new.ssh_host_key));
    let again = edit::remove_host(&after, &new.name).expect("what was added can be removed");
    assert_eq!(Fleet::parse(&again).as_ref(), Ok(fleet));
}

fn removed(text: &str, fleet: &Fleet, host: &HostName) {
    match edit::remove_host(text, host) {
        Ok(after) => {
            assert!(is_one_piece_shorter(&after, text), "more than {host} was removed:\n{after}");
            let mut expected = fleet.clone();
            expected.hosts.remove(host.as_str());
            assert_eq!(Fleet::parse(&after), Ok(expected));
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
            assert!(!matches!(error, EditError::Fleet(_) | EditError::Exists { .. }), "{error}");
        }
    }
}

/// Is one text the other without some bytes in one place?
fn is_one_piece_shorter(short: &str, long: &str) -> bool {
    let pairs = short.bytes().zip(long.bytes());
    let front = pairs.take_while(|(a, b)| a == b).count();
    let pairs = short.bytes().rev().zip(long.bytes().rev());
    let back = pairs.take_while(|(a, b)| a == b).count();
    short.len() < long.len() && front + back >= short.len()
}

/// Any text as secrets.nix.
pub(crate) fn secrets_nix(text: &str) {
    // One host and one role a text: all of them would be slow, and the next text is another.
    let (host, quotes) = [("maia", 0), ("0reef", 2), ("new-reef", 0)][text.len() % 3];
    let role = [None, Some(Role::Server), Some(Role::Agent)][text.len() / 3 % 3];
    let host = name(host);
    match secrets_nix::add_host(text, &host, role, &key(0)) {
        Ok(after) => {
            // NAME = " KEY " ; and systems . NAME
            let tokens = 6 + quotes + role.map_or(0, |_| 3 + quotes);
            host_added(text, &after, &host, tokens);
        }
        Err(error) => told(&error),
    }
    match secrets_nix::remove_host(text, &host) {
        Ok(after) => {
            let (old, new) = (tokens(text), tokens(&after));
            assert!(is_within(&new, &old) && new.len() < old.len(), "{host} removed:\n{after}");
            assert!(is_within(&comments(&after), &comments(text)));
            let again = secrets_nix::remove_host(&after, &host);
            assert!(matches!(again, Err(SecretsNixError::UnknownHost { .. })), "{again:?}");
        }
        Err(error) => told(&error),
    }
    match secrets_nix::set_host_key(text, &host, &key(1)) {
        Ok(after) => {
            let kinds = |text| tokens(text).into_iter().map(|(kind, _)| kind);
            let no_strings = |kind: &SyntaxKind| *kind != TOKEN_STRING_CONTENT;
            assert!(kinds(text).filter(no_strings).eq(kinds(&after).filter(no_strings)), "{after}");
            assert_eq!(comments(text), comments(&after));
            assert_eq!(secrets_nix::set_host_key(&after, &host, &key(1)), Ok(after));
        }
        Err(error) => told(&error),
    }
}

fn host_added(text: &str, after: &str, host: &HostName, count: usize) {
    let (old, new) = (tokens(text), tokens(after));
    assert!(is_within(&old, &new), "something was lost:\n{after}");
    assert_eq!(new.len(), old.len() + count, "more than {host} was added:\n{after}");
    assert_eq!(comments(text), comments(after));
    let twice = secrets_nix::add_host(after, host, None, &key(1));
    assert!(matches!(twice, Err(SecretsNixError::Exists { .. })), "{twice:?}");
    let taken = secrets_nix::add_host(after, &name("another"), None, &key(0));
    assert!(
        matches!(taken, Err(SecretsNixError::KeyTaken { .. } | SecretsNixError::Exists { .. })),
        "{taken:?}"
    );
    let pinned = secrets_nix::set_host_key(after, host, &key(1));
    let is_taken = matches!(pinned, Err(SecretsNixError::KeyTaken { .. }));
    assert!(is_taken || pinned.as_ref().is_ok_and(|text| text.contains(KEYS[1])), "{pinned:?}");
    match secrets_nix::remove_host(after, host) {
        // A comment that was alone in a list may go with the host that was added below it.
        Ok(again) => {
            assert_eq!(tokens(&again), old);
            assert!(is_within(&comments(&again), &comments(text)), "{again}");
        }
        Err(error) => told(&error),
    }
}

/// A refusal tells what to do by hand, if there is something to do.
fn told(error: &SecretsNixError) {
    let hint = error.hint().unwrap_or_default();
    assert!(
        !matches!(error, SecretsNixError::Form { .. }) || hint.starts_with("by hand, "),
        "{error}: {hint}"
    );
}

type Tokens = Vec<(SyntaxKind, String)>;

/// All that is code.
fn tokens(text: &str) -> Tokens {
    let code = rnix::tokenize(text).filter(|(kind, _)| ![TOKEN_WHITESPACE, TOKEN_COMMENT].contains(kind));
    code.map(|(kind, token)| (kind, token.to_owned())).collect()
}

fn comments(text: &str) -> Tokens {
    let comments = rnix::tokenize(text).filter(|(kind, _)| *kind == TOKEN_COMMENT);
    comments.map(|(kind, token)| (kind, token.to_owned())).collect()
}

/// Are these all of those, in order, with others in between?
fn is_within(few: &Tokens, many: &Tokens) -> bool {
    let mut many = many.iter();
    few.iter().all(|token| many.any(|other| other == token))
}
