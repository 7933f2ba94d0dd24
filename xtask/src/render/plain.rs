//! Plain lines on standard error, one a step that ended: for pipes, logs and CI.

use std::time::Duration;

use pipeline::{Event, Outcome, Report};

use super::{Renderer, summary};
use crate::failure::Failure;
use crate::playbook::Plan;

pub(super) struct Plain {
    verbose: bool,
}

impl Plain {
    pub(super) fn new(verbose: bool) -> Self {
        Self { verbose }
    }
}

impl Renderer for Plain {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { title, steps } => eprintln!("{title}: {steps} steps"),
            Event::StepStarted { step } if self.verbose => eprintln!("{}  {} …", step.subject, step.step),
            Event::StepProgress { step, line } if self.verbose => {
                eprintln!("{}  {}  {line}", step.subject, step.step);
            }
            Event::StepFinished { step, outcome, milliseconds } => {
                let time = summary::time(Duration::from_millis(*milliseconds));
                let (mark, text) = match outcome {
                    Outcome::Changed { detail } | Outcome::Done { detail } => ("done", detail.as_str()),
                    Outcome::Skipped { reason } => ("skip", reason.as_str()),
                    Outcome::Failed { .. } => ("FAIL", "see below"),
                };
                eprintln!("{mark}  {}  {}  {time}  {text}", step.subject, step.step);
            }
            _ => {}
        }
    }

    fn report(&mut self, plan: &Plan, report: &Report<Failure>) {
        eprint!("\n{}", summary::summary(plan, report));
    }
}
