//! What is known of a run while it goes on: fed with events, read by what draws. Knows no terminal and no clock of its own.

use std::collections::VecDeque;
use std::time::Duration;

use pipeline::{Amounts, Event, Outcome, StepId};

/// How many last lines of a step are kept, for when it fails.
const KEPT: usize = 4;

/// A run as it stands.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) stage: String,
    /// How many steps the plan has, and how many have ended.
    pub(super) steps: usize,
    pub(super) ended: usize,
    /// In the order in which their stage names them, so that each keeps its line.
    pub(super) running: Vec<Running>,
    /// Grows and never shrinks: columns of one run stay where they are.
    pub(super) subject_width: usize,
    pub(super) is_over: bool,
    subjects: Vec<String>,
}

/// A step that is under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) step: StepId,
    /// When it began, as time since the run began.
    pub(super) since: Duration,
    pub(super) amounts: Amounts,
    pub(super) last: VecDeque<String>,
}

/// What changes no more.
#[derive(Debug)]
pub(super) enum Settled {
    Title(String),
    Stage(String),
    Step {
        step: StepId,
        outcome: Outcome,
        elapsed: Duration,
        amounts: Amounts,
        /// What its tool said last, if it failed.
        tail: Vec<String>,
    },
}

impl Board {
    /// Takes in what happened at `now`; gives what settled by it.
    pub(super) fn note(&mut self, event: &Event, now: Duration) -> Option<Settled> {
        match event {
            Event::RunStarted { title, steps } => {
                self.steps = *steps;
                return Some(Settled::Title(title.clone()));
            }
            Event::StageStarted { stage, subjects } => {
                let widest = subjects.iter().map(|subject| subject.chars().count()).max().unwrap_or(0);
                self.subject_width = self.subject_width.max(widest).max("repository".len());
                self.subjects.clone_from(subjects);
                self.stage.clone_from(stage);
                return Some(Settled::Stage(stage.clone()));
            }
            Event::StepStarted { step } => self.start(step, now),
            Event::StepProgress { step, line } => {
                if let Some(running) = self.of(step) {
                    running.said(line);
                }
            }
            Event::StepAmount { step, amounts } => {
                if let Some(running) = self.of(step) {
                    running.amounts = *amounts;
                }
            }
            Event::StepFinished { step, outcome, milliseconds } => {
                return Some(self.end(step, outcome, Duration::from_millis(*milliseconds)));
            }
            Event::RunFinished { .. } => self.is_over = true,
            Event::StepFact { .. } => {}
        }
        None
    }

    fn start(&mut self, step: &StepId, now: Duration) {
        let place = |subject: &str| self.subjects.iter().position(|it| it == subject);
        let own = place(&step.subject);
        let at = self.running.partition_point(|it| place(&it.step.subject) <= own);
        let (step, amounts, last) = (step.clone(), Amounts::default(), VecDeque::new());
        self.running.insert(at, Running { step, since: now, amounts, last });
    }

    fn end(&mut self, step: &StepId, outcome: &Outcome, elapsed: Duration) -> Settled {
        self.ended += 1;
        let at = self.running.iter().position(|it| it.step == *step);
        let ended = at.map(|at| self.running.remove(at));
        let amounts = ended.as_ref().map_or_else(Amounts::default, |it| it.amounts);
        let tail = match (outcome, ended) {
            (Outcome::Failed { error }, Some(it)) => {
                // What the error says already is not said again.
                it.last.into_iter().filter(|line| !error.contains(line.trim())).collect()
            }
            _ => Vec::new(),
        };
        Settled::Step { step: step.clone(), outcome: outcome.clone(), elapsed, amounts, tail }
    }

    fn of(&mut self, step: &StepId) -> Option<&mut Running> {
        self.running.iter_mut().find(|it| it.step == *step)
    }
}

impl Running {
    fn said(&mut self, line: &str) {
        let line = console::strip_ansi_codes(line);
        // One line, whatever a tool thinks of terminals.
        let line: String = line.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        if line.trim().is_empty() || remote::nixos_rebuild::is_epilogue(&line) {
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}
