//! The repository that we stand in: where it is, what its fleet is, what its rules are, what git knows of it.

use std::path::{Path, PathBuf};

use std::collections::BTreeMap;

use agenix::{Folder, Recipient, Rules, SecretPath, Secrets};
use fleet::Fleet;
use remote::{Cmd, RunError, Tool};

use crate::failure::{Failure, Kind, Result};

/// The secret that servers join with.
pub(crate) const SERVER_TOKEN: &str = "secrets/k3s-server-token.age";
/// The secret that agents join with: a copy of what the server made.
pub(crate) const AGENT_TOKEN: &str = "secrets/k3s-agent-token.age";

const FLEET: &str = "hosts/fleet.toml";
const RULES: &str = "secrets.nix";

/// A git repository with a fleet.
#[derive(Debug)]
pub(crate) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// The one around the current folder.
    pub(crate) fn find() -> Result<Self> {
        remote::require(Tool::GIT)?;
        let top = Cmd::new("git").args(["rev-parse", "--show-toplevel"]).run();
        let root = match top {
            Ok(output) => PathBuf::from(output.text()),
            Err(error @ RunError::Failed { .. })
                if error.tail().iter().any(|l| l.contains("not a git repository")) =>
            {
                return Err(Failure::configuration(
                    "this is no git repository, and flakes see only what git knows",
                )
                .hint(
                    "run it in your cluster's repository; for a new one: git init && git add --all"
                        .to_owned(),
                ));
            }
            Err(error) => return Err(error.into()),
        };
        if !root.join(FLEET).is_file() {
            return Err(Failure::configuration(format!("{FLEET} does not exist in {}", root.display()))
                .hint("run it in your cluster's repository".to_owned()));
        }
        Ok(Self { root })
    }

    /// The one in this folder, such as a copy of another.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Undoes what a writer that was cut off left, before anything is read: fleet.toml and secrets.nix may be part of it.
    pub(crate) fn put_in_order(&self) -> Result<()> {
        let (lock, recovery) = agenix::Lock::take(&self.folder()?, &Rules::default())?;
        if let Some(recovery) = &recovery {
            self.forget_gone(&recovery.undone);
        }
        let hosts = self.root.join("hosts");
        let entries = std::fs::read_dir(&hosts).into_iter().flatten().flatten().map(|entry| entry.path());
        for folder in entries.chain([hosts.clone()]).filter(|folder| folder.is_dir()) {
            lock.sweep_in(&folder);
            // Where a host was to come, and did not. A folder with something in it stays.
            let _ = std::fs::remove_dir(folder);
        }
        if let Some(recovery) = recovery.filter(|done| !done.undone.is_empty() || !done.kept.is_empty()) {
            eprintln!("{} {recovery}", console::style("note:").yellow().bold().for_stderr());
        }
        Ok(())
    }

    /// Files that came and are gone again: git may have heard of them, and their folder has nothing else. What cannot be
    /// cleared up harms nobody.
    pub(crate) fn forget_gone(&self, files: &[PathBuf]) {
        let gone: Vec<&PathBuf> = files.iter().filter(|file| !file.exists()).collect();
        if gone.is_empty() {
            return;
        }
        let rm = ["--literal-pathspecs", "rm", "--cached", "--quiet", "--ignore-unmatch", "--"];
        // Also after a ctrl-C: it is part of having done nothing.
        let _ = remote::shielded(|| Cmd::new("git").args(rm).args(&gone).dir(&self.root).run());
        for folder in gone.iter().filter_map(|file| file.parent()) {
            let _ = std::fs::remove_dir(folder);
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn fleet_file(&self) -> PathBuf {
        self.root.join(FLEET)
    }

    pub(crate) fn fleet(&self) -> Result<Fleet> {
        let text = std::fs::read_to_string(self.fleet_file());
        let text =
            text.map_err(|error| Failure::configuration(format!("failed to read {FLEET}: {error}")))?;
        Ok(Fleet::parse(&text)?)
    }

    /// secrets.nix, evaluated by nix: once a run. Keys have the names that fleet.toml has for them.
    pub(crate) fn rules(&self, fleet: &Fleet) -> Result<Rules> {
        let rules = agenix::nix::evaluate(&self.root.join(RULES)).map_err(in_repository)?;
        Ok(rules.naming(&names_in(fleet)))
    }

    /// The same for some secrets, whatever is wrong with others.
    pub(crate) fn rules_for(&self, fleet: &Fleet, secrets: &[SecretPath]) -> Result<Rules> {
        let rules = agenix::nix::evaluate_for(&self.root.join(RULES), secrets).map_err(in_repository)?;
        Ok(rules.naming(&names_in(fleet)))
    }

    /// The rules and their files.
    pub(crate) fn secrets(&self, rules: Rules) -> Result<Secrets> {
        Ok(Secrets::new(self.folder()?, rules))
    }

    /// Where the rules' names are paths.
    pub(crate) fn folder(&self) -> Result<Folder> {
        Ok(Folder::new(&self.root)?)
    }

    /// Does the secret's file exist?
    pub(crate) fn has(&self, secret: &SecretPath) -> bool {
        secret.in_repository(&self.root).exists()
    }

    pub(crate) fn read_secret(&self, secret: &SecretPath) -> Result<Vec<u8>> {
        let path = secret.in_repository(&self.root);
        std::fs::read(path)
            .map_err(|error| Failure::configuration(format!("failed to read {secret}: {error}")))
    }

    /// Replaces the file whole, and lets git know that it is there.
    pub(crate) fn write_secret(&self, secret: &SecretPath, ciphertext: &[u8], rules: &Rules) -> Result<()> {
        let secrets = self.secrets(rules.clone())?;
        let (lock, recovery) = secrets.lock()?;
        if let Some(recovery) = recovery {
            eprintln!("{recovery}");
        }
        let rule = secrets.rules().rule(secret)?;
        let before = secrets.read(rule)?;
        secrets.replace(&lock, rule, ciphertext, before.as_deref())?;
        self.let_git_know(secret)
    }

    /// A flake sees only the files that git knows.
    pub(crate) fn let_git_know(&self, file: &SecretPath) -> Result<()> {
        // A name is a name, and no pattern.
        let git =
            Cmd::new("git").args(["--literal-pathspecs", "add", "--intent-to-add", "--", file.as_str()]);
        git.dir(&self.root).run().map_err(|error| {
            let attempt = format!("{file} is written, and git does not take it");
            Failure::from(error).of_kind(Kind::Configuration).during(&attempt)
        })?;
        Ok(())
    }

    /// New files that a flake would need and git does not know.
    fn invisible_files(&self) -> Result<Vec<String>> {
        Ok(self.unknown_to_git()?.into_iter().filter(|name| is_seen_by_the_flake(name)).collect())
    }

    fn unknown_to_git(&self) -> Result<Vec<String>> {
        let list = Cmd::new("git").args(["ls-files", "-z", "--others", "--exclude-standard"]).dir(&self.root);
        let output = list.label("git ls-files").run()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Lets git know of the secrets that it does not know: made by another agenix, or in a run that was cut off.
    pub(crate) fn add_secrets(&self) -> Result<()> {
        let secrets: Vec<String> =
            self.unknown_to_git()?.into_iter().filter(|name| name.ends_with(".age")).collect();
        if !secrets.is_empty() {
            Cmd::new("git")
                .args(["--literal-pathspecs", "add", "--intent-to-add", "--"])
                .args(secrets)
                .dir(&self.root)
                .run()?;
        }
        Ok(())
    }

    /// Refuses while a flake would not see what stands in the tree.
    pub(crate) fn require_visible(&self) -> Result<()> {
        let files = self.invisible_files()?;
        let Some(first) = files.first() else { return Ok(()) };
        let more = if files.len() > 1 { format!(" and {} more", files.len() - 1) } else { String::new() };
        let message = format!("git does not know {first}{more}, so the flake does not see it");
        // A name is a name, and no pattern or option.
        let hint = format!("git --literal-pathspecs add -N -- {}", remote::quote_all(&files));
        Err(Failure::configuration(message).hint(hint))
    }
}

/// Is it a file that the hosts' systems are made of, if git knows it?
pub(crate) fn is_seen_by_the_flake(name: &str) -> bool {
    // What a writer that was killed left goes away with the next one.
    let is_ours = name.rsplit('/').next().is_some_and(|name| name.starts_with(".agenix."));
    let is_seen = [".nix", ".age", "flake.lock"].iter().any(|end| name.ends_with(end));
    !is_ours && (is_seen || name.starts_with("hosts/"))
}

/// The rules' file is always the same one here, and is called by its short name.
fn in_repository(error: agenix::nix::NixError) -> Failure {
    use agenix::nix::NixError;
    match error {
        NixError::Fails { reason, hint, more, .. } => {
            Failure::configuration(format!("{RULES} does not evaluate: {reason}")).tail(&more).hint(hint)
        }
        NixError::NoFile { .. } => {
            Failure::configuration(format!("{RULES} does not exist in this repository"))
        }
        NixError::Run(error) => error.into(),
        other => Failure::configuration(other.to_string()).hint(other.hint()),
    }
}

/// Keys as fleet.toml calls their owners.
fn names_in(fleet: &Fleet) -> BTreeMap<String, String> {
    let admins = fleet.admins.iter().map(|(name, key)| (key.bare(), name.clone()));
    let hosts = fleet.hosts.values();
    let hosts = hosts.filter_map(|host| Some((host.ssh_host_key.as_ref()?.bare(), host.name.to_string())));
    // Who is both is called by the name that people use.
    let owned = hosts.chain(admins);
    // As agenix spells them: without what may stand behind, and with their padding.
    owned.filter_map(|(key, name)| Some((Recipient::parse(&key).ok()?.text().to_owned(), name))).collect()
}

/// Is it one of the two that `bootstrap-cluster` makes?
pub(crate) fn is_token(path: &str) -> bool {
    [SERVER_TOKEN, AGENT_TOKEN].contains(&path)
}

/// One of the two tokens' paths, which are constants.
pub(crate) fn secret(path: &str) -> SecretPath {
    SecretPath::parse(path).expect("the tokens' paths are relative and plain")
}
