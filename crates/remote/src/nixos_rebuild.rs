//! Command lines of `nixos-rebuild`. Pure: each function returns the [`Cmd`] and a test asserts its argv.
//!
//! Its exit codes are not believed anywhere: after each call the caller looks at the host. What is relied on is that
//! standard output is exactly one line, the store path, when a build succeeded.

use std::path::Path;
use std::time::Duration;

use crate::nix::{OverrideInput, override_args};
use crate::nix_log::NixLog;
use crate::{Cmd, Sudo};

/// The bound of a build: a kernel or a whole system from source can take hours.
pub const BUILD_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// The bound of an activation. Slow units have 90 s each by default.
pub const ACTIVATION_TIMEOUT: Duration = Duration::from_secs(900);

/// What to do with a system, in nixos-rebuild's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Build, and with a target host copy the closure there.
    Build,
    /// Activate, without making it the boot default.
    Test,
    /// Make it the boot default, and on a running system nothing else.
    Boot,
    /// Tell what an activation would do.
    DryActivate,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Test => "test",
            Self::Boot => "boot",
            Self::DryActivate => "dry-activate",
        }
    }
}

/// Which system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `REF#NAME`.
    Flake {
        /// A flake reference: a locked store path.
        reference: String,
        /// The configuration's name in it.
        name: String,
    },
    /// A system that is built already and valid in the store of this machine.
    StorePath(String),
}

/// Where it is built and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// `user@address` of the host to activate on; this machine if absent.
    pub target: Option<String>,
    /// `user@address` of the host that builds; this machine if absent. Spelled exactly as the target when it is the
    /// same machine: otherwise the closure would travel through this one.
    pub builder: Option<String>,
}

/// One call.
pub struct Rebuild<'a> {
    /// What to do.
    pub action: Action,
    /// Which system.
    pub source: &'a Source,
    /// Where.
    pub placement: &'a Placement,
    /// `--override-input`s; only a flake takes them.
    pub overrides: &'a [OverrideInput],
    /// Options for every ssh that it and nix start; no spaces in their values.
    pub ssh_options: &'a [String],
    /// How the login on the target becomes root, where it is not root's.
    pub sudo: Option<&'a Sudo>,
    /// An own folder: a build leaves a `result` link in it.
    pub dir: &'a Path,
}

impl Rebuild<'_> {
    /// The command.
    pub fn command(&self) -> Cmd {
        let mut cmd = Cmd::new("nixos-rebuild").arg(self.action.word());
        match self.source {
            Source::Flake { reference, name } => {
                cmd =
                    cmd.arg("--flake").arg(format!("{reference}#{name}")).args(override_args(self.overrides));
            }
            Source::StorePath(path) => cmd = cmd.args(["--store-path", path]),
        }
        if self.action != Action::Build {
            // Otherwise it would first build its own successor.
            cmd = cmd.arg("--no-reexec");
        } else {
            // Each nix that it starts is given the flag, on a build host and for copies too.
            cmd = cmd.nix_log(NixLog::default());
            if self.placement.builder.is_none() {
                cmd = cmd.arg("--no-link");
            }
        }
        if let Some(builder) = &self.placement.builder {
            cmd = cmd.args(["--build-host", builder]);
        }
        if let Some(target) = &self.placement.target {
            cmd = cmd.args(["--target-host", target]);
        }
        if let Some(sudo) = self.sudo.filter(|_| self.action != Action::Build) {
            cmd = cmd.arg("--sudo");
            if let Some(password) = sudo.answer() {
                // -S: it asks once, for all of its commands there.
                cmd = cmd.arg("-S").stdin(password).without_terminal().env("PYTHONWARNINGS", "ignore");
            }
        }
        cmd = cmd.dir(self.dir).timeout(match self.action {
            Action::Build => BUILD_TIMEOUT,
            _ => ACTIVATION_TIMEOUT,
        });
        if !self.ssh_options.is_empty() {
            cmd = cmd.env("NIX_SSHOPTS", self.ssh_options.join(" "));
        }
        cmd.label(format!("nixos-rebuild {}", self.action.word()))
    }
}

/// Asks the nixos-rebuild at hand whether it knows `--store-path`: exit code 2 either way, no network, told apart by
/// what it says.
pub fn probe_store_path() -> Cmd {
    Cmd::new("nixos-rebuild").args(["build", "--store-path", "/nonexistent"]).label("nixos-rebuild")
}

/// Reads the answer to [`probe_store_path`].
pub fn knows_store_path(tail: &[String]) -> bool {
    tail.iter().any(|line| line.contains("cannot be used with"))
}

/// Is it what nixos-rebuild says at its end of the command that failed, long and of no use to whoever has read why?
pub fn is_epilogue(line: &str) -> bool {
    line.starts_with("Command '") && line.contains("' returned non-zero exit status ")
}
