//! Questions to the person at the terminal, which ctrl-C ends at once.
//!
//! Own code, since the crates for it wait in a read that a handled signal does not end: one would have to press enter
//! after ctrl-C, or leave a terminal without echo.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};

use crate::Tidy;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// How often a waiting question looks whether it was interrupted: 0.1 s.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The most that is read of an answer, in bytes. Room for all of it at once leaves no copies of a secret behind.
const ANSWER_MAX: usize = 4096;

/// Is the answer shown while it is typed?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// As any line.
    Shown,
    /// A passphrase.
    Hidden,
}

/// Can anybody be asked? Not in a pipe, not in CI.
pub fn possible() -> bool {
    // A pipe may be what we read, and the person still there.
    (io::stdin().is_terminal() || io::stderr().is_terminal()) && open().is_ok()
}

/// Asks on the terminal itself, whatever standard output is. `None` when nobody answers: interrupted, or end of file.
///
/// # Errors
/// When there is no terminal.
pub fn ask(question: &str, echo: Echo) -> io::Result<Option<SecretString>> {
    let mut terminal = open()?;
    // First: who types at the very prompt must not see it shown.
    let _hidden = match echo {
        Echo::Hidden => Some(Hidden::new(terminal.try_clone()?)?),
        Echo::Shown => None,
    };
    write!(terminal, "{question}")?;
    let mut line = Zeroizing::new(Vec::with_capacity(ANSWER_MAX));
    while line.last() != Some(&b'\n') {
        if crate::interrupted() {
            writeln!(terminal)?;
            return Ok(None);
        }
        // A signal may end the wait early, which is as good as its time being up.
        if !matches!(poll(&mut [PollFd::new(&terminal, PollFlags::IN)], Some(&TICK)), Ok(1..)) {
            continue;
        }
        let mut byte = Zeroizing::new([0]);
        if terminal.read(byte.as_mut_slice())? == 0 || line.len() == ANSWER_MAX {
            return Ok(None);
        }
        line.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&line);
    Ok(Some(SecretString::from(text.trim_end_matches(['\n', '\r']))))
}

/// Is it an answer to go on with?
pub fn is_yes(answer: &str) -> bool {
    matches!(answer.trim(), "y" | "Y" | "yes")
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// A terminal without echo, until dropped.
struct Hidden {
    terminal: File,
    before: Termios,
    _tidy: Tidy,
}

impl Hidden {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before, _tidy: Tidy::new() })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
        // The answer's own line end was not shown.
        let _ = writeln!(self.terminal);
    }
}
