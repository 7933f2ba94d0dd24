//! The release pipeline, as far as it can be seen without GitHub: real linters, what each workflow may do, and its scripts
//! and commands themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_norway::Value;

use crate::support::{Answer, Clone, XTASK, in_lab, repository, run, try_on, xtask};

const FOLDER: &str = ".github/workflows";
/// Pages whose commands have to parse, too.
const PAGES: [&str; 3] = ["docs/contributing.md", "docs/release.md", "docs/security.md"];

/// Everything in it is wrong, each in a way of its own.
const BROKEN: &str = "\
name: broken
on: pull_request_target
jobs:
  one:
    runs-on: ubuntu-24.04
    time-out: 5
    steps:
      - uses: actions/checkout@v4
      - run: echo ${{ github.event.pull_request.title }} $UNQUOTED
";

/// Known to the test's program, since in a lab this repository is out of sight.
const FILES: [(&str, &str); 2] = [
    ("check.yml", include_str!("../../../.github/workflows/check.yml")),
    ("deploy.yml", include_str!("../../../.github/workflows/deploy.yml")),
];

fn texts() -> BTreeMap<String, String> {
    FILES.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

fn workflows() -> BTreeMap<String, Value> {
    texts().into_iter().map(|(name, text)| (name, serde_norway::from_str(&text).unwrap())).collect()
}

/// Each job of each workflow, with a name for messages.
fn jobs(workflows: &BTreeMap<String, Value>) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (file, workflow) in workflows {
        for (name, job) in workflow["jobs"].as_mapping().unwrap() {
            all.push((format!("{file}: {}", name.as_str().unwrap()), job));
        }
    }
    all
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_sequence().unwrap()
}

/// The linters, as they judge these files.
fn linted(files: &[PathBuf]) -> [Answer; 2] {
    let tools = repository().join("target/tools/python");
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    assert!(tools.is_dir(), "no {}; `cargo xtask test --install` brings it", tools.display());
    let python_path = [("PYTHONPATH", tools.to_str().unwrap()), ("NO_COLOR", "1")];
    let lint = |argv: &[&str]| run(&[argv, &files].concat(), repository(), &python_path);
    let zizmor = tools.join("bin/zizmor");
    [
        lint(&["python3", "-m", "jactionlint"]),
        lint(&[zizmor.to_str().unwrap(), "--offline", "--no-progress", "--persona=pedantic"]),
    ]
}

#[test]
fn the_linters_find_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FOLDER).join("broken.yml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, BROKEN).unwrap();
    let [structure, security] = linted(&[file]);
    for word in ["time-out", "SC2086", "github.event.pull_request.title"] {
        assert!(structure.stdout.contains(word), "{word} is not in {structure:?}");
    }
    for word in
        ["unpinned-uses", "template-injection", "dangerous-triggers", "artipacked", "excessive-permissions"]
    {
        assert!(security.stdout.contains(word), "{word} is not in {security:?}");
    }
    assert_ne!((structure.code, security.code), (0, 0));
}

#[test]
fn the_linters_find_nothing() {
    let entries = fs::read_dir(repository().join(FOLDER)).unwrap();
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), FILES.len(), "a workflow is not known here: {files:?}");
    for answer in linted(&files) {
        answer.expect(0);
    }
}

#[test]
fn every_action_is_pinned_by_its_whole_commit_with_its_tag_beside_it() {
    let mut pins = BTreeMap::new();
    for (name, text) in texts() {
        for line in text.lines().filter_map(|line| line.split_once("uses:")).map(|(_, rest)| rest.trim()) {
            let (action, rest) = line.split_once('@').unwrap_or_else(|| panic!("{name}: {line}"));
            let (commit, tag) = rest.split_once(" # ").unwrap_or_else(|| panic!("{name}: {line} has no tag"));
            assert!(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{name}: {line}"
            );
            assert!(tag.starts_with('v') && tag.matches('.').count() == 2, "{name}: {line}");
            let pin = pins.entry(action.to_owned()).or_insert_with(|| rest.to_owned());
            assert_eq!(pin, rest, "{name}: {action} is another one elsewhere");
        }
    }
    assert_eq!(pins.len(), 4, "{pins:?}");
}

#[test]
fn workflows_may_read_the_repository_and_nothing_else() {
    let workflows = workflows();
    let only_reads = |permissions: &Value, name: &str| {
        let permissions =
            permissions.as_mapping().unwrap_or_else(|| panic!("{name} says nothing of permissions"));
        for (what, level) in permissions {
            assert_eq!((what.as_str(), level.as_str()), (Some("contents"), Some("read")), "{name}");
        }
    };
    for (name, workflow) in &workflows {
        only_reads(&workflow["permissions"], name);
        assert!(workflow["concurrency"]["group"].is_string(), "{name}");
    }
    for (name, job) in jobs(&workflows) {
        if job.get("permissions").is_some() {
            only_reads(&job["permissions"], &name);
        }
        assert!(job["timeout-minutes"].as_u64().is_some_and(|minutes| minutes <= 180), "{name}");
        for step in steps(job)
            .iter()
            .filter(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("/checkout@")))
        {
            assert_eq!(step["with"]["persist-credentials"].as_bool(), Some(false), "{name}");
        }
    }
}

