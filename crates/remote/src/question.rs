//! Questions to the person at the terminal, which ctrl-C ends at once.
//!
//! Own code, since the crates for it wait in a read that a handled signal does not end: one would have to press enter
//! after ctrl-C, or leave a terminal without echo.
//!
//! Every one says what enter alone means, asks again when it does not understand, but not for ever, and takes ctrl-C and the end
//! of file for no answer at all.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};

use crate::Tidy;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// How often a waiting question looks whether it was interrupted: 0.1 s.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The most that is read of an answer, in bytes. Room for all of it at once leaves no copies of a secret behind.
const ANSWER_MAX: usize = 4096;
/// How often an answer that is none is asked for again.
const ATTEMPTS: usize = 5;

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
            // What is said next begins a line.
            writeln!(terminal)?;
            return Ok(None);
        }
        line.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&line);
    Ok(Some(SecretString::from(text.trim_end_matches(['\n', '\r']))))
}

/// What enter alone means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enter {
    /// `[Y/n]`: for what can be done again.
    IsYes,
    /// `[y/N]`: for what cannot.
    IsNo,
}

/// A question with two answers; their form is put behind it. `None` when nobody answers, as in [`ask`]; who never answers
/// with one of the two is taken to say no.
///
/// # Errors
/// When there is no terminal.
pub fn confirm(question: &str, enter: Enter) -> io::Result<Option<bool>> {
    let form = match enter {
        Enter::IsYes => "[Y/n]",
        Enter::IsNo => "[y/N]",
    };
    for _ in 0..ATTEMPTS {
        let Some(answer) = ask(&format!("{question} {form} "), Echo::Shown)? else { return Ok(None) };
        match yes_or_no(answer.expose_secret(), enter) {
            Some(answer) => return Ok(Some(answer)),
            None => writeln!(open()?, "please answer y or n")?,
        }
    }
    Ok(Some(false))
}

/// `None` for what is neither.
fn yes_or_no(answer: &str, enter: Enter) -> Option<bool> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "" => Some(enter == Enter::IsYes),
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

/// Which of these, each a name and what it is? By its number or its name; there is none that enter alone could mean. `None`
/// when nobody answers, as in [`ask`], or never with one of them.
///
/// # Errors
/// When there is no terminal.
pub fn choose(question: &str, options: &[(String, String)]) -> io::Result<Option<usize>> {
    let width = options.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let digits = options.len().to_string().len();
    let mut shown = format!("{question}\n");
    for (at, (name, about)) in options.iter().enumerate() {
        let line = format!("  {:digits$}  {name:width$}  {about}", at + 1);
        shown += line.trim_end();
        shown.push('\n');
    }
    write!(open()?, "{shown}")?;
    for _ in 0..ATTEMPTS {
        let Some(answer) = ask("number or name: ", Echo::Shown)? else { return Ok(None) };
        match chosen(answer.expose_secret(), options) {
            Some(at) => return Ok(Some(at)),
            None => writeln!(open()?, "please answer with one of them, or ctrl-C")?,
        }
    }
    Ok(None)
}

/// A name comes first: a host may be called `2`.
fn chosen(answer: &str, options: &[(String, String)]) -> Option<usize> {
    let answer = answer.trim();
    let by_number = || answer.parse::<usize>().ok()?.checked_sub(1).filter(|at| *at < options.len());
    options.iter().position(|(name, _)| name == answer).or_else(by_number)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_yes_no_what_enter_means_or_asked_for_again() {
        for (answer, expected) in [
            ("y", Some(true)),
            (" Yes ", Some(true)),
            ("n", Some(false)),
            ("NO", Some(false)),
            ("yeah", None),
            ("1", None),
        ] {
            assert_eq!(yes_or_no(answer, Enter::IsNo), expected, "{answer}");
        }
        assert_eq!(yes_or_no("", Enter::IsNo), Some(false));
        assert_eq!(yes_or_no(" ", Enter::IsYes), Some(true));
    }

    #[test]
    fn a_choice_is_a_name_or_a_number_from_one() {
        let options = ["maia", "2", "ocean"].map(|name| (name.to_owned(), String::new()));
        for (answer, expected) in
            [("maia", Some(0)), ("1", Some(0)), ("2", Some(1)), (" 3 ", Some(2)), ("0", None), ("4", None)]
        {
            assert_eq!(chosen(answer, &options), expected, "{answer}");
        }
        assert_eq!((chosen("", &options), chosen("mai", &options)), (None, None));
    }
}
