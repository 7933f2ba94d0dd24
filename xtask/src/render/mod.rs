//! What a person, or a program, sees of a run. Renderers draw events; they decide nothing.

pub(crate) mod github;
mod json;
mod live;
mod plain;
mod summary;

use std::io::IsTerminal;

use console::Term;
use indicatif::{MultiProgress, ProgressBar};
use pipeline::{Event, Report};

use crate::cli::Global;
use crate::failure::Failure;
use crate::playbook::Plan;

/// Draws one run.
pub(crate) trait Renderer {
    /// Something happened.
    fn event(&mut self, event: &Event);
    /// It is over.
    fn report(&mut self, plan: &Plan, report: &Report<Failure>);
}

/// The terminal that live lines and questions share.
#[derive(Clone)]
pub(crate) struct Terminal {
    lines: MultiProgress,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { lines: MultiProgress::new() }
    }

    /// One more live line.
    pub(crate) fn add(&self, bar: ProgressBar) -> ProgressBar {
        self.lines.add(bar)
    }

    /// Takes the live lines away while somebody is asked something.
    pub(crate) fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.lines.suspend(ask)
    }
}

/// What a CI runner understands, on one; JSON where asked for; live lines on a terminal that can draw them; else plain lines.
pub(crate) fn renderer(global: &Global, terminal: &Terminal) -> Box<dyn Renderer> {
    let can_draw = std::io::stderr().is_terminal() && Term::stderr().features().is_attended();
    if github::on_runner() {
        Box::new(github::Github::new(global))
    } else if global.json {
        Box::new(json::Json)
    } else if can_draw && !global.verbose {
        Box::new(live::Live::new(terminal.lines.clone()))
    } else {
        Box::new(plain::Plain::new(global.verbose))
    }
}
