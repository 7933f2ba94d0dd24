//! The test vectors of the age specification (C2SP), as the `age` crate publishes them with its source.
//!
//! A vector is lines of `name: value`, an empty line, and the age file. Most are damaged on purpose.

use std::fs;
use std::path::{Path, PathBuf};

use agenix::secrecy::{ExposeSecret as _, SecretString};
use agenix::{DecryptError, Identities, IdentitySources, decrypt, recipients_of};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::keys::{Keys, PYTHON, must};

/// `age` 0.12 has 123 of them. Fewer than this means that they were not found.
const AT_LEAST: usize = 100;

/// Where the `age` crate differs from the specification on purpose; its own tests list the same two:
/// it still takes stanzas as beta versions of age wrote them. The header's HMAC covers these too.
const OPENED: [&str; 2] = ["stanza_missing_body", "stanza_missing_final_line"];

struct Vector {
    name: String,
    /// `success`, or at what reading it has to fail.
    expect: String,
    /// The lines of an age identity file.
    identities: String,
    /// The plaintext's SHA-256, in hex. On a failure: of the part before the damage.
    payload: Option<String>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path, scratch: &Keys) -> Self {
        let bytes = fs::read(path).expect("a vector");
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("an empty line");
        let head = std::str::from_utf8(&bytes[..end]).expect("text");
        let values = |wanted: &str| -> Vec<String> {
            let fields = head.lines().filter_map(|line| line.split_once(": "));
            fields.filter(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned()).collect()
        };
        let file = bytes[end + 2..].to_vec();
        let file = match values("compressed").first().map(String::as_str) {
            None => file,
            Some("zlib") => inflated(&file, scratch),
            Some(other) => panic!("{}: compressed with {other}", path.display()),
        };
        Self {
            name: path.file_name().expect("a name").to_string_lossy().into_owned(),
            expect: values("expect").remove(0),
            identities: values("identity").join("\n"),
            payload: values("payload").pop(),
            file,
        }
    }

    fn succeeds(&self) -> bool {
        self.expect == "success"
    }

    fn is_for_keys(&self) -> bool {
        !self.identities.is_empty()
    }

    fn load(&self) -> Identities {
        let text = SecretString::from(self.identities.clone());
        let sources = IdentitySources { text: Some((&self.name, &text)), ..Default::default() };
        Identities::load(&sources).expect("usable identities")
    }

    /// How many stanzas of `kind` the header has, read without any of the code under test.
    fn stanzas(&self, kind: &str) -> usize {
        let file = if self.file.trim_ascii_start().starts_with(b"-----BEGIN") {
            let text = std::str::from_utf8(&self.file).expect("armor is text");
            let body: String = text.lines().filter(|line| !line.contains("-----")).map(str::trim).collect();
            BASE64_STANDARD.decode(body).expect("base64")
        } else {
            self.file.clone()
        };
        let lines = file.split(|byte| *byte == b'\n').take_while(|line| !line.starts_with(b"---"));
        let starts = lines.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("-> "));
        starts.filter(|rest| rest.split(' ').next() == Some(kind)).count()
    }
}

/// Python has zlib, and no crate of the workspace has.
fn inflated(bytes: &[u8], scratch: &Keys) -> Vec<u8> {
    const SCRIPT: &str =
        "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(open(sys.argv[1], 'rb').read()))";
    let file = scratch.write("compressed", bytes);
    must(PYTHON, &["-c".as_ref(), SCRIPT.as_ref(), file.as_os_str()])
}

fn vectors() -> Vec<Vector> {
    let scratch = Keys::new();
    let folder = age_source().join("tests/testdata/testkit");
    let entries = fs::read_dir(&folder).expect("the vectors");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let vectors: Vec<Vector> = paths.iter().map(|path| Vector::read(path, &scratch)).collect();
    assert!(vectors.len() >= AT_LEAST, "only {} vectors in {}", vectors.len(), folder.display());
    vectors
}

/// Where cargo keeps the source of the `age` that these tests are built with.
fn age_source() -> PathBuf {
    let version = String::from_utf8(must("rustc", &["-vV"])).expect("text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("the host");
    // This host's packages are there already; without the filter, cargo would download all others' too.
    let answer = must(
        "cargo",
        &[
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            host,
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ],
    );
    let metadata: Value = serde_json::from_slice(&answer).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let age: Vec<&Value> = packages.iter().filter(|package| package["name"] == "age").collect();
    assert_eq!(age.len(), 1, "one version of age");
    let manifest = age[0]["manifest_path"].as_str().expect("a path");
    Path::new(manifest).parent().expect("a folder").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn files_for_keys_open_or_fail_as_the_specification_says() {
    let mut opened = 0;
    for vector in vectors().iter().filter(|vector| vector.is_for_keys()) {
        let name = &vector.name;
        // An error carries nothing of the plaintext, so a failure gives no part of it either.
        match (vector.expect.as_str(), decrypt(&vector.file, &vector.load())) {
            ("success", Ok(plaintext)) => {
                let found = hex(&Sha256::digest(plaintext.expose_secret()));
                assert_eq!(Some(&found), vector.payload.as_ref(), "{name}");
                opened += 1;
            }
            ("success", Err(error)) => panic!("{name} does not open: {error}"),
            ("header failure", Ok(plaintext)) if OPENED.contains(&name.as_str()) => {
                assert_eq!(plaintext.expose_secret(), b"age", "{name}");
            }
            (expected, Ok(_)) => panic!("{name} opened; expected: {expected}"),
            ("no match", Err(error)) => {
                assert!(matches!(error, DecryptError::NotARecipient { .. }), "{name}: {error}");
            }
            ("payload failure" | "HMAC failure", Err(error)) => {
                assert_eq!(error, DecryptError::Altered, "{name}");
            }
            ("header failure" | "armor failure", Err(_)) => {
                assert!(!OPENED.contains(&name.as_str()), "take {name} off the list of the opened");
            }
            (expected, Err(_)) => panic!("{name}: unknown expectation {expected:?}"),
        }
    }
    assert!(opened >= 15, "only {opened} were opened");
}

#[test]
fn files_for_passphrases_are_known_and_never_opened() {
    let vectors = vectors();
    let some_key = vectors.iter().find(|vector| vector.name == "x25519").expect("a key");
    let mut known = 0;
    // Two of these are for nobody: they are empty.
    for vector in vectors.iter().filter(|vector| !vector.is_for_keys()) {
        let name = &vector.name;
        decrypt(&vector.file, &some_key.load()).expect_err(name);
        match recipients_of(&vector.file) {
            Ok(found) => {
                assert_eq!(found.passphrase, vector.stanzas("scrypt") > 0, "{name}");
                known += usize::from(found.passphrase);
            }
            Err(error) => assert!(!vector.succeeds(), "{name}: {error}"),
        }
    }
    assert!(known >= 5, "only {known} were known as passphrase files");
}

#[test]
fn headers_tell_the_number_of_age_keys() {
    let vectors = vectors();
    // The damaged ones too: whatever comes of it, no panic.
    let found = vectors.iter().map(|vector| (vector, recipients_of(&vector.file)));
    for (vector, found) in found.filter(|(vector, _)| vector.succeeds()) {
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(found.anonymous, vector.stanzas("X25519"), "{}", vector.name);
        assert!(found.ssh.is_empty(), "{}", vector.name);
    }
    let most = vectors.iter().filter(|vector| vector.succeeds()).map(|vector| vector.stanzas("X25519"));
    assert_eq!(most.max(), Some(2), "the vectors have a file for two keys");
}
