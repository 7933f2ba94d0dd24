//! Running a [`Cmd`]: start, stream, wait with a bound, tell apart how it ended.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use crate::error::{RunError, SECRET_MAX};
use crate::group::{Running, end, signal};
use crate::held::beat;
use crate::interrupt::{Hold, Tidy, interrupted, terminated};
use crate::said::{Heard, Said};
use crate::{Cmd, Stdin};

/// How often a waiting thread looks whether it was interrupted.
const POLL: Duration = Duration::from_millis(100);
/// What our children do not inherit: CI's identity, of which no tool has any use, and what a git hook sets, which would
/// have git look at another repository.
pub(crate) const UNWANTED: [&str; 4] = ["XTASK_IDENTITY", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"];
/// What a program with our terminal gets to put things in order after an interrupt.
const FOREGROUND_GRACE: Duration = Duration::from_secs(15);
/// A daemon that a tool left behind can hold our pipes open; after the tool itself has ended we wait this long.
const DRAIN: Duration = Duration::from_secs(1);

/// What a command that succeeded printed.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes of standard output.
    pub stdout: Vec<u8>,
    /// The last lines of standard error.
    pub tail: Vec<String>,
}

impl Output {
    /// Standard output as text, without the white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

impl Cmd {
    /// Runs to the end; standard output is captured, the last lines of standard error are kept.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run(self) -> Result<Output, RunError> {
        self.run_watched(&|_| {})
    }

