//! How long a deploy takes, against the same work as bare commands.
//!
//!     cargo bench -p xtask --bench deploy                 some minutes
//!     cargo bench -p xtask --bench deploy -- --full       more rounds
//!     cargo bench -p xtask --bench deploy -- --profile    where the time goes, instead
//!
//! On machines of the lab, so as root and with its packages. What it is measured against is `bare.sh`: one build
//! for all hosts, and then for each host one ssh master, the copy, the profile and the switch, one host after the other or
//! side by side.
//!
//! Hosts outside of the cluster have no K3s to wait for, so both do the same to them; what a deploy does beyond, a look
//! before and after, a lock, a way back, is what the ratio shows. Agents of a cluster are told apart from them, with what
//! their gates cost.
//!
//! All of it takes a second here, of the miniature nixpkgs. Two rows have the activation wait three seconds, in every way alike: they
//! tell whether what a deploy does beyond is a factor or an amount.
//!
//! Rounds: each has every contestant once, one right after the other, and every second round has them the other way
//! round. Every changed deploy has a new file in /etc. Medians are told, and a ratio is the median of the rounds' ratios.
//! How often sshd let somebody in is counted in the journals of the machines. Nothing is asserted about a time, only that
//! every host runs what was built last, and boots it.

mod machines;
mod profile;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use machines::{Contestant, Place, Scenario, World};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: usize = 3;
const FULL_ROUNDS: usize = 15;
/// What is aimed at. Told, not asserted.
const AIM_RATIO: f64 = 1.3;
const AIM_LOGINS: f64 = 3.0;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let (mut bench, mut rounds, mut profile, mut inside) = (false, ROUNDS, false, None);
    let words: Vec<String> = std::env::args().skip(1).collect();
    for word in &words {
        match word.as_str() {
            // From cargo: `cargo test --all-targets` starts this program without it.
            "--bench" => bench = true,
            "--full" => rounds = FULL_ROUNDS,
            "--profile" => profile = true,
            "outside" => inside = Some(Scenario::Outside),
            "cluster" => inside = Some(Scenario::Cluster),
            _ => return Err(format!("unknown option {word}: there are --full and --profile").into()),
        }
    }
    if !bench {
        println!("nothing is measured without cargo bench");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(scenario) = inside.filter(|_| lab::is_inside()) {
        measure(scenario, rounds, profile)?;
        return Ok(ExitCode::SUCCESS);
    }
    let hinted = |error: lab::LabError| format!("{error}\nhint: {}", error.hint().unwrap_or_default());
    lab::System::new(None).and_then(|system| system.require(false)).map_err(hinted)?;
    about();
    for scenario in ["outside", "cluster"] {
        // A lab of its own each, in namespaces of its own.
        let words = words.iter().map(String::as_str).chain([scenario]);
        let code = lab::enter(&std::env::current_exe()?, words).map_err(hinted)?;
        if code != 0 {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn about() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{cores} cores, load {}", load.split(' ').next().unwrap_or_default());
    println!("aims: {AIM_RATIO}× the bare commands side by side; {AIM_LOGINS} logins a host\n");
}

fn measure(scenario: Scenario, rounds: usize, profile: bool) -> Result<()> {
    let world = World::boot(scenario, Path::new(env!("CARGO_BIN_EXE_xtask")))?;
    if profile {
        return match scenario {
            Scenario::Outside => profile::tell(&world, &[1, 8], rounds),
            Scenario::Cluster => profile::tell(&world, &[3], rounds),
        };
    }
    println!("{:<34} {:>8}  {:>6}   against bare commands", "", "xtask", "logins");
    match scenario {
        Scenario::Outside => {
            for count in [1, 4, 8] {
                let case = Case { count, ..CHANGED };
                compare(&world, Case { changed: false, ..case }, rounds)?;
                compare(&world, case, rounds)?;
            }
            compare(&world, Case { pause: 3, ..CHANGED }, rounds)?;
            compare(&world, Case { count: 8, pause: 3, ..CHANGED }, rounds)?;
            world.build_on(Place::Target)?;
            compare(&world, Case { count: 4, place: Place::Target, ..CHANGED }, rounds)
        }
        Scenario::Cluster => compare(&world, Case { count: 3, ..CHANGED }, rounds),
    }
}

/// What is deployed in one row.
#[derive(Clone, Copy)]
struct Case {
    /// How many hosts.
    count: usize,
    place: Place,
    changed: bool,
    /// How many seconds an activation waits.
    pause: u64,
}

const CHANGED: Case = Case { count: 1, place: Place::Local, changed: true, pause: 0 };

impl Case {
    fn title(self, noun: &str) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        let changed = if self.changed { "changed" } else { "no change" };
        let place = if self.place == Place::Target { ", built there" } else { "" };
        let pause = if self.pause > 0 { format!(", activation +{} s", self.pause) } else { String::new() };
        format!("{} {noun}{plural}, {changed}{place}{pause}", self.count)
    }
}

/// One row: deployed in every way in each round.
fn compare(world: &World, case: Case, rounds: usize) -> Result<()> {
    let Case { count, place, changed, pause } = case;
    world.pause(pause);
    let ways = [Contestant::Xtask, Contestant::SideBySide, Contestant::Sequential];
    // What was not measured before is in nobody's caches, and all hosts are on one state.
    world.change()?;
    world.deploy(Contestant::Xtask, count, place)?;
    let mut measured = ways.map(|_| Vec::new());
    let (mut logins, mut gates) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut order = [0, 1, 2];
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            if changed {
                world.change()?;
            }
            let before = world.logins(count)?;
            let start = Instant::now();
            let events = world.deploy(ways[index], count, place)?;
            measured[index].push(start.elapsed().as_secs_f64());
            if ways[index] == Contestant::Xtask {
                logins.push((world.logins(count)? - before) as f64 / count as f64);
                gates.push(profile::share_of_gates(&events));
            }
            world.check(count)?;
        }
    }
    let [ours, side_by_side, sequential] = measured;
    let times = |these: &[f64], those: &[f64]| format!("{:.2}×", ratio(these, those));
    let title = case.title(world.scenario.noun());
    print!("{title:<34} {:>8}  {:>6}", time(&ours), median(logins));
    print!("   side by side {:>8} {:>6}", time(&side_by_side), times(&ours, &side_by_side));
    print!("   in a loop {:>8} {:>6}", time(&sequential), times(&ours, &sequential));
    println!("   gates {:.0} %", 100.0 * median(gates));
    Ok(())
}

fn time(seconds: &[f64]) -> String {
    format!("{:.2} s", median(seconds.to_vec()))
}

fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

fn ratio(these: &[f64], those: &[f64]) -> f64 {
    median(these.iter().zip(those).map(|(this, that)| this / that).collect())
}
