//! An add that fails, or is killed, while it writes: the repository is as it was, or has all of it.

use std::path::Path;

use super::offline::{add, cluster, state};
use crate::secrets::Cluster;
use crate::support::{Answer, XTASK, run};

/// The system calls with which files come, go and get new names.
const CHANGES: [&str; 7] = ["link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat"];

/// Runs it with what stands in front of it.
fn run_behind(cluster: &Cluster, front: &[&str], argv: &[String]) -> Answer {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let home = cluster.home().to_str().unwrap();
    run(&[front, &[XTASK], &argv, &["--yes"]].concat(), cluster.clone.path(), &[("HOME", home)])
}

#[test]
fn an_add_that_is_killed_is_undone_or_done() {
    let (mut undone, mut done, mut mixed) = (0, 0, 0);
    for call in CHANGES {
        for nth in 1.. {
            assert!(nth < 100, "it does not come to an end");
            let cluster = cluster();
            let before = state(&cluster);
            let inject = format!("inject={call}:signal=KILL:when={nth}");
            let trace = format!("trace={call}");
            // The main thread alone writes what is not secret; what it starts is not killed.
            let front = ["strace", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let answer = run_behind(&cluster, &front, &add(&cluster, "new-agent", "agent"));
            if answer.code == 0 {
                break;
            }
            assert_eq!(answer.code, -1, "{answer:?}");
            let half = state(&cluster);
            let recovery = cluster.xtask(&["secrets", "rekey"]).expect(0);
            mixed += usize::from(recovery.stderr.contains("files that it had changed are as they were"));
            // Whoever is next with a node clears up the rest, even if it comes to nothing.
            cluster.xtask(&["node", "remove", "nobody"]).expect(2);
            let after = state(&cluster);
            if after == before {
                undone += 1;
                continue;
            }
            assert!(cluster.path("hosts/new-agent/k3s.nix").exists(), "{call} {nth}: {half:?}");
            cluster.xtask(&["check"]).expect(0);
            done += 1;
        }
    }
    assert!(undone > 5 && mixed > 2 && done > 0, "{undone} {mixed} {done}");
}

#[test]
fn a_secret_is_not_written_by_rules_that_are_undone_under_it() {
    let cluster = cluster();
    // Behind the journal's own rename and that of fleet.toml.
    let inject = ["rename", "renameat", "renameat2"].map(|call| format!("inject={call}:signal=KILL:when=3"));
    let front = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2"];
    let inject: Vec<&str> = inject.iter().flat_map(|inject| ["-e", inject]).collect();
    let answer = run_behind(&cluster, &[&front[..], &inject].concat(), &add(&cluster, "new-agent", "agent"));
    assert_eq!(answer.code, -1, "{answer:?}");
    assert!(std::fs::read_to_string(cluster.path("hosts/fleet.toml")).unwrap().contains("new-agent"));
    let edit = ["secrets", "edit", "secrets/k3s-agent-token.age"];
    cluster.fed(&edit, "newer").expect(3).says("the rules were read before that").says("hint: run it again");
    cluster.fed(&edit, "newer").expect(0);
    assert_eq!(cluster.content("secrets/k3s-agent-token.age", "maia"), "newer");
    assert!(!cluster.content_is_for("secrets/k3s-agent-token.age", "new-agent"));
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn a_file_that_cannot_be_replaced_has_the_others_put_back() {
    let cluster = cluster();
    let before = state(&cluster);
    // A mount point can be written to and not be renamed over; seen when the others are in place already.
    let file = cluster.path("secrets/k3s-agent-token.age");
    let file = file.to_str().unwrap();
    let script = format!("mount --bind {file} {file} && exec \"$@\"");
    let front = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let answer = run_behind(&cluster, &front, &add(&cluster, "new-agent", "agent")).expect(1);
    assert!(answer.stderr.contains("failed to change the repository"), "{}", answer.stderr);
    assert!(answer.stderr.contains("k3s-agent-token.age: could not replace it"), "{}", answer.stderr);
    assert_eq!(state(&cluster), before);
}

#[test]
fn a_git_that_does_not_take_the_new_files_has_all_put_back() {
    let cluster = cluster();
    let before = state(&cluster);
    // As another git that was killed leaves it.
    let lock = cluster.path(".git/index.lock");
    std::fs::write(&lock, "").unwrap();
    let answer = run_behind(&cluster, &[], &add(&cluster, "new-agent", "agent")).expect(1);
    assert!(answer.stderr.contains("failed to change the repository"), "{}", answer.stderr);
    assert!(answer.stderr.contains("git does not take it"), "{}", answer.stderr);
    std::fs::remove_file(lock).unwrap();
    assert_eq!(state(&cluster), before);
    assert!(!Path::new(&cluster.path(".git/.agenix.journal")).exists());
}
