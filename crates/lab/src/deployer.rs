//! The machine that deploys: the same bare root as the others, entered by chroot instead of booted.
//!
//! So the program under rehearsal finds an ssh key, a home, a store and a repository, and none of them is the user's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remote::Cmd;

use crate::error::LabError;
use crate::machine::{base, generate_key};
use crate::network::Plan;

/// The repository's copy, inside.
const REPOSITORY: &str = "/cluster";
const XTASK: &str = "/opt/xtask";
const SHELL_RC: &str = "/root/.rehearsal";
const OVERRIDES: [&str; 6] =
    ["--override-input", "nixpkgs", "path:/opt/nixpkgs", "--override-input", "agenix", "path:/opt/agenix"];
const PATH: &str = "/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A whole command of the tool under rehearsal.
const TIMEOUT: Duration = Duration::from_secs(900);

/// The deployer.
pub struct Deployer {
    root: PathBuf,
}

impl Deployer {
    pub(crate) fn create(root: &Path, program: &Path, network: &Plan) -> Result<Self, LabError> {
        base(root, network).map_err(LabError::io(root))?;
        let deployer = Self { root: root.to_owned() };
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = |from: &Path, to: &str| Cmd::new("cp").arg("-a").arg(from).arg(root.join(to)).run();
        fs::create_dir_all(root.join("opt")).map_err(LabError::io(root))?;
        copy(&stand_ins.join("nixpkgs"), "opt/nixpkgs")?;
        copy(&stand_ins.join("agenix"), "opt/agenix")?;
        copy(&stand_ins.join("stand-ins"), "opt/bin")?;
        fs::copy(program, root.join("opt/xtask")).map_err(LabError::io(program))?;
        let mount = |args: &[&str], to: &str| Cmd::new("mount").args(args).arg(root.join(to)).run();
        mount(&["--bind", "-o", "ro", "/usr"], "usr")?;
        mount(&["--rbind", "/dev"], "dev")?;
        mount(&["-t", "proc", "proc"], "proc")?;
        let key = root.join("root/.ssh/id_ed25519");
        generate_key(&key, "rehearsal")?;
        crate::write(&root.join("root/.gitconfig"), GIT_CONFIG)?;
        crate::write(&root.join("root/.rehearsal"), deployer.shell_rc())?;
        Ok(deployer)
    }

    /// The admin's public key of the rehearsal.
    pub(crate) fn public_key(&self) -> Result<String, LabError> {
        let path = self.root.join("root/.ssh/id_ed25519.pub");
        Ok(fs::read_to_string(&path).map_err(LabError::io(path))?.trim().to_owned())
    }

    /// The repository's copy, as this process sees it.
    pub fn repository(&self) -> PathBuf {
        self.path(REPOSITORY)
    }

    /// A path inside, as this process sees it.
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
        let cmd = Cmd::new("chroot").arg(&self.root).args(["env", "--ignore-environment", "-C", REPOSITORY]);
        let kept = ["TERM", "COLUMNS", "LINES", "NO_COLOR", "RUST_BACKTRACE"];
        let kept =
            kept.iter().filter_map(|name| std::env::var(name).ok().map(|value| format!("{name}={value}")));
        let own = ["HOME=/root", "USER=root", "LANG=C.UTF-8"].map(str::to_owned);
        let cmd = cmd.args(kept).args(own).arg(format!("PATH={PATH}")).arg(program);
        cmd.timeout(TIMEOUT).label(program.rsplit('/').next().unwrap_or(program).to_owned())
    }

    /// A shell for a person, in which `xtask` is the program under rehearsal.
    pub fn shell(&self) -> Cmd {
        self.command("bash").args(["--rcfile", SHELL_RC, "-i"])
    }

    /// The program under rehearsal, with the miniature nixpkgs and agenix in place of the real ones.
    pub fn xtask(&self) -> Cmd {
        self.command(XTASK).args(OVERRIDES)
    }

    fn shell_rc(&self) -> String {
        let alias = remote::quote(&format!("{XTASK} {}", remote::quote_all(OVERRIDES)));
        format!("alias xtask={alias}\nPS1='rehearsal \\w \\$ '\n")
    }
}

const GIT_CONFIG: &str = "[user]\nname = rehearsal\nemail = rehearsal@localhost\n[init]\ndefaultBranch = main\n\
    [advice]\ndetachedHead = false\n[safe]\ndirectory = *\n";
