//! What one is used to of a good command: it tells where one stands, asks well, understands a slip, and has a manual.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};

use crate::support::{Answer, CTRL_C, Clone, XTASK, in_lab, refused, run, run_at_terminal, xtask};

const ADMIN: &str =
    "me = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb\"";
const OCEAN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi";
const MAIA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAj1CIyVp4VgBHGrYgk9Wh1YR8+RyYXdzdyWa2/YQ0Sr";

/// Ctrl-D, as a terminal sends it.
const CTRL_D: &str = "\x04";

/// A clone whose keys are filled in.
fn with_keys() -> Clone {
    let clone = Clone::new();
    clone.fleet("[admins]", &format!("[admins]\n{ADMIN}"));
    clone.fleet("[hosts.maia]", &format!("[hosts.maia]\nssh_host_key = \"{MAIA}\"\ntags = [\"edge\"]"));
    clone.fleet("[hosts.ocean]", &format!("[hosts.ocean]\nssh_host_key = \"{OCEAN}\""));
    clone
}

/// What `cargo xtask` alone shows, with git on the PATH and nothing else: no nix, no ssh.
fn overview(clone: &Clone, args: &[&str]) -> Answer {
    let bin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(remote::find("git").unwrap(), bin.path().join("git")).unwrap();
    clone.xtask_with(args, &[("PATH", bin.path().to_str().unwrap())]).expect(0)
}

fn next(clone: &Clone) -> (String, Vec<String>) {
    let event = overview(clone, &["--json"]).events().remove(0);
    let commands =
        event["next"].as_array().unwrap().iter().map(|it| it["command"].as_str().unwrap().to_owned());
    (event["stage"].as_str().unwrap().to_owned(), commands.collect())
}

fn commit(clone: &Clone) {
    clone.git(&["add", "--all"]);
    clone.git(&["-c", "user.name=me", "-c", "user.email=me@host", "commit", "--quiet", "--message=x"]);
}

