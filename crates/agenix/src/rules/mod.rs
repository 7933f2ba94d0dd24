//! The rules of secrets.nix: which secrets there are, and which keys may read each.
//!
//! Rules are always *evaluated* by nix, whatever their shape, once for all of them: see [`crate::evaluate_argv`].
//! This module reads what nix printed; the process is the caller's.
//!
//! A rule that is wrong stops only those who use it: a placeholder in a rule for next week's host must not stop
//! today's deploy. So all that can be wrong with a rule is told by [`Rule::recipients`].

mod error;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use error::{RuleError, RulesError};

use crate::encrypt::Format;
use crate::path::{PathError, SecretPath};
use crate::recipient::{KeyError, Recipient};

/// All rules, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    rules: BTreeMap<SecretPath, Rule>,
    refused: Vec<PathError>,
}

impl Rules {
    /// Reads `{"secrets/a.age": {"publicKeys": ["ssh-ed25519 …"], "armor": true}, …}`. Other attributes of a
    /// rule are somebody else's and left alone.
    ///
    /// # Errors
    /// When it is no set of rules. What is wrong with a single rule is reported by [`Rule::recipients`], and
    /// names that are no paths by [`Rules::refused`].
    pub fn from_json(json: &str) -> Result<Self, RulesError> {
        let value: Value = serde_json::from_str(json).map_err(|source| RulesError::NotJson { source })?;
        let Value::Object(entries) = value else {
            return Err(RulesError::NotRules { found: kind(&value) });
        };
        let mut rules = Self::default();
        for (name, body) in &entries {
            match SecretPath::parse(name) {
                Ok(path) => rules.add(path, body),
                Err(error) => rules.refused.push(error),
            }
        }
        Ok(rules)
    }

    fn add(&mut self, path: SecretPath, body: &Value) {
        let rule = Rule::from_value(path.clone(), body);
        if let Some(first) = self.rules.insert(path.clone(), rule) {
            let twice = Content::Wrong(RuleError::Twice { rule: path.clone() });
            self.rules.insert(path, Rule { content: twice, ..first });
        }
    }

    /// Gives keys the names that the user knows them by, such as the host's in fleet.toml. Keys of `names` are texts
    /// as [`Recipient::text`] has them.
    #[must_use]
    pub fn naming(mut self, names: &BTreeMap<String, String>) -> Self {
        let names: Arc<BTreeMap<String, String>> = Arc::new(names.clone());
        for rule in self.rules.values_mut() {
            rule.names = Arc::clone(&names);
        }
        self
    }

    /// The rule for one secret.
    ///
    /// # Errors
    /// When there is none.
    pub fn rule(&self, path: &SecretPath) -> Result<&Rule, RuleError> {
        self.rules.get(path).ok_or_else(|| RuleError::NoRule {
            path: path.clone(),
            nearest: crate::path::nearest(path.as_str(), self.rules.keys()),
        })
    }

    /// The rule of the first of these names that has one. `names` are those of one file, see
    /// [`crate::Folder::names_of`]: at least one.
    ///
    /// # Errors
    /// When none has one: as of the first.
    pub fn first_of(&self, names: &[SecretPath]) -> Result<&Rule, RuleError> {
        names.iter().find_map(|name| self.rule(name).ok()).map_or_else(|| self.rule(&names[0]), Ok)
    }

    /// The rules that threw, of which nix can tell more.
    #[cfg(feature = "cli")]
    pub(crate) fn thrown(&self) -> Vec<SecretPath> {
        let thrown = |rule: &&Rule| matches!(rule.content, Content::Wrong(RuleError::Thrown { .. }));
        self.iter().filter(thrown).map(|rule| rule.path.clone()).collect()
    }

    /// Why a rule threw.
    #[cfg(feature = "cli")]
    pub(crate) fn explain(&mut self, rule: &SecretPath, reason: &str, hint: Option<String>) {
        if let Some(thrown) = self.rules.get_mut(rule) {
            let reason = Some(reason.to_owned());
            thrown.content = Content::Wrong(RuleError::Thrown { rule: rule.clone(), reason, hint });
        }
    }

