//! What holds for any bytes that are taken for a token. Asked by the fuzz target and, in every `cargo test`, by
//! `tests/property.rs`.

use k3s::{Role, Token};

/// Panics where the library does not keep its word.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(token) = Token::parse(bytes) else { return };
    // What is kept is what was given, but for the white space around it.
    assert_eq!(token.expose().as_bytes(), bytes.trim_ascii());
    let again = Token::parse(token.expose().as_bytes()).expect("its own text");
    assert!(again.is(&token) && again.agrees(&token) && token.agrees(&again));
    assert_eq!((again.role, &again.ca_hash), (token.role, &token.ca_hash));
    assert!(token.expose().ends_with(token.password()) && !token.password().is_empty());
    // Only a full token names who logs in; of any other, all is the password.
    let is_full = token.expose().starts_with("K10");
    assert_eq!(token.role.is_some(), is_full);
    assert!(token.role.is_some_and(|role| role != Role::Bootstrap) || token.password() == token.expose());
    // What is shown of it holds nothing of a password that is long enough to matter.
    let shown = format!("{token} {token:?}");
    assert!(token.password().len() < 16 || !shown.contains(token.password()), "{shown}");
    assert_eq!(token.digest("salt"), again.digest("salt"));
    assert_eq!(token.digest("salt").len(), 64);
}
