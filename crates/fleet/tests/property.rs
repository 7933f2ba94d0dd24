//! What holds for any layout and any damage, tried at random: nix itself says what an edit of secrets.nix did; and the
//! questions of the fuzz targets, asked of their seeds and of some thousand changed ones.
//!
//! The dice are ours, with a fixed seed: crates/agenix says why. What fails shows its input.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fleet::secrets_nix::{add_host, remove_host, set_host_key};
use fleet::{Fleet, HostName, PublicKey, Role};
use serde_json::{Value, json};

#[path = "../fuzz/invariants.rs"]
mod invariants;

/// Some need quotes, some look as if they did.
const NAMES: [&str; 12] =
    ["ocean", "maia", "0host", "in", "or", "rec", "a-b", "x1", "true", "null", "inherit", "systems"];

#[derive(Clone)]
struct System {
    name: &'static str,
    role: Option<Role>,
    key: PublicKey,
}

#[test]
fn nix_sees_exactly_what_was_asked_for() {
    let mut dice = Dice(4);
    let (mut texts, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..150 {
        let mut systems = dice.systems();
        let text = dice.secrets_nix(&systems);
        let mut edited = |after: Result<String, _>, systems: &[System]| {
            texts.push(after.unwrap_or_else(|error: fleet::secrets_nix::SecretsNixError| {
                panic!("{error}\n{text}");
            }));
            expected.push(rules(systems));
        };
        edited(Ok(text.clone()), &systems);
        let host = HostName::new(systems[dice.below(systems.len())].name).expect("a name");
        let index = systems.iter().position(|system| system.name == host.as_str()).expect("it is there");
        let key = dice.key();

        let mut pinned = systems.clone();
        pinned[index].key = key.clone();
        edited(set_host_key(&text, &host, &key), &pinned);

        let mut fewer = systems.clone();
        fewer.remove(index);
        edited(remove_host(&text, &host), &fewer);

        let role = dice.role();
        edited(add_host(&text, &HostName::new("reef-2").expect("a name"), role, &key), &{
            systems.push(System { name: "reef-2", role, key });
            systems
        });
    }
    for ((text, found), expected) in texts.iter().zip(evaluated(&texts)).zip(&expected) {
        assert_eq!(&found, expected, "\n{text}");
    }
}

/// What the rules should come to.
fn rules(systems: &[System]) -> Value {
    let keys = |role| -> Vec<String> {
        systems.iter().filter(|system| system.role == Some(role)).map(|system| system.key.bare()).collect()
    };
    // In the order of names, as nix has them.
    let all: BTreeMap<&str, String> = systems.iter().map(|system| (system.name, system.key.bare())).collect();
    json!({
        "agents": keys(Role::Agent),
        "servers": keys(Role::Server),
        "all": all.into_values().collect::<Vec<_>>(),
    })
}

/// Each text evaluated by nix, all in one process.
#[expect(clippy::disallowed_methods, reason = "the crate starts no process, so it cannot ask nix by itself")]
fn evaluated(texts: &[String]) -> Vec<Value> {
    let mut expression = "[\n".to_owned();
    for text in texts {
        let _ = write!(expression, "(\n{text}\n)\n");
    }
    expression.push_str("]\n");
    let mut nix = std::process::Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json", "-"])
        // Nothing is built, so no store is opened and no daemon asked.
        .env("NIX_REMOTE", "dummy://")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("failed to start nix-instantiate: install nix, this test asks it");
    let mut stdin = nix.stdin.take().expect("a pipe");
    let written = std::thread::spawn(move || stdin.write_all(expression.as_bytes()));
    let output = nix.wait_with_output().expect("an answer");
    assert!(output.status.success(), "nix-instantiate refuses one of the texts: {}", output.status);
    written.join().expect("written").expect("written");
    serde_json::from_slice(&output.stdout).expect("a list")
}

#[test]
fn changed_fleets_are_edited_or_refused_by_the_rules() {
    let mut read = 0;
    changed_seeds("fleet", 4_000, |text| {
        invariants::fleet(text);
        read += usize::from(Fleet::parse(text).is_ok());
    });
    assert!(read > 500, "the control: only {read} were fleets at all");
}

#[test]
fn changed_rules_are_edited_or_refused_by_the_rules() {
    let mut edited = 0;
    let key = Dice(5).key();
    changed_seeds("secrets_nix", 3_000, |text| {
        invariants::secrets_nix(text);
        let host = HostName::new("atoll").expect("a name");
        edited += usize::from(add_host(text, &host, Some(Role::Agent), &key).is_ok());
    });
    assert!(edited > 500, "the control: only {edited} could be edited at all");
}

/// Asks about each seed of a fuzz target as it is, and then about `count` changed ones.
fn changed_seeds(target: &str, count: usize, mut ask: impl FnMut(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).expect("a seed")).collect();
    let mut dice = Dice(3);
    for index in 0..seeds.len() + count {
        let input = match seeds.get(index) {
            Some(seed) => seed.clone(),
            None => dice.changed(&seeds),
        };
        let input = String::from_utf8_lossy(&input);
        let shown = ShownOnPanic(&input);
        ask(&input);
        drop(shown);
    }
}

struct ShownOnPanic<'a>(&'a str);

impl Drop for ShownOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {:?}", self.0);
        }
    }
}

