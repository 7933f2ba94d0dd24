//! How a command ends, and what is left of it then: nothing.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use remote::nix_log::NixLog;
use remote::{Cmd, Ending, RunError, Said, interrupted, watch_for_interrupts};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret, SecretSlice};

const SECOND: Duration = Duration::from_secs(1);

fn sh(script: &str) -> Cmd {
    Cmd::new("sh").args(["-c", script])
}

fn text(cmd: Cmd) -> String {
    cmd.run().unwrap_or_else(|error| panic!("{error}: {:?}", error.tail())).text()
}

/// Runs one test of this file again in a process of its own, whose environment and signals it may spoil.
fn again(test: &str, env: &[&str]) {
    let binary = std::env::current_exe().expect("this test");
    let child =
        Cmd::new("env").args(env).arg(binary).args(["--exact", test, "--include-ignored", "--nocapture"]);
    let said = text(child.label(test));
    assert!(said.contains("1 passed"), "{said}");
}

/// A process that nobody has reaped yet is gone too: in a container PID 1 may never do it.
fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

/// Waits a little: a signal that was sent may take effect later.
fn is_gone(pid: i32) -> bool {
    let until = Instant::now() + SECOND;
    while runs(pid) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let gone = !runs(pid);
    end(pid);
    gone
}

/// No test leaves a process behind, a failed one neither.
fn end(pid: i32) {
    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), Signal::KILL);
}

fn pid(text: &str) -> i32 {
    text.trim().parse().unwrap_or_else(|_| panic!("`{text}` is not a pid"))
}

#[test]
fn an_exit_code_and_a_signal_are_told_apart() {
    let failed = sh("echo why >&2; exit 7").run().unwrap_err();
    assert_eq!(failed.to_string(), "sh failed with exit code 7");
    assert_eq!((failed.code(), failed.tail()), (Some(7), &["why".to_owned()][..]));

    let killed = sh("kill -9 $$").label("the tool").run().unwrap_err();
    assert_eq!(killed.to_string(), "the tool failed with signal 9");
    assert_eq!(killed.code(), None);
    assert!(matches!(killed, RunError::Failed { ending: Ending::Signal(9), .. }));

    assert!(matches!(sh("exit 1").run_secret(), Err(RunError::Failed { ending: Ending::Code(1), .. })));
}

#[test]
fn a_missing_program_is_not_a_missing_folder() {
    let missing = Cmd::new("no-such-program-anywhere").arg("x").run().unwrap_err();
    assert_eq!(missing.to_string(), "no-such-program-anywhere is not installed");
    assert!(matches!(missing, RunError::Missing { .. }));

    let dir = tempfile::tempdir().unwrap();
    for folder in [dir.path().join("not there"), std::env::current_exe().unwrap()] {
        let error = sh("true").dir(&folder).run().unwrap_err();
        assert_eq!(error.to_string(), "failed to start sh", "{}", folder.display());
        let RunError::Start { source, .. } = error else { panic!("{error}") };
        assert!(matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory), "{source}");
    }

    let not_executable = dir.path().join("tool");
    fs::write(&not_executable, "#!/bin/sh\n").unwrap();
    let error = Cmd::new(&not_executable).run().unwrap_err();
    assert_eq!(error.to_string(), "failed to start tool");
    assert!(
        matches!(error, RunError::Start { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    );
}

#[test]
fn a_script_without_its_interpreter_is_not_a_missing_program() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("tool");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(Cmd::new(&script).run(), Err(RunError::Start { .. })));
}

/// As `main` does. A test that was started in the background of a script ignores SIGINT, and so would its children;
/// what has a handler here is back at its default there.
fn heed_interrupts() {
    watch_for_interrupts().expect("handlers");
}

#[test]
fn time_that_is_up_ends_the_whole_process_group() {
    heed_interrupts();
    let started = Instant::now();
    let cmd = sh("sleep 300 & echo $! >&2; wait").timeout(SECOND);
    let error = cmd.run().unwrap_err();
    assert_eq!(error.to_string(), "sh did not finish within 1 s");
    assert!(matches!(&error, RunError::TimedOut { after, .. } if *after == SECOND));
    assert!(started.elapsed() < 3 * SECOND, "{:?}", started.elapsed());
    assert!(is_gone(pid(&error.tail()[0])));
}

