//! Each stage of a clone's life: what is shown, and what comes next.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use expect_test::{Expect, expect};

use super::next::{Stage, suggestions};
use super::screen::{ago, event, text};
use super::stand::{FleetStand, Git, HostStand, Stand, parse};
use crate::journal::{End, Last, RunKind};
use crate::playbook::Rotated;
use crate::repository::{AGENT_TOKEN, SERVER_TOKEN};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn host(name: &str, role: Option<fleet::Role>) -> HostStand {
    HostStand { name: name.to_owned(), role, has_key: true, has_folder: true }
}

/// A cluster with nothing to do.
fn well() -> Stand {
    let hosts = vec![host("maia", Some(fleet::Role::Agent)), host("ocean", Some(fleet::Role::Server))];
    Stand {
        fleet: Ok(FleetStand { cluster: "mercury".to_owned(), admins: 1, hosts }),
        missing_tokens: Vec::new(),
        was_cut_off: false,
        has_lock: true,
        git: Git { committed: Some(at(0)), ..Git::default() },
        last: Some(last(RunKind::Deploy, End::Well)),
    }
}

fn last(kind: RunKind, end: End) -> Last {
    Last { id: "run-1".to_owned(), title: "deploy maia".to_owned(), begun: at(100), end, kind }
}

fn failed(code: u8) -> End {
    End::Failed { at: "gate of maia".to_owned(), error: "k3s is not active".to_owned(), code }
}

fn hosts(stand: &mut Stand) -> &mut Vec<HostStand> {
    &mut stand.fleet.as_mut().unwrap().hosts
}

fn new_clone() -> Stand {
    let mut stand = well();
    hosts(&mut stand).iter_mut().for_each(|host| host.has_key = false);
    stand.fleet.as_mut().unwrap().admins = 0;
    Stand { missing_tokens: vec![SERVER_TOKEN, AGENT_TOKEN], has_lock: false, last: None, ..stand }
}

#[track_caller]
fn shows(stand: &Stand, expect: &Expect) {
    console::set_colors_enabled(false);
    expect.assert_eq(&text(stand, at(100 + 3 * 3600)));
}

