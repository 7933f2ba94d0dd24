//! What was typed and could not be kept is offered again, as often as its author wants; else nothing has changed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use agenix::{EditError, Edited, Editor, Recovery, SecretError, Secrets, edit};

use crate::world::{World, until};

/// Whom the library believes to be a person: each time the editor is opened, the next of these is done to the file.
#[derive(Default)]
struct Author<'a> {
    does: RefCell<VecDeque<Deed<'a>>>,
    told: RefCell<Vec<String>>,
    /// How often the answer is yes.
    patience: usize,
}

type Deed<'a> = Box<dyn FnOnce(&Path) + 'a>;

impl<'a> Author<'a> {
    fn with_patience(patience: usize) -> Self {
        Self { patience, ..Self::default() }
    }

    fn then(self, deed: impl FnOnce(&Path) + 'a) -> Self {
        self.does.borrow_mut().push_back(Box::new(deed));
        self
    }

    /// Told of these errors, and has opened the editor as often as it was to.
    #[track_caller]
    fn was_told(&self, errors: &[&str]) {
        assert_eq!(*self.told.borrow(), errors);
        assert!(self.does.borrow().is_empty(), "the editor was not opened often enough");
    }
}

impl Editor for Author<'_> {
    fn edit(&self, file: &Path) -> Result<(), String> {
        let deed =
            self.does.borrow_mut().pop_front().expect("the editor was opened once more than it was to");
        deed(file);
        Ok(())
    }

    fn again(&self, why: &EditError) -> bool {
        self.told.borrow_mut().push(why.to_string());
        self.told.borrow().len() <= self.patience
    }

    fn recovered(&self, recovery: &Recovery) {
        panic!("there was nothing to recover: {recovery}");
    }
}

const CHANGED: &str = "a.age was changed by somebody else meanwhile";

fn types(text: &str) -> impl FnOnce(&Path) {
    move |file| fs::write(file, text).expect("a draft")
}

/// Finds what was typed before, and that the secret's file is the other's.
fn finds<'a>(typed: &'a str, world: &'a World, bytes: &'a [u8]) -> impl FnOnce(&Path) + 'a {
    move |file| {
        assert_eq!(fs::read_to_string(file).expect("a draft"), typed);
        assert_eq!(world.bytes("a.age"), bytes);
    }
}

/// A secret for me that had the content `before`, and the library's sight of it.
fn world() -> (World, Secrets) {
    let world = World::new(&[]);
    world.keep("a.age", "before");
    let secrets = world.library(&[("a.age", std::slice::from_ref(&world.me))]);
    (world, secrets)
}

fn edit_a(world: &World, secrets: &Secrets, author: &Author<'_>) -> Result<Edited, Box<EditError>> {
    let rule = secrets.rules().rule(&"a.age".parse().expect("a path")).expect("a rule");
    edit(secrets, rule, Some(&world.keys.identities(&["me"])), author).map_err(Box::new)
}

#[test]
fn told_of_somebody_elses_change_the_author_may_go_on_and_wins() {
    let (world, secrets) = world();
    world.keep("other.age", "the other's");
    let others = world.bytes("other.age");
    let author = Author::with_patience(1)
        .then(|file| {
            types("mine")(file);
            fs::write(world.path("a.age"), &others).expect("the other's change");
        })
        .then(finds("mine", &world, &others));
    assert_eq!(edit_a(&world, &secrets, &author).expect("written"), Edited::Written);
    author.was_told(&[CHANGED]);
    assert_eq!(world.content("a.age"), b"mine");
    world.is_tidy(&["a.age", "other.age"]);
}

#[test]
fn told_of_somebody_elses_change_the_author_may_leave_it() {
    let (world, secrets) = world();
    let author = Author::default().then(|file| {
        types("mine")(file);
        world.keep("a.age", "the other's");
    });
    let error = edit_a(&world, &secrets, &author).expect_err("changed meanwhile");
    assert!(matches!(*error, EditError::Secret(SecretError::Commit(_))), "{error:?}");
    assert_eq!(error.hint().as_deref(), Some("run it again: it starts from what is there now"));
    author.was_told(&[CHANGED]);
    assert_eq!(world.content("a.age"), b"the other's");
    world.is_tidy(&["a.age"]);
}

#[test]
fn each_change_of_somebody_else_is_told() {
    let (world, secrets) = world();
    let meddle = |typed: &'static str, other: Option<&'static str>| {
        let world = &world;
        move |file: &Path| {
            types(typed)(file);
            match other {
                Some(content) => world.keep("a.age", content),
                None => fs::remove_file(world.path("a.age")).expect("removed"),
            }
        }
    };
    let author = Author::with_patience(3)
        .then(meddle("one", Some("the other's")))
        .then(meddle("two", None))
        .then(meddle("three", Some("back again")))
        .then(types("four"));
    assert_eq!(edit_a(&world, &secrets, &author).expect("written"), Edited::Written);
    author.was_told(&[CHANGED; 3]);
    assert_eq!(world.content("a.age"), b"four");
}

