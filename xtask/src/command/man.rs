//! `man`: the manual pages, made of what clap knows of each command.

use std::fs;
use std::io::IsTerminal as _;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::{Man, roff};
use remote::Cmd;

use crate::cli::{self, Cli, page};
use crate::failure::{Failure, Kind, Result};

/// Of this program, since a page has no date.
const VERSION: &str = concat!("cargo xtask ", env!("CARGO_PKG_VERSION"));

pub(crate) fn run(args: &cli::Man) -> Result<()> {
    let pages = page::all(&Cli::command());
    if let Some(folder) = &args.out {
        return write(&pages, folder);
    }
    let page = find(&pages, &args.command)?;
    let text = render(page, &pages);
    if std::io::stdout().is_terminal() && remote::find("man").is_some() {
        return show(&text);
    }
    say!("{}", text.trim_end());
    Ok(())
}

fn write(pages: &[page::Page], folder: &Path) -> Result<()> {
    let failed = |what: &str, error: &std::io::Error| {
        Failure::new(Kind::Unforeseen, format!("failed to write {what}: {error}"))
            .hint("--out DIR names a folder that you may write to".to_owned())
    };
    fs::create_dir_all(folder).map_err(|error| failed(&folder.display().to_string(), &error))?;
    for page in pages {
        let file = folder.join(format!("{}.1", manual_name(page)));
        fs::write(&file, render(page, pages)).map_err(|error| failed(&file.display().to_string(), &error))?;
    }
    say!(
        "{} pages in {}; to read one: man -l {}",
        pages.len(),
        folder.display(),
        folder.join("cargo-xtask.1").display()
    );
    Ok(())
}

fn find<'a>(pages: &'a [page::Page], words: &[String]) -> Result<&'a page::Page> {
    let wanted = words.join(" ");
    pages.iter().find(|page| page.words == wanted).ok_or_else(|| {
        let known = pages.iter().map(|page| page.words.as_str()).filter(|words| !words.is_empty());
        let hint = fleet::nearest(&wanted, known)
            .map_or("cargo xtask --help lists them".to_owned(), |nearest| {
                format!("did you mean `{nearest}`?")
            });
        Failure::new(Kind::Usage, format!("there is no command `{wanted}`")).hint(hint)
    })
}

/// In the pager that man(1) chooses.
fn show(text: &str) -> Result<()> {
    let mut file = tempfile::NamedTempFile::with_suffix(".1")?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Cmd::new("man").arg("-l").arg(file.path()).run_interactively()?;
    Ok(())
}

/// clap_mangen's page has all help of one command under `EXTRA`; here it is cut into the sections that a reader of
/// manuals looks for.
fn render(page: &page::Page, pages: &[page::Page]) -> String {
    let has_options = page.words.is_empty() || page.command.get_arguments().any(|arg| !page::is_global(arg));
    let mut command = page.command.clone().bin_name(page.called());
    if !page.words.is_empty() {
        // Those of every command have a page, which is named below.
        command = command.mut_args(|arg| if page::is_global(&arg) { arg.hide(true) } else { arg });
    }
    // The words in front of a sub-command's name would be said twice.
    let man = Man::new(command.display_name(manual_name(page)).version(None));
    let mut text =
        format!(".TH \"{}\" \"1\" \"\" \"{}\" \"cargo xtask\"\n", manual_name(page).to_uppercase(), VERSION)
            .into_bytes();
    let written = man
        .render_name_section(&mut text)
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| man.render_description_section(&mut text))
        .and_then(|()| if has_options { man.render_options_section(&mut text) } else { Ok(()) });
    written.expect("a vector takes every byte");
    let mut more = roff::Roff::new();
    for section in &page.sections {
        more.control("SH", [section.title.to_uppercase().as_str()]);
        more.control("nf", []);
        for line in &section.lines {
            more.text([roff::roman(line)]);
        }
        more.control("fi", []);
    }
    see_also(&mut more, page, pages);
    more.to_writer(&mut text).expect("a vector takes every byte");
    String::from_utf8(text).expect("what clap holds is text")
}

fn see_also(more: &mut roff::Roff, page: &page::Page, pages: &[page::Page]) {
    let near = pages.iter().filter(|other| page.is_above(other) || other.is_above(page));
    more.control("SH", ["SEE ALSO"]);
    let mut names: Vec<String> = near.map(|other| format!("{}(1)", manual_name(other))).collect();
    if !page.words.is_empty() {
        names.retain(|name| name != "cargo-xtask(1)");
        names.push("cargo-xtask(1) for the options that every command takes".to_owned());
    }
    for (at, name) in names.iter().enumerate() {
        let comma = if at + 1 < names.len() { "," } else { "" };
        more.text([roff::roman(format!("{name}{comma}"))]);
    }
}

/// `cargo-xtask-secrets-edit`, as git's pages are called.
fn manual_name(page: &page::Page) -> String {
    page.called().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_command_gets_the_nearest_one() {
        let pages = page::all(&Cli::command());
        let failure = find(&pages, &["secrets".to_owned(), "edt".to_owned()]).err().unwrap();
        assert_eq!(failure.hint.as_deref(), Some("did you mean `secrets edit`?"));
    }
}