/// Where a secret is used: the workflow and the step.
fn uses_of_secrets() -> Vec<(String, String, String)> {
    let mut uses = Vec::new();
    let workflows = workflows();
    for (name, workflow) in &workflows {
        let text = serde_norway::to_string(workflow).unwrap();
        let mut counted = 0;
        for step in workflow["jobs"].as_mapping().unwrap().values().flat_map(steps) {
            for (variable, value) in step["env"].as_mapping().into_iter().flatten() {
                if value.as_str().is_some_and(|value| value.contains("secrets.")) {
                    counted += 1;
                    let step = step["name"].as_str().unwrap_or_default();
                    uses.push((name.clone(), step.to_owned(), variable.as_str().unwrap().to_owned()));
                }
            }
        }
        assert_eq!(
            text.matches("secrets.").count(),
            counted,
            "{name}: a secret elsewhere than in a step's environment"
        );
    }
    uses
}

#[test]
fn a_pull_request_sees_no_secret_and_a_deploy_only_in_the_steps_that_need_it() {
    let uses: Vec<String> = uses_of_secrets()
        .iter()
        .map(|(workflow, step, name)| format!("{workflow}: {step}: {name}"))
        .collect();
    let expected = [
        "deploy.yml: Join the mesh: MESH_AUTH_KEY",
        "deploy.yml: Deploy: XTASK_IDENTITY",
        "deploy.yml: Deploy: DEPLOY_SSH_KEY",
    ];
    assert_eq!(uses, expected);
    let workflows = workflows();
    let triggers = workflows["check.yml"]["on"].as_mapping().unwrap();
    assert!(triggers.contains_key("pull_request") && !triggers.contains_key("pull_request_target"));
    let deploy = &workflows["deploy.yml"];
    assert_eq!(deploy["on"].as_mapping().unwrap().len(), 1);
    assert_eq!(deploy["on"]["push"].as_mapping().unwrap().keys().next().unwrap().as_str(), Some("tags"));
    assert_eq!(deploy["concurrency"]["cancel-in-progress"].as_bool(), Some(false));
    assert_eq!(deploy["jobs"]["deploy"]["environment"].as_str(), Some("production"));
}

/// The words of each `cargo xtask …` in a text, up to what is the shell's.
fn commands(text: &str) -> Vec<Vec<String>> {
    let ends = |word: &&str| !["|", ">", "&&", ";", "2>&1", "#", "\\"].contains(word);
    let rest = text.lines().flat_map(|line| line.split("cargo xtask ").skip(1));
    let code = rest.map(|rest| rest.split(['`', '"', '(', ')']).next().unwrap());
    code.map(|code| code.split_whitespace().take_while(ends).map(str::to_owned).collect::<Vec<_>>())
        .filter(|words| !words.is_empty() && words[0] != "…")
        .collect()
}

#[test]
fn every_command_of_the_workflows_and_their_pages_is_one_of_this_tool() {
    let pages = PAGES.map(|page| (page.to_owned(), fs::read_to_string(repository().join(page)).unwrap()));
    let parses = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(|word| word.trim_end_matches(['.', ',', ':', ';'])).collect();
        run(&[&[XTASK], &words[..], &["--help"]].concat(), repository(), &[])
    };
    let mut count = 0;
    for (name, text) in texts().into_iter().chain(pages) {
        for words in commands(&text) {
            count += 1;
            let answer = parses(&words);
            assert_eq!(answer.code, 0, "{name}: cargo xtask {}\n{}", words.join(" "), answer.stderr);
        }
    }
    assert!(count > 15, "{count}");
    // The control: what is no command is refused.
    assert_eq!(parses(&["deploy".to_owned(), "--al".to_owned()]).code, 2);
}

#[test]
fn the_deploy_of_the_workflow_plans_the_whole_fleet() {
    let deploy = commands(&texts()["deploy.yml"]).into_iter().find(|words| words[0] == "deploy").unwrap();
    let words: Vec<&str> = deploy.iter().map(String::as_str).chain(["--dry-run"]).collect();
    let answer = Clone::new().xtask(&words).expect(0);
    for host in ["ocean", "maia"] {
        assert!(answer.stdout.contains(&format!("\"subject\":\"{host}\"")), "{}", answer.stdout);
    }
}

/// A step's script.
fn script(workflow: &str, step: &str) -> String {
    let workflows = workflows();
    let jobs = workflows[workflow]["jobs"].as_mapping().unwrap();
    let mut steps = jobs.values().flat_map(steps);
    let step = steps.find(|other| other["name"].as_str() == Some(step)).expect("the step");
    step["run"].as_str().unwrap().to_owned()
}