#[test]
fn a_program_may_tidy_up_when_its_time_is_up() {
    heed_interrupts();
    let cmd = sh("trap 'echo tidied >&2; exit 0' INT; while :; do sleep 0.05; done").timeout(SECOND / 5);
    let error = cmd.run().unwrap_err();
    assert!(matches!(&error, RunError::TimedOut { .. }));
    assert_eq!(error.tail(), ["tidied"]);
}

#[test]
fn a_program_that_ignores_the_polite_signal_gets_the_final_one() {
    let started = Instant::now();
    let cmd = sh("trap '' INT TERM; echo $$ >&2; while :; do sleep 300; done").timeout(SECOND / 5);
    let error = cmd.run().unwrap_err();
    assert!(matches!(error, RunError::TimedOut { .. }));
    assert!(started.elapsed() < 6 * SECOND, "{:?}", started.elapsed());
    assert!(is_gone(pid(&error.tail()[0])));
}

#[test]
fn a_grandchild_that_ignores_the_polite_signal_gets_the_final_one() {
    let cmd = sh("(trap '' INT TERM; exec sleep 300) & echo $! >&2; wait").timeout(SECOND / 5);
    let error = cmd.run().unwrap_err();
    assert!(is_gone(pid(&error.tail()[0])));
}

/// Not to wait for the daemon is one thing; to take what came until then for the whole would be another.
#[test]
fn a_daemon_that_keeps_standard_output_neither_keeps_us_nor_empties_it() {
    let started = Instant::now();
    let seen = RefCell::new(0);
    let cmd = sh("sleep 30 & echo $! >&2; echo hi");
    let error = cmd.run_watched(&|line| *seen.borrow_mut() = pid(line)).unwrap_err();
    let elapsed = started.elapsed();
    end(seen.into_inner());
    assert_eq!(error.to_string(), "the output of sh was lost");
    assert!(elapsed < 3 * SECOND, "{elapsed:?}");
}

#[test]
fn a_daemon_that_keeps_a_secret_does_not_make_it_an_empty_one() {
    let error = sh("sleep 2 2>/dev/null & echo hi").run_secret().unwrap_err();
    assert_eq!(error.to_string(), "the output of sh was lost");
}

#[test]
fn a_daemon_that_keeps_standard_error_costs_nothing_but_a_moment() {
    let output = sh("sleep 30 >/dev/null & echo $! >&2; echo hi").run().unwrap();
    end(pid(&output.tail[0]));
    assert_eq!(output.text(), "hi");
}

#[test]
fn an_interrupt_ends_the_process_group() {
    if std::env::var_os("XTASK_TEST_INSIDE").is_none() {
        return again("an_interrupt_ends_the_process_group", &["XTASK_TEST_INSIDE=1"]);
    }
    heed_interrupts();
    assert!(!interrupted());
    let started = Instant::now();
    let seen = RefCell::new(0);
    let script = sh("sleep 300 & echo $! >&2; kill -TERM $PPID; wait");
    let error = script.run_watched(&|line| *seen.borrow_mut() = pid(line)).unwrap_err();
    assert_eq!(error.to_string(), "sh was interrupted");
    assert!(interrupted() && started.elapsed() < 3 * SECOND, "{:?}", started.elapsed());
    assert!(is_gone(seen.into_inner()));
    // And no other command starts a long wait.
    assert!(matches!(sh("sleep 300").run(), Err(RunError::Interrupted { .. })));
}

#[test]
fn a_secret_has_at_most_64_kib() {
    let zeros = |count: usize| sh(&format!("head -c {count} /dev/zero")).run_secret();
    assert_eq!(zeros(65536).unwrap().expose_secret().len(), 65536);
    let error = zeros(65537).unwrap_err();
    assert_eq!(error.to_string(), "sh printed more than 65536 bytes where a secret was expected");
    assert_eq!(zeros(0).unwrap().expose_secret(), b"");
}

#[test]
fn what_is_much_too_long_for_a_secret_is_called_too_long() {
    let error = sh("head -c 1000000 /dev/zero").run_secret().unwrap_err();
    assert_eq!(error.to_string(), "sh printed more than 65536 bytes where a secret was expected");
}

