//! Bad input: each refusal as a person sees it, whole. Nothing is lost and nothing is contacted.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use crate::support::{Clone, XTASK, in_lab, refused, run, xtask};

#[test]
fn what_is_wrong_with_fleet_toml_is_told_with_its_line() {
    let check =
        |from: &str, to: &str, expect: &Expect| Clone::new().fleet(from, to).refuses(&["check"], 3, expect);
    check(
        "labels = ",
        "lables = ",
        &expect![[r#"
            error: hosts/fleet.toml:45: unknown field `lables`, expected one of `role`, `node_ip`, `addresses`, `ssh_user`, `build_on`, `ssh_host_key`, `taints`, `labels`, `tls_sans`, `node_ports`, `tags`, `system`
            hint: did you mean `labels`?
        "#]],
    );
    check(
        "role = \"agent\"",
        "role = \"worker\"",
        &expect![[r#"
            error: hosts/fleet.toml:40: unknown variant `worker`, expected `server` or `agent`
            hint: known here: server, agent
        "#]],
    );
    check(
        "addresses = [\"maia",
        "addresses = 5 # [\"maia",
        &expect![[r#"
            error: hosts/fleet.toml:42: invalid type: integer `5`, expected a sequence
        "#]],
    );
    check(
        "[hosts.maia]",
        "[hosts.\"-oProxyCommand=x\"]",
        &expect![[r#"
            error: hosts/fleet.toml:39: hosts.-oProxyCommand=x: `-oProxyCommand=x` is not a host name: lower-case letters, digits and inner dashes, at most 63
            hint: rename the table; the name is also the host's DNS label
        "#]],
    );
    check(
        "addresses = [\"maia.mercury\"",
        "addresses = [\"-oProxyCommand=x\"",
        &expect![[r#"
            error: hosts/fleet.toml:42: hosts.maia.addresses: `-oProxyCommand=x` is not an address: a DNS name or an IP address is
            hint: write it without a user (that is ssh_user) or a port
        "#]],
    );
    check(
        "node_ip = \"100.64.0.5\"",
        "node_ip = \"100.64.0.6\"",
        &expect![[r#"
            error: hosts/fleet.toml:35: hosts.ocean.node_ip: 100.64.0.6 is the node_ip of maia already
            hint: give each node an address of its own
        "#]],
    );
    check(
        "node_ip = \"100.64.0.5\"",
        "node_ip = \"192.168.1.5\"",
        &expect![[r#"
            error: hosts/fleet.toml:41: hosts.maia.node_ip: 192.168.1.5 is outside of cluster.network (100.64.0.0/10)
            hint: give the host's address in the mesh
        "#]],
    );
    check(
        "role = \"agent\"\n",
        "role = \"server\"\n",
        &expect![[r#"
        error: hosts/fleet.toml: cluster.first_server: several servers (maia, ocean) and no first one
        hint: add first_server = "maia": the one that the others join
    "#]],
    );
    check(
        "build_on = \"target\"\ntaints",
        "build_on = \"ocaen\"\ntaints",
        &expect![[r#"
            error: hosts/fleet.toml:43: hosts.maia.build_on: there is no host `ocaen` in hosts/fleet.toml
            hint: did you mean `ocean`?
        "#]],
    );
    check(
        "NoSchedule",
        "NoShedule",
        &expect![[r#"
            error: hosts/fleet.toml:44: hosts.maia.taints: `ncrmro.com/region=us-south-2:NoShedule` is not of the right form
            hint: key=value:NoSchedule, or PreferNoSchedule, or NoExecute
        "#]],
    );
    check(
        "[admins]",
        "[admins]\nme = \"ssh-ed25519 PLACEHOLDER\"",
        &expect![[r#"
        error: hosts/fleet.toml:16: admins.me: `ssh-ed25519 PLACEHOLDER` is not a usable public key: what follows the type is not base64
        hint: `cargo xtask init` fills keys in
    "#]],
    );
    check(
        "[admins]",
        "[admins]\nme = \"ecdsa-sha2-nistp256 AAAA\"",
        &expect![[r#"
        error: hosts/fleet.toml:16: admins.me: `ecdsa-sha2-nistp256 AAAA` is not a usable public key: age cannot encrypt to this type; use an ssh-ed25519 key
        hint: `cargo xtask init` fills keys in
    "#]],
    );
    check(
        "[cluster]",
        "[cluster",
        &expect![[r#"
        error: hosts/fleet.toml:7: unclosed table, expected `]`
    "#]],
    );
}

#[test]
fn wrong_words_on_the_command_line_get_the_nearest_right_ones() {
    let clone = Clone::new();
    clone.refuses(
        &["deploy", "ocaen"],
        2,
        &expect![[r#"
        error: there is no host `ocaen` in hosts/fleet.toml
        hint: did you mean `ocean`?
    "#]],
    );
    clone.refuses(
        &["deploy", "zzz"],
        2,
        &expect![[r#"
        error: there is no host `zzz` in hosts/fleet.toml
        hint: known hosts: maia, ocean
    "#]],
    );
    clone.refuses(
        &["deploy", "ocean", "--goal", "swich"],
        2,
        &expect![[r#"
            error: invalid value `swich` for `--goal <GOAL>`
            hint: did you mean `switch`?
        "#]],
    );
    clone.refuses(
        &["deploi"],
        2,
        &expect![[r#"
            error: unrecognized subcommand `deploi`
            hint: did you mean `deploy`?
        "#]],
    );
    clone.refuses(
        &["deploy", "--tag", "none"],
        2,
        &expect![[r#"
            error: no host in hosts/fleet.toml has the tag `none`
            hint: no host has one yet: `tags = ["…"]` in its table
        "#]],
    );
    clone.refuses(
        &["init", "--host", "maia"],
        2,
        &expect![[r#"
            error: --host `maia` is not of the form HOST=ADDRESS
            hint: such as: --host maia=100.64.0.5
        "#]],
    );
}

#[test]
fn what_the_repository_lacks_is_told() {
    let empty = tempfile::tempdir().unwrap();
    let in_empty = |env: &[(&str, &str)]| run(&[XTASK, "check"], empty.path(), env);
    // A folder above that is a repository would not do either, but it would be found.
    let ceiling = [("GIT_CEILING_DIRECTORIES", "/")];
    refused(
        in_empty(&ceiling),
        3,
        empty.path(),
        &expect![[r#"
        error: this is no git repository, and flakes see only what git knows
        hint: run it in your cluster's repository; for a new one: git init && git add --all
    "#]],
    );
    run(&["git", "init", "--quiet"], empty.path(), &[]).expect(0);
    refused(
        in_empty(&[]),
        3,
        empty.path(),
        &expect![[r#"
        error: hosts/fleet.toml does not exist in REPO
        hint: run it in your cluster's repository
    "#]],
    );

    let clone = Clone::new();
    fs::write(clone.path().join("hosts/maia/new.nix"), "{ }").unwrap();
    expect![
        "✗ git                           git does not know hosts/maia/new.nix, so the flake does not see it"
    ]
    .assert_eq(clone.xtask(&["check"]).expect(3).stdout.lines().find(|line| line.contains("git")).unwrap());
}

#[test]
fn the_way_to_let_git_know_of_files_works_for_any_name() {
    let clone = Clone::new();
    for name in ["-.nix", ":x.nix", "*'.nix"] {
        fs::write(clone.path().join(name), "{ }").unwrap();
    }
    let told = clone.xtask(&["check"]).expect(3).stdout;
    let hint = told.lines().find_map(|line| line.trim().strip_prefix("hint: git ")).unwrap();
    run(&["sh", "-c", &format!("git {hint}")], clone.path(), &[]).expect(0);
    let told = clone.xtask(&["check"]).stdout;
    assert!(told.contains("knows every file that the flake needs"), "{told}");
}

#[test]
fn secrets_nix_that_does_not_evaluate_is_told() {
    let clone = Clone::new();
    clone.refuses(
        &["bootstrap-cluster"],
        3,
        &expect![[r#"
            error: the rule for secrets/k3s-server-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.
            hint: cargo xtask init
        "#]],
    );
    fs::write(clone.path().join("secrets.nix"), "{ \"secrets/a.age\".publicKeys = [ nobody ]; }").unwrap();
    clone.refuses(
        &["bootstrap-cluster"],
        3,
        &expect![[r#"
            error: secrets.nix does not evaluate: undefined variable 'nobody'
              │ at REPO/secrets.nix:1:34:
        "#]],
    );
    fs::remove_file(clone.path().join("secrets.nix")).unwrap();
    clone.refuses(
        &["bootstrap-cluster"],
        3,
        &expect![[r#"
            error: secrets.nix does not exist in this repository
        "#]],
    );
}

#[test]
fn a_missing_tool_is_named_with_its_remedy() {
    let clone = Clone::new();
    let only = |names: &[&str]| {
        let bin = clone.path().join("bin");
        fs::create_dir_all(&bin).unwrap();
        for name in names {
            let real: PathBuf = remote::find(name).unwrap();
            let link = bin.join(name);
            if !link.exists() {
                std::os::unix::fs::symlink(real, link).unwrap();
            }
        }
        bin.to_str().unwrap().to_owned()
    };
    let path = only(&[]);
    refused(
        clone.xtask_with(&["check"], &[("PATH", &path)]),
        3,
        clone.path(),
        &expect![[r#"
        error: git is not installed
        hint: install git
    "#]],
    );
    let path = only(&["git"]);
    refused(
        clone.xtask_with(&["bootstrap-cluster"], &[("PATH", &path)]),
        3,
        clone.path(),
        &expect![[r#"
        error: nix-instantiate is not installed
        hint: install Nix: https://nixos.org/download
    "#]],
    );
}

#[test]
fn check_tells_all_findings_at_once() {
    let clone = Clone::new();
    fs::remove_dir_all(clone.path().join("hosts/maia")).unwrap();
    let answer = clone.xtask(&["check"]).expect(3);
    expect![[r#"
        ✓ hosts/fleet.toml              2 hosts, 0 admins
        ✗ hosts.maia                    hosts/maia/default.nix does not exist
                                        hint: write it, importing ../common/base.nix and ./k3s.nix
        ✗ hosts.ocean                   it has no ssh_host_key
                                        hint: cargo xtask init
        ✓ git                           knows every file that the flake needs
        ✗ secrets/k3s-agent-token.age   the rule for secrets/k3s-agent-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.
                                        hint: cargo xtask init
        ✗ secrets/k3s-server-token.age  the rule for secrets/k3s-server-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.
                                        hint: cargo xtask init
    "#]].assert_eq(&answer.stdout);
    expect![[r#"
        error: 4 checks failed
    "#]]
    .assert_eq(&answer.stderr);
}

/// In the lab, since hosts are reached side by side with the look at the identity; but none is changed.
#[test]
fn an_identity_is_missed_before_anything_is_touched() {
    in_lab("refusals::an_identity_is_missed_before_anything_is_touched", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        fs::create_dir("/root/keys").unwrap();
        for (name, passphrase) in [("other", ""), ("locked", "x")] {
            let file = format!("/root/keys/{name}");
            let argv = ["ssh-keygen", "-qt", "ed25519", "-N", passphrase, "-C", "me@laptop", "-f", &file];
            run(&argv, Path::new("/"), &[]).expect(0);
        }
        // ssh finds its key by the passwd file, age by HOME: so only age's can be taken away.
        let told = |home: &str, more: &[&str]| {
            let argv = lab.deployer().xtask().arg("bootstrap-cluster").args(more).argv();
            let home = format!("HOME={home}");
            let argv: Vec<&str> =
                argv.iter().map(|arg| if arg == "HOME=/root" { &home } else { arg.as_str() }).collect();
            let answer = run(&argv, &lab.deployer().repository(), &[]).expect(3);
            assert!(!answer.stderr.contains("  activate  "), "{}", answer.stderr);
            answer.error().to_owned()
        };
        let mine =
            "cp /root/.ssh/id_ed25519 /root/keys/mine && ssh-keygen -q -p -P '' -N sesame -f /root/keys/mine";
        run(&["sh", "-c", mine], Path::new("/"), &[]).expect(0);
        let all = [
            told("/root", &["-i", "/root/keys/other"]),
            told("/root", &["-i", "/root/keys/locked"]),
            told("/root", &["-i", "/root/keys/none"]),
            told("/root", &["-i", "/root/keys/mine"]),
            told("/nowhere", &[]),
        ];
        expect![[r#"
            error: failed to decrypt secrets/k3s-agent-token.age: no identity fits: tried /root/keys/other; the file is for rehearsal, maia
            hint: give the private key of one of them with -i FILE, or have one of them add your key to secrets.nix and rekey

            error: failed to decrypt secrets/k3s-agent-token.age: no identity fits: tried /root/keys/locked; the file is for rehearsal, maia
            hint: give the private key of one of them with -i FILE, or have one of them add your key to secrets.nix and rekey

            error: identity /root/keys/none is not there
            hint: -i takes the path of a private key that you can read

            error: failed to decrypt secrets/k3s-agent-token.age: /root/keys/mine is locked, and no passphrase was given
            hint: run it in a terminal, or give a key without a passphrase with -i FILE or XTASK_IDENTITY

            error: failed to decrypt secrets/k3s-agent-token.age: no identity to decrypt with: /nowhere/.ssh/id_ed25519 is not there, /nowhere/.ssh/id_rsa is not there
            hint: give a private key with -i FILE, or its text in XTASK_IDENTITY
        "#]]
        .assert_eq(&all.join("\n"));

        // With a terminal the passphrase is asked for, once, though two steps decrypt.
        let argv = lab.deployer().xtask().args(["bootstrap-cluster", "-i", "/root/keys/mine"]).argv();
        let typed = format!(
            "(sleep 1; echo sesame; sleep 8) | script -qec {} /dev/null",
            remote::quote(&remote::quote_all(argv))
        );
        let answer = run(&["sh", "-c", &typed], &lab.deployer().repository(), &[]).expect(0);
        assert_eq!(answer.stdout.matches("Passphrase of /root/keys/mine").count(), 1, "{}", answer.stdout);
        assert!(answer.stdout.contains("nothing was changed"), "{}", answer.stdout);
    });
}
