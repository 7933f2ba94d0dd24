//! Copying a system that was built here to its host: what it lacks, if there is room.

use std::collections::{BTreeMap, HashMap};

use agenix::secrecy::SecretSlice;
use fleet::HostName;
use pipeline::{Outcome, Progress};
use remote::nix;
use remote::ssh::Session;

use super::host::{self, Room};
use super::{Run, done, skipped, tell};
use crate::failure::{Failure, Kind, Result};

/// What stays free: a host whose disk is full does not log, and its K3s evicts.
const MARGIN: u64 = 64 << 20;
/// A path is a folder and some files.
const INODES_PER_PATH: u64 = 4;

/// Nothing refers to a system before it is the boot default: until then a garbage collection there could remove it. The link
/// is on a tmpfs, so a reboot forgets it.
const KEEP: &str = "\
mkdir -p /run/xtask /nix/var/nix/gcroots && ln -sfn \"$1\" /run/xtask/next && \
ln -sfn /run/xtask/next /nix/var/nix/gcroots/xtask-next";

impl Run<'_> {
    pub(super) fn copy(&self, name: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let session = self.session(name);
        let Some(to) = session.destination() else { return skipped("it was built where it will run") };
        let system = self.built(name).system;
        if self.state().copied.get(name) == Some(&system) {
            return skipped(format!("{name} has all of it"));
        }
        let closure = nix::parse_sizes(&nix::closure(&system).run()?.text());
        let (missing, room) = lacks(&session, &system, &closure)?;
        if missing.is_empty() {
            self.state().copied.insert(name.clone(), system);
            return skipped(format!("{name} has all of it"));
        }
        let sizes: HashMap<String, u64> = missing.iter().map(|path| (path.clone(), closure[path])).collect();
        let size = sizes.values().sum();
        check_room(name, &room, missing.len() as u64, size)?;
        let what = format!("{} paths, {}", missing.len(), bytes(size));
        progress.line(&what);
        let copy = nix::copy_closure(&to, &system, sizes, &self.generation.nix_options());
        copy.run_measured(&|said| tell(progress, said)).map_err(|error| {
            let untrusted = error.tail().iter().any(|line| line.contains("lacks a") && line.contains("signature"));
            let hint = if untrusted {
                format!("its Nix has to trust who logs in: nix.settings.trusted-users in the configuration of {name}")
            } else {
                format!("nothing that runs on {name} was changed")
            };
            let failure = Failure::from(error).hint(hint);
            let lost = session.run(["true"]).is_err();
            let kind = match failure.kind {
                Kind::Unforeseen if lost => Kind::Unreachable,
                Kind::Unforeseen => Kind::Build,
                kind => kind,
            };
            failure.of_kind(kind).during(&format!("failed to copy the system to {name}"))
        })?;
        self.state().copied.insert(name.clone(), system);
        done(what)
    }

    /// Keeps garbage collections there from a system that was built there.
    pub(super) fn keep(&self, name: &HostName, system: &str) -> Result<()> {
        self.session(name).run(["sh", "-c", KEEP, "sh", system])?;
        Ok(())
    }
}

/// What the host lacks of a closure, and its room. From then on the system is kept there, as soon as it is whole.
fn lacks(session: &Session, system: &str, closure: &BTreeMap<String, u64>) -> Result<(Vec<String>, Room)> {
    let paths: Vec<&str> = closure.keys().map(String::as_str).collect();
    let paths = SecretSlice::from(paths.join("\n").into_bytes());
    // The store is there only once nix was asked something.
    let script =
        format!("{KEEP} && xargs nix-store --check-validity --print-invalid && {}", host::ROOM.join(" "));
    let text = session.run_with_input(["sh", "-c", &script, "sh", system], paths)?.text();
    let is_path = |line: &&str| line.starts_with("/nix/store/");
    let missing = text.lines().filter(is_path).filter(|path| closure.contains_key(*path)).map(str::to_owned);
    let room: Vec<&str> = text.lines().filter(|line| !is_path(line)).collect();
    Ok((missing.collect(), host::parse_room(&room.join("\n"))))
}

fn check_room(name: &HostName, room: &Room, paths: u64, size: u64) -> Result<()> {
    let inodes = paths * INODES_PER_PATH;
    let needs = if room.bytes < size + MARGIN {
        format!("{}, and has {}", bytes(size + MARGIN), bytes(room.bytes))
    } else if room.inodes.is_some_and(|free| free < inodes) {
        format!("{inodes} inodes, and has {}", room.inodes.unwrap_or_default())
    } else {
        return Ok(());
    };
    Err(Failure::new(
        Kind::Build,
        format!("{name} has no room for its new system: /nix/store needs {needs} free"),
    )
    .hint(format!("on {name}: nix-collect-garbage --delete-older-than 30d")))
}

/// `812 KiB`, `3.4 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1).ilog2() / 10).min(4);
    let value = bytes as f64 / f64::from(power * 10).exp2();
    let digits = usize::from(value < 10.0 && power > 0);
    format!("{value:.digits$} {}", units[power as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let texts = [0, 999, 1024, 831_488, 3_650_722_202].map(bytes);
        assert_eq!(texts, ["0 B", "999 B", "1.0 KiB", "812 KiB", "3.4 GiB"]);
    }

    #[test]
    fn a_full_disk_is_told_with_what_is_needed() {
        let name = HostName::new("maia").unwrap();
        let full = check_room(&name, &Room { bytes: 1 << 20, inodes: Some(9) }, 1, 1 << 20).unwrap_err();
        let text = "maia has no room for its new system: /nix/store needs 65 MiB, and has 1.0 MiB free";
        assert_eq!(full.message, text);
        let few = check_room(&name, &Room { bytes: 1 << 30, inodes: Some(7) }, 2, 0).unwrap_err();
        assert!(few.message.ends_with("needs 8 inodes, and has 7 free"), "{}", few.message);
        check_room(&name, &Room { bytes: 1 << 30, inodes: None }, 2, 0).unwrap();
    }
}
