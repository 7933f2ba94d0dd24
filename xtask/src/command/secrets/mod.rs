//! `secrets`: agenix, whole, for this repository. What is done is `crates/agenix`'s; here are names, words and
//! questions.

mod list;
pub(super) mod rekey;
mod write;

use std::path::{Path, PathBuf};

use agenix::terminal::print_secret;
use agenix::{EditError, Recovery, SecretError, SecretPath, Secrets};

use super::choose;
use crate::cli::{self, Global, Here, SecretsCommand};
use crate::events::would;
use crate::failure::{Failure, Kind, Result};
use crate::identity;
use crate::render::Terminal;
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &cli::Secrets) -> Result<()> {
    let repository = Repository::find()?;
    let result = match &args.command {
        SecretsCommand::Edit(args) => write::edit(global, &repository, args),
        SecretsCommand::New(args) => write::new(global, &repository, args),
        SecretsCommand::Show { file } => show(global, &repository, file.as_deref()),
        SecretsCommand::List => list::run(global, &repository),
        SecretsCommand::Rekey(args) => rekey::run(global, &repository, args),
    };
    // Whatever it was that did not get its passphrase, its editor or its end: we were asked to stop.
    result.map_err(|failure| if remote::interrupted() { failure.of_kind(Kind::Interrupted) } else { failure })
}

fn show(global: &Global, repository: &Repository, file: Option<&Path>) -> Result<()> {
    if global.json {
        return Err(Failure::new(
            Kind::Usage,
            "a secret is printed byte for byte, which --json has no form for",
        ));
    }
    let (secrets, path) = open(repository, &named(global, file)?)?;
    if global.dry_run {
        would(global, &format!("decrypt {path}"));
        return Ok(());
    }
    let rule = secrets.rules().rule(&path)?;
    let ciphertext = secrets.read(rule)?.ok_or(SecretError::Missing).map_err(|error| about(&path, error))?;
    let identities = identity::load(global, &Terminal::new())?;
    let plaintext = secrets.open(&ciphertext, &identities).map_err(|error| about(&path, error))?;
    Ok(print_secret(&plaintext)?)
}

/// The file that was named, else the one that is chosen at the terminal among those that one can see without nix.
fn named(global: &Global, file: Option<&Path>) -> Result<PathBuf> {
    if let Some(file) = file {
        return Ok(file.to_owned());
    }
    let known = Here::find().map(|here| here.secrets()).unwrap_or_default();
    let about = |is_there| if is_there { String::new() } else { "not written yet".to_owned() };
    let options: Vec<(String, String)> =
        known.into_iter().map(|(name, there)| (name, about(there))).collect();
    let chosen = choose(global, "Which secret?", "no secret is named", &options)?;
    Ok(PathBuf::from(&options[chosen].0))
}

/// The rules, and which of them a file is for. Only that one has to be right.
fn open(repository: &Repository, file: &Path) -> Result<(Secrets, SecretPath)> {
    let names = names_of(repository, file)?;
    let fleet = repository.fleet()?;
    let secrets = repository.secrets(repository.rules_for(&fleet, &names)?)?;
    let path = secrets.rules().first_of(&names)?.path().clone();
    Ok((secrets, path))
}

/// What a file may be called in secrets.nix: as it is seen from here, else as seen from the repository's root.
fn names_of(repository: &Repository, file: &Path) -> Result<Vec<SecretPath>> {
    let folder = repository.folder()?;
    let here = folder.names_of(file);
    let is_from_here = file.starts_with(".") || file.starts_with("..") || file.exists();
    match folder.names_of(&folder.root().join(file)) {
        Ok(there) if !is_from_here || here.is_err() => Ok(here.into_iter().flatten().chain(there).collect()),
        _ => Ok(here?),
    }
}

/// The secret's name in front of what went wrong with it.
fn about(path: &SecretPath, error: impl Into<EditError>) -> Failure {
    let error = error.into();
    Failure::configuration(agenix::session::about(path.as_str(), &error)).hint(error.hint())
}

fn told(recovery: &Recovery) {
    eprintln!("{} {recovery}", console::style("note:").yellow().bold().for_stderr());
}
