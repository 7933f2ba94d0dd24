//! The harness of the battery: a fault, what has to be so whatever the fault, and its row in docs/faults.md.
//!
//! The table is what the tests saw: with `UPDATE_EXPECT=1` a test writes its rows, without it compares them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::time::{Duration, Instant};

use lab::Lab;

use crate::each_k3s::Rehearsal;
use crate::support::{Answer, Clone, on, repository, run, xtask};

/// A lab with its cluster, in which one thing after the other is broken and mended.
pub(crate) struct Battery<'a> {
    pub(crate) lab: &'a Lab,
    rows: RefCell<Vec<(String, String)>>,
}

/// What a fault is to lead to.
pub(crate) struct Expected<'a> {
    /// In words, for the table.
    pub(crate) outcome: &'a str,
    pub(crate) code: i32,
    /// A part of what the tool says.
    pub(crate) says: &'a str,
    /// The hosts that may end on another system than before: one that passed its gate and is their boot default.
    pub(crate) changed: &'a [&'a str],
}

/// The system that runs on a host, and the one that it boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Systems {
    pub(crate) running: String,
    pub(crate) boot: String,
}

/// Boots this repository's fleet with further hosts, bootstraps it, and breaks it.
pub(crate) fn battery(rehearsal: &Rehearsal, more: &[&str], body: impl FnOnce(&Battery)) {
    // Opened before the lab is entered, whose machine for deploys does not have this repository.
    let table = File::options().read(true).write(true).open(repository().join("docs/faults.md")).unwrap();
    rehearsal.enter_lab(
        || fleet_with(more),
        |lab| {
            xtask(lab, &["bootstrap-cluster"]).expect(0);
            if more.contains(&OUTSIDER) {
                xtask(lab, &["deploy", OUTSIDER]).expect(0);
            }
            let battery = Battery { lab, rows: RefCell::default() };
            body(&battery);
            record(table, &battery.rows.borrow(), rehearsal);
        },
    );
}

/// A host of this name is outside of the cluster; all others are agents like maia.
pub(crate) const OUTSIDER: &str = "attic";

/// A copy of this repository whose fleet has more hosts.
fn fleet_with(more: &[&str]) -> Clone {
    let clone = Clone::in_namespace();
    let fleet = clone.path().join("hosts/fleet.toml");
    let mut text = fs::read_to_string(&fleet).unwrap();
    for (index, host) in more.iter().enumerate() {
        let address = format!("100.64.0.{}", 20 + index);
        run(&["cp", "-a", "hosts/maia", &format!("hosts/{host}")], clone.path(), &[]).expect(0);
        text += &format!("\n[hosts.{host}]\nbuild_on = \"target\"\n");
        if *host == OUTSIDER {
            fs::write(clone.path().join(format!("hosts/{host}/k3s.nix")), "{ }\n").unwrap();
        } else {
            text += &format!("role = \"agent\"\nnode_ip = \"{address}\"\n");
        }
    }
    fs::write(fleet, text).unwrap();
    clone.git(&["add", "--all"]);
    clone
}

impl Battery<'_> {
    /// Breaks something, and looks what came of it: the tool's answer is as expected, no other host than those named has
    /// changed in anything, no boot default names a system that did not pass. What `body` changed in hosts/ is undone.
    pub(crate) fn fault(&self, name: &str, expected: &Expected, body: impl FnOnce(&Lab) -> Answer) {
        let hosts = self.lab.deployer().repository().join("hosts");
        let kept = self.lab.deployer().path("/tmp/hosts");
        run(&["cp", "-a", hosts.to_str().unwrap(), kept.to_str().unwrap()], &hosts, &[]).expect(0);
        let before = self.all_systems();
        let answer = body(self.lab).expect(expected.code).says(expected.says);
        let after = self.all_systems();
        for (host, systems) in &after {
            if expected.changed.contains(&host.as_str()) {
                assert_eq!(systems.running, systems.boot, "{name}: {host}\n{}", answer.stderr);
                assert_ne!(systems, &before[host], "{name}: {host} was not changed\n{}", answer.stderr);
            } else {
                assert_eq!(systems, &before[host], "{name}: {host}\n{}", answer.stderr);
            }
        }
        fs::remove_dir_all(&hosts).unwrap();
        fs::rename(&kept, &hosts).unwrap();
        let (changed, same): (Vec<&str>, Vec<&str>) =
            after.keys().map(String::as_str).partition(|host| expected.changed.contains(host));
        let became = |hosts: &[&str], what: &str| match hosts {
            [] => String::new(),
            hosts => format!("; {} {what}", hosts.join(", ")),
        };
        let happened = format!(
            "exit code {}: {}{}{}",
            answer.code,
            told(&answer, expected.says),
            became(&changed, "on the new system"),
            became(&same, "as before")
        );
        self.row(name, expected.outcome, &happened);
    }

    /// For a fault that asserts all of it by itself.
    pub(crate) fn row(&self, name: &str, expected: &str, happened: &str) {
        let row = format!("| {name} | {expected} | {happened}");
        self.rows.borrow_mut().push((name.to_owned(), row));
    }

    pub(crate) fn systems(&self, host: &str) -> Systems {
        systems(self.lab, host)
    }

    fn all_systems(&self) -> BTreeMap<String, Systems> {
        self.lab.fleet().hosts.keys().map(|host| (host.to_string(), self.systems(host.as_str()))).collect()
    }
}

