//! The executor: stages in order, tracks side by side, events to one thread.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use crate::{Amounts, Event, Outcome, Plan, Stage, StepId, Track};

/// Why no lock here is poisoned: nothing that can panic is done while one is held.
const UNPOISONED: &str = "no worker panics while it holds a lock";

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
        self.send(Event::StepProgress { step: self.step.clone(), line: line.to_owned() });
    }

    /// How much is done of how much.
    pub fn amounts(&self, amounts: Amounts) {
        self.send(Event::StepAmount { step: self.step.clone(), amounts });
    }

    /// Something for other programs to know, and for a later run.
    pub fn fact(&self, name: &'static str, value: impl Into<String>) {
        self.send(Event::StepFact { step: self.step.clone(), name, value: value.into() });
    }

    fn send(&self, event: Event) {
        // Nobody listens only when the run is over.
        let _ = self.sender.send(Message::Event(event));
    }
}

/// Runs the plan: `act` does a step's action, on one of at most `jobs` threads; `on_event` is called on this thread. Once
/// `stopped` says so, no failure is tolerated any more.
///
/// `E`'s `Display` becomes the event's text. Never panics by itself; a panic in `act` is passed on.
pub fn execute<A, E>(
    plan: &Plan<A>,
    jobs: usize,
    stopped: fn() -> bool,
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
    let failed = Mutex::new(Vec::new());
    let goes_on = || {
        let failed = failed.lock().expect(UNPOISONED);
        failed.is_empty() || (plan.tolerates(&failed) && !stopped())
    };
    for stage in &plan.stages {
        let tracks =
            stage.tracks.iter().filter(|track| !failed.lock().expect(UNPOISONED).contains(&track.subject));
        let tracks: VecDeque<&Track<A>> = tracks.collect();
        if tracks.is_empty() || !goes_on() {
            continue;
        }
        let subjects = tracks.iter().map(|track| track.subject.clone()).collect();
        on_event(&Event::StageStarted { stage: stage.name.clone(), subjects });
        let run = |track: &Track<A>, sender: &Sender<Message<E>>| {
            if !run_track(stage, track, &act, sender) {
                failed.lock().expect(UNPOISONED).push(track.subject.clone());
            }
            // What broke one may break them all.
            goes_on() || (stage.harmless && !stopped())
        };
        side_by_side(tracks, jobs, run, &mut on_event, &mut report);
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

/// Runs the tracks on at most `jobs` threads; once `run` says no, no further one is begun.
fn side_by_side<A, E>(
    tracks: VecDeque<&Track<A>>,
    jobs: usize,
    run: impl Fn(&Track<A>, &Sender<Message<E>>) -> bool + Sync,
    on_event: &mut impl FnMut(&Event),
    report: &mut Report<E>,
) where
    A: Sync,
    E: Send,
{
    let threads = jobs.clamp(1, tracks.len());
    let queue = Mutex::new(tracks);
    let next = || queue.lock().expect(UNPOISONED).pop_front();
    let (next, run, queue) = (&next, &run, &queue);
    std::thread::scope(|scope| {
        let (sender, messages) = mpsc::channel();
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(track) = next() {
                    if !run(track, &sender) {
                        queue.lock().expect(UNPOISONED).clear();
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
