//! The machine that deploys: the same bare root as the others, which we move into ourselves instead of booting it.
//!
//! So the program under rehearsal finds an ssh key, a home, a store and a repository, and none of them is the user's.
//! It is a pivot and no chroot: Nix goes back to the root of its mount namespace before it starts git or ssh, and would
//! find itself outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remote::{Cmd, RunError};

use crate::error::LabError;
use crate::k3s::SHARED;
use crate::machine::{base, generate_key};
use crate::network::Plan;
use crate::store;
use crate::system::{self, System};

/// The repository's copy, inside.
pub(crate) const REPOSITORY: &str = "/cluster";
pub(crate) const XTASK: &str = "/opt/xtask";
const KEY: &str = "/root/.ssh/id_ed25519";
/// Where this machine's root is for a moment, before it is let go.
const OLD: &str = "/mnt";
pub(crate) const OVERRIDES: [&str; 6] =
    ["--override-input", "nixpkgs", "path:/opt/nixpkgs", "--override-input", "agenix", "path:/opt/agenix"];
/// A whole command of the tool under rehearsal.
const TIMEOUT: Duration = Duration::from_secs(900);

/// The deployer. Once the lab is up, its root is ours.
pub struct Deployer {
    root: PathBuf,
}

impl Deployer {
    pub(crate) fn create(
        root: &Path,
        system: &System,
        program: &Path,
        network: &Plan,
    ) -> Result<Self, LabError> {
        base(root, system, network).map_err(LabError::io(root))?;
        let deployer = Self { root: root.to_owned() };
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = |from: &Path, to: &str| Cmd::new("cp").arg("-a").arg(from).arg(root.join(to)).run();
        fs::create_dir_all(root.join("opt")).map_err(LabError::io(root))?;
        copy(&stand_ins.join("nixpkgs"), "opt/nixpkgs")?;
        copy(&stand_ins.join("agenix"), "opt/agenix")?;
        copy(&stand_ins.join("stand-ins"), "opt/bin")?;
        store::copy_own_libraries(root)?;
        fs::copy(program, root.join(XTASK.trim_start_matches('/'))).map_err(LabError::io(program))?;
        crate::write(&root.join("root/.gitconfig"), GIT_CONFIG)?;
        Ok(deployer)
    }

    /// Makes the admin's key of the rehearsal, and gives its public half.
    pub(crate) fn make_key(&self) -> Result<String, LabError> {
        generate_key(&self.path(KEY), "rehearsal")?;
        let path = self.path(&format!("{KEY}.pub"));
        Ok(fs::read_to_string(&path).map_err(LabError::io(path))?.trim().to_owned())
    }

    /// Makes its root that of our mount namespace; `lab` (a folder) stays where it is, all else of this machine is gone: from here on
    /// programs are those of the system.
    pub(crate) fn move_in(&mut self, system: &System, lab: &str) -> Result<(), LabError> {
        let root = self.root.clone();
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        fs::create_dir_all(inside(lab)).map_err(LabError::io(lab))?;
        fs::create_dir_all(inside(OLD)).map_err(LabError::io(OLD))?;
        let mount = |args: &[&str], to: &Path| Cmd::new("mount").args(args).arg(to).run();
        // Only a mount point can become the root.
        mount(&["--bind", &root.display().to_string()], &root)?;
        let usr = system.root().join("usr").display().to_string();
        mount(&["--bind", "-o", "ro", &usr], &inside("usr"))?;
        mount(&["--rbind", "/dev"], &inside("dev"))?;
        mount(&["--rbind", "/sys"], &inside("sys"))?;
        mount(&["-t", "proc", "proc"], &inside("proc"))?;
        mount(&["--bind", lab], &inside(lab))?;
        // Files of this machine's are mounted below it, which the line above leaves out.
        let shared = Path::new(lab).join(SHARED);
        if shared.exists() {
            mount(&["--rbind", &shared.display().to_string()], &inside(lab).join(SHARED))?;
        }
        require_that_it_runs(system, &root)?;
        Cmd::new("pivot_root").arg(&root).arg(inside(OLD)).run()?;
        std::env::set_current_dir("/").map_err(LabError::io("/"))?;
        Cmd::new("umount").args(["--lazy", OLD]).run()?;
        self.root = PathBuf::from("/");
        Ok(())
    }

    /// The repository's copy, as this process sees it.
    pub fn repository(&self) -> PathBuf {
        self.path(REPOSITORY)
    }

    /// A path of the deployer's, as this process sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    pub(crate) fn commit(&self) -> Result<(), LabError> {
        for args in
            [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message=rehearsal"]]
        {
            self.command("git").args(args).run()?;
        }
        Ok(())
    }

    /// A command that runs on the deployer, in the repository, with an environment of its own.
    pub fn command(&self, program: &str) -> Cmd {
        self.command_with(&[format!("PATH={}", path())], program)
    }

    /// The same, with these variables beside the usual ones.
    pub(crate) fn command_with(&self, variables: &[String], program: &str) -> Cmd {
        let kept = ["TERM", "COLUMNS", "LINES", "NO_COLOR", "RUST_BACKTRACE"];
        let kept =
            kept.iter().filter_map(|name| std::env::var(name).ok().map(|value| format!("{name}={value}")));
        let own = ["HOME=/root", "USER=root", "LANG=C.UTF-8"].map(str::to_owned);
        let cmd = Cmd::new("env").arg("--ignore-environment").args(kept).args(own).args(variables);
        let name = program.rsplit('/').next().unwrap_or(program);
        cmd.arg(program).dir(self.repository()).timeout(TIMEOUT).label(name)
    }

    /// The program under rehearsal, with the miniature nixpkgs and agenix in place of the real ones.
    pub fn xtask(&self) -> Cmd {
        self.command(XTASK).args(OVERRIDES)
    }
}

/// The tool was built for this machine's C library, and a folder may have an older one.
fn require_that_it_runs(system: &System, root: &Path) -> Result<(), LabError> {
    let refused = |error: RunError| {
        let said = error.tail().first().cloned();
        LabError::Program { root: system.root().to_owned(), why: said.unwrap_or(error.to_string()) }
    };
    Cmd::new("chroot").arg(root).args([XTASK, "--version"]).run().map(drop).map_err(refused)
}

/// Where the tool's programs are: the stand-ins, and those of the system.
pub(crate) fn path() -> String {
    format!("/opt/bin:{}", system::PATH)
}

const GIT_CONFIG: &str = "[user]\nname = rehearsal\nemail = rehearsal@localhost\n[init]\ndefaultBranch = main\n\
    [advice]\ndetachedHead = false\n[safe]\ndirectory = *\n";
