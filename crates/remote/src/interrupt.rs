//! Ctrl-C, ctrl-\, SIGTERM and SIGHUP, as a flag that every wait looks at.
//!
//! Children run in process groups of their own, so a terminal's ctrl-C reaches only us: we decide what is ended, in
//! which order, and no tool is killed half-way behind our back.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

static STOP: AtomicBool = AtomicBool::new(false);
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// How many things have to be cleared up.
static TIDY: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// On this thread the flag is not seen.
    static SHIELDED: Cell<bool> = const { Cell::new(false) };
}

/// How many programs at the terminal have ctrl-C for themselves.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// From now on SIGINT, SIGQUIT, SIGTERM and a closed terminal's SIGHUP set a flag, and a second one ends the process at
/// once, and with it the commands that it waits for.
///
/// # Errors
/// Where the system refuses the handlers.
pub fn watch_for_interrupts() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP])?;
    // For the process's life: a handler may do next to nothing, a thread may think.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || signals.forever().for_each(note))?;
    Ok(())
}

fn note(signal: i32) {
    let held = HELD.load(Ordering::SeqCst) > 0;
    let from_keyboard = matches!(signal, SIGINT | SIGQUIT);
    if held && from_keyboard {
        return;
    }
    if !from_keyboard {
        TERMINATED.store(true, Ordering::SeqCst);
    }
    if STOP.swap(true, Ordering::SeqCst) && TIDY.load(Ordering::SeqCst) == 0 {
        crate::group::end_all();
        signal_hook::low_level::exit(130);
    }
}

/// While it lives, however often we are asked to stop, we end in order: there is something to clear up that would
/// otherwise stay.
#[derive(Debug)]
pub struct Tidy(());

impl Tidy {
    /// From now on.
    #[expect(clippy::new_without_default, reason = "a guard is made on purpose")]
    pub fn new() -> Self {
        TIDY.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        TIDY.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Has somebody asked us to stop?
pub fn interrupted() -> bool {
    STOP.load(Ordering::Relaxed) && !SHIELDED.get()
}

/// Does something that putting things in order takes, although somebody has asked us to stop. A second time ends it.
pub fn shielded<T>(work: impl FnOnce() -> T) -> T {
    let before = SHIELDED.replace(true);
    let result = work();
    SHIELDED.set(before);
    result
}

/// Was it by SIGTERM or SIGHUP, which, unlike a terminal's ctrl-C, may have reached nobody but us?
pub(crate) fn terminated() -> bool {
    TERMINATED.load(Ordering::Relaxed)
}

/// While it lives, ctrl-C is for the program that has our terminal: an editor may well have a use of its own for it.
pub(crate) struct Hold(());

impl Hold {
    pub(crate) fn new() -> Self {
        HELD.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}
