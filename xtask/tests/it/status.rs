//! The cluster on one screen: what is well, each thing that is not, and what could not be asked.

use std::fs::{self, File};

use expect_test::expect;
use lab::Lab;

use crate::faults::battery::{link, send, systems, wait_for};
use crate::support::{CTRL_C, Clone, configure, in_lab, on, xtask, xtask_in};

/// It does not pass its gate, so its deploy goes on until it is told to end.
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

/// A host's line, its columns one blank apart, its generation's age taken out.
#[track_caller]
fn row(lab: &Lab, code: i32, host: &str) -> String {
    let answer = xtask(lab, &["status"]).expect(code);
    let of_it = |line: &&str| line.split_whitespace().nth(1) == Some(host);
    let line = answer.stdout.lines().find(of_it).unwrap_or_else(|| panic!("{}", answer.stdout));
    let words: Vec<&str> = line.split_whitespace().collect();
    let age = words.iter().position(|word| word.ends_with(','));
    let drop = |at: usize| age.is_some_and(|age| at == age + 1 || at == age + 2);
    let words: Vec<&str> = (0..words.len()).filter(|at| !drop(*at)).map(|at| words[at]).collect();
    words.join(" ")
}

#[test]
fn the_cluster_on_one_screen() {
    in_lab("status::the_cluster_on_one_screen", |lab| {
        let fresh = row(lab, 0, "ocean");
        assert_eq!(fresh, "✗ ocean server ? – none it has no k3s unit; it runs no NixOS system");
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        assert_eq!(row(lab, 0, "ocean"), "✓ ocean server Ready v1.35.1+k3s1 1, well");
        assert_eq!(row(lab, 0, "maia"), "✓ maia agent Ready v1.35.1+k3s1 1, well");
        json_tells_the_same(lab);
        it_is_drawn_again_until_ctrl_c(lab);
        drift_is_found_by_building_and_changes_nothing(lab);
        a_deploy_under_way_is_seen(lab);

        configure(lab, "ocean", "environment.etc.waits.text = \"\";");
        xtask(lab, &["deploy", "ocean", "--goal", "boot"]).expect(0);
        on(lab, "ocean", "k3s kubectl cordon maia && ! systemd-run --quiet --wait --unit=broken false");
        on(lab, "maia", "sed -i 's/.$/x/' /run/agenix/k3s-agent-token");
        let ocean = row(lab, 0, "ocean");
        assert!(ocean.starts_with("! ocean ") && ocean.contains("1 failed unit: broken.service"), "{ocean}");
        assert!(ocean.contains("what runs is not the boot default"), "{ocean}");
        assert_eq!(
            row(lab, 0, "maia"),
            "! maia agent cordoned v1.35.1+k3s1 1, it has joined, and a first join would be refused: its token is not ocean's"
        );

        nodes_and_secrets_that_nobody_knows_of(lab);
        a_host_that_is_away_stops_nobody(lab);
    });
}

fn json_tells_the_same(lab: &Lab) {
    let answer = xtask(lab, &["status", "maia", "--json"]).expect(0);
    let events = answer.events();
    let maia = &events[0];
    assert_eq!((maia["event"].as_str(), maia["host"].as_str()), (Some("host"), Some("maia")));
    assert_eq!((&maia["node"]["ready"], &maia["node"]["cordoned"]), (&true.into(), &false.into()));
    assert_eq!((&maia["generation"], &maia["notes"]), (&1.into(), &serde_json::json!([])));
    assert_eq!(maia["running"].as_str(), Some(systems(lab, "maia").running.as_str()));
    // The server was asked about its nodes.
    assert_eq!((events.len(), events[1]["host"].as_str()), (2, Some("ocean")));
}

fn it_is_drawn_again_until_ctrl_c(lab: &Lab) {
    let foot = "every 1 s; ctrl-C ends it";
    let watched = xtask_in("TERM=xterm", lab, &["status", "--watch", "1"], (foot, CTRL_C)).expect(0);
    let (before, after) = watched.stdout.split_once("\x1b[?1049l").expect("it leaves the other screen");
    assert!(before.contains("\x1b[?1049h") && before.contains(foot), "{before}");
    assert!(
        after.contains("2 of 2 nodes Ready") && !after.contains(foot),
        "what was seen last stays: {after}"
    );
    xtask(lab, &["status", "--watch"]).expect(2).says("--watch draws in a terminal, and this is none");
}

