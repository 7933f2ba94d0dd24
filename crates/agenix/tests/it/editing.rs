//! A secret in an editor: where its file is, and what is kept of what an editor may do.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::world::{SHM, World};

/// Notes what kind of file the editor was given.
const LOOK: &str = "stat -f -c %T \"$1\" > \"$LOG/kind\"
stat -c %a \"$1\" \"$(dirname \"$1\")\" > \"$LOG/modes\"
cat \"$1\" > \"$LOG/content\"";

#[test]
fn the_editor_gets_a_file_in_memory_under_the_secrets_own_name_that_nobody_else_may_read() {
    let world = World::new(&["secrets/deep/wifi.conf.age"]);
    world.keep("secrets/deep/wifi.conf.age", "before");
    let editor = world.editor(&format!("{LOOK}\necho after > \"$1\""));
    world.agenix(["-e", "secrets/deep/wifi.conf.age"]).at_terminal(&editor).ends().says("");
    assert_eq!(world.noted("kind"), "tmpfs\n");
    assert_eq!(world.noted("modes"), "600\n700\n");
    assert_eq!(world.noted("content"), "before");
    assert_eq!(world.content("secrets/deep/wifi.conf.age"), b"after\n");
    let drafts = world.drafts();
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0].1.file_name(), Some("wifi.conf.age".as_ref()));
    assert!(drafts[0].1.starts_with(world.memory()), "{drafts:?}");
    world.is_tidy(&["secrets/deep/wifi.conf.age"]);
}

#[test]
fn a_new_secret_starts_from_no_file_in_such_a_folder() {
    let world = World::new(&["secrets/new.age"]);
    let look = "test -e \"$1\" || stat -f -c %T \"$(dirname \"$1\")\" > \"$LOG/kind\"
stat -c %a \"$(dirname \"$1\")\" > \"$LOG/modes\"
echo new > \"$1\"";
    world.agenix(["-e", "secrets/new.age"]).at_terminal(&world.editor(look)).ends().says("");
    assert_eq!((world.noted("kind"), world.noted("modes")), ("tmpfs\n".into(), "700\n".into()));
    assert_eq!(world.content("secrets/new.age"), b"new\n");
    world.is_tidy(&["secrets/new.age"]);
}

/// A runtime folder that is on a disk, or missing, or no folder at all.
#[test]
fn a_runtime_folder_that_is_not_in_memory_is_passed_over() {
    let disk = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let file = disk.path().join("file");
    fs::write(&file, "").expect("a file");
    let places = [disk.path(), &file, &disk.path().join("none"), Path::new("shm"), Path::new("")];
    for place in places {
        let world = World::new(&["a.age"]);
        world.keep("a.age", "before");
        // A relative path of which one might think that it is in memory.
        std::os::unix::fs::symlink(SHM, world.path("shm")).expect("a link");
        let editor = world.editor(&format!("{LOOK}\necho after > \"$1\""));
        let call = world.agenix(["-e", "a.age"]).env("XDG_RUNTIME_DIR", place);
        call.at_terminal(&editor).ends().says("");
        assert_eq!(world.noted("kind"), "tmpfs\n", "{place:?}");
        let draft = &world.drafts()[0].1;
        let above = draft.parent().and_then(Path::parent);
        assert_eq!(above, Some(Path::new(SHM)), "{place:?}");
        assert_eq!(fs::read_dir(disk.path()).expect("a folder").count(), 1, "{place:?}");
        world.is_tidy(&["a.age", "shm"]);
    }
}

#[test]
fn an_editor_that_fails_changes_nothing() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let failing = world.editor("echo half > \"$1\"; echo swap > \"$(dirname \"$1\")/.a.age.swp\"; exit 3");
    world
        .agenix(["-e", "a.age"])
        .at_terminal(&failing)
        .ends()
        .refuses("a.age: the editor failed, so nothing is changed: sh ended with exit code 3\n");
    assert_eq!(world.drafts().len(), 1, "it did run");
    world.agenix(["-e", "a.age"]).at_terminal("no-such-editor").ends().refuses(
        "a.age: the editor failed, so nothing is changed: no-such-editor, as EDITOR says, is not on the PATH\n",
    );
    let killed = world.editor("echo half > \"$1\"; kill -KILL $$");
    let answer = world.agenix(["-e", "a.age"]).at_terminal(&killed).ends().expect(1);
    assert!(answer.stderr.contains("the editor failed, so nothing is changed"), "{}", answer.stderr);
    assert_eq!(world.bytes("a.age"), before);
    world.is_tidy(&["a.age"]);
}

