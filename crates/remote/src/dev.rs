//! The developer's own commands, for `cargo xtask test` and `--install`: run as in a script, seen as they run.

use std::path::Path;

use xshell::{Shell, cmd};

/// Runs `argv` in `dir` with our standard output and error, with extra environment variables.
///
/// # Errors
/// What xshell says: the command line and how it ended.
pub fn run_visibly(dir: &Path, argv: &[&str], env: &[(&str, &str)]) -> xshell::Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(dir);
    let (program, args) = argv.split_first().expect("a command has a program");
    #[expect(clippy::disallowed_methods, reason = "the one place where the developer's commands start")]
    let mut command = cmd!(shell, "{program} {args...}").quiet();
    for name in crate::run::UNWANTED {
        command = command.env_remove(name);
    }
    for (name, value) in env {
        command = command.env(name, value);
    }
    command.run()
}
