//! `secrets edit` and `secrets new`.

use agenix::terminal::{EditorCommand, piped};
use agenix::{Edited, Empty, Rule, Secrets};
use remote::question::{self, Enter};

use super::{about, named, open, told};
use crate::cli::{Content, Edit, Global, New};
use crate::events::Event;
use crate::failure::{Failure, Kind, Result};
use crate::identity;
use crate::render::Terminal;
use crate::repository::Repository;

pub(crate) fn edit(global: &Global, repository: &Repository, args: &Edit) -> Result<()> {
    let (secrets, path) = open(repository, &named(global, args.file.as_deref())?)?;
    let rule = secrets.rules().rule(&path)?;
    rule.recipients()?;
    if global.dry_run {
        return dry_run(global, "edit", rule, |secret, readers| Event::WouldEdit { secret, readers });
    }
    let identities = identity::load(global, &Terminal::new())?;
    let edited = match piped()? {
        Some(content) => agenix::edit_to(&secrets, rule, &identities, &content, empty(&args.content), &told),
        None => agenix::edit(&secrets, rule, Some(&identities), &editor()?),
    };
    finish(global, repository, rule, edited.map_err(|error| about(&path, error))?)
}

pub(crate) fn new(global: &Global, repository: &Repository, args: &New) -> Result<()> {
    let (secrets, path) = open(repository, &args.file)?;
    let rule = secrets.rules().rule(&path)?;
    rule.recipients()?;
    if global.dry_run {
        return dry_run(global, "write", rule, |secret, readers| Event::WouldWrite { secret, readers });
    }
    let content = piped()?;
    if secrets.read(rule)?.is_some() {
        may_replace(global, &secrets, rule, content.is_some())?;
    }
    let edited = match content {
        Some(content) => {
            agenix::write_new(&secrets, rule, &content, empty(&args.content), &told).map(|()| Edited::Written)
        }
        None => agenix::edit(&secrets, rule, None, &editor()?),
    };
    finish(global, repository, rule, edited.map_err(|error| about(&path, error))?)
}

/// What was there cannot be had back, unless git has it.
fn may_replace(global: &Global, secrets: &Secrets, rule: &Rule, is_piped: bool) -> Result<()> {
    if global.yes {
        return Ok(());
    }
    let path = rule.path();
    let refused = || {
        Failure::new(Kind::Usage, format!("{path} is there already, and its content would be lost"))
            .hint("--yes replaces it; `cargo xtask secrets edit` starts from what is there".to_owned())
    };
    if is_piped || !question::possible() {
        return Err(refused());
    }
    let file = secrets.folder().root().join(path.as_str());
    let text = format!("Replace {}? Its content will be lost.", file.display());
    match question::confirm(&text, Enter::IsNo)? {
        Some(true) => Ok(()),
        _ => Err(refused()),
    }
}

fn empty(args: &Content) -> Empty {
    if args.allow_empty { Empty::Allowed } else { Empty::Refused }
}

fn editor() -> Result<EditorCommand> {
    EditorCommand::from_environment().ok_or_else(|| {
        Failure::new(Kind::Usage, "EDITOR says no editor")
            .hint("export EDITOR=nano, or give the content on standard input".to_owned())
    })
}

fn dry_run(global: &Global, verb: &str, rule: &Rule, event: fn(String, Vec<String>) -> Event) -> Result<()> {
    let readers: Vec<String> = rule.recipients()?.iter().map(agenix::Recipient::label).collect();
    if global.json {
        event(rule.path().to_string(), readers).print();
        return Ok(());
    }
    say!("would {verb} {}, for {}", rule.path(), readers.join(", "));
    Ok(())
}

fn finish(global: &Global, repository: &Repository, rule: &Rule, edited: Edited) -> Result<()> {
    let path = rule.path();
    let readers: Vec<String> = rule.recipients()?.iter().map(agenix::Recipient::label).collect();
    if edited == Edited::Written {
        repository.let_git_know(path)?;
    }
    let (word, text) = match edited {
        Edited::Written => ("written", format!("{path} is written, for {}", readers.join(", "))),
        Edited::Unchanged => ("unchanged", format!("{path} is as it was: the content did not change")),
        Edited::NotCreated => ("not-created", format!("{path} is not written: the editor left no file")),
    };
    if global.json {
        Event::SecretFinished { secret: path.to_string(), outcome: word.to_owned(), detail: text }.print();
    } else {
        say!("{text}");
    }
    Ok(())
}
