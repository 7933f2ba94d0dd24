//! Becoming root on a host whose login is somebody else's.
//!
//! A password travels as the first line of a command's standard input, never in an argv. Whether sudo reads it is up to the
//! host (it may ask for none, or still remember the last one): so a line of ours stands behind it, and the command's own
//! input begins after that line, whoever has read the one before.

use std::fmt;
use std::sync::Arc;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// Between the password and the command's own input.
const MARK: &str = "--- input ---";
/// Reads up to the mark, byte by byte as a shell does on a pipe, and leaves the rest to the command.
const SKIP: &str = "while IFS= read -r line && [ \"$line\" != \"$0\" ]; do :; done; exec \"$@\"";

/// How a login becomes root.
#[derive(Clone)]
pub enum Sudo {
    /// The host asks for no password.
    Free,
    /// It asks for this one.
    Password(Arc<SecretString>),
}

impl Sudo {
    /// What to run on the host in place of `argv`. The PATH stays that of the login: sudo's own lacks a NixOS' programs.
    pub(crate) fn argv(&self, argv: Vec<String>) -> Vec<String> {
        let front: &[&str] = match self {
            Self::Free => &["exec sudo --non-interactive -- env \"PATH=$PATH\" \"$@\"", "sh"],
            Self::Password(_) => {
                &["exec sudo --stdin --prompt= -- env \"PATH=$PATH\" sh -c \"$@\"", "sh", SKIP, MARK]
            }
        };
        // The login's own shell may be any.
        let words = ["/bin/sh", "-c"].iter().chain(front).map(ToString::to_string);
        words.chain(argv).collect()
    }

    /// The standard input of a command that has `input` for itself.
    pub(crate) fn stdin(&self, input: Option<SecretSlice<u8>>) -> Option<SecretSlice<u8>> {
        let Self::Password(password) = self else { return input };
        let input = input.as_ref().map_or(&[][..], |input| input.expose_secret());
        let parts = [password.expose_secret().as_bytes(), b"\n", MARK.as_bytes(), b"\n", input];
        // Room for all of it at once: a vector that grows leaves copies behind.
        let mut all = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
        parts.iter().for_each(|part| all.extend_from_slice(part));
        Some(SecretSlice::from(Box::from(all.as_slice())))
    }

    /// The password as a program asks for it that is not sudo.
    pub(crate) fn answer(&self) -> Option<SecretSlice<u8>> {
        let Self::Password(password) = self else { return None };
        let mut line = Zeroizing::new(Vec::with_capacity(password.expose_secret().len() + 1));
        line.extend_from_slice(password.expose_secret().as_bytes());
        line.push(b'\n');
        Some(SecretSlice::from(Box::from(line.as_slice())))
    }
}

impl fmt::Debug for Sudo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Free => "Sudo::Free",
            Self::Password(_) => "Sudo::Password(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cmd;

    /// A sudo on PATH that reads a line of password, or does not, and runs what stands behind `env`.
    fn run(sudo: &Sudo, reads: bool, input: Option<&str>) -> String {
        let folder = tempfile::tempdir().unwrap();
        let read =
            if reads { "IFS= read -r password; [ \"$password\" = 'pass word' ] || exit 1\n" } else { "" };
        let script = format!("#!/bin/sh\n{read}while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"\n");
        std::fs::write(folder.path().join("sudo"), script).unwrap();
        let chmod = Cmd::new("chmod").arg("755").arg(folder.path().join("sudo"));
        chmod.run().unwrap();
        let argv = sudo.argv(["sh", "-c", "echo \"$1\"; cat", "sh", "it's"].map(str::to_owned).to_vec());
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut cmd = Cmd::new(&argv[0]).args(&argv[1..]).env("PATH", path);
        if let Some(stdin) = sudo.stdin(input.map(|text| SecretSlice::from(text.as_bytes().to_vec()))) {
            cmd = cmd.stdin(stdin);
        }
        cmd.run().unwrap().text()
    }

    #[test]
    fn a_command_gets_its_own_input_whoever_read_the_password() {
        let sudo = Sudo::Password(Arc::new(SecretString::from("pass word")));
        for reads in [true, false] {
            assert_eq!(run(&sudo, reads, Some("one\ntwo")), "it's\none\ntwo");
            assert_eq!(run(&sudo, reads, None), "it's");
        }
        assert_eq!(run(&Sudo::Free, false, Some("one")), "it's\none");
    }

    #[test]
    fn no_password_is_in_an_argv_or_a_message() {
        let sudo = Sudo::Password(Arc::new(SecretString::from("pass word")));
        assert!(!sudo.argv(vec!["id".to_owned()]).concat().contains("pass word"));
        assert_eq!(format!("{sudo:?}"), "Sudo::Password(…)");
    }
}
