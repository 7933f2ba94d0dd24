//! K3s tokens in all their forms.
//!
//! `K10` + (nothing, or the 64 hex digits of the CA's hash) + `::` + `user:password`. Whatever does not begin with
//! `K10` is a password as a whole, so `K3S10::server:x` (a slip that documents carry about) is one too: it works, and
//! is never repaired, because that would change the password.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A token that K3s would take.
#[derive(Debug, Clone)]
pub struct Token {
    text: SecretString,
    /// Who it logs in as, where it says so.
    pub role: Option<Role>,
    /// The CA's hash, where it is pinned.
    pub ca_hash: Option<String>,
}

/// Who a token logs in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May join servers and read the keys of the cluster's CAs.
    Server,
    /// May join agents.
    Node,
    /// A bootstrap token of kubeadm's form.
    Bootstrap,
}

/// Why K3s would not take it. The first three are its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing, or white space.
    #[error("token must not be empty")]
    Empty,
    /// Neither no digits nor 64.
    #[error("invalid token CA hash length")]
    CaHashLength,
    /// No `::`, or no `user:password` behind it.
    #[error("invalid token format")]
    Format,
    /// A token is one line of ASCII.
    #[error("a token is one line of printable ASCII")]
    NotALine,
}

impl Token {
    /// Reads a token, white space around it removed as K3s does.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TokenError> {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return Err(TokenError::Empty);
        }
        if !bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
            return Err(TokenError::NotALine);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TokenError::NotALine)?;
        let (role, ca_hash) = match text.strip_prefix("K10") {
            None => (None, None),
            Some(rest) => {
                let (hash, credentials) = rest.split_once("::").ok_or(TokenError::Format)?;
                let hex = |c: u8| c.is_ascii_hexdigit();
                if !hash.is_empty() && (hash.len() != 64 || !hash.bytes().all(hex)) {
                    return Err(TokenError::CaHashLength);
                }
                let ca_hash = (!hash.is_empty()).then(|| hash.to_owned());
                (Some(role_of(credentials)?), ca_hash)
            }
        };
        Ok(Self { text: SecretString::from(text), role, ca_hash })
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What logs in: all of it but the CA's hash and the name of who does.
    pub fn password(&self) -> &str {
        let text = self.expose();
        match self.role {
            // Both are there: it was parsed.
            Some(Role::Server | Role::Node) => {
                let (_, credentials) = text.split_once("::").unwrap_or_default();
                credentials.split_once(':').map_or(credentials, |(_, password)| password)
            }
            Some(Role::Bootstrap) | None => text,
        }
    }

    /// Does it open the same door? By the password, and by the CA's hash where both name one: a short form agrees with the
    /// full one of it.
    pub fn agrees(&self, other: &Self) -> bool {
        let one_ca = match (&self.ca_hash, &other.ca_hash) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        one_ca && self.password() == other.password()
    }

    /// Is it written as documents carry it about, with `K3S10::` where `K10` was meant? K3s takes all of it as the password.
    pub fn is_slip(&self) -> bool {
        self.role.is_none() && self.expose().starts_with("K3S10::")
    }

    /// SHA-256 over a salt and the password, in hex: what a host makes of the file that holds the token, in whatever form.
    pub fn digest(&self, salt: &str) -> String {
        let sum = Sha256::new().chain_update(salt).chain_update(self.password()).finalize();
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Is it the same text?
    pub fn is(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

fn role_of(credentials: &str) -> Result<Role, TokenError> {
    match credentials.split_once(':') {
        Some((_, "")) => Err(TokenError::Format),
        Some(("server", _)) => Ok(Role::Server),
        Some(("node", _)) => Ok(Role::Node),
        Some(_) => Err(TokenError::Format),
        None if is_bootstrap(credentials) => Ok(Role::Bootstrap),
        None => Err(TokenError::Format),
    }
}

/// `[a-z0-9]{6}.[a-z0-9]{16}`
fn is_bootstrap(text: &str) -> bool {
    let word = |word: &str, length| {
        word.len() == length && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

/// What may be shown of a token.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Some(Role::Server) => "server",
            Some(Role::Node) => "node",
            Some(Role::Bootstrap) => "bootstrap",
            None => return f.write_str("a short token"),
        };
        match &self.ca_hash {
            Some(hash) => write!(f, "K10{}…::{role}:…", &hash[..8]),
            None => write!(f, "K10::{role}:…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "6f1d4d5c3e0a9b8877665544332211000112233445566778899aabbccddeeff0";

    fn parse(text: &str) -> Result<(Option<Role>, bool), TokenError> {
        Token::parse(text.as_bytes()).map(|token| (token.role, token.ca_hash.is_some()))
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(parse(&format!("K10{HASH}::server:a:b\n")), Ok((Some(Role::Server), true)));
        assert_eq!(parse(&format!("K10{HASH}::node:pw")), Ok((Some(Role::Node), true)));
        assert_eq!(parse("K10::node:pw"), Ok((Some(Role::Node), false)));
        assert_eq!(parse("K10::abcdef.0123456789abcdef"), Ok((Some(Role::Bootstrap), false)));
        assert_eq!(parse(" just a password "), Ok((None, false)));
        assert_eq!(parse("K3S10::server:x"), Ok((None, false)));
    }

    #[test]
    fn a_short_form_agrees_with_the_full_one_and_a_slip_is_all_password() {
        let token = |text: &str| Token::parse(text.as_bytes()).unwrap();
        assert!(token("a:b").agrees(&token(&format!("K10{HASH}::server:a:b"))));
        assert!(!token("K3S10::server:x").agrees(&token("K10::server:x")));
        assert!(token("K3S10::server:x").is_slip() && !token("K10::server:x").is_slip());
        assert_eq!(token("K10::abcdef.0123456789abcdef").password(), "K10::abcdef.0123456789abcdef");
    }

    #[test]
    fn a_digest_is_that_of_salt_and_password() {
        // printf saltpw | sha256sum
        let digest = "21baed949b716c49cbf7d8fe79412f1dc104745650a32081ae0be0b967aeb7f3";
        assert_eq!(Token::parse(b"pw").unwrap().digest("salt"), digest);
        assert_eq!(Token::parse(format!("K10{HASH}::node:pw").as_bytes()).unwrap().digest("salt"), digest);
    }

    #[test]
    fn refusals_are_those_of_k3s() {
        assert_eq!(parse(" \n"), Err(TokenError::Empty));
        assert_eq!(parse("K10abc::server:x"), Err(TokenError::CaHashLength));
        assert_eq!(parse("K10"), Err(TokenError::Format));
        assert_eq!(parse("K10::server:"), Err(TokenError::Format));
        assert_eq!(parse("K10::root:x"), Err(TokenError::Format));
        assert_eq!(parse("a\nb"), Err(TokenError::NotALine));
    }

    #[test]
    fn the_password_decides_and_the_ca_where_both_name_one() {
        let token = |text: &str| Token::parse(text.as_bytes()).unwrap();
        let full = token(&format!("K10{HASH}::node:a:b"));
        assert!(full.agrees(&token("a:b")) && token("K10::node:a:b").agrees(&full));
        assert!(!full.agrees(&token("b")) && !token("K3S10::node:a:b").agrees(&full));
        let other = format!("K10{}::node:a:b", HASH.replace('6', "7"));
        assert!(!full.agrees(&token(&other)));
    }

    #[test]
    fn a_password_is_never_shown() {
        let token = Token::parse(format!("K10{HASH}::node:hunter2").as_bytes()).unwrap();
        assert_eq!(token.to_string(), "K106f1d4d5c…::node:…");
        assert!(!format!("{token:?}").contains("hunter2"));
    }
}
