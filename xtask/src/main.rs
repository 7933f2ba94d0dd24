//! `cargo xtask`: one command that operates a NixOS and K3s cluster from its repository.
//!
//! This crate parses, composes and renders. What it composes: `fleet` and `agenix` say what should be, a playbook makes
//! a plan of it, `pipeline` executes the plan, and its steps reach the hosts through `remote`.

/// A line on standard output. Unlike `println!` it does not panic when its reader has gone away: `check | head`.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), "{}", $crate::render::github::said(format!($($line)*)));
    }};
}

mod access;
mod ask;
mod cli;
mod command;
mod doctor;
mod events;
mod failure;
mod graph;
mod host_key;
mod identity;
mod journal;
mod playbook;
mod render;
mod report;
mod repository;
mod run;
mod tokens;

use std::process::ExitCode;

use cli::Command;

fn main() -> ExitCode {
    let (cli, words) = match cli::parse() {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return ExitCode::SUCCESS,
        Err(failure) => {
            events::refused(&failure);
            return failure.report();
        }
    };
    render::colour(cli.global.color);
    if cli.global.json {
        // The command under rehearsal tells of itself.
        let is_anothers = matches!(&cli.command, Some(Command::Rehearse(args)) if !args.clean);
        events::stream(words, cli.global.dry_run, is_anothers);
    }
    if let Err(error) = remote::watch_for_interrupts() {
        eprintln!("warning: ctrl-C cannot be handled in order: {error}");
    }
    if let Err(error) = agenix::forbid_core_dumps() {
        eprintln!("warning: a crash could leave secrets in a core dump: {error}");
    }
    let Some(command) = &cli.command else { return ended(command::overview::run(&cli.global)) };
    let result = match command {
        Command::Deploy(args) => command::deploy::run(&cli.global, args),
        Command::BootstrapCluster => command::bootstrap::run(&cli.global),
        Command::Rollback(args) => command::rollback::run(&cli.global, args),
        Command::Status(args) => command::status::run(&cli.global, args),
        Command::Logs(args) => command::logs::run(&cli.global, args),
        Command::Verify(args) => command::verify::run(&cli.global, args),
        Command::Doctor(args) => command::doctor::run(&cli.global, args),
        Command::Check => command::check::run(&cli.global),
        Command::Graph(args) => command::graph::run(&cli.global, args),
        Command::Kubeconfig(args) => command::kubeconfig::run(&cli.global, args),
        Command::Node(args) => command::node::run(&cli.global, args),
        Command::Init(args) => command::init::run(&cli.global, args),
        Command::Secrets(args) => command::secrets::run(&cli.global, args),
        Command::Token(command) => command::token::run(&cli.global, command),
        Command::Rehearse(args) => command::rehearse::run(&cli.global, args),
        Command::Report(args) => command::report::run(&cli.global, args),
        Command::Test(args) => command::test::run(&cli.global, args),
        Command::Completions(args) => command::completions::run(&cli.global, args),
        Command::Man(args) => command::man::run(&cli.global, args),
    };
    ended(result)
}

fn ended(result: failure::Result<()>) -> ExitCode {
    events::end(result.as_ref().err());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
