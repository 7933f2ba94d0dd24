//! A locked key is asked for once, and only when it can help.

use std::fs;
use std::sync::{Arc, Mutex};

use agenix::secrecy::{ExposeSecret as _, SecretString};
use agenix::{Asker, Identities, LockedKey, Recipient, decrypt};

use crate::keys::{Keys, files, must};

/// Every question that was asked, as `NAME PUBLIC-KEY`.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

/// Writes each question down and gives the same answer to all.
struct Answering(Asked, Option<&'static str>);

impl Asker for Answering {
    fn passphrase(&self, key: &LockedKey<'_>) -> Option<SecretString> {
        let public = key.public_key.unwrap_or("hidden");
        self.0.0.lock().expect("the log").push(format!("{} {public}", key.name));
        self.1.map(SecretString::from)
    }
}

impl Asked {
    fn answering(&self, identities: Identities, answer: Option<&'static str>) -> Identities {
        identities.asking(Arc::new(Answering(self.clone(), answer)))
    }

    fn questions(&self) -> Vec<String> {
        self.0.lock().expect("the log").clone()
    }
}

#[test]
fn a_locked_key_is_asked_for_once_over_five_files_with_several_stanzas() {
    let keys = Keys::new();
    let me = keys.ssh("me", "ed25519", "correct horse");
    let others = [keys.ed25519("a"), keys.ed25519("b"), keys.ed25519("c")];
    let recipients = [&others[..], std::slice::from_ref(&me)].concat();
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["me"]), Some("correct horse"));
    for file in files(5, &recipients) {
        assert_eq!(decrypt(&file, &identities).expect("decrypts").expose_secret(), b"token");
    }
    assert_eq!(asked.questions(), [format!("{} {}", keys.path("me").display(), me.text())]);
}

#[test]
fn a_locked_key_is_not_asked_for_when_the_file_is_for_others() {
    let keys = Keys::new();
    keys.ssh("me", "ed25519", "correct horse");
    let recipients = [keys.ed25519("ocean"), keys.age("age")];
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["me"]), Some("correct horse"));
    for file in files(5, &recipients) {
        decrypt(&file, &identities).expect_err("for others");
    }
    assert!(asked.questions().is_empty());
}

#[test]
fn a_locked_key_is_not_asked_for_when_an_open_one_will_do() {
    let keys = Keys::new();
    let recipients = [keys.ssh("locked", "ed25519", "correct horse"), keys.ed25519("open"), keys.age("age")];
    for open in ["open", "age"] {
        let asked = Asked::default();
        let identities = asked.answering(keys.identities(&["locked", open]), None);
        for file in files(2, &recipients) {
            decrypt(&file, &identities).expect("decrypts with the open one");
        }
        assert!(asked.questions().is_empty());
    }
}

#[test]
fn each_of_two_locked_keys_is_asked_for_when_its_file_comes() {
    let keys = Keys::new();
    let one = keys.ssh("one", "ed25519", "correct horse");
    let two = keys.ssh("two", "rsa", "correct horse");
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["one", "two"]), Some("correct horse"));
    for recipient in [&two, &one, &two, &one] {
        let file = &files(1, std::slice::from_ref(recipient))[0];
        assert_eq!(decrypt(file, &identities).expect("decrypts").expose_secret(), b"token");
    }
    let question = |name: &str, key: &Recipient| format!("{} {}", keys.path(name).display(), key.text());
    assert_eq!(asked.questions(), [question("two", &two), question("one", &one)]);
}

#[test]
fn a_wrong_passphrase_is_an_error_and_is_not_asked_for_again() {
    let keys = Keys::new();
    let me = keys.ssh("me", "ed25519", "correct horse");
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["me"]), Some("wrong"));
    for file in files(3, &[me]) {
        let error = decrypt(&file, &identities).expect_err("wrong passphrase");
        assert_eq!(error.to_string(), format!("the passphrase for {} is wrong", keys.path("me").display()));
        assert_eq!(error.hint(), "run it again; ssh-keygen -y -f FILE tests a passphrase");
    }
    assert_eq!(asked.questions().len(), 1);
}

#[test]
fn after_a_wrong_passphrase_the_next_key_gets_its_turn() {
    let keys = Keys::new();
    let recipients =
        [keys.ssh("one", "ed25519", "something else"), keys.ssh("two", "ed25519", "correct horse")];
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["one", "two"]), Some("correct horse"));
    for file in files(2, &recipients) {
        assert_eq!(decrypt(&file, &identities).expect("decrypts").expose_secret(), b"token");
    }
    assert_eq!(asked.questions().len(), 2);
}

#[test]
fn without_a_way_to_ask_or_an_answer_it_says_what_to_do() {
    let keys = Keys::new();
    let file = &files(1, &[keys.ssh("me", "ed25519", "correct horse")])[0];
    let asked = Asked::default();
    for identities in [keys.identities(&["me"]), asked.answering(keys.identities(&["me"]), None)] {
        for _ in 0..2 {
            let error = decrypt(file, &identities).expect_err("locked");
            let name = keys.path("me").display().to_string();
            assert_eq!(error.to_string(), format!("{name} is locked, and no passphrase was given"));
            assert_eq!(
                error.hint(),
                "run it in a terminal, or give a key without a passphrase with -i FILE or XTASK_IDENTITY"
            );
        }
    }
    assert_eq!(asked.questions().len(), 1);
}

#[test]
fn one_key_under_two_names_is_one_key_and_its_open_copy_wins() {
    let keys = Keys::new();
    let me = keys.ssh("me", "ed25519", "correct horse");
    fs::copy(keys.path("me"), keys.path("copy")).expect("a copy");
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["me", "copy"]), Some("wrong"));
    decrypt(&files(1, std::slice::from_ref(&me))[0], &identities).expect_err("wrong passphrase");
    assert_eq!(asked.questions().len(), 1);

    let copy = keys.path("copy");
    let copy = copy.to_str().expect("unicode");
    must("ssh-keygen", &["-q", "-p", "-P", "correct horse", "-N", "", "-f", copy]);
    let asked = Asked::default();
    let identities = asked.answering(keys.identities(&["me", "copy"]), None);
    decrypt(&files(1, &[me])[0], &identities).expect("the open copy");
    assert!(asked.questions().is_empty());
}