#[test]
fn an_editor_that_leaves_the_content_alone_leaves_the_file_alone() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let look = || {
        let found = fs::metadata(world.path("a.age")).expect("a file");
        (world.bytes("a.age"), found.ino(), found.mtime_nsec())
    };
    let before = look();
    // Written again, with the same in it.
    for lines in [":", "cp \"$1\" \"$1.new\" && mv \"$1.new\" \"$1\""] {
        let answer = world.agenix(["-e", "a.age"]).at_terminal(&world.editor(lines)).ends();
        answer.says("a.age wasn't changed, skipping re-encryption.\n");
        assert_eq!(look(), before);
    }
    world.is_tidy(&["a.age"]);
}

#[test]
fn an_editor_that_writes_by_rename_or_leaves_backups_works() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "the old word");
    world.agenix(["-e", "a.age"]).at_terminal("sed -i s/old/new/").ends().says("");
    assert_eq!(world.content("a.age"), b"the new word");
    world.agenix(["-e", "a.age"]).at_terminal("sed --in-place=~ s/new/last/").ends().says("");
    assert_eq!(world.content("a.age"), b"the last word");
    let messy = world.editor("mkdir \"$1.d\"; cp \"$1\" \"$1.d/undo\"; echo more >> \"$1\"");
    world.agenix(["-e", "a.age"]).at_terminal(&messy).ends().says("");
    assert_eq!(world.content("a.age"), b"the last wordmore\n");
    world.is_tidy(&["a.age"]);
}

#[test]
fn an_editor_that_removes_the_file_changes_nothing() {
    let world = World::new(&["a.age", "new.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let removing = world.editor("rm -f \"$1\"");
    for name in ["a.age", "new.age"] {
        let answer = world.agenix(["-e", name]).at_terminal(&removing).ends();
        answer.says(&format!("{name} wasn't created.\n"));
    }
    assert_eq!(world.bytes("a.age"), before);
    world.is_tidy(&["a.age"]);
}

/// By the editor, or by the end of the session whose runtime folder it was.
#[test]
fn a_draft_that_is_gone_with_its_folder_is_not_said_to_be_left() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let removing = world.editor("rm -r \"$(dirname \"$1\")\"");
    let answer = world.agenix(["-e", "a.age"]).at_terminal(&removing).ends();
    assert_eq!(world.content("a.age"), b"before");
    answer.says("a.age wasn't created.\n");
}

#[test]
fn an_editor_that_leaves_something_else_in_the_files_place_changes_nothing() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let folder = world.editor("rm \"$1\"; mkdir \"$1\"; echo half > \"$1/b\"");
    let answer = world.agenix(["-e", "a.age"]).at_terminal(&folder).ends().expect(1);
    assert!(answer.stderr.contains("Is a directory"), "{}", answer.stderr);
    assert_eq!(world.bytes("a.age"), before);
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_file_that_is_saved_empty_is_meant() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    world.agenix(["-e", "a.age"]).at_terminal(&world.editor(": > \"$1\"")).ends().says("");
    assert_eq!(world.content("a.age"), b"");
    world.is_tidy(&["a.age"]);
}

#[test]
fn no_key_is_handed_to_the_editor() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let key = fs::read_to_string(world.keys.path("me")).expect("a key");
    fs::remove_file(world.home().join(".ssh/id_ed25519")).expect("a key");
    let editor = world.editor("env > \"$LOG/env\"; echo after > \"$1\"");
    world.agenix(["-e", "a.age"]).env("XTASK_IDENTITY", key).at_terminal(&editor).ends().says("");
    assert_eq!(world.content("a.age"), b"after\n");
    assert!(!world.noted("env").contains("XTASK_IDENTITY"));
}

#[test]
fn a_crash_would_leave_no_core_dump() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");

    let curious =
        world.editor("grep 'Max core file size' /proc/$PPID/limits > \"$LOG/limits\"; echo new > \"$1\"");
    world.agenix(["-e", "a.age"]).at_terminal(&curious).ends().says("");
    let limits = fs::read_to_string(world.log("limits")).expect("the limits");
    let words: Vec<&str> = limits.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
}
