//! What a journal tells of a run, put together: stages with their spans, steps with their times, lines and facts.
//!
//! It is read from the lines as they are documented, and leniently: a kind that is not known is passed over, a line that a
//! kill cut off is no JSON, and a step without an end was under way when the run died.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::told::{Amounts, Id, Line, Told};
use crate::events::{FailureEvent, VERSION};

/// How many of a step's lines are kept, the last ones.
const LINES: usize = 100;

/// One run. Times are milliseconds since it began.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) id: String,
    pub(crate) title: String,
    /// RFC 3339.
    pub(crate) at: String,
    /// It was not refused before its first step.
    pub(crate) has_begun: bool,
    pub(crate) stages: Vec<StageSpan>,
    /// In the order in which they began.
    pub(crate) steps: Vec<Step>,
    pub(crate) failures: Vec<FailureEvent>,
    pub(crate) not_reached: Vec<Id>,
    /// The last line's time.
    pub(crate) length: u64,
    pub(crate) end: End,
}

/// How it ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Killed, or still going on.
    #[default]
    Unknown,
    /// With this exit code.
    Code(u8),
}

/// A stage as it was run. Servers have one each, of the same name.
#[derive(Debug)]
pub(crate) struct StageSpan {
    pub(crate) name: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: Id,
    /// Its stage, as an index.
    pub(crate) stage: usize,
    pub(crate) from: u64,
    /// That of the run, where it has none of its own.
    pub(crate) to: u64,
    pub(crate) outcome: Outcome,
    /// What it did, why it was skipped, or what went wrong.
    pub(crate) detail: String,
    pub(crate) lines: VecDeque<String>,
    /// Lines before those.
    pub(crate) dropped: usize,
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) amounts: Amounts,
    /// How many steps had ended when it began, and when it ended: their order, exact where their times are not.
    pub(super) begun_after: usize,
    pub(super) ended_as: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Changed,
    Done,
    Skipped,
    Failed,
    /// It has no end: the run was killed.
    CutOff,
}

impl Story {
    /// `None` for what is no journal, or one of another version.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let first = lines.next()?;
        let Told::Run { version: VERSION, id, title } = first.told else { return None };
        let begun = humantime::parse_rfc3339(&first.at).ok()?;
        let mut story = Self { id, title, at: first.at, ..Self::default() };
        let mut ended = 0;
        for Line { at, told } in lines {
            story.length = story.length.max(since(begun, &at).unwrap_or(story.length));
            story.take(told, &mut ended);
        }
        let end = story.length;
        let without_end = |step: &&mut Step| step.ended_as.is_none();
        story.steps.iter_mut().filter(without_end).for_each(|step| step.to = end);
        story.close_stage();
        Some(story)
    }

    fn take(&mut self, told: Told, ended: &mut usize) {
        let now = self.length;
        match told {
            Told::RunStarted => self.has_begun = true,
            Told::StageStarted { stage } => {
                self.close_stage();
                self.stages.push(StageSpan { name: stage, from: now, to: now });
            }
            Told::StepStarted(id) => {
                if self.stages.last().is_none_or(|stage| stage.name != id.stage) {
                    self.close_stage();
                    self.stages.push(StageSpan { name: id.stage.clone(), from: now, to: now });
                }
                self.steps.push(Step::begin(id, self.stages.len() - 1, now, *ended));
            }
            Told::StepProgress { id, line } => {
                if let Some(step) = self.open(&id) {
                    step.line(line);
                }
            }
            Told::StepAmount { id, amounts } => {
                if let Some(step) = self.open(&id) {
                    step.amounts = amounts;
                }
            }
            Told::StepFact { id, name, value } => {
                if let Some(step) = self.open(&id) {
                    step.facts.push((name, value));
                }
            }
            Told::StepFinished { id, outcome, detail, reason, error } => {
                if let Some(step) = self.open(&id) {
                    step.to = now;
                    step.outcome = Outcome::of(&outcome);
                    step.detail = detail.or(reason).or(error).unwrap_or_default();
                    step.ended_as = Some(*ended);
                    *ended += 1;
                }
            }
            Told::RunFinished { ok, not_reached } => {
                self.not_reached = not_reached;
                // The next lines know it better; journals of earlier versions end here.
                self.end = End::Code(u8::from(!ok));
            }
            Told::Failure(failure) => {
                if self.end == End::Code(1) {
                    self.end = End::Code(failure.exit_code);
                }
                self.failures.push(failure);
            }
            Told::End { exit_code } => self.end = End::Code(exit_code),
            Told::Run { .. } | Told::Unknown => {}
        }
    }

    /// The step that is meant: a name comes back where a host is verified again after its reboot.
    fn open(&mut self, id: &Id) -> Option<&mut Step> {
        self.steps.iter_mut().rev().find(|step| step.id == *id && step.ended_as.is_none())
    }

    fn close_stage(&mut self) {
        let now = self.length;
        let last = self.steps.iter().map(|step| step.to).max();
        if let Some(stage) = self.stages.last_mut() {
            stage.to = last.unwrap_or(now).max(stage.from);
        }
    }

    /// Whoever the steps are about, in the order in which they came.
    pub(crate) fn subjects(&self) -> Vec<&str> {
        let mut subjects: Vec<&str> = Vec::new();
        for id in self.steps.iter().map(|step| &step.id).chain(&self.not_reached) {
            if !subjects.contains(&id.subject.as_str()) {
                subjects.push(&id.subject);
            }
        }
        subjects
    }

    /// How many steps ended like this.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.steps.iter().filter(|step| step.outcome == outcome).count()
    }

    /// For programs: `ok`, `failed`, `interrupted`, `unfinished`.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.end {
            End::Code(0) => "ok",
            End::Code(130) => "interrupted",
            End::Code(_) => "failed",
            End::Unknown => "unfinished",
        }
    }

    /// For people.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.end {
            End::Code(0) if self.count(Outcome::Changed) == 0 => "all is well; nothing was changed",
            End::Code(0) => "done",
            End::Code(2) => "refused: wrong usage",
            End::Code(3) => "failed: configuration or secrets",
            End::Code(4) => "failed: a host is unreachable",
            End::Code(5) => "failed: a build failed",
            End::Code(6) => "failed: an activation failed",
            End::Code(7) => "failed: a verification failed",
            End::Code(8) => "not known whether a host was changed",
            End::Code(9) => "refused: a host is locked by another deployer",
            End::Code(130) => "interrupted",
            End::Code(_) => "failed",
            End::Unknown => "no end is known: it was killed, or goes on",
        }
    }

    pub(crate) fn exit_code(&self) -> Option<u8> {
        match self.end {
            End::Code(code) => Some(code),
            End::Unknown => None,
        }
    }
}

