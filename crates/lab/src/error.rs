//! Why there is no lab.

use std::io;
use std::path::{Path, PathBuf};

use remote::RunError;

/// Why the lab could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Called where it could do harm.
    #[error("the lab can only be booted in namespaces of its own")]
    Outside,
    /// Namespaces, mounts and machines need it.
    #[error("a rehearsal needs root: it makes namespaces, mounts and machines")]
    NotRoot,
    /// Programs that are not there.
    #[error("a rehearsal needs {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// Programs that the system of the machines lacks.
    #[error("the system in {root} lacks {}", missing.join(", "))]
    MissingIn {
        /// Which.
        root: PathBuf,
        /// Their packages.
        missing: Vec<&'static str>,
    },
    /// A folder is empty, and nothing is there to fill it.
    #[error("debootstrap is not installed")]
    NoDebootstrap,
    /// Not a Debian, or not root.
    #[error("the packages cannot be installed: {0}")]
    Install(String),
    /// A program that was given as K3s.
    #[error("{path} is no K3s: {why}")]
    NotK3s {
        /// Which.
        path: PathBuf,
        /// What shows it.
        why: String,
    },
    /// What the kernel lets one user have of it, which systemd, containerd and kubelets use.
    #[error(
        "{machines} machines with a K3s need some {needed} inotify instances, and this kernel allows {allowed}"
    )]
    Inotify {
        /// How many are to boot.
        machines: usize,
        /// For all of them.
        needed: usize,
        /// fs.inotify.max_user_instances
        allowed: usize,
    },
    /// A folder that was given in place of this machine's system.
    #[error("{path} holds no system for the machines: {why}")]
    NotASystem {
        /// Which.
        path: PathBuf,
        /// What shows it.
        why: String,
    },
    /// The tool under rehearsal does not run in that system.
    #[error("this program does not run with the system of {root}: {why}")]
    Program {
        /// Which.
        root: PathBuf,
        /// What it said.
        why: String,
    },
    /// A file or folder.
    #[error("{path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The fleet to rehearse.
    #[error(transparent)]
    Fleet(#[from] fleet::FleetError),
    /// fleet.toml could not be edited.
    #[error("failed to write the rehearsal's keys into fleet.toml: {0}")]
    Edit(String),
    /// The network that fleet.toml names has no room.
    #[error("no free address in {0} for the deployer")]
    NetworkFull(String),
    /// A command of the set-up.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A machine that did not come up.
    #[error("{name} did not boot; its console's last lines:\n{console}")]
    Boot {
        /// Which.
        name: String,
        /// The end of its console.
        console: String,
    },
}

impl LabError {
    /// For `map_err`: the path that an I/O error lacks.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRoot => {
                Some("run it as root: `sudo -E env PATH=\"$PATH\" cargo xtask rehearse`".to_owned())
            }
            Self::Missing(_) => Some("`cargo xtask rehearse --install` installs it on Debian".to_owned()),
            Self::MissingIn { .. } => Some("`--install` installs it there".to_owned()),
            Self::NotASystem { .. } => Some("`cargo xtask rehearse --install` makes a Debian of a folder that is empty or not there, by debootstrap".to_owned()),
            Self::NoDebootstrap => Some(
                "Debian, Fedora, Arch and nixpkgs have it under this name; or give a Debian that is there already: --root DIR".to_owned(),
            ),
            Self::Program { .. } => Some(
                "its C library may be older than the one that this program was built with: take a newer system".to_owned(),
            ),
            Self::Install(_) => {
                Some(format!("install these by hand: {}", crate::packages::names().join(" ")))
            }
            Self::NotK3s { .. } => Some(
                "a release's binary, or the program of a Nix store: /nix/store/…-k3s-1.35.1+k3s1/bin/k3s"
                    .to_owned(),
            ),
            Self::Inotify { .. } => Some("sysctl fs.inotify.max_user_instances=1024".to_owned()),
            Self::Fleet(error) => error.hint(),
            _ => None,
        }
    }
}
