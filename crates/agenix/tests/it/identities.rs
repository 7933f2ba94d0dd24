//! Where identities come from, which of them is tried, and what is said when none fits.

use std::fs;
use std::path::Path;

use agenix::secrecy::SecretString;
use agenix::{DecryptError, Identities, IdentitySources, Recipient, decrypt};

use crate::keys::{Keys, files, must};

fn load_text(text: &str) -> Result<Identities, String> {
    let text = SecretString::from(text);
    let sources = IdentitySources { text: Some(("XTASK_IDENTITY", &text)), ..Default::default() };
    Identities::load(&sources).map_err(|error| format!("{error}\nhint: {}", error.hint()))
}

fn load_home(home: &Path) -> Identities {
    Identities::load(&IdentitySources { home: Some(home), ..Default::default() })
        .expect("defaults never fail")
}

#[test]
fn an_identity_that_is_no_recipient_names_both_sides() {
    let keys = Keys::new();
    keys.ed25519("me");
    keys.ssh("locked", "ed25519", "correct horse");
    let (ocean, age) = (keys.ed25519("ocean"), keys.age("age"));
    let anonymous = age.reader_tag().expect("an age key");
    let file = &files(1, &[ocean.clone(), age])[0];
    let error = decrypt(file, &keys.identities(&["me", "locked"])).expect_err("for others");
    let tried = format!("{}, {}", keys.path("me").display(), keys.path("locked").display());
    let tag = ocean.ssh_tag().expect("ssh");
    assert_eq!(
        error.to_string(),
        format!("no identity fits: tried {tried}; the file is for {tag}, {anonymous}")
    );
    assert_eq!(
        error.naming(&[ocean]).to_string(),
        format!("no identity fits: tried {tried}; the file is for ocean, {anonymous}")
    );
    // An age key cannot know beforehand, and says the same afterwards.
    keys.age("mine");
    let error = decrypt(file, &keys.identities(&["mine"])).expect_err("for others");
    assert!(matches!(error, DecryptError::NotARecipient { .. }));
    assert_eq!(
        error.hint(),
        "give the private key of one of them with -i FILE, or have one of them add your key \
         to secrets.nix and rekey"
    );
}

#[test]
fn the_defaults_are_the_homes_and_only_when_nothing_is_named() {
    let keys = Keys::new();
    fs::create_dir(keys.path(".ssh")).expect("a folder");
    let rsa = keys.ssh(".ssh/id_rsa", "rsa", "");
    let other = keys.ed25519("other");
    let home = keys.folder().to_owned();
    assert_eq!(load_home(&home).names(), [keys.path(".ssh/id_rsa").display().to_string()]);
    decrypt(&files(1, std::slice::from_ref(&rsa))[0], &load_home(&home)).expect("decrypts");

    let named = [keys.path("other")];
    let sources = IdentitySources { files: &named, text: None, home: Some(&home) };
    let identities = Identities::load(&sources).expect("usable");
    decrypt(&files(1, &[rsa])[0], &identities).expect_err("-i turns the defaults off");
    decrypt(&files(1, &[other])[0], &identities).expect("decrypts");
}

#[test]
fn without_any_identity_it_says_where_it_looked() {
    let keys = Keys::new();
    let file = &files(1, &[keys.ed25519("ocean")])[0];
    let error = decrypt(file, &load_home(keys.folder())).expect_err("no identity");
    let ssh = keys.path(".ssh").display().to_string();
    assert_eq!(
        error.to_string(),
        format!("no identity to decrypt with: {ssh}/id_ed25519 is not there, {ssh}/id_rsa is not there")
    );
    assert_eq!(error.hint(), "give a private key with -i FILE, or its text in XTASK_IDENTITY");
    let none = Identities::load(&IdentitySources::default()).expect("nothing to fail on");
    assert!(none.is_empty());
    let error = decrypt(file, &Identities::default()).expect_err("no identity");
    assert_eq!(error.to_string(), "no identity to decrypt with");
}

#[test]
fn a_default_of_no_use_does_not_stop_the_other_and_is_told_when_none_fits() {
    let keys = Keys::new();
    fs::create_dir(keys.path(".ssh")).expect("a folder");
    let me = keys.ed25519(".ssh/id_ed25519");
    let path = keys.path(".ssh/id_rsa").display().to_string();
    must("ssh-keygen", &["-q", "-t", "ecdsa", "-N", "", "-f", &path]);
    let identities = load_home(keys.folder());
    decrypt(&files(1, &[me])[0], &identities).expect("decrypts");
    let ocean = keys.ed25519("ocean");
    let error = decrypt(&files(1, std::slice::from_ref(&ocean))[0], &identities).expect_err("for others");
    let ed = keys.path(".ssh/id_ed25519").display().to_string();
    assert_eq!(
        error.naming(&[ocean]).to_string(),
        format!(
            "no identity fits: tried {ed}, {path} (it is an ecdsa-sha2-nistp256 key, which age cannot \
             decrypt with); the file is for ocean"
        )
    );
}

#[test]
fn a_passphrase_file_is_refused_with_a_way_out() {
    let keys = Keys::new();
    keys.ed25519("me");
    let header = format!("age-encryption.org/v1\n-> scrypt {} 10\n{}\n", "A".repeat(22), "A".repeat(43));
    let file = format!("{header}--- {}\n{}", "A".repeat(43), "n".repeat(48));
    let error = decrypt(file.as_bytes(), &keys.identities(&["me"])).expect_err("a passphrase file");
    assert_eq!(error.to_string(), "the file is encrypted with a passphrase, not to the keys of secrets.nix");
    assert_eq!(error.hint(), "decrypt it with age -d FILE, and write the secret anew");
}

