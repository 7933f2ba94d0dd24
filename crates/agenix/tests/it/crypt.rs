//! Round trips, and damage.

use agenix::{DecryptError, EncryptError, FileError, Format, decrypt, encrypt};

use crate::keys::{Keys, opened, plaintext};

/// Around age's chunk of 64 KiB, and the small sizes.
const SIZES: [usize; 6] = [0, 1, 31, 65_535, 65_536, 65_537];

#[test]
fn every_kind_of_key_opens_what_was_encrypted_to_it() {
    let keys = Keys::new();
    let recipients = [keys.ed25519("ed"), keys.ssh("rsa", "rsa", ""), keys.age("age")];
    for format in [Format::Binary, Format::Armor] {
        for size in SIZES {
            let ciphertext = encrypt(&plaintext(size), &recipients, format).expect("encrypts");
            assert_eq!(
                ciphertext.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"),
                format == Format::Armor
            );
            assert_eq!(opened(&ciphertext, &keys.identities(&["ed"])), plaintext(size));
            assert_eq!(opened(&ciphertext, &keys.identities(&["age"])), plaintext(size));
        }
        // An RSA key is slow without optimisation: one size will do.
        let ciphertext = encrypt(b"token", &recipients, format).expect("encrypts");
        assert_eq!(opened(&ciphertext, &keys.identities(&["rsa"])), b"token");
    }
}

#[test]
fn nobody_to_encrypt_to_is_an_error() {
    let error = encrypt(b"token", &[], Format::Binary).expect_err("no recipient");
    assert!(matches!(error, EncryptError::NoRecipient));
    assert_eq!(error.to_string(), "there is nobody to encrypt to");
    assert_eq!(
        error.hint().as_deref(),
        Some("name at least one key in the secret's publicKeys in secrets.nix")
    );
}

#[test]
fn a_file_cut_short_or_altered_anywhere_gives_no_plaintext() {
    let keys = Keys::new();
    let recipients = [keys.ed25519("ed")];
    let identities = keys.identities(&["ed"]);
    let ciphertext = encrypt(b"a token of some length", &recipients, Format::Binary).expect("encrypts");
    for length in 0..ciphertext.len() {
        assert!(decrypt(&ciphertext[..length], &identities).is_err(), "cut at {length}");
    }
    for index in 0..ciphertext.len() {
        let mut altered = ciphertext.clone();
        altered[index] ^= 1;
        assert!(decrypt(&altered, &identities).is_err(), "altered at {index}");
    }
    let mut longer = ciphertext.clone();
    longer.push(0);
    assert_eq!(decrypt(&longer, &identities).expect_err("longer"), DecryptError::Altered);
}

#[test]
fn damage_is_told_apart_and_has_a_remedy() {
    let keys = Keys::new();
    let recipients = [keys.ed25519("ed")];
    let identities = keys.identities(&["ed"]);
    let ciphertext = encrypt(b"token", &recipients, Format::Binary).expect("encrypts");
    let armored = encrypt(b"token", &recipients, Format::Armor).expect("encrypts");
    let error = |bytes: &[u8]| decrypt(bytes, &identities).expect_err("damaged");

    let altered = error(&ciphertext[..ciphertext.len() - 1]);
    assert_eq!(altered.to_string(), "the file is damaged: it was cut short or altered");
    assert_eq!(altered.hint(), "restore it from git (git checkout -- FILE), or write the secret anew");
    assert_eq!(error(&armored[..armored.len() - 10]), DecryptError::Altered);
    assert_eq!(error(b"").to_string(), "the file is empty");
    assert_eq!(error(b"\n").to_string(), "the file is empty");
    assert_eq!(error(b"<<<<<<< HEAD\nage-encryption.org/v1\n").to_string(), "the file is not an age file");
    assert_eq!(error(&ciphertext[..60]).to_string(), "the file is damaged: its age header is not whole");
    assert_eq!(error(&armored[..60]), DecryptError::File(FileError::Damaged));
}
