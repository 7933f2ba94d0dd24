//! Has secrets.nix to change with fleet.toml? Nix is asked, not the file's form: rules that name the right keys once
//! fleet.toml has changed are left alone, whatever they look like. Else the literal form is edited, and no other.

use std::fs;

use agenix::{Change, Rules, SecretPath};
use fleet::secrets_nix::SecretsNixError;
use fleet::{Fleet, PublicKey};

use super::change::names;
use super::scratch::Scratch;
use crate::failure::{Failure, Result};
use crate::repository::Repository;

const FILE: &str = "secrets.nix";

/// The change of secrets.nix, where one is needed. `fleet` and `scratch` are as they will be; `is_right` is what has to be
/// true of the rules then; `edit` makes it so.
pub(super) fn change(
    repository: &Repository,
    scratch: &Scratch,
    fleet: &Fleet,
    is_right: impl Fn(&Rules) -> bool,
    edit: impl Fn(&str) -> std::result::Result<String, SecretsNixError>,
) -> Result<Option<Change>> {
    // A literal file with a mistake in it is told by nix.
    if is_right(&scratch.rules(fleet)?) {
        return Ok(None);
    }
    let path = SecretPath::parse(FILE).expect("it is a plain name");
    let text = fs::read_to_string(path.in_repository(repository.root()))
        .map_err(|error| Failure::configuration(format!("failed to read {FILE}: {error}")))?;
    let after = edit(&text).map_err(|error| by_hand(&error))?;
    let change = Change { path, before: Some(text.into_bytes()), after: Some(after.into_bytes()) };
    scratch.put(std::slice::from_ref(&change))?;
    if !is_right(&scratch.rules(fleet)?) {
        let message =
            "the rules of secrets.nix do not follow from `systems`, `k3sServers` and `k3sAgents` alone";
        return Err(Failure::configuration(message)
            .untouched()
            .hint("change the rules by hand, then run it again".to_owned()));
    }
    Ok(Some(change))
}

fn by_hand(error: &SecretsNixError) -> Failure {
    let failure = Failure::configuration(error.to_string()).untouched();
    match error {
        SecretsNixError::Form { .. } => {
            failure.hint(error.hint().map(|hint| format!("{hint}\nthen run this again")))
        }
        _ => failure.hint(error.hint()),
    }
}

/// Does any rule name the key?
pub(super) fn any_names(rules: &Rules, key: &PublicKey) -> bool {
    rules.iter().any(|rule| names(rule, key))
}
