//! Why secrets.nix was left as it is.

/// Why secrets.nix was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsNixError {
    /// The host is there, in `systems` or in a list.
    #[error("secrets.nix:{line}: there is a `{host}` already")]
    Exists {
        /// Its name.
        host: String,
        /// Where, 1-based.
        line: usize,
    },
    /// Another host has this key.
    #[error("secrets.nix:{line}: this is the key of `{other}` already")]
    KeyTaken {
        /// Whose it is.
        other: String,
        /// Where, 1-based.
        line: usize,
    },
    /// A host that `systems` does not have.
    #[error("there is no host `{host}` in `systems` of secrets.nix")]
    UnknownHost {
        /// What was asked for.
        host: String,
        /// The nearest name there is.
        nearest: Option<String>,
        /// All names there are.
        known: Vec<String>,
    },
    /// The file is not in the literal form, or not Nix at all.
    #[error("secrets.nix{}: {what}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Form {
        /// 1-based; absent if something is missing.
        line: Option<usize>,
        /// What was not recognised.
        what: String,
        /// The edit to make by hand: several lines, Nix among them.
        by_hand: String,
    },
}

impl SecretsNixError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some("choose another name, or remove that host first".to_owned()),
            Self::KeyTaken { .. } => {
                let hint = "a machine cloned from another needs host keys of its own: `ssh-keygen -A` there";
                Some(hint.to_owned())
            }
            Self::UnknownHost { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownHost { known, .. } if known.is_empty() => None,
            Self::UnknownHost { known, .. } => Some(format!("known hosts: {}", known.join(", "))),
            Self::Form { by_hand, .. } => Some(by_hand.clone()),
        }
    }
}
