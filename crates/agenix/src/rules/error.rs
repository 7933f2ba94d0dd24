//! Why there are no rules, or why one cannot be used; and the way out.

use crate::path::SecretPath;
use crate::recipient::KeyError;

const EXAMPLE: &str = "a rule reads: \"secrets/example.age\".publicKeys = [ \"ssh-ed25519 …\" ];";

/// Why what nix printed is no set of rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Not JSON: nix failed, or printed something else.
    #[error("failed to read the rules: nix did not print JSON")]
    NotJson {
        /// Where it stops to be JSON.
        source: serde_json::Error,
    },
    /// JSON, but no set.
    #[error("secrets.nix evaluates to {found}, not to a set of rules")]
    NotRules {
        /// What it is.
        found: &'static str,
    },
}

impl RulesError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotJson { .. } => {
                "run nix-instantiate --eval --strict --json ./secrets.nix and see".to_owned()
            }
            Self::NotRules { .. } => EXAMPLE.to_owned(),
        }
    }
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No such rule.
    #[error("there is no rule for {path} in secrets.nix")]
    NoRule {
        /// What was looked for.
        path: SecretPath,
        /// A rule whose name is close to it.
        nearest: Option<SecretPath>,
    },
    /// `a.age` and `./a.age`.
    #[error("secrets.nix has two rules for {rule}")]
    Twice {
        /// The rule's path.
        rule: SecretPath,
    },
    /// Two rules whose files are one behind symlinks, and that name other keys.
    #[error("the rules for {rule} and {other} are for one file, and name other keys")]
    SameFile {
        /// The rule's path.
        rule: SecretPath,
        /// The other's.
        other: SecretPath,
    },
    /// A `throw` or an `assert` of secrets.nix.
    #[error("the rule for {rule} does not evaluate{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Thrown {
        /// The rule's path.
        rule: SecretPath,
        /// What nix says of it, if it was asked for this rule alone.
        reason: Option<String>,
        /// What the `throw` gives as a hint.
        hint: Option<String>,
    },
    /// A rule without `publicKeys`.
    #[error("the rule for {rule} has no publicKeys")]
    NoKeys {
        /// The rule's path.
        rule: SecretPath,
    },
    /// `publicKeys` is a string, a set …
    #[error("publicKeys of the rule for {rule} is not a list of strings")]
    KeysShape {
        /// The rule's path.
        rule: SecretPath,
    },
    /// `armor = "yes"`.
    #[error("armor of the rule for {rule} is neither true nor false")]
    ArmorShape {
        /// The rule's path.
        rule: SecretPath,
    },
    /// One of its keys cannot be encrypted to.
    #[error("the rule for {rule} cannot be used: {problem}")]
    Key {
        /// The rule's path.
        rule: SecretPath,
        /// What is wrong with the key.
        problem: KeyError,
    },
    /// The same key twice, whatever the comments.
    #[error("the rule for {rule} names a key twice: {key:?}")]
    Duplicate {
        /// The rule's path.
        rule: SecretPath,
        /// The key, shortened, as it stands there the second time.
        key: String,
    },
    /// An empty list: nobody could ever read the secret.
    #[error("the rule for {rule} names no key")]
    NoRecipient {
        /// The rule's path.
        rule: SecretPath,
    },
}

impl RuleError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoRule { nearest: Some(nearest), .. } => format!("did you mean {nearest}?"),
            Self::NoRule { path, .. } => {
                format!("add a rule: \"{path}\".publicKeys = [ \"ssh-ed25519 …\" ];")
            }
            Self::SameFile { .. } => {
                "keep the rule for the file itself, or have both name the same keys".to_owned()
            }
            Self::Twice { rule } => format!("keep one of them, spelt {:?}", rule.as_str()),
            Self::Thrown { hint: Some(hint), .. } => hint.clone(),
            Self::Thrown { .. } => {
                "see what nix says of it: nix-instantiate --eval --strict ./secrets.nix".to_owned()
            }
            Self::NoKeys { .. } | Self::KeysShape { .. } | Self::ArmorShape { .. } => EXAMPLE.to_owned(),
            Self::Key { problem, .. } => problem.hint(),
            Self::Duplicate { .. } => "take one of the two out of its publicKeys in secrets.nix".to_owned(),
            Self::NoRecipient { .. } => "name at least one key in its publicKeys in secrets.nix".to_owned(),
        }
    }
}
