//! Sessions with hosts: pinned keys, several addresses, one login.
//!
//! A session is an ssh master that we start by ourselves and close by ourselves. Everything else (our commands, and
//! the ssh that nixos-rebuild and nix start) goes through its socket, so a host is logged into once and not a dozen
//! times. A *fresh* session is a second master: a gate that reused the first connection would be satisfied by a host
//! that nobody can reach any more.
//!
//! Nothing is trusted on first use here: the only known host keys are those the caller hands over.

mod janitor;
mod session;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::janitor::Janitor;
use self::session::Link;
pub use self::session::Session;
use crate::{Cmd, RunError};

/// How long one address may take to answer, in seconds.
pub const CONNECT_SECONDS: u64 = 3;

/// A host as ssh needs to know it. `Debug` and `Clone`, no connection yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The name in fleet.toml.
    pub name: String,
    /// Tried in order. The pinned key is looked up under each, so no two hosts may share one.
    pub addresses: Vec<String>,
    /// `ssh-ed25519 AAAA…`
    pub key: String,
    /// Who logs in.
    pub user: String,
}

/// What all sessions of one run share: a private folder with the known keys and the sockets.
pub struct Ssh {
    folder: Arc<Folder>,
    generations: AtomicUsize,
}

/// Stays until the last session is closed: by a socket in it.
struct Folder {
    _janitor: Janitor,
    dir: tempfile::TempDir,
}

/// Why no address of a host gave a session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address answered with another key than the pinned one, and none with the right one.
    #[error("the host key of {host} at {address} is not the pinned one")]
    WrongKey {
        /// The host.
        host: String,
        /// Where another machine answers.
        address: String,
    },
    /// The host answers and does not let us in.
    #[error("{host} at {address} refuses the login of {user}: {said}")]
    Refused {
        /// The host.
        host: String,
        /// Where it answers.
        address: String,
        /// Who is not let in.
        user: String,
        /// ssh's words.
        said: String,
    },
    /// No address answered.
    #[error("{host} does not answer: {}", tried.join("; "))]
    Silent {
        /// The host.
        host: String,
        /// Each address with what ssh said.
        tried: Vec<String>,
    },
    /// ssh itself could not be run, or we were interrupted.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Ssh {
    /// Writes the known keys of these hosts, and of no others.
    ///
    /// # Errors
    /// When the private folder cannot be made.
    pub fn new<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> io::Result<Self> {
        // A socket's path has at most 107 bytes and an option in NIX_SSHOPTS no spaces: TMPDIR promises neither.
        let private = fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix("xtask-").permissions(private).tempdir_in("/tmp")?;
        let line = |host: &Host| format!("{} {}\n", host.addresses.join(","), host.key);
        let lines: String = hosts.into_iter().map(line).collect();
        fs::write(dir.path().join("known_hosts"), lines)?;
        let folder = Arc::new(Folder { _janitor: Janitor::of(dir.path())?, dir });
        Ok(Self { folder, generations: AtomicUsize::new(0) })
    }

    /// Connections of a generation share a folder of sockets. Those of another never meet them.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn generation(&self) -> io::Result<Generation> {
        let number = self.generations.fetch_add(1, Ordering::Relaxed);
        let dir = self.folder.dir.path().join(number.to_string());
        fs::create_dir(&dir)?;
        Ok(Generation { options: self.options(&dir), dir, folder: Arc::clone(&self.folder) })
    }

    /// Options of every ssh of this project, those included that nixos-rebuild and nix start: so nothing in them may
    /// name one host. No value has a space.
    fn options(&self, sockets: &Path) -> Vec<String> {
        [
            "BatchMode=yes".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            format!("UserKnownHostsFile={}", self.folder.dir.path().join("known_hosts").display()),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            "UpdateHostKeys=no".to_owned(),
            "CheckHostIP=no".to_owned(),
            format!("ConnectTimeout={CONNECT_SECONDS}"),
            "ServerAliveInterval=5".to_owned(),
            "ServerAliveCountMax=3".to_owned(),
            "ForwardAgent=no".to_owned(),
            // What a user's own ssh_config could otherwise add to the trust, or to the command.
            "VerifyHostKeyDNS=no".to_owned(),
            "KnownHostsCommand=none".to_owned(),
            "RemoteCommand=none".to_owned(),
            "RequestTTY=no".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            // %C is short, whatever the address is: a socket's path has at most 107 bytes.
            format!("ControlPath={}/%C", sockets.display()),
        ]
        .into_iter()
        .flat_map(|option| ["-o".to_owned(), option])
        .collect()
    }
}

