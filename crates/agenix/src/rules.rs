//! The rules of secrets.nix: which secrets there are, and which keys may read each.
//!
//! Rules are always *evaluated* by nix, whatever their shape, once for all of them. This module says what to
//! run ([`evaluate_argv`]) and reads what it printed; the process is the caller's.
//!
//! Keys stay text until a rule is used. A placeholder in a rule for next week's host must not stop today's
//! deploy.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde_json::Value;

use crate::encrypt::Format;
use crate::path::{PathError, SecretPath};
use crate::recipient::{KeyError, Recipient};

/// The command that prints what [`Rules::from_json`] reads: program first. It only reads.
#[must_use]
pub fn evaluate_argv(rules: &Path) -> Vec<OsString> {
    let mut argv: Vec<OsString> =
        ["nix-instantiate", "--eval", "--strict", "--json", "--"].into_iter().map(OsString::from).collect();
    // nix takes `<x>`, `flake:x` and URLs in place of a file; with `./` in front it is a file for sure.
    let file = if rules.is_absolute() { rules.to_owned() } else { Path::new(".").join(rules) };
    argv.push(file.into_os_string());
    argv
}

/// All rules, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct Rules(BTreeMap<SecretPath, Rule>);

impl Rules {
    /// Reads `{"secrets/a.age": {"publicKeys": ["ssh-ed25519 …"], "armor": true}, …}`. Other attributes of a
    /// rule are somebody else's and left alone.
    ///
    /// # Errors
    /// When it is no set of rules. Unusable *keys* are reported by [`Rule::recipients`].
    pub fn from_json(json: &str) -> Result<Self, RulesError> {
        let value: Value = serde_json::from_str(json).map_err(|source| RulesError::NotJson { source })?;
        let Value::Object(entries) = value else {
            return Err(RulesError::NotRules { found: kind(&value) });
        };
        let mut rules = BTreeMap::new();
        for (name, body) in &entries {
            let path = SecretPath::parse(name).map_err(RulesError::Path)?;
            let rule = Rule::from_value(path.clone(), body)?;
            if rules.insert(path.clone(), rule).is_some() {
                return Err(RulesError::Twice { rule: path });
            }
        }
        Ok(Self(rules))
    }

    /// The rule for one secret.
    ///
    /// # Errors
    /// When there is none.
    pub fn rule(&self, path: &SecretPath) -> Result<&Rule, RuleError> {
        self.0.get(path).ok_or_else(|| RuleError::NoRule { path: path.clone() })
    }

    /// Every rule, in the order of its path.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One entry of secrets.nix.
#[derive(Clone)]
pub struct Rule {
    path: SecretPath,
    keys: Vec<String>,
    format: Format,
}

impl Rule {
    fn from_value(path: SecretPath, body: &Value) -> Result<Self, RulesError> {
        let keys = match body.get("publicKeys") {
            None => return Err(RulesError::NoKeys { rule: path }),
            Some(Value::Array(keys)) => keys.iter().map(|key| key.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        let Some(keys) = keys else {
            return Err(RulesError::KeysShape { rule: path });
        };
        let format = match body.get("armor") {
            None | Some(Value::Bool(false)) => Format::Binary,
            Some(Value::Bool(true)) => Format::Armor,
            Some(_) => return Err(RulesError::ArmorShape { rule: path }),
        };
        Ok(Self { path, keys, format })
    }

    /// The secret it is for.
    #[must_use]
    pub fn path(&self) -> &SecretPath {
        &self.path
    }

    /// How its file is to be written: `armor = true` in the rule.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Its keys as they stand in secrets.nix, unchecked.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Its keys, checked.
    ///
    /// # Errors
    /// The first key that cannot be used or is there twice; or that there is no key.
    pub fn recipients(&self) -> Result<Vec<Recipient>, RuleError> {
        let mut recipients: Vec<Recipient> = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let recipient = Recipient::parse(key)
                .map_err(|problem| RuleError::Key { rule: self.path.clone(), problem })?;
            if recipients.contains(&recipient) {
                let key = crate::recipient::shortened(key);
                return Err(RuleError::Duplicate { rule: self.path.clone(), key });
            }
            recipients.push(recipient);
        }
        if recipients.is_empty() {
            return Err(RuleError::NoRecipient { rule: self.path.clone() });
        }
        Ok(recipients)
    }
}

/// Without the keys: somebody may have pasted a private one.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({}, {} keys, {:?})", self.path, self.keys.len(), self.format)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a set",
    }
}

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
    /// A rule for a file that cannot be one of the repository's.
    #[error("secrets.nix has a rule that is no path of the repository: {0}")]
    Path(PathError),
    /// `a.age` and `./a.age`.
    #[error("secrets.nix has two rules for {rule}")]
    Twice {
        /// The rule's path.
        rule: SecretPath,
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
}

impl RulesError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotJson { .. } => {
                "run nix-instantiate --eval --strict --json ./secrets.nix and see".to_owned()
            }
            Self::Path(error) => error.hint(),
            Self::Twice { rule } => format!("keep one of them, spelt {:?}", rule.as_str()),
            _ => "a rule reads: \"secrets/example.age\".publicKeys = [ \"ssh-ed25519 …\" ];".to_owned(),
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
            Self::NoRule { path } => {
                format!("add to secrets.nix: {:?}.publicKeys = adminKeys;", path.as_str())
            }
            Self::Key { problem, .. } => problem.hint(),
            Self::Duplicate { .. } => "take one of the two out of its publicKeys in secrets.nix".to_owned(),
            Self::NoRecipient { .. } => "name at least one key in its publicKeys in secrets.nix".to_owned(),
        }
    }
}
