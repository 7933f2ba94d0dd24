//! Both ways between this crate and the two age programs: Debian's `age` (Go), and `rage` (Rust).
//!
//! rage has most of its code in common with this crate, Debian's age none: what both read is the format.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use std::sync::Arc;

use agenix::secrecy::SecretString;
use agenix::{
    Asker, DecryptError, Format, Identities, LockedKey, Recipient, decrypt, encrypt, recipients_of,
};

use crate::keys::{Keys, PYTHON, must, opened, plaintext};

/// Around age's chunk of 64 KiB, and the smallest.
const SIZES: [usize; 5] = [0, 1, 65_535, 65_536, 65_537];
/// 800 chunks: the chunk counter goes past its lowest byte.
const LARGE: usize = 50 * 1024 * 1024;
const PASSPHRASE: &str = "correct horse";
const RAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/bin/rage");
const TERMINAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/terminal.py");
/// One file for each kind of key, under these names.
const KINDS: [&str; 4] = ["ed", "rsa-2048", "rsa-4096", "age"];

/// The two programs. They understand the same arguments.
fn programs() -> [&'static str; 2] {
    assert!(
        Path::new(RAGE).is_file(),
        "these tests need rage in target/tools; install it: cargo xtask test --install"
    );
    ["age", RAGE]
}

fn every_kind(keys: &Keys) -> [Recipient; 4] {
    [
        keys.ed25519("ed"),
        keys.ssh("rsa-2048", "rsa", ""),
        keys.ssh("rsa-4096", "rsa-4096", ""),
        keys.age("age"),
    ]
}

fn they_open(program: &str, keys: &Keys, identity: &str, ciphertext: &[u8]) -> Vec<u8> {
    let file = keys.write("ours.age", ciphertext);
    must(program, &["-d".as_ref(), "-i".as_ref(), keys.path(identity).as_os_str(), file.as_os_str()])
}

fn they_encrypt(program: &str, keys: &Keys, to: &[Recipient], format: Format, plaintext: &[u8]) -> Vec<u8> {
    let file = keys.write("plain", plaintext);
    let mut arguments: Vec<&OsStr> = vec!["-e".as_ref()];
    for recipient in to {
        arguments.extend(["-r".as_ref(), OsStr::new(recipient.text())]);
    }
    arguments.extend(armor(format));
    arguments.push(file.as_os_str());
    must(program, &arguments)
}

fn armor(format: Format) -> Option<&'static OsStr> {
    (format == Format::Armor).then_some("-a".as_ref())
}

/// Runs a program that asks for passphrases on a terminal; returns what it wrote with `-o`.
fn on_a_terminal(keys: &Keys, program: &str, arguments: &[&OsStr]) -> Vec<u8> {
    let output = keys.path("output");
    // rage does not write over a file.
    let _ = fs::remove_file(&output);
    let before = [TERMINAL, PASSPHRASE, program, "-o"].map(OsStr::new);
    must(PYTHON, &[&before[..], &[output.as_os_str()], arguments].concat());
    fs::read(&output).expect("its output")
}

fn they_open_with_a_locked_key(program: &str, keys: &Keys, identity: &Path, ciphertext: &[u8]) -> Vec<u8> {
    let file = keys.write("ours.age", ciphertext);
    on_a_terminal(keys, program, &["-d".as_ref(), "-i".as_ref(), identity.as_os_str(), file.as_os_str()])
}

fn they_lock(program: &str, keys: &Keys, format: Format, plain: &Path) -> Vec<u8> {
    let mut arguments: Vec<&OsStr> = vec!["-p".as_ref()];
    arguments.extend(armor(format));
    arguments.push(plain.as_os_str());
    on_a_terminal(keys, program, &arguments)
}

/// Knows the passphrase.
struct Owner;

impl Asker for Owner {
    fn passphrase(&self, _: &LockedKey<'_>) -> Option<SecretString> {
        Some(SecretString::from(PASSPHRASE))
    }
}

fn unlocking(identities: Identities) -> Identities {
    identities.asking(Arc::new(Owner))
}

