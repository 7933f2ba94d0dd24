//! What happens during a run, as it happens.

use serde::Serialize;

/// Which step: its place in the plan, and its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StepId {
    /// The stage's name.
    pub stage: String,
    /// The host, or what else the step is about.
    pub subject: String,
    /// The step's name.
    pub step: String,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It changed a host or the repository.
    Changed {
        /// What, in words.
        detail: String,
    },
    /// It looked and found all well, or made what changes nothing by itself.
    Done {
        /// What, in words.
        detail: String,
    },
    /// There was nothing to do.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It failed.
    Failed {
        /// The error, in one line.
        error: String,
    },
}

/// How much of how much. What is expected may grow while more is found to do; 0 where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Done so far.
    pub done: u64,
    /// All that is known of.
    pub expected: u64,
}

/// What of a build and a copy is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Derivations built.
    pub builds: Amount,
    /// Store paths copied.
    pub paths: Amount,
    /// Bytes copied.
    pub bytes: Amount,
}

/// One event. As JSON it is one line; its `event` names its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// The command.
        title: String,
        /// How many steps the plan has.
        steps: usize,
    },
    /// A stage begins.
    StageStarted {
        /// Its name.
        stage: String,
        /// Its subjects.
        subjects: Vec<String>,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        #[serde(flatten)]
        step: StepId,
    },
    /// A tool said something.
    StepProgress {
        /// Which step.
        #[serde(flatten)]
        step: StepId,
        /// One line of its standard error.
        line: String,
    },
    /// A step that knows how much there is to do tells how much is done. At most five a second, and a last one at its end.
    StepAmount {
        /// Which step.
        #[serde(flatten)]
        step: StepId,
        /// How much.
        #[serde(flatten)]
        amounts: Amounts,
    },
    /// A step found out something that another program may want to know.
    StepFact {
        /// Which step.
        #[serde(flatten)]
        step: StepId,
        /// What: `snapshot`, `system` …
        name: &'static str,
        /// A path, a number, a name.
        value: String,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        #[serde(flatten)]
        step: StepId,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// The run ended.
    RunFinished {
        /// Did every step end well?
        ok: bool,
        /// Steps that were never reached.
        not_reached: Vec<StepId>,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
}
