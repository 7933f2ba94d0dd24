//! A rekey that is killed, at each of its file operations in turn; one that finds the disk full, or a file that cannot
//! be replaced. Afterwards all secrets are the old ones or all are the new ones, and none is lost.
//!
//! `strace` kills: it sends SIGKILL when the n-th system call of the kind that changes files is entered.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use agenix::secrecy::ExposeSecret as _;
use agenix::{Format, Recipient, agrees, decrypt, encrypt, recipients_of};

use sha2::{Digest as _, Sha256};

use crate::keys::{Keys, must};

const SECRETS: usize = 20;
/// The system calls that change files, by all their names. strace counts each by itself.
const CHANGES: [&str; 19] = [
    "openat",
    "write",
    "fsync",
    "fdatasync",
    "fchmod",
    "fchmodat",
    "fchown",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "flock",
    "ftruncate",
    "copy_file_range",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Rekey,
    Recover,
}

/// Twenty secrets in two folders, written for `me`; the rules name `host`, too.
struct Set {
    keys: Keys,
    before: BTreeMap<PathBuf, Vec<u8>>,
    readers: Vec<Recipient>,
}

impl Set {
    fn new(size: usize) -> Self {
        let keys = Keys::new();
        let readers = vec![keys.ed25519("me"), keys.ed25519("host")];
        let mut rules = serde_json::Map::new();
        let mut before = BTreeMap::new();
        for index in 0..SECRETS {
            let name = format!("{}/{index:02}.age", if index % 2 == 0 { "even" } else { "odd" });
            let keys: Vec<&str> = readers.iter().map(Recipient::text).collect();
            rules.insert(name.clone(), serde_json::json!({ "publicKeys": keys }));
            let text = encrypt(&plaintext(index, size), &readers[..1], Format::Binary).expect("encrypts");
            before.insert(PathBuf::from(name), text);
        }
        keys.write("rules.json", serde_json::Value::from(rules).to_string());
        let set = Self { keys, before, readers };
        set.reset();
        set
    }

    fn root(&self) -> PathBuf {
        self.keys.path("repository")
    }

    /// As before any rekey.
    fn reset(&self) {
        let _ = fs::remove_dir_all(self.root());
        for (name, content) in &self.before {
            let file = self.root().join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, content).expect("a file");
        }
    }

    /// Runs the example `rekey` behind `prologue`, a line of shell that ends in what it is run by.
    fn run(&self, task: Task, prologue: &str) -> Output {
        let example = example();
        let identity = (task == Task::Rekey).then(|| self.keys.path("me"));
        #[expect(clippy::disallowed_methods, reason = "the process under test")]
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{prologue} \"$@\""), "bash"]).arg(example);
        command.args([self.root(), self.keys.path("rules.json")]).args(identity);
        command.stdin(Stdio::null()).output().expect("bash")
    }

    /// Each secret is whole; says how many of them are new.
    fn replaced(&self) -> usize {
        let identities = self.keys.identities(&["me"]);
        let mut new = 0;
        for (index, (name, before)) in self.in_order() {
            let now = fs::read(self.root().join(name)).expect("never missing");
            if now == *before {
                continue;
            }
            let readers = recipients_of(&now).expect("never cut short");
            assert!(agrees(&readers, &self.readers).holds(), "{}", name.display());
            let content = decrypt(&now, &identities).expect("decrypts");
            assert!(content.expose_secret().starts_with(format!("secret {index} ").as_bytes()));
            new += 1;
        }
        new
    }

    fn in_order(&self) -> impl Iterator<Item = (usize, (&PathBuf, &Vec<u8>))> {
        self.before.iter().map(|(name, content)| {
            let stem = name.file_stem().expect("a name").to_string_lossy();
            (stem.parse().expect("a number"), (name, content))
        })
    }

    /// All files that are not secrets.
    fn leftovers(&self) -> Vec<PathBuf> {
        let folders = [self.root(), self.root().join("even"), self.root().join("odd")];
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
        let files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
        files.filter(|path| path.extension().is_none_or(|extension| extension != "age")).collect()
    }

    /// After the next run clears up: all or none, and nothing beside.
    fn assert_recovers(&self, when: &str) -> String {
        let output = self.run(Task::Recover, "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{when}: {said}");
        let new = self.replaced();
        assert!(new == 0 || new == SECRETS, "{when}: {new} of {SECRETS} are new: {said}");
        assert_eq!(self.leftovers(), Vec::<PathBuf>::new(), "{when}");
        said
    }
}

/// The example `rekey`, built: `cargo test` does so by itself only where it is told nothing about what to test.
fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        let package = ["build", "--quiet", "--locked", "--package", "agenix", "--example", "rekey"];
        must(env!("CARGO"), &package);
        let this = std::env::current_exe().expect("this test's own path");
        this.parent().and_then(Path::parent).expect("target/debug").join("examples/rekey")
    })
}

fn plaintext(index: usize, size: usize) -> Vec<u8> {
    let mut text = format!("secret {index} ").into_bytes();
    text.resize(text.len().max(size), b'x');
    text
}

