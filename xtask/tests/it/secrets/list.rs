//! All secrets at a glance, without a key: `secrets list` and `check`.

use std::fs;
use std::path::Path;

use agenix::Format;
use expect_test::expect;
use serde_json::Value;

use super::{Cluster, two};
use crate::support::{Answer, run, run_fed};

/// Sizes are another at each run, since our files have some noise in their headers.
fn without_sizes(text: &str) -> String {
    let mut sized = String::new();
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line.split(' ').collect();
        let is_size = |at: usize| {
            let unit = words.get(at + 1).map(|unit| unit.trim_end());
            unit == Some("B") && words[at].parse::<u64>().is_ok()
        };
        let shown = words.iter().enumerate().map(|(at, word)| if is_size(at) { "NNN" } else { word });
        sized += &shown.collect::<Vec<_>>().join(" ");
    }
    sized
}

/// A secret of each state that a file can be in.
pub(super) fn every_state() -> Cluster {
    let cluster = Cluster::new(
        "
  \"secrets/agrees.age\".publicKeys = adminKeys ++ [ systems.ocean ];
  \"secrets/armor.age\" = { publicKeys = adminKeys; armor = true; };
  \"secrets/missing.age\".publicKeys = adminKeys;
  \"secrets/no-armor.age\" = { publicKeys = adminKeys; armor = true; };
  \"secrets/swapped.age\".publicKeys = adminKeys ++ [ systems.maia ];
  \"secrets/unproven.age\".publicKeys = adminKeys ++ [ \"BACKUP backup\" ];",
    );
    let key = cluster.private("backup");
    run(&["age-keygen", "-o", key.to_str().unwrap()], Path::new("/"), &[]).expect(0);
    let backup = run(&["age-keygen", "-y", key.to_str().unwrap()], Path::new("/"), &[]).expect(0).stdout;
    let rules = fs::read_to_string(cluster.path("secrets.nix")).unwrap();
    fs::write(cluster.path("secrets.nix"), rules.replace("BACKUP", backup.trim())).unwrap();
    cluster.keep("secrets/agrees.age", "content", &["me", "ocean"]);
    cluster.keep_as(Format::Armor, "secrets/armor.age", "content", &["me"]);
    cluster.keep("secrets/no-armor.age", "content", &["me"]);
    cluster.keep("secrets/swapped.age", "content", &["me", "ocean"]);
    // By Debian's age, which does not write down whom its age keys are of.
    let (me, file) = (cluster.public("me"), cluster.path("secrets/unproven.age"));
    let argv = ["age", "-r", &me, "-r", backup.trim(), "-o", file.to_str().unwrap()];
    run_fed(&argv, Path::new("/"), &[], b"content").expect(0);
    cluster
}

/// Rules and files that are of no use.
fn unusable() -> Cluster {
    let cluster = Cluster::new(
        "
  \"../outside.age\".publicKeys = adminKeys;
  \"secrets/no-age-file.age\".publicKeys = adminKeys;
  \"secrets/nobody.age\".publicKeys = [ ];
  \"secrets/placeholder.age\".publicKeys = [ \"ssh-ed25519 PLACEHOLDER\" ];
  \"secrets/throws.age\".publicKeys = [ (throw \"no key yet\") ];
  \"secrets/twice.age\".publicKeys = adminKeys ++ adminKeys;",
    );
    fs::write(cluster.path("secrets/no-age-file.age"), "content").unwrap();
    cluster
}

fn list(cluster: &Cluster) -> String {
    let answer = cluster.stranger(&["secrets", "list"], "").expect(0);
    assert_eq!(answer.stderr, "");
    without_sizes(&answer.stdout)
}

fn list_json(cluster: &Cluster) -> Vec<Value> {
    let answer = cluster.stranger(&["secrets", "list", "--json"], "").expect(0);
    assert_eq!(answer.stderr, "");
    answer.events()
}

fn lines(values: &[Value]) -> String {
    let line = |value: &Value| {
        let mut value = value.clone();
        if let Some(bytes) = value.get_mut("bytes").filter(|bytes| !bytes.is_null()) {
            assert!(bytes.as_u64().unwrap() > 100);
            *bytes = "NNN".into();
        }
        format!("{value}\n")
    };
    values.iter().map(line).collect()
}

