//! A repository with secrets, a home and temporary folders, all of one test and gone with it; and the drop-in run in
//! there as a script runs it. For a person at a terminal see [`crate::terminal`].

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use agenix::secrecy::ExposeSecret as _;
use agenix::{Folder, Format, Recipient, Rules, Secrets, decrypt, encrypt};
use tempfile::TempDir;

use crate::keys::Keys;

/// Far above what anything here takes, so that a hang is told as one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// In memory on every Linux.
pub(crate) const SHM: &str = "/dev/shm";

pub(crate) struct World {
    pub(crate) keys: Keys,
    pub(crate) me: Recipient,
    root: TempDir,
    memory: TempDir,
}

/// The folders of a world are gone with it.
impl World {
    /// A repository with one rule for each name, all for `me`, whose key is in the home folder. No file yet.
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let keys = Keys::new();
        let me = keys.ed25519("me");
        let root = tempfile::tempdir().expect("a temporary folder");
        let memory = tempfile::tempdir_in(SHM).expect("a folder in memory");
        let world = Self { keys, me, root, memory };
        for folder in ["repository/.git", "home/.ssh", "tmp", "log"] {
            fs::create_dir_all(world.root.path().join(folder)).expect("a folder");
        }
        fs::copy(world.keys.path("me"), world.home().join(".ssh/id_ed25519")).expect("a key");
        let rules: Vec<(&str, &[Recipient])> =
            secrets.iter().map(|name| (*name, std::slice::from_ref(&world.me))).collect();
        world.rules(&rules);
        world
    }

    /// Writes secrets.nix.
    pub(crate) fn rules(&self, rules: &[(&str, &[Recipient])]) {
        let line = |(name, readers): &(&str, &[Recipient])| {
            let keys: Vec<String> = readers.iter().map(|reader| nix_string(reader.text())).collect();
            format!("  {}.publicKeys = [ {} ];\n", nix_string(name), keys.join(" "))
        };
        let text = format!("{{\n{}}}\n", rules.iter().map(line).collect::<String>());
        fs::write(self.path("secrets.nix"), text).expect("secrets.nix");
    }

    /// The same rules for the library, which needs no nix for them.
    pub(crate) fn library(&self, rules: &[(&str, &[Recipient])]) -> Secrets {
        let rule = |(name, readers): &(&str, &[Recipient])| {
            let keys: Vec<&str> = readers.iter().map(Recipient::text).collect();
            ((*name).to_owned(), serde_json::json!({ "publicKeys": keys }))
        };
        let rules: serde_json::Map<_, _> = rules.iter().map(rule).collect();
        let rules = Rules::from_json(&serde_json::Value::Object(rules).to_string()).expect("rules");
        Secrets::new(Folder::new(&self.repository()).expect("a folder"), rules)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.root.path().join("repository")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// The runtime folder, which is a tmpfs.
    pub(crate) fn memory(&self) -> &Path {
        self.memory.path()
    }

    /// A file of the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.repository().join(name)
    }

    /// Makes a secret, for me.
    pub(crate) fn keep(&self, name: &str, content: impl AsRef<[u8]>) {
        let ciphertext = encrypt(content.as_ref(), std::slice::from_ref(&self.me), Format::Binary);
        fs::create_dir_all(self.path(name).parent().expect("a folder")).expect("its folder");
        fs::write(self.path(name), ciphertext.expect("encrypts")).expect("a file");
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect(name)
    }

    /// A secret's content, opened with my key.
    #[track_caller]
    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let plaintext = decrypt(&self.bytes(name), &self.keys.identities(&["me"])).expect("decrypts");
        plaintext.expose_secret().to_vec()
    }

    /// The drop-in, as a script runs it: without a terminal.
    pub(crate) fn agenix<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Call<'_> {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Call { world: self, args, env: Vec::new(), dir: self.repository(), stdin: Vec::new() }
    }

    /// A value for EDITOR: these shell lines, with the secret's file in `$1`. `$LOG` is a folder for what they notice;
    /// `$LOG/opened` there begins when they do.
    pub(crate) fn editor(&self, lines: &str) -> String {
        let file = self.log("editor.sh");
        let opened = "printf '%s\\n' \"$PPID $1\" >> \"$LOG/opened\"";
        fs::write(&file, format!("{opened}\n{lines}\n")).expect("an editor");
        // By its interpreter: a file that a parallel test's child still has open cannot be executed.
        format!("sh {}", file.display())
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.path().join("log").join(name)
    }

    /// What an editor wrote down.
    #[track_caller]
    pub(crate) fn noted(&self, name: &str) -> String {
        fs::read_to_string(self.log(name)).expect(name)
    }

    /// Each start of an editor: the drop-in's process and the file.
    pub(crate) fn drafts(&self) -> Vec<(String, PathBuf)> {
        let text = fs::read_to_string(self.log("opened")).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.split_once(' '));
        lines.map(|(process, file)| (process.to_owned(), file.into())).collect()
    }

    /// Asserts that the repository has these files and no others, and that nothing is left in any temporary folder,
    /// nor where an editor's file was.
    #[track_caller]
    pub(crate) fn is_tidy(&self, files: &[&str]) {
        let mut expected: Vec<&str> = [&["secrets.nix"], files].concat();
        expected.sort_unstable();
        assert_eq!(tree(&self.repository()), expected);
        assert_eq!(tree(&self.root.path().join("tmp")), [""; 0]);
        assert_eq!(tree(self.memory()), [""; 0]);
        for (_, draft) in self.drafts() {
            let folder = draft.parent().expect("its folder");
            assert!(!folder.exists(), "{} is still there", folder.display());
        }
    }
}

