//! `secrets rekey`: what differs, all of it or nothing.

use std::fs;

use expect_test::expect;

use super::list::every_state;
use super::{Cluster, TWO, two};
use crate::support::Answer;

#[test]
fn rekey_changes_what_differs_and_nothing_else() {
    let cluster = two();
    let before = cluster.all();
    let answer = cluster.xtask(&["secrets", "rekey"]).expect(0);
    expect![[r#"
        rekey secrets/stale.age  not for maia; for ocean, which the rule does not name
        ✓ 1 secret encrypted anew, 1 right already, 2 without a file
    "#]]
    .assert_eq(&answer.stdout);
    assert_eq!(cluster.bytes("secrets/right.age"), before["right.age"]);
    for reader in ["me", "maia"] {
        assert_eq!(cluster.content("secrets/stale.age", reader), "stale");
    }
    let after = cluster.all();
    // There is nothing to decrypt, so no key is needed either.
    let answer = cluster.stranger(&["secrets", "rekey"], "").expect(0);
    assert_eq!(answer.stdout, "✓ nothing to do, 2 right already, 2 without a file\n");
    assert_eq!(cluster.all(), after);
}

#[test]
fn rekey_takes_only_what_is_named_or_by_force_all() {
    let cluster = two();
    cluster.keep("secrets/right.age", "right", &["me"]);
    let before = cluster.all();
    let answer = cluster.xtask(&["secrets", "rekey", "--only", "secrets/stale.age"]).expect(0);
    expect![[r#"
        rekey secrets/stale.age  not for maia; for ocean, which the rule does not name
        ✓ 1 secret encrypted anew
    "#]]
    .assert_eq(&answer.stdout);
    assert_eq!(cluster.bytes("secrets/right.age"), before["right.age"]);
    assert_ne!(cluster.bytes("secrets/stale.age"), before["stale.age"]);
    cluster.refuses(
        &["secrets", "rekey", "--only", "secrets/stael.age"],
        3,
        &expect![[r#"
        error: there is no rule for secrets/stael.age in secrets.nix
        hint: did you mean secrets/stale.age?
    "#]],
    );
    cluster.xtask(&["secrets", "rekey"]).expect(0);
    let right = cluster.all();
    let answer = cluster.xtask(&["secrets", "rekey", "--force"]).expect(0);
    expect![[r#"
        rekey secrets/right.age  forced
        rekey secrets/stale.age  forced
        ✓ 2 secrets encrypted anew, 2 without a file
    "#]]
    .assert_eq(&answer.stdout);
    for (name, reader) in [("right", "ocean"), ("stale", "maia")] {
        assert_ne!(cluster.bytes(&format!("secrets/{name}.age")), right[&format!("{name}.age")]);
        assert_eq!(cluster.content(&format!("secrets/{name}.age"), reader), name);
    }
}

#[test]
fn a_dry_rekey_tells_and_writes_nothing() {
    let cluster = two();
    let before = cluster.all();
    let answer = cluster.stranger(&["secrets", "rekey", "--dry-run"], "").expect(0);
    expect![[r#"
        would rekey secrets/stale.age  not for maia; for ocean, which the rule does not name
    "#]]
    .assert_eq(&answer.stdout);
    let answer = cluster.stranger(&["secrets", "rekey", "--dry-run", "--json"], "").expect(0);
    expect![[r#"
        {"event":"would-rekey","secret":"secrets/stale.age","why":"not for maia; for ocean, which the rule does not name"}
    "#]].assert_eq(&answer.event_lines());
    assert_eq!(cluster.all(), before);
}

#[test]
fn a_rekey_that_cannot_open_one_secret_changes_none() {
    let cluster = Cluster::new(&format!("{TWO}\n  \"secrets/theirs.age\".publicKeys = adminKeys;"));
    cluster.keep("secrets/right.age", "right", &["me"]);
    cluster.keep("secrets/stale.age", "stale", &["me"]);
    cluster.keep("secrets/theirs.age", "theirs", &["ocean"]);
    let before = cluster.all();
    let told = |answer: Answer| answer.expect(3).stderr.replace(cluster.home().to_str().unwrap(), "HOME");
    expect![[r#"
        error: 1 of the secrets could not be rekeyed, so none was
          │ secrets/theirs.age: no identity fits: tried HOME/.ssh/id_ed25519; the file is for ocean
        hint: give the private key of one of them with -i FILE, or have one of them add your key to secrets.nix and rekey
    "#]].assert_eq(&told(cluster.xtask(&["secrets", "rekey"])));
    assert_eq!(cluster.all(), before);
    // A file that is none is seen before anything is decrypted.
    fs::write(cluster.path("secrets/theirs.age"), "no age file").unwrap();
    let before = cluster.all();
    expect![[r#"
        error: 1 of the secrets could not be rekeyed, so none was
          │ secrets/theirs.age: the file is not an age file
        hint: restore it from git (git checkout -- FILE), or write the secret anew
    "#]]
    .assert_eq(&told(cluster.stranger(&["secrets", "rekey"], "")));
    assert_eq!(cluster.all(), before);
}

#[test]
fn what_no_key_at_hand_opens_and_may_be_right_is_left_and_told() {
    let cluster = every_state();
    let before = cluster.all();
    let rekey = ["secrets", "rekey", "--only", "secrets/unproven.age", "secrets/agrees.age"];
    expect![[r#"
        rekey secrets/unproven.age  its age keys do not show who they are
        ? secrets/unproven.age  its age keys do not show who they are, and no key at hand opens it
        ✓ nothing to do, 1 right already, 1 left as they are
    "#]]
    .assert_eq(&cluster.stranger(&rekey, "").expect(0).stdout);
    let answer = cluster.stranger(&[&rekey[..], &["--json"]].concat(), "").expect(0);
    expect![[r#"
        {"event":"rekey","secret":"secrets/unproven.age","why":"its age keys do not show who they are"}
        {"event":"left","secret":"secrets/unproven.age","why":"its age keys do not show who they are, and no key at hand opens it"}
        {"event":"rekeyed","changed":0,"right":1,"missing":0,"left":1}
    "#]].assert_eq(&answer.event_lines());
    assert_eq!(cluster.all(), before);
}

#[test]
fn a_rule_that_leads_out_stops_a_rekey_of_all_and_no_other() {
    let cluster = Cluster::new(&format!("{TWO}\n  \"../outside.age\".publicKeys = adminKeys;"));
    cluster.keep("secrets/stale.age", "stale", &["me"]);
    let before = cluster.all();
    cluster.refuses(
        &["secrets", "rekey"],
        3,
        &expect![[r#"
        error: "../outside.age" may leave the repository
        hint: name it relative to the repository, like secrets/example.age
    "#]],
    );
    assert_eq!(cluster.all(), before);
    cluster.xtask(&["secrets", "rekey", "--only", "secrets/stale.age"]).expect(0);
    assert_eq!(cluster.content("secrets/stale.age", "maia"), "stale");
}