pub(crate) fn systems(lab: &Lab, host: &str) -> Systems {
    let both = on(lab, host, "readlink -f /run/current-system /nix/var/nix/profiles/system");
    let (running, boot) = both.split_once('\n').unwrap_or_else(|| panic!("{host} has no system: {both}"));
    Systems { running: running.to_owned(), boot: boot.to_owned() }
}

/// What the tool told of it, without what is different each time, or on each machine: hashes, how long something took, how
/// much the rest of a store takes.
fn told(answer: &Answer, says: &str) -> String {
    let lines =
        answer.stderr.lines().filter(|line| line.starts_with("error: ") || line.starts_with("note: "));
    let mut lines: Vec<String> = lines.map(without_chance).collect();
    if lines.is_empty() {
        return format!("“{says}”");
    }
    lines.sort();
    lines.join(" · ")
}

fn without_chance(line: &str) -> String {
    let is_hash = |word: &str| word.starts_with('(') && word.trim_end_matches([')', ',', ':']).len() == 9;
    let words: Vec<&str> = line.split(' ').filter(|word| !is_hash(word)).collect();
    let varies = |at: usize| match at.checked_sub(1).map(|before| words[before]) {
        Some("after") => words[at].parse::<u32>().is_ok(),
        // How long a question took: the clock of a host is an hour off but for that.
        Some("process" | "since" | "59m") => true,
        Some("on") => words.get(at + 1) == Some(&"process"),
        Some("has") => words.get(at + 1) == Some(&"MiB"),
        _ => false,
    };
    let shown = |at: usize| match words[at].strip_suffix(',') {
        _ if !varies(at) => words[at],
        Some(_) => "…,",
        None => "…",
    };
    (0..words.len()).map(shown).collect::<Vec<_>>().join(" ")
}

/// Runs the tool beside the test; once `begun` is true of what it has said so far, something is done. Gives its answer.
pub(crate) fn meanwhile(
    lab: &Lab,
    args: &[&str],
    begun: impl Fn(&str) -> bool,
    act: impl FnOnce(),
) -> Answer {
    let path = lab.deployer().path("/tmp/meanwhile.log");
    let log = File::create(&path).unwrap();
    // Its exit code comes by the log: the process is one of the lab's.
    let line =
        format!("{}; echo \"exit code $?\"", remote::quote_all(lab.deployer().xtask().args(args).argv()));
    let shell = lab.deployer().command("sh").args(["-c", &line]).spawn(log).unwrap();
    let said = || fs::read_to_string(&path).unwrap();
    wait_for("it has begun", 60, || begun(&said()) || shell.ended());
    act();
    wait_for("it ends", 120, || shell.ended());
    let stderr = said();
    let code = stderr.rsplit("exit code ").next().and_then(|code| code.trim().parse().ok());
    Answer { code: code.unwrap_or(-1), stdout: String::new(), stderr }
}

/// The newest process of this name, but for one that was just forked and is about to be an ssh or a nix.
const SEND: &str = "\
for process in $(pgrep --exact xtask | sort --numeric-sort --reverse); do
  parent=$(sed -n 's/^PPid:\\s*//p' \"/proc/$process/status\") || continue
  [ \"$(cat \"/proc/$parent/comm\" 2> /dev/null)\" = xtask ] && continue
  kill -s \"$1\" \"$process\"
  exit
done
exit 1";

/// A signal to the deployer itself; its ssh and nix go on for as long as they like.
pub(crate) fn send(lab: &Lab, signal: &str) {
    lab.deployer().command("sh").args(["-c", SEND, "sh", signal]).run().unwrap();
}

/// The machine's end of the lab's network.
pub(crate) fn link(host: &str, state: &str) {
    let interface = format!("vb-{host}");
    run(&["ip", "link", "set", &interface, state], std::path::Path::new("/"), &[]).expect(0);
}

/// Waits for something that comes by itself.
#[track_caller]
pub(crate) fn wait_for(what: &str, seconds: u64, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(seconds), "{what}: not after {seconds} s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Several tests write into one table, each its own rows. What happened is what happened on the stand-in; on a real K3s the
/// same was asserted, and the last column says on which.
fn record(mut table: File, rows: &[(String, String)], rehearsal: &Rehearsal) {
    rustix::fs::flock(&table, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut text = String::new();
    table.read_to_string(&mut text).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, row) in rows {
        let beginning = format!("| {name} |");
        let at = lines.iter().position(|line| line.starts_with(&beginning));
        let known = at.and_then(|at| lines[at].strip_suffix(" |")?.rsplit_once(" | "));
        let (known_row, known_k3s) = known.unwrap_or_default();
        let (row, k3s) = if rehearsal.is_real() && !known_row.is_empty() {
            (known_row.to_owned(), rehearsal.version().to_owned())
        } else if rehearsal.is_real() {
            (row.clone(), rehearsal.version().to_owned())
        } else {
            (row.clone(), if known_k3s.is_empty() { "–" } else { known_k3s }.to_owned())
        };
        let new = format!("{row} | {k3s} |");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            match at {
                Some(at) => lines[at] = new,
                None => lines.push(new),
            }
        } else if !rehearsal.is_real() {
            let found = at.map(|at| lines[at].as_str());
            assert_eq!(found, Some(new.as_str()), "docs/faults.md: UPDATE_EXPECT=1 writes it anew");
        }
    }
    let new = lines.join("\n") + "\n";
    if new != text {
        table.rewind().unwrap();
        table.set_len(0).unwrap();
        table.write_all(new.as_bytes()).unwrap();
    }
}
