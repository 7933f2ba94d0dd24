//! The frame: whatever a command comes to, its stream has a beginning and an end.
//!
//! Of `rehearse` the command under rehearsal prints the stream; it begins one itself only where that one was never started.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::{Event, VERSION};
use crate::cli::Global;
use crate::failure::Failure;

/// What a command would do, where its dry run has no more to tell: a line or an event.
pub(crate) fn would(global: &Global, about: &str) {
    if global.json {
        Event::Would { about: about.to_owned() }.print();
    } else {
        say!("would {about}");
    }
}

/// Prints what is plain data, behind the stream's first line.
pub(crate) fn line(event: &impl Serialize) {
    begin();
    say!("{}", serde_json::to_string(event).expect("events are plain data"));
}

/// The first line, once it is known which command this is; none without `--json`.
static FIRST: OnceLock<Event> = OnceLock::new();
static BEGUN: AtomicBool = AtomicBool::new(false);

/// From here on this process prints a stream of events. One that only hands on another's begins its own with its first event.
pub(crate) fn stream(command: String, dry_run: bool, is_anothers: bool) {
    let _ = FIRST.set(Event::Begin { version: VERSION, command, dry_run });
    if !is_anothers {
        begin();
    }
}

fn begin() {
    if let Some(first) = FIRST.get()
        && !BEGUN.swap(true, Ordering::Relaxed)
    {
        say!("{}", serde_json::to_string(first).expect("events are plain data"));
    }
}

/// The last lines of the stream, if there is one.
pub(crate) fn end(failure: Option<&Failure>) {
    if FIRST.get().is_none() {
        return;
    }
    if let Some(failure) = failure.filter(|failure| !failure.is_told()) {
        Event::failure(failure, None).print();
    }
    if BEGUN.load(Ordering::Relaxed) {
        Event::End { exit_code: failure.map_or(0, |failure| failure.kind as u8) }.print();
    }
}

/// The whole stream of a command line that is none, where a program listens.
pub(crate) fn refused(failure: &Failure) {
    if std::env::args().skip(1).take_while(|word| word != "--").any(|word| word == "--json") {
        stream(String::new(), false, false);
        end(Some(failure));
    }
}
