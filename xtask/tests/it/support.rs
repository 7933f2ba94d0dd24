//! What the tests share: a lab to run in, and the tool's answers to look at.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Output, Stdio};

use expect_test::Expect;
use lab::{Lab, Options};

use crate::events;

/// The program under test.
pub(crate) const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The repository that this test belongs to.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// Runs `body` in a lab of the repository's own fleet: the test's program is run again, for this one test, in
/// namespaces of its own.
pub(crate) fn in_lab(test: &str, body: impl FnOnce(&Lab)) {
    enter_lab(test, repository, body);
}

/// The same with another repository, made in the lab's namespaces.
pub(crate) fn enter_lab<R: AsRef<Path>>(test: &str, repository: impl FnOnce() -> R, body: impl FnOnce(&Lab)) {
    enter_lab_with(&Options::default(), test, repository, body);
}

/// The same with machines of another kind.
pub(crate) fn enter_lab_with<R: AsRef<Path>>(
    options: &Options,
    test: &str,
    repository: impl FnOnce() -> R,
    body: impl FnOnce(&Lab),
) {
    if lab::is_inside() {
        let lab = Lab::boot(repository().as_ref(), Path::new(XTASK), options, &|_| {});
        return body(&lab.unwrap_or_else(|error| panic!("{error}")));
    }
    let program = std::env::current_exe().expect("a test has a program");
    let code = lab::enter(&program, ["--exact", test, "--nocapture", "--test-threads=1", "--quiet"]);
    let code = code.unwrap_or_else(|error| panic!("{error}\nhint: {}", error.hint().unwrap_or_default()));
    assert_eq!(code, 0, "{test} failed in its lab; see above");
}

/// What the tool said and how it ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Asserts the exit code, showing everything if it is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that the messages hold this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// The message about a failure, behind the steps and the table, and before where the report is.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        let from = self.stderr.find("error:").unwrap_or_else(|| panic!("no error in:\n{}", self.stderr));
        let error = &self.stderr[from..];
        error.split_once("\nreport: ").map_or(error, |(error, _)| error)
    }

    /// What a `--json` stream tells between its first line and its last.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let lines: Vec<&str> = self.stdout.lines().collect();
        let [_, between @ .., _] = &lines[..] else { panic!("no stream of events: {self:?}") };
        between.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same as lines.
    pub(crate) fn event_lines(&self) -> String {
        let lines: Vec<&str> = self.stdout.lines().collect();
        let [_, between @ .., _] = &lines[..] else { panic!("no stream of events: {self:?}") };
        between.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The table's and the steps' line that begins like this.
    #[track_caller]
    pub(crate) fn line(&self, beginning: &str) -> &str {
        let line = self.stderr.lines().find(|line| line.starts_with(beginning));
        line.unwrap_or_else(|| panic!("no line begins with `{beginning}` in:\n{}", self.stderr))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Any program, with its output captured whole.
pub(crate) fn run(argv: &[&str], dir: &Path, env: &[(&str, &str)]) -> Answer {
    run_fed(argv, dir, env, b"")
}

/// The same, with a pipe of these bytes as its standard input.
#[expect(clippy::disallowed_methods, reason = "a test looks at processes from outside")]
pub(crate) fn run_fed(argv: &[&str], dir: &Path, env: &[(&str, &str)], stdin: &[u8]) -> Answer {
    let mut command = std::process::Command::new(argv[0]);
    // What we are tested on may itself be a runner, which would change what is printed.
    ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"].iter().for_each(|name| {
        command.env_remove(name);
    });
    command.args(&argv[1..]).current_dir(dir).envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("failed to run {}: {error}", argv[0]));
    let mut pipe = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        // Beside, since a program may say much before it reads; one that reads nothing is judged by how it ends.
        scope.spawn(move || pipe.write_all(stdin));
        let answer: Answer = child.wait_with_output().expect("its output").into();
        // Whatever a test is about, the events that it gets are as docs/events.md says.
        if events::are_asked_for(argv) {
            events::validate(&answer);
        }
        answer
    })
}