#[test]
fn a_secret_is_kept_byte_for_byte() {
    let secret = sh(r"printf 'a\0b\n\377 '").run_secret().unwrap();
    assert_eq!(secret.expose_secret(), b"a\0b\n\xff ");
    assert!(!format!("{secret:?}").contains("97"));
}

#[test]
fn the_last_20_lines_are_kept_and_all_are_shown_in_order() {
    let script = "for i in $(seq 50); do echo \"line $i  \" >&2; echo >&2; done; exit 3";
    let seen = RefCell::new(Vec::new());
    let error = sh(script).run_watched(&|line| seen.borrow_mut().push(line.to_owned())).unwrap_err();
    let lines = |from: usize| (from..=50).map(|i| format!("line {i}")).collect::<Vec<_>>();
    assert_eq!(error.tail(), lines(31));
    assert_eq!(*seen.borrow(), lines(1));
}

#[test]
fn standard_output_is_captured_apart_from_standard_error() {
    let output = sh("echo out; echo err >&2; printf '\\377 end\\n\\n'; printf last >&2").run().unwrap();
    assert_eq!(output.stdout, b"out\n\xff end\n\n");
    assert_eq!(output.text(), "out\n\u{fffd} end");
    assert_eq!(output.tail, ["err", "last"]);
    let much = sh("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2").run().unwrap();
    assert_eq!(much.stdout.len(), 3_000_000);
}

#[test]
fn standard_input_arrives_whole_and_is_empty_by_default() {
    let bytes = || SecretSlice::from(vec![b'x'; 1024 * 1024]);
    assert_eq!(text(Cmd::new("wc").arg("-c").stdin(bytes())), "1048576");
    assert_eq!(text(Cmd::new("wc").arg("-c")), "0");
    for script in ["true", "exec <&-; echo closed", "head -c 1 >/dev/null", "sleep 0.2"] {
        sh(script).stdin(bytes()).run().unwrap_or_else(|error| panic!("{script}: {error}"));
    }
    let error = sh("exit 4").stdin(bytes()).run().unwrap_err();
    assert_eq!(error.code(), Some(4));
}

#[test]
fn environment_and_folder_are_as_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    assert_eq!(text(Cmd::new("pwd").dir(&folder)), folder.to_str().unwrap());
    let script = "echo ${SET-unset} ${HOME-unset} ${PATH:+there}";
    assert_eq!(text(sh(script).env("SET", "a  b").env_remove("HOME")), "a b unset there");
    assert_eq!(text(sh("echo ${SET-unset}").env("SET", "")), "");
}

#[test]
fn of_two_values_of_a_variable_the_last_one_counts() {
    assert_eq!(text(sh("echo $SET").env("SET", "one").env("SET", "two")), "two");
    assert_eq!(text(sh("echo ${SET-unset}").env("SET", "one").env_remove("SET")), "unset");
}

#[test]
fn what_tools_print_is_in_english_and_they_ask_nobody() {
    assert_eq!(text(sh("echo $LC_ALL $GIT_TERMINAL_PROMPT $SSH_ASKPASS_REQUIRE")), "C 0 never");
}

#[test]
fn neither_the_identity_of_ci_nor_the_repository_of_a_git_hook_reaches_a_child() {
    if std::env::var_os("XTASK_TEST_INSIDE").is_none() {
        let unwanted = ["XTASK_IDENTITY=secret", "GIT_DIR=/x", "GIT_INDEX_FILE=/x", "GIT_WORK_TREE=/x"];
        return again(
            "neither_the_identity_of_ci_nor_the_repository_of_a_git_hook_reaches_a_child",
            &[&["XTASK_TEST_INSIDE=1"], &unwanted[..]].concat(),
        );
    }
    // The control: the variables are here, and others are passed on.
    assert_eq!(std::env::var("XTASK_IDENTITY").unwrap(), "secret");
    assert_eq!(std::env::var("GIT_DIR").unwrap(), "/x");
    let script =
        "echo ${XTASK_IDENTITY-} ${GIT_DIR-} ${GIT_INDEX_FILE-} ${GIT_WORK_TREE-} $XTASK_TEST_INSIDE";
    assert_eq!(text(sh(script)), "1");
    assert_eq!(text(sh(script).env("X", "y").env_remove("Z").dir("/")), "1");
    assert_eq!(sh(script).run_secret().unwrap().expose_secret(), b"1\n");
    assert_eq!(sh(&format!("test \"$({script})\" = 1")).run_in_foreground().unwrap(), 0);

    let mut log = tempfile::tempfile().unwrap();
    let background = sh(script).spawn(log.try_clone().unwrap()).unwrap();
    wait_for("its end", || background.ended());
    assert_eq!(content(&mut log), "1\n");
}

