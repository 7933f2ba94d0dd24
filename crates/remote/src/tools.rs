//! Is what we call installed?

use std::path::PathBuf;

/// A program that this project calls, and how one comes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// Its name on PATH.
    pub name: &'static str,
    /// What to do where it is missing.
    pub remedy: &'static str,
}

impl Tool {
    /// Evaluates rules and the flake.
    pub const NIX: Self = Self { name: "nix", remedy: "install Nix: https://nixos.org/download" };
    /// Evaluates `secrets.nix`.
    pub const NIX_INSTANTIATE: Self =
        Self { name: "nix-instantiate", remedy: "install Nix: https://nixos.org/download" };
    /// Builds and activates.
    pub const NIXOS_REBUILD: Self =
        Self { name: "nixos-rebuild", remedy: "`nix profile install nixpkgs#nixos-rebuild-ng` brings it" };
    /// Reaches the hosts.
    pub const SSH: Self = Self { name: "ssh", remedy: "install the OpenSSH client" };
    /// Scans host keys, for `init` only.
    pub const SSH_KEYSCAN: Self = Self { name: "ssh-keyscan", remedy: "install the OpenSSH client" };
    /// Flakes see what git knows.
    pub const GIT: Self = Self { name: "git", remedy: "install git" };
}

impl Tool {
    /// All of them.
    const ALL: [Self; 6] =
        [Self::NIX, Self::NIX_INSTANTIATE, Self::NIXOS_REBUILD, Self::SSH, Self::SSH_KEYSCAN, Self::GIT];

    /// What to do where this program is missing.
    pub fn remedy_for(program: &str) -> Option<&'static str> {
        Self::ALL.iter().find(|tool| tool.name == program).map(|tool| tool.remedy)
    }
}

/// A tool that is not on PATH.
#[derive(Debug, thiserror::Error)]
#[error("{} is not installed", tool.name)]
pub struct MissingTool {
    /// Which one.
    pub tool: Tool,
}

/// Where the tool is.
///
/// # Errors
/// When it is nowhere on PATH.
pub fn require(tool: Tool) -> Result<PathBuf, MissingTool> {
    which::which(tool.name).map_err(|_| MissingTool { tool })
}

/// Where the program is: by its path, or by its name on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    which::which(program).ok()
}

/// Are we root?
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
