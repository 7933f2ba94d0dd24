//! The person at the terminal: passphrases, the editor, a pipe.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use remote::question::{self, Echo, Enter};
use remote::{Cmd, Tidy};

use crate::edit::{EditError, Editor};
use crate::identity::{Asker, LockedKey};
use crate::journal::Recovery;
use crate::printable::printable;
use crate::secrecy::zeroize::Zeroizing;
use crate::secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use crate::secrets::SecretError;
use crate::transaction::CommitError;

/// Asks on the terminal; where there is none, nobody answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Person;

impl Asker for Person {
    fn passphrase(&self, key: &LockedKey<'_>) -> Option<SecretString> {
        self.secret(&format!("Passphrase of {}", key.name))
    }

    fn message(&self, text: &str) {
        eprintln!("{}", printable(text));
    }

    fn secret(&self, question: &str) -> Option<SecretString> {
        if !question::possible() {
            return None;
        }
        question::ask(&format!("{}: ", printable(question)), Echo::Hidden).ok().flatten()
    }

    fn text(&self, question: &str) -> Option<String> {
        if !question::possible() {
            return None;
        }
        let answer = question::ask(&format!("{}: ", printable(question)), Echo::Shown).ok().flatten();
        answer.map(|answer| answer.expose_secret().to_owned())
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        if !question::possible() {
            return None;
        }
        // A plugin's own words, which may stand for anything: enter alone agrees to nothing.
        let no = no.unwrap_or("no");
        let question = format!("{} (y: {}, n: {})", printable(question), printable(yes), printable(no));
        question::confirm(&question, Enter::IsNo).ok().flatten()
    }
}

/// Starts `$EDITOR`, or `$VISUAL`.
#[derive(Debug)]
pub struct EditorCommand {
    /// Program and arguments, as agenix takes them: split at white space, seen by no shell.
    argv: Vec<String>,
    /// Its file has to be removed, however often we are asked to stop.
    _tidy: Tidy,
}

impl EditorCommand {
    /// The user's editor; `None` if neither variable says which.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let words = |name| {
            let value = std::env::var(name).ok()?;
            let argv: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
            (!argv.is_empty()).then(|| Self { argv, _tidy: Tidy::new() })
        };
        words("EDITOR").or_else(|| words("VISUAL"))
    }
}

impl Editor for EditorCommand {
    fn edit(&self, file: &Path) -> Result<(), String> {
        let program = &self.argv[0];
        if remote::find(program).is_none() {
            return Err(format!("{program}, as EDITOR says, is not on the PATH"));
        }
        // What the editor writes beside the file, or in its place, is its owner's alone, too.
        let private = Cmd::new("sh").args(["-c", "umask 077; exec \"$@\"", "sh"]);
        match private.args(&self.argv).arg(file).run_interactively() {
            _ if remote::interrupted() => Err("it was interrupted".to_owned()),
            Ok(0) => Ok(()),
            Ok(code) => Err(format!("{program} ended with exit code {code}")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn again(&self, why: &EditError) -> bool {
        eprintln!("error: {why}");
        if let Some(hint) = why.hint() {
            eprintln!("hint: {hint}");
        }
        if !question::possible() {
            return false;
        }
        if matches!(why, EditError::Secret(SecretError::Commit(CommitError::Changed { .. }))) {
            let question = "Open the editor again, to overwrite their content with yours?";
            return question::confirm(question, Enter::IsNo).ok().flatten() == Some(true);
        }
        let question = "Open the editor again, with what you typed?";
        question::confirm(question, Enter::IsYes).ok().flatten() == Some(true)
    }

    fn recovered(&self, recovery: &Recovery) {
        eprintln!("{recovery}");
    }
}

/// Standard input, to its end, where it is no terminal.
///
/// # Errors
/// When it cannot be read.
pub fn piped() -> io::Result<Option<SecretSlice<u8>>> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut stdin = stdin.lock();
    let mut all = Zeroizing::new(Vec::with_capacity(64 * 1024));
    loop {
        if all.len() == all.capacity() {
            // By hand, since a vector that grows leaves its old copy behind.
            let mut wider = Zeroizing::new(Vec::with_capacity(2 * all.capacity()));
            wider.extend_from_slice(&all);
            all = wider;
        }
        let room = (all.capacity() - all.len()) as u64;
        let read = stdin.by_ref().take(room).read_to_end(&mut all)?;
        if remote::interrupted() {
            // Its other end was interrupted as well, and the end of file is none.
            return Err(io::ErrorKind::Interrupted.into());
        }
        if read == 0 {
            return Ok(Some(SecretSlice::from(Box::<[u8]>::from(all.as_slice()))));
        }
    }
}

/// Writes a secret to standard output, byte for byte.
///
/// # Errors
/// When it cannot be written: its reader may have gone away.
pub fn print_secret(secret: &SecretSlice<u8>) -> io::Result<()> {
    // Past the standard library's buffer, which nobody zeroizes.
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(secret.expose_secret())
}
