//! A run on a terminal: what settles stays, and below it is a line a host that is being worked on.
//!
//! Here is what is shared between the thread on which things happen and the one that draws; what lines look like stands
//! in `layout`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pipeline::{Event, Report};

use super::board::{Board, Settled};
use super::glyphs::Glyphs;
use super::layout::{self, Look};
use super::screen::{Picture, Showing, Size, Terminal};
use super::{Renderer, summary};
use crate::failure::Failure;
use crate::playbook::Plan;

pub(super) struct Live {
    shared: Arc<Mutex<Shared>>,
    /// Until the report.
    showing: Option<Showing>,
}

struct Shared {
    board: Board,
    begun: Instant,
    /// Settled, and not drawn yet.
    settled: VecDeque<Settled>,
    glyphs: Glyphs,
}

impl Live {
    pub(super) fn new(terminal: &Terminal) -> Self {
        let (board, settled, glyphs) = (Board::default(), VecDeque::new(), Glyphs::of_locale());
        let shared = Arc::new(Mutex::new(Shared { board, begun: Instant::now(), settled, glyphs }));
        let drawn = Arc::clone(&shared);
        let showing = terminal.show(Box::new(move |size, frame| lock(&drawn).picture(size, frame)));
        Self { shared, showing: Some(showing) }
    }
}

impl Renderer for Live {
    fn event(&mut self, event: &Event) {
        let mut shared = lock(&self.shared);
        let now = shared.begun.elapsed();
        if let Some(settled) = shared.board.note(event, now) {
            shared.settled.push_back(settled);
        }
    }

    fn report(&mut self, plan: &Plan, report: &Report<Failure>) {
        drop(self.showing.take());
        eprint!("\n{}", summary::summary(plan, report));
    }
}

impl Shared {
    fn picture(&mut self, size: Size, frame: usize) -> Picture {
        let (width, height) = (size.width.saturating_sub(1), size.height);
        let look = Look { width, height, glyphs: self.glyphs, frame, stopping: remote::interrupted() };
        let now = self.begun.elapsed();
        let settled: Vec<Settled> = self.settled.drain(..).collect();
        Picture {
            settled: settled.iter().flat_map(|line| layout::settled(line, &self.board, &look)).collect(),
            live: layout::live(&self.board, now, &look),
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
