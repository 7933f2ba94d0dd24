//! What an operator reads and takes home: the journal of K3s, and the kubeconfig.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use expect_test::expect;
use lab::Lab;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{meanwhile, send, wait_for};
use crate::support::{CTRL_C, Clone, on, run, xtask, xtask_in};

each_k3s!(the_journal_and_the_kubeconfig,);

fn the_journal_and_the_kubeconfig(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["logs", "maia"]).expect(7).says("maia has no k3s unit").says("hint: --unit UNIT reads");
        xtask(lab, &["kubeconfig"]).expect(7).says("failed to read the kubeconfig of ocean");
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        the_newest_lines_are_read(lab);
        following_leaves_nothing_behind(lab);
        a_lost_link_is_told(lab);
        a_file_and_a_link(lab);
        base64_is_a_line(lab);
        a_merge_keeps_what_is_not_ours(lab);
    });
}

fn the_newest_lines_are_read(lab: &Lab) {
    let all = xtask(lab, &["logs", "ocean"]).expect(0).stdout;
    assert!(all.lines().count() > 3 && all.contains(" ocean k3s["), "{all}");
    let two = xtask(lab, &["logs", "ocean", "-n", "2"]).expect(0).stdout;
    assert!(two.lines().count() == 2 && all.ends_with(&two) && !two.contains('\x1b'), "{two}");
    let sshd = xtask(lab, &["logs", "ocean", "--unit", "sshd.service", "-n", "1"]).expect(0).stdout;
    assert!(sshd.contains(" sshd"), "{sshd}");
    xtask(lab, &["logs", "ocean", "--unit", "nonsense"]).expect(0).says("has nothing of nonsense");
    let entries = xtask(lab, &["logs", "ocean", "-n", "1", "--json"]).expect(0).events();
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["_SYSTEMD_UNIT"].as_str(), Some("k3s.service"));
    // Where the upstream installer made an agent.
    let unit = "[Service]\\nExecStart=sh -c \"echo i am an agent; sleep 1000\"\\n";
    on(
        lab,
        "maia",
        &format!(
            "systemctl stop k3s && mkdir -p /run/systemd/system && mv /etc/systemd/system/k3s.service /root/ && printf '{unit}' > /run/systemd/system/k3s-agent.service && systemctl daemon-reload && systemctl start k3s-agent"
        ),
    );
    wait_for("it is read", 10, || xtask(lab, &["logs", "maia"]).stdout.contains("i am an agent"));
    on(
        lab,
        "maia",
        "systemctl stop k3s-agent && rm /run/systemd/system/k3s-agent.service && mv /root/k3s.service /etc/systemd/system/ && systemctl daemon-reload && systemctl start k3s",
    );
}

fn journals(lab: &Lab) -> String {
    on(lab, "maia", "pgrep --list-full journalctl || true")
}

fn following_leaves_nothing_behind(lab: &Lab) {
    for (signal, code) in [("INT", 0), ("TERM", 0), ("KILL", 137)] {
        let follow = ["logs", "maia", "-f", "-n", "1"];
        let seen = |said: &str| said.contains(" maia ");
        let answer = meanwhile(lab, &follow, seen, || {
            assert!(journals(lab).contains("--unit=k3s.service"), "positive control: {}", journals(lab));
            on(lab, "maia", "systemctl restart k3s.service");
            // What comes later is seen at once.
            std::thread::sleep(std::time::Duration::from_secs(2));
            send(lab, signal);
        });
        let answer = answer.expect(code);
        assert!(answer.stderr.contains("Started k3s.service"), "{}", answer.stderr);
        wait_for("nothing follows on maia", 5, || journals(lab).is_empty());
    }
    // At a terminal, by the keyboard; errors have their colour.
    on(lab, "maia", "systemd-run --quiet --wait --unit=red sh -c 'echo \"<3>it is\" red'");
    let follow = ["logs", "maia", "-f", "--unit", "red"];
    let shown = xtask_in("TERM=xterm", lab, &follow, ("it is red", CTRL_C)).expect(0);
    assert!(shown.stdout.contains("\x1b["), "{}", shown.stdout);
    wait_for("nothing follows on maia", 5, || journals(lab).is_empty());
}

