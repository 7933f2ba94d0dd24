//! Why a command gave no result.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// The most that is read of a secret, in bytes.
pub(crate) const SECRET_MAX: usize = 64 * 1024;

/// How a process ended when it did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program is not on PATH.
    #[error("{program} is not installed")]
    Missing {
        /// The program's name.
        program: String,
    },
    /// The system would not start it.
    #[error("failed to start {command}")]
    Start {
        /// Short name of the command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ran longer than its bound, and was ended.
    #[error("{command} did not finish within {} s", after.as_secs())]
    TimedOut {
        /// Short name of the command.
        command: String,
        /// The bound.
        after: Duration,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// It ended, and not well.
    #[error("{command} failed with {ending}")]
    Failed {
        /// Short name of the command.
        command: String,
        /// Exit code or signal.
        ending: Ending,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// ssh lost the host, or never reached it: what the command did there is unknown.
    #[error("the connection to {host} was lost: {said}")]
    LinkLost {
        /// The host's name.
        host: String,
        /// ssh's last line.
        said: String,
    },
    /// It succeeded, and what it printed did not arrive whole.
    #[error("the output of {command} was lost")]
    OutputLost {
        /// Short name of the command.
        command: String,
    },
    /// It printed more than a secret may have.
    #[error("{command} printed more than {SECRET_MAX} bytes where a secret was expected")]
    TooLong {
        /// Short name of the command.
        command: String,
    },
    /// We were asked to stop, and ended it.
    #[error("{command} was interrupted")]
    Interrupted {
        /// Short name of the command.
        command: String,
    },
}

impl RunError {
    /// The tool's last lines, where it got far enough to print some.
    pub fn tail(&self) -> &[String] {
        match self {
            Self::TimedOut { tail, .. } | Self::Failed { tail, .. } => tail,
            _ => &[],
        }
    }

    /// The exit code, where the process exited by itself.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Failed { ending: Ending::Code(code), .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Self::Code(code),
            None => Self::Signal(status.signal().unwrap_or_default()),
        }
    }
}