#[test]
fn both_programs_open_ours() {
    let keys = Keys::new();
    let recipients = every_kind(&keys);
    for format in [Format::Binary, Format::Armor] {
        for size in SIZES {
            let ciphertext = encrypt(&plaintext(size), &recipients, format).expect("encrypts");
            for (program, kind) in programs().iter().flat_map(|program| KINDS.map(|kind| (program, kind))) {
                let found = they_open(program, &keys, kind, &ciphertext);
                assert!(found == plaintext(size), "{program}: {size} bytes, {format:?}, {kind}");
            }
        }
    }
}

#[test]
fn we_open_those_of_both_programs() {
    let keys = Keys::new();
    let recipients = every_kind(&keys);
    for program in programs() {
        for format in [Format::Binary, Format::Armor] {
            for size in SIZES {
                let ciphertext = they_encrypt(program, &keys, &recipients, format, &plaintext(size));
                for kind in KINDS {
                    let found = opened(&ciphertext, &keys.identities(&[kind]));
                    assert!(found == plaintext(size), "{program}: {size} bytes, {format:?}, {kind}");
                }
            }
        }
    }
}

#[test]
fn fifty_mebibytes_go_both_ways() {
    let keys = Keys::new();
    let recipients = [keys.ed25519("ed")];
    let large = plaintext(LARGE);
    let ours = encrypt(&large, &recipients, Format::Binary).expect("encrypts");
    for program in programs() {
        assert!(they_open(program, &keys, "ed", &ours) == large, "{program} opens ours");
        let theirs = they_encrypt(program, &keys, &recipients, Format::Binary, &large);
        assert!(opened(&theirs, &keys.identities(&["ed"])) == large, "we open {program}'s");
    }
}

#[test]
fn locked_ssh_keys_go_both_ways() {
    let keys = Keys::new();
    for kind in ["ed25519", "rsa", "rsa-4096"] {
        let recipients = [keys.ssh(kind, kind, PASSPHRASE)];
        for program in programs() {
            let ours = encrypt(b"token", &recipients, Format::Binary).expect("encrypts");
            let found = they_open_with_a_locked_key(program, &keys, &keys.path(kind), &ours);
            assert_eq!(found, b"token", "{program} opens ours with a locked {kind} key");

            let theirs = they_encrypt(program, &keys, &recipients, Format::Binary, b"token");
            let found = opened(&theirs, &unlocking(keys.identities(&[kind])));
            assert_eq!(found, b"token", "we open {program}'s with a locked {kind} key");
        }
    }
}

#[test]
fn what_they_lock_with_a_passphrase_is_known_as_such() {
    let keys = Keys::new();
    keys.ed25519("ed");
    let plain = keys.write("plain", "token");
    for program in programs() {
        for format in [Format::Binary, Format::Armor] {
            let locked = they_lock(program, &keys, format, &plain);
            let found = recipients_of(&locked).expect("a header");
            assert_eq!(found.to_string(), "a passphrase", "{program}, {format:?}");
            let error = decrypt(&locked, &keys.identities(&["ed"])).expect_err("no key opens it");
            assert_eq!(error, DecryptError::PassphraseFile, "{program}, {format:?}");
        }
    }
}

#[test]
fn identity_files_that_they_locked_open_ours_and_theirs() {
    let keys = Keys::new();
    let recipients = [keys.age("me")];
    for program in programs() {
        for format in [Format::Binary, Format::Armor] {
            let locked = they_lock(program, &keys, format, &keys.path("me"));
            let locked = keys.write("me.locked", locked);
            let ours = encrypt(b"token", &recipients, Format::Binary).expect("encrypts");
            // The control: the file is one that the programs themselves take.
            let found = they_open_with_a_locked_key(program, &keys, &locked, &ours);
            assert_eq!(found, b"token", "{program}, {format:?}");

            let identities = unlocking(keys.identities(&["me.locked"]));
            assert_eq!(opened(&ours, &identities), b"token", "{program}, {format:?}");
            let theirs = they_encrypt(program, &keys, &recipients, Format::Binary, b"token");
            assert_eq!(opened(&theirs, &identities), b"token", "{program}, {format:?}");
        }
    }
}
