//! A journal's lines, as far as a report needs them.
//!
//! Types of their own, and not those that write them: these take what an earlier version wrote, and pass over kinds and fields
//! that they do not know.

use serde::Deserialize;

use crate::events::FailureEvent;

#[derive(Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) at: String,
    #[serde(flatten)]
    pub(super) told: Told,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Told {
    Run {
        version: u32,
        id: String,
        title: String,
    },
    RunStarted,
    StageStarted {
        stage: String,
    },
    StepStarted(Id),
    StepProgress {
        #[serde(flatten)]
        id: Id,
        line: String,
    },
    StepAmount {
        #[serde(flatten)]
        id: Id,
        #[serde(flatten)]
        amounts: Amounts,
    },
    StepFact {
        #[serde(flatten)]
        id: Id,
        name: String,
        value: String,
    },
    StepFinished {
        #[serde(flatten)]
        id: Id,
        outcome: String,
        detail: Option<String>,
        reason: Option<String>,
        error: Option<String>,
    },
    RunFinished {
        ok: bool,
        not_reached: Vec<Id>,
    },
    Failure(FailureEvent),
    End {
        exit_code: u8,
    },
    #[serde(other)]
    Unknown,
}

/// Which step.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Id {
    pub(crate) stage: String,
    pub(crate) subject: String,
    pub(crate) step: String,
}

/// How far it came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Amounts {
    #[serde(default)]
    pub(crate) builds: Option<Amount>,
    #[serde(default)]
    pub(crate) paths: Option<Amount>,
    #[serde(default)]
    pub(crate) bytes: Option<Amount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Amount {
    pub(crate) done: u64,
}