    /// As [`Cmd::run`], handing each line of standard error to `on_line` as it comes.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_watched(self, on_line: &dyn Fn(&str)) -> Result<Output, RunError> {
        self.run_measured(&|said| {
            if let Said::Line(line) = said {
                on_line(line);
            }
        })
    }

    /// As [`Cmd::run_watched`], with the amounts that a nix tells of: see [`Cmd::nix_log`].
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_measured(self, on: &dyn Fn(Said<'_>)) -> Result<Output, RunError> {
        let (stdout, tail) = self.drive(on, |mut pipe| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes)
        })?;
        Ok(Output { stdout, tail })
    }

    /// Runs to the end; standard output is a secret of at most 64 KiB.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_secret(self) -> Result<SecretSlice<u8>, RunError> {
        let command = self.name();
        let (secret, _) = self.drive(&|_| {}, |mut pipe| {
            // Room for all of it at once: a vector that grows leaves copies behind, and so does one that shrinks.
            let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX + 1));
            pipe.by_ref().take(SECRET_MAX as u64 + 1).read_to_end(&mut bytes)?;
            // To the end: a tool that nobody listens to dies of it, and its signal would hide the reason.
            io::copy(&mut pipe, &mut io::sink())?;
            Ok(SecretSlice::from(Box::from(bytes.as_slice())))
        })?;
        if secret.expose_secret().len() > SECRET_MAX {
            return Err(RunError::TooLong { command });
        }
        Ok(secret)
    }

    /// Runs to the end; standard output goes to `out` as it comes. On standard input there is what it was given, then a line
    /// every few seconds for as long as we live: what reads it can end with us. `Ok(Err(_))` once `out` takes no more.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run_into(self, mut out: impl Write + Send + 'static) -> Result<io::Result<()>, RunError> {
        let broken = Arc::new(Mutex::new(None));
        let told = Arc::clone(&broken);
        let start = |source| RunError::Start { command: self.name(), source };
        let (stdin, _beat) = beat(&self.stdin).map_err(start)?;
        let result = self.drive_fed(Some(stdin), &|_| {}, move |mut pipe| {
            let mut some = vec![0; 16 * 1024];
            loop {
                let count = pipe.read(&mut some)?;
                if count == 0 {
                    return Ok(());
                }
                if let Err(error) = out.write_all(&some[..count]).and_then(|()| out.flush()) {
                    // With our end of the pipe gone, the command ends at the next thing that it says.
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return Ok(());
                }
            }
        });
        let broken = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (broken, result) {
            (Some(error), _) => Ok(Err(error)),
            (None, result) => result.map(|_| Ok(())),
        }
    }

    /// Starts the process and returns at once. It is killed when the returned value is dropped.
    ///
    /// # Errors
    /// [`RunError::Missing`] and [`RunError::Start`].
    pub fn spawn(self, log: std::fs::File) -> Result<Background, RunError> {
        let copy = log.try_clone().map_err(|source| RunError::Start { command: self.name(), source })?;
        let start = || self.expression(None)?.stdout_file(log).stderr_file(copy).start();
        let handle = start().map_err(|source| self.start_error(source))?;
        Ok(Background { handle })
    }

    /// Starts it between two pipes; its standard error is nobody's.
    pub(crate) fn start_between(
        self,
        stdin: io::PipeReader,
        stdout: io::PipeWriter,
    ) -> Result<Background, RunError> {
        let expression = self.in_own_group().stdin_file(stdin).stdout_file(stdout).stderr_null();
        let handle = self.surroundings(&expression).start().map_err(|source| self.start_error(source))?;
        Ok(Background { handle })
    }

    /// Runs with our terminal: standard input, output and error are ours, and so is the process group, so that ctrl-C
    /// reaches it. Gives the exit code; 130 when it had to be killed after an interrupt.
    ///
    /// Without a time limit: a person, or the time limit of each command inside, ends it.
    ///
    /// # Errors
    /// [`RunError::Missing`] and [`RunError::Start`].
    pub fn run_in_foreground(self) -> Result<i32, RunError> {
        #[expect(clippy::disallowed_methods, reason = "the one place where processes start")]
        let expression = self.surroundings(&duct::cmd(&self.program, &self.args).unchecked());
        let handle = expression.start().map_err(|source| self.start_error(source))?;
        let mut asked: Option<Instant> = None;
        loop {
            if let Ok(Some(output)) = handle.wait_timeout(POLL) {
                return Ok(output.status.code().unwrap_or(130));
            }
            if interrupted() && asked.is_none() {
                // A second signal would end it on the spot: so only where ctrl-C has not reached it already.
                if terminated() {
                    signal(&handle, rustix::process::kill_process, Signal::TERM);
                }
                asked = Some(Instant::now());
            }
            if asked.is_some_and(|at| at.elapsed() > FOREGROUND_GRACE) {
                signal(&handle, rustix::process::kill_process, Signal::KILL);
            }
        }
    }

    /// As [`Cmd::run_in_foreground`], for a program that a person works in, such as an editor: ctrl-C is its own affair,
    /// and is none for us.
    ///
    /// # Errors
    /// As there.
    pub fn run_interactively(self) -> Result<i32, RunError> {
        let _hold = (Hold::new(), Tidy::new());
        self.run_in_foreground()
    }

    fn drive<T>(
        self,
        on: &dyn Fn(Said<'_>),
        read: impl FnOnce(io::PipeReader) -> io::Result<T> + Send + 'static,
    ) -> Result<(T, Vec<String>), RunError>
    where
        T: Send + 'static,
    {
        self.drive_fed(None, on, read)
    }

    /// `stdin` in place of the command's own.
    fn drive_fed<T>(
        mut self,
        stdin: Option<io::PipeReader>,
        on: &dyn Fn(Said<'_>),
        read: impl FnOnce(io::PipeReader) -> io::Result<T> + Send + 'static,
    ) -> Result<(T, Vec<String>), RunError>
    where
        T: Send + 'static,
    {
        let pipes = || -> io::Result<_> { Ok((io::pipe()?, io::pipe()?)) };
        let ((out_read, out_write), (err_read, err_write)) =
            pipes().map_err(|source| RunError::Start { command: self.name(), source })?;
        // The expression owns our write ends: it must be gone before the read ends can see the end of file.
        let handle = {
            let start = || self.expression(stdin)?.stdout_file(out_write).stderr_file(err_write).start();
            start().map_err(|source| self.start_error(source))?
        };
        let (out_sender, out) = mpsc::channel();
        let (line_sender, lines) = mpsc::channel();
        // Detached on purpose: a daemon that keeps the pipe must not keep us.
        std::thread::spawn(move || out_sender.send(read(out_read)));
        std::thread::spawn(move || {
            for line in BufReader::new(err_read).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if line_sender.send(line).is_err() {
                    return;
                }
            }
        });

        let _running = Running::note(&handle);
        let mut heard = Heard::new(self.nix_log.take());
        let status = self.wait(&handle, || heard.drain(&lines, on));
        let tail = heard.finish(&lines, Instant::now() + DRAIN, on);
        let name = self.name();
        match status {
            Waited::Ended(status) if status.success() => match out.recv_timeout(DRAIN) {
                Ok(Ok(stdout)) => Ok((stdout, tail)),
                _ => Err(RunError::OutputLost { command: name }),
            },
            Waited::Ended(status) => Err(RunError::Failed { command: name, ending: status.into(), tail }),
            Waited::TimedOut => Err(RunError::TimedOut { command: name, after: self.timeout, tail }),
            Waited::Interrupted => Err(RunError::Interrupted { command: name }),
        }
    }

    fn expression(&self, stdin: Option<io::PipeReader>) -> io::Result<duct::Expression> {
        let expression = self.in_own_group();
        let expression = match (stdin, &self.stdin) {
            (Some(pipe), _) => expression.stdin_file(pipe),
            (None, Stdin::Null) => expression.stdin_null(),
            (None, Stdin::Bytes(bytes)) => expression.stdin_file(feed(Arc::clone(bytes))?),
        };
        // Their messages are read by us, and nobody can answer their questions.
        let expression =
            expression.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "never");
        Ok(self.surroundings(&expression))
    }

    /// A terminal's ctrl-C reaches only us, and we can end it with all that it started.
    #[expect(clippy::disallowed_methods, reason = "the one place where processes start")]
    fn in_own_group(&self) -> duct::Expression {
        duct::cmd(&self.program, &self.args).unchecked().before_spawn(|command| {
            command.process_group(0);
            Ok(())
        })
    }

    fn surroundings(&self, expression: &duct::Expression) -> duct::Expression {
        let mut expression =
            UNWANTED.iter().fold(expression.clone(), |expression, name| expression.env_remove(name));
        // duct's innermost wins; here, as in a shell, the last one does.
        for (name, value) in self.env.iter().rev() {
            expression = match value {
                Some(value) => expression.env(name, value),
                None => expression.env_remove(name),
            };
        }
        match &self.dir {
            Some(dir) => expression.dir(dir),
            None => expression,
        }
    }

    fn start_error(&self, source: io::Error) -> RunError {
        let program = self.program.to_string_lossy().into_owned();
        // The folder we were told to run in may be what is missing.
        let dir_exists = self.dir.as_ref().is_none_or(|dir| dir.is_dir());
        // So may the interpreter of a script that is there.
        let found = crate::find(&program).is_some();
        if source.kind() == io::ErrorKind::NotFound && dir_exists && !found {
            return RunError::Missing { program };
        }
        RunError::Start { command: self.name(), source }
    }

    fn wait(&self, handle: &duct::Handle, mut meanwhile: impl FnMut()) -> Waited {
        let deadline = Instant::now() + self.timeout;
        loop {
            meanwhile();
            let left = deadline.saturating_duration_since(Instant::now());
            match handle.wait_timeout(POLL.min(left)) {
                Ok(Some(output)) => return Waited::Ended(output.status),
                Ok(None) if interrupted() => {
                    end(handle);
                    return Waited::Interrupted;
                }
                Ok(None) if left.is_zero() => {
                    end(handle);
                    return Waited::TimedOut;
                }
                Ok(None) => {}
                // Only a kernel without children to wait for says so; the process is then gone.
                Err(_) => return Waited::TimedOut,
            }
        }
    }
}

/// A process that runs beside us. Dropping it kills its process group.
pub struct Background {
    handle: duct::Handle,
}

impl Background {
    /// Has it ended?
    pub fn ended(&self) -> bool {
        !matches!(self.handle.try_wait(), Ok(None))
    }

    /// And did it succeed?
    pub(crate) fn ended_well(&self) -> bool {
        matches!(self.handle.try_wait(), Ok(Some(output)) if output.status.success())
    }

    /// Lets it live on without us.
    pub(crate) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.ended() {
            end(&self.handle);
        }
    }
}

enum Waited {
    Ended(ExitStatus),
    TimedOut,
    Interrupted,
}

/// A pipe that gives these bytes. Written from the secret itself: duct's own `stdin_bytes` would keep a copy.
fn feed(bytes: Arc<SecretSlice<u8>>) -> io::Result<io::PipeReader> {
    let (read, mut write) = io::pipe()?;
    // A process that ends without reading everything is judged by how it ended.
    std::thread::spawn(move || write.write_all(bytes.expose_secret()));
    Ok(read)
}
