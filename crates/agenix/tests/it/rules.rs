//! secrets.nix as nix prints it, and the paths in it.

use std::path::Path;

use agenix::{Format, RuleError, Rules, SecretPath, evaluate_argv, evaluate_one_argv, nix};

use crate::keys::{Keys, must};

fn path(text: &str) -> SecretPath {
    SecretPath::parse(text).expect("a path")
}

fn refused(json: &str) -> String {
    let error = Rules::from_json(json).expect_err("no rules");
    format!("{error}\nhint: {}", error.hint())
}

/// A set of rules of which the one for `a.age` is wrong and the one for `b.age` stands.
fn wrong(rule: &str) -> String {
    let rules = Rules::from_json(&format!(r#"{{{rule}, "b.age": {{"publicKeys": ["k"]}}}}"#)).expect("rules");
    assert_eq!(rules.rule(&path("b.age")).expect("a rule").keys(), ["k"]);
    let error = rules.rule(&path("a.age")).expect("a rule").recipients().expect_err("a wrong rule");
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
fn the_file_and_the_name_are_arguments_of_a_constant_expression() {
    let argv = |argv: Vec<std::ffi::OsString>| -> Vec<String> {
        argv.iter().map(|word| word.to_str().expect("unicode").to_owned()).collect()
    };
    let (one, other) = (argv(evaluate_argv(Path::new("/a"))), argv(evaluate_argv(Path::new("/it's ${x}"))));
    assert_eq!(one[..6], other[..6]);
    assert_eq!(other[6..], ["--argstr", "file", "/it's ${x}"]);
    let one = argv(evaluate_one_argv(Path::new("/a"), &path("\"${builtins.abort 1}")));
    assert_eq!(one[6..], ["--argstr", "file", "/a", "--argstr", "name", "\"${builtins.abort 1}"]);
    assert!(!one[5].contains("abort"));
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
         hint: add a rule: \"none.age\".publicKeys = [ \"ssh-ed25519 …\" ];"
    );
    assert!(matches!(rules.rule(&path("none.age")), Err(RuleError::NoRule { .. })));
}

#[test]
fn what_is_no_set_of_rules_is_refused() {
    assert_eq!(refused("[]"), format!("secrets.nix evaluates to a list, not to a set of rules\n{EXAMPLE}"));
    assert_eq!(
        refused("error: undefined variable"),
        "failed to read the rules: nix did not print JSON\n\
         hint: run nix-instantiate --eval --strict --json ./secrets.nix and see"
    );
    assert!(Rules::from_json("{}").expect("rules").is_empty());
}

#[test]
fn a_wrong_rule_stops_only_those_who_use_it() {
    let none = format!("the rule for a.age has no publicKeys\n{EXAMPLE}");
    assert_eq!(wrong(r#""a.age": {}"#), none);
    assert_eq!(wrong(r#""a.age": "k""#), none);
    assert_eq!(wrong(r#""a.age": {"publicKeys": null}"#), none);
    let shape = format!("publicKeys of the rule for a.age is not a list of strings\n{EXAMPLE}");
    assert_eq!(wrong(r#""a.age": {"publicKeys": "AGE-SECRET-KEY-1"}"#), shape);
    assert_eq!(wrong(r#""a.age": {"publicKeys": [1]}"#), shape);
    assert_eq!(
        wrong(r#""a.age": {"publicKeys": [], "armor": "yes"}"#),
        format!("armor of the rule for a.age is neither true nor false\n{EXAMPLE}")
    );
    assert_eq!(
        wrong(r#""a.age": {"publicKeys": []}, "./a.age": {"publicKeys": []}"#),
        "secrets.nix has two rules for a.age\nhint: keep one of them, spelt \"a.age\""
    );
    let rules = Rules::from_json(r#"{"../a.age": {"publicKeys": []}, "b.age": {"publicKeys": []}}"#);
    let rules = rules.expect("rules");
    let refused: Vec<String> = rules.refused().iter().map(ToString::to_string).collect();
    assert_eq!((refused, rules.len()), (vec!["\"../a.age\" may leave the repository".to_owned()], 1));
}

#[test]
fn a_rule_that_throws_stops_only_those_who_use_it_and_nix_says_why() {
    let keys = Keys::new();
    let ocean = keys.ed25519("ocean");
    let text = format!(
        r#"{{ "a.age".publicKeys = [ (throw "maia has no key\nhint: cargo xtask init") ];
             "b.age".publicKeys = [ "{}" ]; }}"#,
        ocean.text()
    );
    let file = keys.write("secrets.nix", text);
    let rules = nix::evaluate(&file).expect("rules");
    assert_eq!(rules.rule(&path("b.age")).expect("a rule").recipients(), Ok(vec![ocean]));
    let error = rules.rule(&path("a.age")).expect("a rule").recipients().expect_err("it throws");
    assert_eq!(error.to_string(), "the rule for a.age does not evaluate: maia has no key");
    assert_eq!(error.hint(), "cargo xtask init");
}

#[test]
fn a_mistake_that_nix_cannot_catch_still_leaves_the_other_rules() {
    let keys = Keys::new();
    let ocean = keys.ed25519("ocean");
    let text = format!(
        r#"{{ "a.age".publicKeys = [ {{ }}.missing ]; "it's ${{"{{}}"}} \"b\".age".publicKeys = [ "{}" ]; }}"#,
        ocean.text()
    );
    let file = keys.write("my secrets.nix", text.replace("${\"{}\"}", "\\${x}"));
    let error = nix::evaluate(&file).expect_err("a missing attribute");
    assert!(error.to_string().ends_with("does not evaluate: attribute 'missing' missing"), "{error}");
    let name = path("it's ${x} \"b\".age");
    let rules = nix::evaluate_for(&file, std::slice::from_ref(&name)).expect("the other rule");
    assert_eq!(rules.rule(&name).expect("a rule").recipients(), Ok(vec![ocean]));
}

#[test]
fn a_name_that_is_nearly_one_is_proposed() {
    let rules =
        Rules::from_json(r#"{"secrets/k3s-agent-token.age": {}, "secrets/wifi.age": {}}"#).expect("rules");
    let hint = |name: &str| rules.rule(&path(name)).expect_err("no rule").hint();
    assert_eq!(hint("secrets/k3s-agnet-token.age"), "did you mean secrets/k3s-agent-token.age?");
    assert_eq!(hint("wifi.age"), "did you mean secrets/wifi.age?");
    assert_eq!(
        hint("secrets/zzz.age"),
        "add a rule: \"secrets/zzz.age\".publicKeys = [ \"ssh-ed25519 …\" ];"
    );
}

#[test]
fn paths_stay_in_the_repository() {
    for (given, kept) in [
        ("a.age", "a.age"),
        ("./secrets//a.age", "secrets/a.age"),
        ("secrets/./mit Leerzeichen/ключ.age", "secrets/mit Leerzeichen/ключ.age"),
        ("a..b.age", "a..b.age"),
        ("secrets/-a.age", "secrets/-a.age"),
        ("./-a.age", "-a.age"),
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