#[test]
fn texts_come_with_windows_line_ends_with_blanks_and_with_several_keys() {
    let keys = Keys::new();
    let recipients = [keys.ed25519("ed"), keys.ssh("rsa", "rsa", ""), keys.age("one"), keys.age("two")];
    let read = |name: &str| fs::read_to_string(keys.path(name)).expect("a key");
    let ed = read("ed");
    let both = format!("{}\n\n# second\n{}", read("one"), read("two"));
    let must_open = |text: &str, recipient: &Recipient| {
        let identities = load_text(text).expect("usable");
        decrypt(&files(1, std::slice::from_ref(recipient))[0], &identities).expect("decrypts");
    };
    must_open(&ed.replace('\n', "\r\n"), &recipients[0]);
    must_open(&format!("\n  {}", ed.trim_end()), &recipients[0]);
    must_open(&both, &recipients[2]);
    must_open(&both, &recipients[3]);
    // The old format of unencrypted RSA keys.
    let rsa = keys.path("rsa");
    must("ssh-keygen", &["-q", "-p", "-m", "PEM", "-P", "", "-N", "", "-f", rsa.to_str().expect("unicode")]);
    assert!(read("rsa").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    must_open(&read("rsa"), &recipients[1]);
}

#[test]
fn files_that_are_no_identity_are_refused_with_a_remedy() {
    let keys = Keys::new();
    let refused = |name: &str| {
        let files = [keys.path(name)];
        let error = Identities::load(&IdentitySources { files: &files, ..Default::default() });
        let error = error.expect_err("no identity");
        let folder = format!("{}/", keys.folder().display());
        format!("{error}\nhint: {}", error.hint()).replace(&folder, "")
    };
    let readable = "hint: -i takes the path of a private key that you can read";
    assert_eq!(refused("none"), format!("identity none is not there\n{readable}"));
    fs::create_dir(keys.path("folder")).expect("a folder");
    assert_eq!(
        refused("folder"),
        format!("identity folder cannot be read: Is a directory (os error 21)\n{readable}")
    );
    keys.ed25519("me");
    assert_eq!(refused("me.pub"), "identity me.pub is a public key\nhint: give the private key: me");

    let kinds = "hint: use an ssh-ed25519 key (ssh-keygen -t ed25519) or an age key (age-keygen), \
                 and name it in secrets.nix";
    for (name, passphrase) in [("ecdsa", ""), ("locked-ecdsa", "correct horse")] {
        let path = keys.path(name);
        let path = path.to_str().expect("unicode");
        must("ssh-keygen", &["-q", "-t", "ecdsa", "-N", passphrase, "-f", path]);
        let what = "is an ecdsa-sha2-nistp256 key, which age cannot decrypt with";
        assert_eq!(refused(name), format!("identity {name} {what}\n{kinds}"));
    }
    let path = keys.path("pem");
    let path = path.to_str().expect("unicode");
    must("ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "correct horse", "-f", path]);
    let pem = "is in an old format, \"RSA PRIVATE KEY, ENCRYPTED\", that age cannot read";
    let remedy = "hint: bring it into OpenSSH's format: ssh-keygen -p -f FILE";
    assert_eq!(refused("pem"), format!("identity pem {pem}\n{remedy}"));
    // The remedy works.
    must("ssh-keygen", &["-q", "-p", "-P", "correct horse", "-N", "correct horse", "-f", path]);
    keys.identities(&["pem"]);
}

#[test]
fn texts_that_are_no_identity_are_refused_without_repeating_them() {
    let whole = "hint: give a whole OpenSSH private key or an age identity file: -i takes its path, \
                 XTASK_IDENTITY its text";
    let refused = |text: &str| load_text(text).expect_err("no identity");
    assert_eq!(refused(" \n"), format!("identity XTASK_IDENTITY holds no key\n{whole}"));
    assert_eq!(refused("# only a comment"), format!("identity XTASK_IDENTITY holds no key\n{whole}"));
    assert_eq!(
        refused("# mine\nAGE-SECRET-KEY-1PLANTED"),
        format!("identity XTASK_IDENTITY is not an age identity file: line 2 is no key\n{whole}")
    );
    let keys = Keys::new();
    keys.ed25519("me");
    let me = fs::read_to_string(keys.path("me")).expect("a key");
    assert_eq!(
        refused(&me[..me.len() / 2]),
        format!("identity XTASK_IDENTITY is not a whole private key\n{whole}")
    );
    assert_eq!(
        refused("AGE-PLUGIN-YUBIKEY-1QQQSYQ"),
        format!("identity XTASK_IDENTITY is not an age identity file: line 1 is no key\n{whole}")
    );
    assert_eq!(
        refused("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl"),
        format!("identity XTASK_IDENTITY is not a whole private key\n{whole}")
    );
    let secret = String::from_utf8(must("age", &["-a", "-r", keys.age("a").text(), "/dev/null"]));
    assert_eq!(
        refused(&secret.expect("armor")),
        "identity XTASK_IDENTITY is an age file itself, and not one that a passphrase opens\n\
         hint: decrypt it first: age -d FILE, or give what that shows in XTASK_IDENTITY"
    );
    assert_eq!(
        refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB"),
        "identity XTASK_IDENTITY is in an old format, \"ENCRYPTED PRIVATE KEY\", that age cannot read\n\
         hint: bring it into OpenSSH's format: ssh-keygen -p -f FILE"
    );
    let disk_image = keys.write("image", vec![b'x'; 100_000]);
    let error = Identities::load(&IdentitySources { files: &[disk_image], ..Default::default() });
    let text = error.expect_err("too long").to_string();
    assert!(text.ends_with("is no key: it has more than 65536 bytes"), "{text}");
}
