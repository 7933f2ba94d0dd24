//! Randomness for tokens, from the operating system.
//!
//! Why here: this is where secrets are made and zeroized. What a token looks like is known in `crates/k3s`.

use std::fmt::Write as _;
use std::io;

use crate::secrecy::SecretString;
use crate::secrecy::zeroize::Zeroizing;

/// `bytes` random bytes as `2 * bytes` lower-case hex digits: the document's `openssl rand -hex 32`.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn random_hex(bytes: usize) -> io::Result<SecretString> {
    let mut random = Zeroizing::new(vec![0_u8; bytes]);
    getrandom::getrandom(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    // The capacity is exact, so neither growing nor boxing leaves a copy behind.
    let mut text = String::with_capacity(2 * bytes);
    for byte in random.iter() {
        write!(text, "{byte:02x}").map_err(io::Error::other)?;
    }
    Ok(SecretString::from(text))
}
