//! Why a text is no key to encrypt to, and the way out. Never a word of a private key.

use age::ssh::ParseRecipientKeyError as AgeError;

use super::shortened;

/// Why a text of secrets.nix is no key to encrypt to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A template's stand-in.
    #[error("{key:?} is a placeholder, not a key")]
    Placeholder {
        /// The key, shortened.
        key: String,
    },
    /// A private key where a public one belongs. Not repeated here.
    #[error("a private key stands where a public key belongs")]
    Private,
    /// `ecdsa-…`, `ssh-dss`: age has no way to use them.
    #[error("{key:?} is an {kind} key, which age cannot encrypt to")]
    Unsupported {
        /// The key, shortened.
        key: String,
        /// Its type, as ssh names it.
        kind: String,
    },
    /// `sk-ssh-…`: bound to a security key, which can sign but not decrypt.
    #[error("{key:?} is bound to a security key, which can sign but not decrypt")]
    SecurityKey {
        /// The key, shortened.
        key: String,
    },
    /// An RSA key that is too short to be safe or too long for age.
    #[error("{key:?} has not between 2048 and 4096 bits")]
    RsaSize {
        /// The key, shortened.
        key: String,
    },
    /// Anything else: cut off, mistyped, something else altogether.
    #[error("{key:?} is not a public key")]
    Malformed {
        /// The text, shortened.
        key: String,
    },
}

impl KeyError {
    pub(super) fn from_age(error: AgeError, kind: &str, text: &str) -> Self {
        let key = shortened(text);
        match error {
            // The kind is printed as it is.
            _ if kind.chars().any(char::is_control) => Self::Malformed { key },
            AgeError::RsaModulusTooLarge | AgeError::RsaModulusTooSmall => Self::RsaSize { key },
            _ if kind.starts_with("sk-") => Self::SecurityKey { key },
            AgeError::Unsupported(kind) => Self::Unsupported { key, kind },
            _ if kind.starts_with("ecdsa-") || kind == "ssh-dss" => {
                Self::Unsupported { key, kind: kind.to_owned() }
            }
            _ => Self::Malformed { key },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Placeholder { .. } | Self::Malformed { .. } => {
                "put the real public key there: a host's is /etc/ssh/ssh_host_ed25519_key.pub, \
                 a user's ~/.ssh/id_ed25519.pub"
            }
            Self::Private => {
                "put its public half there (ssh-keygen -y -f KEY, age-keygen -y KEY), and replace the key: \
                 what stood in a repository has leaked"
            }
            Self::Unsupported { .. } => {
                "use the ssh-ed25519 key of the same host or user (ssh-keygen -t ed25519)"
            }
            Self::SecurityKey { .. } => {
                "use an ssh-ed25519 key (ssh-keygen -t ed25519) or an age key (age-keygen)"
            }
            Self::RsaSize { .. } => "use an ssh-ed25519 key (ssh-keygen -t ed25519)",
        }
        .to_owned()
    }
}
