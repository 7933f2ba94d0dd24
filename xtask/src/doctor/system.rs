//! The host itself: clock, room, units, and which system runs.

use super::facts::HostFacts;
use super::{Cause, Chart};

/// Certificates of a new cluster are not valid yet to a host that is this much behind, in seconds.
pub(crate) const SKEW: u64 = 60;
/// The same bounds as a deploy has.
const LEAST_ROOM: u64 = 64 << 20;
const LEAST_INODES: u64 = 1000;

pub(super) fn rules(chart: &mut Chart, seen: &HostFacts) {
    room(chart, seen);
    generation(chart, seen);
    // K3s' own unit is looked at by itself.
    let failed: Vec<&str> = seen
        .failed_units
        .iter()
        .map(String::as_str)
        .filter(|unit| !k3s::unit::CANDIDATES.contains(unit))
        .collect();
    match failed.first() {
        None => chart.well("units", "none has failed"),
        Some(first) => chart.found(Cause::FailedUnits, Some(failed.join(", ")), Vec::new(), first),
    }
}

/// A file system is told once, by the first place in it.
fn room(chart: &mut Chart, seen: &HostFacts) {
    let mut told: Vec<&str> = Vec::new();
    for room in &seen.rooms {
        let no_inodes = room.inodes.is_some_and(|free| free < LEAST_INODES);
        if (room.bytes >= LEAST_ROOM && !no_inodes) || told.contains(&room.mount.as_str()) {
            continue;
        }
        told.push(&room.mount);
        let left = match room.inodes {
            Some(free) if no_inodes => format!("{free} inodes free"),
            _ => format!("{} MiB free", room.bytes >> 20),
        };
        let evidence = format!("{}: {left} on {}", room.path, room.mount);
        chart.found(Cause::DiskFull, Some(room.path.clone()), vec![evidence], &room.path);
    }
    if let (true, Some(least)) = (told.is_empty(), seen.rooms.iter().map(|room| room.bytes).min()) {
        chart.well("room", format!("at least {} MiB free", least >> 20));
    }
}

fn generation(chart: &mut Chart, seen: &HostFacts) {
    if seen.rollback_armed {
        chart.found(Cause::RollbackArmed, None, vec!["xtask-rollback.timer: active".to_owned()], "");
    }
    match (&seen.running, &seen.boot) {
        (Some(running), Some(boot)) if running != boot => {
            let evidence = vec![format!("runs {running}"), format!("boots {boot}")];
            chart.found(Cause::BootDiffers, None, evidence, "");
        }
        (Some(running), Some(_)) => {
            let name =
                running.rsplit('/').next().unwrap_or(running).split_once('-').map_or("", |(_, name)| name);
            chart.well("system", format!("{name}, which it boots, too"));
        }
        _ => {}
    }
}