/// Programs of a runner that the lab lacks, in front of all others: cargo with the tool as it was built for the lab, and a
/// `nix develop` that has all it needs already. Everything else is real.
fn runner_programs(lab: &lab::Lab) -> String {
    let folder = lab.deployer().path("/root/runner");
    fs::create_dir_all(&folder).unwrap();
    let argv = lab.deployer().xtask().argv();
    let program = argv.iter().position(|word| word.ends_with("/xtask")).expect("the tool");
    let tool = remote::quote_all(&argv[program..]);
    let cargo = format!("[ \"$1\" = xtask ] || exit 0\nshift\nexec {tool} \"$@\"");
    let overrides = remote::quote_all(&argv[program + 1..]);
    let nix = format!(
        "export NIX_CONFIG='experimental-features = nix-command flakes'\n\
         case \"$1\" in\ndevelop) shift 2; exec \"$@\";;\neval) exec /usr/bin/nix \"$@\" {overrides};;\nesac\nexec /usr/bin/nix \"$@\""
    );
    for (name, text) in [("cargo", cargo), ("nix", nix)] {
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        run(&["chmod", "+x", file.to_str().unwrap()], &folder, &[]).expect(0);
    }
    folder.display().to_string()
}

/// A step's script on the lab's deployer, as a runner runs it.
fn run_step(lab: &lab::Lab, script: &str, env: &[&str]) -> Answer {
    let programs = runner_programs(lab);
    let argv = lab.deployer().command("bash").argv();
    let bash = argv.iter().position(|word| word == "bash").expect("bash");
    let mut words: Vec<String> = argv[..bash].to_vec();
    let path = words.iter_mut().find(|word| word.starts_with("PATH=")).expect("a PATH");
    *path = path.replacen("PATH=", &format!("PATH={programs}:"), 1);
    words.extend(env.iter().map(ToString::to_string));
    words.extend(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(&words, &lab.deployer().repository(), &[])
}

#[test]
fn the_deploy_step_deploys_with_nothing_but_its_secrets() {
    in_lab("workflows::the_deploy_step_deploys_with_nothing_but_its_secrets", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        // A runner has no key of its own.
        let key = fs::read_to_string(lab.deployer().path("/root/.ssh/id_ed25519")).unwrap();
        fs::remove_dir_all(lab.deployer().path("/root/.ssh")).unwrap();
        let script = script("deploy.yml", "Deploy");
        let runner = ["GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=/root/summary.md"];
        let identity = format!("XTASK_IDENTITY={key}");
        let login = format!("DEPLOY_SSH_KEY={key}");

        // The failure first: without a login it fails, and no agent is left.
        let answer = run_step(lab, &script, &[&runner[..], &[&identity, "DEPLOY_SSH_KEY=no key"]].concat());
        assert_ne!(answer.code, 0, "{answer:?}");

        let answer = run_step(lab, &script, &[&runner[..], &[&identity, &login]].concat()).expect(0);
        let read = |file: &str| fs::read_to_string(lab.deployer().path(file)).unwrap();
        let events = fs::read_to_string(lab.deployer().repository().join("events.jsonl")).unwrap();
        assert!(events.lines().last().unwrap().contains("\"event\":\"run-finished\""), "{events}");
        assert!(answer.stderr.contains("::group::"), "{}", answer.stderr);
        assert!(read("/root/summary.md").contains("### ✅ deploy"), "{}", read("/root/summary.md"));
        for text in [&answer.stdout, &answer.stderr, &events, &read("/root/summary.md")] {
            assert!(!text.contains(key.lines().nth(1).unwrap()), "the key is in what is kept of a deploy");
        }
        assert_eq!(
            run(&["pgrep", "--exact", "--runstates", "RSD", "ssh-agent"], Path::new("/"), &[]).code,
            1,
            "an agent is left"
        );
        assert_ne!(try_on(lab, "maia", "true").code, 0, "the control: there is no key but the agent's");
    });
}

#[test]
fn the_flake_evaluates_as_the_workflow_has_it() {
    in_lab("workflows::the_flake_evaluates_as_the_workflow_has_it", |lab| {
        let script = script("check.yml", "Every host evaluates");
        // Before there is a cluster it says what is missing, which is why the workflow passes over it then.
        let answer = run_step(lab, &script, &[]);
        assert_ne!(answer.code, 0);
        assert!(answer.stderr.contains("hint: cargo xtask bootstrap-cluster"), "{}", answer.stderr);
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let systems = run_step(lab, &script, &[]).expect(0).stdout;
        assert_eq!(systems.split(' ').filter(|system| system.ends_with(".drv")).count(), 2, "{systems}");
        run_step(lab, "cargo xtask check", &[]).expect(0);
    });
}