/// A run of the drop-in that is still to be started.
pub(crate) struct Call<'w> {
    pub(crate) world: &'w World,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    dir: PathBuf,
    stdin: Vec<u8>,
}

impl Call<'_> {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = self.dir.join(dir);
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    pub(crate) fn argv(&self) -> Vec<OsString> {
        [OsString::from(env!("CARGO_BIN_EXE_agenix"))].into_iter().chain(self.args.iter().cloned()).collect()
    }

    /// A program in the world's surroundings: little is handed on, so that nobody's EDITOR or RULES gets in.
    #[expect(clippy::disallowed_methods, reason = "a test looks at processes from outside")]
    pub(crate) fn command(&self, argv: &[OsString]) -> Command {
        let mut command = Command::new(&argv[0]);
        let kept = |name: &str| name == "PATH" || name.starts_with("NIX_");
        let kept = std::env::vars().filter(|(name, _)| kept(name));
        // Where Nix was never set up, it warns of its build users at each start.
        let config = std::env::var("NIX_CONFIG").unwrap_or_default() + "\nbuild-users-group =\n";
        command.args(&argv[1..]).current_dir(&self.dir).env_clear().envs(kept).env("NIX_CONFIG", config);
        command.envs([("LANG", "C.UTF-8"), ("SHELL", "/bin/sh")]);
        command.env("HOME", self.world.home()).env("XDG_RUNTIME_DIR", self.world.memory());
        command.env("TMPDIR", self.world.root.path().join("tmp")).env("LOG", self.world.log(""));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn start(self) -> std::process::Child {
        let mut command = self.command(&self.argv());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the drop-in starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Beside, since nobody reads what the drop-in says meanwhile. A run that does not read is judged by its end.
        std::thread::spawn(move || stdin.write_all(&self.stdin));
        child
    }

    pub(crate) fn run(self) -> Answer {
        self.start().wait_with_output().expect("it ends").into()
    }
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Answer {
    /// Asserts the exit code, showing everything if it is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        let Self { code: found, stdout, stderr } = &self;
        assert_eq!(*found, code, "stdout:\n{}\nstderr:\n{stderr}", String::from_utf8_lossy(stdout));
        self
    }

    /// Asserts that it succeeded and said this.
    #[track_caller]
    pub(crate) fn says(self, stderr: &str) {
        assert_eq!(self.expect(0).stderr, stderr);
    }

    /// Asserts that it failed with these words.
    #[track_caller]
    pub(crate) fn refuses(self, stderr: &str) {
        assert_eq!(self.expect(1).stderr, stderr);
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr }
    }
}

/// Waits for something that another process does.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every file below a folder, but for git's own.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let entry = entry.expect("an entry");
            match entry.file_type().expect("its type").is_dir() {
                true if entry.file_name() == ".git" => {}
                true => folders.push(entry.path()),
                false => found.push(entry.path().strip_prefix(folder).expect("below").display().to_string()),
            }
        }
    }
    found.sort();
    found
}

fn nix_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${"))
}
