//! Ctrl-C and SIGTERM, as a flag that every wait looks at.
//!
//! Children run in process groups of their own, so a terminal's ctrl-C reaches only us: we decide what is ended, in
//! which order, and no tool is killed half-way behind our back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

fn flag() -> &'static Arc<AtomicBool> {
    FLAG.get_or_init(Arc::default)
}

/// From now on SIGINT and SIGTERM set a flag, and a second one ends the process at once.
///
/// # Errors
/// Where the system refuses the handlers.
pub fn watch_for_interrupts() -> io::Result<()> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The order matters: the first signal finds the flag down and raises it, the second finds it up and exits.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(flag()))?;
        signal_hook::flag::register(signal, Arc::clone(flag()))?;
    }
    Ok(())
}

/// Has somebody asked us to stop?
pub fn interrupted() -> bool {
    flag().load(Ordering::Relaxed)
}
