//! What `--json` prints: one event a line, between a line that names the form's version and one that says how it ended.
//!
//! All kinds of events stand here, but for those of a run under way, which are `pipeline`'s; so the same thing has the same
//! name in all of them. Each field of a kind is always there, `null` where there is nothing to tell.
//! `docs/events.schema.json` says what each means, `docs/events.md` is made from it, and a test compares the three.

mod stream;

use serde::{Deserialize, Serialize};

pub(crate) use stream::{end, line, refuse, refused, stream, would};

use crate::failure::Failure;

/// Of the events' form, in a stream and in a journal.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    // Every stream.
    Begin {
        version: u32,
        command: String,
        dry_run: bool,
    },
    Failure(FailureEvent),
    End {
        exit_code: u8,
    },

    // Dry runs.
    PlannedStep {
        stage: String,
        subject: String,
        step: String,
        about: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        commands: Option<Vec<String>>,
    },
    Would {
        about: String,
    },
    WouldAsk {
        host: String,
        addresses: Vec<String>,
    },
    WouldEdit {
        secret: String,
        readers: Vec<String>,
    },
    WouldWrite {
        secret: String,
        readers: Vec<String>,
    },
    WouldRekey {
        secret: String,
        why: String,
    },

    // Runs, behind their own events.
    Report {
        run: String,
        path: String,
    },
    PastRun(PastRun),

    // The cluster.
    Host(Box<HostEvent>),
    Remark {
        subject: String,
        finding: String,
        tail: Vec<String>,
        hint: Option<String>,
    },
    Finding(Finding),
    Well {
        host: Option<String>,
        check: String,
        value: String,
    },
    Token {
        host: String,
        as_secret: Option<bool>,
        login: String,
        ok: bool,
    },
    Kubeconfig {
        path: String,
        link: Option<String>,
        server: String,
        context: String,
        changed: bool,
    },

    // The repository.
    Overview(Box<Overview>),
    Check {
        subject: String,
        ok: bool,
        finding: String,
        hint: Option<String>,
    },
    Node(NodeEvent),
    Key {
        host: Option<String>,
        admin: Option<String>,
        key: String,
        replaces: Option<String>,
        heard_at: Option<String>,
    },
    Difference {
        file: String,
        difference: String,
    },
    Anew {
        secret: String,
        added: Vec<String>,
        removed: Vec<String>,
        why: String,
    },
    Added {
        host: String,
    },
    Pinned {
        host: String,
    },
    Removed {
        host: String,
    },
    CouldRead {
        host: String,
        secrets: Vec<String>,
    },
    GraphNode {
        id: String,
        kind: String,
        name: String,
        details: Vec<String>,
        broken: bool,
    },
    GraphEdge {
        from: String,
        to: String,
        relation: String,
    },
    GraphFault {
        finding: String,
        hint: Option<String>,
    },

    // Its secrets.
    Secret(SecretEvent),
    SecretFinished {
        secret: String,
        outcome: String,
        detail: String,
    },
    RefusedRule {
        finding: String,
        hint: String,
    },
    CutOff {
        hint: String,
    },
    Rekey {
        secret: String,
        why: String,
    },
    Left {
        secret: String,
        why: String,
    },
    Rekeyed {
        changed: usize,
        right: usize,
        missing: usize,
        left: usize,
    },
}

/// What failed, with all that a person is told of it. The first three where it is a step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailureEvent {
    pub(crate) stage: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) step: Option<String>,
    pub(crate) error: String,
    pub(crate) tail: Vec<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) hint: Option<String>,
    pub(crate) exit_code: u8,
}

/// A run that has a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct PastRun {
    pub(crate) run: String,
    pub(crate) title: String,
    pub(crate) at: String,
    pub(crate) outcome: String,
    pub(crate) exit_code: Option<u8>,
    pub(crate) milliseconds: Option<u64>,
    pub(crate) journal: String,
    pub(crate) report: Option<String>,
}

/// Where one stands. `error` and no fleet where fleet.toml cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct Overview {
    pub(crate) stage: String,
    pub(crate) cluster: Option<String>,
    pub(crate) admins: Option<usize>,
    pub(crate) hosts: Option<Vec<OverviewHost>>,
    pub(crate) error: Option<String>,
    pub(crate) missing_tokens: Vec<String>,
    pub(crate) was_cut_off: bool,
    pub(crate) has_lock: bool,
    pub(crate) unknown_to_git: Vec<String>,
    pub(crate) uncommitted: Vec<String>,
    pub(crate) last_run: Option<OverviewRun>,
    pub(crate) next: Vec<OverviewNext>,
}

/// A host, as far as the repository knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct OverviewHost {
    pub(crate) host: String,
    pub(crate) role: Option<String>,
    pub(crate) has_key: bool,
    pub(crate) has_folder: bool,
}

/// The newest run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct OverviewRun {
    pub(crate) run: String,
    pub(crate) title: String,
    pub(crate) at: String,
    pub(crate) outcome: String,
    pub(crate) error: Option<String>,
}