    /// Names in secrets.nix that cannot be files of the repository, with the reason.
    #[must_use]
    pub fn refused(&self) -> &[PathError] {
        &self.refused
    }

    /// Every rule, in the order of its path.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// One entry of secrets.nix.
#[derive(Clone)]
pub struct Rule {
    path: SecretPath,
    content: Content,
    format: Format,
    names: Arc<BTreeMap<String, String>>,
}

#[derive(Clone)]
enum Content {
    Keys(Vec<String>),
    Wrong(RuleError),
}

impl Rule {
    fn from_value(path: SecretPath, body: &Value) -> Self {
        let (content, format) = match read(&path, body) {
            Ok((keys, format)) => (Content::Keys(keys), format),
            Err(error) => (Content::Wrong(error), Format::default()),
        };
        Self { path, content, format, names: Arc::default() }
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

    /// Its keys as they stand in secrets.nix, unchecked; none if the rule itself is wrong.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        match &self.content {
            Content::Keys(keys) => keys,
            Content::Wrong(_) => &[],
        }
    }

    /// Its keys, checked.
    ///
    /// # Errors
    /// What is wrong with the rule; the first key that cannot be used or is there twice; or that there is no key.
    pub fn recipients(&self) -> Result<Vec<Recipient>, RuleError> {
        self.recipients_with(&mut KeyCache::default())
    }

    /// As [`Rule::recipients`]; keys that were read before are not read again.
    pub(crate) fn recipients_with(&self, cache: &mut KeyCache) -> Result<Vec<Recipient>, RuleError> {
        let keys = match &self.content {
            Content::Keys(keys) => keys,
            Content::Wrong(error) => return Err(error.clone()),
        };
        let mut recipients: Vec<Recipient> = Vec::with_capacity(keys.len());
        for key in keys {
            let recipient =
                cache.read(key).map_err(|problem| RuleError::Key { rule: self.path.clone(), problem })?;
            if recipients.contains(&recipient) {
                let key = crate::recipient::shortened(key);
                return Err(RuleError::Duplicate { rule: self.path.clone(), key });
            }
            let name = self.names.get(recipient.text());
            recipients.push(match name {
                Some(name) => recipient.named(name),
                None => recipient,
            });
        }
        if recipients.is_empty() {
            return Err(RuleError::NoRecipient { rule: self.path.clone() });
        }
        Ok(recipients)
    }
}

/// Keys that were read already: a thousand rules tend to name the same five.
#[derive(Default)]
pub(crate) struct KeyCache(HashMap<String, Result<Recipient, KeyError>>);

impl KeyCache {
    fn read(&mut self, key: &str) -> Result<Recipient, KeyError> {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let read = Recipient::parse(key);
        self.0.insert(key.to_owned(), read.clone());
        read
    }
}

fn read(path: &SecretPath, body: &Value) -> Result<(Vec<String>, Format), RuleError> {
    let rule = || path.clone();
    if body.get(crate::evaluate::THROWN).is_some() {
        return Err(RuleError::Thrown { rule: rule(), reason: None, hint: None });
    }
    let keys = match body.get("publicKeys") {
        None | Some(Value::Null) => return Err(RuleError::NoKeys { rule: rule() }),
        Some(Value::Array(keys)) => keys.iter().map(Value::as_str).collect::<Option<Vec<&str>>>(),
        Some(_) => None,
    };
    let Some(keys) = keys else {
        return Err(RuleError::KeysShape { rule: rule() });
    };
    // A text may be a whole file of keys, read with `builtins.readFile`.
    let lines = keys.iter().flat_map(|key| key.lines()).filter(|line| !line.trim().is_empty());
    let keys = lines.map(str::to_owned).collect();
    let format = match body.get("armor") {
        None | Some(Value::Bool(false)) => Format::Binary,
        Some(Value::Bool(true)) => Format::Armor,
        Some(_) => return Err(RuleError::ArmorShape { rule: rule() }),
    };
    Ok((keys, format))
}

/// Without the keys: somebody may have pasted a private one.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({}, {} keys, {:?})", self.path, self.keys().len(), self.format)
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
