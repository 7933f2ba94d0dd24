//! One JSON event a line on standard output. Failures are in the events; nothing else is printed.

use std::io::Write;

use pipeline::{Event, Report};

use super::{Renderer, github};
use crate::failure::Failure;
use crate::playbook::Plan;

pub(super) struct Json;

impl Renderer for Json {
    fn event(&mut self, event: &Event) {
        let line = serde_json::to_string(event).expect("events are plain data");
        // A reader that has gone away ends nobody's deploy.
        let _ = writeln!(std::io::stdout(), "{}", github::said(line));
    }

    fn report(&mut self, _plan: &Plan, report: &Report<Failure>) {
        for failure in &report.failures {
            let _ = writeln!(std::io::stdout(), "{}", github::said(failure_event(failure).to_string()));
        }
    }
}

/// A failure with all that a person is told of it.
pub(crate) fn failure_event(failure: &pipeline::Failure<Failure>) -> serde_json::Value {
    serde_json::json!({
        "event": "failure",
        "stage": failure.step.stage, "subject": failure.step.subject, "step": failure.step.step,
        "error": failure.error.message, "tail": failure.error.tail, "notes": failure.error.notes,
        "hint": failure.error.hint, "exit_code": failure.error.kind as u8,
    })
}
