//! `agenix`: the drop-in for the original, with its flags, its messages and its exit codes.
//!
//! What it does otherwise, and why, is in docs/secrets.md. All that it does with secrets is the library's; here are the
//! command line and the words.

mod arguments;
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use agenix::forbid_core_dumps;

use arguments::{Arguments, Request, parse};
use run::Failed;

fn main() -> ExitCode {
    if let Err(error) = remote::watch_for_interrupts().and_then(|()| forbid_core_dumps()) {
        eprintln!("warning: {error}");
    }
    let arguments = match parse(std::env::args_os().skip(1)) {
        Ok(arguments) => arguments,
        Err(refusal) => {
            print(&refusal.stdout);
            eprint!("{}", refusal.stderr);
            return ExitCode::FAILURE;
        }
    };
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprint!("{failed}");
            if remote::interrupted() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<(), Failed> {
    match &arguments.request {
        Request::Help => print(&arguments::help()),
        Request::Version => print(concat!("agenix ", env!("CARGO_PKG_VERSION"), "\n")),
        Request::Edit { file } => run::edit(arguments, file)?,
        Request::Decrypt { file } => run::decrypt(arguments, file)?,
        Request::Rekey { files } => run::rekey(arguments, files)?,
    }
    Ok(())
}

/// Unlike `print!` it does not panic when its reader has gone away.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
