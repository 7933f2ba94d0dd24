//! Ctrl-C, SIGTERM and SIGHUP, as a flag that every wait looks at.
//!
//! Children run in process groups of their own, so a terminal's ctrl-C reaches only us: we decide what is ended, in
//! which order, and no tool is killed half-way behind our back.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static TERMINATED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on SIGINT, SIGTERM and a closed terminal's SIGHUP set a flag, and a second one ends the process at once.
///
/// # Errors
/// Where the system refuses the handlers.
pub fn watch_for_interrupts() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The order matters: the first signal finds the flag down and raises it, the second finds it up and exits.
        register_conditional_shutdown(signal, 130, Arc::clone(&STOP))?;
        register(signal, Arc::clone(&STOP))?;
    }
    register(SIGTERM, Arc::clone(&TERMINATED))?;
    Ok(())
}

/// Has somebody asked us to stop?
pub fn interrupted() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Was it by SIGTERM, which, unlike a terminal's ctrl-C, has reached nobody but us?
pub(crate) fn terminated() -> bool {
    TERMINATED.load(Ordering::Relaxed)
}
