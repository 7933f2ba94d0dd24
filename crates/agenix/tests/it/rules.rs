//! secrets.nix as nix prints it, and the paths in it.

use std::path::Path;

use agenix::{Format, RuleError, Rules, SecretPath, evaluate_argv};

use crate::keys::{Keys, must};

fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).expect("a path")
}

fn refused(json: &str) -> String {
    let error = Rules::from_json(json).expect_err("no rules");
    format!("{error}\nhint: {}", error.hint())
}

const EXAMPLE: &str = "hint: a rule reads: \"secrets/example.age\".publicKeys = [ \"ssh-ed25519 …\" ];";

#[test]
fn the_documents_own_rules_are_evaluated_by_nix() {
    let keys = Keys::new();
    let (admin, ocean, maia) = (keys.ed25519("ncrmro"), keys.ed25519("ocean"), keys.ed25519("maia"));
    let secrets = keys.write(
        "secrets.nix",
        format!(
            r#"
            let
              users = {{ ncrmro = "{}"; }};
              systems = {{ ocean = "{}"; maia = "{}"; }};
              adminKeys = [ users.ncrmro ];
            in {{
              "secrets/k3s-server-token.age".publicKeys = adminKeys ++ [ systems.ocean ];
              "secrets/k3s-agent-token.age".publicKeys = adminKeys ++ [ systems.maia ];
              "secrets/mit Leerzeichen ü.age" = {{ publicKeys = adminKeys; armor = true; owner = "x"; }};
            }}"#,
            keys.public("ncrmro"),
            ocean.text(),
            maia.text()
        ),
    );
    let argv = evaluate_argv(&secrets);
    let program = argv[0].to_str().expect("unicode");
    let rules =
        Rules::from_json(&String::from_utf8(must(program, &argv[1..])).expect("unicode")).expect("rules");
    let paths: Vec<&str> = rules.iter().map(|rule| rule.path().as_str()).collect();
    assert_eq!(
        paths,
        ["secrets/k3s-agent-token.age", "secrets/k3s-server-token.age", "secrets/mit Leerzeichen ü.age"]
    );
    let rule = rules.rule(&path("secrets/k3s-server-token.age")).expect("a rule");
    assert_eq!(rule.recipients().expect("keys"), [admin.clone(), ocean]);
    assert_eq!(rule.recipients().expect("keys")[0].comment(), Some("ncrmro"));
    assert_eq!(rule.format(), Format::Binary);
    let rule = rules.rule(&path("secrets/mit Leerzeichen ü.age")).expect("a rule");
    assert_eq!((rule.format(), rule.keys().len(), rules.len()), (Format::Armor, 1, 3));
}