/// Chromium without a screen and without a network of its own: what is asked for, the page asks for.
pub(crate) const CHROMIUM: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Ctrl-C, as a terminal sends it.
pub(crate) const CTRL_C: &str = "\x03";

/// A program at a terminal of its own, with a person there who types `keys` whenever `question` is shown. What was shown is
/// given as standard output.
#[expect(clippy::disallowed_methods, reason = "a test looks at processes from outside")]
pub(crate) fn run_at_terminal(
    argv: &[&str],
    dir: &Path,
    env: &[(&str, &str)],
    (question, keys): (&str, &str),
) -> Answer {
    // Ctrl-C reaches the shell as well, which would end before it had the exit code.
    let line = format!("trap : INT; {}; exit $?", remote::quote_all(argv));
    let mut command = std::process::Command::new("script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    ["GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"].iter().for_each(|name| {
        command.env_remove(name);
    });
    command.current_dir(dir).envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("`script` of util-linux");
    let mut keyboard = child.stdin.take().expect("a pipe");
    let mut screen = child.stdout.take().expect("a pipe");
    let (mut shown, mut some) = (Vec::new(), [0; 4096]);
    let mut answered = 0;
    while let Ok(count @ 1..) = screen.read(&mut some) {
        shown.extend_from_slice(&some[..count]);
        if String::from_utf8_lossy(&shown).matches(question).count() > answered {
            keyboard.write_all(keys.as_bytes()).expect("a keyboard");
            answered += 1;
        }
    }
    let code = child.wait().expect("it ends").code().unwrap_or(-1);
    Answer { code, stdout: String::from_utf8_lossy(&shown).into_owned(), stderr: String::new() }
}

/// A repository as `git clone` gives it, in a folder that goes away with it.
pub(crate) struct Clone {
    folder: tempfile::TempDir,
}

impl AsRef<Path> for Clone {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Clone {
    pub(crate) fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// On a tmpfs that only the lab's namespaces see: once its deployer has moved in, nobody could remove the folder.
    pub(crate) fn in_namespace() -> Self {
        run(&["mount", "--make-rprivate", "/"], Path::new("/"), &[]).expect(0);
        run(&["mount", "-t", "tmpfs", "clone", "/mnt"], Path::new("/"), &[]).expect(0);
        Self::within(Path::new("/mnt"))
    }

    fn within(folder: &Path) -> Self {
        let clone = Self { folder: tempfile::tempdir_in(folder).unwrap() };
        let copy = ["cp", "-a", "flake.nix", "secrets.nix", "hosts", clone.path().to_str().unwrap()];
        run(&copy, repository(), &[]).expect(0);
        clone.git(&["init", "--quiet"]);
        clone.git(&["add", "--all"]);
        clone
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// With further hosts, each like `like`, which is one of this repository.
    pub(crate) fn with_hosts(self, like: &str, role: &str, names: &[&str]) -> Self {
        let path = self.path().join("hosts/fleet.toml");
        let mut text = fs::read_to_string(&path).unwrap();
        for name in names {
            let folder = format!("hosts/{name}");
            run(&["cp", "-a", &format!("hosts/{like}"), &folder], self.path(), &[]).expect(0);
            let address = format!("100.64.0.{}", 20 + text.matches("[hosts.").count());
            text += &format!("\n[hosts.{name}]\nrole = \"{role}\"\nnode_ip = \"{address}\"\n");
        }
        fs::write(path, text).unwrap();
        self.git(&["add", "--all"]);
        self
    }

    /// Replaces a text in one of its files.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        edit(&self.path().join(file), from, to);
    }

    pub(crate) fn git(&self, args: &[&str]) {
        run(&[&["git"], args].concat(), self.path(), &[]).expect(0);
    }

    pub(crate) fn fleet(&self, from: &str, to: &str) -> &Self {
        self.edit("hosts/fleet.toml", from, to);
        self
    }

    pub(crate) fn xtask(&self, args: &[&str]) -> Answer {
        self.xtask_with(args, &[])
    }

    pub(crate) fn xtask_with(&self, args: &[&str], env: &[(&str, &str)]) -> Answer {
        run(&[&[XTASK], args].concat(), self.path(), env)
    }

