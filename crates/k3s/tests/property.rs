//! What holds for any token: the fuzz target's questions, asked of some thousand made up ones; and a host's shell, which
//! finds the same password in each.

use std::io::Write as _;
use std::process::{Command, Stdio};

use k3s::{Token, login};

#[path = "../fuzz/invariants.rs"]
mod invariants;

const HASH: &str = "6f1d4d5c3e0a9b8877665544332211000112233445566778899aabbccddeeff0";
/// What tokens are made of, and what would lead a parser, or a shell, astray.
const PARTS: [&str; 22] = [
    "K10",
    "K3S10",
    "::",
    ":",
    "server",
    "node",
    HASH,
    "abcdef.0123456789abcdef",
    "a",
    "*",
    "?",
    "[a]",
    "$(id)",
    "`id`",
    "\\",
    "\"",
    "'",
    "%s",
    "-n",
    "#",
    "%",
    "~",
];

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's multiplier; the high bits are the random ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn token(&mut self) -> String {
        let parts = 1 + self.below(6);
        (0..parts).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }
}

#[test]
fn any_text_keeps_what_a_token_promises() {
    let mut dice = Dice(10);
    for _ in 0..5000 {
        let text = dice.token();
        invariants::token(text.as_bytes());
        invariants::token(format!(" {text}\n").as_bytes());
    }
    for seed in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/token")).unwrap() {
        invariants::token(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}

#[test]
fn a_host_finds_the_same_password() {
    let mut dice = Dice(20);
    let mut tokens: Vec<Token> = [format!("K10{HASH}::node:a:b"), format!("K10::server:{HASH}")]
        .iter()
        .map(|text| Token::parse(text.as_bytes()).unwrap())
        .collect();
    while tokens.len() < 200 {
        tokens.extend(Token::parse(dice.token().as_bytes()));
    }
    let texts: String = tokens.iter().map(|token| format!("{}\n", token.expose())).collect();
    let script =
        format!("{}\nwhile IFS= read -r token; do password_of \"$token\"; echo; done", login::PASSWORD_OF);
    let passwords = shell(&script, &texts);
    for (token, password) in tokens.iter().zip(passwords.lines()) {
        assert_eq!(token.password(), password, "{}", token.expose());
    }
    assert_eq!(passwords.lines().count(), tokens.len());
}

#[expect(clippy::disallowed_methods, reason = "what runs on hosts is a shell's")]
fn shell(script: &str, input: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || pipe.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    String::from_utf8(output.stdout).unwrap()
}
