//! How every command fails: what, the tool's last lines, a hint, an exit code. One place maps errors to codes.

use std::fmt;
use std::process::ExitCode;

use console::style;
use remote::RunError;
use remote::ssh::ConnectError;

use crate::render::github;

/// What kind of failure, which is its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unforeseen = 1,
    Usage = 2,
    Configuration = 3,
    Unreachable = 4,
    Build = 5,
    Activation = 6,
    Verification = 7,
    Unknown = 8,
    Locked = 9,
    Interrupted = 130,
}

/// One failure, as a person reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// One line: lower case, verb first, no full stop.
    pub(crate) message: String,
    /// The last lines of the command that failed.
    pub(crate) tail: Vec<String>,
    /// What became of it.
    pub(crate) notes: Vec<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// Waiting does not help.
    pub(crate) is_final: bool,
    /// It was told already, step by step; what is left is the exit code.
    told: bool,
    /// The exit code in place of the kind's: that of a program which ran for us.
    code: Option<u8>,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (tail, notes) = (Vec::new(), Vec::new());
        Self {
            kind,
            message: message.into(),
            tail,
            notes,
            hint: None,
            is_final: false,
            told: false,
            code: None,
        }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::new(Kind::Configuration, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into().or(self.hint);
        self
    }

    pub(crate) fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn tail(mut self, tail: &[String]) -> Self {
        self.tail = tail.to_vec();
        self
    }

    /// What was attempted, in front of what went wrong.
    pub(crate) fn during(mut self, attempt: &str) -> Self {
        self.message = format!("{attempt}: {}", self.message);
        self
    }

    /// What became of it, in a line of its own.
    pub(crate) fn also(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// Nobody has to look what was done before it.
    pub(crate) fn untouched(self) -> Self {
        self.also("nothing was changed".to_owned())
    }

    /// The same kind, with nothing left to say.
    pub(crate) fn told(kind: Kind) -> Self {
        Self { told: true, ..Self::new(kind, "") }
    }

    /// A program that ran for us, at our terminal, and ended with this code.
    pub(crate) fn ended(code: i32) -> Self {
        Self { code: u8::try_from(code).ok(), ..Self::told(Kind::Unforeseen) }
    }

    /// Was it told already?
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// Is it the configuration that has to be changed first?
    pub(crate) fn needs_an_edit(&self) -> bool {
        matches!(self.kind, Kind::Usage | Kind::Configuration | Kind::Build)
    }

    /// As it is printed on standard error: a line, the tool's lines, the hint.
    pub(crate) fn block(&self) -> String {
        let mut text = format!("{} {}\n", style("error:").red().bold().for_stderr(), self.message);
        for line in &self.tail {
            text += &format!("  {} {line}\n", style("│").dim().for_stderr());
        }
        for note in &self.notes {
            text += &format!("{} {note}\n", style("note:").yellow().bold().for_stderr());
        }
        if let Some(hint) = &self.hint {
            text += &format!("{} {hint}\n", style("hint:").cyan().bold().for_stderr());
        }
        text
    }

    /// Prints it and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.told && github::on_runner() {
            github::refused(self);
        } else if !self.told {
            eprint!("{}", self.block());
        }
        ExitCode::from(self.code.unwrap_or(self.kind as u8))
    }
}

/// One line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The chain of causes in one line.
pub(crate) use agenix::session::chain;

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let kind = match &error {
            RunError::Missing { .. } => Kind::Configuration,
            RunError::Interrupted { .. } => Kind::Interrupted,
            RunError::LinkLost { .. } => Kind::Unreachable,
            _ => Kind::Unforeseen,
        };
        let hint = match &error {
            RunError::Missing { program } => remote::Tool::remedy_for(program).map(str::to_owned),
            RunError::LinkLost { .. } => {
                Some("run it again: what is done already is seen to be done".to_owned())
            }
            _ => None,
        };
        Self::new(kind, chain(&error)).tail(error.tail()).hint(hint)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        // A wrong key or a login that is refused is an answer.
        let is_final = !matches!(error, ConnectError::Silent { .. });
        let hint = match &error {
            ConnectError::Run(_) => {
                let ConnectError::Run(error) = error else { unreachable!("matched above") };
                return error.into();
            }
            ConnectError::WrongKey { host, .. } => format!(
                "either another machine has its address, or {host} was reinstalled, or your ssh_config sends it \
                 elsewhere. Compare fingerprints over a path you \
                 trust (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the host), then `cargo xtask node pin {host}`"
            ),
            ConnectError::Refused { .. } => {
                "is your key one of [admins], was the host deployed with it, and is it in your ssh agent?"
                    .to_owned()
            }
            ConnectError::Silent { .. } => {
                "is the host up, is the mesh connected (`tailscale status`), are its addresses right?"
                    .to_owned()
            }
        };
        Self { is_final, ..Self::new(Kind::Unreachable, chain(&error)).hint(hint) }
    }
}

impl From<fleet::FleetError> for Failure {
    fn from(error: fleet::FleetError) -> Self {
        let kind = match error {
            fleet::FleetError::UnknownHost { .. } => Kind::Usage,
            _ => Kind::Configuration,
        };
        Self::new(kind, error.to_string()).hint(error.hint())
    }
}

impl From<remote::MissingTool> for Failure {
    fn from(error: remote::MissingTool) -> Self {
        Self::configuration(error.to_string()).hint(error.tool.remedy.to_owned())
    }
}

impl From<lab::LabError> for Failure {
    fn from(error: lab::LabError) -> Self {
        let tail = match &error {
            lab::LabError::Run(error) => error.tail().to_vec(),
            _ => Vec::new(),
        };
        Self::configuration(chain(&error)).tail(&tail).hint(error.hint())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Unforeseen, error.to_string())
    }
}

/// The errors of agenix carry hints of their own; only their kind is ours.
macro_rules! from_agenix {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::configuration(chain(&error)).hint(Some(error.hint()))
            }
        }
    )+};
}

from_agenix!(
    agenix::RulesError,
    agenix::RuleError,
    agenix::DecryptError,
    agenix::IdentityError,
    agenix::FileError,
    agenix::LockError,
    agenix::PlaceError
);

/// The same, of those that not always know what to do.
macro_rules! from_agenix_perhaps_hinted {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::configuration(chain(&error)).hint(error.hint())
            }
        }
    )+};
}

from_agenix_perhaps_hinted!(agenix::EncryptError, agenix::SecretError);

impl From<agenix::WriteError> for Failure {
    fn from(error: agenix::WriteError) -> Self {
        Self::new(Kind::Unforeseen, chain(&error)).hint(error.hint())
    }
}
