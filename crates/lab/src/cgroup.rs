//! One cgroup a machine: two systemds in one would fight over it.
//!
//! Works on the unified hierarchy and on the hybrid one, where systemd's own and the empty unified one count; and each
//! controller's, where a kubelet is to run, which would else share the groups of its pods with the other machines' kubelets.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const PREFIX: &str = "xtask-lab-";

const ROOT: &str = "/sys/fs/cgroup";

/// Which hierarchies a machine has a group of its own in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of systemd.
    Systemd,
    /// Those of the controllers, too.
    Controllers,
}

/// Is there one hierarchy for everything, cgroup v2?
pub(crate) fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

fn hierarchies(scope: Scope) -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if is_unified() {
        return vec![root.to_owned()];
    }
    let systemds = ["systemd", "unified"].map(|name| root.join(name));
    if scope == Scope::Systemd {
        return systemds.into_iter().filter(|path| path.exists()).collect();
    }
    // Some are links: `cpu` and `cpuacct` to one of both.
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    let folders = folders.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir())).map(|it| it.path());
    folders.filter(|path| path.join("cgroup.procs").exists()).collect()
}

/// Runs `start` so that what it starts is born in a cgroup of this name, and comes back.
pub(crate) fn born_in<T>(name: &str, scope: Scope, start: impl FnOnce() -> T) -> io::Result<T> {
    let hierarchies = hierarchies(scope);
    let home: Vec<PathBuf> = hierarchies.iter().map(|hierarchy| current(hierarchy)).collect();
    for hierarchy in &hierarchies {
        let group = hierarchy.join(name);
        fs::create_dir_all(&group)?;
        // A new group of cpuset has neither processors nor memory, and takes no process.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let (Ok(all), true) = (fs::read(hierarchy.join(file)), group.join(file).exists()) {
                fs::write(group.join(file), all)?;
            }
        }
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
    hierarchies(Scope::Systemd).into_iter().find_map(init)
}

/// `0` is whoever writes it, in every process namespace.
fn move_into(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}

fn current(hierarchy: &Path) -> PathBuf {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let name = hierarchy.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_its = |controllers: &str| match name {
        "systemd" => controllers == "name=systemd",
        "unified" | "cgroup" => controllers.is_empty(),
        name => name.split(',').all(|one| controllers.split(',').any(|other| one == other)),
    };
    let line = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        is_its(controllers).then_some(path)
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
    let entries = hierarchies(Scope::Controllers)
        .into_iter()
        .filter_map(|hierarchy| fs::read_dir(hierarchy).ok())
        .flatten()
        .flatten();
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

/// Does anything live in it, or further down?
fn is_inhabited(group: &Path) -> bool {
    let lives = fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|processes| !processes.is_empty());
    let mut folders = fs::read_dir(group).into_iter().flatten().flatten().map(|it| it.path());
    lives || folders.any(|path| path.is_dir() && is_inhabited(&path))
}

/// Removes what a lab that was killed left behind: empty cgroups. Of a lab that runs none is touched, not even an empty one: its
/// systemd, or its kubelet, made that for a process that is yet to come. Gives the number removed.
pub fn clean() -> usize {
    let before = groups(PREFIX).len();
    for group in groups(PREFIX).iter().filter(|group| !is_inhabited(group)) {
        let _ = remove_tree(group);
    }
    before - groups(PREFIX).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_keeps_its_empty_groups() {
        let name = format!("{PREFIX}test-{}-host", std::process::id());
        let sleep = || remote::Cmd::new("sleep").arg("60").spawn(fs::File::create("/dev/null").unwrap());
        let running = born_in(&name, Scope::Controllers, sleep).unwrap().unwrap();
        let group = hierarchies(Scope::Systemd).remove(0).join(&name);
        let empty = group.join("kubepods");
        fs::create_dir(&empty).unwrap();
        clean();
        assert!(empty.is_dir());
        drop(running);
        remove(&name);
        assert!(!group.exists());
    }
}
