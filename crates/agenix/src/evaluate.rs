//! What to run so that nix prints secrets.nix as JSON.
//!
//! The expressions are constants; the file and the rule's name are arguments. Nothing is ever pasted into an
//! expression, so a name may have quotes, `${…}` or anything else in it.
//!
//! A rule that throws, as for a host without a key, must not stop the others: it is caught and marked. Nix catches
//! `throw` and `assert` only; where another mistake stops the whole, a single rule can still be asked for.

use std::ffi::OsString;
use std::path::Path;

use crate::path::SecretPath;

/// Stands in place of a rule that threw.
pub(crate) const THROWN: &str = "thrown";

const ALL: &str = r#"{ file }:
builtins.mapAttrs (_: rule:
  let
    used = { publicKeys = rule.publicKeys or null; armor = rule.armor or false; };
    tried = builtins.tryEval (builtins.deepSeq used used);
  in
  if tried.success then tried.value else { thrown = true; }
) (import file)"#;

const ONE: &str = r#"{ file, name }:
let
  rules = import file;
  rule = rules.${name};
in
if rules ? ${name} then
  { ${name} = { publicKeys = rule.publicKeys or null; armor = rule.armor or false; }; }
else
  { }"#;

/// The command that prints all rules as [`crate::Rules::from_json`] reads them: program first. It only reads.
/// `rules` is the absolute path of secrets.nix.
#[must_use]
pub fn evaluate_argv(rules: &Path) -> Vec<OsString> {
    argv(ALL, &[("file", rules.as_os_str().to_owned())])
}

/// The same for a single rule, whatever may be wrong with others; an empty set if there is none of this name. A
/// rule that throws makes nix fail, in its own words.
#[must_use]
pub fn evaluate_one_argv(rules: &Path, name: &SecretPath) -> Vec<OsString> {
    argv(ONE, &[("file", rules.as_os_str().to_owned()), ("name", name.as_str().into())])
}

fn argv(expression: &str, arguments: &[(&str, OsString)]) -> Vec<OsString> {
    let mut argv: Vec<OsString> =
        ["nix-instantiate", "--eval", "--strict", "--json", "--expr", expression].map(OsString::from).into();
    for (name, value) in arguments {
        argv.extend(["--argstr".into(), (*name).into(), value.clone()]);
    }
    argv
}
