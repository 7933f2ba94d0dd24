//! `test`: everything that CI runs, in the order in which it fails fastest.

use std::path::Path;

use console::style;

use crate::cli::{Global, Test};
use crate::failure::{Failure, Kind, Result};

/// One check: what it is called, its command line, extra environment.
struct Check {
    name: &'static str,
    argv: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

/// What the tests use beyond the lab's packages.
const PACKAGES: [(&str, &str); 2] = [("shellcheck", "shellcheck"), ("kubernetes-client", "kubectl")];

const CHECKS: [Check; 5] = [
    Check { name: "format", argv: &["cargo", "fmt", "--all", "--check"], env: &[] },
    Check {
        name: "shell scripts",
        argv: &[
            "shellcheck",
            ".ci/run",
            "crates/lab/nixpkgs/pkgs/activation/init.sh",
            "crates/lab/nixpkgs/pkgs/activation/only-on-rehearsal-machines.sh",
        ],
        env: &[],
    },
    Check {
        name: "lints",
        argv: &["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"],
        env: &[],
    },
    Check {
        name: "documentation",
        argv: &["cargo", "doc", "--quiet", "--workspace", "--no-deps"],
        env: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
    // Last: its closing lines are what a machine reads. The crates have no documentation tests to close with.
    Check {
        name: "tests",
        argv: &["cargo", "test", "--workspace", "--lib", "--bins", "--examples", "--tests"],
        env: &[],
    },
];

pub(crate) fn run(global: &Global, args: &Test) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace");
    if global.dry_run {
        for check in &CHECKS {
            say!("would run {}: {}", check.name, check.argv.join(" "));
        }
        return Ok(());
    }
    if args.install {
        lab::install(&PACKAGES, &|line| eprintln!("{line}"))?;
    }
    for check in &CHECKS {
        say!("{} {}", style("test").cyan().bold(), check.name);
        remote::dev::run_visibly(root, check.argv, check.env).map_err(|error| {
            Failure::new(Kind::Verification, format!("{}: {error}", check.name))
                .hint("`cargo xtask test --install` installs what the tests need".to_owned())
        })?;
    }
    Ok(())
}
