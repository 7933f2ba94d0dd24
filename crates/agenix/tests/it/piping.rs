//! A secret from standard input: byte for byte, and nothing by accident; and several writers at once.

use std::fs;
use std::time::{Duration, Instant};

use crate::world::World;

const REFUSED: &str = "a.age: the new content is empty\nhint: if an empty secret is meant: --allow-empty\n";

#[test]
fn an_empty_pipe_is_refused_unless_it_is_meant() {
    let world = World::new(&["a.age"]);
    world.agenix(["-e", "a.age"]).run().refuses(REFUSED);
    world.is_tidy(&[]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    world.agenix(["-e", "a.age"]).run().refuses(REFUSED);
    assert_eq!(world.bytes("a.age"), before);
    world.agenix(["-e", "a.age", "--allow-empty"]).run().says("");
    assert_eq!(world.content("a.age"), b"");
    // It is empty already, so nothing is lost.
    world.agenix(["-e", "a.age"]).run().says("a.age wasn't changed, skipping re-encryption.\n");
    world.is_tidy(&["a.age"]);
}

#[test]
fn three_mebibytes_of_any_bytes_are_kept_and_given_back() {
    let world = World::new(&["a.age"]);
    let content: Vec<u8> =
        (0..3 * 1024 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    world.agenix(["-e", "a.age"]).stdin(&content).run().says("");
    assert!(world.content("a.age") == content);
    let shown = world.agenix(["-d", "a.age"]).run().expect(0);
    assert!(shown.stdout == content);
    world.is_tidy(&["a.age"]);
}

#[test]
fn the_same_content_leaves_the_file_alone() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "same\n");
    let before = world.bytes("a.age");
    let answer = world.agenix(["-e", "a.age"]).stdin("same\n").run();
    answer.says("a.age wasn't changed, skipping re-encryption.\n");
    assert_eq!(world.bytes("a.age"), before);
}

#[test]
fn a_new_secret_needs_no_key() {
    let world = World::new(&["secrets/deep/new.age"]);
    fs::remove_file(world.home().join(".ssh/id_ed25519")).expect("a key");
    world.agenix(["-e", "secrets/deep/new.age"]).stdin("new").run().says("");
    assert_eq!(world.content("secrets/deep/new.age"), b"new");
    world.is_tidy(&["secrets/deep/new.age"]);
}

#[test]
fn writers_of_different_secrets_do_not_get_in_each_others_way() {
    let names = ["a.age", "b.age", "c.age", "secrets/d.age"];
    let world = World::new(&names);
    let start = |name: &&'static str| world.agenix(["-e", name]).stdin(*name).start();
    let running: Vec<_> = names.iter().map(start).collect();
    for process in running {
        let output = process.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for name in names {
        assert_eq!(world.content(name), name.as_bytes());
    }
    world.is_tidy(&names);
}

#[test]
fn of_several_writers_of_one_secret_each_is_told_whether_it_was_the_one() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let contents = ["one", "two", "three", "four"];
    let running: Vec<_> =
        contents.iter().map(|content| world.agenix(["-e", "a.age"]).stdin(content).start()).collect();
    let outputs: Vec<_> =
        running.into_iter().map(|process| process.wait_with_output().expect("it ends")).collect();
    let mut written = Vec::new();
    for (content, output) in contents.iter().zip(outputs) {
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => written.push(content.as_bytes()),
            _ => assert!(said.contains("a.age was changed by somebody else meanwhile"), "{said}"),
        }
    }
    assert!(written.contains(&world.content("a.age").as_slice()), "{written:?}");
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_writer_waits_for_the_one_before() {
    let world = World::new(&["a.age"]);
    let secrets = world.library(&[]);
    let (lock, recovery) = secrets.lock().expect("nobody else writes");
    assert_eq!(recovery, None);
    let since = Instant::now();
    let mut writer = world.agenix(["-e", "a.age"]).stdin("mine").start();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(writer.try_wait().expect("a child"), None, "it did not wait");
    assert!(!world.path("a.age").exists());
    drop(lock);
    assert!(writer.wait().expect("it ends").success());
    assert!(since.elapsed() < Duration::from_secs(9), "it waited on after its turn had come");
    assert_eq!(world.content("a.age"), b"mine");
    world.is_tidy(&["a.age"]);
}

/// The one slow test here.
#[test]
fn a_writer_gives_up_after_ten_seconds() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let before = world.bytes("a.age");
    let secrets = world.library(&[]);
    let _lock = secrets.lock().expect("nobody else writes");
    let since = Instant::now();
    world.agenix(["-e", "a.age"]).stdin("mine").run().refuses(
        "a.age: another process has been writing secrets here for more than 10 s\n\
         hint: wait for it, or look for it: fuser --verbose . (in the repository's root)\n",
    );
    assert!(since.elapsed() >= Duration::from_secs(10));
    assert_eq!(world.bytes("a.age"), before);
    // To read it takes no lock.
    assert_eq!(world.agenix(["-d", "a.age"]).run().expect(0).stdout, b"before");
    world.is_tidy(&["a.age"]);
}
