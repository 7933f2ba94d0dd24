//! Where the keys that decrypt come from, and the one question for a passphrase.

use std::path::PathBuf;

use agenix::secrecy::SecretString;
use agenix::{Identities, IdentitySources};

use crate::cli::Global;
use crate::failure::Result;
use crate::question::{self, Echo};
use crate::render::Terminal;

/// CI's identity: the text of a private key.
const VARIABLE: &str = "XTASK_IDENTITY";

/// `-i` files and XTASK_IDENTITY, else the keys in ~/.ssh.
pub(crate) fn load(global: &Global, terminal: &Terminal) -> Result<Identities> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let text = std::env::var(VARIABLE).ok().map(SecretString::from);
    let sources = IdentitySources {
        files: &global.identity,
        text: text.as_ref().map(|text| (VARIABLE, text)),
        home: home.as_deref(),
    };
    let identities = Identities::load(&sources)?;
    let terminal = terminal.clone();
    Ok(identities.on_locked(move |key| {
        // Without a terminal nobody can answer; the error then says what to do.
        if !question::possible() {
            return None;
        }
        let text = format!("Passphrase of {}: ", key.name);
        terminal.pause(|| question::ask(&text, Echo::Hidden).ok().flatten())
    }))
}
