//! Evaluating secrets.nix with nix: the process around [`crate::evaluate_argv`].

use std::path::Path;

use remote::{Cmd, RunError, Tool};

use crate::evaluate::{evaluate_argv, evaluate_one_argv};
use crate::path::SecretPath;
use crate::rules::{Rules, RulesError};

/// Of more rules that throw than this, the reasons are not asked for: most often they are one.
const EXPLAINED: usize = 4;

/// All rules of a secrets.nix, in one run of nix; and one more for each rule that throws, to have its reason.
///
/// # Errors
/// When there is no such file, or nix does not get through it. A single rule may work nonetheless: see
/// [`evaluate_for`].
pub fn evaluate(file: &Path) -> Result<Rules, NixError> {
    let mut rules = run(file, &|file| evaluate_argv(file))?;
    for rule in rules.thrown().iter().take(EXPLAINED) {
        if let Err(NixError::Fails { reason, hint, .. }) = evaluate_one(file, rule) {
            rules.explain(rule, &reason, hint);
        }
    }
    Ok(rules)
}

/// One rule of a secrets.nix, whatever is wrong with others; no rule if there is none of this name.
fn evaluate_one(file: &Path, name: &SecretPath) -> Result<Rules, NixError> {
    run(file, &|file| evaluate_one_argv(file, name))
}

/// All rules; where nix does not get through all of them, one of these alone, whatever is wrong with others.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_for(file: &Path, names: &[SecretPath]) -> Result<Rules, NixError> {
    let all = evaluate(file);
    if !matches!(all, Err(NixError::Fails { .. })) {
        return all;
    }
    for name in names {
        let one = evaluate_one(file, name)?;
        if !one.is_empty() {
            return Ok(one);
        }
    }
    all
}

fn run(file: &Path, argv: &dyn Fn(&Path) -> Vec<std::ffi::OsString>) -> Result<Rules, NixError> {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    if !absolute.is_file() {
        return Err(NixError::NoFile { file: file.display().to_string() });
    }
    remote::require(Tool::NIX_INSTANTIATE)?;
    let argv = argv(&absolute);
    let evaluate = Cmd::new(&argv[0]).args(&argv[1..]).timeout(remote::nix::EVALUATION_TIMEOUT);
    let output = evaluate.label("nix-instantiate").run().map_err(|error| NixError::of(file, error))?;
    Ok(Rules::from_json(&String::from_utf8_lossy(&output.stdout))?)
}

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum NixError {
    /// No secrets.nix.
    #[error("{file} does not exist")]
    NoFile {
        /// As it was named.
        file: String,
    },
    /// No nix.
    #[error(transparent)]
    NoNix(#[from] remote::MissingTool),
    /// Nix does not get through it.
    #[error("{file} does not evaluate: {reason}")]
    Fails {
        /// As it was named.
        file: String,
        /// Nix's one line.
        reason: String,
        /// What a `throw` in the file gives as a hint.
        hint: Option<String>,
        /// The rest of what nix said.
        more: Vec<String>,
    },
    /// It was stopped, or nix could not be run.
    #[error(transparent)]
    Run(RunError),
    /// It is no set of rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl NixError {
    /// Nix tells its reason in one line, where it comes from in many behind it, and a `throw` may bring a hint with it. A newer one
    /// tells before it by which calls it got there, which are our own.
    fn of(file: &Path, error: RunError) -> Self {
        if !matches!(error, RunError::Failed { .. }) {
            return Self::Run(error);
        }
        let lines = || error.tail().iter().map(|line| line.trim());
        let reason = lines().find_map(|line| line.strip_prefix("error: "));
        let words = ["error: ", "hint: ", "warning: "];
        let behind = lines().skip_while(|line| !line.starts_with(words[0]));
        let more = behind.filter(|line| !words.iter().any(|word| line.starts_with(word)));
        Self::Fails {
            file: file.display().to_string(),
            reason: reason.map_or_else(|| error.to_string(), str::to_owned),
            hint: lines().find_map(|line| line.strip_prefix("hint: ")).map(str::to_owned),
            more: more.map(str::to_owned).collect(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoFile { .. } => Some("go to the folder of secrets.nix, or name it with RULES".to_owned()),
            Self::NoNix(error) => Some(error.tool.remedy.to_owned()),
            Self::Fails { hint, .. } => hint.clone(),
            Self::Run(_) => None,
            Self::Rules(error) => Some(error.hint()),
        }
    }
}

#[cfg(test)]
mod tests {
    use remote::Ending;

    use super::*;

    /// As nix 2.26 says it; 2.8 begins with its reason.
    const SAID: &str = "\
error:
       … while calling the 'import' builtin
         at «string»:8:4:
            7|   if tried.success then tried.value else { thrown = true; }
            8| ) (import file)
             |    ^

       error: undefined variable 'nobody'
       at /cluster/secrets.nix:1:34:
            1| { \"secrets/a.age\".publicKeys = [ nobody ]; }";

    #[test]
    fn what_nix_says_begins_with_its_reason() {
        let tail = SAID.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        let failed =
            RunError::Failed { command: "nix-instantiate".to_owned(), ending: Ending::Code(1), tail };
        let NixError::Fails { reason, more, .. } = NixError::of(Path::new("secrets.nix"), failed) else {
            panic!("it fails")
        };
        assert_eq!(reason, "undefined variable 'nobody'");
        assert_eq!(more[0], "at /cluster/secrets.nix:1:34:");
        assert_eq!(more.len(), 2);
    }
}