fn a_lost_link_is_told(lab: &Lab) {
    let seen = |said: &str| said.contains(" maia ");
    let answer = meanwhile(lab, &["logs", "maia", "-f"], seen, || {
        // This command's own session as well.
        let _ = crate::support::try_on(lab, "maia", "pkill --full 'sshd.*root'");
    });
    let answer = answer.expect(4);
    answer.says("the connection to maia was lost").says("hint: cargo xtask status maia");
    wait_for("nothing follows on maia", 5, || journals(lab).is_empty());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A real kubectl, with this kubeconfig.
fn kubectl(lab: &Lab, path: &Path, args: &[&str]) -> String {
    let argv = [&["kubectl", "--kubeconfig", path.to_str().unwrap()], args].concat();
    run(&argv, &lab.deployer().repository(), &[("HOME", "/root")]).expect(0).stdout
}

fn a_file_and_a_link(lab: &Lab) {
    for _ in 0..2 {
        xtask(lab, &["kubeconfig"]).expect(0);
        let file = lab.deployer().repository().join(".kube/ocean.yml");
        let link = lab.deployer().path("/root/.kube/config.ocean.yml");
        assert_eq!(
            (mode(&file), fs::read_link(&link).unwrap()),
            (0o600, PathBuf::from("/cluster/.kube/ocean.yml"))
        );
        let contexts = kubectl(lab, &link, &["config", "get-contexts", "--output", "name"]);
        assert_eq!(contexts, "mercury\n");
        let nodes = kubectl(lab, &link, &["get", "nodes", "--no-headers"]);
        assert!(nodes.starts_with("maia ") && nodes.lines().count() == 2, "{nodes}");
    }
    // What is no link is somebody's own.
    let link = lab.deployer().path("/root/.kube/config.ocean.yml");
    fs::remove_file(&link).unwrap();
    fs::write(&link, "mine").unwrap();
    xtask(lab, &["kubeconfig"]).expect(0).says("is no link, and is left as it is");
    assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
    fs::remove_file(&link).unwrap();
    // Somewhere else, there is no link.
    xtask(lab, &["kubeconfig", "--out", "/tmp/there.yml"]).expect(0);
    assert!(mode(&lab.deployer().path("/tmp/there.yml")) == 0o600 && !link.exists());
}

fn base64_is_a_line(lab: &Lab) {
    let there = lab.deployer().path("/tmp/there.yml");
    let _ = fs::remove_file(lab.deployer().repository().join(".kube/ocean.yml"));
    let line = xtask(lab, &["kubeconfig", "--base64"]).expect(0).stdout;
    assert_eq!(line.lines().count(), 1);
    let decoded = crate::support::run_fed(&["base64", "--decode"], Path::new("/"), &[], line.as_bytes());
    assert_eq!(decoded.expect(0).stdout, fs::read_to_string(there).unwrap());
    assert!(!lab.deployer().repository().join(".kube/ocean.yml").exists(), "no file is written");
}

fn a_merge_keeps_what_is_not_ours(lab: &Lab) {
    let config = lab.deployer().path("/root/.kube/config");
    xtask(lab, &["kubeconfig", "--merge"]).expect(0);
    assert_eq!(
        (mode(&config), kubectl(lab, &config, &["config", "current-context"])),
        (0o600, "mercury\n".to_owned())
    );

    let old = "apiVersion: v1\nkind: Config\nx-mine: 1\ncurrent-context: work\nclusters:\n- {name: work, cluster: \
               {server: 'https://work'}}\n- {name: mercury, cluster: {server: 'https://old'}}\ncontexts:\n- {name: work, \
               context: {cluster: work, user: work}}\nusers:\n- {name: work, user: {token: 'yes'}}\n";
    // A link into somebody's dotfiles.
    let dotfile = lab.deployer().path("/root/dotfile");
    fs::write(&dotfile, old).unwrap();
    fs::set_permissions(&dotfile, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(&config).unwrap();
    std::os::unix::fs::symlink("/root/dotfile", &config).unwrap();
    let said = xtask(lab, &["kubeconfig", "--merge"]).expect(0).stdout;
    assert!(said.contains("as the context mercury"), "{said}");
    assert!(config.is_symlink() && mode(&dotfile) == 0o640);
    let merged = fs::read_to_string(&dotfile).unwrap();
    assert!(
        merged.starts_with("apiVersion: v1\nkind: Config\nx-mine: 1\ncurrent-context: work\n"),
        "{merged}"
    );
    assert!(!merged.contains("https://old"), "{merged}");
    assert_eq!(kubectl(lab, &config, &["config", "get-contexts", "--output", "name"]), "mercury\nwork\n");
    let jsonpath = "jsonpath={.users[?(@.name==\"work\")].user.token}";
    assert_eq!(kubectl(lab, &config, &["config", "view", "--raw", "--output", jsonpath]), "yes");
    let nodes = kubectl(lab, &config, &["--context", "mercury", "get", "nodes", "--no-headers"]);
    assert_eq!(nodes.lines().count(), 2, "{nodes}");

    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&dotfile).unwrap());
    let before = inode();
    let again = xtask(lab, &["kubeconfig", "--merge"]).expect(0).stdout;
    assert!(again.contains("nothing was changed"), "{again}");
    assert_eq!((inode(), fs::read_to_string(&dotfile).unwrap()), (before, merged));

    fs::write(&dotfile, "clusters: [\n").unwrap();
    let refused = xtask(lab, &["kubeconfig", "--merge"]).expect(3);
    refused.says("failed to merge into /root/.kube/config: it is not YAML").says("hint: it was not touched");
    assert_eq!(fs::read_to_string(&dotfile).unwrap(), "clusters: [\n");
}

#[test]
fn a_kubeconfig_goes_to_one_place() {
    let clone = Clone::new();
    clone.refuses(
        &["kubeconfig", "--base64", "--json"],
        2,
        &expect![[r#"
            error: the kubeconfig itself is printed as it is, which --json has no form for
            hint: leave --json out
        "#]],
    );
    let kube = [("KUBECONFIG", ":/tmp/first:/tmp/second"), ("HOME", "/home/me")];
    let planned = |args: &[&str]| {
        clone.xtask_with(&[&["kubeconfig", "--dry-run"], args].concat(), &kube).expect(0).stdout
    };
    let from = "would fetch /etc/rancher/k3s/k3s.yaml from ocean";
    assert_eq!(planned(&["--merge"]), format!("{from} and merge it into /tmp/first\n"));
    assert_eq!(planned(&["--base64"]), format!("{from} and print it as base64\n"));
    assert!(planned(&[]).contains(", with a link from /home/me/.kube/config.ocean.yml"));
    for two in [["--merge", "--base64"], ["--merge", "--out=x"], ["--base64", "--out=x"]] {
        clone.xtask(&[&["kubeconfig"], &two[..]].concat()).expect(2).says("cannot be used with");
    }
}
