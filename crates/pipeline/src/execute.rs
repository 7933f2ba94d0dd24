//! The executor: stages in order, tracks side by side, events to one thread.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use crate::{Event, Outcome, Plan, Stage, StepId, Track};

/// How the run went.
#[derive(Debug)]
pub struct Report<E> {
    /// Every step that was begun, in the order in which they ended.
    pub steps: Vec<StepReport>,
    /// What failed, at most one step a track.
    pub failures: Vec<Failure<E>>,
    /// Steps that were never begun.
    pub not_reached: Vec<StepId>,
    /// How long all of it took.
    pub elapsed: Duration,
}

/// How one step went.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// Which.
    pub step: StepId,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub elapsed: Duration,
}

/// A step that failed, with the caller's own error.
#[derive(Debug)]
pub struct Failure<E> {
    /// Which.
    pub step: StepId,
    /// Why.
    pub error: E,
}

/// By which a step tells what its tool says.
pub struct Progress<E> {
    step: StepId,
    sender: Sender<Message<E>>,
}

enum Message<E> {
    Event(Event),
    Ended { report: StepReport, error: Option<E> },
}

impl<E> Progress<E> {
    /// One line, as it comes.
    pub fn line(&self, line: &str) {
        let event = Event::StepProgress { step: self.step.clone(), line: line.to_owned() };
        // Nobody listens only when the run is over.
        let _ = self.sender.send(Message::Event(event));
    }
}

/// Runs the plan: `act` does a step's action, on one of at most `jobs` threads; `on_event` is called on this thread.
///
/// `E`'s `Display` becomes the event's text. Never panics by itself; a panic in `act` is passed on.
pub fn execute<A, E>(
    plan: &Plan<A>,
    jobs: usize,
    act: impl Fn(&A, &Progress<E>) -> Result<Outcome, E> + Sync,
    mut on_event: impl FnMut(&Event),
) -> Report<E>
where
    A: Sync,
    E: std::fmt::Display + Send,
{
    let start = Instant::now();
    on_event(&Event::RunStarted { title: plan.title.clone(), steps: plan.steps().count() });
    let mut report =
        Report { steps: Vec::new(), failures: Vec::new(), not_reached: Vec::new(), elapsed: start.elapsed() };
    for stage in &plan.stages {
        if report.failures.is_empty() {
            let subjects = stage.tracks.iter().map(|track| track.subject.clone()).collect();
            on_event(&Event::StageStarted { stage: stage.name.clone(), subjects });
            run_stage(stage, jobs, &act, &mut on_event, &mut report);
        }
    }
    let begun = |step: &StepId| report.steps.iter().any(|report| report.step == *step);
    let all = plan.steps().map(|(stage, track, step)| id(stage, track, &step.name));
    report.not_reached = all.filter(|step| !begun(step)).collect();
    report.elapsed = start.elapsed();
    on_event(&Event::RunFinished {
        ok: report.failures.is_empty(),
        not_reached: report.not_reached.clone(),
        milliseconds: milliseconds(report.elapsed),
    });
    report
}

fn run_stage<A, E>(
    stage: &Stage<A>,
    jobs: usize,
    act: &(impl Fn(&A, &Progress<E>) -> Result<Outcome, E> + Sync),
    on_event: &mut impl FnMut(&Event),
    report: &mut Report<E>,
) where
    A: Sync,
    E: std::fmt::Display + Send,
{
    let queue: Mutex<VecDeque<&Track<A>>> = Mutex::new(stage.tracks.iter().collect());
    let next = || queue.lock().expect("no worker panics while it holds the queue").pop_front();
    // Once one has failed no further track is begun: what broke it may break them all.
    let empty = || queue.lock().expect("no worker panics while it holds the queue").clear();
    std::thread::scope(|scope| {
        let (sender, messages) = mpsc::channel();
        for _ in 0..jobs.clamp(1, stage.tracks.len()) {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(track) = next() {
                    if !run_track(stage, track, act, &sender) {
                        empty();
                    }
                }
            });
        }
        drop(sender);
        for message in messages {
            match message {
                Message::Event(event) => on_event(&event),
                Message::Ended { report: step, error } => {
                    on_event(&Event::StepFinished {
                        step: step.step.clone(),
                        outcome: step.outcome.clone(),
                        milliseconds: milliseconds(step.elapsed),
                    });
                    report.failures.extend(error.map(|error| Failure { step: step.step.clone(), error }));
                    report.steps.push(step);
                }
            }
        }
    });
}

/// Did it end well?
fn run_track<A, E: std::fmt::Display>(
    stage: &Stage<A>,
    track: &Track<A>,
    act: &impl Fn(&A, &Progress<E>) -> Result<Outcome, E>,
    sender: &Sender<Message<E>>,
) -> bool {
    for step in &track.steps {
        let id = id(stage, track, &step.name);
        let start = Instant::now();
        let send = |message| sender.send(message).expect("the drawing thread outlives its workers");
        send(Message::Event(Event::StepStarted { step: id.clone() }));
        let progress = Progress { step: id.clone(), sender: sender.clone() };
        let (outcome, error) = match act(&step.action, &progress) {
            Ok(outcome) => (outcome, None),
            Err(error) => (Outcome::Failed { error: error.to_string() }, Some(error)),
        };
        let failed = error.is_some();
        send(Message::Ended { report: StepReport { step: id, outcome, elapsed: start.elapsed() }, error });
        if failed {
            return false;
        }
    }
    true
}

fn id<A>(stage: &Stage<A>, track: &Track<A>, step: &str) -> StepId {
    StepId { stage: stage.name.clone(), subject: track.subject.clone(), step: step.to_owned() }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