#[test]
fn list_shows_who_can_read_what_and_where_file_and_rule_differ() {
    expect![[r#"
        ✓ secrets/agrees.age            me, ocean          NNN B
        ✓ secrets/armor.age             me                 NNN B  armor
        · secrets/k3s-agent-token.age   not there yet
        · secrets/k3s-server-token.age  not there yet
        · secrets/missing.age           not there yet
        ✗ secrets/no-armor.age          me                 NNN B
                                        rule: with armor
        ✗ secrets/swapped.age           me, ocean          NNN B
                                        rule: me, maia (not for maia; for ocean, which the rule does not name)
        ? secrets/unproven.age          me, 1 age key      NNN B
                                        rule: me, backup (the number agrees)
    "#]]
    .assert_eq(&list(&every_state()));
}

#[test]
fn list_shows_what_is_of_no_use_and_why() {
    let text = list(&unusable());
    // The admin's key is another at each run.
    let key = text.split('"').find(|word| word.starts_with("ssh-ed25519 AAAA")).unwrap().to_owned();
    expect![[r#"
        · secrets/k3s-agent-token.age   not there yet
        · secrets/k3s-server-token.age  not there yet
        ✗ secrets/no-age-file.age       unusable
                                        the file is not an age file
                                        hint: restore it from git (git checkout -- FILE), or write the secret anew
        ✗ secrets/nobody.age            unusable
                                        the rule for secrets/nobody.age names no key
                                        hint: name at least one key in its publicKeys in secrets.nix
        ✗ secrets/placeholder.age       unusable
                                        the rule for secrets/placeholder.age cannot be used: "ssh-ed25519 PLACEHOLDER" is a placeholder, not a key
                                        hint: put the real public key there: a host's is /etc/ssh/ssh_host_ed25519_key.pub, a user's ~/.ssh/id_ed25519.pub
        ✗ secrets/throws.age            unusable
                                        the rule for secrets/throws.age does not evaluate: no key yet
                                        hint: see what nix says of it: nix-instantiate --eval --strict ./secrets.nix
        ✗ secrets/twice.age             unusable
                                        the rule for secrets/twice.age names a key twice: "KEY"
                                        hint: take one of the two out of its publicKeys in secrets.nix
        ✗ "../outside.age" may leave the repository
    "#]].assert_eq(&text.replace(&key, "KEY"));
}

#[test]
fn list_gives_each_secret_as_a_line_of_json() {
    let mut values = list_json(&every_state());
    // What it says of armor is the next test's.
    values.retain(|value| value["secret"] != "secrets/no-armor.age");
    expect![[r#"
        {"agrees":true,"armor":false,"bytes":"NNN","event":"secret","finding":"as the rule says","hint":null,"proven":true,"readers":"me, ocean","rule":["me","ocean"],"secret":"secrets/agrees.age","state":"found"}
        {"agrees":true,"armor":true,"bytes":"NNN","event":"secret","finding":"as the rule says","hint":null,"proven":true,"readers":"me","rule":["me"],"secret":"secrets/armor.age","state":"found"}
        {"agrees":null,"armor":null,"bytes":null,"event":"secret","finding":null,"hint":null,"proven":null,"readers":null,"rule":null,"secret":"secrets/k3s-agent-token.age","state":"missing"}
        {"agrees":null,"armor":null,"bytes":null,"event":"secret","finding":null,"hint":null,"proven":null,"readers":null,"rule":null,"secret":"secrets/k3s-server-token.age","state":"missing"}
        {"agrees":null,"armor":null,"bytes":null,"event":"secret","finding":null,"hint":null,"proven":null,"readers":null,"rule":null,"secret":"secrets/missing.age","state":"missing"}
        {"agrees":false,"armor":false,"bytes":"NNN","event":"secret","finding":"not for maia; for ocean, which the rule does not name","hint":null,"proven":true,"readers":"me, ocean","rule":["me","maia"],"secret":"secrets/swapped.age","state":"found"}
        {"agrees":true,"armor":false,"bytes":"NNN","event":"secret","finding":"as the rule says","hint":null,"proven":false,"readers":"me, 1 age key","rule":["me","backup"],"secret":"secrets/unproven.age","state":"found"}
    "#]].assert_eq(&lines(&values));
    let values = list_json(&unusable());
    let of_placeholder: Vec<Value> =
        values.into_iter().filter(|value| value["secret"] == "secrets/placeholder.age").collect();
    expect![[r#"
        {"agrees":null,"armor":null,"bytes":null,"event":"secret","finding":"the rule for secrets/placeholder.age cannot be used: \"ssh-ed25519 PLACEHOLDER\" is a placeholder, not a key","hint":"put the real public key there: a host's is /etc/ssh/ssh_host_ed25519_key.pub, a user's ~/.ssh/id_ed25519.pub","proven":null,"readers":null,"rule":null,"secret":"secrets/placeholder.age","state":"unusable"}
    "#]].assert_eq(&lines(&of_placeholder));
}

#[test]
fn the_json_of_a_secret_that_does_not_agree_does_not_say_that_it_is_as_the_rule_says() {
    for value in list_json(&every_state()) {
        let as_it_says = value["finding"] == "as the rule says";
        assert!(!(as_it_says && value["agrees"] == false), "{value}");
    }
}

#[test]
fn the_json_tells_of_a_rule_that_leads_out_as_the_list_does() {
    let values = list_json(&unusable());
    assert!(lines(&values).contains("../outside.age"), "{}", lines(&values));
}

#[test]
fn check_tells_what_a_rekey_puts_right() {
    let cluster = two();
    let about = |answer: &Answer| -> String {
        let lines = answer.stdout.lines().skip_while(|line| !line.contains("secrets/right.age"));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let answer = cluster.stranger(&["check"], "").expect(3);
    expect![[r#"
        ✓ secrets/right.age             encrypted to 2 keys
        ✗ secrets/stale.age             its readers are not those of secrets.nix: not for maia; for ocean, which the rule does not name
                                        hint: cargo xtask secrets rekey
    "#]].assert_eq(&about(&answer));
    assert_eq!(answer.stderr, "error: one check failed\n");
    cluster.xtask(&["secrets", "rekey"]).expect(0);
    expect![[r#"
        ✓ secrets/right.age             encrypted to 2 keys
        ✓ secrets/stale.age             encrypted to 2 keys
    "#]]
    .assert_eq(&about(&cluster.stranger(&["check"], "").expect(0)));
}
