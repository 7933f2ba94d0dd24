//! The plan's shape.

use std::fmt;

/// What a run will do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<A> {
    /// The command, for the report's heading.
    pub title: String,
    /// One after the other.
    pub stages: Vec<Stage<A>>,
    /// Which subjects may fail without ending the run.
    pub allowances: Vec<Allowance>,
}

/// Subjects of which some may fail: those are left alone from then on, and the run goes on without them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Who.
    pub subjects: Vec<String>,
    /// How many of them, over the whole run.
    pub failures: usize,
}

/// Tracks that may run side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage<A> {
    /// A word or two.
    pub name: String,
    /// One a host, or one for the repository.
    pub tracks: Vec<Track<A>>,
    /// It changes nothing: every track is run whatever becomes of the others, so that all findings are told at once.
    pub harmless: bool,
}

/// Steps on one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track<A> {
    /// The host's name, or what else the steps are about.
    pub subject: String,
    /// One after the other; a failure skips the rest.
    pub steps: Vec<Step<A>>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<A> {
    /// A word or two.
    pub name: String,
    /// What it will do, for a person who reads the plan.
    pub about: String,
    /// What the caller's function is given.
    pub action: A,
}

impl<A> Plan<A> {
    /// An empty plan.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), stages: Vec::new(), allowances: Vec::new() }
    }

    /// Appends a stage, unless it is empty.
    pub fn stage(&mut self, name: impl Into<String>, tracks: Vec<Track<A>>) {
        self.push(name.into(), tracks, false);
    }

    /// Appends a stage that changes nothing, unless it is empty.
    pub fn harmless_stage(&mut self, name: impl Into<String>, tracks: Vec<Track<A>>) {
        self.push(name.into(), tracks, true);
    }

    fn push(&mut self, name: String, mut tracks: Vec<Track<A>>, harmless: bool) {
        tracks.retain(|track| !track.steps.is_empty());
        if !tracks.is_empty() {
            self.stages.push(Stage { name, tracks, harmless });
        }
    }

    /// Up to `failures` of these subjects may fail; the run goes on without them.
    pub fn allow(&mut self, failures: usize, subjects: impl IntoIterator<Item = impl fmt::Display>) {
        let subjects: Vec<String> = subjects.into_iter().map(|subject| subject.to_string()).collect();
        if failures > 0 && !subjects.is_empty() {
            self.allowances.push(Allowance { subjects, failures });
        }
    }

    /// Does the run go on, once these subjects have failed?
    pub(crate) fn tolerates(&self, failed: &[String]) -> bool {
        let of =
            |allowance: &Allowance| failed.iter().filter(|name| allowance.subjects.contains(name)).count();
        let known = |name: &String| self.allowances.iter().any(|allowance| allowance.subjects.contains(name));
        failed.iter().all(known)
            && self.allowances.iter().all(|allowance| of(allowance) <= allowance.failures)
    }

    /// Every step with its stage and its subject, in the order of the plan.
    pub fn steps(&self) -> impl Iterator<Item = (&Stage<A>, &Track<A>, &Step<A>)> {
        self.stages.iter().flat_map(|stage| {
            stage
                .tracks
                .iter()
                .flat_map(move |track| track.steps.iter().map(move |step| (stage, track, step)))
        })
    }
}

impl<A> Track<A> {
    /// A track on this subject.
    pub fn new(subject: impl fmt::Display, steps: Vec<Step<A>>) -> Self {
        Self { subject: subject.to_string(), steps }
    }
}

impl<A> Step<A> {
    /// A step.
    pub fn new(name: impl Into<String>, about: impl Into<String>, action: A) -> Self {
        Self { name: name.into(), about: about.into(), action }
    }
}
