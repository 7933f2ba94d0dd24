//! `report`: a run that is over, in the browser or as a text; and the history.

use std::io::IsTerminal as _;
use std::path::Path;

use console::Alignment::{Left, Right};
use console::style;

use crate::cli::{Global, Report};
use crate::events::{Event, PastRun, would};
use crate::failure::{Failure, Kind, Result};
use crate::journal::{KeptRun, RUNS};
use crate::render::columns;
use crate::report::{text, time, took};
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Report) -> Result<()> {
    let repository = Repository::find()?;
    let root = repository.root();
    if args.list {
        return list(global, root);
    }
    let run = match &args.run {
        Some(wanted) => KeptRun::find(root, wanted)?,
        None => KeptRun::newest(root).ok_or_else(none_yet)?,
    };
    if global.dry_run {
        would(global, &format!("write {RUNS}/{}/report.html, and show it", run.id));
        return Ok(());
    }
    // Anew each time: of a run that was killed there is none, and one of an earlier version may know less.
    let path = root.join(run.write_report()?);
    if global.json {
        Event::PastRun(past(&run)).print();
        return Ok(());
    }
    if !args.print && std::io::stdout().is_terminal() && remote::open(&path) {
        say!("opened {}", path.display());
        return Ok(());
    }
    say!("{}", text(&run.story));
    say!("report: {}", path.display());
    Ok(())
}

fn none_yet() -> Failure {
    Failure::new(Kind::Usage, "there is no run to report yet: nothing was deployed from this clone").hint(
        "cargo xtask rehearse tries it on throwaway machines; cargo xtask deploy HOST is the first"
            .to_owned(),
    )
}

fn list(global: &Global, root: &Path) -> Result<()> {
    let runs = KeptRun::all(root);
    if global.json {
        runs.iter().for_each(|run| Event::PastRun(past(run)).print());
        return Ok(());
    }
    if runs.is_empty() {
        say!("no run yet; cargo xtask deploy HOST makes one");
        return Ok(());
    }
    let heading = ["RUN", "WHEN", "TOOK", "OUTCOME", "COMMAND"].map(|title| style(title).dim().to_string());
    let row = |run: &KeptRun| {
        let story = &run.story;
        let outcome = match story.outcome() {
            "ok" => style("ok").green(),
            "unfinished" => style("unfinished").yellow(),
            word => style(word).red(),
        };
        let code = story.exit_code().filter(|code| *code != 0);
        let code = code.map_or_else(String::new, |code| format!(" ({code})"));
        [run.id.clone(), time(&story.at), took(story.length), format!("{outcome}{code}"), story.title.clone()]
    };
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(runs.iter().map(row)).collect();
    for line in columns(&rows, [Left, Left, Right, Left, Left]) {
        say!("{line}");
    }
    Ok(())
}

fn past(run: &KeptRun) -> PastRun {
    let story = &run.story;
    PastRun {
        run: run.id.clone(),
        title: story.title.clone(),
        at: story.at.clone(),
        outcome: story.outcome().to_owned(),
        exit_code: story.exit_code(),
        milliseconds: story.exit_code().map(|_| story.length),
        journal: run.journal().display().to_string(),
        report: run.report().map(|path| path.display().to_string()),
    }
}