/// Connections that share one login a host.
pub struct Generation {
    folder: Arc<Folder>,
    dir: PathBuf,
    options: Vec<String>,
}

impl Generation {
    /// The options for `NIX_SSHOPTS`: pinned keys and our sockets, no value with a space, good for every host at once.
    pub fn nix_options(&self) -> Vec<String> {
        self.options.iter().cloned().chain(["-o".to_owned(), "ControlMaster=no".to_owned()]).collect()
    }

    /// Tries the host's addresses in order; the first that answers with the pinned key is used.
    ///
    /// # Errors
    /// See [`ConnectError`]. An address that answers with another key does not end the search: the right machine may
    /// answer at the next one, and a wrong one can do no harm, since its key is checked.
    pub fn connect(&self, host: &Host) -> Result<Session, ConnectError> {
        let mut tried = Vec::new();
        let mut wrong_key = None;
        for address in &host.addresses {
            match self.try_address(host, address)? {
                Ok(session) => return Ok(session),
                Err(said) if said.contains("Host key verification failed") => {
                    wrong_key = wrong_key.or_else(|| Some(address.clone()));
                }
                Err(said) if said.contains("Permission denied") => {
                    return Err(ConnectError::Refused {
                        host: host.name.clone(),
                        address: address.clone(),
                        user: host.user.clone(),
                        said,
                    });
                }
                Err(said) => tried.push(said),
            }
        }
        Err(match wrong_key {
            Some(address) => ConnectError::WrongKey { host: host.name.clone(), address },
            None => ConnectError::Silent { host: host.name.clone(), tried },
        })
    }

    /// The outer error is ours, the inner one is ssh's last line.
    fn try_address(&self, host: &Host, address: &str) -> Result<Result<Session, String>, RunError> {
        // One an attempt: ssh appends, and what one address said is not to be laid on the next.
        let log = tempfile::NamedTempFile::new_in(&self.dir);
        let log = log.map_err(|source| RunError::Start { command: "ssh".to_owned(), source })?;
        // -E: the master outlives this call, and would hold on to a standard error of ours.
        let master = Cmd::new("ssh")
            .args(&self.options)
            .args(["-fN", "-o", "ControlMaster=yes", "-o", "ControlPersist=1800", "-E"])
            .arg(log.path())
            .args(["-l", &host.user, "--", address])
            .timeout(Duration::from_secs(CONNECT_SECONDS + 12))
            .label("ssh");
        match master.run() {
            Ok(_) => {
                let mut options = self.options.clone();
                options.extend(["-o".to_owned(), "ControlMaster=no".to_owned()]);
                let (user, folder) = (host.user.clone(), Arc::clone(&self.folder));
                let link = Link::Master { user, address: address.to_owned(), options, _folder: folder };
                Ok(Ok(Session::new(host.name.clone(), link)))
            }
            Err(RunError::Failed { .. }) => Ok(Err(reason(log.path(), address))),
            Err(RunError::TimedOut { .. }) => Ok(Err(format!("{address}: no answer"))),
            Err(error) => Err(error),
        }
    }
}

/// ssh's own words; those about a changed key are many lines, of which one says it.
fn reason(log: &Path, address: &str) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let telling = |line: &&str| line.contains("Host key verification failed");
    let line = text.lines().find(telling).or_else(|| text.lines().rfind(|line| !line.trim().is_empty()));
    let line = line.unwrap_or("ssh gave no reason").trim().trim_end_matches('.');
    let line = line.strip_prefix("ssh: ").unwrap_or(line);
    if line.contains(address) { line.to_owned() } else { format!("{address}: {line}") }
}
