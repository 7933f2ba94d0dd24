//! One secret: shown, changed, made; named from any folder.

use expect_test::expect;

use super::{Cluster, two};
use crate::support::{CTRL_C, XTASK, refused, run, run_at_terminal, run_fed};

#[test]
fn show_prints_a_secret_byte_for_byte() {
    let cluster = two();
    cluster.keep("secrets/right.age", "two lines\n\tno end \r\n ", &["me", "ocean"]);
    let before = cluster.all();
    let answer = cluster.xtask(&["secrets", "show", "secrets/right.age"]).expect(0);
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("two lines\n\tno end \r\n ", ""));
    let answer = cluster.xtask(&["secrets", "show", "secrets/right.age", "--dry-run"]).expect(0);
    assert_eq!(answer.stdout, "would decrypt secrets/right.age\n");
    assert_eq!(cluster.all(), before);
}

#[test]
fn show_tells_what_it_cannot_print() {
    let cluster = two();
    cluster.refuses(
        &["secrets", "show", "secrets/right.age", "--json"],
        2,
        &expect![[r#"
            error: a secret is printed as it is, which --json has no form for
            hint: leave --json out
        "#]],
    );
    cluster.refuses(
        &["secrets", "show", "secrets/rihgt.age"],
        3,
        &expect![[r#"
        error: there is no rule for secrets/rihgt.age in secrets.nix
        hint: did you mean secrets/right.age?
    "#]],
    );
    cluster.refuses(
        &["secrets", "show", "../elsewhere.age"],
        3,
        &expect![[r#"
        error: ../elsewhere.age is not in REPO, the folder of the rules
        hint: name a file beside secrets.nix, or another secrets.nix
    "#]],
    );
    cluster.refuses(
        &["secrets", "show", "secrets/k3s-agent-token.age"],
        3,
        &expect![[r#"
        error: secrets/k3s-agent-token.age: the file does not exist
        hint: write it first
    "#]],
    );
    let answer = cluster.stranger(&["secrets", "show", "secrets/right.age"], "").expect(3);
    assert_eq!(answer.stdout, "");
    assert!(
        answer.stderr.starts_with("error: secrets/right.age: no identity to decrypt with"),
        "{}",
        answer.stderr
    );
}

#[test]
fn edit_takes_a_pipe_and_leaves_alone_what_stays_the_same() {
    let cluster = two();
    let edit = |stdin: &str, more: &[&str]| {
        cluster.fed(&[&["secrets", "edit", "secrets/right.age"], more].concat(), stdin)
    };
    assert_eq!(edit("new", &[]).expect(0).stdout, "secrets/right.age is written, for me, ocean\n");
    for reader in ["me", "ocean"] {
        assert_eq!(cluster.content("secrets/right.age", reader), "new");
    }
    let before = cluster.all();
    let unchanged = "secrets/right.age is as it was: the content did not change\n";
    assert_eq!(edit("new", &[]).expect(0).stdout, unchanged);
    let event = edit("new", &["--json"]).expect(0).events().remove(0);
    assert_eq!((&event["event"], &event["outcome"]), (&"secret-finished".into(), &"unchanged".into()));
    assert_eq!(edit("x", &["--dry-run"]).expect(0).stdout, "would edit secrets/right.age, for me, ocean\n");
    refused(
        edit("", &[]),
        3,
        cluster.clone.path(),
        &expect![[r#"
        error: secrets/right.age: the new content is empty
        hint: if an empty secret is meant: --allow-empty
    "#]],
    );
    assert_eq!(cluster.all(), before);
    edit("", &["--allow-empty"]).expect(0);
    assert_eq!(cluster.content("secrets/right.age", "ocean"), "");
}

#[test]
fn edit_opens_the_editor_at_a_terminal() {
    let cluster = two();
    let line = format!("{} secrets edit secrets/right.age", remote::quote(XTASK));
    let env = [("HOME", cluster.home().to_str().unwrap()), ("EDITOR", "sed -i s/right/wrong/")];
    let answer = run(&["script", "-qec", &line, "/dev/null"], cluster.clone.path(), &env).expect(0);
    assert!(answer.stdout.contains("secrets/right.age is written, for me, ocean"), "{}", answer.stdout);
    assert_eq!(cluster.content("secrets/right.age", "me"), "wrong");
}

#[test]
fn new_needs_no_key_and_git_knows_the_file() {
    let cluster = Cluster::new("  \"secrets/deep/new.age\".publicKeys = adminKeys ++ [ systems.maia ];");
    let answer = cluster.stranger(&["secrets", "new", "secrets/deep/new.age"], "new").expect(0);
    assert_eq!(answer.stdout, "secrets/deep/new.age is written, for me, maia\n");
    assert_eq!(cluster.git_knows(), "secrets/deep/new.age\n");
    for reader in ["me", "maia"] {
        assert_eq!(cluster.content("secrets/deep/new.age", reader), "new");
    }
}

#[test]
fn a_new_secret_that_git_ignores_is_written_and_that_is_told() {
    let cluster = Cluster::new("  \"secrets/new.age\".publicKeys = adminKeys;");
    std::fs::write(cluster.path(".gitignore"), "secrets/new.age\n").unwrap();
    let answer = cluster.fed(&["secrets", "new", "secrets/new.age"], "new").expect(3);
    let told = "error: secrets/new.age is written, and git does not take it: ";
    answer.says(told).says("ignored by one of your .gitignore files");
    assert_eq!(cluster.content("secrets/new.age", "me"), "new");
    assert_eq!(cluster.git_knows(), "");
}

#[test]
fn new_keeps_what_is_there_unless_told_otherwise() {
    let cluster = two();
    let before = cluster.all();
    let new = |stdin: &str, more: &[&str]| {
        cluster.stranger(&[&["secrets", "new", "secrets/right.age"], more].concat(), stdin)
    };
    refused(
        new("new", &[]),
        2,
        cluster.clone.path(),
        &expect![[r#"
        error: secrets/right.age is there already, and its content would be lost
        hint: --yes replaces it; `cargo xtask secrets edit` starts from what is there
    "#]],
    );
    refused(
        new("", &["--yes"]),
        3,
        cluster.clone.path(),
        &expect![[r#"
        error: secrets/right.age: the new content is empty
        hint: if an empty secret is meant: --allow-empty
    "#]],
    );
    assert_eq!(new("new", &["--dry-run"]).expect(0).stdout, "would write secrets/right.age, for me, ocean\n");
    assert_eq!(cluster.all(), before);
    new("new", &["--yes"]).expect(0);
    assert_eq!(cluster.content("secrets/right.age", "ocean"), "new");
    assert_eq!(cluster.bytes("secrets/stale.age"), before["stale.age"]);
}

#[test]
fn new_asks_a_person_before_it_replaces() {
    let cluster = two();
    let before = cluster.all();
    let file = cluster.home().join("new");
    std::fs::write(&file, "new").unwrap();
    let editor = format!("cp {}", file.display());
    let env = [("HOME", cluster.home().to_str().unwrap()), ("EDITOR", &editor)];
    let line = format!("{} secrets new secrets/right.age", remote::quote(XTASK));
    let answering = |typed: &str| {
        run_fed(&["script", "-qec", &line, "/dev/null"], cluster.clone.path(), &env, typed.as_bytes())
    };
    for no in ["n\n", "\n"] {
        let answer = answering(no).expect(2);
        assert!(answer.stdout.contains("Its content will be lost. [y/N] "), "{}", answer.stdout);
        assert_eq!(cluster.all(), before);
    }
    answering("y\n").expect(0);
    assert_eq!(cluster.content("secrets/right.age", "ocean"), "new");
}

#[test]
fn ctrl_c_at_a_question_changes_nothing_and_is_an_exit_code_of_its_own() {
    let cluster = two();
    let before = cluster.all();
    let key = cluster.home().join(".ssh/id_ed25519");
    let lock = ["ssh-keygen", "-qp", "-P", "", "-N", "sesame", "-f", key.to_str().unwrap()];
    run(&lock, cluster.home(), &[]).expect(0);
    let env = [("HOME", cluster.home().to_str().unwrap()), ("EDITOR", "false")];
    for (command, question, told) in [
        ("new", "Its content will be lost. [y/N] ", "is there already, and its content would be lost"),
        ("edit", "Passphrase of ", "is locked, and no passphrase was given"),
        ("show", "Passphrase of ", "is locked, and no passphrase was given"),
    ] {
        let args = ["secrets", command, "secrets/right.age"];
        let answer =
            run_at_terminal(&[&[XTASK], &args[..]].concat(), cluster.clone.path(), &env, (question, CTRL_C))
                .expect(130);
        assert!(answer.stdout.contains(told), "{}", answer.stdout);
        assert_eq!(cluster.all(), before);
    }
}

#[test]
fn a_secret_is_named_from_any_folder() {
    let cluster = two();
    let by =
        [("secrets", "right.age"), ("hosts/maia", "../../secrets/right.age"), ("hosts", "secrets/right.age")];
    for (folder, named) in by {
        let content = format!("from {folder}");
        let answer = cluster.fed_in(folder, &["secrets", "edit", named], &content).expect(0);
        assert_eq!(answer.stdout, "secrets/right.age is written, for me, ocean\n");
        assert_eq!(cluster.fed_in(folder, &["secrets", "show", named], "").expect(0).stdout, content);
    }
    let answer =
        cluster.fed_in("secrets", &["secrets", "rekey", "--only", "stale.age", "--dry-run"], "").expect(0);
    assert!(answer.stdout.starts_with("would rekey secrets/stale.age"), "{}", answer.stdout);
    let answer = cluster.fed_in("hosts", &["secrets", "rekey"], "").expect(0);
    assert!(answer.stdout.contains("rekey secrets/stale.age"), "{}", answer.stdout);
    assert_eq!(cluster.content("secrets/stale.age", "maia"), "stale");
}
