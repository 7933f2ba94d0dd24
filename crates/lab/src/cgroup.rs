//! One cgroup a machine: two systemds in one would fight over it.
//!
//! Works on the unified hierarchy and on the hybrid one, where systemd's own and the empty unified one count.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const PREFIX: &str = "xtask-lab-";

fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    ["systemd", "unified"].iter().map(|name| root.join(name)).filter(|path| path.exists()).collect()
}

/// Runs `start` so that what it starts is born in a cgroup of this name, and comes back.
pub(crate) fn born_in<T>(name: &str, start: impl FnOnce() -> T) -> io::Result<T> {
    let hierarchies = hierarchies();
    let home: Vec<PathBuf> = hierarchies.iter().map(|hierarchy| current(hierarchy)).collect();
    for hierarchy in &hierarchies {
        let group = hierarchy.join(name);
        fs::create_dir_all(&group)?;
        move_into(&group)?;
    }
    let started = start();
    for group in &home {
        move_into(group)?;
    }
    Ok(started)
}

/// The first process of the machine in the cgroup of this name, by its number here; nothing while it is down.
pub(crate) fn init(name: &str) -> Option<u32> {
    let init = |hierarchy: PathBuf| {
        let processes = hierarchy.join(name).join("payload/init.scope/cgroup.procs");
        fs::read_to_string(processes).ok()?.lines().next()?.parse().ok()
    };
    hierarchies().into_iter().find_map(init)
}

/// `0` is whoever writes it, in every process namespace.
fn move_into(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

fn current(hierarchy: &Path) -> PathBuf {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let named = hierarchy.file_name().is_some_and(|name| name == "systemd");
    let line = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controller, path) = (fields.next()?, fields.next()?);
        (controller == if named { "name=systemd" } else { "" }).then_some(path)
    });
    hierarchy.join(line.unwrap_or("/").trim_start_matches('/'))
}

/// Removes the cgroups whose name begins like this. Their processes may be a moment in dying.
pub(crate) fn remove(prefix: &str) {
    for _ in 0..50 {
        let groups = groups(prefix);
        if groups.iter().map(|group| remove_tree(group)).filter(Result::is_err).count() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn groups(prefix: &str) -> Vec<PathBuf> {
    let entries =
        hierarchies().into_iter().filter_map(|hierarchy| fs::read_dir(hierarchy).ok()).flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

/// A cgroup's files cannot be removed, only its folders, deepest first.
fn remove_tree(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

/// Removes what a lab that was killed left behind: empty cgroups. Those of a lab that runs cannot be removed and stay.
/// Gives the number removed.
pub fn clean() -> usize {
    let before = groups(PREFIX).len();
    for group in groups(PREFIX) {
        let _ = remove_tree(&group);
    }
    before - groups(PREFIX).len()
}