/// Was it killed, before it came to its end?
fn killed(output: &Output) -> bool {
    output.status.signal() == Some(9) || output.status.code() == Some(137)
}

fn strace(call: &str, nth: usize) -> String {
    format!(
        "command -v strace >/dev/null || {{ echo 'install it: apt-get install -y strace'; exit 3; }}; \
         exec taskset --cpu-list 0 strace -f -qq -o /dev/null -e trace={call} -e inject={call}:signal=KILL:when={nth}"
    )
}

/// Kills `task` at each of its operations in turn; `prepare` and `check` are around each.
fn kill_everywhere(set: &Set, task: Task, prepare: impl Fn(), mut check: impl FnMut(&str)) -> usize {
    let mut operations = 0;
    for call in CHANGES {
        for nth in 1.. {
            assert!(nth < 1_000, "it does not come to an end");
            prepare();
            let output = set.run(task, &strace(call, nth));
            if !killed(&output) {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
                break;
            }
            operations += 1;
            check(&format!("{task:?} killed at {call} number {nth}"));
        }
    }
    operations
}

/// A set of which half is replaced, by a rekey that was killed while it was at it.
fn half_rekeyed(set: &Set) {
    // The first rename is the journal's.
    for call in ["rename", "renameat", "renameat2"] {
        set.reset();
        set.run(Task::Rekey, &strace(call, SECRETS / 2 + 2));
        if set.replaced() == SECRETS / 2 {
            return;
        }
    }
    panic!("no kill came between the renames");
}

#[test]
fn a_rekey_killed_at_any_file_operation_is_undone_or_done_by_the_next_run() {
    let set = Set::new(100);
    let (mut mixed, mut undone, mut done) = (0, 0, 0);
    let check = |when: &str| {
        let new = set.replaced();
        let said = set.assert_recovers(when);
        mixed += usize::from(new > 0 && new < SECRETS);
        undone += usize::from(said.contains("an earlier run was cut off"));
        done += usize::from(set.replaced() == SECRETS);
    };
    let operations = kill_everywhere(&set, Task::Rekey, || set.reset(), check);
    assert_eq!((set.replaced(), set.leftovers()), (SECRETS, vec![]), "the run that was not killed");
    // The controls: kills did come while half of the files were replaced, and while none and while all were.
    assert!(operations > 10 * SECRETS, "{operations}");
    assert!(mixed >= SECRETS - 1, "{mixed} of {operations} kills left a mixed set to be undone");
    assert!(undone > mixed && done > 0, "{undone}, {done}");
}

#[test]
fn a_recovery_killed_at_any_file_operation_is_taken_up_by_the_next_run() {
    let set = Set::new(100);
    let check = |when: &str| {
        set.assert_recovers(when);
        assert_eq!(set.replaced(), 0);
    };
    half_rekeyed(&set);
    let (root, copy) = (set.root(), set.keys.path("half"));
    // With `-a`, second names of a file stay second names.
    let copied =
        |from: &Path, to: &Path| drop(must("cp", &["-a".as_ref(), from.as_os_str(), to.as_os_str()]));
    copied(&root, &copy);
    let prepare = || {
        fs::remove_dir_all(&root).expect("a folder");
        copied(&copy, &root);
    };
    let operations = kill_everywhere(&set, Task::Recover, prepare, check);
    assert!(operations > SECRETS, "{operations}");
    assert_eq!((set.replaced(), set.leftovers()), (0, vec![]), "the recovery that was not killed");
}

#[test]
fn what_somebody_wrote_since_is_not_undone() {
    let set = Set::new(100);
    half_rekeyed(&set);
    let theirs = encrypt(&plaintext(0, 200), &set.readers, Format::Binary).expect("encrypts");
    fs::write(set.root().join("even/00.age"), &theirs).expect("a file");
    let said = set.run(Task::Recover, "");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("changed since, and left alone: ") && said.contains("even/00.age"), "{said}");
    assert_eq!(fs::read(set.root().join("even/00.age")).expect("a file"), theirs);
    assert_eq!(set.replaced(), 1, "theirs; the others are as before");
}

#[test]
fn a_full_disk_leaves_every_secret_as_it_was() {
    let set = Set::new(8_000);
    // Room for the secrets and for half of their successors.
    let (root, copy) = (set.root(), set.keys.path("copy"));
    let (root, copy) = (root.display(), copy.display());
    let prologue = format!(
        "unshare --mount bash -c 'set -e; cp -a {root} {copy}; mount -t tmpfs -o size=300k none {root}; \
         cp -a {copy}/. {root}/; \"$@\" && diff -r {copy} {root} && echo untouched' bash"
    );
    let output = set.run(Task::Rekey, &prologue);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("of the secrets could not be rekeyed, so none was"), "{said}");
    assert!(said.contains("untouched"), "{said}");
}

