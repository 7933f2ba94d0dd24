//! `rehearse`: the same commands, against throwaway machines.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use agenix::{Rules, SecretPath};
use console::style;
use lab::{Lab, System};

use crate::cli::{self, Global, Rehearse};
use crate::events::would;
use crate::failure::{Failure, Kind, Result};
use crate::repository::{Repository, is_token};

/// Somebody's file that is no script is told before it fills the memory.
const SCRIPT_MAX: u64 = 1 << 20;

/// Of a machine that is no Debian, where git does not look.
const OWN_SYSTEM: &str = "target/debian";

pub(crate) fn run(global: &Global, args: &Rehearse) -> Result<()> {
    if args.clean && global.dry_run {
        would(global, "remove the cgroups of rehearsals that were killed");
        return Ok(());
    }
    if args.clean {
        eprintln!("removed {} cgroups of rehearsals that were killed", lab::clean());
        return Ok(());
    }
    if lab::is_inside() {
        return inside(global, args);
    }
    // A mistyped word is told at once, and not once the machines are up.
    let words = std::iter::once("xtask".to_owned()).chain(command(args)).map(OsString::from);
    if cli::parse_from(words)?.is_none() {
        return Ok(());
    }
    let repository = Repository::find()?;
    repository.fleet()?;
    options(args, &repository)?;
    let has_k3s = !args.k3s.is_empty();
    if global.dry_run {
        let command = command(args).join(" ");
        would(global, &format!("boot a machine for each host of hosts/fleet.toml and run: {command}"));
        return Ok(());
    }
    let root = root(args, &repository)?;
    if let (None, Some(own)) = (&args.root, root.as_ref().filter(|own| !args.install && !own.exists())) {
        let message =
            format!("there is no apt-get here, and no Debian for the machines in {}", own.display());
        let hint = "`cargo xtask rehearse --install` makes it by debootstrap; --root DIR names another one";
        return Err(Failure::configuration(message).hint(hint.to_owned()));
    }
    let tell = |line: &str| eprintln!("{line}");
    if let (true, Some(root)) = (args.install, &root) {
        lab::make_system(root, &tell)?;
    }
    let system = System::new(root.as_deref())?;
    if args.install {
        lab::install(&system, has_k3s, &[], &tell)?;
    }
    system.require(has_k3s)?;
    let program = std::env::current_exe()?;
    match lab::enter(&program, std::env::args_os().skip(1))? {
        0 => Ok(()),
        code => Err(Failure::ended(code)),
    }
}

/// The folder whose system the machines have. For a machine that is no Debian `--install` makes one.
fn root(args: &Rehearse, repository: &Repository) -> Result<Option<PathBuf>> {
    let is_debian = System::new(None)?.has_apt();
    Ok(args.root.clone().or_else(|| (!is_debian).then(|| repository.root().join(OWN_SYSTEM))))
}

fn options(args: &Rehearse, repository: &Repository) -> Result<lab::Options> {
    let k3s = args.k3s.iter().map(|file| lab::K3s::at(file)).collect::<std::result::Result<_, _>>()?;
    if let Some(image) = args.image.iter().find(|image| !image.is_file()) {
        return Err(Failure::new(Kind::Usage, format!("{} is no file", image.display())));
    }
    Ok(lab::Options { k3s, images: args.image.clone(), root: root(args, repository)? })
}

/// What is real and what stands in.
fn banner(options: &lab::Options) -> String {
    if options.k3s.is_empty() {
        return "the nixpkgs, nixos-rebuild and K3s in it are stand-ins".to_owned();
    }
    let versions: Vec<&str> = options.k3s.iter().map(lab::K3s::version).collect();
    format!(
        "K3s {} is real, as are containerd, runc and the CNI plugins; the nixpkgs and nixos-rebuild are stand-ins",
        versions.join(", ")
    )
}

fn command(args: &Rehearse) -> Vec<String> {
    if args.command.is_empty() { vec!["bootstrap-cluster".to_owned()] } else { args.command.clone() }
}

