//! What a person, or a program, sees of a run. Renderers draw events; they decide nothing.

mod board;
pub(crate) mod github;
mod glyphs;
mod json;
mod layout;
mod live;
mod plain;
mod screen;
mod summary;
mod tree;

use pipeline::{Event, Report};

use crate::cli::{Color, Global};
use crate::failure::Failure;
use crate::playbook::Plan;

pub(crate) use glyphs::Glyphs;
pub(crate) use screen::Terminal;
pub(crate) use summary::{columns, time};
pub(crate) use tree::{CommandsOf, Paper, tree};

/// Draws one run.
pub(crate) trait Renderer {
    /// Something happened.
    fn event(&mut self, event: &Event);
    /// It is over.
    fn report(&mut self, plan: &Plan, report: &Report<Failure>);
}

/// Colours of standard output and standard error alike, for all that is printed from now on. `Auto` leaves each to the
/// terminal that it is, if it is one, to NO_COLOR and to CLICOLOR_FORCE.
pub(crate) fn colour(when: Color) {
    if when != Color::Auto {
        console::set_colors_enabled(when == Color::Always);
        console::set_colors_enabled_stderr(when == Color::Always);
    }
}

/// What a CI runner understands, on one; JSON where asked for; live lines on a terminal that can draw them; else plain lines.
pub(crate) fn renderer(global: &Global, terminal: &Terminal) -> Box<dyn Renderer> {
    if github::on_runner() {
        Box::new(github::Github::new(global))
    } else if global.json {
        Box::new(json::Json)
    } else if Terminal::can_draw() && !global.verbose {
        Box::new(live::Live::new(terminal))
    } else {
        Box::new(plain::Plain::new(global.verbose))
    }
}
