//! One live line a host: stage, step, elapsed time, and what its tool said last. Finished steps settle above.

use std::collections::HashMap;
use std::time::Duration;

use console::{Term, style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use pipeline::{Event, Outcome, Report, StepId};

use super::{Renderer, summary};
use crate::failure::Failure;
use crate::playbook::Plan;

const TICK: Duration = Duration::from_millis(100);

pub(super) struct Live {
    lines: MultiProgress,
    /// By subject: a host does one thing at a time.
    running: HashMap<String, ProgressBar>,
    width: usize,
}

impl Live {
    pub(super) fn new(lines: MultiProgress) -> Self {
        Self { lines, running: HashMap::new(), width: 0 }
    }

    fn start(&mut self, step: &StepId) {
        let template = "  {spinner:.cyan} {prefix} {elapsed:>4.dim}  {wide_msg:.dim}";
        let template = ProgressStyle::with_template(template).expect("the template is well formed");
        let line = self.lines.add(ProgressBar::new_spinner()).with_style(template.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        line.set_prefix(format!("{:width$}  {:15}", step.subject, step.step, width = self.width));
        line.enable_steady_tick(TICK);
        self.running.insert(step.subject.clone(), line);
    }

    /// Prints a line above the live ones, one line high whatever it says.
    fn settle(&self, line: &str) {
        let width = usize::from(Term::stderr().size().1);
        // It prints nothing where it cannot draw; then the plain renderer is in its place.
        let _ = self.lines.println(console::truncate_str(line, width, "…"));
    }

    fn finish(&mut self, step: &StepId, outcome: &Outcome, milliseconds: u64) {
        if let Some(line) = self.running.remove(&step.subject) {
            line.finish_and_clear();
        }
        let (mark, text) = match outcome {
            Outcome::Changed { detail } | Outcome::Done { detail } => {
                (style("✓").green(), style(detail.as_str()))
            }
            Outcome::Skipped { reason } => (style("–").dim(), style(reason.as_str()).dim()),
            Outcome::Failed { .. } => (style("✗").red().bold(), style("see below").red()),
        };
        let time = summary::time(Duration::from_millis(milliseconds));
        let width = self.width;
        let time = style(time).dim();
        self.settle(&format!("  {mark} {:width$}  {:15} {time:>6}  {text}", step.subject, step.step));
    }
}

impl Renderer for Live {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { title, .. } => {
                self.settle(&style(title).bold().to_string());
            }
            Event::StageStarted { stage, subjects } => {
                let widest = subjects.iter().map(|subject| subject.chars().count()).max().unwrap_or(0);
                // Grows and never shrinks: columns of one run stay where they are.
                self.width = self.width.max(widest).max("repository".len());
                self.settle(&style(stage).cyan().to_string());
            }
            Event::StepStarted { step } => self.start(step),
            Event::StepProgress { step, line } => {
                if let Some(bar) = self.running.get(&step.subject) {
                    bar.set_message(console::strip_ansi_codes(line).into_owned());
                }
            }
            Event::StepFinished { step, outcome, milliseconds } => self.finish(step, outcome, *milliseconds),
            Event::StepFact { .. } | Event::RunFinished { .. } => {}
        }
    }

    fn report(&mut self, plan: &Plan, report: &Report<Failure>) {
        let summary = summary::summary(plan, report);
        // All lines have settled by now, and the cursor stands behind the last of them.
        let _ = self.lines.clear();
        eprint!("\n\n{summary}");
    }
}
