//! Listening to a tool: each line of its standard error as it comes, the last of them for the error message, and what a
//! nix tells of its amounts.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::nix_log::{Amounts, NixLog};

/// How many of a tool's last lines are kept for the error message.
const TAIL: usize = 20;
/// Amounts are told no more often.
const PACE: Duration = Duration::from_millis(200);

/// What a tool says.
#[derive(Debug, Clone, Copy)]
pub enum Said<'a> {
    /// A line for a person.
    Line(&'a str),
    /// How much a nix has done; at most five times a second, and the last word at its end.
    Amounts(Amounts),
}

/// What is kept of it.
pub(crate) struct Heard {
    tail: VecDeque<String>,
    /// Reads it, where it is nix' own format.
    log: Option<NixLog>,
    told: (Amounts, Instant),
}

impl Heard {
    pub(crate) fn new(log: Option<NixLog>) -> Self {
        Self { tail: VecDeque::new(), log, told: (Amounts::default(), Instant::now()) }
    }

    /// All that came meanwhile.
    pub(crate) fn drain(&mut self, lines: &mpsc::Receiver<String>, on: &dyn Fn(Said<'_>)) {
        while let Ok(line) = lines.try_recv() {
            self.push(&line, on);
        }
        self.tell(PACE, on);
    }

    /// What comes before `until`, after its end.
    pub(crate) fn finish(
        mut self,
        lines: &mpsc::Receiver<String>,
        until: Instant,
        on: &dyn Fn(Said<'_>),
    ) -> Vec<String> {
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.push(&line, on);
        }
        self.tell(Duration::ZERO, on);
        Vec::from(self.tail)
    }

    fn push(&mut self, line: &str, on: &dyn Fn(Said<'_>)) {
        match &mut self.log {
            None => self.keep(line, on),
            Some(log) => log.read(line).iter().for_each(|line| self.keep(line, on)),
        }
    }

    fn keep(&mut self, line: &str, on: &dyn Fn(Said<'_>)) {
        if line.is_empty() {
            return;
        }
        on(Said::Line(line));
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
    }

    fn tell(&mut self, pace: Duration, on: &dyn Fn(Said<'_>)) {
        let Some(log) = &self.log else { return };
        let amounts = log.amounts();
        let (last, at) = self.told;
        if amounts != last && at.elapsed() >= pace {
            self.told = (amounts, Instant::now());
            on(Said::Amounts(amounts));
        }
    }
}
