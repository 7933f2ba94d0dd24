//! Where a deploy's time goes: its steps, by its own events, and the programs that it starts, by wrappers around them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use serde_json::Value;

use crate::machines::{Contestant, Place, World};
use crate::{Result, median};

const FOLDER: &str = "/opt/counted";
const LOG: &str = "/tmp/started";
const PROGRAMS: [&str; 6] = ["git", "nix", "nix-copy-closure", "nix-store", "nixos-rebuild", "ssh"];

/// Which part of the whole time somebody waited for a gate.
pub(crate) fn share_of_gates(events: &str) -> f64 {
    let steps = steps(events);
    let gates: f64 =
        steps.iter().filter(|((_, step), _)| step == "verify").map(|(_, took)| slowest(took)).sum();
    gates / whole(events).max(1.0)
}

/// Prints the steps and the programs of a changed deploy and of one without a change.
pub(crate) fn tell(world: &World, counts: &[usize], rounds: usize) -> Result<()> {
    wrap(world)?;
    for &count in counts {
        for changed in [true, false] {
            world.change()?;
            world.deploy(Contestant::Xtask, count, Place::Local)?;
            one(world, count, changed, rounds)?;
        }
    }
    Ok(())
}

fn one(world: &World, count: usize, changed: bool, rounds: usize) -> Result<()> {
    let mut rows: BTreeMap<(usize, String), Vec<f64>> = BTreeMap::new();
    let (mut wholes, mut walls) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        if changed {
            world.change()?;
        }
        let start = Instant::now();
        let events = world.deploy(Contestant::Xtask, count, Place::Local)?;
        walls.push(start.elapsed().as_secs_f64() * 1e3);
        for (index, ((stage, step), took)) in steps(&events).into_iter().enumerate() {
            rows.entry((index, format!("{stage}: {step}"))).or_default().push(slowest(&took));
        }
        wholes.push(whole(&events));
        world.check(count)?;
    }
    let what = if changed { "changed" } else { "no change" };
    println!(
        "\n{count} {}, {what}: {:.0} ms, steps {:.0} ms",
        world.scenario.noun(),
        median(walls),
        median(wholes)
    );
    for ((_, step), took) in rows {
        println!("  {step:<34} {:>6.0} ms", median(took));
    }
    // A run by itself: wrappers take time.
    if changed {
        world.change()?;
    }
    let log = world.path(LOG);
    fs::write(&log, "")?;
    world.xtask(&format!("{FOLDER}:"), count).run()?;
    let mut programs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in fs::read_to_string(log)?.lines() {
        if let Some((took, what)) = line.split_once(' ') {
            programs.entry(what.to_owned()).or_default().push(took.parse::<f64>()? / 1e3);
        }
    }
    println!("  programs started: {}", programs.values().map(Vec::len).sum::<usize>());
    let mut programs: Vec<(String, Vec<f64>)> = programs.into_iter().collect();
    programs.sort_by(|one, other| sum(&other.1).total_cmp(&sum(&one.1)));
    for (what, took) in programs {
        println!("    {:>3} × {:>5.0} ms = {:>6.0} ms  {what}", took.len(), median(took.clone()), sum(&took));
    }
    Ok(())
}

/// Each notes in microseconds how long its program took, and the last argument, which is ssh's command.
fn wrap(world: &World) -> Result<()> {
    let folder = world.path(FOLDER);
    fs::create_dir_all(&folder)?;
    for program in PROGRAMS {
        let real = if program == "nixos-rebuild" { "/opt/bin/" } else { "/usr/bin/" };
        let text = format!(
            "#!/bin/bash\nbegin=${{EPOCHREALTIME/./}}\n{real}{program} \"$@\"\ncode=$?\nlast=${{@: -1}}\n\
             printf '%s %s %.90s\\n' $((${{EPOCHREALTIME/./}} - begin)) {program} \
             \"$(printf %s \"$last\" | tr -s '\\n ' ' ' | sed -E 's|/nix/store/[a-z0-9]{{32}}|/nix/store/…|g; s/[0-9]+/N/g')\" \
             >> {LOG}\nexit $code\n"
        );
        let path = folder.join(program);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Stage and step, in the order in which they first ended, with the milliseconds of each host.
fn steps(events: &str) -> Vec<((String, String), Vec<f64>)> {
    let mut steps: Vec<((String, String), Vec<f64>)> = Vec::new();
    for event in parse(events).filter(|event| event["event"] == "step-finished") {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let key = (text("stage"), text("step"));
        let took = event["milliseconds"].as_f64().unwrap_or_default();
        match steps.iter_mut().find(|(known, _)| *known == key) {
            Some((_, all)) => all.push(took),
            None => steps.push((key, vec![took])),
        }
    }
    steps
}

fn whole(events: &str) -> f64 {
    let finished = parse(events).find(|event| event["event"] == "run-finished");
    finished.and_then(|event| event["milliseconds"].as_f64()).unwrap_or_default()
}

fn parse(events: &str) -> impl Iterator<Item = Value> {
    events.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn slowest(took: &[f64]) -> f64 {
    took.iter().copied().fold(0.0, f64::max)
}

fn sum(took: &[f64]) -> f64 {
    took.iter().sum()
}
