//! Readers that need a plugin, through the drop-in with `tests/plugin` on its PATH: the plugin there wraps keys for
//! tests only, and writes down each start.

use std::fs;
use std::process::{Command, Output, Stdio};

use agenix::{Recipient, recipients_of};

use crate::keys::{Keys, PYTHON, must};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugin");

/// A folder with a secrets.nix, an identity of the plugin's, and a log of the plugin's starts.
struct Setup {
    keys: Keys,
    recipient: String,
}

impl Setup {
    fn new(options: &[&str]) -> Self {
        let keys = Keys::new();
        let plugin = format!("{FOLDER}/age-plugin-xtasktest");
        let identity = must(PYTHON, &[&[&plugin, "--generate"], options].concat());
        let identity = String::from_utf8(identity).expect("text");
        let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.expect("its public key").to_owned();
        keys.write("identity", &identity);
        Self { keys, recipient }
    }

    fn rules(&self, rules: &str) {
        self.keys.write("secrets.nix", rules);
    }

    fn agenix(&self, arguments: &[&str], stdin: &str) -> Output {
        self.agenix_with_path(
            arguments,
            stdin,
            &format!("{FOLDER}:{}", std::env::var("PATH").expect("a PATH")),
        )
    }

    fn agenix_with_path(&self, arguments: &[&str], stdin: &str, path: &str) -> Output {
        let input = self.keys.write("stdin", stdin);
        #[expect(clippy::disallowed_methods, reason = "the process under test")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_agenix"));
        command
            .args(arguments)
            .current_dir(self.keys.folder())
            .env("PATH", path)
            .env("HOME", self.keys.folder());
        command.env("XTASKTEST_LOG", self.keys.path("log")).stdin(fs::File::open(input).expect("its input"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the drop-in")
    }

    fn starts(&self, machine: &str) -> usize {
        let log = fs::read_to_string(self.keys.path("log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(machine)).count()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_plugin_s_readers_are_encrypted_to_named_and_decrypted_with() {
    let setup = Setup::new(&[]);
    let host = setup.keys.ed25519("host");
    setup.rules(&format!(r#"{{ "a.age".publicKeys = [ "{}" "{}" ]; }}"#, setup.recipient, host.text()));
    let output = setup.agenix(&["-e", "a.age"], "token");
    assert!(output.status.success(), "{}", said(&output));
    let found = recipients_of(&fs::read(setup.keys.path("a.age")).expect("a file")).expect("a header");
    let reader = Recipient::parse(&setup.recipient).expect("a plugin's").named("red key");
    assert_eq!(found.described(&[reader, host.named("host")]), "host, red key");

    let output = setup.agenix(&["-d", "a.age", "-i", "identity"], "");
    assert_eq!((output.stdout.as_slice(), said(&output).as_str()), (&b"token"[..], ""));
    // The other reader needs no plugin, which is not started for it.
    let starts = setup.starts("identity-v1");
    let output = setup.agenix(&["-d", "a.age", "-i", "identity", "-i", "host"], "");
    assert_eq!((output.stdout.as_slice(), setup.starts("identity-v1")), (&b"token"[..], starts));
}

/// Only the plugin knows what its keys open: it is shown a file without any stanza of its own kind, too.
#[test]
fn a_plugin_is_tried_on_stanzas_of_every_kind() {
    let setup = Setup::new(&[]);
    let (host, age) = (setup.keys.ed25519("host"), setup.keys.age("age"));
    setup.rules(&format!(r#"{{ "a.age".publicKeys = [ "{}" "{}" ]; }}"#, host.text(), age.text()));
    assert!(setup.agenix(&["-e", "a.age"], "token").status.success());
    let said = said(&setup.agenix(&["-d", "a.age", "-i", "identity"], ""));
    assert!(said.starts_with("a.age: no identity fits: tried identity; the file is for "), "{said}");
    let log = fs::read_to_string(setup.keys.path("log")).expect("the plugin was started");
    assert!(log.starts_with("identity-v1 identities=1 stanzas=") && log.lines().count() == 1, "{log}");
    assert!(!log.contains("stanzas=0"), "{log}");
}

#[test]
fn a_rekey_starts_the_plugin_once_a_file_and_a_second_one_not_at_all() {
    let setup = Setup::new(&[]);
    let rules = |keys: &str| {
        let rule = |name: &str| format!(r#""{name}.age".publicKeys = [ {keys} ];"#);
        setup.rules(&format!("{{ {} }}", ["a", "b", "c"].map(rule).concat()));
    };
    rules(&format!("{:?}", setup.recipient));
    for name in ["a.age", "b.age", "c.age"] {
        assert!(setup.agenix(&["-e", name], name).status.success());
    }
    let host = setup.keys.ed25519("host");
    rules(&format!("{:?} {:?}", setup.recipient, host.text()));
    let output = setup.agenix(&["-r", "-i", "identity"], "");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!((setup.starts("identity-v1"), setup.starts("recipient-v1")), (3, 6));
    let output = setup.agenix(&["-r", "-i", "identity"], "");
    assert_eq!(
        (said(&output).as_str(), setup.starts("identity-v1"), setup.starts("recipient-v1")),
        ("", 3, 6)
    );
    assert_eq!(setup.agenix(&["-d", "b.age", "-i", "host"], "").stdout, b"b.age");
}

#[test]
fn what_a_plugin_tells_is_shown_and_without_a_terminal_it_gets_no_answers() {
    let setup = Setup::new(&["--message", "--ask-passphrase"]);
    setup.rules(&format!(r#"{{ "a.age".publicKeys = [ "{}" ]; }}"#, setup.recipient));
    assert!(setup.agenix(&["-e", "a.age"], "token").status.success());
    let output = setup.agenix(&["-d", "a.age", "-i", "identity"], "");
    let said = said(&output);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(said.contains("a.age: a plugin failed: "), "{said}");
    assert!(said.lines().count() > 1, "its message, too: {said}");
}

#[test]
fn a_plugin_that_is_not_installed_is_named_and_other_secrets_go_on() {
    let setup = Setup::new(&[]);
    let host = setup.keys.ed25519("host");
    let rules = format!(
        r#"{{ "a.age".publicKeys = [ "{}" ]; "b.age".publicKeys = [ "{}" ]; }}"#,
        setup.recipient,
        host.text()
    );
    setup.rules(&rules);
    assert!(setup.agenix(&["-e", "a.age"], "token").status.success());
    let path = std::env::var("PATH").expect("a PATH");
    let without = |arguments: &[&str], stdin: &str| setup.agenix_with_path(arguments, stdin, &path);
    assert!(without(&["-e", "b.age"], "other").status.success());
    let decrypting = said(&without(&["-d", "a.age", "-i", "identity"], ""));
    assert!(decrypting.starts_with("a.age: age-plugin-xtasktest is not on the PATH\n"), "{decrypting}");
    fs::remove_file(setup.keys.path("a.age")).expect("a file");
    let encrypting = said(&without(&["-e", "a.age"], "token"));
    assert!(encrypting.starts_with("a.age: age-plugin-xtasktest is not on the PATH\n"), "{encrypting}");
    assert!(!setup.keys.path("a.age").exists());
}