#[test]
fn a_file_that_cannot_be_replaced_has_the_others_put_back() {
    let set = Set::new(100);
    let root = set.root();
    let root = root.display();
    // A mount point can be written to, and not be renamed over: this is seen only when half of the files are replaced.
    let prologue = format!(
        "unshare --mount bash -c 'mount --bind {root}/even/18.age {root}/even/18.age && \"$@\"' bash"
    );
    let output = set.run(Task::Rekey, &prologue);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("failed to replace the secrets"), "{said}");
    assert!(said.contains("even/18.age: could not replace it"), "{said}");
    assert_eq!((set.replaced(), set.leftovers()), (0, vec![]));
}

#[test]
fn a_folder_that_cannot_be_written_to_stops_it_before_anything_is_replaced() {
    let set = Set::new(100);
    let root = set.root();
    let (keys, root) = (set.keys.folder().display(), root.display());
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let prologue = format!("chown -R 65534:65534 {keys} && chmod 0555 {root}/odd && {nobody}");
    let output = set.run(Task::Rekey, &prologue);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("10 of the secrets could not be rekeyed, so none was"), "{said}");
    assert_eq!((set.replaced(), set.leftovers()), (0, vec![]));
}

#[test]
fn a_disk_that_fails_to_sync_leaves_all_or_none_and_the_message_is_true() {
    let set = Set::new(100);
    let (mut old, mut new) = (0, 0);
    for nth in 1..15 {
        set.reset();
        let inject = format!(
            "exec taskset --cpu-list 0 strace -f -qq -o /dev/null -e trace=fsync \
                              -e inject=fsync:error=EIO:when={nth}"
        );
        let said = set.run(Task::Rekey, &inject);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let replaced = set.replaced();
        if said.contains("20 rekeyed") {
            assert_eq!((replaced, set.leftovers()), (SECRETS, vec![]), "sync {nth}: {said}");
            new += 1;
        } else {
            assert_eq!((replaced, set.leftovers()), (0, vec![]), "sync {nth}: {said}");
            old += 1;
        }
        assert_eq!(String::from_utf8_lossy(&set.run(Task::Recover, "").stdout), "", "sync {nth}");
    }
    // The contents', each by a thread of its own; then those of the folders and of the journal.
    assert!(old > 4 && new > 0, "{old}, {new}");
}

#[test]
fn a_writer_of_another_secrets_nix_in_the_repository_waits() {
    let set = Set::new(100);
    fs::create_dir(set.root().join(".git")).expect("a repository");
    // Slow renames: the other comes in between if it can.
    let slow = "exec strace -f -qq -o /dev/null -e trace=rename,renameat,renameat2 \
                -e inject=rename,renameat,renameat2:delay_enter=30000";
    std::thread::scope(|scope| {
        let rekey = scope.spawn(|| set.run(Task::Rekey, slow));
        let rules = set.keys.write("other.json", "{}");
        while !rekey.is_finished() {
            #[expect(clippy::disallowed_methods, reason = "the process under test")]
            let mut other = Command::new(example());
            let other = other.arg(set.root().join("even")).arg(&rules).output().expect("the example");
            assert_eq!(String::from_utf8_lossy(&other.stdout), "", "it finds nothing to put in order");
        }
        let said = rekey.join().expect("no panic");
        assert!(String::from_utf8_lossy(&said.stdout).contains("20 rekeyed"));
    });
    assert_eq!((set.replaced(), set.leftovers()), (SECRETS, vec![]));
}

#[test]
fn what_somebody_puts_in_place_during_the_commit_is_not_lost() {
    let set = Set::new(100);
    let theirs = encrypt(&plaintext(18, 200), &set.readers, Format::Binary).expect("encrypts");
    let file = set.root().join("even/18.age");
    let slow = "exec taskset --cpu-list 0 strace -f -qq -o /dev/null -e trace=rename,renameat,renameat2 \
                -e inject=rename,renameat,renameat2:delay_enter=50000";
    let said = std::thread::scope(|scope| {
        let rekey = scope.spawn(|| set.run(Task::Rekey, slow));
        while set.replaced() == 0 {
            assert!(!rekey.is_finished(), "too quick for this test");
        }
        let aside = set.keys.write("theirs", &theirs);
        fs::rename(aside, &file).expect("moved in place");
        rekey.join().expect("no panic")
    });
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("even/18.age was changed by somebody else meanwhile"), "{said}");
    assert_eq!(fs::read(&file).expect("a file"), theirs);
    assert_eq!((set.replaced(), set.leftovers()), (1, vec![]), "theirs; the others are as before");
}

#[test]
fn a_journal_that_a_commit_brought_is_not_believed() {
    let set = Set::new(100);
    fs::create_dir(set.root().join(".git")).expect("a repository");
    fs::write(set.root().join("notes.txt"), "mine").expect("a file");
    let digest: String = Sha256::digest(b"mine").iter().map(|byte| format!("{byte:02x}")).collect();
    let entry = serde_json::json!({ "target": "notes.txt", "backup": null, "new": digest });
    let journal = serde_json::json!({ "agenix": 1, "files": [entry] }).to_string();
    fs::write(set.root().join(".agenix.journal"), journal).expect("a file");
    set.run(Task::Recover, "");
    assert_eq!(fs::read(set.root().join("notes.txt")).expect("still there"), b"mine");
}
