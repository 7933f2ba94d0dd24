//! A secrets.nix that a person wrote: the document's own is edited, another is left alone.

use std::fs;

use expect_test::expect;

use super::offline::{add, cluster, commit, readable, state, xtask};
use crate::secrets::Cluster;
use crate::support::run;

/// "Secrets Configuration" of the document, to the letter but for the keys.
const DOCUMENT: &str = r#"let
  users = {
    ncrmro = "ME"; # Admin SSH key
  };
  
  systems = {
    ocean = "OCEAN"; # Server node SSH key
    maia = "MAIA";  # Agent node SSH key
  };

  adminKeys = [users.ncrmro];
  k3sServers = [systems.ocean];  # Only server nodes
  k3sAgents = [systems.maia];    # Only agent nodes
in {
  # Server token - only servers can decrypt
  "secrets/k3s-server-token.age".publicKeys = adminKeys ++ k3sServers;
  
  # Agent token - only agents can decrypt
  "secrets/k3s-agent-token.age".publicKeys = adminKeys ++ k3sAgents;
}
"#;

fn literal(text: &str) -> Cluster {
    let cluster = cluster();
    let me = fs::read_to_string(cluster.private("me.pub")).unwrap();
    let me = me.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let text = text.replace("ME\"", &format!("{me}\""));
    let text = text.replace("OCEAN", &cluster.public("ocean")).replace("MAIA", &cluster.public("maia"));
    fs::write(cluster.path("secrets.nix"), text).unwrap();
    commit(&cluster);
    cluster
}

fn diff(cluster: &Cluster) -> String {
    let argv = ["git", "diff", "--unified=0", "--", "secrets.nix", "hosts/fleet.toml"];
    let diff = run(&argv, cluster.clone.path(), &[]).expect(0).stdout;
    let lines = diff.lines().filter(|line| line.starts_with(['+', '-', '@']));
    readable(cluster, &lines.map(|line| format!("{line}\n")).collect::<String>())
}