/// SplitMix64: enough to choose with, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit - 1`.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(limit).expect("64 bits")).expect("below a usize")
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn key(&mut self) -> PublicKey {
        let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        blob.extend((0..32).map(|_| self.roll().to_le_bytes()[0]));
        PublicKey::new(&format!("ssh-ed25519 {}", BASE64_STANDARD.encode(blob))).expect("a key")
    }

    fn role(&mut self) -> Option<Role> {
        self.pick(&[None, Some(Role::Server), Some(Role::Agent)])
    }

    /// One to six hosts.
    fn systems(&mut self) -> Vec<System> {
        let first = self.below(NAMES.len());
        let count = 1 + self.below(6);
        let names = NAMES.iter().cycle().skip(first).take(count);
        names.map(|name| System { name, role: self.role(), key: self.key() }).collect()
    }

    /// A literal secrets.nix: formatted with care or with none.
    fn secrets_nix(&mut self, systems: &[System]) -> String {
        let wild = self.below(2) == 0;
        let newline = self.pick(&["\n", "\r\n"]);
        let mut text = format!("let{}", self.space(wild));
        let bindings: Vec<String> = systems.iter().map(|system| self.binding(system, wild)).collect();
        let mut definitions = vec![format!("systems = {};", self.brackets(('{', '}'), &bindings, wild))];
        for (role, list) in [(Role::Server, "k3sServers"), (Role::Agent, "k3sAgents")] {
            let hosts = systems.iter().filter(|system| system.role == Some(role));
            let hosts: Vec<String> =
                hosts.map(|system| format!("systems.{}", self.name(system.name))).collect();
            definitions.push(format!(
                "{list}{0}={0}{1};",
                self.gap(wild),
                self.brackets(('[', ']'), &hosts, wild)
            ));
        }
        definitions.swap(0, self.below(3));
        for definition in definitions {
            let _ = write!(text, "{definition}{}", self.space(wild));
        }
        text.push_str("in { servers = k3sServers; agents = k3sAgents; all = builtins.attrValues systems; }");
        text.replace('\n', newline)
    }

    /// `[ a b ]` in one line or in several, with comments or without.
    fn brackets(&mut self, (open, close): (char, char), items: &[String], wild: bool) -> String {
        let is_block = self.below(2) == 0;
        let comment = |dice: &mut Self| dice.pick(&["", "", " # why", " /* why */"]);
        let mut text = open.to_string();
        for item in items {
            let space = match (wild, is_block) {
                (true, _) => self.space(true),
                (false, true) => format!("{}\n    ", comment(self)),
                (false, false) => " ".to_owned(),
            };
            text.push_str(&space);
            text.push_str(item);
        }
        match (wild, is_block) {
            (true, _) => text.push_str(&self.gap(true)),
            (false, true) => text.push_str(&format!("{}\n  ", comment(self))),
            (false, false) => text.push_str(self.pick(&["", " "])),
        }
        text.push(close);
        text
    }

    fn binding(&mut self, system: &System, wild: bool) -> String {
        let (name, key) = (self.name(system.name), system.key.bare());
        let quote = self.pick(&["\"", "''"]);
        format!("{name}{}={}{quote}{key}{quote}{};", self.gap(wild), self.gap(wild), self.gap(wild))
    }

    fn name(&mut self, name: &str) -> String {
        let needs_quotes = ["0host", "in", "or", "rec", "inherit"].contains(&name);
        if needs_quotes || self.below(4) == 0 { format!("\"{name}\"") } else { name.to_owned() }
    }

    /// What may stand between two tokens.
    fn gap(&mut self, wild: bool) -> String {
        if !wild {
            return " ".to_owned();
        }
        let pieces = [
            "",
            "",
            " ",
            "  ",
            "\t",
            "\n",
            "\n\n",
            "\n    ",
            "/* c */",
            " # c\n",
            "# systems.x ];\n",
            "/**/",
        ];
        (0..self.below(3)).map(|_| self.pick(&pieces)).collect()
    }

    /// The same, of two that must not touch.
    fn space(&mut self, wild: bool) -> String {
        format!("{}{}{}", self.gap(wild), self.pick(&[" ", "\n", "\n  "]), self.gap(wild))
    }

    /// One of `seeds` with a few things done to it.
    fn changed(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const WORDS: [&[u8]; 20] = [
            b"\n",
            b"\r\n",
            b"\r",
            b" ",
            b"#",
            b"/*",
            b"*/",
            b"\"",
            b"''",
            b"${",
            b"}",
            b"[",
            b"]",
            b";",
            b"=",
            b".",
            b"systems.maia",
            b"maia = \"\";",
            b"[hosts.x]\n",
            b"\xc2\xa0",
        ];
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(2) {
            let (from, to) = self.range(&input);
            match self.below(6) {
                0 if to > from => input[from] ^= 1 << self.below(8),
                1 => input.truncate(to),
                2 => drop(input.drain(from..to)),
                3 => drop(input.splice(from..from, WORDS[self.below(WORDS.len())].iter().copied())),
                4 => {
                    let again = input[from..to].to_owned();
                    let at = self.below(input.len() + 1);
                    drop(input.splice(at..at, again));
                }
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let (start, end) = self.range(other);
                    drop(input.splice(from..to, other[start..end].iter().copied()));
                }
            }
        }
        input
    }

    /// A part of `bytes`: mostly short.
    fn range(&mut self, bytes: &[u8]) -> (usize, usize) {
        let from = self.below(bytes.len() + 1);
        let longest = if self.below(4) == 0 { bytes.len() } else { 16 };
        (from, (from + self.below(longest + 1)).min(bytes.len()))
    }
}
