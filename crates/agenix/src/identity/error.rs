//! Why something that was given as an identity is none, and the way out. Never a word of the text itself.

use std::io;

/// An identity that was named and cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("identity {name} {problem}")]
pub struct IdentityError {
    /// The file, or the name that its text was given.
    pub name: String,
    /// What is the matter with it.
    pub problem: IdentityProblem,
}

/// What is the matter with an identity. Reads on from its name: `… is a public key`.
#[derive(Debug, thiserror::Error)]
pub enum IdentityProblem {
    /// No such file.
    #[error("is not there")]
    NotThere,
    /// A folder, no permission, …
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// More than any key has.
    #[error("is no key: it has more than {limit} bytes")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// Nothing but comments and white space.
    #[error("holds no key")]
    Empty,
    /// No private key that could be read: cut off, or something else.
    #[error("is not a whole private key")]
    NotWhole,
    /// A line of an age identity file.
    #[error("is not an age identity file: line {line} is no key")]
    Line {
        /// From 1.
        line: usize,
    },
    /// `id_ed25519.pub` for `id_ed25519`.
    #[error("is a public key")]
    PublicKey,
    /// `ecdsa-…`, `sk-ssh-…`, `ssh-dss`.
    #[error("is an {kind} key, which age cannot decrypt with")]
    Kind {
        /// The key's type, as ssh names it.
        kind: String,
    },
    /// More than 4096 bits.
    #[error("is an ssh-rsa key of more than 4096 bits, which age cannot decrypt with")]
    RsaTooLong,
    /// PKCS#8, or a PEM file with the old encryption.
    #[error("is in an old format, {label:?}, that age cannot read")]
    Pem {
        /// What stands between `BEGIN` and `-----`.
        label: String,
    },
    /// Locked with something unusual.
    #[error("is locked with the cipher {cipher}, which age cannot open")]
    Cipher {
        /// As ssh names it.
        cipher: String,
    },
    /// An identity file inside an age file that is for keys, or inside another such file.
    #[error("is an age file itself, and not one that a passphrase opens")]
    Encrypted,
    /// Its passphrase is stretched by more work than is sane.
    #[error("is locked with so much work that opening it would take minutes")]
    ExcessiveWork,
}

impl IdentityError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let name = &self.name;
        match &self.problem {
            IdentityProblem::NotThere | IdentityProblem::Unreadable(_) => {
                "-i takes the path of a private key that you can read".to_owned()
            }
            IdentityProblem::PublicKey => match name.strip_suffix(".pub") {
                Some(private) => format!("give the private key: {private}"),
                None => "give the private key that belongs to it".to_owned(),
            },
            IdentityProblem::Kind { .. } | IdentityProblem::RsaTooLong => {
                "use an ssh-ed25519 key (ssh-keygen -t ed25519) or an age key (age-keygen), and name it in \
                 secrets.nix"
                    .to_owned()
            }
            IdentityProblem::Pem { .. } => "bring it into OpenSSH's format: ssh-keygen -p -f FILE".to_owned(),
            IdentityProblem::Cipher { .. } => "lock it anew: ssh-keygen -p -Z aes256-ctr -f FILE".to_owned(),
            IdentityProblem::Encrypted => {
                "decrypt it first: age -d FILE, or give what that shows in XTASK_IDENTITY".to_owned()
            }
            IdentityProblem::ExcessiveWork => "lock it anew: age -d FILE | age -p -o FILE.new".to_owned(),
            IdentityProblem::TooLong { .. }
            | IdentityProblem::Empty
            | IdentityProblem::NotWhole
            | IdentityProblem::Line { .. } => {
                "give a whole OpenSSH private key or an age identity file: -i takes its path, XTASK_IDENTITY \
                 its text"
                    .to_owned()
            }
        }
    }
}
