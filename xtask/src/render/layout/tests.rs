//! What is drawn, exactly, at the sizes that people have.

use expect_test::{Expect, expect};
use pipeline::{Event, StepId};

use super::*;

const MIB: u64 = 1 << 20;

fn look(width: usize, height: usize) -> Look {
    Look { width, height, glyphs: Glyphs::UNICODE, frame: 0, stopping: false }
}

fn amount(done: u64, expected: u64) -> Amount {
    Amount { done, expected }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn id(stage: &str, subject: &str, step: &str) -> StepId {
    StepId { stage: stage.to_owned(), subject: subject.to_owned(), step: step.to_owned() }
}

/// A board of so many hosts in one stage, none of which has begun.
fn board(stage: &str, subjects: &[&str]) -> Board {
    let mut board = Board::default();
    board.note(&Event::RunStarted { title: "deploy".to_owned(), steps: 52 }, at(0));
    let subjects = subjects.iter().map(|it| (*it).to_owned()).collect();
    board.note(&Event::StageStarted { stage: stage.to_owned(), subjects }, at(0));
    board
}

fn says(board: &mut Board, step: &StepId, line: &str) {
    board.note(&Event::StepProgress { step: step.clone(), line: line.to_owned() }, at(0));
}

fn measured(board: &mut Board, step: &StepId, builds: Amount, paths: Amount, bytes: Amount) {
    board.note(&Event::StepAmount { step: step.clone(), amounts: Amounts { builds, paths, bytes } }, at(0));
}

#[track_caller]
fn drawn(board: &Board, now: u64, look: &Look, expect: &Expect) {
    let lines = live(board, at(now), look);
    assert!(lines.iter().all(|line| measure_text_width(line) <= look.width), "{lines:#?}");
    // A first line that is not indented: what is, in all lines, would be taken for that of this file.
    let size = format!("{}x{}", look.width, look.height);
    expect.assert_eq(&[&[size][..], &lines].concat().join("\n"));
}

fn two_hosts() -> Board {
    let mut board = board("build", &["maia", "ocean"]);
    // The one that was named first has the first line, whichever began first.
    let (ocean, maia) = (id("build", "ocean", "build"), id("build", "maia", "copy"));
    board.note(&Event::StepStarted { step: ocean.clone() }, at(3));
    board.note(&Event::StepStarted { step: maia.clone() }, at(10));
    measured(&mut board, &ocean, amount(2, 7), amount(12, 12), amount(0, 0));
    says(&mut board, &ocean, "building '/nix/store/abcdefghijklmnopqrstuvwxyz012345-linux-6.12.drv'...");
    measured(&mut board, &maia, amount(0, 0), amount(12, 240), amount(340 * MIB, 1228 * MIB));
    says(
        &mut board,
        &maia,
        "copying path '/nix/store/abcdefghijklmnopqrstuvwxyz012345-glibc-2.40' to 'ssh://maia'...",
    );
    board
}

#[test]
fn two_hosts_at_any_width() {
    drawn(
        &two_hosts(),
        95,
        &look(79, 24),
        &expect![[r#"
            79x24
              ⠋ maia        copy           1m25s  ━━────────  0.3/1.2 GiB  12/240 paths
              ⠋ ocean       build          1m32s  2/7 builds  building 'linux-6.12.drv'...
              ──────────────────── 0/52 steps · build · 1m35s"#]],
    );
    drawn(
        &two_hosts(),
        95,
        &look(199, 50),
        &expect![[r#"
            199x50
              ⠋ maia        copy           1m25s  ━━────────  0.3/1.2 GiB  12/240 paths  copying path 'glibc-2.40' to 'ssh://maia'...
              ⠋ ocean       build          1m32s  2/7 builds  building 'linux-6.12.drv'...
              ──────────────────── 0/52 steps · build · 1m35s"#]],
    );
    drawn(
        &two_hosts(),
        95,
        &look(59, 24),
        &expect![[r#"
            59x24
              ⠋ maia        copy           1m25s  0.3/1.2 GiB
              ⠋ ocean       build          1m32s  2/7 builds
              ──────────────────── 0/52 steps · build · 1m35s"#]],
    );
    // A terminal that nobody can read anything in, and no panic.
    for (width, height) in [(1, 1), (10, 2), (30, 3)] {
        let lines = live(&two_hosts(), at(95), &look(width, height));
        assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{lines:#?}");
    }
}

#[test]
fn a_line_of_a_tool_is_shown_once_a_step_is_slow() {
    let line = |now| live(&two_hosts(), at(now), &look(199, 24)).remove(0);
    assert!(!line(11).contains("glibc"), "{}", line(11));
    assert!(line(12).contains("glibc"), "{}", line(12));
}

#[test]
fn forty_hosts_fold_to_counts() {
    let names: Vec<String> = (1..=40).map(|number| format!("node-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut board = board("build", &names);
    for (at_second, name) in names.iter().enumerate() {
        // The last of them have been at it for the longest.
        let step = if at_second % 3 == 0 { "copy" } else { "build" };
        let step = id("build", name, step);
        board.note(&Event::StepStarted { step: step.clone() }, at(40 - at_second as u64));
        measured(&mut board, &step, amount(at_second as u64, 40), amount(0, 0), amount(0, 0));
    }
    drawn(
        &board,
        60,
        &look(79, 24),
        &expect![[r#"
            79x24
              ⠋ node-40     copy            59 s  39/40 builds
              ⠋ node-39     build           58 s  38/40 builds
              ⠋ node-38     build           57 s  37/40 builds
              ⠋ node-37     copy            56 s  36/40 builds
              ⠋ node-36     build           55 s  35/40 builds
              ⠋ node-35     build           54 s  34/40 builds
              ⠋ node-34     copy            53 s  33/40 builds
              ⠋ node-33     build           52 s  32/40 builds
              ⠋ node-32     build           51 s  31/40 builds
              ⠋ node-31     copy            50 s  30/40 builds
              … and 30 more: 20 build, 10 copy
              ──────────────────── 0/52 steps · build · 1m00s"#]],
    );
    drawn(
        &board,
        60,
        &look(199, 24),
        &expect![[r#"
            199x24
              ⠋ node-40     copy            59 s  39/40 builds
              ⠋ node-39     build           58 s  38/40 builds
              ⠋ node-38     build           57 s  37/40 builds
              ⠋ node-37     copy            56 s  36/40 builds
              ⠋ node-36     build           55 s  35/40 builds
              ⠋ node-35     build           54 s  34/40 builds
              ⠋ node-34     copy            53 s  33/40 builds
              ⠋ node-33     build           52 s  32/40 builds
              ⠋ node-32     build           51 s  31/40 builds
              ⠋ node-31     copy            50 s  30/40 builds
              … and 30 more: 20 build, 10 copy
              ──────────────────── 0/52 steps · build · 1m00s"#]],
    );
    // All of them where there is room.
    assert_eq!(live(&board, at(60), &look(199, 84)).len(), 41);
    assert_eq!(live(&board, at(60), &look(199, 82)).len(), 41);
}

#[test]
fn without_unicode_and_while_stopping() {
    let ascii = Look { glyphs: Glyphs::ASCII, stopping: true, ..look(119, 24) };
    let lines = live(&two_hosts(), at(95), &ascii);
    assert!(lines.concat().is_ascii(), "{lines:#?}");
    drawn(
        &two_hosts(),
        95,
        &ascii,
        &expect![[r#"
            119x24
              | maia        copy           1m25s  ##........  0.3/1.2 GiB  12/240 paths  copying path 'glibc-2.40' to 'ssh://mai...
              | ocean       build          1m32s  2/7 builds  building 'linux-6.12.drv'...
              stopping - hosts are put in order first; ctrl-C again ends it at once - 1m35s"#]],
    );
}

#[test]
fn what_settled_stays_readable() {
    let mut board = two_hosts();
    let mut lines = settled(&Settled::Stage("build".to_owned()), &board, &look(79, 24));
    let mut end = |step: &str, subject: &str, outcome: Outcome, milliseconds: u64| {
        let event = Event::StepFinished { step: id("build", subject, step), outcome, milliseconds };
        let settled_now = board.note(&event, at(95)).unwrap();
        lines.extend(settled(&settled_now, &board, &look(79, 24)));
    };
    let failed = "failed to build ocean: nixos-rebuild build failed with exit code 1".to_owned();
    end("copy", "maia", Outcome::Done { detail: "240 paths, 1.2 GiB".to_owned() }, 83_200);
    end("build", "ocean", Outcome::Failed { error: failed }, 92_000);
    end("activate", "maia", Outcome::Skipped { reason: "it runs already".to_owned() }, 12);
    end("build", "maia", Outcome::Changed { detail: "maia-26.05 (6y1gywxr)".to_owned() }, 4_000_000);
    expect![[r#"
        build
          ✓ maia        copy           1m23s  240 paths, 1.2 GiB
          ✗ ocean       build          1m32s  failed to build ocean: nixos-rebuild bui…
            │ building 'linux-6.12.drv'...
          – maia        activate       0.0 s  it runs already
          ✓ maia        build          1h06m  maia-26.05 (6y1gywxr)"#]]
    .assert_eq(&lines.join("\n"));
    // The line of each that ended is gone, and with the run the rest.
    assert_eq!(live(&board, at(95), &look(79, 24)).len(), 1);
    board.note(&Event::RunFinished { ok: false, not_reached: Vec::new(), milliseconds: 1 }, at(96));
    assert!(live(&board, at(96), &look(79, 24)).is_empty());
}

#[test]
fn a_time_is_never_wider_than_its_column() {
    let times = [0, 9_999, 59_900, 60_000, 754_000, 3_599_000, 3_720_000, 86_400_000];
    let times = times.map(|milliseconds| short_time(Duration::from_millis(milliseconds)));
    assert_eq!(times, ["0.0 s", "9.9 s", "59 s", "1m00s", "12m34s", "59m59s", "1h02m", "24h00m"]);
}

#[test]
fn bytes_are_in_the_unit_of_the_larger() {
    let texts = [(0, 999), (512, 1024), (MIB / 3, 3 * MIB), (34 * MIB, 1228 * MIB)];
    let texts = texts.map(|(done, expected)| bytes_of(amount(done, expected)));
    assert_eq!(texts, ["0/999 B", "0.5/1.0 KiB", "0.3/3.0 MiB", "0.0/1.2 GiB"]);
}

#[test]
fn store_paths_are_told_by_their_names() {
    let hash = "abcdefghijklmnopqrstuvwxyz012345";
    let line = format!("copying path '/nix/store/{hash}-glibc-2.40' to '/nix/store/x', /nix/store/{hash}");
    assert_eq!(
        without_hashes(&line),
        format!("copying path 'glibc-2.40' to '/nix/store/x', /nix/store/{hash}")
    );
}
