//! The screen as it is seen, from what hosts say.

use expect_test::expect;

use console::measure_text_width;
use fleet::Fleet;

use super::screen::{lines, wrap};
use super::survey::{Looked, Survey};
use super::view::Remark;
use crate::failure::{Failure, Kind};
use crate::run::{Kept, Seen};

const FLEET: &str = "[cluster]\nname = \"mercury\"\ndomain = \"mercury\"\n\
    [hosts.attic]\n[hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\n\
    [hosts.maia]\nrole = \"agent\"\nnode_ip = \"100.64.0.5\"\n\
    [hosts.luna]\nrole = \"agent\"\nnode_ip = \"100.64.0.4\"\n";

const NODES: &str = r#"{"items":[
    {"metadata":{"name":"ocean"},"status":{"conditions":[{"type":"Ready","status":"True"}],
     "nodeInfo":{"kubeletVersion":"v1.34.2+k3s1"}}},
    {"metadata":{"name":"maia"},"spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],
     "nodeInfo":{"kubeletVersion":"v1.34.2+k3s1"}}},
    {"metadata":{"name":"vega"},"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}]}"#;

fn seen(system: &str) -> Seen {
    let system = Some(format!("/nix/store/{system}"));
    let generation =
        |number, made, system: &str| Kept { number, made, system: format!("/nix/store/{system}") };
    Seen {
        clock: 1_700_000_000,
        running: system.clone(),
        boot: system.clone(),
        booted: system,
        generations: vec![generation(11, 1_699_000_000, "old"), generation(12, 1_699_990_000, "new")],
        unit: k3s::unit::parse("Id=k3s.service\nLoadState=loaded\nActiveState=active"),
        token: Some("one".to_owned()),
        ..Seen::default()
    }
}

fn all_well(host: &str) -> Seen {
    let nodes = (host == "ocean").then(|| Ok(k3s::node::parse_list(NODES.as_bytes()).unwrap()));
    Seen { nodes, ..seen("new") }
}

fn drawn(width: Option<usize>, say: impl Fn(&str) -> crate::failure::Result<Seen>) -> String {
    console::set_colors_enabled(false);
    let fleet = Fleet::parse(FLEET).unwrap();
    let looked = |host| Looked { host, seen: say(host.name.as_str()), drift: None };
    let mut shown: Vec<Looked<'_>> = fleet.hosts.values().map(looked).collect();
    shown.sort_by_key(|looked| std::cmp::Reverse(looked.host.role.map(|role| role.to_string())));
    let first = fleet.first_server().map(|host| host.name.clone());
    let secret = "its readers are not those of secrets.nix: also for vega".to_owned();
    let hint = Some("cargo xtask secrets rekey".to_owned());
    let secrets = vec![Remark::new(&"secrets/a-name-that-is-long.age", secret, hint)];
    let survey = Survey { shown, consulted: None, first, secrets };
    let lines = lines(&survey, &fleet, width);
    assert!(
        width.is_none_or(|width| lines.iter().all(|line| measure_text_width(line) <= width)),
        "{lines:?}"
    );
    lines.join("\n") + "\n"
}

fn trouble(host: &str) -> crate::failure::Result<Seen> {
    let well = all_well(host);
    Ok(match host {
        "ocean" => Seen {
            rollback: true,
            holder: Some("ncrmro on laptop, process 4711, since 2026-01-02T03:04:05Z".to_owned()),
            other_kernel: true,
            ..well
        },
        "maia" => Seen {
            token: Some("another".to_owned()),
            failed: vec!["frobnicate.service".to_owned(), "x.mount".to_owned()],
            boot: Some("/nix/store/old".to_owned()),
            certificates: k3s::certificate::parse(
                "msg=\"client-kubelet.crt: certificate x (ClientAuth) will expire within 120 days at 2023-12-14T22:13:20Z\"",
            ),
            ..well
        },
        "luna" => {
            let silent =
                Failure::new(Kind::Unreachable, "luna does not answer: luna.mercury: Connection timed out");
            return Err(silent.hint("is the host up, is the mesh connected (`tailscale status`)?".to_owned()));
        }
        _ => well,
    })
}

#[test]
fn trouble_is_told_within_80_columns() {
    expect![[r#"
        mercury  3 of 4 hosts reached, 2 of 3 nodes Ready

          host   role    node      k3s           generation
        ! ocean  server  Ready     v1.34.2+k3s1  12, 2 h     reboot due: another kernel
                                                             rollback timer armed
                                                             being deployed by ncrmro on
                                                             laptop, process 4711, since
                                                             2026-01-02T03:04:05Z
        ✗ luna   agent   none      –             –           unreachable
        ! maia   agent   cordoned  v1.34.2+k3s1  12, 2 h     it has joined, and a first
                                                             join would be refused: its
                                                             token is not ocean's
                                                             reboot due: another system
                                                             is the boot default
                                                             2 failed units:
                                                             frobnicate.service x.mount
                                                             client-kubelet.crt ends in
                                                             30 d; a restart of k3s
                                                             renews it
        ✓ attic  –       –         –             12, 2 h     well

        ✗ luna  luna does not answer: luna.mercury: Connection timed out
                hint: is the host up, is the mesh connected (`tailscale status`)?
        ✗ vega  a node of the cluster that is no host of hosts/fleet.toml
                hint: if it is gone for good, on ocean: k3s kubectl delete node vega
        ✗ secrets/a-name-that-is-long.age
          its readers are not those of secrets.nix: also for vega
          hint: cargo xtask secrets rekey
    "#]]
    .assert_eq(&drawn(Some(80), trouble));
}

#[test]
fn without_a_terminal_a_host_is_a_line() {
    expect![[r#"
        mercury  3 of 4 hosts reached, 2 of 3 nodes Ready

          host   role    node      k3s           generation
        ! ocean  server  Ready     v1.34.2+k3s1  12, 2 h     reboot due: another kernel; rollback timer armed; being deployed by ncrmro on laptop, process 4711, since 2026-01-02T03:04:05Z
        ✗ luna   agent   none      –             –           unreachable
        ! maia   agent   cordoned  v1.34.2+k3s1  12, 2 h     it has joined, and a first join would be refused: its token is not ocean's; reboot due: another system is the boot default; 2 failed units: frobnicate.service x.mount; client-kubelet.crt ends in 30 d; a restart of k3s renews it
        ✓ attic  –       –         –             12, 2 h     well

        ✗ luna  luna does not answer: luna.mercury: Connection timed out
                hint: is the host up, is the mesh connected (`tailscale status`)?
        ✗ vega  a node of the cluster that is no host of hosts/fleet.toml
                hint: if it is gone for good, on ocean: k3s kubectl delete node vega
        ✗ secrets/a-name-that-is-long.age  its readers are not those of secrets.nix: also for vega
                                           hint: cargo xtask secrets rekey
    "#]].assert_eq(&drawn(None, trouble));
}

#[test]
fn nothing_is_said_of_nodes_that_nobody_could_ask_for() {
    let silent = |host: &str| match host {
        "ocean" => Err(Failure::new(Kind::Unreachable, "ocean does not answer")),
        _ => Ok(all_well(host)),
    };
    expect![[r#"
        mercury  3 of 4 hosts reached, nodes not known

          host   role    node  k3s  generation
        ✗ ocean  server  ?     –    –           unreachable
        ! luna   agent   ?     –    12, 2 h     its node is not known
        ! maia   agent   ?     –    12, 2 h     its node is not known
        ✓ attic  –       –     –    12, 2 h     well

        ✗ ocean  ocean does not answer
        ✗ secrets/a-name-that-is-long.age
          its readers are not those of secrets.nix: also for vega
          hint: cargo xtask secrets rekey
    "#]]
    .assert_eq(&drawn(Some(80), silent));
    let down = |host: &str| {
        let nodes = (host == "ocean").then(|| Err("The connection to the server was refused".to_owned()));
        Ok(Seen { nodes, ..all_well(host) })
    };
    expect![[r#"
        mercury  4 of 4 hosts reached, nodes not known

          host   role    node  k3s  generation
        ✗ ocean  server  ?     –    12, 2 h     its API server does not answer
        ! luna   agent   ?     –    12, 2 h     its node is not known
        ! maia   agent   ?     –    12, 2 h     its node is not known
        ✓ attic  –       –     –    12, 2 h     well

        ✗ ocean  its API server does not answer, so no node is known: The connection to
                 the server was refused
                 hint: cargo xtask doctor
        ✗ secrets/a-name-that-is-long.age
          its readers are not those of secrets.nix: also for vega
          hint: cargo xtask secrets rekey
    "#]]
    .assert_eq(&drawn(Some(80), down));
}

#[test]
fn stopped_is_told_from_broken_and_too_old_from_both() {
    let unit = |state: &str| {
        let text = format!(
            "Id=k3s.service\nLoadState=loaded\nRestart=always\nRestartUSec=5s\n{state}\nExecMainExitTimestampMonotonic=9\n\
             StateChangeTimestampMonotonic=10\n"
        );
        k3s::unit::parse(&text)
    };
    let failed = vec!["k3s.service".to_owned()];
    let say = |host: &str| {
        let well = all_well(host);
        Ok(match host {
            // Told to stop, it ended with exit code 1.
            "maia" => Seen {
                unit: unit("ActiveState=failed\nSubState=failed\nResult=exit-code"),
                failed: failed.clone(),
                ..well
            },
            "luna" => Seen {
                unit: unit("ActiveState=activating\nSubState=auto-restart\nResult=exit-code\nNRestarts=7"),
                ..well
            },
            // Without a file for agents' token; theirs are right.
            "ocean" => Seen { version: Some("v1.21.3+k3s1".to_owned()), token: None, ..well },
            _ => well,
        })
    };
    expect![[r#"
        mercury  4 of 4 hosts reached, 2 of 3 nodes Ready

          host   role    node      k3s           generation
        ✗ ocean  server  Ready     v1.34.2+k3s1  12, 2 h     K3s 1.21.3+k3s1 is too old: cargo xtask supports 1.28.4+k3s1 and newer
        ✗ luna   agent   none      –             12, 2 h     k3s.service ends by itself and was started again 7 times: journalctl -u k3s.service
        ✗ maia   agent   cordoned  v1.34.2+k3s1  12, 2 h     k3s.service was stopped: systemctl start k3s.service
        ✓ attic  –       –         –             12, 2 h     well

        ✗ vega  a node of the cluster that is no host of hosts/fleet.toml
                hint: if it is gone for good, on ocean: k3s kubectl delete node vega
        ✗ luna  the cluster has no node of its name
                hint: cargo xtask verify luna
        ✗ secrets/a-name-that-is-long.age  its readers are not those of secrets.nix: also for vega
                                           hint: cargo xtask secrets rekey
    "#]].assert_eq(&drawn(None, say));
}

#[test]
fn notes_stand_below_where_there_is_no_room_beside() {
    expect![[r#"
        mercury  3 of 4 hosts reached, 2 of 3 nodes Ready

          host   role    node      k3s           generati…
        ! ocean  server  Ready     v1.34.2+k3s1  12, 2 h
            reboot due: another kernel
            rollback timer armed
            being deployed by ncrmro on laptop, process
            4711, since 2026-01-02T03:04:05Z
        ✗ luna   agent   none      –             –
            unreachable
        ! maia   agent   cordoned  v1.34.2+k3s1  12, 2 h
            it has joined, and a first join would be
            refused: its token is not ocean's
            reboot due: another system is the boot default
            2 failed units: frobnicate.service x.mount
            client-kubelet.crt ends in 30 d; a restart of
            k3s renews it
        ✓ attic  –       –         –             12, 2 h
            well

        ✗ luna  luna does not answer: luna.mercury:
                Connection timed out
                hint: is the host up, is the mesh
                      connected (`tailscale status`)?
        ✗ vega  a node of the cluster that is no host of
                hosts/fleet.toml
                hint: if it is gone for good, on ocean:
                      k3s kubectl delete node vega
        ✗ secrets/a-name-that-is-long.age
          its readers are not those of secrets.nix: also
          for vega
          hint: cargo xtask secrets rekey
    "#]]
    .assert_eq(&drawn(Some(50), trouble));
}

#[test]
fn a_text_is_wrapped_at_blanks_and_cut_where_there_is_none() {
    assert_eq!(wrap("one two three", 8), ["one two", "three"]);
    assert_eq!(wrap("a-word-that-is-long b", 8), ["a-word-t", "hat-is-l", "ong b"]);
    assert_eq!(wrap("", 8), <[&str; 0]>::default());
}
