//! What a person sees, in a real terminal: tmux, at the widths that people have, while a cluster comes up and while something
//! goes wrong.
//!
//! What is left at the end is compared whole with `xtask/tests/screens/`, which `UPDATE_EXPECT=1` writes. Of what moves
//! meanwhile it is asserted that it is never wrong: no line wraps, no host has two, none is left behind.

mod normal;
mod pane;
mod picture;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use expect_test::expect_file;
use lab::Lab;
use serde_json::Value;

use self::normal::{is_live, is_running, is_settled, normal, subject};
use self::pane::Pane;
use crate::support::{Clone, configure, edit, enter_lab, repository, xtask, xtask_in};

/// A unit that fails: the gate's business.
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

/// A build that goes wrong, slowly enough to be seen.
const BROKEN: &str = "environment.etc.wrong.source = derivation { name = \"wrong\"; system = \"x86_64-linux\"; \
                      builder = \"/bin/sh\"; args = [ \"-c\" \"for part in $(/usr/bin/seq 25); do echo compiling part $part; \
                      /bin/sleep 0.03; done; echo it went wrong >&2; exit 1\" ]; };";

/// A unit that takes its time.
const SLOW: &str = "systemd.services.slow = { wantedBy = [ \"multi-user.target\" ]; \
                    serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/sleep 7\"; }; };";

/// A lab, and folders of this repository, which the lab does not see: they were opened before it hid them.
fn with_screens(test: &str, body: impl FnOnce(&Lab, &Kept)) {
    let kept = OnceCell::new();
    let open = || {
        let folder = |name: &str| File::open(repository().join(name)).expect("a folder of this repository");
        let _ = kept.set(Kept { screens: folder("xtask/tests/screens"), docs: folder("docs") });
        repository()
    };
    enter_lab(test, open, |lab| body(lab, kept.get().expect("they were opened")));
}

struct Kept {
    screens: File,
    docs: File,
}

impl Kept {
    #[track_caller]
    fn compare(&self, name: &str, pane: &Pane) {
        expect_file![within(&self.screens, name)].assert_eq(&normal(&pane.all()));
    }
}

