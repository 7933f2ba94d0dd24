//! Real keys, made for one test and gone with it; and the one place where these tests start a process.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agenix::secrecy::ExposeSecret as _;
use agenix::{Format, Identities, IdentitySources, Recipient, decrypt, encrypt};
use tempfile::TempDir;

/// Debian's, as the lab uses it.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Runs a program to its end. A missing program fails the test with the line that installs it.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "tests compare with the real tools, outside crates/remote")]
    let command = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let package = match program {
        "nix-instantiate" => "nix-bin",
        "ssh-keygen" => "openssh-client",
        "age-keygen" => "age",
        PYTHON => "python3",
        other => other,
    };
    command.unwrap_or_else(|error| {
        panic!("these tests need the real `{program}` ({error}); install it: apt-get install -y {package}")
    })
}

/// Runs a program that has to succeed.
pub(crate) fn must<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Vec<u8> {
    let output = run(program, arguments);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A folder of keys.
pub(crate) struct Keys {
    folder: TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a key with `ssh-keygen`; its comment is its name. `rsa` has 2048 bits, `rsa-4096` what it says.
    /// `-a 1`: unlocking costs one round, not sixteen.
    pub(crate) fn ssh(&self, name: &str, kind: &str, passphrase: &str) -> Recipient {
        let file = self.path(name);
        let path = file.to_str().expect("unicode");
        let (kind, bits) = kind.split_once('-').unwrap_or((kind, "2048"));
        let mut arguments = vec!["-q", "-a", "1", "-t", kind, "-N", passphrase, "-C", name, "-f", path];
        if kind == "rsa" {
            arguments.extend(["-b", bits]);
        }
        must("ssh-keygen", &arguments);
        Recipient::parse(&self.public(name)).expect("a usable key")
    }

    pub(crate) fn ed25519(&self, name: &str) -> Recipient {
        self.ssh(name, "ed25519", "")
    }

    pub(crate) fn public(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.pub"))).expect("its public key").trim().to_owned()
    }

    /// Makes an age key with `age-keygen`.
    pub(crate) fn age(&self, name: &str) -> Recipient {
        let output = run("age-keygen", &["-o".as_ref(), self.path(name).as_os_str()]);
        assert!(output.status.success());
        let text = fs::read_to_string(self.path(name)).expect("its file");
        let public =
            text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("its public key");
        Recipient::parse(public).expect("a usable key")
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).expect("a file");
        self.path(name)
    }

    /// Identities from files of this folder.
    pub(crate) fn identities(&self, names: &[&str]) -> Identities {
        let files: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        Identities::load(&IdentitySources { files: &files, ..Default::default() }).expect("usable identities")
    }
}

/// Ciphertexts of `token`.
pub(crate) fn files(count: usize, recipients: &[Recipient]) -> Vec<Vec<u8>> {
    (0..count).map(|_| encrypt(b"token", recipients, Format::Binary).expect("encrypts")).collect()
}

/// So many bytes, no two chunks of age's 64 KiB alike.
pub(crate) fn plaintext(size: usize) -> Vec<u8> {
    let pattern: Vec<u8> = (0..251).collect();
    let mut bytes = pattern.repeat(size / pattern.len() + 1);
    bytes.truncate(size);
    bytes
}

/// What `decrypt` gives where it has to succeed.
pub(crate) fn opened(ciphertext: &[u8], identities: &Identities) -> Vec<u8> {
    decrypt(ciphertext, identities).expect("decrypts").expose_secret().to_vec()
}
