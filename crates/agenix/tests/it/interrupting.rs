//! Ctrl-C, a polite kill, a terminal that goes away, all while an editor has a secret in the clear: the file is as it
//! was, and the draft is gone.

use std::time::{Duration, Instant};

use crate::keys::must;
use crate::terminal::{CTRL_C, Terminal};
use crate::world::{World, until};

/// It has written something and sits there, for longer than any test.
const SITS: &str = "echo half > \"$1\"; exec sleep 300";

/// A world with a secret that an editor has open, at a terminal.
fn editing(lines: &str) -> (World, Terminal, Vec<u8>) {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let editor = world.editor(lines);
    let terminal = world.agenix(["-e", "a.age"]).at_terminal(&editor);
    world.has_it_open();
    (world, terminal, before)
}

impl World {
    fn has_it_open(&self) {
        until("an editor", || {
            let draft = self.drafts().pop().map(|(_, draft)| draft);
            draft.is_some_and(|draft| std::fs::read(draft).is_ok_and(|content| content == b"half\n"))
        });
    }

    fn is_as_it_was(&self, before: &[u8]) {
        assert_eq!(self.bytes("a.age"), before);
        self.is_tidy(&["a.age"]);
    }

    /// The process that has the editor as its child.
    fn drop_in(&self) -> String {
        self.drafts()[0].0.clone()
    }

    fn has_ended(&self) -> bool {
        !std::path::Path::new(&format!("/proc/{}", self.drop_in())).exists()
    }
}

#[test]
fn sigterm_ends_the_editor_and_removes_its_file() {
    let (world, terminal, before) = editing(SITS);
    must("kill", &["-TERM", &world.drop_in()]);
    let since = Instant::now();
    let answer = terminal.ends().expect(130);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(answer.stderr, "a.age: the editor failed, so nothing is changed: it was interrupted\n");
    world.is_as_it_was(&before);
}

#[test]
fn what_an_editor_saves_on_sigterm_is_not_kept() {
    let lines =
        "trap 'echo emergency > \"$1\"; exit 0' TERM\necho half > \"$1\"\nwhile :; do sleep 0.05; done";
    let (world, terminal, before) = editing(lines);
    must("kill", &["-TERM", &world.drop_in()]);
    terminal.ends().expect(130);
    world.is_as_it_was(&before);
}

#[test]
fn ctrl_c_that_ends_the_editor_changes_nothing() {
    let (world, mut terminal, before) = editing(SITS);
    terminal.types(CTRL_C);
    let answer = terminal.ends();
    assert!(matches!(answer.code, 1 | 130), "{answer:?}");
    world.is_as_it_was(&before);
}

#[test]
fn an_editor_that_has_a_use_for_ctrl_c_is_waited_for_and_its_result_kept() {
    let lines = "trap 'echo again >> \"$LOG/ctrl-c\"' INT
echo half > \"$1\"
while ! test -e \"$LOG/go\"; do sleep 0.05; done
echo whole > \"$1\"";
    let (world, mut terminal, _) = editing(lines);
    for times in 1..=3 {
        terminal.types(CTRL_C);
        let came = "again\n".repeat(times);
        until("ctrl-C in the editor", || {
            std::fs::read_to_string(world.log("ctrl-c")).is_ok_and(|l| l == came)
        });
    }
    assert!(!world.has_ended());
    std::fs::write(world.log("go"), "").expect("a file");
    let answer = terminal.ends().expect(0);
    assert_eq!(answer.stderr.replace("^C", ""), "");
    assert_eq!(world.content("a.age"), b"whole\n");
    world.is_tidy(&["a.age"]);
}

/// Such as `nano`'s or `vim`'s own: it takes ctrl-C, saves and is gone at once, while we learn of the same ctrl-C.
#[test]
fn what_an_editor_saves_on_ctrl_c_is_kept() {
    let lines = "trap 'echo saved > \"$1\"; exit 0' INT\necho half > \"$1\"\nwhile :; do sleep 0.05; done";
    let (world, mut terminal, _) = editing(lines);
    terminal.types(CTRL_C);
    terminal.ends().expect(0);
    assert_eq!(world.content("a.age"), b"saved\n");
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_terminal_that_is_closed_ends_the_editor_and_removes_its_file() {
    let (world, terminal, before) = editing(SITS);
    terminal.close();
    until("the drop-in's end", || world.has_ended());
    world.is_as_it_was(&before);
}

/// Bash hands the hang-up on to what it started; then it ends, and the kernel hangs up on them once more. An editor has
/// things to do at its end, such as keeping a swap file.
#[test]
fn a_terminal_that_is_closed_with_bash_in_it_leaves_nothing_either() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let slow = "trap 'sleep 1; exit 1' HUP\necho half > \"$1\"\nwhile :; do sleep 0.05; done";
    let editor = world.editor(slow);
    let bash = ["exec", "bash", "--norc", "--noprofile", "-i"].map(Into::into);
    let mut terminal = world.agenix([""; 0]).env("EDITOR", editor).in_terminal(&bash);
    terminal.types(&format!("{} -e a.age\n", env!("CARGO_BIN_EXE_agenix")));
    world.has_it_open();
    terminal.close();
    until("the drop-in's end", || world.has_ended());
    world.is_as_it_was(&before);
}

/// As when a session is ended: systemd sends the second right behind the first.
#[test]
fn sigterm_and_sighup_together_leave_nothing() {
    let (world, terminal, before) = editing(SITS);
    must("kill", &["-TERM", &world.drop_in()]);
    must("kill", &["-HUP", &world.drop_in()]);
    terminal.ends().expect(130);
    world.is_as_it_was(&before);
}

#[test]
fn sighup_to_the_drop_in_alone_removes_the_file_when_the_editor_is_closed() {
    let lines = "echo half > \"$1\"; while ! test -e \"$LOG/go\"; do sleep 0.05; done; echo whole > \"$1\"";
    let (world, terminal, before) = editing(lines);
    must("kill", &["-HUP", &world.drop_in()]);
    std::fs::write(world.log("go"), "").expect("a file");
    terminal.ends().expect(130);
    world.is_as_it_was(&before);
}

#[test]
fn ctrl_c_at_a_passphrase_ends_it_at_once() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let key = world.home().join(".ssh/id_ed25519");
    must("ssh-keygen", &["-q", "-p", "-P", "", "-N", "sesame", "-f", key.to_str().expect("unicode")]);
    let before = world.bytes("a.age");
    let mut terminal = world.agenix(["-e", "a.age"]).at_terminal(&world.editor(SITS));
    terminal.shows("Passphrase of ");
    terminal.types(CTRL_C);
    let answer = terminal.ends().expect(130);
    let told = format!("a.age: {} is locked, and no passphrase was given\n", key.display());
    assert!(answer.stderr.contains(&told), "{}", answer.stderr);
    assert!(world.drafts().is_empty(), "an editor was opened");
    world.is_as_it_was(&before);
}
