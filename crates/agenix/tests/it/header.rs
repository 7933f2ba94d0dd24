//! Who a file is for, read without a key; and whether that is what a rule says.

use agenix::{
    DecryptError, Extra, FileError, FileRecipients, Format, SshKind, agrees, decrypt, encrypt, recipients_of,
};

use crate::keys::{Keys, must};

/// A file with these stanzas, and a body that nobody will ever open.
fn file(stanzas: &[&str]) -> Vec<u8> {
    let mut text = String::from("age-encryption.org/v1\n");
    for stanza in stanzas {
        text.extend(["-> ", stanza, "\n", &"A".repeat(43), "\n"]);
    }
    text.extend(["--- ", &"A".repeat(43), "\n", &"n".repeat(48)]);
    text.into_bytes()
}

#[test]
fn ssh_tags_and_the_number_of_age_keys_are_read() {
    let keys = Keys::new();
    let (ocean, rsa) = (keys.ed25519("ocean"), keys.ssh("maia", "rsa", ""));
    let (a, b) = (keys.age("a"), keys.age("b"));
    let recipients = [ocean.clone(), a.clone(), rsa.clone(), b.clone()];
    let mut named = vec![a.reader_tag().expect("an age key"), b.reader_tag().expect("an age key")];
    named.sort();
    let expected = FileRecipients {
        ssh: vec![ocean.ssh_tag().expect("ssh"), rsa.ssh_tag().expect("ssh")],
        anonymous: 2,
        named: Some(named),
        ..FileRecipients::default()
    };
    assert_eq!(expected.ssh[0].kind, SshKind::Ed25519);
    assert_eq!(expected.ssh[1].kind, SshKind::Rsa);
    for format in [Format::Binary, Format::Armor] {
        let ciphertext = encrypt(b"token", &recipients, format).expect("encrypts");
        assert_eq!(recipients_of(&ciphertext), Ok(expected.clone()));
        assert!(agrees(&expected, &recipients).holds());
    }
    let counted = FileRecipients { named: None, ..expected };
    assert_eq!(counted.described(&recipients), "ocean, maia, 2 age keys");
}

#[test]
fn debians_age_writes_the_same_tags() {
    let keys = Keys::new();
    let (ocean, maia) = (keys.ed25519("ocean"), keys.ssh("maia", "rsa", ""));
    let input = keys.write("plain", "token");
    let plain = input.to_str().expect("unicode");
    for armor in ["--armor", "--encrypt"] {
        let ciphertext = must("age", &[armor, "-r", ocean.text(), "-r", maia.text(), plain]);
        let found = recipients_of(&ciphertext).expect("a header");
        assert!(agrees(&found, &[maia.clone(), ocean.clone()]).holds());
    }
}

#[test]
fn grease_is_noise_and_other_stanzas_keep_their_name() {
    let found =
        recipients_of(&file(&["ssh-ed25519 AAECAw AAAA", "x7-grease a b", "piv-p256 q", "X25519 AAAA"]));
    let found = found.expect("a header");
    assert_eq!(found.ssh.len(), 1);
    assert_eq!(found.ssh[0].tag, [0, 1, 2, 3]);
    assert_eq!(found.other, ["piv-p256"]);
    assert_eq!(found.to_string(), "ssh-ed25519 tag AAECAw, 1 age key, a YubiKey or other PIV key");
}

#[test]
fn our_own_files_have_grease_in_them() {
    // The control of the test above: what is ignored is really there.
    let keys = Keys::new();
    let ciphertext = encrypt(b"token", &[keys.ed25519("ocean")], Format::Binary).expect("encrypts");
    assert!(String::from_utf8_lossy(&ciphertext).contains("-grease"));
    assert!(recipients_of(&ciphertext).expect("a header").other.is_empty());
}

#[test]
fn a_passphrase_file_is_known_as_one() {
    let found = recipients_of(&file(&["scrypt AAAAAAAAAAAAAAAAAAAAAA 10"])).expect("a header");
    assert!(found.passphrase);
    assert_eq!(found.to_string(), "a passphrase");
    let agreement = agrees(&found, &[Keys::new().ed25519("ocean")]);
    assert_eq!(agreement.extra, [Extra::Passphrase]);
    assert_eq!(agreement.to_string(), "not for ocean; for a passphrase, which the rule does not name");
}

#[test]
fn what_is_no_age_file_is_said() {
    assert_eq!(recipients_of(b""), Err(FileError::Empty));
    assert_eq!(recipients_of(b"K10::server:token"), Err(FileError::NotAge));
    assert_eq!(
        recipients_of(b"age-encryption.org/v2\n-> x and what comes\n"),
        Err(FileError::UnknownVersion)
    );
    assert_eq!(recipients_of(b"age-encryption.org/"), Err(FileError::Damaged));
    assert_eq!(recipients_of(b"age-encryption.org/v1\n-> x\n!\n"), Err(FileError::Damaged));
    assert_eq!(recipients_of(b"-----BEGIN AGE ENCRYPTED FILE-----\n!!!!\n"), Err(FileError::Damaged));
    assert_eq!(recipients_of(&file(&["ssh-ed25519 AAE AAAA"])), Err(FileError::Damaged));
    assert_eq!(recipients_of(&file(&["ssh-ed25519"])), Err(FileError::Damaged));
    assert_eq!(recipients_of(&file(&[])[..30]), Err(FileError::Damaged));
    assert_eq!(FileError::UnknownVersion.to_string(), "the file is in a newer age format");
    assert_eq!(FileError::UnknownVersion.hint(), "update this tool");
}

