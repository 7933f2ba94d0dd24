//! Plain lines on standard error, one a step that ended: for pipes, logs and CI. A step that takes long says from time to
//! time how far it is, so that nobody takes it for dead.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use console::style;
use pipeline::{Event, Outcome, Report};

use super::board::{Board, Settled};
use super::{Renderer, layout, summary};
use crate::failure::Failure;
use crate::playbook::Plan;

/// How often a step that takes long says so.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_secs(1);

pub(super) struct Plain {
    verbose: bool,
    begun: Instant,
    signs: Arc<Mutex<Signs>>,
    /// Gone when it is to end.
    ticks: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Plain {
    pub(super) fn new(verbose: bool) -> Self {
        let begun = Instant::now();
        let signs = Arc::new(Mutex::new(Signs::default()));
        let (sender, ticks) = mpsc::channel();
        let told = Arc::clone(&signs);
        let tick = move || {
            while ticks.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                lock(&told).due(begun.elapsed()).iter().for_each(|line| eprintln!("{line}"));
            }
        };
        // Without a thread there are no signs of life, and all else.
        let thread = std::thread::Builder::new().name("signs of life".to_owned()).spawn(tick);
        Self { verbose, begun, signs, ticks: thread.ok().map(|thread| (sender, thread)) }
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
            _ => {}
        }
        let settled = lock(&self.signs).board.note(event, self.begun.elapsed());
        if let Some(Settled::Step { step, outcome, elapsed, .. }) = settled {
            let time = summary::time(elapsed);
            let (mark, text) = match &outcome {
                Outcome::Changed { detail } | Outcome::Done { detail } => {
                    (style("done").green(), detail.as_str())
                }
                Outcome::Skipped { reason } => (style("skip").dim(), reason.as_str()),
                Outcome::Failed { .. } => (style("FAIL").red().bold(), "see below"),
            };
            eprintln!("{}  {}  {}  {time}  {text}", mark.for_stderr(), step.subject, step.step);
        }
    }

    fn report(&mut self, plan: &Plan, report: &Report<Failure>) {
        self.end();
        eprint!("\n{}", summary::summary(plan, report));
    }
}

impl Plain {
    fn end(&mut self) {
        if let Some((sender, thread)) = self.ticks.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is under way, and how long ago each of it was heard of.
#[derive(Default)]
struct Signs {
    board: Board,
    told: Duration,
}

impl Signs {
    /// A line for each step that has been under way for another while.
    fn due(&mut self, now: Duration) -> Vec<String> {
        let before = std::mem::replace(&mut self.told, now);
        let whiles =
            |at: Duration, since: Duration| at.saturating_sub(since).as_secs() / SIGN_OF_LIFE.as_secs();
        let due = self.board.running.iter().filter(|it| whiles(now, it.since) > whiles(before, it.since));
        let line = |it: &super::board::Running| {
            let elapsed = now.saturating_sub(it.since);
            let time = summary::time(Duration::from_secs(elapsed.as_secs()));
            let far = match layout::in_words(&it.amounts) {
                far if far.is_empty() => it.last.back().map_or("", |line| line.trim()).to_owned(),
                far => far,
            };
            format!("wait  {}  {}  {time}  {far}", it.step.subject, it.step.step).trim_end().to_owned()
        };
        due.map(line).collect()
    }
}

fn lock(signs: &Mutex<Signs>) -> MutexGuard<'_, Signs> {
    signs.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use pipeline::{Amount, Amounts, StepId};

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn step(subject: &str) -> StepId {
        StepId { stage: "build".to_owned(), subject: subject.to_owned(), step: "build".to_owned() }
    }

    #[test]
    fn a_step_that_takes_long_says_every_half_minute_how_far_it_is() {
        let mut signs = Signs::default();
        signs.board.note(&Event::StepStarted { step: step("ocean") }, seconds(0));
        signs.board.note(&Event::StepStarted { step: step("maia") }, seconds(20));
        assert!(signs.due(seconds(29)).is_empty());
        assert_eq!(signs.due(seconds(30)), ["wait  ocean  build  30 s"]);
        assert!(signs.due(seconds(31)).is_empty());
        let line = "building '/nix/store/x-linux.drv'...".to_owned();
        signs.board.note(&Event::StepProgress { step: step("maia"), line }, seconds(40));
        let amount = |done, expected| Amount { done, expected };
        let amounts = Amounts { builds: amount(2, 7), paths: amount(0, 0), bytes: amount(1 << 20, 3 << 20) };
        signs.board.note(&Event::StepAmount { step: step("ocean"), amounts }, seconds(41));
        assert_eq!(signs.due(seconds(51)), ["wait  maia  build  31 s  building '/nix/store/x-linux.drv'..."]);
        assert_eq!(signs.due(seconds(60)), ["wait  ocean  build  1 min 0 s  2/7 builds, 1.0/3.0 MiB"]);
        // Late, since the machine slept: once, and not once for each that was missed.
        assert_eq!(signs.due(seconds(300)).len(), 2);
        let outcome = Outcome::Done { detail: String::new() };
        let end = Event::StepFinished { step: step("ocean"), outcome, milliseconds: 1 };
        signs.board.note(&end, seconds(301));
        assert_eq!(signs.due(seconds(400)).len(), 1);
    }
}
