//! Identities that are in no file: the text of a key in XTASK_IDENTITY, and standard input.

use std::fs;

use agenix::secrecy::ExposeSecret as _;
use agenix::{Format, decrypt, encrypt};

use crate::keys::must;
use crate::world::World;

/// A world whose home has no key in it; the text of the key that opens its secret.
fn homeless() -> (World, String) {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "token");
    fs::remove_file(world.home().join(".ssh/id_ed25519")).expect("a key");
    let key = fs::read_to_string(world.keys.path("me")).expect("a key");
    (world, key)
}

#[test]
fn the_text_of_a_key_may_stand_in_a_variable() {
    let (world, key) = homeless();
    let call = |args: &[&str]| world.agenix(args).env("XTASK_IDENTITY", &key);
    assert_eq!(call(&["-d", "a.age"]).run().expect(0).stdout, b"token");
    call(&["-e", "a.age"]).stdin("by pipe").run().says("");
    assert_eq!(world.content("a.age"), b"by pipe");
    call(&["-r", "--force"]).run().says("rekeying a.age...\n");
    assert_eq!(world.content("a.age"), b"by pipe");
}

#[test]
fn a_variable_of_no_use_is_told_without_repeating_it() {
    let (world, _) = homeless();
    let given = |text| world.agenix(["-d", "a.age"]).env("XTASK_IDENTITY", text).run().expect(1).stderr;
    let said = given("SECRET-BUT-NO-KEY");
    assert!(said.starts_with("identity XTASK_IDENTITY "), "{said}");
    assert!(!said.contains("SECRET-BUT"), "{said}");
    // A secret that CI does not have is an empty variable there.
    assert!(given(" ").starts_with("No identity found to decrypt a.age."));
}

/// Without any key, what is only not proven is left as it is. A key that was meant and is none is told all the same.
#[test]
fn a_variable_of_no_use_stops_a_rekey_that_could_do_without_a_key() {
    let (world, _) = homeless();
    let age = world.keys.age("age");
    world.rules(&[("a.age", std::slice::from_ref(&age))]);
    // By Debian's age, which does not write down whom its age keys are of.
    let (file, content) = (world.path("a.age"), world.keys.write("content", "token"));
    let [file, content] = [&file, &content].map(|path| path.to_str().expect("unicode"));
    must("age", &["-r", age.text(), "-o", file, content]);
    let before = world.bytes("a.age");
    let rekey = |text| world.agenix(["-r"]).env("XTASK_IDENTITY", text).run();
    rekey("SECRET-BUT-NO-KEY").refuses(
        "rekeying a.age...\n\
         identity XTASK_IDENTITY is not an age identity file: line 1 is no key\n\
         hint: give a whole OpenSSH private key or an age identity file: -i takes its path, XTASK_IDENTITY its text\n",
    );
    rekey("").says(
        "rekeying a.age...\n\
         a.age is left as it is: its age keys do not show who they are, and it is for none of ours.\n",
    );
    assert_eq!(world.bytes("a.age"), before);
}

/// As `-i` does: what is named is all that is tried.
#[test]
fn a_variable_turns_the_keys_of_the_home_folder_off_and_adds_to_those_that_are_named() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "token");
    world.keys.ed25519("other");
    let other = fs::read_to_string(world.keys.path("other")).expect("a key");
    let answer = world.agenix(["-d", "a.age"]).env("XTASK_IDENTITY", &other).run().expect(1);
    assert!(answer.stderr.contains("no identity fits: tried XTASK_IDENTITY;"), "{}", answer.stderr);
    let me = world.keys.path("me");
    let named = ["-d", "a.age", "-i", me.to_str().expect("unicode")];
    assert_eq!(world.agenix(named).env("XTASK_IDENTITY", &other).run().expect(0).stdout, b"token");
}

#[test]
fn a_dash_is_a_key_on_standard_input() {
    let (world, key) = homeless();
    let shown = world.agenix(["-d", "a.age", "-i", "-"]).stdin(&key).run().expect(0);
    assert_eq!(shown.stdout, b"token");
    world.agenix(["-r", "--force", "-i", "-"]).stdin(&key).run().says("rekeying a.age...\n");
    assert_eq!(world.content("a.age"), b"token");
    let age = world.keys.age("age");
    let ciphertext = encrypt(b"for age", &[age], Format::Armor).expect("encrypts");
    fs::write(world.path("a.age"), ciphertext).expect("a file");
    let key = fs::read(world.keys.path("age")).expect("a key");
    let shown = world.agenix(["-d", "a.age", "-i", "-"]).stdin(key).run().expect(0);
    assert_eq!(shown.stdout, b"for age");
}

/// Standard input cannot be the key and the content; least of all may the key become the content.
#[test]
fn a_key_on_standard_input_never_becomes_the_secret() {
    let (world, key) = homeless();
    let before = world.bytes("a.age");
    world.agenix(["-e", "a.age", "-i", "-"]).stdin(&key).run().expect(1);
    assert_eq!(world.bytes("a.age"), before);
    // A file there, other than a pipe, is read from its start each time that it is opened.
    let line = format!(
        "{} -e a.age -i - < {}",
        remote::quote(env!("CARGO_BIN_EXE_agenix")),
        remote::quote(world.keys.path("me").to_str().expect("unicode"))
    );
    let call = world.agenix([""; 0]);
    let output = call.command(&["sh", "-c", &line].map(Into::into)).output().expect("sh");
    let content = decrypt(&world.bytes("a.age"), &world.keys.identities(&["me"])).expect("decrypts");
    assert_ne!(content.expose_secret(), key.as_bytes(), "the private key is the secret's content now");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.bytes("a.age"), before);
}

/// As age itself, which asks on the terminal, whatever standard input is.
#[test]
fn a_pipe_of_content_leaves_the_terminal_for_the_passphrase() {
    let world = World::new(&["a.age"]);
    world.keep("a.age", "before");
    let key = world.home().join(".ssh/id_ed25519");
    must("ssh-keygen", &["-q", "-p", "-P", "", "-N", "sesame", "-f", key.to_str().expect("unicode")]);
    let line = format!("printf after | {} -e a.age", remote::quote(env!("CARGO_BIN_EXE_agenix")));
    let mut terminal = world.agenix([""; 0]).in_terminal(&["sh", "-c", &line].map(Into::into));
    terminal.answers("Passphrase of ", "sesame");
    terminal.ends().expect(0);
    assert_eq!(world.content("a.age"), b"after");
}
