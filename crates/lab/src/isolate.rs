//! Into namespaces of our own, and out again.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use remote::Cmd;

use crate::cgroup;
use crate::error::LabError;
use crate::system;

/// Set for the program inside: the name of the lab's cgroups, and the network namespace outside.
const INSIDE: &str = "XTASK_LAB";

/// Are we the program inside? The variable alone does not say so, since anybody could set it, and what we do inside
/// would harm a real machine: we are PID 1, and in another network namespace than whoever set it.
pub fn is_inside() -> bool {
    let variable = std::env::var(INSIDE).unwrap_or_default();
    let outside = variable.split_once(' ').map(|(_, outside)| outside);
    outside.is_some_and(|outside| outside != network_namespace()) && std::process::id() == 1
}

pub(crate) fn id() -> String {
    let variable = std::env::var(INSIDE).unwrap_or_default();
    variable.split(' ').next().unwrap_or_default().to_owned()
}

/// `net:[4026531840]`
fn network_namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// Runs `program` with `args` in new mount, network and process namespaces, with our terminal, and gives its exit code.
///
/// Its PATH ends with where programs are in the system that it moves into, which a machine like NixOS need not have in its own.
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
        .env("PATH", system::path_with())
        .env(INSIDE, format!("{id} {}", network_namespace()));
    let code = command.run_in_foreground();
    // Behind the number a dash, or the first lab's end would be that of the tenth.
    cgroup::remove(&format!("{id}-"));
    Ok(code?)
}
