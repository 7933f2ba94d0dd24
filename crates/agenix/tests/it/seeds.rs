//! The seeds of the fuzz targets, in `fuzz/seeds`. `cargo test -p agenix -- --ignored the_seeds` makes them
//! anew.
//!
//! All of it is public: the keys are made here and gone with the test.

use std::fs;
use std::path::{Path, PathBuf};

use agenix::{Format, Recipient, encrypt};

use crate::keys::{Keys, must};

/// Where those of a target lie.
pub(crate) fn seeds(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

#[test]
#[ignore = "writes into the repository"]
fn the_seeds_are_made_anew() {
    let keys = Keys::new();
    let made: Vec<Recipient> = vec![
        keys.ed25519("a"),
        keys.ed25519("b"),
        keys.ed25519("c"),
        keys.ssh("d", "rsa", ""),
        keys.age("e"),
        keys.age("f"),
    ];
    headers(&made);
    rules(&keys, made[4].text());
    paths();
}

fn write(target: &str, name: &str, content: &[u8]) {
    fs::create_dir_all(seeds(target)).expect("a folder");
    fs::write(seeds(target).join(name), content).expect("a seed");
}

fn headers(recipients: &[Recipient]) {
    let made = |indices: &[usize], format| {
        let recipients: Vec<Recipient> = indices.iter().map(|index| recipients[*index].clone()).collect();
        encrypt(b"token", &recipients, format).expect("encrypts")
    };
    write("header", "ed25519.age", &made(&[0], Format::Binary));
    write("header", "rsa.age", &made(&[3], Format::Binary));
    write("header", "x25519.age", &made(&[4, 5], Format::Binary));
    write("header", "many.age", &made(&[0, 4, 1, 5, 2], Format::Binary));
    let armored = made(&[0, 1, 4], Format::Armor);
    write("header", "armored.age", &armored);
    let windows = String::from_utf8(armored).expect("armor is ASCII").replace('\n', "\r\n");
    write("header", "armored-windows.age", windows.as_bytes());
    let (line, mac) = ("A".repeat(43), format!("--- {}\n{}", "A".repeat(43), "n".repeat(32)));
    for (name, stanzas) in [
        ("scrypt.age", format!("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 10\n{line}\n")),
        (
            "plugin.age",
            format!("-> piv-p256 q w\n{line}\n-> x7-grease a b\n\n-> ssh-ed25519 AAECAw AAAA\n{line}\n"),
        ),
        ("long-body.age", format!("-> a\n{0}\n{0}\n\n-> b\n{0}\n", "A".repeat(64))),
        ("bad-tag.age", format!("-> ssh-rsa AAE\n{line}\n-> ssh-ed25519\n{line}\n")),
    ] {
        write("header", name, format!("age-encryption.org/v1\n{stanzas}{mac}").as_bytes());
    }
    write("header", "newer.age", b"age-encryption.org/v2\n-> what may come\n");
}

fn rules(keys: &Keys, age: &str) {
    let (ed, rsa) = (keys.public("a"), keys.public("d"));
    // As ssh-keygen makes them; age has no use for it.
    let file = keys.path("ecdsa");
    must(
        "ssh-keygen",
        &["-q", "-t", "ecdsa", "-C", "ecdsa", "-N", "", "-f", file.to_str().expect("unicode")],
    );
    let rules = |entries: &[(&str, &[&str])]| {
        let body =
            entries.iter().map(|(name, keys)| (name.to_string(), serde_json::json!({ "publicKeys": keys })));
        serde_json::Value::Object(body.collect()).to_string()
    };
    write("rules", "one.json", rules(&[("secrets/a.age", &[&ed])]).as_bytes());
    write("rules", "age.json", rules(&[("./secrets//b c.age", &[age, &keys.public("b")])]).as_bytes());
    write("rules", "rsa.json", rules(&[("a.age", &[&rsa, &format!("  {ed} the admin")])]).as_bytes());
    write(
        "rules",
        "pasted.json",
        rules(&[("a", &["PASTED-AGE-KEY"]), ("b", &["PASTED-SSH-KEY"])]).as_bytes(),
    );
    let behind = format!("{age} PASTED-SSH-KEY");
    write("rules", "behind.json", rules(&[("a", &[&behind]), ("b", &["key: PASTED-AGE-KEY"])]).as_bytes());
    let refused: [(&str, &[&str]); 8] = [
        ("a", &["ssh-ed25519 PLACEHOLDER"]),
        ("b", &[&keys.public("ecdsa")]),
        ("c", &["sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"]),
        ("d", &["age1yubikey1qwerty"]),
        ("e", &[]),
        ("f", &[age, age]),
        ("g", &["ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="]),
        ("h", &["<your key>"]),
    ];
    write("rules", "refused.json", rules(&refused).as_bytes());
    for (name, text) in [
        ("armor.json", r#"{"a.age": {"publicKeys": [], "armor": true}, "./a.age": {"publicKeys": [1]}}"#),
        ("shapes.json", r#"{"a": {"publicKeys": "x"}, "b": 1, "c": {"publicKeys": [], "armor": "yes"}}"#),
        ("outside.json", r#"{"../a.age": {"publicKeys": []}, "/b": {}, "c/": {}}"#),
        ("list.json", "[null, 1.5e3, \"\\ud83d\\ude00\"]"),
    ] {
        write("rules", name, text.as_bytes());
    }
}

fn paths() {
    for (name, text) in [
        ("plain", "secrets/k3s-agent-token.age"),
        ("needless", "./secrets//./a b.age"),
        ("outside", "secrets/../../a"),
        ("absolute", "/etc/shadow"),
        ("option", "./-rf"),
        ("folder", "secrets/."),
        ("control", "secrets/\u{1b}[2J.age"),
        ("unicode", "geheimnisse/ü…🔑.age"),
        ("long", &"long/".repeat(205)),
    ] {
        write("path", name, text.as_bytes());
    }
}
