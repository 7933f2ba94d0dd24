//! A command that lives as long as we do and not longer: what it holds on a host is free again when we die, by whatever
//! death, or when the link does.
//!
//! It is told that we live by a line on its standard input every few seconds. Its own reading has a time limit: a
//! machine that lost its power closes no connection.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::sync::mpsc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::run::Background;
use crate::{Cmd, RunError, Stdin};

/// How often it is told that we live.
const BEAT: Duration = Duration::from_secs(5);

/// A command that goes on. Dropping it closes its standard input and ends it.
pub struct Held {
    background: Background,
    /// Dropped, it ends the beat and closes the pipe.
    _beat: mpsc::Sender<()>,
}

impl Cmd {
    /// Starts it, and waits for its first line on standard output, for as long as the command's time limit says. What
    /// standard input it was given (at most 64 KiB) comes before the lines of the beat.
    ///
    /// # Errors
    /// When it cannot be started, or ends or is silent before it has said anything.
    pub fn hold(self) -> Result<(Held, String), RunError> {
        let name = self.name();
        let timeout = self.timeout;
        let start = |source| RunError::Start { command: name.clone(), source };
        let (stdin, beat) = beat(&self.stdin).map_err(start)?;
        let (said, stdout) = io::pipe().map_err(start)?;
        let background = self.start_between(stdin, stdout)?;
        let (line_sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = BufReader::new(said).read_line(&mut text);
            let _ = line_sender.send(read.map(|_| text.trim_end().to_owned()));
        });
        match line.recv_timeout(timeout) {
            Ok(Ok(line)) if !line.is_empty() => Ok((Held { background, _beat: beat }, line)),
            Ok(_) => Err(RunError::OutputLost { command: name }),
            Err(_) => Err(RunError::TimedOut { command: name, after: timeout, tail: Vec::new() }),
        }
    }
}

/// A pipe that gives what a command's standard input is, then a line every few seconds. It is closed when the sender is
/// dropped, or with us.
pub(crate) fn beat(input: &Stdin) -> io::Result<(io::PipeReader, mpsc::Sender<()>)> {
    let (read, mut beat) = io::pipe()?;
    if let Stdin::Bytes(first) = input {
        // A pipe holds far more than a password: nobody has to read yet.
        beat.write_all(first.expose_secret())?;
    }
    let (sender, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        // The channel says nothing ever; it only ends.
        while ended.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
            if beat.write_all(b"\n").is_err() {
                return;
            }
        }
    });
    Ok((read, sender))
}

impl Held {
    /// Has it ended, since its link was lost or somebody ended it?
    pub fn ended(&self) -> bool {
        self.background.ended()
    }
}
