//! A command as a value.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretSlice;

use crate::nix_log::NixLog;
use crate::quote;

/// What a process finds on its standard input.
pub enum Stdin {
    /// End of file at once: no tool may wait for somebody to type, and `nixos-rebuild` eats what it inherits.
    Null,
    /// These bytes, then end of file. The only way by which a secret may enter a process.
    Bytes(Arc<SecretSlice<u8>>),
}

/// A program, its argv and everything around it that decides what it does.
///
/// Without [`Cmd::timeout`] a command has [`Cmd::DEFAULT_TIMEOUT`]: there is no command without a bound.
pub struct Cmd {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    /// `None` removes the variable.
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) stdin: Stdin,
    pub(crate) timeout: Duration,
    pub(crate) nix_log: Option<NixLog>,
    label: Option<String>,
}

impl Cmd {
    /// The bound of a command that names none.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// A command without arguments, with nothing on its standard input.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: Stdin::Null,
            timeout: Self::DEFAULT_TIMEOUT,
            nix_log: None,
            label: None,
        }
    }

    /// Appends one argument, as it is.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Appends arguments, as they are.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the process's environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable out of the process's environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), None));
        self
    }

    /// Runs in this folder instead of ours.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Gives these bytes on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: SecretSlice<u8>) -> Self {
        self.stdin = Stdin::Bytes(Arc::new(bytes));
        self
    }

    /// Ends the process group when it has run this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Has a nix, or a tool that hands it on to nix, tell what it does in nix' own format, which [`Cmd::run_measured`] makes
    /// amounts of. What a person reads is the same.
    #[must_use]
    pub fn nix_log(self, log: NixLog) -> Self {
        Self { nix_log: Some(log), ..self.args(["--log-format", "internal-json"]) }
    }

    /// What to call this command in a message, in place of its first words.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The command's short name for messages: its label, else the program and its first argument.
    pub fn name(&self) -> String {
        if let Some(label) = &self.label {
            return label.clone();
        }
        let program = self.program.to_string_lossy();
        let program = program.rsplit('/').next().unwrap_or_default();
        match self.args.first().map(|arg| arg.to_string_lossy()) {
            Some(first) if !first.starts_with('-') && !first.contains('/') => format!("{program} {first}"),
            _ => program.to_owned(),
        }
    }

    /// Program and arguments as text, for a test that asserts exact argv.
    pub fn argv(&self) -> Vec<String> {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| word.to_string_lossy().into_owned()).collect()
    }
}

/// The line that a person could paste into a shell. Standard input is not part of it.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            if let Some(value) = value {
                write!(f, "{}={} ", name.to_string_lossy(), quote(&value.to_string_lossy()))?;
            }
        }
        f.write_str(&crate::quote_all(self.argv()))
    }
}

impl fmt::Debug for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cmd({self})")
    }
}