fn drift_is_found_by_building_and_changes_nothing(lab: &Lab) {
    let before = ["ocean", "maia"].map(|host| systems(lab, host));
    let module = configure(lab, "maia", "environment.etc.drifted.text = \"\";");
    let answer = xtask(lab, &["status", "--drift"]).expect(0);
    let line = |host: &str| answer.stdout.lines().find(|line| line.contains(host)).unwrap().to_owned();
    assert!(line("✓ ocean").ends_with("as the flake says"), "{}", answer.stdout);
    assert!(line("! maia").ends_with("drifted: the flake says another system"), "{}", answer.stdout);
    let path = lab.deployer().repository().join("hosts/maia/default.nix");
    fs::write(&path, module.replacen("system.stateVersion", "nonsense; system.stateVersion", 1)).unwrap();
    let answer = xtask(lab, &["status", "--drift"]).expect(5);
    assert!(answer.stdout.contains("drift not known"), "{}", answer.stdout);
    assert!(answer.stdout.contains("failed to build maia"), "{}", answer.stdout);
    assert!(answer.stdout.contains("as the flake says"), "ocean is built all the same: {}", answer.stdout);
    fs::write(&path, module).unwrap();
    assert_eq!(["ocean", "maia"].map(|host| systems(lab, host)), before);
}

fn a_deploy_under_way_is_seen(lab: &Lab) {
    let before = systems(lab, "maia");
    let module = configure(lab, "maia", TROUBLE);
    let log = File::create(lab.deployer().path("/tmp/deploy.log")).unwrap();
    let deploy = lab.deployer().xtask().args(["deploy", "maia", "--gate-timeout", "600"]).spawn(log).unwrap();
    wait_for("the new system runs", 60, || systems(lab, "maia").running != before.running);
    let maia = row(lab, 0, "maia");
    assert!(maia.contains("rollback timer armed") && maia.contains("being deployed by root on "), "{maia}");
    assert!(maia.contains("what runs is not the boot default"), "{maia}");
    send(lab, "INT");
    wait_for("it ends", 60, || deploy.ended());
    let said = fs::read_to_string(lab.deployer().path("/tmp/deploy.log")).unwrap();
    assert!(said.contains("note: rolled back: maia runs"), "{said}");
    assert_eq!(systems(lab, "maia"), before);
    fs::write(lab.deployer().repository().join("hosts/maia/default.nix"), module).unwrap();
    on(lab, "maia", "systemctl reset-failed");
    wait_for("all is well", 30, || row(lab, 0, "maia").ends_with(" 1, well"));
}

fn nodes_and_secrets_that_nobody_knows_of(lab: &Lab) {
    let path = lab.deployer().repository().join("hosts/fleet.toml");
    let fleet = fs::read_to_string(&path).unwrap();
    fs::write(&path, &fleet[..fleet.find("[hosts.maia]").unwrap()]).unwrap();
    let answer = xtask(lab, &["status"]).expect(0);
    for text in [
        "✗ maia  a node of the cluster that is no host of hosts/fleet.toml",
        "on ocean: k3s kubectl delete node maia",
        "✗ secrets/k3s-agent-token.age  its readers are not those of secrets.nix",
        "hint: cargo xtask secrets rekey",
    ] {
        assert!(answer.stdout.contains(text), "{text} is not in:\n{}", answer.stdout);
    }
    fs::write(&path, fleet).unwrap();
}

fn a_host_that_is_away_stops_nobody(lab: &Lab) {
    link("maia", "down");
    let answer = xtask(lab, &["status"]).expect(4);
    assert!(answer.stdout.starts_with("mercury  1 of 2 hosts reached"), "{}", answer.stdout);
    assert!(answer.stdout.contains("! ocean  server  Ready"), "{}", answer.stdout);
    assert!(answer.stdout.contains("✗ maia  maia does not answer: "), "{}", answer.stdout);
    link("maia", "up");
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let clone = Clone::new();
    clone.refuses(
        &["status", "--watch"],
        2,
        &expect![[r#"
            error: --watch draws in a terminal, and this is none
            hint: without --watch it looks once
        "#]],
    );
    clone.refuses(
        &["status", "--watch", "maia"],
        2,
        &expect![[r#"
            error: invalid value `maia` for `--watch [<SECONDS>]`: a number of seconds; hosts are named before --watch
            hint: --help explains it
        "#]],
    );
    clone.refuses(
        &["status", "luna"],
        2,
        &expect![[r#"
        error: there is no host `luna` in hosts/fleet.toml
        hint: known hosts: maia, ocean
    "#]],
    );
    let planned = clone.xtask(&["status", "maia", "--dry-run"]).expect(0);
    assert_eq!(planned.stdout, "would ask maia\nwould ask ocean\n");
    let planned = clone.xtask(&["status", "--drift", "--dry-run"]).expect(0);
    assert!(planned.stdout.contains("build its system"), "{}", planned.stdout);
}