#[test]
fn a_new_clone() {
    shows(
        &new_clone(),
        &expect![[r#"
            mercury  2 hosts, no admin yet

              maia   agent    host key not pinned
              ocean  server   host key not pinned

              secrets   not there yet: k3s-server-token.age, k3s-agent-token.age
              git       what hosts are made of is committed; no flake.lock
              last run  none yet

            next
              cargo xtask init      write your key and your hosts' into fleet.toml
              cargo xtask rehearse  or see it all on throwaway machines

            all commands: cargo xtask --help
        "#]],
    );
}

#[test]
fn a_cluster_with_nothing_to_do() {
    shows(
        &well(),
        &expect![[r#"
            mercury  2 hosts, 1 admin

              maia   agent
              ocean  server

              secrets   the cluster's tokens are there
              git       what hosts are made of is committed
              last run  deploy maia, 3 hours ago: ended well

            next
              cargo xtask status  see how the cluster is

            all commands: cargo xtask --help
        "#]],
    );
}

#[test]
fn a_deploy_that_failed() {
    shows(
        &Stand { last: Some(last(RunKind::Deploy, failed(7))), ..well() },
        &expect![[r#"
            mercury  2 hosts, 1 admin

              maia   agent
              ocean  server

              secrets   the cluster's tokens are there
              git       what hosts are made of is committed
              last run  deploy maia, 3 hours ago: failed at gate of maia: k3s is not active

            next
              cargo xtask deploy --resume  go on with it, from the same snapshot
              cargo xtask doctor           find out first why it does not work

            all commands: cargo xtask --help
        "#]],
    );
}

#[test]
fn a_fleet_that_cannot_be_read() {
    let wrong =
        ("hosts/fleet.toml:4: unknown field `nam`".to_owned(), Some("did you mean `name`?".to_owned()));
    shows(
        &Stand { fleet: Err(wrong), last: None, ..well() },
        &expect![[r#"
            ✗ hosts/fleet.toml:4: unknown field `nam`
              hint: did you mean `name`?

              git       what hosts are made of is committed
              last run  none yet

            next
              cargo xtask check  once hosts/fleet.toml is mended

            all commands: cargo xtask --help
        "#]],
    );
}

#[test]
fn forty_hosts_are_counted() {
    let mut stand = well();
    for number in 0..40 {
        let has_key = number % 9 > 0;
        let more = host(&format!("node-{number}"), Some(fleet::Role::Agent));
        hosts(&mut stand).push(HostStand { has_key, ..more });
    }
    hosts(&mut stand).push(HostStand { has_folder: false, ..host("backup", None) });
    shows(
        &stand,
        &expect![[r#"
            mercury  43 hosts, 1 admin

              1 server, 41 agents, 1 outside the cluster
              host key not pinned: node-0, node-9, node-18 and 2 more
              no hosts/NAME/default.nix: backup

              secrets   the cluster's tokens are there
              git       what hosts are made of is committed
              last run  deploy maia, 3 hours ago: ended well

            next
              cargo xtask init      write your key and your hosts' into fleet.toml
              cargo xtask rehearse  or see it all on throwaway machines

            all commands: cargo xtask --help
        "#]],
    );
}

#[test]
fn what_stands_in_the_way_of_more_comes_first() {
    let unknown = Git { unknown: vec!["hosts/maia/new.nix".to_owned()], ..well().git };
    let secrets = Git { uncommitted: vec![SERVER_TOKEN.to_owned()], ..well().git };
    let edited = Git { uncommitted: vec!["hosts/maia/default.nix".to_owned()], ..well().git };
    let newer = Git { committed: Some(at(200)), ..Git::default() };
    let with_last = |kind, end| Stand { last: Some(last(kind, end)), ..well() };
    let with_git = |git: &Git| Stand { git: git.clone(), ..well() };
    let mut no_folder = well();
    hosts(&mut no_folder)[0].has_folder = false;
    let mut no_key = with_last(RunKind::Deploy, failed(3));
    hosts(&mut no_key)[1].has_key = false;
    let rotation = |of| RunKind::Rotation(of);
    for (stand, stage, next) in [
        (Stand { was_cut_off: true, ..new_clone() }, Stage::WriteCutOff, "cargo xtask secrets rekey"),
        (with_last(RunKind::Deploy, End::UnderWay), Stage::RunUnderWay, "cargo xtask status --watch"),
        (with_last(RunKind::Deploy, End::CutOff), Stage::DeployUnfinished, "cargo xtask deploy --resume"),
        (with_last(RunKind::Deploy, failed(4)), Stage::DeployUnfinished, "cargo xtask deploy --resume"),
        (with_last(RunKind::Deploy, failed(5)), Stage::RunFailed, "cargo xtask check"),
        (with_last(RunKind::Other, End::CutOff), Stage::RunFailed, "cargo xtask check"),
        (
            with_last(rotation(Rotated::Agent), failed(4)),
            Stage::RotationUnfinished(Rotated::Agent),
            "cargo xtask token rotate --agent",
        ),
        (
            with_last(rotation(Rotated::Server), End::CutOff),
            Stage::RotationUnfinished(Rotated::Server),
            "cargo xtask token rotate --server",
        ),
        (no_key, Stage::KeysMissing, "cargo xtask init"),
        (no_folder, Stage::CheckFinds, "cargo xtask check"),
        (with_git(&unknown), Stage::CheckFinds, "cargo xtask check"),
        (Stand { has_lock: false, ..well() }, Stage::LockMissing, "nix flake lock"),
        (Stand { missing_tokens: vec![AGENT_TOKEN], ..well() }, Stage::TokensMissing, "cargo xtask rehearse"),
        (
            Stand { has_lock: false, ..with_git(&secrets) },
            Stage::SecretsUncommitted,
            "git add secrets && git commit",
        ),
        (with_git(&edited), Stage::Changed, "cargo xtask check"),
        (with_git(&newer), Stage::Changed, "cargo xtask check"),
        // Somebody else deploys: this clone has no run, and nothing to compare with.
        (Stand { last: None, git: newer.clone(), ..well() }, Stage::Well, "cargo xtask status"),
    ] {
        assert_eq!(Stage::of(&stand), stage, "{stand:?}");
        let suggestions = suggestions(&stand);
        assert_eq!(suggestions[0].0, next, "{stand:?}");
        assert!(suggestions.len() <= 2, "{stand:?}");
        let width = suggestions.iter().map(|(command, _)| command.len()).max().unwrap();
        assert!(suggestions.iter().all(|(_, why)| width + why.len() + 4 <= 80), "{suggestions:?}");
        let event = serde_json::to_value(event(&stand)).unwrap();
        assert_eq!(event["next"][0]["command"], next);
        assert_eq!(event["stage"], stage.name());
    }
}

#[test]
fn a_deploy_is_gone_on_with_from_its_snapshot_unless_there_is_something_newer() {
    let cut_off = Stand { last: Some(last(RunKind::Deploy, End::CutOff)), ..well() };
    assert_eq!(suggestions(&cut_off)[1].0, "cargo xtask doctor");
    let newer = Stand { git: Git { committed: Some(at(200)), ..Git::default() }, ..cut_off };
    assert_eq!(suggestions(&newer)[1].0, "cargo xtask deploy --all --dry-run");
}

#[test]
fn what_git_says_is_told_of_the_flakes_files_only() {
    let status = "?? hosts/maia/a b.nix\0 M secrets.nix\0R  hosts/new.nix\0hosts/old.nix\0 A secrets/a.age\0?? notes.txt\0?? secrets/.agenix.x\0";
    let git = parse(status);
    assert_eq!(git.unknown, ["hosts/maia/a b.nix"]);
    assert_eq!(git.uncommitted, ["secrets.nix", "hosts/new.nix", "secrets/a.age"]);
    assert_eq!(parse(""), Git::default());
}

#[test]
fn time_is_told_as_people_do() {
    let texts = [5, 60, 7199, 7200, 90_000, 10 * 86_400].map(|seconds| ago(Duration::from_secs(seconds)));
    assert_eq!(texts, ["just now", "1 minute ago", "1 hour ago", "2 hours ago", "1 day ago", "10 days ago"]);
}