#[test]
fn a_file_that_somebody_else_makes_meanwhile_is_told_of_too() {
    let (world, secrets) = world();
    fs::remove_file(world.path("a.age")).expect("removed");
    let author = Author::default().then(|file| {
        types("mine")(file);
        world.keep("a.age", "the other's");
    });
    edit_a(&world, &secrets, &author).expect_err("made meanwhile");
    author.was_told(&[CHANGED]);
    assert_eq!(world.content("a.age"), b"the other's");
}

#[test]
fn what_cannot_be_encrypted_is_offered_again_until_its_author_gives_up() {
    let world = World::new(&[]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let yubikey = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
    let readers = [world.me.clone(), agenix::Recipient::parse(yubikey).expect("a plugin's key")];
    let secrets = world.library(&[("a.age", &readers)]);
    let author = Author::with_patience(2)
        .then(types("mine"))
        .then(finds("mine", &world, &before))
        .then(finds("mine", &world, &before));
    let error = edit_a(&world, &secrets, &author).expect_err("no plugin").to_string();
    assert!(error.contains("age-plugin-yubikey"), "{error}");
    author.was_told(&[error.as_str(); 3]);
    assert_eq!(world.bytes("a.age"), before);
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_rule_that_cannot_be_used_is_told_before_anybody_types() {
    let world = World::new(&[]);
    world.keep("a.age", "before");
    let secrets = world.library(&[("a.age", &[])]);
    let author = Author::default();
    let error = edit_a(&world, &secrets, &author).expect_err("nobody could read it");
    assert_eq!(error.to_string(), "the rule for a.age names no key");
    author.was_told(&[]);
}

#[test]
fn without_an_identity_the_editor_starts_from_nothing_whatever_was_there() {
    let (world, secrets) = world();
    let author = Author::default().then(|file| {
        assert!(!file.exists());
        types("new")(file);
    });
    let rule = secrets.rules().iter().next().expect("a rule");
    assert_eq!(edit(&secrets, rule, None, &author).expect("written"), Edited::Written);
    assert_eq!(world.content("a.age"), b"new");
}

/// The kernel lets the drop-in write no file past some bytes, from its editor's first end until its second: as a full
/// disk would, in the middle of a write.
const FILLS: &str = "if test -e \"$LOG/full\"
then cat \"$1\" > \"$LOG/found\"; prlimit --pid $PPID --fsize=unlimited:
else echo typed > \"$1\"; : > \"$LOG/full\"; prlimit --pid $PPID --fsize=100:
fi";

#[test]
fn on_a_full_disk_the_person_is_asked_and_the_editor_has_all_that_was_typed() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let editor = world.editor(FILLS);
    // Rather than with a signal, a write past the limit is to end with an error, as on a full disk.
    let deaf = format!("trap '' XFSZ; exec {}", env!("CARGO_BIN_EXE_agenix"));
    let start = || {
        let shell = ["sh", "-c", &format!("{deaf} -e a.age")].map(Into::into);
        world.agenix([""; 0]).env("EDITOR", &editor).in_terminal(&shell)
    };
    let question = "Open the editor again, with what you typed? [Y/n] ";
    let mut terminal = start();
    terminal.shows(question);
    assert!(terminal.screen().contains("could not write its temporary file"), "{}", terminal.screen());
    assert_eq!(world.bytes("a.age"), before);
    terminal.types("n\n");
    terminal.ends().expect(1);
    assert_eq!(world.bytes("a.age"), before);
    world.is_tidy(&["a.age"]);

    fs::remove_file(world.log("full")).expect("a file");
    let mut terminal = start();
    terminal.shows(question);
    terminal.types("\n");
    terminal.ends().expect(0);
    assert_eq!(world.noted("found"), "typed\n");
    assert_eq!(world.content("a.age"), b"typed\n");
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_person_is_told_of_somebody_elses_change_and_asked() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let editor =
        world.editor("echo mine > \"$1\"; while ! test -e \"$LOG/go\"; do sleep 0.05; done; rm \"$LOG/go\"");
    for (answer, code, content) in [("\n", 1, "the other's\n"), ("y\n", 0, "mine\n")] {
        world.keep("a.age", "before");
        let open = world.drafts().len();
        let mut terminal = world.agenix(["-e", "a.age"]).at_terminal(&editor);
        until("an editor", || world.drafts().len() > open);
        world.agenix(["-e", "a.age"]).stdin("the other's\n").run().says("");
        fs::write(world.log("go"), "").expect("a file");
        terminal.shows("Open the editor again, to overwrite their content with yours? [y/N] ");
        assert!(terminal.screen().contains(&format!("error: {CHANGED}\n")), "{}", terminal.screen());
        fs::write(world.log("go"), "").expect("a file");
        terminal.types(answer);
        terminal.ends().expect(code);
        assert_eq!(String::from_utf8_lossy(&world.content("a.age")), content);
        world.is_tidy(&["a.age"]);
        let _ = fs::remove_file(world.log("go"));
    }
}
