//! The library without its command line: rekeys a folder of secrets by rules that are JSON already.
//!
//! `rekey FOLDER RULES.json IDENTITY`; without an identity it only puts in order what an earlier run left behind.

use std::error::Error;
use std::path::{Path, PathBuf};

use agenix::{Folder, Identities, IdentitySources, RekeyError, Rule, Rules, Secrets, plan, rekey};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder, rules, identities @ ..] = &arguments[..] else {
        return Err("rekey FOLDER RULES.json [IDENTITY…]".into());
    };
    let secrets = open(folder, rules)?;
    if let Some(recovery) = secrets.put_in_order()? {
        println!("{recovery}");
    }
    if identities.is_empty() {
        return Ok(());
    }
    let identities = Identities::load(&IdentitySources { files: identities, ..Default::default() })?;
    let rules: Vec<&Rule> = secrets.rules().iter().collect();
    let due = plan(&secrets, &rules, false);
    let count = due.due.len();
    match rekey(&secrets, due, &identities, &|| false, &|_| {}) {
        Ok(_) => println!("{count} rekeyed"),
        Err(error) => tell(&error),
    }
    Ok(())
}

fn open(folder: &Path, rules: &Path) -> Result<Secrets, Box<dyn Error>> {
    let rules = Rules::from_json(&std::fs::read_to_string(rules)?)?;
    Ok(Secrets::new(Folder::new(folder)?, rules))
}

fn tell(error: &RekeyError) {
    println!("{error}");
    match error {
        RekeyError::Failed { failures } => failures.iter().for_each(|failure| println!("  {failure}")),
        RekeyError::Commit(cause) => println!("  {cause}"),
        RekeyError::Lock(cause) => println!("  {cause}"),
        RekeyError::Stopped => {}
    }
}
