//! One JSON event a line on standard output. Failures are in the events; nothing else is printed.

use pipeline::{Event, Report};

use super::Renderer;
use crate::events;
use crate::failure::Failure;
use crate::playbook::Plan;

pub(super) struct Json;

impl Renderer for Json {
    fn event(&mut self, event: &Event) {
        events::line(event);
    }

    fn report(&mut self, _plan: &Plan, report: &Report<Failure>) {
        for failure in &report.failures {
            events::Event::failure(&failure.error, Some(&failure.step)).print();
        }
    }
}
