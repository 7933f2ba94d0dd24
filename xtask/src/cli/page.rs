//! The pages of a manual: every command as clap knows it, its help cut into sections.
//!
//! One source for `man` and for docs/commands: neither can tell what `--help` does not.

use clap::{Arg, Command};

/// What is said of one command.
pub(crate) struct Page {
    /// What stands behind `cargo xtask`; empty for the page of all commands.
    pub(crate) words: String,
    /// Built: with what it inherits.
    pub(crate) command: Command,
    /// What stands behind the options: `Examples`, `Exit codes`.
    pub(crate) sections: Vec<Section>,
}

/// `Title:`, and the lines below it.
pub(crate) struct Section {
    pub(crate) title: String,
    /// Without their common indent.
    pub(crate) lines: Vec<String>,
}

impl Page {
    /// As it is called: `cargo xtask secrets edit`.
    pub(crate) fn called(&self) -> String {
        format!("cargo xtask {}", self.words).trim_end().to_owned()
    }

    /// Is the other one a command of this one?
    pub(crate) fn is_above(&self, other: &Self) -> bool {
        let parent = other.words.rsplit_once(' ').map_or("", |(parent, _)| parent);
        !other.words.is_empty() && parent == self.words
    }
}

/// All of them, in the order of `--help`, those of a group behind it.
pub(crate) fn all(cli: &Command) -> Vec<Page> {
    let mut cli = cli.clone().disable_help_subcommand(true);
    cli.build();
    let mut pages = Vec::new();
    collect(&cli, "", &mut pages);
    pages
}

/// Is it one that every command takes?
pub(crate) fn is_global(arg: &Arg) -> bool {
    arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str())
}

fn collect(command: &Command, words: &str, pages: &mut Vec<Page>) {
    let sections = command.get_after_help().map(|text| sections(&text.to_string())).unwrap_or_default();
    pages.push(Page { words: words.to_owned(), command: command.clone(), sections });
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, format!("{words} {}", below.get_name()).trim_start(), pages);
    }
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        match (line.strip_suffix(':').filter(|title| !title.starts_with(' ')), sections.last_mut()) {
            (Some(title), _) => sections.push(Section { title: title.to_owned(), lines: Vec::new() }),
            (None, Some(section)) => section.lines.push(line.strip_prefix("  ").unwrap_or(line).to_owned()),
            (None, None) => panic!("what stands behind a command's options begins with a title: {line}"),
        }
    }
    for section in &mut sections {
        while section.lines.last().is_some_and(String::is_empty) {
            section.lines.pop();
        }
    }
    sections
}
