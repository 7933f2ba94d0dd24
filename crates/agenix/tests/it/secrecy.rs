//! A planted secret shows in nothing that is printed; and the control, that the search would find it.

use std::fs;

use agenix::secrecy::{ExposeSecret as _, SecretString};
use agenix::{Format, Identities, IdentitySources, Rules, decrypt, encrypt, random_hex};

use crate::keys::Keys;

const PLANTED: &str = "planted-4f9c1e";

#[test]
fn a_plaintext_is_not_in_its_debug_form() {
    let keys = Keys::new();
    let file = encrypt(PLANTED.as_bytes(), &[keys.ed25519("me")], Format::Binary).expect("encrypts");
    let secret = decrypt(&file, &keys.identities(&["me"])).expect("decrypts");
    assert_eq!(secret.expose_secret(), PLANTED.as_bytes());
    let exposed = format!("{:?}", secret.expose_secret());
    assert!(exposed.contains(&format!("{:?}", PLANTED.as_bytes())), "the control");
    let debug = format!("{secret:?}");
    assert_eq!(debug, "SecretBox<[u8]>([REDACTED])");
    assert!(!file.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes()));
}

#[test]
fn a_private_key_is_not_in_the_debug_form_of_anything() {
    let keys = Keys::new();
    keys.ssh("locked", "ed25519", PLANTED);
    keys.ed25519("open");
    keys.age("age");
    let identities = format!("{:?}", keys.identities(&["locked", "open", "age"]));
    let text = SecretString::from(format!("AGE-SECRET-KEY-1{PLANTED}"));
    let sources = IdentitySources { text: Some(("XTASK_IDENTITY", &text)), ..Default::default() };
    let refused = format!("{sources:?} {:?}", Identities::load(&sources).expect_err("no key"));
    let json = format!(r#"{{"a.age": {{"publicKeys": ["AGE-SECRET-KEY-1{PLANTED}"]}}}}"#);
    let rules = Rules::from_json(&json).expect("rules");
    let rule = rules.iter().next().expect("a rule");
    let shown = format!("{identities} {refused} {rules:?} {:?}", rule.recipients().expect_err("no key"));

    assert!(rule.keys()[0].contains(PLANTED), "the control");
    assert!(shown.contains("XTASK_IDENTITY") && shown.contains("a.age"), "the control: {shown}");
    assert!(!shown.contains(PLANTED), "{shown}");
    for name in ["open", "age"] {
        let private = fs::read_to_string(keys.path(name)).expect("a key");
        let line = private.lines().rfind(|line| !line.starts_with(['#', '-'])).expect("a line");
        assert!(!shown.contains(line));
    }
}

#[test]
fn identities_can_go_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Identities::default());
}

#[test]
fn random_hex_is_hex_and_random() {
    let (one, two) = (random_hex(32).expect("randomness"), random_hex(32).expect("randomness"));
    assert_eq!(one.expose_secret().len(), 64);
    assert!(one.expose_secret().chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
    assert_ne!(one.expose_secret(), two.expose_secret());
    assert_eq!(random_hex(0).expect("randomness").expose_secret(), "");
}