impl Step {
    fn begin(id: Id, stage: usize, now: u64, begun_after: usize) -> Self {
        Self {
            id,
            stage,
            from: now,
            to: now,
            outcome: Outcome::CutOff,
            detail: String::new(),
            lines: VecDeque::new(),
            dropped: 0,
            facts: Vec::new(),
            amounts: Amounts::default(),
            begun_after,
            ended_as: None,
        }
    }

    fn line(&mut self, line: String) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines.push_back(line);
    }

    pub(crate) fn took(&self) -> u64 {
        self.to - self.from
    }

    /// All of its facts of this name.
    pub(crate) fn facts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.facts.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Outcome {
    fn of(word: &str) -> Self {
        match word {
            "changed" => Self::Changed,
            "skipped" => Self::Skipped,
            "failed" => Self::Failed,
            _ => Self::Done,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::CutOff => "cut off",
        }
    }
}

fn since(begun: SystemTime, at: &str) -> Option<u64> {
    let at = humantime::parse_rfc3339(at).ok()?;
    u64::try_from(at.duration_since(begun).ok()?.as_millis()).ok()
}

/// One subject's row.
pub(crate) struct Tally {
    pub(crate) changed: usize,
    pub(crate) skipped: usize,
    pub(crate) milliseconds: u64,
    pub(crate) outcome: Outcome,
    pub(crate) words: String,
}

impl Story {
    /// How it went with one subject. `CutOff`: not all that was planned for it was done, and nothing of it failed.
    pub(crate) fn tally(&self, subject: &str) -> Tally {
        let steps: Vec<&Step> = self.steps.iter().filter(|step| step.id.subject == subject).collect();
        let count = |outcome| steps.iter().filter(|step| step.outcome == outcome).count();
        let not_reached = self.not_reached.iter().find(|id| id.subject == subject);
        let failed = steps.iter().find(|step| step.outcome == Outcome::Failed);
        let cut_off = steps.iter().find(|step| step.outcome == Outcome::CutOff);
        let (outcome, words) = match (failed, cut_off, not_reached) {
            (Some(step), _, _) => (Outcome::Failed, format!("failed at {}", step.id.step)),
            (None, Some(step), _) => (Outcome::CutOff, format!("no end of {} is known", step.id.step)),
            (None, None, Some(id)) if steps.is_empty() => {
                (Outcome::CutOff, format!("not touched; first would be {}", id.step))
            }
            (None, None, Some(id)) => (Outcome::CutOff, format!("stopped before {} ({})", id.step, id.stage)),
            (None, None, None) => {
                let last = steps.last().map(|step| step.detail.clone()).unwrap_or_default();
                let outcome = if count(Outcome::Changed) > 0 { Outcome::Changed } else { Outcome::Done };
                (outcome, last)
            }
        };
        Tally {
            changed: count(Outcome::Changed),
            skipped: count(Outcome::Skipped),
            milliseconds: steps.iter().map(|step| step.took()).sum(),
            outcome,
            words,
        }
    }
}
