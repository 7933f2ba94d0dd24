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

/// Removes what a lab that was killed left behind: empty cgroups. Those of a lab that runs cannot be removed and stay.
/// Gives the number removed.
pub fn clean() -> usize {
    let before = groups(PREFIX).len();
    for group in groups(PREFIX) {
        let _ = remove_tree(&group);
    }
    before - groups(PREFIX).len()
}
