//! `rehearse`: the same commands, against throwaway machines.

use std::ffi::OsString;
use std::time::Instant;

use console::style;
use lab::Lab;

use crate::cli::{Global, Rehearse};
use crate::failure::{Failure, Kind, Result};
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Rehearse) -> Result<()> {
    if args.clean {
        println!("removed {} cgroups of rehearsals that were killed", lab::clean());
        return Ok(());
    }
    if lab::is_inside() {
        return inside(args);
    }
    let repository = Repository::find()?;
    repository.fleet()?;
    if global.dry_run {
        println!(
            "would boot a machine for each host of hosts/fleet.toml and run: {}",
            command(args).join(" ")
        );
        return Ok(());
    }
    if args.install {
        lab::install(&[], &|line| eprintln!("{line}"))?;
    }
    let missing = lab::missing();
    if !missing.is_empty() {
        return Err(lab::LabError::Missing(missing.into_iter().map(str::to_owned).collect()).into());
    }
    let program = std::env::current_exe()?;
    let same: Vec<OsString> = std::env::args_os().skip(1).filter(|arg| arg != "--install").collect();
    match lab::enter(&program, same)? {
        0 => Ok(()),
        code => Err(Failure::told(kind(code))),
    }
}

fn command(args: &Rehearse) -> Vec<String> {
    if args.command.is_empty() { vec!["bootstrap-cluster".to_owned()] } else { args.command.clone() }
}

/// In namespaces of our own, as their PID 1: when this returns, everything in them ends.
fn inside(args: &Rehearse) -> Result<()> {
    let start = Instant::now();
    let repository = Repository::find()?;
    let say = |text: &str| eprintln!("{} {text}", style("rehearsal").magenta().for_stderr());
    say("throwaway machines, a network without a way out");
    say("the nixpkgs, nixos-rebuild and K3s in it are stand-ins");
    let lab = Lab::boot(repository.root(), &std::env::current_exe()?, &say)?;
    let names: Vec<&str> = lab.machines().iter().map(lab::Machine::name).collect();
    say(&format!("{} are up after {:.1} s\n", names.join(", "), start.elapsed().as_secs_f32()));
    let code = lab.deployer().xtask().args(command(args)).run_in_foreground()?;
    if args.shell {
        say(
            "a shell on the deployer, in the copied repository; `xtask` is this tool; exit ends the rehearsal",
        );
        lab.deployer().shell().run_in_foreground()?;
    }
    eprintln!();
    say(&format!("the machines are gone; it took {:.1} s", start.elapsed().as_secs_f32()));
    if code == 0 { Ok(()) } else { Err(Failure::told(kind(code))) }
}

/// The exit code of the command under rehearsal is that of the rehearsal.
fn kind(code: i32) -> Kind {
    let kinds = [
        Kind::Usage,
        Kind::Configuration,
        Kind::Unreachable,
        Kind::Build,
        Kind::Activation,
        Kind::Verification,
        Kind::Interrupted,
    ];
    kinds.into_iter().find(|kind| *kind as i32 == code).unwrap_or(Kind::Unforeseen)
}