#[test]
fn the_file_is_never_taken_for_an_option_or_an_expression() {
    let argv = |file: &str| {
        let argv = evaluate_argv(Path::new(file));
        argv.iter().map(|word| word.to_str().expect("unicode").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(argv("secrets.nix"), "nix-instantiate --eval --strict --json -- ./secrets.nix");
    assert_eq!(argv("-x"), "nix-instantiate --eval --strict --json -- ./-x");
    assert_eq!(argv("<nixpkgs>"), "nix-instantiate --eval --strict --json -- ./<nixpkgs>");
    assert_eq!(argv("/r/s.nix"), "nix-instantiate --eval --strict --json -- /r/s.nix");
}

#[test]
fn a_bad_key_is_an_error_of_its_own_rule_only() {
    let keys = Keys::new();
    let good = keys.ed25519("ocean");
    let json = serde_json::json!({
        "good.age": { "publicKeys": [good.text()] },
        "placeholder.age": { "publicKeys": [good.text(), "ssh-ed25519 PLACEHOLDER"] },
        "twice.age": { "publicKeys": [good.text(), format!("{} other-comment", good.text())] },
        "nobody.age": { "publicKeys": [] },
    });
    let rules = Rules::from_json(&json.to_string()).expect("rules");
    let error = |name: &str| {
        let error = rules.rule(&path(name)).and_then(agenix::Rule::recipients).expect_err("unusable");
        format!("{error}\nhint: {}", error.hint())
    };
    assert_eq!(
        rules.rule(&path("good.age")).expect("a rule").recipients().expect("keys"),
        std::slice::from_ref(&good)
    );
    assert_eq!(
        error("placeholder.age"),
        "the rule for placeholder.age cannot be used: \"ssh-ed25519 PLACEHOLDER\" is a placeholder, \
         not a key\n\
         hint: put the real public key there: a host's is /etc/ssh/ssh_host_ed25519_key.pub, \
         a user's ~/.ssh/id_ed25519.pub"
    );
    let tail = &good.text()[good.text().len() - 8..];
    assert_eq!(
        error("twice.age"),
        format!(
            "the rule for twice.age names a key twice: \"ssh-ed25519 AAAA…{tail} other-comment\"\n\
             hint: take one of the two out of its publicKeys in secrets.nix"
        )
    );
    assert_eq!(
        error("nobody.age"),
        "the rule for nobody.age names no key\nhint: name at least one key in its publicKeys in secrets.nix"
    );
    assert_eq!(
        error("none.age"),
        "there is no rule for none.age in secrets.nix\n\
         hint: add to secrets.nix: \"none.age\".publicKeys = adminKeys;"
    );
    assert!(matches!(rules.rule(&path("none.age")), Err(RuleError::NoRule { .. })));
}

#[test]
fn what_is_no_set_of_rules_is_refused() {
    assert_eq!(refused("[]"), format!("secrets.nix evaluates to a list, not to a set of rules\n{EXAMPLE}"));
    assert_eq!(refused(r#"{"a.age": {}}"#), format!("the rule for a.age has no publicKeys\n{EXAMPLE}"));
    assert_eq!(refused(r#"{"a.age": "k"}"#), format!("the rule for a.age has no publicKeys\n{EXAMPLE}"));
    let shape = format!("publicKeys of the rule for a.age is not a list of strings\n{EXAMPLE}");
    assert_eq!(refused(r#"{"a.age": {"publicKeys": "AGE-SECRET-KEY-1"}}"#), shape);
    assert_eq!(refused(r#"{"a.age": {"publicKeys": [1]}}"#), shape);
    assert_eq!(
        refused(r#"{"a.age": {"publicKeys": [], "armor": "yes"}}"#),
        format!("armor of the rule for a.age is neither true nor false\n{EXAMPLE}")
    );
    assert_eq!(
        refused(r#"{"a.age": {"publicKeys": []}, "./a.age": {"publicKeys": []}}"#),
        "secrets.nix has two rules for a.age\nhint: keep one of them, spelt \"a.age\""
    );
    assert_eq!(
        refused(r#"{"../a.age": {"publicKeys": []}}"#),
        "secrets.nix has a rule that is no path of the repository: \"../a.age\" may leave the repository\n\
         hint: name it relative to the repository, like secrets/example.age"
    );
    assert_eq!(
        refused("error: undefined variable"),
        "failed to read the rules: nix did not print JSON\n\
         hint: run nix-instantiate --eval --strict --json ./secrets.nix and see"
    );
    assert!(Rules::from_json("{}").expect("rules").is_empty());
}

#[test]
fn paths_stay_in_the_repository() {
    for (given, kept) in [
        ("a.age", "a.age"),
        ("./secrets//a.age", "secrets/a.age"),
        ("secrets/./mit Leerzeichen/ключ.age", "secrets/mit Leerzeichen/ключ.age"),
        ("a..b.age", "a..b.age"),
        ("secrets/-a.age", "secrets/-a.age"),
    ] {
        assert_eq!(path(given).as_str(), kept);
        assert_eq!(path(given).in_repository(Path::new("/r")), Path::new("/r").join(kept));
    }
    for (given, problem) in [
        ("", "\"\" does not name a file"),
        (".", "\".\" does not name a file"),
        ("secrets/", "\"secrets/\" does not name a file"),
        ("secrets/.", "\"secrets/.\" does not name a file"),
        ("/etc/passwd", "\"/etc/passwd\" is an absolute path"),
        ("../a.age", "\"../a.age\" may leave the repository"),
        ("a/../../b.age", "\"a/../../b.age\" may leave the repository"),
        ("secrets/..", "\"secrets/..\" may leave the repository"),
        ("-a.age", "\"-a.age\" starts with a dash"),
        ("./-a.age", "\"./-a.age\" starts with a dash"),
        ("a\n.age", "\"a\\n.age\" has a control character in it"),
        ("a\u{1b}[2J.age", "\"a\\u{1b}[2J.age\" has a control character in it"),
    ] {
        let error = given.parse::<SecretPath>().expect_err(given);
        assert_eq!(error.to_string(), problem);
        assert_eq!(error.hint(), "name it relative to the repository, like secrets/example.age");
    }
    let error = SecretPath::parse(&"a".repeat(1025)).expect_err("too long");
    assert_eq!(error.to_string(), "a secret's path of 1025 bytes is too long");
}
