//! On a runner of GitHub Actions: annotations, groups and the job summary, as a run of the tool prints them.

use std::fs;

use expect_test::{Expect, expect};

use crate::secrets::Cluster;
use crate::support::{Answer, Clone, configure, in_lab, run, xtask};

/// The tool on a runner; its answer and the job summary.
fn on_runner(clone: &Clone, args: &[&str]) -> (Answer, String) {
    let summary = clone.path().join(".git/summary.md");
    fs::write(&summary, "of an earlier step\n").unwrap();
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let answer = clone.xtask_with(args, &env);
    let text = fs::read_to_string(summary).unwrap();
    (answer, text.strip_prefix("of an earlier step\n").expect("it is appended to").to_owned())
}

#[track_caller]
fn refuses(clone: &Clone, args: &[&str], stderr: &Expect, summary: &Expect) {
    let (answer, text) = on_runner(clone, args);
    let here = clone.path().to_str().unwrap();
    stderr.assert_eq(&answer.expect(3).stderr.replace(here, "REPO"));
    summary.assert_eq(&text.replace(here, "REPO"));
}

#[test]
fn a_refusal_is_annotated_at_its_line() {
    let clone = Clone::new();
    clone.fleet("labels = ", "lables = ");
    refuses(
        &clone,
        &["deploy", "--all"],
        &expect![[r#"
        ::error file=hosts/fleet.toml,line=45,title=cargo xtask::hosts/fleet.toml:45: unknown field `lables`, expected one of `role`, `node_ip`, `addresses`, `ssh_user`, `build_on`, `ssh_host_key`, `taints`, `labels`, `tls_sans`, `node_ports`, `tags`, `system`%0Ahint: did you mean `labels`?
    "#]],
        &expect![[r#"
        ### ❌ hosts/fleet.toml:45: unknown field &#96;lables&#96;, expected one of &#96;role&#96;, &#96;node&#95;ip&#96;, &#96;addresses&#96;, &#96;ssh&#95;user&#96;, &#96;build&#95;on&#96;, &#96;ssh&#95;host&#95;key&#96;, &#96;taints&#96;, &#96;labels&#96;, &#96;tls&#95;sans&#96;, &#96;node&#95;ports&#96;, &#96;tags&#96;, &#96;system&#96;

        **hint:** did you mean &#96;labels&#96;?

    "#]],
    );
}

#[test]
fn a_rule_that_does_not_evaluate_is_annotated_in_secrets_nix() {
    let clone = Clone::new();
    clone.edit("secrets.nix", "users = fleet.admins or { };", "users = fleet.admins or { }; oops");
    refuses(
        &clone,
        &["secrets", "rekey"],
        &expect![[r#"
        ::error file=secrets.nix,line=11,title=cargo xtask::secrets.nix does not evaluate: syntax error, unexpected ID, expecting '.' or '='
          │ at REPO/secrets.nix:11:3:
          │ 10|   # Lazy on purpose: a host without a key stops only the rules that need that host.
          │ 11|   systems = builtins.mapAttrs (
          │ |   ^
          │ 12|     name: host:
    "#]],
        &expect![[r#"
        ### ❌ secrets.nix does not evaluate: syntax error, unexpected ID, expecting '.' or '='

        ```text
        at REPO/secrets.nix:11:3:
        10|   # Lazy on purpose: a host without a key stops only the rules that need that host.
        11|   systems = builtins.mapAttrs (
        |   ^
        12|     name: host:
        ```

    "#]],
    );
}

#[test]
fn each_finding_of_check_is_annotated_where_the_repository_says_it() {
    let clone = Clone::new();
    fs::remove_file(clone.path().join("hosts/maia/default.nix")).unwrap();
    refuses(
        &clone,
        &["check"],
        &expect![[r#"
        ::error file=hosts/fleet.toml,line=39,title=hosts.maia::hosts/maia/default.nix does not exist%0Ahint: write it, importing ../common/base.nix and ./k3s.nix
        ::error file=hosts/fleet.toml,line=33,title=hosts.ocean::it has no ssh_host_key%0Ahint: cargo xtask init
        ::error file=secrets.nix,line=44,title=secrets/k3s-agent-token.age::the rule for secrets/k3s-agent-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.%0Ahint: cargo xtask init
        ::error file=secrets.nix,line=41,title=secrets/k3s-server-token.age::the rule for secrets/k3s-server-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.%0Ahint: cargo xtask init
    "#]],
        &expect![[r#"
        ### ❌ check: 4 found

        | | finding | hint |
        |---|---|---|
        | hosts.maia | hosts/maia/default.nix does not exist | write it, importing ../common/base.nix and ./k3s.nix |
        | hosts.ocean | it has no ssh&#95;host&#95;key | cargo xtask init |
        | secrets/k3s-agent-token.age | the rule for secrets/k3s-agent-token.age does not evaluate: &#91;admins&#93; in hosts/fleet.toml is empty, so nobody could read a secret after writing it. | cargo xtask init |
        | secrets/k3s-server-token.age | the rule for secrets/k3s-server-token.age does not evaluate: &#91;admins&#93; in hosts/fleet.toml is empty, so nobody could read a secret after writing it. | cargo xtask init |

    "#]],
    );
}

#[test]
fn a_check_that_finds_nothing_says_so_in_the_job_summary() {
    let cluster = Cluster::new("");
    let (answer, summary) = on_runner(&cluster.clone, &["check"]);
    assert_eq!(answer.expect(0).stderr, "");
    expect![[r#"
        ### ✅ check: nothing was found

    "#]]
    .assert_eq(&summary);
}

#[test]
fn beside_json_the_log_stays_for_a_person_and_the_events_stay_events() {
    let clone = Clone::new();
    clone.fleet("labels = ", "lables = ");
    let (answer, _) = on_runner(&clone, &["deploy", "--all", "--json"]);
    let answer = answer.expect(3);
    assert!(answer.line("::error file=hosts/fleet.toml,line=45").contains("lables"));
    for line in answer.stdout.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn without_a_place_for_the_job_summary_nothing_fails() {
    let clone = Clone::new();
    let env = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "/nowhere/summary.md")];
    let answer = clone.xtask_with(&["check"], &env).expect(3);
    assert!(answer.stderr.contains("warning: the job summary cannot be written: "), "{}", answer.stderr);
    assert!(clone.xtask_with(&["check"], &[("GITHUB_ACTIONS", "true")]).expect(3).stderr.contains("::error"));
}

/// The tool on the lab's deployer, which is a runner there; and the job summary.
fn in_lab_on_runner(lab: &lab::Lab, args: &[&str]) -> (Answer, String) {
    let mut argv = lab.deployer().xtask().args(args).argv();
    let program = argv.iter().position(|word| word.ends_with("/xtask")).expect("the tool");
    argv.splice(
        program..program,
        ["GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=/root/summary.md"].map(str::to_owned),
    );
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let answer = run(&argv, &lab.deployer().repository(), &[]);
    (answer, fs::read_to_string(lab.deployer().path("/root/summary.md")).unwrap())
}

#[test]
fn a_failed_build_is_annotated_at_its_line_and_harmful_words_are_no_commands() {
    in_lab("github::a_failed_build_is_annotated_at_its_line_and_harmful_words_are_no_commands", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        configure(lab, "maia", "environment.etc.\"x\".text = throw \"planted\\n::error::planted\";");
        configure(lab, "ocean", "environment.etc.\"x\".text = unheard-of;");
        let (answer, summary) = in_lab_on_runner(lab, &["deploy", "--all"]);
        let answer = answer.expect(5);
        let commands: Vec<&str> =
            answer.stderr.lines().filter(|line| line.trim_start().starts_with("::")).collect();
        let count = |name: &str| commands.iter().filter(|line| line.starts_with(name)).count();
        assert_eq!(count("::error"), 2, "{commands:?}");
        assert!(count("::group::") > 2, "{commands:?}");
        assert_eq!(count("::group::"), count("::endgroup::"));
        assert!(answer.stderr.contains("\\       ::error::planted"), "{}", answer.stderr);
        let line = answer.line("::error file=hosts/ocean/default.nix,line=");
        assert!(line.contains("%0Aerror: undefined variable 'unheard-of'"), "{line}");
        assert!(answer.line("::error title=maia%3A build::").contains("%0Aerror: planted"));
        assert!(summary.contains("### ❌ deploy maia ocean: failed after "), "{summary}");
        assert!(summary.contains("| failed at build |"), "{summary}");
        assert!(summary.contains("undefined variable 'unheard-of'"), "{summary}");

        let (answer, _) = in_lab_on_runner(lab, &["deploy", "--all", "--json"]);
        let answer = answer.expect(5);
        assert!(answer.stderr.contains("::group::build (maia, ocean)"), "{}", answer.stderr);
        let events: Vec<serde_json::Value> =
            answer.stdout.lines().map(|line| serde_json::from_str(line).expect("events only")).collect();
        assert!(events.iter().any(|event| event["event"] == "failure"), "{events:?}");

        // A journal is passed on as it comes, so commands are off meanwhile.
        let journal = in_lab_on_runner(lab, &["logs", "ocean"]).0.expect(0).stdout;
        let lines: Vec<&str> = journal.lines().collect();
        let token = lines[0].strip_prefix("::stop-commands::").expect("commands are stopped first");
        assert!(token.len() == 32 && lines.len() > 10, "{journal}");
        assert_eq!(lines[lines.len() - 1], format!("::{token}::"));
        let again = in_lab_on_runner(lab, &["logs", "ocean"]).0.expect(0).stdout;
        assert!(!again.contains(token), "the token can be foreseen");
    });
}
