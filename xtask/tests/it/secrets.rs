//! `cargo xtask secrets` and what `check` says of secrets: in a cloned repository, with real keys.

mod contents;
mod cut_off;
mod list;
mod rekey;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use agenix::{Format, Recipient, encrypt};
use expect_test::Expect;
use tempfile::TempDir;

use crate::support::{Answer, Clone, XTASK, refused, run, run_fed};

/// A clone whose fleet has keys. The admin's is the one in the home folder.
pub(crate) struct Cluster {
    pub(crate) clone: Clone,
    keys: TempDir,
}

/// Readers, by their names in fleet.toml.
const ALL: &[&str] = &["me", "ocean", "maia"];

impl Cluster {
    /// With these rules besides those of the repository.
    pub(crate) fn new(rules: &str) -> Self {
        let cluster = Self { clone: Clone::new(), keys: tempfile::tempdir().unwrap() };
        fs::create_dir(cluster.home().join(".ssh")).unwrap();
        for name in ALL {
            cluster.key(name);
        }
        fs::rename(cluster.private("me"), cluster.home().join(".ssh/id_ed25519")).unwrap();
        cluster.clone.fleet("[admins]\n", &format!("[admins]\nme = \"{}\"\n", cluster.public("me")));
        for host in ["ocean", "maia"] {
            let table = format!("[hosts.{host}]\n");
            let key = format!("{table}ssh_host_key = \"{}\"\n", cluster.public(host));
            cluster.clone.fleet(&table, &key);
        }
        let file = cluster.path("secrets.nix");
        let text = fs::read_to_string(&file).unwrap();
        let whole = text.trim_end().strip_suffix('}').unwrap();
        fs::write(file, format!("{whole}{rules}\n}}\n")).unwrap();
        fs::create_dir(cluster.path("secrets")).unwrap();
        cluster
    }

    pub(crate) fn home(&self) -> &Path {
        self.keys.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.clone.path().join(name)
    }

    pub(crate) fn private(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    pub(crate) fn key(&self, name: &str) {
        let file = self.private(name);
        let argv = ["ssh-keygen", "-qt", "ed25519", "-N", "", "-C", name, "-f", file.to_str().unwrap()];
        run(&argv, Path::new("/"), &[]).expect(0);
    }

    /// Without its comment.
    pub(crate) fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.private(&format!("{name}.pub"))).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Makes a secret's file, which git knows.
    pub(crate) fn keep(&self, name: &str, content: &str, readers: &[&str]) {
        self.keep_as(Format::Binary, name, content, readers);
    }

    fn keep_as(&self, format: Format, name: &str, content: &str, readers: &[&str]) {
        let readers: Vec<Recipient> =
            readers.iter().map(|name| Recipient::parse(&self.public(name)).unwrap()).collect();
        fs::write(self.path(name), encrypt(content.as_bytes(), &readers, format).unwrap()).unwrap();
        self.clone.git(&["add", "--all"]);
    }

    /// The tool, as the admin runs it.
    pub(crate) fn xtask(&self, args: &[&str]) -> Answer {
        self.fed(args, "")
    }

    pub(crate) fn fed(&self, args: &[&str], stdin: &str) -> Answer {
        self.fed_in("", args, stdin)
    }

    fn fed_in(&self, folder: &str, args: &[&str], stdin: &str) -> Answer {
        let home = self.home().to_str().unwrap();
        run_fed(&[&[XTASK], args].concat(), &self.path(folder), &[("HOME", home)], stdin.as_bytes())
    }

    /// As somebody who has no key at all.
    pub(crate) fn stranger(&self, args: &[&str], stdin: &str) -> Answer {
        let nowhere = tempfile::tempdir().unwrap();
        let home = nowhere.path().to_str().unwrap();
        run_fed(&[&[XTASK], args].concat(), self.clone.path(), &[("HOME", home)], stdin.as_bytes())
    }

    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], code: i32, expect: &Expect) {
        refused(self.xtask(args), code, self.clone.path(), expect);
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Every file of secrets.
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(self.path("secrets")).unwrap().map(|entry| entry.unwrap());
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
    }

    /// A secret's content, for one of its readers.
    #[track_caller]
    pub(crate) fn content(&self, name: &str, reader: &str) -> String {
        let key = if reader == "me" { self.home().join(".ssh/id_ed25519") } else { self.private(reader) };
        let file = self.path(name);
        let argv = ["age", "-d", "-i", key.to_str().unwrap(), file.to_str().unwrap()];
        run(&argv, Path::new("/"), &[]).expect(0).stdout
    }

    /// Can this host decrypt it?
    pub(crate) fn content_is_for(&self, name: &str, reader: &str) -> bool {
        let (key, file) = (self.private(reader), self.path(name));
        let argv = ["age", "-d", "-i", key.to_str().unwrap(), file.to_str().unwrap()];
        run(&argv, Path::new("/"), &[]).code == 0
    }

    pub(crate) fn git_knows(&self) -> String {
        run(&["git", "ls-files", "secrets"], self.clone.path(), &[]).expect(0).stdout
    }
}

/// Two secrets, of which the second is not as its rule says.
const TWO: &str = "
  \"secrets/right.age\".publicKeys = adminKeys ++ [ systems.ocean ];
  \"secrets/stale.age\".publicKeys = adminKeys ++ [ systems.maia ];";

fn two() -> Cluster {
    let cluster = Cluster::new(TWO);
    cluster.keep("secrets/right.age", "right", &["me", "ocean"]);
    cluster.keep("secrets/stale.age", "stale", &["me", "ocean"]);
    cluster
}
