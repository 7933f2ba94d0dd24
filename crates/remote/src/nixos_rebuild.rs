//! The command line of `nixos-rebuild build`. Pure: it gives the [`Cmd`], and a test asserts its argv.
//!
//! Only builds: a system is activated by a command of ours on its host, in nixos-rebuild's own unit. What is relied on is
//! that standard output is exactly one line, the store path, when a build succeeded.

use std::path::Path;
use std::time::Duration;

use crate::Cmd;
use crate::nix::{OverrideInput, override_args};
use crate::nix_log::NixLog;

/// The unit in which nixos-rebuild activates: while one of this name is loaded, systemd refuses a second.
pub const UNIT: &str = "nixos-rebuild-switch-to-configuration.service";
/// The bound of a build: a kernel or a whole system from source can take hours.
pub const BUILD_TIMEOUT: Duration = Duration::from_secs(6 * 3600);

/// Where a system is built and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// `user@address` of the host that gets the closure; this machine if absent.
    pub target: Option<String>,
    /// `user@address` of the host that builds; this machine if absent. Spelled exactly as the target when it is the
    /// same machine: otherwise the closure would travel through this one.
    pub builder: Option<String>,
}

/// One build.
pub struct Build<'a> {
    /// A flake reference: a locked store path.
    pub reference: &'a str,
    /// The configuration's name in it.
    pub name: &'a str,
    /// Where.
    pub placement: &'a Placement,
    /// `--override-input`s.
    pub overrides: &'a [OverrideInput],
    /// Options for every ssh that it and nix start; no spaces in their values.
    pub ssh_options: &'a [String],
    /// An own folder: a build leaves a `result` link in it.
    pub dir: &'a Path,
}

impl Build<'_> {
    /// The command.
    pub fn command(&self) -> Cmd {
        let mut cmd = Cmd::new("nixos-rebuild")
            .args(["build", "--flake"])
            .arg(format!("{}#{}", self.reference, self.name))
            .args(override_args(self.overrides))
            // Each nix that it starts is given the flag, on a build host and for copies too.
            .nix_log(NixLog::default());
        match &self.placement.builder {
            Some(builder) => cmd = cmd.args(["--build-host", builder]),
            None => cmd = cmd.arg("--no-link"),
        }
        if let Some(target) = &self.placement.target {
            cmd = cmd.args(["--target-host", target]);
        }
        if !self.ssh_options.is_empty() {
            cmd = cmd.env("NIX_SSHOPTS", self.ssh_options.join(" "));
        }
        cmd.dir(self.dir).timeout(BUILD_TIMEOUT).label("nixos-rebuild build")
    }
}

/// Is it what nixos-rebuild says at its end of the command that failed, long and of no use to whoever has read why?
pub fn is_epilogue(line: &str) -> bool {
    line.starts_with("Command '") && line.contains("' returned non-zero exit status ")
}