/// What was asked of every command is asked of the one under rehearsal too. An identity is not: the rehearsal has its own.
fn handed_on(global: &Global) -> Vec<String> {
    let flags = [("--json", global.json), ("--yes", global.yes), ("--verbose", global.verbose)];
    let flags = flags.iter().filter(|(_, given)| *given).map(|(flag, _)| (*flag).to_owned());
    let values = [
        format!("--color={}", global.color.word()),
        format!("--jobs={}", global.jobs),
        format!("--gate-timeout={}", global.gate_timeout),
        format!("--activation-timeout={}", global.activation_timeout),
    ];
    flags.chain(values).collect()
}

/// The user's secrets are not in the lab, and a flake that names them must evaluate: each is there with other contents,
/// encrypted to the rehearsal's keys. The cluster's tokens are not: making those is what is rehearsed.
fn placeholders(lab: &Lab) -> Result<()> {
    let paths = lab.secrets().iter().filter(|path| !is_token(path));
    let paths: Vec<_> = paths.filter_map(|path| SecretPath::parse(path).ok()).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let argv = agenix::evaluate_argv(Path::new("/cluster/secrets.nix"));
    let evaluate = lab.deployer().command(&argv[0].to_string_lossy()).args(&argv[1..]);
    let rules = Rules::from_json(&evaluate.run()?.text())?;
    for path in paths {
        let Ok(rule) = rules.rule(&path) else { continue };
        let bytes = agenix::encrypt(b"a placeholder of the rehearsal\n", &rule.recipients()?, rule.format())?;
        agenix::write_atomic(&path.in_repository(&lab.deployer().repository()), &bytes)?;
        lab.deployer().command("git").args(["add", "--intent-to-add", "--", path.as_str()]).run()?;
    }
    Ok(())
}

/// In namespaces of our own, as their PID 1: when this returns, everything in them ends.
fn inside(global: &Global, args: &Rehearse) -> Result<()> {
    let start = Instant::now();
    let repository = Repository::find()?;
    let say = |text: &str| eprintln!("{} {text}", style("rehearsal").magenta().for_stderr());
    say("throwaway machines, a network without a way out");
    let options = options(args, &repository)?;
    say(&banner(&options));
    let script = if args.shell { script()? } else { None };
    let lab = Lab::boot(repository.root(), &std::env::current_exe()?, &options, &say)?;
    let names: Vec<&str> = lab.machines().iter().map(lab::Machine::name).collect();
    say(&format!("{} are up after {:.1} s\n", names.join(", "), start.elapsed().as_secs_f32()));
    placeholders(&lab)?;
    let mut code = lab.deployer().xtask().args(handed_on(global)).args(command(args)).run_in_foreground()?;
    if let Some(script) = script {
        say("the script, on the deployer, in the copied repository");
        let ended = lab.script(&script)?.run_in_foreground()?;
        say(&format!("the script ended with exit code {ended}"));
        code = if code == 0 { ended } else { code };
    } else if args.shell {
        say(
            "a shell on the deployer, in the copied repository; `cargo xtask`, `ssh` and `kubectl` are at hand; exit ends it all",
        );
        lab.shell().run_interactively()?;
    }
    eprintln!();
    say(&format!("the machines are gone; it took {:.1} s", start.elapsed().as_secs_f32()));
    if code == 0 { Ok(()) } else { Err(Failure::ended(code)) }
}

/// What is to be run in the shell where nobody is at the terminal. Read before anything else runs, which would take it for its own
/// input.
fn script() -> Result<Option<Vec<u8>>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut script = Vec::new();
    stdin.lock().take(SCRIPT_MAX + 1).read_to_end(&mut script)?;
    if script.len() as u64 > SCRIPT_MAX {
        return Err(Failure::new(
            Kind::Usage,
            format!("the script on standard input is longer than {SCRIPT_MAX} bytes"),
        ));
    }
    Ok(Some(script))
}
