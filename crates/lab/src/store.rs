//! What lies in this machine's Nix store, for machines that have a store of their own: its closure is copied there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remote::Cmd;

use crate::error::LabError;

pub(crate) const STORE: &str = "/nix/store/";

/// Copies the path of the store in which this file lies. Rooted, so that no garbage collection there takes it.
pub(crate) fn copy_closure(file: &Path, root: &Path) -> Result<(), LabError> {
    let name = file.strip_prefix(STORE).expect("asked for").components().next().expect("a store path");
    let path = Path::new(STORE).join(name);
    let store = format!("local?root={}", root.display());
    Cmd::new("nix")
        .args(["--extra-experimental-features", "nix-command", "copy", "--no-check-sigs", "--to", &store])
        .arg(&path)
        .timeout(Duration::from_secs(300))
        .run()?;
    link(&path, &root.join("nix/var/nix/gcroots/rehearsal").join(name))
}

/// Copies the libraries that we run with, and the linker that loaded them. On NixOS they lie in the store, and what was built with
/// us starts nowhere without them.
pub(crate) fn copy_own_libraries(root: &Path) -> Result<(), LabError> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(LabError::io("/proc/self/maps"))?;
    libraries(&maps).iter().try_for_each(|path| copy_closure(path, root))
}

/// One file of each path of the store.
fn libraries(maps: &str) -> BTreeSet<PathBuf> {
    let files = maps.lines().filter_map(|line| line.find(STORE).map(|at| &line[at + STORE.len()..]));
    let names = files.filter_map(|file| file.split('/').next()).filter(|name| !name.is_empty());
    names.map(|name| Path::new(STORE).join(name)).collect()
}

/// Makes a link, parents made.
pub(crate) fn link(to: &Path, place: &Path) -> Result<(), LabError> {
    let folder = place.parent().expect("a link is in a folder");
    fs::create_dir_all(folder).map_err(LabError::io(folder))?;
    std::os::unix::fs::symlink(to, place).map_err(LabError::io(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_store_are_read_from_the_map_of_a_process() {
        let maps = "55d0-55d1 r-xp 00000000 fe:00 12 /home/me/target/debug/xtask\n\
                    7f00-7f01 r--p 00000000 fe:00 13 /nix/store/aaa-glibc-2.42/lib/libc.so.6\n\
                    7f01-7f02 r-xp 00000000 fe:00 14 /nix/store/aaa-glibc-2.42/lib/ld-linux-x86-64.so.2\n\
                    7f02-7f03 r-xp 00000000 fe:00 15 /nix/store/bbb-gcc-lib/lib/libgcc_s.so.1\n\
                    7fff-8000 rw-p 00000000 00:00 0 [stack]\n";
        let found: Vec<_> = libraries(maps).into_iter().collect();
        assert_eq!(found, ["/nix/store/aaa-glibc-2.42", "/nix/store/bbb-gcc-lib"].map(PathBuf::from));
    }
}