/// A path that stays good whatever becomes of the root.
fn within(folder: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

/// What was seen while the tool ran.
#[derive(Default)]
struct Seen {
    running: BTreeSet<String>,
    whole: bool,
}

/// Holds of every screen at any moment.
fn look(pane: &Pane, seen: &mut Seen) {
    is_right(pane, seen).unwrap_or_else(|wrong| panic!("{wrong}"));
}

/// Soon holds of a screen that was resized: a terminal wraps its lines anew some time before it tells its new size.
fn look_again(pane: &Pane, seen: &mut Seen) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(wrong) = is_right(pane, seen) {
        assert!(Instant::now() < deadline, "{wrong}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_right(pane: &Pane, seen: &mut Seen) -> Result<(), String> {
    let (screen, away) = (pane.screen(), pane.scrolled_away());
    let wrong =
        |what: &str| Err(format!("{what}:\n{}\n--- scrolled away:\n{}", screen.join("\n"), away.join("\n")));
    if screen.iter().any(|line| line.chars().count() > pane.width) {
        return wrong("wider than its terminal");
    }
    let running: Vec<&String> = screen.iter().filter(|line| is_running(line)).collect();
    let subjects: BTreeSet<&str> = running.iter().map(|line| subject(line)).collect();
    if subjects.len() != running.len() {
        return wrong("a host has two lines");
    }
    let wholes = screen.iter().filter(|line| is_live(line) && !is_running(line)).count();
    if wholes > 1 {
        return wrong("drawn twice");
    }
    if away.iter().any(|line| is_live(line)) {
        return wrong("left behind");
    }
    seen.running.extend(subjects.into_iter().map(str::to_owned));
    seen.whole |= wholes > 0;
    Ok(())
}

/// Runs it to its end with an eye on it.
fn watched(lab: &Lab, args: &[&str], size: (usize, usize), code: i32, mut also: impl FnMut(&Pane)) -> Pane {
    let mut pane = Pane::open(lab, args, size);
    let mut seen = Seen::default();
    let ended = pane.watch(|pane| {
        look(pane, &mut seen);
        also(pane);
        assert_eq!(pane.wrapped(), None, "a line goes on in the next row");
    });
    let all = pane.all();
    assert_eq!(ended, code, "{}", all.join("\n"));
    assert!(seen.whole && !seen.running.is_empty(), "nothing was seen of it while it ran");
    assert!(!all.iter().any(|line| is_live(line)), "left behind:\n{}", all.join("\n"));
    assert!(pane.cursor_is_shown());
    pane
}

#[test]
fn a_bootstrap_at_60_columns_and_ctrl_c() {
    with_screens("screens::a_bootstrap_at_60_columns_and_ctrl_c", |lab, kept| {
        let pane = watched(lab, &["bootstrap-cluster"], (60, 24), 0, |_| {});
        kept.compare("bootstrap-60.txt", &pane);
        drop(pane);

        configure(lab, "maia", "environment.etc.other.text = \"\";");
        let mut pane = Pane::open(lab, &["deploy", "maia"], (60, 24));
        let mut stopped = false;
        let code = pane.watch(|pane| {
            if !stopped && pane.screen().iter().any(|line| is_running(line) && line.contains("build ")) {
                pane.type_keys("C-c");
                stopped = true;
            }
        });
        let all = pane.all();
        assert_eq!((code, stopped), (130, true), "{}", all.join("\n"));
        assert!(!all.iter().any(|line| is_live(line)), "left behind:\n{}", all.join("\n"));
        assert!(pane.cursor_is_shown());
        drop(pane);
        what_nix_built_and_copied_is_told(lab);
        a_terminal_gets_what_it_understands(lab);
    });
}

#[test]
fn a_bootstrap_at_80_columns_and_what_fails() {
    with_screens("screens::a_bootstrap_at_80_columns_and_what_fails", |lab, kept| {
        let (begun, mut frames) = (Instant::now(), Vec::new());
        let mut film = |pane: &Pane| frames.push((begun.elapsed(), pane.in_colour()));
        let pane = watched(lab, &["bootstrap-cluster"], (80, 44), 0, &mut film);
        film(&pane);
        kept.compare("bootstrap-80.txt", &pane);
        picture::compare(&within(&kept.docs, "rehearse.svg"), &frames);
        drop(pane);

        configure(lab, "maia", TROUBLE);
        let pane = watched(lab, &["deploy", "maia", "--gate-timeout", "1"], (80, 24), 7, |_| {});
        kept.compare("gate-80.txt", &pane);
        drop(pane);

        configure(lab, "maia", BROKEN);
        let pane = watched(lab, &["deploy", "maia"], (80, 24), 5, |_| {});
        // Its long lines whole: where they go on in the next row is up to the hashes in them.
        expect_file![within(&kept.screens, "build-80.txt")].assert_eq(&normal(&pane.joined()));
    });
}

#[test]
fn a_bootstrap_at_200_columns_and_a_window_that_changes() {
    with_screens("screens::a_bootstrap_at_200_columns_and_a_window_that_changes", |lab, kept| {
        let pane = watched(lab, &["bootstrap-cluster"], (200, 24), 0, |_| {});
        kept.compare("bootstrap-200.txt", &pane);
        drop(pane);

        configure(lab, "maia", SLOW);
        let mut pane = Pane::open(lab, &["deploy", "maia"], (200, 24));
        let mut widths = [70, 120, 60, 200, 61].into_iter();
        let mut seen = Seen::default();
        let code = pane.watch(|pane| {
            // While nothing else changes: what is on its way to the terminal when it wraps its lines anew was meant for
            // those that were there.
            let is_steady = pane.screen().iter().any(|line| is_running(line) && line.contains("activate "));
            if is_steady && let Some(width) = widths.next() {
                pane.resize(width);
                std::thread::sleep(Duration::from_millis(500));
                look_again(pane, &mut seen);
            }
        });
        assert_eq!(widths.next(), None, "it was over too soon");
        pane.resize(200);
        let all = pane.all();
        assert_eq!(code, 0, "{}", all.join("\n"));
        assert!(seen.whole);
        assert!(!all.iter().any(|line| is_live(line)), "left behind:\n{}", all.join("\n"));
        // Each step of the plan once, whatever the window was at that moment.
        let settled: Vec<String> =
            all.iter().filter(|line| is_settled(line)).map(|line| line.chars().take(28).collect()).collect();
        let of_maia = |step: &str| {
            settled.iter().filter(|line| **line == format!("  ✓ {:10}  {step:12}", "maia")).count()
        };
        let counts = ["connect", "activate", "boot default"].map(of_maia);
        assert_eq!(counts, [1, 1, 1], "{}", all.join("\n"));
    });
}

/// As nix itself says, where the host builds and where this machine builds and copies.
fn what_nix_built_and_copied_is_told(lab: &Lab) {
    // Of the deploy that was cut off, what it had copied is on the host already.
    configure(lab, "maia", "environment.etc.second.text = \"\";");
    let built = last_amounts(lab, "build");
    assert!(built[0].0 > 0 && built[0].0 == built[0].1, "builds: {built:?}");
    assert!(built[1].0 > 0 && built[1].0 == built[1].1, "derivations copied to the host: {built:?}");
    let fleet = lab.deployer().repository().join("hosts/fleet.toml");
    let (at_home, here) = ("build_on = \"target\"\ntaints", "build_on = \"local\"\ntaints");
    edit(&fleet, at_home, here);
    configure(lab, "maia", "environment.etc.third.text = \"\";");
    let copied = last_amounts(lab, "copy");
    assert_eq!(copied[0], (0, 0));
    for (done, expected) in &copied[1..] {
        assert!(*done > 0 && done == expected, "paths and bytes: {copied:?}");
    }
}

/// Builds, paths and bytes, each done and expected, as a deploy of maia told them last of this step.
fn last_amounts(lab: &Lab, step: &str) -> [(u64, u64); 3] {
    let events = xtask(lab, &["deploy", "maia", "--json"]).expect(0).stdout;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_step = |event: &&Value| event["event"] == "step-amount" && event["step"] == step;
    let told = events.iter().rfind(of_step).unwrap_or_else(|| panic!("no amounts of {step} in {events:#?}"));
    let amount =
        |name: &str| (told[name]["done"].as_u64().unwrap(), told[name]["expected"].as_u64().unwrap());
    ["builds", "paths", "bytes"].map(amount)
}

/// Plain lines where nothing can be drawn anew; no colour where none is wanted, and all else as ever.
fn a_terminal_gets_what_it_understands(lab: &Lab) {
    let shown = |terminal: &str, flags: &[&str]| {
        xtask_in(terminal, lab, &[flags, &["verify"]].concat(), ("no question", "")).expect(0).stdout
    };
    let dumb = shown("TERM=dumb", &[]);
    assert!(!dumb.contains('\x1b') && dumb.contains("done  maia  verify"), "{dumb:?}");
    let (redraws, green) = ("\x1b[K", "\x1b[32m");
    let plain = shown("TERM=xterm NO_COLOR=1", &[]);
    assert!(plain.contains(redraws) && !plain.contains(green), "{plain:?}");
    let coloured = shown("TERM=xterm NO_COLOR=1", &["--color", "always"]);
    assert!(coloured.contains(redraws) && coloured.contains(green), "{coloured:?}");
}

#[test]
fn colours_are_there_for_the_asking_and_not_in_a_pipe() {
    let clone = Clone::new();
    let is_coloured = |flags: &[&str], env: &[(&str, &str)]| {
        let answer = clone.xtask_with(&[&["verify", "--dry-run"], flags].concat(), env).expect(0);
        answer.stdout.contains("\x1b[")
    };
    assert!(!is_coloured(&[], &[]));
    assert!(!is_coloured(&["--color", "auto"], &[("TERM", "xterm")]));
    assert!(is_coloured(&["--color", "always"], &[]));
    assert!(is_coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(is_coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}
