//! docs/commands: a page a command, written from what clap knows, and compared by a test.
//!
//! Own code, since what the crate for it writes is one page with all commands. Only tests write them: no user compiles it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Arg;

use super::page::{self, Page};

/// The file of the overview.
const INDEX: &str = "README.md";

/// File names and their texts.
pub(super) fn pages(cli: &clap::Command) -> BTreeMap<String, String> {
    let pages = page::all(cli);
    let text = |page: &Page| {
        let text = if page.words.is_empty() { index(page, &pages) } else { one(page, &pages) };
        text.replace("\n\n\n", "\n\n")
    };
    pages.iter().map(|page| (file(page), text(page))).collect()
}

fn file(page: &Page) -> String {
    if page.words.is_empty() { INDEX.to_owned() } else { format!("{}.md", page.words.replace(' ', "-")) }
}

fn index(page: &Page, pages: &[Page]) -> String {
    let mut text = head(page);
    text += "\n## Commands\n\n";
    for page in pages.iter().filter(|page| !page.words.is_empty()) {
        let indent = if page.words.contains(' ') { "  " } else { "" };
        let _ = writeln!(text, "{indent}- [`{}`]({}) – {}", page.words, file(page), about(page));
    }
    let (global, _) = options(page);
    arguments(&mut text, "For every command", &global);
    sections(&mut text, page);
    text
}

fn one(page: &Page, pages: &[Page]) -> String {
    let mut text = head(page);
    let below: Vec<&Page> = pages.iter().filter(|other| page.is_above(other)).collect();
    if !below.is_empty() {
        text += "\n## Commands\n\n";
        for page in below {
            let _ = writeln!(text, "- [`{}`]({}) – {}", page.words, file(page), about(page));
        }
    }
    let visible = |arg: &&Arg| !arg.is_hide_set();
    let positionals: Vec<&Arg> = page.command.get_positionals().filter(visible).collect();
    arguments(&mut text, "Arguments", &positionals);
    let (_, own) = options(page);
    arguments(&mut text, "Options", &own);
    sections(&mut text, page);
    let parent = pages.iter().find(|other| other.is_above(page) && !other.words.is_empty());
    let parent = parent.map(|parent| format!("[{}]({}) · ", parent.called(), file(parent)));
    let _ = write!(
        text,
        "\n---\n\n{}[all commands]({INDEX}) · [options for every command]({INDEX}#for-every-command) · \
         [exit codes]({INDEX}#exit-codes)\n",
        parent.unwrap_or_default()
    );
    text
}

fn head(page: &Page) -> String {
    let mut text = "<!-- Written by a test from the command line itself: UPDATE_EXPECT=1 cargo test -p xtask --bin xtask -->\n\n".to_owned();
    let usage = page.command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let _ = write!(text, "# {}\n\n{}\n\n```\n{usage}\n```\n", page.called(), sentence(&about(page)));
    let long = page.command.get_long_about().map(ToString::to_string).unwrap_or_default();
    if let Some((_, rest)) = long.split_once("\n\n") {
        let _ = writeln!(text, "\n{}", rest.trim());
    }
    text
}

