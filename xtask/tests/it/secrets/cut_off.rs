//! A rekey that was killed half-way: told by all, in the way of a deploy, undone by the next.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use expect_test::{Expect, expect};

use super::{Cluster, two};
use crate::support::{Answer, refused, run};

/// As a rekey leaves it that is killed after its first rename: the new file, the old content beside it, the journal.
fn cut_off() -> (Cluster, Vec<u8>) {
    let cluster = two();
    let old = cluster.bytes("secrets/stale.age");
    fs::rename(cluster.path("secrets/stale.age"), cluster.path("secrets/.agenix.abc123.old")).unwrap();
    cluster.keep("secrets/stale.age", "stale", &["me", "maia"]);
    let file = cluster.path("secrets/stale.age");
    let digest = run(&["sha256sum", file.to_str().unwrap()], Path::new("/"), &[]).expect(0).stdout;
    let entry = serde_json::json!({
        "target": "secrets/stale.age", "backup": "secrets/.agenix.abc123.old", "new": &digest[..64],
    });
    let journal = serde_json::json!({ "agenix": 1, "files": [entry] });
    fs::write(cluster.path(".git/.agenix.journal"), format!("{journal}\n")).unwrap();
    (cluster, old)
}

#[test]
fn a_rekey_that_was_cut_off_is_told_by_all_and_undone_by_the_next() {
    let (cluster, old) = cut_off();
    let line = |answer: Answer| {
        let text = [answer.stdout, answer.stderr].concat();
        text.lines()
            .filter(|line| line.contains("cut off"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    expect![[r#"
        ✗ secrets                       a rekey was cut off half-way
    "#]]
    .assert_eq(&line(cluster.xtask(&["check"]).expect(3)));
    expect![[r#"
        ✗ a rekey was cut off half-way; `cargo xtask secrets rekey` undoes it
    "#]]
    .assert_eq(&line(cluster.xtask(&["secrets", "list"]).expect(0)));
    let answer = cluster.xtask(&["secrets", "rekey", "--only", "secrets/right.age"]).expect(0);
    expect![[r#"
        note: an earlier run was cut off: the secret that it had replaced is as it was before
    "#]]
    .assert_eq(&answer.stderr);
    assert_eq!(cluster.bytes("secrets/stale.age"), old);
    let left: Vec<String> = cluster.all().into_keys().collect();
    assert_eq!(left, ["right.age", "stale.age"]);
    assert!(!cluster.path(".git/.agenix.journal").exists());
    let answer = cluster.xtask(&["secrets", "rekey"]).expect(0);
    assert_eq!(answer.stderr, "");
    assert_eq!(cluster.content("secrets/stale.age", "maia"), "stale");
}

#[test]
fn the_json_list_tells_of_a_rekey_that_was_cut_off() {
    let (cluster, _) = cut_off();
    let answer = cluster.xtask(&["secrets", "list", "--json"]).expect(0);
    let told = answer.events().into_iter().find(|event| event["event"] == "cut-off");
    assert_eq!(told.expect("it is told")["hint"], "cargo xtask secrets rekey");
}

#[test]
fn no_host_is_deployed_while_a_rekey_is_cut_off() {
    let (cluster, _) = cut_off();
    // Where no lookup ever succeeds, and with all that is looked for before the journal.
    cluster.clone.fleet("\"ocean.mercury\", \"100.64.0.6\"", "\"nowhere.invalid\"");
    fs::write(cluster.path("flake.lock"), "{}").unwrap();
    let stand_in = cluster.home().join("nixos-rebuild");
    fs::write(&stand_in, "#!/bin/sh\n: > \"$HOME/called\"\nexit 1\n").unwrap();
    fs::set_permissions(&stand_in, Permissions::from_mode(0o755)).unwrap();
    let home = cluster.home().to_str().unwrap();
    let path = format!("{home}:{}", std::env::var("PATH").unwrap());
    let deploy = ["deploy", "ocean", "--goal", "build"];
    let answer = cluster.clone.xtask_with(&deploy, &[("PATH", &path), ("HOME", home)]).expect(3);
    let error = "error: a rekey of the secrets was cut off half-way
hint: cargo xtask secrets rekey, which undoes it first
";
    assert!(answer.stderr.contains(error), "{}", answer.stderr);
    assert!(!cluster.home().join("called").exists());
}

#[test]
fn what_somebody_wrote_since_is_left_alone() {
    let (cluster, _) = cut_off();
    cluster.keep("secrets/stale.age", "newer", &["me", "maia"]);
    let newer = cluster.bytes("secrets/stale.age");
    let answer = cluster.xtask(&["secrets", "rekey"]).expect(0);
    let told = answer.stderr.replace(cluster.clone.path().to_str().unwrap(), "REPO");
    expect![[r#"
        note: an earlier run was cut off: no secret had to be put back; changed since, and left alone: REPO/secrets/stale.age; its temporary file is removed
    "#]].assert_eq(&told);
    assert_eq!(cluster.bytes("secrets/stale.age"), newer);
    assert_eq!(cluster.all().into_keys().collect::<Vec<_>>(), ["right.age", "stale.age"]);
}

#[test]
fn a_journal_that_is_not_ours_stops_all_writing_and_is_kept() {
    let cluster = two();
    let before = cluster.all();
    fs::write(cluster.path(".git/.agenix.journal"), "somebody else's").unwrap();
    let refuses = |args: &[&str], expect: &Expect| {
        refused(cluster.fed(args, "new"), 3, cluster.clone.path(), expect);
    };
    refuses(
        &["secrets", "rekey"],
        &expect![[r#"
            error: failed to undo a rekey that was cut off: REPO/.git/.agenix.journal is not one of ours; remove it if you know why
            hint: put right what the reason says and run it again; the old files are the .agenix.*.old beside them
        "#]],
    );
    refuses(
        &["secrets", "edit", "secrets/right.age"],
        &expect![[r#"
            error: secrets/right.age: failed to undo a rekey that was cut off: REPO/.git/.agenix.journal is not one of ours; remove it if you know why
            hint: put right what the reason says and run it again; the old files are the .agenix.*.old beside them
        "#]],
    );
    assert_eq!(fs::read_to_string(cluster.path(".git/.agenix.journal")).unwrap(), "somebody else's");
    assert_eq!(cluster.all(), before);
}
