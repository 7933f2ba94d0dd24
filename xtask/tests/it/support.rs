//! What the tests share: a lab to run in, and the tool's answers to look at.

use std::path::Path;
use std::process::Output;

use lab::Lab;

/// The program under test.
pub(crate) const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The repository that this test belongs to.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// Runs `body` in a lab of the repository's own fleet: the test's program is run again, for this one test, in
/// namespaces of its own.
pub(crate) fn in_lab(test: &str, body: impl FnOnce(&Lab)) {
    if lab::is_inside() {
        let lab =
            Lab::boot(repository(), Path::new(XTASK), &|_| {}).unwrap_or_else(|error| panic!("{error}"));
        return body(&lab);
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
#[expect(clippy::disallowed_methods, reason = "a test looks at processes from outside")]
pub(crate) fn run(argv: &[&str], dir: &Path, env: &[(&str, &str)]) -> Answer {
    let mut command = std::process::Command::new(argv[0]);
    command.args(&argv[1..]).current_dir(dir).envs(env.iter().copied()).stdin(std::process::Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("failed to run {}: {error}", argv[0]));
    output.into()
}

/// The tool on the lab's deployer, in the copied repository, against the miniature nixpkgs.
pub(crate) fn xtask(lab: &Lab, args: &[&str]) -> Answer {
    let argv = lab.deployer().xtask().args(args).argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    run(&argv, &lab.deployer().repository(), &[])
}

/// A shell line on a machine, over ssh with the rehearsal's admin key; gives its standard output.
#[track_caller]
pub(crate) fn on(lab: &Lab, machine: &str, line: &str) -> String {
    let address = lab.machine(machine).address().to_string();
    let options =
        ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
    let argv =
        [&["ssh", "-o", "BatchMode=yes"][..], &options, &["-l", "root", "--", &address, line]].concat();
    let answer = run(&argv, Path::new("/"), &[("HOME", "/root")]);
    assert_eq!(answer.code, 0, "`{line}` on {machine}: {}", answer.stderr);
    answer.stdout.trim().to_owned()
}