#[test]
fn in_the_foreground_the_exit_code_is_the_answer() {
    assert_eq!(sh("exit 3").run_in_foreground().unwrap(), 3);
    assert_eq!(sh("kill -9 $$").run_in_foreground().unwrap(), 130);
    let missing = Cmd::new("no-such-program-anywhere").run_in_foreground();
    assert!(matches!(missing, Err(RunError::Missing { .. })));
}

#[test]
fn what_runs_beside_us_ends_with_its_value() {
    heed_interrupts();
    let missing = Cmd::new("no-such-program-anywhere").spawn(tempfile::tempfile().unwrap());
    assert!(matches!(missing, Err(RunError::Missing { .. })));

    let mut log = tempfile::tempfile().unwrap();
    let background = sh("sleep 300 & echo $! >&2; echo $$; wait").spawn(log.try_clone().unwrap()).unwrap();
    wait_for("both pids", || content(&mut log).lines().count() == 2);
    assert!(!background.ended());
    let pids: Vec<i32> = content(&mut log).lines().map(pid).collect();
    assert!(pids.iter().all(|pid| runs(*pid)));
    drop(background);
    assert!(pids.into_iter().all(is_gone));
}

fn content(file: &mut fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("the log");
    text
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let until = Instant::now() + 5 * SECOND;
    while !ready() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_nix_tells_is_read_as_lines_and_amounts() {
    let script = r#"cat >&2 <<'END'
@nix {"action":"start","id":1,"level":0,"text":"","type":104}
@nix {"action":"result","id":1,"type":105,"fields":[0,2,1,0]}
@nix {"action":"start","id":2,"level":3,"text":"building 'x'","type":105,"fields":["/nix/store/abc-x.drv"]}
@nix {"action":"result","id":2,"type":101,"fields":["it went wrong"]}
and a line of somebody else
@nix {"action":"result","id":1,"type":105,"fields":[1,2,0,0]}
@nix {"action":"msg","level":0,"msg":"error: a\n       b"}
END
exit 1"#;
    let (lines, amounts) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let hear = |said: Said<'_>| match said {
        Said::Line(line) => lines.borrow_mut().push(line.to_owned()),
        Said::Amounts(it) => amounts.borrow_mut().push((it.builds.done, it.builds.expected)),
    };
    let error = sh(script).nix_log(NixLog::default()).run_measured(&hear).unwrap_err();
    let wanted =
        ["building 'x'...", "x> it went wrong", "and a line of somebody else", "error: a", "       b"];
    assert_eq!(lines.into_inner(), wanted);
    assert_eq!(error.tail(), wanted);
    assert_eq!(amounts.into_inner(), [(1, 2)], "all of it came at once: the last word is told");
    // Whoever asks for lines alone gets the same.
    let error = sh(script).nix_log(NixLog::default()).run().unwrap_err();
    assert_eq!(error.tail(), wanted);
}

#[test]
fn amounts_are_told_in_between_and_not_all_the_time() {
    let script = r#"
echo '@nix {"action":"start","id":1,"type":104}' >&2
for done in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  echo "@nix {\"action\":\"result\",\"id\":1,\"type\":105,\"fields\":[$done,20,0,0]}" >&2
  sleep 0.05
done"#;
    let (amounts, begun) = (RefCell::new(Vec::new()), Instant::now());
    let hear = |said: Said<'_>| {
        if let Said::Amounts(it) = said {
            amounts.borrow_mut().push(it.builds.done);
        }
    };
    sh(script).nix_log(NixLog::default()).run_measured(&hear).unwrap();
    let (amounts, most) = (amounts.into_inner(), begun.elapsed().as_millis() / 200 + 2);
    assert!(amounts.len() > 2 && (amounts.len() as u128) < most, "{amounts:?}");
    assert!(amounts.is_sorted() && amounts.last() == Some(&20), "{amounts:?}");
}