    /// Asserts the exit code and the whole of the messages; the clone's own path is shown as `REPO`.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str], code: i32, expect: &Expect) {
        refused(self.xtask(args), code, self.path(), expect);
    }
}

#[track_caller]
pub(crate) fn refused(answer: Answer, code: i32, path: &Path, expect: &Expect) {
    let answer = answer.expect(code);
    expect.assert_eq(&answer.stderr.replace(path.to_str().unwrap(), "REPO"));
}

/// The tool on the lab's deployer, in the copied repository, against the miniature nixpkgs.
pub(crate) fn xtask(lab: &Lab, args: &[&str]) -> Answer {
    let argv = lab.deployer().xtask().args(args).argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    run(&argv, &lab.deployer().repository(), &[])
}

/// The same as a command line for a terminal that is like this, `TERM=xterm`: which one the tests were started in, if any, is
/// of no concern.
pub(crate) fn argv_in(terminal: &str, lab: &Lab, args: &[&str]) -> Vec<String> {
    let argv = lab.deployer().xtask().args(args).argv();
    let of_tests = |word: &String| {
        ["TERM=", "COLUMNS=", "LINES=", "NO_COLOR="].iter().any(|name| word.starts_with(name))
    };
    let mut argv: Vec<String> = argv.into_iter().filter(|word| !of_tests(word)).collect();
    // Behind `env --ignore-environment`.
    argv.splice(2..2, terminal.split(' ').map(str::to_owned));
    argv
}

/// The same, run, with a person at the terminal.
pub(crate) fn xtask_in(terminal: &str, lab: &Lab, args: &[&str], typed: (&str, &str)) -> Answer {
    let argv = argv_in(terminal, lab, args);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    run_at_terminal(&argv, &lab.deployer().repository(), &[], typed)
}

/// A shell line on a machine that is up, past its network; gives its standard output.
#[track_caller]
pub(crate) fn on(lab: &Lab, machine: &str, line: &str) -> String {
    let entrance = lab.machine(machine).entrance().unwrap_or_else(|| panic!("{machine} is down"));
    let words: Vec<&str> = entrance.iter().map(String::as_str).chain(["bash", "-c", line]).collect();
    let answer = run(&words, Path::new("/root"), &[]);
    assert_eq!(answer.code, 0, "`{line}` on {machine}: {}", answer.stderr);
    answer.stdout.trim().to_owned()
}

/// The same over ssh with the rehearsal's admin key, where the machine may well not answer.
pub(crate) fn try_on(lab: &Lab, machine: &str, line: &str) -> Answer {
    let address = lab.machine(machine).address().to_string();
    let options =
        ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
    let argv = [
        &["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3"][..],
        &options,
        &["-l", "root", "--", &address, line],
    ]
    .concat();
    run(&argv, Path::new("/"), &[("HOME", "/root")])
}

/// Replaces a text in a file, which has it.
#[track_caller]
pub(crate) fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "`{from}` is not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Gives a host this minor version of K3s.
pub(crate) fn give_k3s(lab: &Lab, host: &str, minor: u32) {
    let path = lab.deployer().repository().join(format!("hosts/{host}/default.nix"));
    let text = fs::read_to_string(&path).unwrap().replacen("{ lib, ... }:", "{ lib, pkgs, ... }:", 1);
    let rest: Vec<&str> = text.lines().filter(|line| !line.contains("services.k3s.package")).collect();
    let package = format!("  services.k3s.package = pkgs.k3s_1_{minor};\n  system.stateVersion");
    fs::write(path, rest.join("\n").replacen("  system.stateVersion", &package, 1) + "\n").unwrap();
}

/// Appends to a host's configuration.
pub(crate) fn configure(lab: &Lab, host: &str, line: &str) -> String {
    let module = lab.deployer().repository().join(format!("hosts/{host}/default.nix"));
    let old = fs::read_to_string(&module).unwrap();
    let end = old.rfind('}').unwrap();
    fs::write(&module, format!("{}{line}\n}}\n", &old[..end])).unwrap();
    old
}
