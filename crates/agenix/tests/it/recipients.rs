//! Keys of secrets.nix: which are taken, and what is said of the others.

use agenix::{KeyError, Recipient};

use crate::keys::{Keys, must};

fn refused(text: &str) -> String {
    let error = Recipient::parse(text).expect_err("no recipient");
    format!("{error}\nhint: {}", error.hint())
}

const REAL_KEY: &str = "hint: put the real public key there: a host's is /etc/ssh/ssh_host_ed25519_key.pub, \
                        a user's ~/.ssh/id_ed25519.pub";

#[test]
fn text_and_comment_are_kept() {
    let keys = Keys::new();
    let ocean = keys.ed25519("ocean");
    let line = keys.public("ocean");
    assert_eq!(format!("{} ocean", ocean.text()), line);
    assert_eq!((ocean.comment(), ocean.label()), (Some("ocean"), "ocean".to_owned()));
    let spaced = Recipient::parse(&format!("  {}\t my laptop \n", line.replace(' ', "  "))).expect("a key");
    assert_eq!(spaced.comment(), Some("ocean\t my laptop"));
    assert_eq!(spaced, ocean);
    let bare = Recipient::parse(ocean.text()).expect("a key");
    assert_eq!(bare.comment(), None);
    let tail = &bare.text()[bare.text().len() - 8..];
    assert_eq!(bare.label(), format!("ssh-ed25519 AAAA…{tail}"));
    assert_eq!(bare.named("maia").label(), "maia");
}

#[test]
fn a_real_key_with_a_word_of_templates_in_it_is_no_placeholder() {
    // Decoded, this is a valid key; XXXX stands in it by chance.
    let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN TODO.XXXX";
    assert_eq!(Recipient::parse(text).expect("a key").label(), "TODO.XXXX");
}

#[test]
fn placeholders_are_called_placeholders() {
    for text in [
        "ssh-ed25519 PLACEHOLDER",
        "ssh-ed25519 AAAAC3...",
        "ssh-ed25519 …",
        "ssh-ed25519",
        "TODO",
        "<your key>",
        "age1...",
    ] {
        assert_eq!(refused(text), format!("{text:?} is a placeholder, not a key\n{REAL_KEY}"));
    }
    assert_eq!(
        refused("ssh-ed25519 PLACEHOLDER root@ocean"),
        format!("\"ssh-ed25519 PLACEHOLDER root@ocean\" is a placeholder, not a key\n{REAL_KEY}")
    );
}

#[test]
fn what_age_cannot_encrypt_to_is_refused_by_its_kind() {
    let keys = Keys::new();
    let path = keys.path("ecdsa");
    must(
        "ssh-keygen",
        &["-q", "-t", "ecdsa", "-N", "", "-C", "root@ocean", "-f", path.to_str().expect("unicode")],
    );
    let line = keys.public("ecdsa");
    let body = line.split(' ').nth(1).expect("a body");
    let shown = format!("ecdsa-sha2-nistp256 AAAA…{} root@ocean", &body[body.len() - 8..]);
    assert_eq!(
        refused(&line),
        format!(
            "\"{shown}\" is an ecdsa-sha2-nistp256 key, which age cannot encrypt to\n\
             hint: use the ssh-ed25519 key of the same host or user (ssh-keygen -t ed25519)"
        )
    );
    let other = "hint: use an ssh-ed25519 key (ssh-keygen -t ed25519) or an age key (age-keygen)";
    assert_eq!(
        refused("sk-ssh-ed25519@openssh.com AAAAGnNr me"),
        format!(
            "\"sk-ssh-ed25519@openssh.com AAAAGnNr me\" is bound to a security key, which can \
             sign but not decrypt\n\
             {other}"
        )
    );
}