/// A command that is likely next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct OverviewNext {
    pub(crate) command: String,
    pub(crate) why: String,
}

/// `status`: all but the first group is `null` where the host could not be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct HostEvent {
    pub(crate) host: String,
    pub(crate) role: Option<String>,
    pub(crate) reached: bool,
    pub(crate) nodes_known: bool,
    pub(crate) node: Option<HostNode>,
    pub(crate) notes: Vec<String>,
    pub(crate) drift: Option<String>,
    pub(crate) flake: Option<String>,

    pub(crate) k3s: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) generation: Option<u32>,
    pub(crate) generation_made: Option<u64>,
    pub(crate) clock: Option<u64>,
    pub(crate) running: Option<String>,
    pub(crate) boot_default: Option<String>,
    pub(crate) booted: Option<String>,
    pub(crate) other_kernel: Option<bool>,
    pub(crate) rollback_armed: Option<bool>,
    pub(crate) deployed_by: Option<String>,
    pub(crate) failed_units: Option<Vec<String>>,
    pub(crate) certificate: Option<CertificateEvent>,
}

/// The host's node, as the API server tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct HostNode {
    pub(crate) ready: bool,
    pub(crate) status: Option<String>,
    pub(crate) cordoned: bool,
    pub(crate) version: String,
    pub(crate) last_heartbeat: Option<u64>,
}

/// The certificate that ends first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct CertificateEvent {
    pub(crate) file: String,
    pub(crate) moment: u64,
}

/// What is not well: `doctor`'s, with a cause, and `token check`'s, without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct Finding {
    pub(crate) host: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) severity: String,
    pub(crate) finding: String,
    pub(crate) value: Option<String>,
    pub(crate) evidence: Vec<String>,
    pub(crate) seen_by: Option<String>,
    pub(crate) hint: String,
}

/// A host of fleet.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct NodeEvent {
    pub(crate) host: String,
    pub(crate) role: Option<String>,
    pub(crate) node_ip: Option<String>,
    pub(crate) addresses: Vec<String>,
    pub(crate) ssh_user: String,
    pub(crate) labels: Vec<String>,
    pub(crate) taints: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) key: Option<String>,
}

/// A secret of secrets.nix, and its file. What only a file has is `null` without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct SecretEvent {
    pub(crate) secret: String,
    pub(crate) state: String,
    pub(crate) rule: Option<Vec<String>>,
    pub(crate) readers: Option<String>,
    pub(crate) agrees: Option<bool>,
    pub(crate) proven: Option<bool>,
    pub(crate) finding: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) bytes: Option<u64>,
    pub(crate) armor: Option<bool>,
}

impl Event {
    /// A failure of a step, or of the command itself.
    pub(crate) fn failure(failure: &Failure, step: Option<&pipeline::StepId>) -> Self {
        let part = |part: fn(&pipeline::StepId) -> &String| step.map(part).cloned();
        Self::Failure(FailureEvent {
            stage: part(|step| &step.stage),
            subject: part(|step| &step.subject),
            step: part(|step| &step.step),
            error: failure.message.clone(),
            tail: failure.tail.clone(),
            notes: failure.notes.clone(),
            hint: failure.hint.clone(),
            exit_code: failure.kind as u8,
        })
    }

    /// One line on standard output. A reader that has gone away ends nobody's deploy.
    pub(crate) fn print(&self) {
        line(self);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Those of `pipeline`, which knows no other form than its own, and what is no event of ours.
    const OTHERS: [&str; 10] = [
        "run",
        "run-started",
        "stage-started",
        "step-started",
        "step-progress",
        "step-amount",
        "step-fact",
        "step-finished",
        "run-finished",
        "journal-entry",
    ];

    #[test]
    fn the_kinds_of_the_code_and_of_the_schema_are_the_same() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/events.schema.json")).unwrap();
        let of_schema: BTreeSet<String> = schema["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|kind| kind["$ref"].as_str().unwrap().trim_start_matches("#/$defs/").to_owned())
            .collect();
        let of_groups = schema["x-groups"].as_array().unwrap().iter();
        let of_groups: BTreeSet<String> = of_groups
            .flat_map(|group| group["events"].as_array().unwrap())
            .map(|kind| kind.as_str().unwrap().to_owned())
            .chain(["journal-entry".to_owned()])
            .collect();
        // serde itself tells which kinds it knows.
        let unknown = serde_json::from_str::<Event>(r#"{"event":"nonsense"}"#).unwrap_err().to_string();
        let known = unknown.split('`').skip(3).step_by(2).map(str::to_owned);
        let known: BTreeSet<String> = known.chain(OTHERS.map(str::to_owned)).collect();
        assert!(known.len() > 40, "{unknown}");
        assert_eq!(known, of_schema);
        assert_eq!(of_groups, of_schema);
        assert_eq!(schema["$defs"]["begin"]["properties"]["version"]["const"], VERSION);
        assert_eq!(schema["$defs"]["run"]["properties"]["version"]["const"], VERSION);
    }
}