fn about(page: &Page) -> String {
    page.command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn sentence(text: &str) -> String {
    if text.ends_with('?') { text.to_owned() } else { format!("{text}.") }
}

/// Those of every command, and its own.
fn options(page: &Page) -> (Vec<&Arg>, Vec<&Arg>) {
    let options = page.command.get_opts().chain(page.command.get_arguments().filter(|arg| is_flag(arg)));
    let mut options: Vec<&Arg> = options.filter(|arg| !arg.is_hide_set()).collect();
    // In the order of their definition, as in --help.
    let place = |arg: &Arg| page.command.get_arguments().position(|other| other.get_id() == arg.get_id());
    options.sort_by_key(|arg| place(arg));
    options.into_iter().partition(|arg| page::is_global(arg))
}

fn is_flag(arg: &Arg) -> bool {
    !arg.is_positional() && !arg.get_action().takes_values()
}

fn arguments(text: &mut String, title: &str, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {title}\n\n");
    for arg in arguments {
        let _ = writeln!(text, "- {} – {}", name(arg), help(arg));
        if let Some((_, rest)) = long_help(arg).split_once("\n\n") {
            let _ = writeln!(text, "\n  {}\n", rest.trim().replace('\n', "\n  "));
        }
        for value in arg.get_possible_values().iter().filter(|_| arg.get_action().takes_values()) {
            if let Some(help) = value.get_help() {
                let _ = writeln!(text, "  - `{}`: {help}", value.get_name());
            }
        }
    }
}

fn name(arg: &Arg) -> String {
    if arg.is_positional() {
        // clap's own way, such as `[HOST]...`.
        return format!("`{arg}`");
    }
    let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    format!("{short}`{arg}`")
}

fn help(arg: &Arg) -> String {
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if !arg.get_action().takes_values() {
        return help;
    }
    let plain: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| value.get_help().is_none())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !plain.is_empty() {
        let _ = write!(help, ": {}", plain.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() {
        let _ = write!(help, " [default: {}]", defaults.join(" "));
    }
    help
}

fn long_help(arg: &Arg) -> String {
    arg.get_long_help().map(ToString::to_string).unwrap_or_default()
}

fn sections(text: &mut String, page: &Page) {
    for section in &page.sections {
        let _ = write!(text, "\n## {}\n\n```\n{}\n```\n", section.title, section.lines.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::{CommandFactory as _, Parser as _};
    use expect_test::expect_file;

    use super::*;
    use crate::cli::Cli;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands")
    }

    #[test]
    fn docs_say_what_the_command_line_says() {
        let pages = pages(&Cli::command());
        fs::create_dir_all(folder()).unwrap();
        for (file, text) in &pages {
            expect_file![folder().join(file)].assert_eq(text);
        }
        let files =
            fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let of_no_command: Vec<String> = files.filter(|file| !pages.contains_key(file)).collect();
        assert_eq!(of_no_command, [""; 0], "pages of commands that are gone: remove them");
    }

    #[test]
    fn every_link_leads_to_a_page_and_a_heading() {
        let pages = pages(&Cli::command());
        for (file, text) in &pages {
            for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
                let (target, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = pages.get(target).unwrap_or_else(|| panic!("{file} links to {link}"));
                let is_heading =
                    |line: &str| line.strip_prefix("## ").is_some_and(|title| anchor(title) == heading);
                assert!(heading.is_empty() || target.lines().any(is_heading), "{file} links to {link}");
            }
        }
    }

    fn anchor(title: &str) -> String {
        title.to_lowercase().replace(' ', "-")
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_understood() {
        for page in page::all(&Cli::command()) {
            let examples = page.sections.iter().find(|section| section.title == "Examples");
            let is_group = page.command.has_subcommands();
            assert!(is_group || examples.is_some(), "{} has no example", page.called());
            for line in examples.iter().flat_map(|section| &section.lines) {
                let words = words_of(line).unwrap_or_else(|| panic!("no command of ours: {line}"));
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{line}\n{}", parsed.err().unwrap());
                let shows_itself = words[1..].join(" ").starts_with(&page.words);
                assert!(
                    shows_itself || line.contains("rehearse"),
                    "{line} is on the page of {}",
                    page.called()
                );
            }
        }
    }

    /// An example's words, without what is piped or redirected, and without what is said about it.
    fn words_of(line: &str) -> Option<Vec<&str>> {
        let part = line.split(" | ").find_map(|part| part.split_once("cargo xtask").map(|(_, rest)| rest))?;
        let command = part.split("   ").next()?.split(" > ").next()?.split(" < ").next()?;
        Some(["xtask"].into_iter().chain(command.split_whitespace()).collect())
    }

    #[test]
    fn every_command_and_option_says_in_one_line_what_it_does() {
        let is_one_line = |text: &str| !text.is_empty() && !text.contains('\n') && !text.ends_with('.');
        for page in page::all(&Cli::command()) {
            assert!(is_one_line(&about(&page)), "{}: {}", page.called(), about(&page));
            assert!(about(&page).starts_with(char::is_uppercase), "{}", page.called());
            // In the list of commands, and in a terminal of 80 columns, a line each.
            let indent = if page.words.contains(' ') { 12 } else { 21 };
            assert!(about(&page).len() + indent <= 80, "{}: {}", page.called(), about(&page));
            for line in page.sections.iter().flat_map(|section| &section.lines) {
                assert!(line.len() + 2 <= 80, "{}: {line}", page.called());
            }
            for arg in page.command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(is_one_line(&help), "{} {}: {help}", page.called(), arg.get_id());
            }
        }
    }
}
