//! `graph`: a picture of the fleet: who joins whom, who is built where, who can read which secret. Offline and keyless.

use std::path::Path;

use console::style;

use crate::cli::{Format, Global, Graph as Args};
use crate::failure::{Failure, Result};
use crate::graph::{Fault, Graph, dot, mermaid, svg};
use crate::repository::Repository;

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    // What is wrong with the rules is no reason to draw nothing.
    let graph = match repository.rules(&fleet) {
        Ok(rules) => Graph::new(&fleet, &rules),
        Err(failure) => Graph::without_rules(&fleet, Fault { what: failure.message, hint: failure.hint }),
    };
    if global.json {
        graph.events().iter().for_each(|event| say!("{event}"));
    } else {
        tell_faults(&graph);
    }
    match &args.out {
        Some(file) if global.dry_run => say_unless(global.json, &format!("would write {}", file.display())),
        Some(file) => {
            let text = draw(&graph, args.format.unwrap_or_else(|| format_of(file)));
            std::fs::write(file, text).map_err(|error| {
                Failure::configuration(format!("failed to write {}: {error}", file.display()))
                    .hint("is its folder there, and may you write there?".to_owned())
            })?;
            say_unless(global.json, &format!("{} {}", style("✓").green(), file.display()));
        }
        None if global.json => {}
        None => say!("{}", draw(&graph, args.format.unwrap_or(Format::Mermaid)).trim_end()),
    }
    Ok(())
}

fn draw(graph: &Graph, format: Format) -> String {
    match format {
        Format::Mermaid => mermaid::draw(graph),
        Format::Dot => dot::draw(graph),
        Format::Svg => svg::draw(graph),
    }
}

fn format_of(file: &Path) -> Format {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Format::Svg,
        Some("dot" | "gv") => Format::Dot,
        _ => Format::Mermaid,
    }
}

/// On standard error, as whoever reads standard output wants a picture.
fn tell_faults(graph: &Graph) {
    for Fault { what, hint } in graph.faults() {
        eprintln!("{} {what}", style("warning:").yellow().bold().for_stderr());
        if let Some(hint) = hint {
            eprintln!("{} {hint}", style("hint:").cyan().bold().for_stderr());
        }
    }
}

fn say_unless(silent: bool, text: &str) {
    if !silent {
        say!("{text}");
    }
}
