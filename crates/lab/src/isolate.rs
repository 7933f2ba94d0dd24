//! Into namespaces of our own, and out again.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use remote::Cmd;

use crate::cgroup;
use crate::error::LabError;

/// Set for the program inside; its value names the lab's cgroups.
const INSIDE: &str = "XTASK_LAB";

/// Are we the program inside?
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

pub(crate) fn id() -> String {
    std::env::var(INSIDE).unwrap_or_default()
}

/// Runs `program` with `args` in new mount, network and process namespaces, with our terminal, and gives its exit code.
///
/// The program is PID 1 in there, so with it everything ends. And it cannot outlive us: setpriv has the kernel kill
/// unshare when we die, unshare has the kernel kill the program.
///
/// # Errors
/// When we are not root, or unshare cannot be run.
pub fn enter<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Result<i32, LabError> {
    if !remote::is_root() {
        return Err(LabError::NotRoot);
    }
    // Tests of one process enter side by side.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let id = format!("{}{}-{count}", cgroup::PREFIX, std::process::id());
    let command = Cmd::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "--"])
        .arg(program)
        .args(args)
        .env(INSIDE, &id);
    let code = command.run_in_foreground();
    cgroup::remove(&id);
    Ok(code?)
}
