//! Copying a system that was built here to its host: what it lacks, if there is room.

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

impl Run<'_> {
    pub(super) fn copy(&self, name: &HostName, progress: &Progress<Failure>) -> Result<Outcome> {
        let session = self.session(name);
        let Some(to) = session.destination() else { return skipped("it was built where it will run") };
        let system = self.built(name).system;
        let closure = nix::requisites(&system).run()?.text();
        let missing = missing_on(&session, &closure)?;
        if missing.is_empty() {
            self.keep(name, &system)?;
            return skipped(format!("{name} has all of it"));
        }
        let sizes = nix::sizes_of(&missing, &nix::sizes(&missing).run()?.text());
        let size = sizes.values().sum();
        check_room(name, &host::room(&session)?, missing.len() as u64, size)?;
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
        self.keep(name, &system)?;
        done(what)
    }

    /// Nothing refers to it before it is the boot default: until then a garbage collection there could remove it.
    pub(super) fn keep(&self, name: &HostName, system: &str) -> Result<()> {
        let session = self.session(name);
        session.run(["nix-store", "--realise", system, "--add-root", "/run/xtask/next"])?;
        Ok(())
    }
}

fn missing_on(session: &Session, closure: &str) -> Result<Vec<String>> {
    let paths = SecretSlice::from(closure.as_bytes().to_vec());
    let ask = ["xargs", "nix-store", "--check-validity", "--print-invalid"];
    Ok(session.run_with_input(ask, paths)?.text().lines().map(str::to_owned).collect())
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
