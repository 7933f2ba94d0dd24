//! A file shown to the person at the desk, by whatever program their desktop has for it.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Cmd;

/// Until then a program that cannot show it has said so.
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

/// Shows it, if there is a display, and a program that takes it. A browser that was not running yet stays in front of the
/// program that starts it: so that is left to itself, in a process group of its own, and lives longer than we do.
pub fn open(path: &Path) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if set("DISPLAY") || set("WAYLAND_DISPLAY") {
        "xdg-open"
    } else {
        return false;
    };
    let Ok(nowhere) = OpenOptions::new().write(true).open("/dev/null") else { return false };
    let Ok(shown) = Cmd::new(opener).arg(path).spawn(nowhere) else { return false };
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if shown.ended() {
            return shown.ended_well();
        }
        std::thread::sleep(POLL);
    }
    shown.leave();
    true
}
