//! What the two command lines share: which rules are meant, where identities come from, how errors are told.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::identity::{Asker, Identities, IdentitySources};
use crate::rekey::RekeyError;
use crate::rules::Rule;
use crate::secrecy::SecretString;
use crate::secrets::Secrets;

/// CI's identity: the text of a private key.
pub const VARIABLE: &str = "XTASK_IDENTITY";

/// More failures than this make nobody wiser.
const SHOWN_FAILURES: usize = 10;

/// The rules of these files, each once, as `rule_of` finds them; all rules where no file is named.
///
/// # Errors
/// The first of `rule_of`.
pub fn chosen<'s, E>(
    secrets: &'s Secrets,
    files: &[PathBuf],
    rule_of: impl Fn(&Path) -> Result<&'s Rule, E>,
) -> Result<Vec<&'s Rule>, E> {
    if files.is_empty() {
        return Ok(secrets.rules().iter().collect());
    }
    let rules = files.iter().map(|file| rule_of(file)).collect::<Result<Vec<&Rule>, E>>()?;
    let mut seen = BTreeSet::new();
    Ok(rules.into_iter().filter(|rule| seen.insert(rule.path())).collect())
}

/// The identities of `-i FILE`, `-` being standard input as age has it, and of `XTASK_IDENTITY`, where it is not empty;
/// else those of the home.
///
/// # Errors
/// When one that was named cannot be used, in one line, with a hint.
pub fn identities(files: &[PathBuf], asker: Arc<dyn Asker>) -> Result<Identities, (String, String)> {
    let files: Vec<PathBuf> = files
        .iter()
        .map(|file| if file == Path::new("-") { "/dev/stdin".into() } else { file.clone() })
        .collect();
    let text = match std::env::var(VARIABLE) {
        // A secret that CI does not have is an empty variable there.
        Ok(text) => Some(text).filter(|text| !text.trim().is_empty()).map(SecretString::from),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err((format!("{VARIABLE} is no text"), "give it the text of a private key".to_owned()));
        }
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let text = text.as_ref().map(|text| (VARIABLE, text));
    let sources = IdentitySources { files: &files, text, home: home.as_deref() };
    let identities = Identities::load(&sources).map_err(|error| (error.to_string(), error.hint()))?;
    Ok(identities.asking(asker))
}

/// An error with its causes in one line, none that is told already.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What went wrong with `name`, which many errors name by themselves.
#[must_use]
pub fn about(name: &str, error: &dyn Error) -> String {
    let text = chain(error);
    if text.contains(name) { text } else { format!("{name}: {text}") }
}

/// Each secret that failed, the first ten of them, and the first hint.
#[must_use]
pub fn failures_of(error: &RekeyError) -> (Vec<String>, Option<String>) {
    match error {
        RekeyError::Failed { failures } => {
            let shown = failures.iter().take(SHOWN_FAILURES);
            let mut lines: Vec<String> =
                shown.map(|failure| about(failure.path.as_str(), &failure.error)).collect();
            if failures.len() > SHOWN_FAILURES {
                lines.push(format!("… and {} more", failures.len() - SHOWN_FAILURES));
            }
            (lines, failures.first().and_then(|failure| failure.error.hint()))
        }
        RekeyError::Commit(cause) => (Vec::new(), cause.hint()),
        RekeyError::Lock(cause) => (Vec::new(), Some(cause.hint())),
        RekeyError::Stopped => (Vec::new(), None),
    }
}
