//! Whose system the machines and the deployer have: this machine's, or that of a folder.
//!
//! Of a system they get `/usr`, read-only, and a handful of files of `/etc`. With a folder nothing in the lab is this machine's but its
//! kernel, the tool under rehearsal, and the few programs by which we get inside ([`OUTSIDE`]); so these are the only ones that
//! this machine needs.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use remote::Cmd;

use crate::error::LabError;

/// What runs before the deployer's root is ours, and the package that has it on most systems. `git` reads the user's repository, which
/// is gone from then on.
pub(crate) const OUTSIDE: [(&str, &str); 7] = [
    ("coreutils", "chroot"),
    ("coreutils", "cp"),
    ("git", "git"),
    ("util-linux", "mount"),
    ("util-linux", "pivot_root"),
    ("util-linux", "setpriv"),
    ("util-linux", "unshare"),
];
/// Where programs are in a system.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Files of /etc without which a system's /usr does not work. Nothing personal among them.
const ETC: [&str; 9] = [
    "alternatives",
    "debian_version",
    "group",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "nsswitch.conf",
    "passwd",
    "ssl",
];

/// Our PATH, and behind it where programs are in a system.
pub(crate) fn path_with() -> String {
    format!("{}:{PATH}", std::env::var("PATH").unwrap_or_default())
}

/// A folder with the system that machines and deployer have.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// This machine's own, or that of `folder`.
    ///
    /// # Errors
    /// When the folder holds no system.
    pub fn new(folder: Option<&Path>) -> Result<Self, LabError> {
        let Some(folder) = folder else { return Ok(Self { root: PathBuf::from("/") }) };
        let refused = |why: String| LabError::NotASystem { path: folder.to_owned(), why };
        let root = fs::canonicalize(folder).map_err(|error| refused(error.to_string()))?;
        let system = Self { root };
        match ["usr/bin", "usr/lib", "etc/passwd"].iter().find(|path| !system.root.join(path).exists()) {
            Some(absent) => Err(refused(format!("it has no {absent}"))),
            None => Ok(system),
        }
    }

    /// Can packages be installed into it?
    pub fn has_apt(&self) -> bool {
        self.has("apt-get")
    }

    /// Is it this machine's?
    pub(crate) fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Does it have this program, by its name or by its path? A link is one, since it may lead to a path of the folder's.
    pub(crate) fn has(&self, program: &str) -> bool {
        let is_there = |path: &Path| fs::symlink_metadata(self.inside(path)).is_ok();
        match program.starts_with('/') {
            true => is_there(Path::new(program)),
            false => PATH.split(':').any(|folder| is_there(&Path::new(folder).join(program))),
        }
    }

    /// A program of its own that changes it.
    pub(crate) fn command(&self, program: &str) -> Cmd {
        if self.is_here() {
            return Cmd::new(program);
        }
        // Mounts of its own go with it.
        let enter = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"";
        let cmd = Cmd::new("unshare").args(["--mount", "sh", "-c", enter]).arg(&self.root).arg(program);
        cmd.env("PATH", path_with()).label(program)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Its links of a merged /usr, and its files of /etc.
    pub(crate) fn copy_to(&self, root: &Path) -> io::Result<()> {
        for link in ["bin", "sbin", "lib", "lib32", "lib64"] {
            if let Ok(target) = fs::read_link(self.root.join(link)) {
                symlink(target, root.join(link))?;
            }
        }
        for name in ETC.map(|name| self.root.join("etc").join(name)).iter().filter(|path| path.exists()) {
            let copied = Cmd::new("cp").arg("-a").arg(name).arg(root.join("etc")).run();
            copied.map_err(io::Error::other)?;
        }
        // nspawn reads it before it has mounted /usr, where the link leads to.
        fs::copy(self.root.join("usr/lib/os-release"), root.join("etc/os-release")).map(drop)
    }
}