#[test]
fn the_documents_form_gets_an_agent_in_two_lines() {
    let cluster = literal(DOCUMENT);
    xtask(&cluster, &add(&cluster, "new-agent", "agent"), &["--yes"]).expect(0);
    expect![[r#"
        --- a/hosts/fleet.toml
        +++ b/hosts/fleet.toml
        @@ -48,0 +49,6 @@ labels = ["ncrmro.com/region=us-south-2"]
        +
        +[hosts.new-agent]
        +role = "agent"
        +node_ip = "100.64.0.7"
        +addresses = ["new-agent.mercury", "100.64.0.7"]
        +ssh_host_key = "KEY OF new-agent"
        --- a/secrets.nix
        +++ b/secrets.nix
        @@ -8,0 +9 @@ let
        +    new-agent = "KEY OF new-agent";
        @@ -13 +14 @@ let
        -  k3sAgents = [systems.maia];    # Only agent nodes
        +  k3sAgents = [systems.maia systems.new-agent];    # Only agent nodes
    "#]]
    .assert_eq(&diff(&cluster));
    assert_eq!(cluster.content("secrets/k3s-agent-token.age", "new-agent"), "agent");
    cluster.xtask(&["check"]).expect(0);
    commit(&cluster);
    // Out again, as the file was.
    cluster.clone.fleet("\"ocean.mercury\", \"100.64.0.6\"", "\"nowhere.invalid\"");
    cluster.xtask(&["node", "remove", "new-agent", "--force", "--yes"]).expect(0);
    assert!(!fs::read_to_string(cluster.path("secrets.nix")).unwrap().contains("new-agent"));
    assert!(!cluster.content_is_for("secrets/k3s-agent-token.age", "new-agent"));
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn the_documents_form_gets_a_server_in_two_lines() {
    let cluster = literal(DOCUMENT);
    cluster.clone.fleet("# first_server = \"ocean\"", "first_server = \"ocean\"");
    commit(&cluster);
    xtask(&cluster, &add(&cluster, "new-server", "server"), &["--yes"]).expect(0);
    expect![[r#"
        --- a/hosts/fleet.toml
        +++ b/hosts/fleet.toml
        @@ -48,0 +49,6 @@ labels = ["ncrmro.com/region=us-south-2"]
        +
        +[hosts.new-server]
        +role = "server"
        +node_ip = "100.64.0.7"
        +addresses = ["new-server.mercury", "100.64.0.7"]
        +ssh_host_key = "KEY OF new-agent"
        --- a/secrets.nix
        +++ b/secrets.nix
        @@ -7,0 +8 @@ let
        +    new-server = "KEY OF new-agent";
        @@ -12 +13 @@ let
        -  k3sServers = [systems.ocean];  # Only server nodes
        +  k3sServers = [systems.ocean systems.new-server];  # Only server nodes
    "#]]
    .assert_eq(&diff(&cluster));
    assert_eq!(cluster.content("secrets/k3s-server-token.age", "new-agent"), "server");
    assert!(!cluster.content_is_for("secrets/k3s-agent-token.age", "new-agent"));
}

#[test]
fn the_documents_form_gets_another_key_in_one_line() {
    let cluster = literal(DOCUMENT);
    cluster.clone.fleet("\"ocean.mercury\", \"100.64.0.6\"", "\"nowhere.invalid\"");
    commit(&cluster);
    let key = cluster.public("new-agent");
    cluster.xtask(&["node", "pin", "maia", "--host-key", &key, "--yes"]).expect(4);
    expect![[r#"
        --- a/hosts/fleet.toml
        +++ b/hosts/fleet.toml
        @@ -42 +42 @@ build_on = "target"
        -ssh_host_key = "KEY OF maia"
        +ssh_host_key = "KEY OF new-agent"
        --- a/secrets.nix
        +++ b/secrets.nix
        @@ -8 +8 @@ let
        -    maia = "KEY OF maia";  # Agent node SSH key
        +    maia = "KEY OF new-agent";  # Agent node SSH key
    "#]]
    .assert_eq(&diff(&cluster));
    assert_eq!(cluster.content("secrets/k3s-agent-token.age", "new-agent"), "agent");
    assert!(!cluster.content_is_for("secrets/k3s-agent-token.age", "maia"));
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn another_form_is_left_alone_and_the_edit_is_told() {
    let cluster = literal(&DOCUMENT.replace("[systems.maia];  ", "with systems; [ maia ];"));
    let before = state(&cluster);
    let argv = add(&cluster, "new-agent", "agent");
    let answer = xtask(&cluster, &argv, &["--yes"]).expect(3);
    expect![[r#"
        error: secrets.nix:13: `k3sAgents` is not written out as [ … ]
        note: nothing was changed
        hint: by hand, add to `systems`:
          new-agent = "KEY OF new-agent";
        and to the list `k3sAgents`:
          systems.new-agent
        then run this again
    "#]]
    .assert_eq(&readable(&cluster, &answer.stderr));
    assert_eq!(answer.stdout, "");
    assert_eq!(state(&cluster), before);
    // With that edit made it is done, and secrets.nix is left as it is.
    let file = cluster.path("secrets.nix");
    let text = fs::read_to_string(&file).unwrap().replace("[ maia ]", "[ maia new-agent ]").replace(
        "  };\n\n  adminKeys",
        &format!("    new-agent = \"{}\";\n  }};\n\n  adminKeys", cluster.public("new-agent")),
    );
    fs::write(&file, &text).unwrap();
    xtask(&cluster, &argv, &["--yes"]).expect(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(cluster.content("secrets/k3s-agent-token.age", "new-agent"), "agent");
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn rules_that_do_not_follow_from_the_lists_are_not_guessed_at() {
    let named = "adminKeys ++ [systems.maia]";
    let cluster = literal(&DOCUMENT.replace("adminKeys ++ k3sAgents", named));
    let before = state(&cluster);
    let answer = xtask(&cluster, &add(&cluster, "new-agent", "agent"), &["--yes"]).expect(3);
    expect![[r#"
        error: the rules of secrets.nix do not follow from `systems`, `k3sServers` and `k3sAgents` alone
        note: nothing was changed
        hint: change the rules by hand, then run it again
    "#]]
    .assert_eq(&answer.stderr);
    assert_eq!(state(&cluster), before);
}
