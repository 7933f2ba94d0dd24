//! What clap refuses, said as everything else is that this tool refuses: one line, a hint, the exit code of wrong usage.
//!
//! clap's own form has tips, usage and a pointer to the help in four paragraphs. Its words are kept, as far as they go.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::Cli;
use crate::failure::{Failure, Kind, Result};

/// The command line of this process, and the command's own words: `node add`.
pub(crate) fn parse() -> Result<Option<(Cli, String)>> {
    parse_from(std::env::args_os())
}

/// `None`: help or the version was asked for, and printed.
pub(crate) fn parse_from(words: impl IntoIterator<Item = OsString>) -> Result<Option<(Cli, String)>> {
    let parsed = Cli::command().try_get_matches_from(words);
    match parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, own_words(&matches)))) {
        Ok(parsed) => Ok(Some(parsed)),
        Err(error) if !error.use_stderr() => {
            // A reader that has gone away has seen enough.
            let _ = error.print();
            Ok(None)
        }
        // A group without a command: its help is the answer, and it was wrong usage all the same.
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Err(Failure::told(Kind::Usage))
        }
        Err(error) => Err(Failure::new(Kind::Usage, message(&error)).hint(hint(&error))),
    }
}

fn own_words(matches: &ArgMatches) -> String {
    let mut words = Vec::new();
    let mut rest = matches;
    while let Some((word, below)) = rest.subcommand() {
        words.push(word);
        rest = below;
    }
    words.join(" ")
}

fn message(error: &Error) -> String {
    if let (ErrorKind::MissingRequiredArgument, Some(missing)) =
        (error.kind(), strings(error, ContextKind::InvalidArg))
    {
        let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        return format!("{} {verb} missing", names.join(" and "));
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().take_while(|line| !line.trim().is_empty() && !line.contains("[possible values"));
    back_quoted(&lines.map(str::trim).collect::<Vec<_>>().join(" "))
}

/// clap quotes words as 'these'; an apostrophe within a word is none of its quotes.
fn back_quoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let is_edge = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        byte.is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    let quote = |(at, letter): (usize, char)| {
        let is_quote = letter == '\'' && (is_edge(at.checked_sub(1)) || is_edge(Some(at + 1)));
        if is_quote { '`' } else { letter }
    };
    text.char_indices().map(quote).collect()
}

fn hint(error: &Error) -> Option<String> {
    let suggested =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    if let Some(nearest) = suggested.into_iter().filter_map(|kind| strings(error, kind)?.pop()).next() {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let valid = strings(error, ContextKind::ValidValue).filter(|values| !values.is_empty());
    if let Some(values) = valid {
        return Some(format!("one of: {}", values.join(", ")));
    }
    match error.kind() {
        ErrorKind::ArgumentConflict => return Some("leave one of them out".to_owned()),
        ErrorKind::InvalidSubcommand => return Some("--help lists the commands".to_owned()),
        _ => {}
    }
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return Some("--help explains it".to_owned());
    };
    let usage = usage.to_string();
    let usage = usage.trim().trim_start_matches("Usage: ").lines().next().unwrap_or_default();
    Some(format!("usage: {usage}"))
}

fn strings(error: &Error, kind: ContextKind) -> Option<Vec<String>> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(vec![text.clone()]),
        ContextValue::Strings(texts) => Some(texts.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn refuses(line: &str, expect: &Expect) {
        console::set_colors_enabled_stderr(false);
        let words = ["xtask"].into_iter().chain(line.split(' ')).map(OsString::from);
        expect.assert_eq(&parse_from(words).unwrap_err().block());
    }

    #[test]
    fn the_nearest_known_word_is_the_hint() {
        refuses(
            "deploi",
            &expect![[r#"
            error: unrecognized subcommand `deploi`
            hint: did you mean `deploy`?
        "#]],
        );
        refuses(
            "node ad",
            &expect![[r#"
            error: unrecognized subcommand `ad`
            hint: did you mean `add`?
        "#]],
        );
        refuses(
            "deploy --gaol boot",
            &expect![[r#"
            error: unexpected argument `--gaol` found
            hint: did you mean `--goal`?
        "#]],
        );
        refuses(
            "deploy maia --goal swich",
            &expect![[r#"
            error: invalid value `swich` for `--goal <GOAL>`
            hint: did you mean `switch`?
        "#]],
        );
        refuses(
            "completions tcsh",
            &expect![[r#"
            error: invalid value `tcsh` for `<SHELL>`
            hint: did you mean `zsh`?
        "#]],
        );
    }

    #[test]
    fn what_is_missing_or_does_not_go_together_has_the_usage() {
        refuses(
            "node add",
            &expect![[r#"
                error: `--role <ROLE>` and `<NAME>` are missing
                hint: usage: cargo xtask node add --role <ROLE> <NAME>
            "#]],
        );
        refuses(
            "node add alma",
            &expect![[r#"
                error: `--role <ROLE>` is missing
                hint: usage: cargo xtask node add --role <ROLE> <NAME>
            "#]],
        );
        refuses(
            "token rotate",
            &expect![[r#"
                error: `<--server|--agent>` is missing
                hint: usage: cargo xtask token rotate <--server|--agent>
            "#]],
        );
        refuses(
            "deploy --all maia",
            &expect![[r#"
                error: the argument `--all` cannot be used with `[HOST]...`
                hint: leave one of them out
            "#]],
        );
        refuses(
            "status --watch maia",
            &expect![[r#"
            error: invalid value `maia` for `--watch [<SECONDS>]`: a number of seconds; hosts are named before --watch
            hint: --help explains it
        "#]],
        );
        refuses(
            "deploy --goal",
            &expect![[r#"
            error: a value is required for `--goal <GOAL>` but none was supplied
            hint: one of: switch, test, boot, dry-activate, build
        "#]],
        );
        refuses(
            "check maia",
            &expect![[r#"
                error: unexpected argument `maia` found
                hint: usage: cargo xtask check [OPTIONS]
            "#]],
        );
        refuses(
            "zzz",
            &expect![[r#"
                error: unrecognized subcommand `zzz`
                hint: --help lists the commands
            "#]],
        );
    }

    #[test]
    fn an_apostrophe_is_no_quote() {
        assert_eq!(
            back_quoted("invalid 'a b' for '--x <Y>': it's the host's"),
            "invalid `a b` for `--x <Y>`: it's the host's"
        );
    }
}
