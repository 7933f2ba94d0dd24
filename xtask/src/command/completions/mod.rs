//! `completions`: a script for a shell, and the words that it offers at a Tab.
//!
//! The command is `cargo xtask`, and cargo's completion belongs to cargo: so a script looks first whether the line is ours,
//! and leaves every other one to the completion that was there before. At a Tab it runs the program that printed it, and not
//! `cargo xtask`, which would start cargo each time, and build where a source is newer. That program may then be older than the
//! sources, until the next `cargo xtask` builds it in the same place; it can lack a new option then, but no new host, since
//! names are read from the files. Where it is gone, nothing is offered. It is never looked for in the current repository:
//! a Tab in a stranger's clone must not run what lies there.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::engine::{CompletionCandidate, complete};

use crate::cli::{Cli, Completions, Here, Shell};
use crate::failure::{Failure, Kind, Result};

pub(crate) fn run(args: &Completions) -> Result<()> {
    if !args.words.is_empty() {
        // Silent, whatever is wrong: an error in the middle of a line that is being typed helps nobody.
        let offered = if Here::find().is_some() { offered(&args.words) } else { Vec::new() };
        offered.iter().for_each(|candidate| say!("{}", line(args.shell, candidate)));
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Kind::Unforeseen, format!("failed to find out where this program is: {error}"))
    })?;
    // Many lines, and the last of them ends.
    print(&script(args.shell, &program)?);
    Ok(())
}

fn print(text: &str) {
    say!("{}", text.trim_end());
}

fn script(shell: Shell, program: &Path) -> Result<String> {
    let path = program.to_str().filter(|path| !path.contains('\n'));
    let path = path.ok_or_else(|| {
        Failure::configuration(format!("{program:?} has a name that no script can be given"))
            .hint("build it in another folder: CARGO_TARGET_DIR".to_owned())
    })?;
    let (script, quoted) = match shell {
        Shell::Bash => (include_str!("cargo-xtask.bash"), remote::quote(path)),
        Shell::Zsh => (include_str!("cargo-xtask.zsh"), remote::quote(path)),
        Shell::Fish => (include_str!("cargo-xtask.fish"), quote_for_fish(path)),
    };
    Ok(script.replace("PROGRAM_THAT_PRINTED_IT", &quoted))
}

/// In single quotes fish knows two escapes, where other shells know none.
fn quote_for_fish(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// What may stand in place of the last of these words, the first of which is `xtask`.
fn offered(words: &[OsString]) -> Vec<CompletionCandidate> {
    let words = of_rehearsed(words);
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let mut typed = words.to_vec();
    if current == "-" {
        // By their long names, which say what they are.
        typed[before.len()] = OsString::from("--");
    }
    let Ok(mut offered) = complete(&mut Cli::command(), typed, before.len(), None) else { return Vec::new() };
    let is_option =
        |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
    // A host, a label: what was named once is not named again.
    offered.retain(|it| is_option(it) || !before.iter().any(|word| word == it.get_value()));
    // Twenty options among three hosts hide the hosts.
    if current.is_empty() && offered.iter().any(|it| !is_option(it)) {
        offered.retain(|it| !is_option(it));
    }
    offered
}

/// `rehearse -- COMMAND…` takes what `cargo xtask` takes.
fn of_rehearsed(words: &[OsString]) -> &[OsString] {
    let is = |wanted: &'static str| move |word: &OsString| word == wanted;
    let Some((_, before)) = words.split_last() else { return words };
    match (before.iter().position(is("rehearse")), before.iter().position(is("--"))) {
        (Some(rehearse), Some(dashes)) if rehearse < dashes => &words[dashes..],
        _ => words,
    }
}

/// bash shows words, the others also what they are.
fn line(shell: Shell, candidate: &CompletionCandidate) -> String {
    let value = candidate.get_value().to_string_lossy();
    // One line: whatever a file has in it cannot become two offers.
    let clean = |text: &str| text.replace(char::is_control, " ");
    let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    match (shell, help.lines().next()) {
        (Shell::Zsh | Shell::Fish, Some(help)) => format!("{}\t{}", clean(&value), clean(help)),
        _ => clean(&value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        offered(&words).iter().map(|it| it.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn commands_come_without_options_until_a_dash_is_typed() {
        let all = values(&["xtask", ""]);
        assert!(all.contains(&"deploy".to_owned()) && all.contains(&"completions".to_owned()), "{all:?}");
        assert!(!all.iter().any(|word| word.starts_with('-')), "{all:?}");
        assert_eq!(values(&["xtask", "boot"]), ["bootstrap-cluster"]);
        assert!(values(&["xtask", "deploy", "--g"]).starts_with(&["--goal".to_owned()]));
        assert!(values(&["xtask", "check", "--dry"]).contains(&"--dry-run".to_owned()));
    }

    #[test]
    fn values_of_an_option_come_alone_and_behind_an_equals_sign() {
        assert_eq!(values(&["xtask", "deploy", "--role", ""]), ["server", "agent"]);
        assert_eq!(values(&["xtask", "deploy", "--role=a"]), ["--role=agent"]);
        assert_eq!(values(&["xtask", "deploy", "--goal", "dry"]), ["dry-activate"]);
    }

    #[test]
    fn what_is_rehearsed_is_completed_like_a_command() {
        assert_eq!(values(&["xtask", "rehearse", "--", "boot"]), ["bootstrap-cluster"]);
        assert_eq!(values(&["xtask", "rehearse", "--install", "--", "token", "rot"]), ["rotate"]);
        assert_eq!(values(&["xtask", "rehearse", "--cl"]), ["--clean"]);
    }

    #[test]
    fn a_path_with_every_quote_is_one_word_of_each_shell() {
        let program = Path::new(r#"/tmp/a 'b' "c" $d \e/xtask"#);
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(!script(shell, program).unwrap().contains("PROGRAM_THAT"), "{shell:?}");
        }
        assert_eq!(quote_for_fish(r"a'b\c"), r"'a\'b\\c'");
        assert!(script(Shell::Bash, Path::new("/tmp/a\nb")).is_err());
    }
}