#[test]
fn a_plugin_s_recipient_is_known_by_its_form() {
    let key = "age1yubikey1qwertyuiop";
    assert!(Recipient::parse(key).is_err(), "its check sum is wrong");
    let key = "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt";
    let recipient = Recipient::parse(&format!("{key} red key")).expect("a plugin's");
    assert!(recipient.needs_plugin() && !recipient.is_anonymous() && recipient.ssh_tag().is_none());
    assert_eq!((recipient.text(), recipient.comment()), (key, Some("red key")));
    let error =
        agenix::encrypt(b"token", &[recipient], agenix::Format::Binary).expect_err("no such plugin here");
    assert_eq!(error.to_string(), "age-plugin-yubikey is not on the PATH");
}

#[test]
fn a_short_rsa_key_is_refused() {
    let keys = Keys::new();
    let path = keys.path("short");
    let path = path.to_str().expect("unicode");
    must("ssh-keygen", &["-q", "-t", "rsa", "-b", "1024", "-N", "", "-C", "old", "-f", path]);
    let error = Recipient::parse(&keys.public("short")).expect_err("too short");
    assert!(matches!(error, KeyError::RsaSize { .. }));
    assert!(error.to_string().ends_with(" old\" has not between 2048 and 4096 bits"), "{error}");
}

#[test]
fn anything_else_is_not_a_public_key() {
    let keys = Keys::new();
    let ocean = keys.ed25519("ocean");
    let cut = &ocean.text()[..ocean.text().len() - 1];
    let long = format!("{}A", ocean.text());
    for text in ["", "hunter2", "ssh-ed25519 AAAA", cut, &long, "age1qqqq", "ssh-ed25519 ssh-ed25519"] {
        let error = Recipient::parse(text).expect_err("no recipient");
        let known = matches!(error, KeyError::Malformed { .. } | KeyError::Placeholder { .. });
        assert!(known, "{text:?}: {error}");
    }
    assert_eq!(refused("hunter2"), format!("\"hunter2\" is not a public key\n{REAL_KEY}"));
}

#[test]
fn a_private_key_is_refused_and_never_repeated() {
    let keys = Keys::new();
    keys.ed25519("me");
    let private = std::fs::read_to_string(keys.path("me")).expect("a key");
    for text in [private.as_str(), "AGE-SECRET-KEY-1PLANTED"] {
        assert_eq!(
            refused(text),
            "a private key stands where a public key belongs\n\
             hint: put its public half there (ssh-keygen -y -f KEY, age-keygen -y KEY), and replace the key: \
             what stood in a repository has leaked"
        );
    }
}

#[test]
fn a_private_key_is_seen_wherever_it_stands() {
    let public = Keys::new().age("age");
    // What one pastes out of an age identity file.
    for text in [
        format!("{}\nAGE-SECRET-KEY-1QQQQ", public.text()),
        "# public key: age1qqqq\nAGE-SECRET-KEY-1QQQQ".to_owned(),
        "age1AGE-SECRET-KEY-1QQQQ1x".to_owned(),
    ] {
        assert_eq!(Recipient::parse(&text), Err(KeyError::Private), "{text:?}");
    }
}

#[test]
fn nothing_of_a_key_is_a_command_to_the_terminal() {
    let public = Keys::new().age("age");
    let named = Recipient::parse(&format!("{} me\u{1b}[2J", public.text())).expect("a usable key");
    assert_eq!(named.label(), "me [2J");
    for text in ["ecdsa-\u{1b}[2J x", "\u{1b}[31m AAAABRtbMzFt", "age1\u{1b}[2J1data"] {
        let error = Recipient::parse(text).expect_err("no key");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
}

#[test]
fn an_rsa_key_is_three_numbers_and_nothing_else() {
    let keys = Keys::new();
    let real = keys.ssh("rsa", "rsa", "");
    // 2048 bits are 279 bytes, so base64 goes on seamlessly: another key without the line break between.
    for text in [format!("{}AAAA", real.text()), "ssh-rsa AAAAB3NzaC1yc2EAAAABAAAAAAEB".to_owned()] {
        assert!(matches!(Recipient::parse(&text), Err(KeyError::Malformed { .. })), "{text:?}");
    }
}