#[test]
fn missing_and_extra_readers_are_named() {
    let keys = Keys::new();
    let (ocean, maia, admin) = (keys.ed25519("ocean"), keys.ed25519("maia"), keys.ed25519("admin"));
    let ciphertext = encrypt(b"token", &[admin.clone(), ocean.clone()], Format::Binary).expect("encrypts");
    let found = recipients_of(&ciphertext).expect("a header");
    let agreement = agrees(&found, &[admin, maia.clone()]);
    assert_eq!(agreement.missing, [maia]);
    let tag = ocean.ssh_tag().expect("ssh");
    assert_eq!(agreement.extra, [Extra::Ssh(tag)]);
    assert!(!agreement.holds());
    assert_eq!(agreement.to_string(), format!("not for maia; for {tag}, which the rule does not name"));
}

#[test]
fn a_stanza_that_is_there_twice_is_one_too_many() {
    let keys = Keys::new();
    let ocean = keys.ed25519("ocean");
    let twice = encrypt(b"token", &[ocean.clone(), ocean.clone()], Format::Binary).expect("encrypts");
    let agreement = agrees(&recipients_of(&twice).expect("a header"), std::slice::from_ref(&ocean));
    assert_eq!(agreement.extra, [Extra::Ssh(ocean.ssh_tag().expect("ssh"))]);
}

#[test]
fn of_anonymous_keys_in_others_files_the_number_is_compared_and_nothing_is_proven() {
    let keys = Keys::new();
    let (a, b) = (keys.age("a"), keys.age("b"));
    let plain = keys.write("plain", "token");
    let plain = plain.to_str().expect("unicode");
    let found = recipients_of(&must("age", &["--encrypt", "-r", a.text(), "-r", b.text(), plain]));
    let found = found.expect("a header");
    let agreement = agrees(&found, std::slice::from_ref(&a));
    assert_eq!(agreement.to_string(), "age keys: 2 in the file, 1 in the rule");
    // Somebody else's two keys look the same: it holds as far as can be seen, and says how far that is.
    let agreement = agrees(&found, &[keys.age("c"), a]);
    assert!(agreement.holds() && agreement.unproven);
}

#[test]
fn an_anonymous_key_swapped_for_another_is_seen_in_our_files() {
    let keys = Keys::new();
    let (a, b, ocean) = (keys.age("a"), keys.age("b"), keys.ed25519("ocean"));
    let (a, b) = (a.named("a"), b.named("b"));
    let ciphertext = encrypt(b"token", &[ocean.clone(), a.clone()], Format::Armor).expect("encrypts");
    let found = recipients_of(&ciphertext).expect("a header");
    let same = agrees(&found, &[a.clone(), ocean.clone()]);
    assert!(same.holds() && !same.unproven);
    let swapped = agrees(&found, &[ocean.clone(), b.clone()]);
    assert!(!swapped.holds());
    assert_eq!(swapped.missing, std::slice::from_ref(&b));
    assert_eq!(swapped.extra, [Extra::Named(a.reader_tag().expect("an age key"))]);
    assert_eq!(found.described(&[a.clone(), ocean]), "ocean, a");
    // Age reads it, whatever it makes of a stanza of ours.
    let file = keys.write("ours.age", ciphertext);
    let identity = keys.path("a");
    let arguments = ["-d".as_ref(), "-i".as_ref(), identity.as_os_str(), file.as_os_str()];
    assert_eq!(must("age", &arguments), b"token");
}

#[test]
fn nobody_can_change_the_names_and_leave_the_file_readable() {
    let keys = Keys::new();
    let (a, b) = (keys.age("a"), keys.age("b"));
    let ours = encrypt(b"token", std::slice::from_ref(&a), Format::Binary).expect("encrypts");
    let theirs = encrypt(b"token", std::slice::from_ref(&b), Format::Binary).expect("encrypts");
    let stanza = |file: &[u8]| -> (usize, usize) {
        let at = file.windows(17).position(|window| window == b"-> agenix-readers").expect("the stanza");
        (at, at + file[at..].windows(2).skip(19).position(|window| window == b"\n-").expect("its end") + 19)
    };
    let ((from, to), (start, end)) = (stanza(&ours), stanza(&theirs));
    let forged = [&ours[..from], &theirs[start..end], &ours[to..]].concat();
    let found = recipients_of(&forged).expect("a header");
    assert_eq!(found.named, Some(vec![b.reader_tag().expect("an age key")]));
    assert_eq!(decrypt(&forged, &keys.identities(&["a"])).expect_err("the MAC"), DecryptError::Altered);
    assert!(decrypt(&ours, &keys.identities(&["a"])).is_ok());
}

#[test]
fn a_header_of_many_stanzas_is_read_in_one_go() {
    // Line by line, as age does it by itself, this would take minutes: time grows with the square of the length.
    let found = recipients_of(&file(&vec!["piv-p256 q"; 20_000])).expect("a header");
    assert_eq!(found.other.len(), 20_000);
}