#[test]
fn the_command_alone_tells_where_one_stands_all_along() {
    let new = Clone::new();
    expect![[r#"
        mercury  2 hosts, no admin yet

          maia   agent    host key not pinned
          ocean  server   host key not pinned

          secrets   not there yet: k3s-server-token.age, k3s-agent-token.age
          git       nothing is committed yet; no flake.lock
          last run  none yet

        next
          cargo xtask init      write your key and your hosts' into fleet.toml
          cargo xtask rehearse  or see it all on throwaway machines

        all commands: cargo xtask --help
    "#]]
    .assert_eq(&overview(&new, &[]).stdout);
    assert_eq!(next(&new).0, "keys-missing");

    let clone = with_keys();
    let step = |stage: &str, commands: &[&str]| {
        assert_eq!(next(&clone), (stage.to_owned(), commands.iter().map(|it| (*it).to_owned()).collect()));
    };
    step("lock-missing", &["nix flake lock", "cargo xtask check"]);
    fs::write(clone.path().join("flake.lock"), "{}").unwrap();
    step("check-finds", &["cargo xtask check"]);
    commit(&clone);
    step("tokens-missing", &["cargo xtask rehearse", "cargo xtask bootstrap-cluster"]);
    fs::create_dir(clone.path().join("secrets")).unwrap();
    for token in ["server", "agent"] {
        fs::write(clone.path().join(format!("secrets/k3s-{token}-token.age")), "x").unwrap();
    }
    clone.git(&["add", "--intent-to-add", "secrets"]);
    step("secrets-uncommitted", &["git add secrets && git commit", "cargo xtask status"]);
    commit(&clone);
    step("well", &["cargo xtask status"]);
    clone.fleet("[cluster]", "[cluster] # edited");
    step("changed", &["cargo xtask check", "cargo xtask deploy --all --dry-run"]);
    clone.fleet("[cluster]", "[cluster");
    step("fleet-broken", &["cargo xtask check"]);
    let text = overview(&clone, &[]).stdout;
    assert!(text.starts_with("✗ hosts/fleet.toml:7: unclosed table"), "{text}");
}

#[test]
fn a_run_that_was_cut_off_is_offered_to_go_on_with() {
    let clone = with_keys();
    fs::write(clone.path().join("flake.lock"), "{}").unwrap();
    commit(&clone);
    // A process of this number is no run of ours.
    let run = clone.path().join(".xtask/runs/2026-01-02T03-04-05Z-1");
    fs::create_dir_all(&run).unwrap();
    let lines = r#"{"event":"run","version":1,"id":"2026-01-02T03-04-05Z-1","title":"deploy maia","asked":{},"at":"2026-01-02T03:04:05.000Z"}
{"event":"run-started","title":"deploy maia","steps":9}
{"event":"step-sta"#;
    fs::write(run.join("events.jsonl"), lines).unwrap();
    assert_eq!(next(&clone).0, "deploy-unfinished");
    let text = overview(&clone, &[]).stdout;
    let line = text.lines().find(|line| line.contains("last run")).unwrap();
    assert!(line.contains("deploy maia, ") && line.ends_with(": was cut off"), "{line}");
    assert!(text.contains("cargo xtask deploy --resume"), "{text}");
}

#[test]
fn outside_of_a_repository_it_says_so() {
    let empty = tempfile::tempdir().unwrap();
    let answer = run(&[XTASK], empty.path(), &[("GIT_CEILING_DIRECTORIES", "/")]);
    refused(
        answer,
        3,
        empty.path(),
        &expect![[r#"
        error: this is no git repository, and flakes see only what git knows
        hint: run it in your cluster's repository; for a new one: git init && git add --all
    "#]],
    );
}

#[test]
fn a_slip_in_any_name_gets_the_nearest_one() {
    let clone = with_keys();
    let run = clone.path().join(".xtask/runs/2026-01-02T03-04-05Z-77");
    fs::create_dir_all(run).unwrap();
    for (line, code, hint) in [
        ("deplyo", 2, "did you mean `deploy`?"),
        ("token rotat", 2, "did you mean `rotate`?"),
        ("rehearse -- deplyo", 2, "did you mean `deploy`?"),
        ("man secrets edti", 2, "did you mean `secrets edit`?"),
        ("deploy --gaol boot", 2, "did you mean `--goal`?"),
        ("deploy ocaen", 2, "did you mean `ocean`?"),
        ("verify ocaen", 2, "did you mean `ocean`?"),
        ("status ocaen", 2, "did you mean `ocean`?"),
        ("doctor ocaen", 2, "did you mean `ocean`?"),
        ("logs ocaen", 2, "did you mean `ocean`?"),
        ("rollback ocaen", 2, "did you mean `ocean`?"),
        ("token check ocaen", 2, "did you mean `ocean`?"),
        ("node remove ocaen", 2, "did you mean `ocean`?"),
        ("node pin ocaen", 2, "did you mean `ocean`?"),
        ("node add alma --role agent --build-on ocaen", 2, "did you mean `ocean`?"),
        ("init --host ocaen=100.64.0.6", 2, "did you mean `ocean`?"),
        ("deploy --role agnet", 2, "did you mean `agent`?"),
        ("deploy --tag egde", 2, "did you mean `edge`?"),
        ("deploy --tag zzz", 2, "known tags: edge"),
        ("deploy --resume=2026-01-02T03-04-05Z-7", 2, "did you mean `2026-01-02T03-04-05Z-77`?"),
        ("secrets edit secrets/k3s-server-tokn.age", 3, "did you mean secrets/k3s-server-token.age?"),
        ("secrets show k3s-agent-token", 3, "did you mean secrets/k3s-agent-token.age?"),
        ("secrets rekey --only secrets/k3s-agnt-token.age", 3, "did you mean secrets/k3s-agent-token.age?"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        clone.xtask(&words).expect(code).says(&format!("hint: {hint}\n"));
    }
}

#[test]
fn a_slip_in_a_units_name_gets_the_nearest_one_of_the_host() {
    in_lab("habits::a_slip_in_a_units_name_gets_the_nearest_one_of_the_host", |lab| {
        let answer = xtask(lab, &["logs", "maia", "--unit", "systemd-jurnald"]).expect(0);
        assert_eq!(
            answer.stderr,
            "the journal of maia has nothing of systemd-jurnald\nhint: did you mean `systemd-journald`?\n"
        );
    });
}

/// A person there who answers, and what is shown to them.
fn at_terminal(clone: &Clone, args: &[&str], question: &str, keys: &str) -> Answer {
    run_at_terminal(&[&[XTASK], args].concat(), clone.path(), &[("NO_COLOR", "1")], (question, keys))
}

#[test]
fn who_names_no_host_may_choose_one() {
    let clone = with_keys();
    let logs = ["logs", "--dry-run"];
    let shown = |keys: &str, code: i32, expect: &Expect| {
        let answer = at_terminal(&clone, &logs, "number or name: ", keys).expect(code);
        expect.assert_eq(&answer.stdout.replace('\r', ""));
    };
    shown(
        "2\n",
        0,
        &expect![[r#"
        Which host?
          1  maia   agent
          2  ocean  server
        number or name: 2
        would read the journal of k3s on ocean
    "#]],
    );
    shown(
        "maia\n",
        0,
        &expect![[r#"
        Which host?
          1  maia   agent
          2  ocean  server
        number or name: maia
        would read the journal of k3s on maia
    "#]],
    );
    shown(
        "7\n",
        130,
        &expect![[r#"
        Which host?
          1  maia   agent
          2  ocean  server
        number or name: 7
        please answer with one of them, or ctrl-C
        number or name: 7
        please answer with one of them, or ctrl-C
        number or name: 7
        please answer with one of them, or ctrl-C
        number or name: 7
        please answer with one of them, or ctrl-C
        number or name: 7
        please answer with one of them, or ctrl-C
        error: no host is named; nothing was done
    "#]],
    );
    shown(
        CTRL_C,
        130,
        &expect![[r#"
        Which host?
          1  maia   agent
          2  ocean  server
        number or name: ^C
        error: no host is named; nothing was done
    "#]],
    );
    shown(
        CTRL_D,
        130,
        &expect![[r#"
        Which host?
          1  maia   agent
          2  ocean  server
        number or name: 
        error: no host is named; nothing was done
    "#]],
    );
    let answer = at_terminal(&clone, &["rollback", "--dry-run"], "number or name: ", "1\n").expect(0);
    assert!(answer.stdout.contains("roll back maia"), "{}", answer.stdout);
    let answer = at_terminal(&clone, &["secrets", "show", "--dry-run"], "number or name: ", "1\n").expect(0);
    assert!(answer.stdout.contains("would decrypt secrets/k3s-agent-token.age"), "{}", answer.stdout);
}

#[test]
fn where_nobody_can_be_asked_the_answer_is_told() {
    let clone = with_keys();
    clone.refuses(
        &["logs"],
        2,
        &expect![[r#"
        error: no host is named
        hint: name one of: maia, ocean
    "#]],
    );
    clone.refuses(
        &["secrets", "edit"],
        2,
        &expect![[r#"
        error: no secret is named
        hint: name one of: secrets/k3s-agent-token.age, secrets/k3s-server-token.age
    "#]],
    );
    let (private, key) = (clone.path().join("alma"), clone.path().join("alma.pub"));
    let pair = ["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", private.to_str().unwrap()];
    run(&pair, Path::new("/"), &[]).expect(0);
    clone.refuses(
        &["node", "add", "alma", "--role", "agent", "--no-deploy", "--host-key", key.to_str().unwrap()],
        2,
        &expect![[r#"
            error: this has to be confirmed, and nobody can be asked here
            note: nothing was changed
            hint: look at it with --dry-run, then run it with --yes
        "#]],
    );
}

#[test]
fn a_question_asks_again_on_rubbish_and_ends_on_every_way_out() {
    let clone = with_keys();
    fs::create_dir(clone.path().join("secrets")).unwrap();
    fs::write(clone.path().join("secrets/k3s-agent-token.age"), "x").unwrap();
    let new = |keys: &str| {
        let args = ["secrets", "new", "secrets/k3s-agent-token.age"];
        at_terminal(&clone, &args, "[y/N] ", keys).stdout.replace('\r', "")
    };
    let rubbish = new("perhaps\n");
    assert_eq!(rubbish.matches("please answer y or n").count(), 5, "{rubbish}");
    assert!(rubbish.contains("is there already, and its content would be lost"), "{rubbish}");
    for keys in ["\n", "n\n", "NO\n", CTRL_C, CTRL_D] {
        let shown = new(keys);
        assert_eq!(shown.matches("[y/N]").count(), 1, "{keys:?}: {shown}");
        assert!(shown.contains("\nerror: secrets/k3s-agent-token.age is there already"), "{keys:?}: {shown}");
    }
    assert_eq!(fs::read(clone.path().join("secrets/k3s-agent-token.age")).unwrap(), b"x");
}

#[test]
fn every_page_is_one_that_man_shows_without_a_warning() {
    let clone = Clone::new();
    let folder = clone.path().join("man");
    let answer = clone.xtask(&["man", "--out", "man"]).expect(0);
    assert!(answer.stdout.contains(" pages in man; "), "{}", answer.stdout);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let argv = ["man", "--warnings", "--local-file", file.to_str().unwrap()];
        let env =
            [("MANWIDTH", "80"), ("LC_ALL", "C.UTF-8"), ("MANROFFOPT", ""), ("MAN_KEEP_FORMATTING", "")];
        let shown = run(&argv, clone.path(), &env).expect(0);
        assert_eq!(shown.stderr, "", "{}", file.display());
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"] {
            assert!(shown.stdout.lines().any(|line| line == section), "no {section}:\n{}", shown.stdout);
        }
        names.push(file.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for name in ["cargo-xtask.1", "cargo-xtask-deploy.1", "cargo-xtask-secrets-edit.1"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    let page = clone.xtask(&["man", "secrets", "edit"]).expect(0).stdout;
    assert_eq!(page, fs::read_to_string(folder.join("cargo-xtask-secrets-edit.1")).unwrap());
}

/// The one question that nobody but a person can answer: is it this key?
#[test]
fn a_host_key_is_written_only_if_somebody_says_that_it_is_the_hosts() {
    in_lab("habits::a_host_key_is_written_only_if_somebody_says_that_it_is_the_hosts", |lab| {
        let repository = lab.deployer().repository();
        let file = repository.join("hosts/fleet.toml");
        let whole = fs::read_to_string(&file).unwrap();
        let maia = whole.find("[hosts.maia]").unwrap();
        let line = maia + whole[maia..].find("ssh_host_key").unwrap();
        let end = line + whole[line..].find('\n').unwrap() + 1;
        let without = format!("{}{}", &whole[..line], &whole[end..]);
        fs::write(&file, &without).unwrap();

        xtask(lab, &["init"])
            .expect(2)
            .says("hint: compare the fingerprints, then run it again with --yes\n");
        let argv = lab.deployer().xtask().arg("init").argv();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let question = "does `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` show the same on the host, and is it \
                        to be written? [y/N] ";
        let answer = |keys: &str| run_at_terminal(&argv, &repository, &[], (question, keys));
        for (keys, code, says) in [
            (CTRL_C, 130, "interrupted; nothing was written"),
            (CTRL_D, 130, "interrupted; nothing was written"),
            ("\n", 7, "not confirmed, not written: host maia, as "),
            ("what?\n", 7, "please answer y or n"),
        ] {
            let shown = answer(keys).expect(code).stdout;
            assert!(shown.contains(says), "{keys:?}: {shown}");
            assert_eq!(fs::read_to_string(&file).unwrap(), without, "{keys:?}");
        }
        answer("yes\n").expect(0);
        let written = fs::read_to_string(&file).unwrap();
        let key = whole[line..end].split('"').nth(1).unwrap();
        let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        assert!(written.contains(&key), "{written}");
    });
}
