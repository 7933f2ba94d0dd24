//! Plans as they are drawn.

use expect_test::expect;
use fleet::{Fleet, Host};

use super::*;
use crate::cli::Goal;
use crate::playbook::{Aim, Token, deploy};

const TWO: &str = r#"
    [cluster]
    name = "mercury"
    domain = "mercury"
    [hosts.maia]
    role = "agent"
    node_ip = "100.64.0.5"
    [hosts.ocean]
    role = "server"
    node_ip = "100.64.0.6"
    labels = ["ncrmro.com/region=us-south-2", "ncrmro.com/storage=fast"]
"#;

fn plan(fleet: &str, goal: Goal) -> Plan {
    let fleet = Fleet::parse(fleet).unwrap();
    let hosts: Vec<&Host> = fleet.hosts.values().filter(|host| host.role.is_some()).collect();
    let aim = Aim { max_failures: 2, ..Aim::new(goal, Token::Expect) };
    deploy("deploy mercury".to_owned(), &fleet, &hosts, aim)
}

fn paper(width: Option<usize>) -> Paper<'static> {
    Paper { width, glyphs: Glyphs::UNICODE, commands: None }
}

#[test]
fn two_hosts_in_a_pipe_and_on_a_narrow_terminal() {
    let plan = plan(TWO, Goal::Switch);
    expect![[r#"
        deploy mercury
        goes on without them if up to 1 of these fail: maia
        ├─ 1. preflight · side by side
        │  ├─ repository   preflight     see that tools, files, keys and readers are those that this needs
        │  ├─ maia         connect       reach it at maia.mercury, by its pinned key; no other deployer may
        │  └─ ocean        connect       reach it at ocean.mercury, by its pinned key; no other deployer may
        ├─ 2. repository
        │  └─ repository   snapshot      resolve the flake once; every host is built from it
        ├─ 3. build · side by side
        │  └─ maia, ocean  build         build its system on the host itself
        ├─ 4. cluster
        │  └─ cluster      k3s           see that K3s' versions may follow those that run, and that the servers' settings agree
        ├─ 5. server
        │  └─ ocean        datastore     copy the datastore, if its version of K3s changes
        │                  activate      activate it, the boot default stays as it is
        │                  verify        over a fresh connection: units, secret, k3s, /readyz, its node Ready
        │                  boot default  make it the boot default
        │                  labels        labels ncrmro.com/region=us-south-2 ncrmro.com/storage=fast, no taints: set what its node lacks, remove what an earlier run set
        ├─ 6. agent token
        │  └─ ocean        agent token   compare ocean's with the secret; encrypt it to its readers if it differs
        ├─ 7. build with token
        │  └─ maia         build         build its system on the host itself
        ├─ 8. agents
        │  └─ maia         activate      activate it, the boot default stays as it is
        │                  verify        over a fresh connection: units, secret, token, k3s, its node Ready
        │                  boot default  make it the boot default
        │                  labels        no labels, no taints: set what its node lacks, remove what an earlier run set
        └─ 9. verify · side by side
           ├─ maia         verify        over a fresh connection: units, secret, token, k3s, its node Ready
           └─ ocean        verify        over a fresh connection: units, secret, k3s, /readyz, its node Ready
    "#]].assert_eq(&tree(&plan, &paper(None)));
    let narrow = tree(&plan, &paper(Some(70)));
    assert!(narrow.lines().all(|line| measure_text_width(line) <= 70), "{narrow}");
    expect![[r#"
        deploy mercury
        goes on without them if up to 1 of these fail: maia
        ├─ 1. preflight · side by side
        │  ├─ repository   preflight     see that tools, files, keys and
        │  │                             readers are those that this needs
        │  ├─ maia         connect       reach it at maia.mercury, by its
        │  │                             pinned key; no other deployer may
        │  └─ ocean        connect       reach it at ocean.mercury, by its
        │                                pinned key; no other deployer may
        ├─ 2. repository
        │  └─ repository   snapshot      resolve the flake once; every host is
        │                                built from it
        ├─ 3. build · side by side
        │  └─ maia, ocean  build         build its system on the host itself
        ├─ 4. cluster
        │  └─ cluster      k3s           see that K3s' versions may follow
        │                                those that run, and that the servers'
        │                                settings agree
        ├─ 5. server
        │  └─ ocean        datastore     copy the datastore, if its version of
        │                                K3s changes
        │                  activate      activate it, the boot default stays
        │                                as it is
        │                  verify        over a fresh connection: units,
        │                                secret, k3s, /readyz, its node Ready
        │                  boot default  make it the boot default
        │                  labels        labels ncrmro.com/region=us-south-2
        │                                ncrmro.com/storage=fast, no taints:
        │                                set what its node lacks, remove what
        │                                an earlier run set
        ├─ 6. agent token
        │  └─ ocean        agent token   compare ocean's with the secret;
        │                                encrypt it to its readers if it
        │                                differs
        ├─ 7. build with token
        │  └─ maia         build         build its system on the host itself
        ├─ 8. agents
        │  └─ maia         activate      activate it, the boot default stays
        │                                as it is
        │                  verify        over a fresh connection: units,
        │                                secret, token, k3s, its node Ready
        │                  boot default  make it the boot default
        │                  labels        no labels, no taints: set what its
        │                                node lacks, remove what an earlier
        │                                run set
        └─ 9. verify · side by side
           ├─ maia         verify        over a fresh connection: units,
           │                             secret, token, k3s, its node Ready
           └─ ocean        verify        over a fresh connection: units,
                                         secret, k3s, /readyz, its node Ready
    "#]]
    .assert_eq(&narrow);
    let ascii = tree(&plan, &Paper { glyphs: Glyphs::ASCII, ..paper(Some(100)) });
    assert!(ascii.is_ascii(), "{ascii}");
}

#[test]
fn forty_agents_are_no_more_to_read_than_four() {
    let mut fleet = TWO.to_owned();
    for number in 1..=39 {
        fleet += &format!("[hosts.node-{number:02}]\nrole = \"agent\"\nnode_ip = \"100.64.1.{number}\"\n");
    }
    let drawn = tree(&plan(&fleet, Goal::Switch), &paper(Some(100)));
    assert!(
        drawn.lines().all(|line| measure_text_width(line) <= 100) && drawn.lines().count() < 52,
        "{drawn}"
    );
    expect![[r#"
        deploy mercury
        goes on without them if up to 2 of these fail: maia, node-01 … node-39
        ├─ 1. preflight · side by side
        │  ├─ repository         preflight     see that tools, files, keys and readers are those that this
        │  │                                   needs
        │  └─ maia, node-01 … node-39, ocean
        │                        connect       reach it at … by its pinned key; no other deployer may
        ├─ 2. repository
        │  └─ repository         snapshot      resolve the flake once; every host is built from it
        ├─ 3. build · side by side
        │  └─ maia, node-01 … node-39, ocean
        │                        build         build its system on the host itself
        ├─ 4. cluster
        │  └─ cluster            k3s           see that K3s' versions may follow those that run, and that
        │                                      the servers' settings agree
        ├─ 5. server
        │  └─ ocean              datastore     copy the datastore, if its version of K3s changes
        │                        activate      activate it, the boot default stays as it is
        │                        verify        over a fresh connection: units, secret, k3s, /readyz, its
        │                                      node Ready
        │                        boot default  make it the boot default
        │                        labels        labels ncrmro.com/region=us-south-2 ncrmro.com/storage=fast,
        │                                      no taints: set what its node lacks, remove what an earlier
        │                                      run set
        ├─ 6. agent token
        │  └─ ocean              agent token   compare ocean's with the secret; encrypt it to its readers if
        │                                      it differs
        ├─ 7. build with token · side by side
        │  └─ maia, node-01 … node-39
        │                        build         build its system on the host itself
        ├─ 8. first agent
        │  └─ maia               activate      activate it, the boot default stays as it is
        │                        verify        over a fresh connection: units, secret, token, k3s, its node
        │                                      Ready
        │                        boot default  make it the boot default
        │                        labels        no labels, no taints: set what its node lacks, remove what an
        │                                      earlier run set
        ├─ 9 to 12. agents · in 4 batches, one after the other
        │  └─ node-01 … node-39  activate      activate it, the boot default stays as it is
        │                        verify        over a fresh connection: units, secret, token, k3s, its node
        │                                      Ready
        │                        boot default  make it the boot default
        │                        labels        no labels, no taints: set what its node lacks, remove what an
        │                                      earlier run set
        └─ 13. verify · side by side
           ├─ maia, node-01 … node-39
           │                     verify        over a fresh connection: units, secret, token, k3s, its node
           │                                   Ready
           └─ ocean              verify        over a fresh connection: units, secret, k3s, /readyz, its
                                               node Ready
    "#]]
    .assert_eq(&drawn);
}

#[test]
fn commands_stand_below_their_steps() {
    let commands = |action: &Action| match action {
        Action::Build { host, .. } => vec![format!(
            "$ nixos-rebuild build --flake /nix/store/SNAPSHOT-source#{host} --build-host root@{host} --target-host root@{host}"
        )],
        Action::Snapshot { .. } => vec!["$ nix flake metadata --json .".to_owned()],
        _ => Vec::new(),
    };
    let paper = Paper { commands: Some(&commands), ..paper(Some(80)) };
    expect![[r#"
        deploy mercury
        goes on without them if up to 1 of these fail: maia
        ├─ 1. preflight · side by side
        │  ├─ repository   preflight  see that tools, files, keys and readers are those
        │  │                          that this needs
        │  ├─ maia         connect    reach it at maia.mercury, by its pinned key
        │  └─ ocean        connect    reach it at ocean.mercury, by its pinned key
        ├─ 2. repository
        │  └─ repository   snapshot   resolve the flake once; every host is built from
        │                             it
        │                    $ nix flake metadata --json .
        └─ 3. build · side by side
           └─ maia, ocean  build      build its system on the host itself
                             $ nixos-rebuild build --flake
                               /nix/store/SNAPSHOT-source#maia --build-host root@maia
                               --target-host root@maia
                             and so for each of them
    "#]]
    .assert_eq(&tree(&plan(TWO, Goal::Build), &paper));
}
