//! What is shown before it is written, what is refused, and what is left as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use crate::secrets::Cluster;
use crate::support::{Answer, CTRL_C, Clone, XTASK, run, run_at_terminal};

/// A cluster with both tokens, all of it committed, and the key of a host that it does not have.
pub(super) fn cluster() -> Cluster {
    let cluster = Cluster::new("");
    cluster.keep("secrets/k3s-server-token.age", "server", &["me", "ocean"]);
    cluster.keep("secrets/k3s-agent-token.age", "agent", &["me", "maia"]);
    cluster.key("new-agent");
    commit(&cluster);
    cluster
}

pub(super) fn commit(cluster: &Cluster) {
    cluster.clone.git(&["add", "--all"]);
    let who = ["-c", "user.name=me", "-c", "user.email=me@localhost"];
    cluster.clone.git(&[&who[..], &["commit", "--quiet", "--allow-empty", "--message=as it is"]].concat());
}

/// Every file of the repository, and what git knows.
pub(super) fn state(cluster: &Cluster) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.ends_with(".git") => {}
                path if path.is_dir() => {
                    into.insert(path.clone(), Vec::new());
                    collect(&path, into);
                }
                path => drop(into.insert(path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    let mut state = BTreeMap::new();
    collect(cluster.clone.path(), &mut state);
    let known = run(&["git", "ls-files", "--stage"], cluster.clone.path(), &[]).expect(0).stdout;
    state.insert("git".into(), known.into_bytes());
    state
}

/// The words of an add that needs no network.
pub(super) fn add(cluster: &Cluster, name: &str, role: &str) -> Vec<String> {
    let key = cluster.public("new-agent");
    let words = ["node", "add", name, "--role", role, "--host-key", &key, "--no-deploy"];
    words.map(str::to_owned).into()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

pub(super) fn xtask(cluster: &Cluster, argv: &[String], more: &[&str]) -> Answer {
    cluster.xtask(&[&words(argv)[..], more].concat())
}

/// With keys and fingerprints by their owners' names, as a test can have it.
pub(super) fn readable(cluster: &Cluster, text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["ocean", "maia", "new-agent", "me"]
        .iter()
        .filter(|name| cluster.private(&format!("{name}.pub")).exists())
    {
        let key = cluster.public(name);
        text = text.replace(&fleet::PublicKey::new(&key).unwrap().fingerprint(), &format!("SHA256:{name}"));
        text = text.replace(&key, &format!("KEY OF {name}"));
    }
    // An empty line of a difference is a blank.
    text.replace(cluster.clone.path().to_str().unwrap(), "REPO").replace("\n \n", "\n\n")
}

#[test]
fn everything_that_is_written_is_shown_before() {
    let cluster = cluster();
    let before = state(&cluster);
    let argv = add(&cluster, "new-agent", "agent");
    let more = ["--taint", "a.b/c=d:NoExecute", "--label", "e=f", "--tag", "g", "--build-on", "local"];
    let answer = xtask(&cluster, &argv, &[&more[..], &["--dry-run"]].concat()).expect(0);
    expect![[r#"
        host key of new-agent SHA256:new-agent  as given

        --- a/hosts/fleet.toml
        +++ b/hosts/fleet.toml
        @@ -46,3 +46,13 @@ addresses = ["maia.mercury", "100.64.0.5"]
         build_on = "target"
         taints = ["ncrmro.com/region=us-south-2:NoSchedule"]
         labels = ["ncrmro.com/region=us-south-2"]
        +
        +[hosts.new-agent]
        +role = "agent"
        +node_ip = "100.64.0.7"
        +addresses = ["new-agent.mercury", "100.64.0.7"]
        +build_on = "local"
        +ssh_host_key = "KEY OF new-agent"
        +taints = ["a.b/c=d:NoExecute"]
        +labels = ["e=f"]
        +tags = ["g"]

        --- /dev/null
        +++ b/hosts/new-agent/default.nix
        @@ -0,0 +1,22 @@
        +# new-agent: a K3s agent. Its addresses, keys and role stand in ../fleet.toml.
        +#
        +# What belongs to the machine itself (disks, boot loader, kernel modules) goes into
        +# hardware-configuration.nix, as the machine says it:
        +#
        +#   ssh root@new-agent.mercury nixos-generate-config --show-hardware-config > hosts/new-agent/hardware-configuration.nix
        +#   git add hosts/new-agent/hardware-configuration.nix
        +#
        +# plus its boot loader, for example `boot.loader.systemd-boot.enable = true;` in this file. Nothing
        +# is guessed here: until then NixOS itself refuses to build new-agent and names what it misses.
        +{ lib, ... }:
        +{
        +  imports = [
        +    ../common/base.nix
        +    ../common/optional/agenix.nix
        +    ./k3s.nix
        +  ]
        +  ++ lib.optional (builtins.pathExists ./hardware-configuration.nix) ./hardware-configuration.nix;
        +
        +  # The NixOS release this host was installed with. Not to be raised on upgrades.
        +  system.stateVersion = "25.11";
        +}

        --- /dev/null
        +++ b/hosts/new-agent/k3s.nix
        @@ -0,0 +1,5 @@
        +# K3s on new-agent: an agent, as hosts/fleet.toml says. What only new-agent needs goes below, for example
        +# `services.k3s.extraFlags = [ "--kubelet-arg=max-pods=200" ];`, which adds to the common flags.
        +{
        +  imports = [ ../common/k3s/agent.nix ];
        +}

        secrets encrypted anew
          secrets/k3s-agent-token.age  +new-agent
    "#]].assert_eq(&readable(&cluster, &answer.stdout));
    assert_eq!(state(&cluster), before, "a dry run writes nothing");
    let done = xtask(&cluster, &argv, &[&more[..], &["--yes"]].concat()).expect(0);
    assert_eq!(
        done.stdout,
        format!("{}✓ new-agent is added to the repository\n", answer.stdout),
        "what was shown is what was done"
    );
    assert!(done.stderr.contains("to go on: cargo xtask deploy new-agent"), "{}", done.stderr);
    for reader in ["me", "maia", "new-agent"] {
        assert_eq!(cluster.content("secrets/k3s-agent-token.age", reader), "agent");
    }
    cluster.xtask(&["check"]).expect(0);
    // And back: nothing of it is left.
    commit(&cluster);
    let remove = ["node", "remove", "new-agent", "--yes", "--force"];
    cluster.clone.fleet("\"ocean.mercury\", \"100.64.0.6\"", "\"nowhere.invalid\"");
    cluster
        .xtask(&remove)
        .expect(0)
        .says("--force: nothing is done in the cluster; its node new-agent stays there");
    cluster.clone.fleet("\"nowhere.invalid\"", "\"ocean.mercury\", \"100.64.0.6\"");
    let mut after = state(&cluster);
    let mut before = before;
    for state in [&mut after, &mut before] {
        state.retain(|path, _| !path.ends_with("k3s-agent-token.age") && !path.ends_with("git"));
    }
    assert_eq!(after, before);
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn what_cannot_be_added_is_refused_before_anybody_is_asked() {
    let cluster = cluster();
    let before = state(&cluster);
    let key = cluster.public("new-agent");
    let refuses = |words: &[&str], code: i32, expect: &Expect| {
        let answer = cluster.xtask(&[&["node"], words].concat()).expect(code);
        expect.assert_eq(&readable(&cluster, &answer.stderr));
        assert_eq!(state(&cluster), before, "{words:?}");
    };
    let agent = ["--role", "agent", "--yes"];
    let add = |words: &[&str], code: i32, expect: &Expect| {
        refuses(&[&["add"], words, &agent].concat(), code, expect);
    };
    add(
        &["maia"],
        2,
        &expect![[r#"
        error: there is a host `maia` in hosts/fleet.toml already
        hint: choose another name, or remove that host first
    "#]],
    );
    add(
        &["Maia"],
        2,
        &expect![[r#"
        error: `Maia` is not a host name: lower-case letters, digits and inner dashes, at most 63
    "#]],
    );
    add(
        &["-x"],
        2,
        &expect![[r#"
            error: unexpected argument `-x` found
            hint: usage: cargo xtask node add [OPTIONS] --role <ROLE> <NAME>
        "#]],
    );
    add(
        &["alma", "--node-ip", "100.64.0.5"],
        3,
        &expect![[r#"
        error: failed to edit hosts/fleet.toml: hosts.alma.node_ip: 100.64.0.5 is the node_ip of maia already
        note: nothing was changed
        hint: give each node an address of its own
    "#]],
    );
    add(
        &["alma", "--node-ip", "10.0.0.1"],
        3,
        &expect![[r#"
        error: failed to edit hosts/fleet.toml: hosts.alma.node_ip: 10.0.0.1 is outside of cluster.network (100.64.0.0/10)
        note: nothing was changed
        hint: give the host's address in the mesh
    "#]],
    );
    add(
        &["alma", "--node-ip", "next"],
        2,
        &expect![[r#"
        error: --node-ip: `next` is not an IP address
    "#]],
    );
    add(
        &["alma", "--address", "ocean.mercury"],
        3,
        &expect![[r#"
        error: failed to edit hosts/fleet.toml: hosts.alma.addresses: ocean.mercury is an address of ocean already
        note: nothing was changed
        hint: the pinned key is looked up by address: each belongs to one host
    "#]],
    );
    add(
        &["alma", "--address", "-oProxyCommand=x"],
        2,
        &expect![[r#"
            error: unexpected argument `-o` found
            hint: usage: cargo xtask node add [OPTIONS] --role <ROLE> <NAME>
        "#]],
    );
    add(
        &["alma", "--taint", "a=b"],
        3,
        &expect![[r#"
        error: failed to edit hosts/fleet.toml: hosts.alma.taints: `a=b` is not of the right form
        note: nothing was changed
        hint: key=value:NoSchedule, or PreferNoSchedule, or NoExecute
    "#]],
    );
    add(
        &["alma", "--build-on", "ocaen"],
        2,
        &expect![[r#"
        error: there is no host `ocaen` in hosts/fleet.toml
        hint: did you mean `ocean`?
    "#]],
    );
    add(
        &["alma", "--host-key", "nowhere.pub"],
        2,
        &expect![[r#"
        error: --host-key: `nowhere.pub` is not a usable public key: it should begin with `ssh-ed25519 ` or `ssh-rsa `
        hint: a key (`ssh-ed25519 AAAA…`) or the file of one, such as ssh_host_ed25519_key.pub
    "#]],
    );
    add(
        &["alma", "--host-key", &cluster.public("maia")],
        3,
        &expect![[r#"
        error: failed to edit hosts/fleet.toml: hosts.alma.ssh_host_key: this is the host key of maia already
        note: nothing was changed
        hint: a machine cloned from another needs host keys of its own: `ssh-keygen -A` there
    "#]],
    );
    add(
        &["alma", "--address", "192.0.2.1", "--address", "nowhere.invalid"],
        4,
        &expect![[r#"
        error: no answer from alma at 192.0.2.1 or nowhere.invalid
        note: nothing was changed
        hint: is it up, is the address right? --host-key KEY needs no answer
    "#]],
    );
    refuses(
        &["add", "alma", "--role", "server", "--host-key", &key, "--yes"],
        3,
        &expect![[r#"
        error: failed to edit hosts/fleet.toml: hosts.alma.role: a second server, and no first one named
        note: nothing was changed
        hint: add first_server = "ocean" to [cluster]: the one that the others join
    "#]],
    );
    refuses(
        &["add", "alma", "--role", "agent", "--host-key", &key],
        2,
        &expect![[r#"
        error: this has to be confirmed, and nobody can be asked here
        note: nothing was changed
        hint: look at it with --dry-run, then run it with --yes
    "#]],
    );
    refuses(
        &["remove", "ocean", "--yes"],
        3,
        &expect![[r#"
        error: ocean is the only server: without it there is no cluster
        note: nothing was changed
        hint: add another server first: cargo xtask node add NAME --role server
    "#]],
    );
    refuses(
        &["remove", "maja", "--yes"],
        2,
        &expect![[r#"
        error: there is no host `maja` in hosts/fleet.toml
        hint: did you mean `maia`?
    "#]],
    );
    refuses(
        &["pin", "maja"],
        2,
        &expect![[r#"
        error: there is no host `maja` in hosts/fleet.toml
        hint: did you mean `maia`?
    "#]],
    );
    refuses(
        &["pin", "maia", "--host-key", &cluster.public("ocean"), "--yes"],
        3,
        &expect![[r#"
            error: this is the host key of ocean already
            note: nothing was changed
            hint: a machine cloned from another needs host keys of its own: `ssh-keygen -A` there
        "#]],
    );
}

#[test]
fn what_nobody_at_hand_can_decrypt_stops_it_before_the_question() {
    let cluster = cluster();
    cluster.keep("secrets/k3s-agent-token.age", "agent", &["maia"]);
    commit(&cluster);
    let before = state(&cluster);
    let argv = add(&cluster, "new-agent", "agent");
    let answer = xtask(&cluster, &argv, &[]).expect(3);
    let told = answer.stderr.replace(cluster.home().to_str().unwrap(), "HOME");
    expect![[r#"
        error: 1 of the secrets could not be rekeyed, so none was
          │ secrets/k3s-agent-token.age: no identity fits: tried HOME/.ssh/id_ed25519; the file is for maia
        note: nothing was changed
        hint: give the private key of one of them with -i FILE, or have one of them add your key to secrets.nix and rekey
    "#]].assert_eq(&told);
    let answer = cluster.stranger(&[&words(&argv)[..], &["--yes"]].concat(), "").expect(3);
    assert!(answer.stderr.contains("nothing was changed"), "{}", answer.stderr);
    assert_eq!(state(&cluster), before);
}

#[test]
fn without_a_yes_nothing_is_written() {
    let cluster = cluster();
    let before = state(&cluster);
    let key = cluster.public("new-agent");
    let argv = [XTASK, "node", "add", "new-agent", "--role", "agent", "--host-key", &key, "--no-deploy"];
    let home = cluster.home().to_str().unwrap();
    let asked = |keys: &str| {
        run_at_terminal(
            &argv,
            cluster.clone.path(),
            &[("HOME", home)],
            ("Is this to be written? [y/N] ", keys),
        )
    };
    let answer = asked("\n").expect(7);
    assert!(answer.stdout.contains("not confirmed; nothing was changed"), "{}", answer.stdout);
    let answer = asked(CTRL_C).expect(130);
    assert!(answer.stdout.contains("interrupted; nothing was changed"), "{}", answer.stdout);
    assert_eq!(state(&cluster), before);
    asked("y\n").expect(0);
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn a_key_is_pinned_anew_and_its_secrets_follow() {
    let cluster = cluster();
    let key = cluster.public("new-agent");
    let pin = ["node", "pin", "maia", "--host-key", &key];
    let answer = cluster.xtask(&[&pin[..], &["--dry-run"]].concat()).expect(0);
    expect![[r#"
        host key of maia SHA256:new-agent  as given
          REPLACES SHA256:maia

        --- a/hosts/fleet.toml
        +++ b/hosts/fleet.toml
        @@ -39,7 +39,7 @@ addresses = ["ocean.mercury", "100.64.0.6"]
         build_on = "target"
 
         [hosts.maia]
        -ssh_host_key = "KEY OF maia"
        +ssh_host_key = "KEY OF new-agent"
         role = "agent"
         node_ip = "100.64.0.5"
         addresses = ["maia.mercury", "100.64.0.5"]

        secrets encrypted anew
          secrets/k3s-agent-token.age  maia, by the new key instead of the old one
        ocean forgets the node password of maia, which the reinstalled host does not have
    "#]]
    .assert_eq(&readable(&cluster, &answer.stdout));
    // The server cannot be asked here; the repository is right nonetheless.
    cluster.clone.fleet("\"ocean.mercury\", \"100.64.0.6\"", "\"nowhere.invalid\"");
    let answer = cluster.xtask(&[&pin[..], &["--yes"]].concat()).expect(4);
    // How a resolver says it is its own affair.
    answer
        .says("error: failed to have ocean forget the node password of maia: ocean does not answer: ")
        .says("note: the new key of maia is pinned\n")
        .says("hint: on ocean: k3s kubectl --namespace kube-system delete secret maia.node-password.k3s ");
    assert_eq!(cluster.content("secrets/k3s-agent-token.age", "new-agent"), "agent");
    assert!(!cluster.content_is_for("secrets/k3s-agent-token.age", "maia"));
    cluster.xtask(&["check"]).expect(0);
}

#[test]
fn the_fleet_is_listed_offline_and_without_a_key() {
    let cluster = cluster();
    cluster.clone.fleet(
        "[hosts.maia]",
        "[hosts.attic]\naddresses = [\"192.168.1.9\"]\nssh_user = \"deploy\"\n\n[hosts.maia]",
    );
    let answer = cluster.stranger(&["node", "list"], "").expect(0);
    expect![[r#"
        HOST   ROLE    NODE IP     REACHED AT          LABELS AND TAINTS                               HOST KEY
        attic  –       –           deploy@192.168.1.9  –                                               not pinned
        maia   agent   100.64.0.5  maia.mercury        region=us-south-2 region=us-south-2:NoSchedule  SHA256:maia
        ocean  server  100.64.0.6  ocean.mercury       –                                               SHA256:ocean
    "#]].assert_eq(&readable(&cluster, &answer.stdout));
    let answer = cluster.stranger(&["node", "list", "--json"], "").expect(0);
    expect![[r#"
        {"event":"node","host":"attic","role":null,"node_ip":null,"addresses":["192.168.1.9"],"ssh_user":"deploy","labels":[],"taints":[],"tags":[],"key":null}
        {"event":"node","host":"maia","role":"agent","node_ip":"100.64.0.5","addresses":["maia.mercury","100.64.0.5"],"ssh_user":"root","labels":["ncrmro.com/region=us-south-2"],"taints":["ncrmro.com/region=us-south-2:NoSchedule"],"tags":[],"key":"SHA256:maia"}
        {"event":"node","host":"ocean","role":"server","node_ip":"100.64.0.6","addresses":["ocean.mercury","100.64.0.6"],"ssh_user":"root","labels":[],"taints":[],"tags":[],"key":"SHA256:ocean"}
    "#]].assert_eq(&readable(&cluster, &answer.event_lines()));
    // A new clone has no keys yet.
    let answer = Clone::new().xtask(&["node", "list"]).expect(0);
    assert_eq!(answer.stdout.matches("not pinned").count(), 2, "{}", answer.stdout);
}
