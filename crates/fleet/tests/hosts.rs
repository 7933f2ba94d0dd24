//! Hosts added to and removed from fleet.toml: whole tables, and not a byte of another.

use std::net::IpAddr;

use expect_test::{Expect, expect};
use fleet::edit::{EditError, NewHost, add_host, remove_host};
use fleet::{Address, BuildOn, Fleet, HostName, PublicKey, Role};

const CLUSTER: &str = "[cluster]\nname = \"mercury\"\ndomain = \"mercury\"\n";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb";

const SHIPPED: &str = r#"# The fleet.

[cluster]
name = "mercury"
domain = "mercury"
network = "100.64.0.0/10" # the mesh

# One table a host.
#
#   role          "server" or "agent"

[hosts.ocean]
role = "server"
node_ip = "100.64.0.6"
addresses = [
  "ocean.mercury", # [hosts.fake]
  "100.64.0.6",
]

# Far away,
# in a cellar.
[hosts.maia] # slow
role = "agent"
node_ip = "100.64.0.5"
labels = ["ncrmro.com/region=us-south-2"] # south
# taints = []
"#;

/// The hosts in front of another table, without blank lines.
const DENSE: &str = r#"[cluster]
name = "mercury"
domain = "mercury"
[hosts.ocean]
role = "server"
node_ip = "100.64.0.6"
[hosts.maia]
tags = ["""
# no comment
[hosts.no]""", "b"]
# Who can read every secret.
[admins]
"#;

/// Below `[hosts]`.
const INLINE: &str = r#"cluster = { name = "mercury", domain = "mercury" }

[hosts] # all of them
ocean = { tags = ["x"] } # the big one
# Far away.
maia = { } # slow

[admins]
"#;

const DOTTED: &str = "cluster.name = \"mercury\"\ncluster.domain = \"mercury\"\nhosts.ocean.tags = [\"x\"]\nhosts.maia.tags = [] # last";

const ONE_LINE: &str = "cluster = { name = \"m\", domain = \"m\" }\nhosts = { ocean = {}, maia = {} }\n";

fn name(text: &str) -> HostName {
    HostName::new(text).expect("a name")
}

fn parse(text: &str) -> Fleet {
    Fleet::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn reef() -> NewHost {
    let address = |text| Address::new(text).expect("an address");
    NewHost {
        role: Some(Role::Agent),
        node_ip: Some(IpAddr::from([100, 64, 0, 7])),
        addresses: vec![address("reef.mercury"), address("100.64.0.7")],
        build_on: Some(BuildOn::Host(name("ocean"))),
        ssh_host_key: Some(PublicKey::new(&format!("{KEY} root@reef")).expect("a key")),
        taints: vec!["region=south:NoSchedule".to_owned()],
        labels: vec!["region=south".to_owned(), "empty=".to_owned()],
        tags: vec!["edge \"site\"".to_owned()],
        ..NewHost::new(name("reef"))
    }
}

/// A host of no role.
fn desk() -> NewHost {
    NewHost::new(name("desk"))
}

fn told(error: &EditError) -> String {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}{hint}\n")
}

/// What is new, and that it stands in one place.
fn check_added(text: &str, host: &NewHost, expected: &Expect) {
    let after = add_host(text, host).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let length = after.len() - text.len();
    let is_new = |at: &usize| [&after[..*at], &after[at + length..]].concat() == text;
    let at = text.match_indices(['\r', '\n']).map(|(at, _)| at).chain([text.len()]);
    let at = at.filter(is_new).find(|at| !text[..*at].ends_with('\n')).expect("new lines in one place");
    let (front, new) = (text[..at].lines().next_back().unwrap_or_default(), &after[at..at + length]);
    expected.assert_eq(&format!("behind: {front}{new}\n").replace('\r', "\\r"));
    let again = remove_host(&after, &host.name).unwrap_or_else(|error| panic!("{error}\n{after}"));
    assert_eq!(again, text, "added and removed again");
}

fn check_removed(text: &str, host: &str, expected: &Expect) {
    let after = remove_host(text, &name(host)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut fleet = parse(text);
    fleet.hosts.remove(host);
    assert_eq!(parse(&after), fleet);
    expected.assert_eq(&after);
}

#[test]
fn what_would_be_no_fleet_is_refused() {
    let text = format!("{CLUSTER}[hosts.ocean]\nrole = \"server\"\nnode_ip = \"10.0.0.1\"\n");
    let keyed = format!("{text}ssh_host_key = \"{KEY}\"\n");
    let as_server = |ip| NewHost { role: Some(Role::Server), node_ip: Some(ip), ..desk() };
    let mut all = String::new();
    for (text, host) in [
        ("[hosts", desk()),
        (SHIPPED, NewHost { name: name("maia"), ..desk() }),
        (ONE_LINE, NewHost { tags: vec!["x".to_owned()], ..desk() }),
        (&text, NewHost { role: Some(Role::Agent), ..desk() }),
        (&text, as_server(IpAddr::from([10, 0, 0, 1]))),
        (&text, as_server(IpAddr::from([10, 0, 0, 2]))),
        (&text, NewHost { addresses: vec![Address::new("OCEAN.mercury").unwrap()], ..desk() }),
        (&keyed, NewHost { ssh_host_key: reef().ssh_host_key, ..desk() }),
        (&text, NewHost { labels: vec!["x".to_owned()], ..desk() }),
        (&text, NewHost { build_on: Some(BuildOn::Host(name("ocan"))), ..desk() }),
    ] {
        all.push_str(&told(&add_host(text, &host).expect_err("refused")));
    }
    expect![[r#"
        hosts/fleet.toml:1: unclosed table, expected `]`
        there is a host `maia` in hosts/fleet.toml already
        hint: choose another name, or remove that host first
        failed to edit hosts/fleet.toml: `hosts` is an inline table
        hint: write each host as a table of its own, and add:
        [hosts.desk]
        tags = ["x"]
        failed to edit hosts/fleet.toml: hosts.desk: agent without a node_ip
        hint: add node_ip = "…"
        failed to edit hosts/fleet.toml: hosts.desk.node_ip: 10.0.0.1 is the node_ip of ocean already
        hint: give each node an address of its own
        failed to edit hosts/fleet.toml: hosts.desk.role: a second server, and no first one named
        hint: add first_server = "ocean" to [cluster]: the one that the others join
        failed to edit hosts/fleet.toml: hosts.desk.addresses: OCEAN.mercury is an address of ocean already
        hint: the pinned key is looked up by address: each belongs to one host
        failed to edit hosts/fleet.toml: hosts.desk.ssh_host_key: this is the host key of ocean already
        hint: a machine cloned from another needs host keys of its own: `ssh-keygen -A` there
        failed to edit hosts/fleet.toml: hosts.desk.labels: `x` is not of the right form
        hint: key=value
        failed to edit hosts/fleet.toml: hosts.desk.build_on: there is no host `ocan` in hosts/fleet.toml
        hint: did you mean `ocean`?
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_host_that_is_not_there_or_is_needed_is_not_removed() {
    let needed = format!("{CLUSTER}[hosts.ocean]\n[hosts.maia]\nbuild_on = \"ocean\"\n");
    let mut all = String::new();
    for (text, host) in [
        ("[hosts", "ocean"),
        (SHIPPED, "maja"),
        (SHIPPED, "reef"),
        (SHIPPED, "ocean"),
        (&needed, "ocean"),
        (DOTTED, "maia"),
        (ONE_LINE, "maia"),
    ] {
        all.push_str(&told(&remove_host(text, &name(host)).expect_err("refused")));
    }
    expect![[r#"
        hosts/fleet.toml:1: unclosed table, expected `]`
        there is no host `maja` in hosts/fleet.toml
        hint: did you mean `maia`?
        there is no host `reef` in hosts/fleet.toml
        hint: known hosts: maia, ocean
        failed to edit hosts/fleet.toml: hosts.maia.role: an agent in a fleet without a server
        hint: one host needs role = "server"
        failed to edit hosts/fleet.toml: hosts.maia.build_on: there is no host `ocean` in hosts/fleet.toml
        hint: known hosts: maia
        failed to edit hosts/fleet.toml: `maia` is not written as a table `[hosts.maia]`
        hint: remove what hosts/fleet.toml says about `maia`: all of `hosts.maia`
        failed to edit hosts/fleet.toml: `maia` is not written as a table `[hosts.maia]`
        hint: remove what hosts/fleet.toml says about `maia`: all of `hosts.maia`
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_new_host_stands_behind_the_last_one() {
    check_added(
        SHIPPED,
        &reef(),
        &expect![[r#"
            behind: # taints = []

            [hosts.reef]
            role = "agent"
            node_ip = "100.64.0.7"
            addresses = ["reef.mercury", "100.64.0.7"]
            build_on = "ocean"
            ssh_host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb"
            taints = ["region=south:NoSchedule"]
            labels = ["region=south", "empty="]
            tags = ['edge "site"']
        "#]],
    );
    check_added(
        SHIPPED.trim_end(),
        &desk(),
        &expect![[r#"
            behind: # taints = []

            [hosts.desk]
        "#]],
    );
    check_added(
        &SHIPPED.replace('\n', "\r\n"),
        &desk(),
        &expect![[r#"
            behind: # taints = []\r
            \r
            [hosts.desk]
        "#]],
    );
    check_added(
        DENSE,
        &desk(),
        &expect![[r#"
            behind: [hosts.no]""", "b"]
            [hosts.desk]
        "#]],
    );
    check_added(
        INLINE,
        &desk(),
        &expect![[r#"
            behind: maia = { } # slow

            [hosts.desk]
        "#]],
    );
    check_added(
        DOTTED,
        &desk(),
        &expect![[r#"
            behind: hosts.maia.tags = [] # last

            [hosts.desk]
        "#]],
    );
    check_added(
        CLUSTER,
        &desk(),
        &expect![[r#"
            behind: domain = "mercury"

            [hosts.desk]
        "#]],
    );
    check_added(
        &format!("{CLUSTER}\n[hosts.ocean]\n\n# The end.\n"),
        &desk(),
        &expect![[r#"
            behind: [hosts.ocean]

            [hosts.desk]
        "#]],
    );
    check_added(
        &format!("{CLUSTER}\n[hosts]\n"),
        &desk(),
        &expect![[r#"
            behind: [hosts]

            [hosts.desk]
        "#]],
    );
}

#[test]
fn a_host_goes_with_the_comment_above_it() {
    check_removed(
        SHIPPED,
        "maia",
        &expect![[r##"
        # The fleet.

        [cluster]
        name = "mercury"
        domain = "mercury"
        network = "100.64.0.0/10" # the mesh

        # One table a host.
        #
        #   role          "server" or "agent"

        [hosts.ocean]
        role = "server"
        node_ip = "100.64.0.6"
        addresses = [
          "ocean.mercury", # [hosts.fake]
          "100.64.0.6",
        ]
    "##]],
    );
    check_removed(
        &SHIPPED.replace("role = \"agent\"", ""),
        "ocean",
        &expect![[r##"
        # The fleet.

        [cluster]
        name = "mercury"
        domain = "mercury"
        network = "100.64.0.0/10" # the mesh

        # One table a host.
        #
        #   role          "server" or "agent"

        # Far away,
        # in a cellar.
        [hosts.maia] # slow

        node_ip = "100.64.0.5"
        labels = ["ncrmro.com/region=us-south-2"] # south
        # taints = []
    "##]],
    );
    check_removed(
        DENSE,
        "maia",
        &expect![[r#"
        [cluster]
        name = "mercury"
        domain = "mercury"
        [hosts.ocean]
        role = "server"
        node_ip = "100.64.0.6"
        # Who can read every secret.
        [admins]
    "#]],
    );
    check_removed(
        INLINE,
        "maia",
        &expect![[r#"
        cluster = { name = "mercury", domain = "mercury" }

        [hosts] # all of them
        ocean = { tags = ["x"] } # the big one

        [admins]
    "#]],
    );
    check_removed(
        &format!("{CLUSTER}\n[hosts.ocean]\n\n# B.\n\n\n[hosts.b]"),
        "b",
        &expect![[r#"
        [cluster]
        name = "mercury"
        domain = "mercury"

        [hosts.ocean]

        # B."#]],
    );
}

#[test]
fn the_next_address_is_the_one_behind_the_highest() {
    let fleet = |network: &str, hosts: &str| {
        parse(&format!("{CLUSTER}network = \"{network}\"\n{hosts}")).next_node_ip().map(|ip| ip.to_string())
    };
    let node = |name: &str, ip: &str| format!("[hosts.{name}]\nnode_ip = \"{ip}\"\n");
    let two = node("a", "100.64.0.6") + &node("b", "100.64.0.5");
    for (network, hosts, expected) in [
        ("100.64.0.0/10", String::new(), "100.64.0.1"),
        ("100.64.0.9/10", String::new(), "100.64.0.1"),
        ("100.64.0.0/10", two.clone(), "100.64.0.7"),
        // An address or a name in the certificate is in use, but gives no direction.
        (
            "100.64.0.0/10",
            two.clone()
                + "addresses = [\"100.64.0.7\", \"::ffff:100.64.0.8\"]\ntls_sans = [\"100.64.0.9\"]\n",
            "100.64.0.10",
        ),
        ("100.64.0.0/10", two + "addresses = [\"100.100.0.0\", \"fd00::1\", \"b\"]\n", "100.64.0.7"),
        ("10.0.0.0/8", node("a", "10.0.0.254"), "10.0.0.255"),
        // At the end, what is left below.
        ("10.0.0.0/29", node("a", "10.0.0.6"), "10.0.0.1"),
        ("10.0.0.0/29", node("a", "10.0.0.7") + &node("b", "10.0.0.1"), "10.0.0.2"),
        ("10.0.0.0/30", node("a", "10.0.0.0"), "10.0.0.1"),
        ("0.0.0.0/0", String::new(), "0.0.0.1"),
    ] {
        assert_eq!(fleet(network, &hosts).as_deref(), Ok(expected), "{network} {hosts}");
    }
    let mut all = String::new();
    for network in [
        "network = \"fd00::/64\"\n",
        "network = \"10.0.0.4/31\"\n",
        "network = \"10.0.0.4/32\"\n",
        "",
        "network = \"10.0.0.0/30\"\n[hosts.a]\nnode_ip = \"10.0.0.1\"\naddresses = [\"10.0.0.2\"]\n",
    ] {
        let error = parse(&format!("{CLUSTER}{network}")).next_node_ip().expect_err("none");
        all.push_str(&format!("{error}\nhint: {}\n", error.hint()));
    }
    expect![[r#"
        cluster.network (fd00::/64) is IPv6, which is not supported within the cluster yet
        hint: name the IPv4 range of the mesh
        cluster.network (10.0.0.4/31) has no free address
        hint: remove hosts that are gone, or name a larger range
        cluster.network (10.0.0.4/32) has no free address
        hint: remove hosts that are gone, or name a larger range
        hosts/fleet.toml has no cluster.network to take an address from
        hint: add network = "100.64.0.0/10", or whatever the mesh has, to [cluster]
        cluster.network (10.0.0.0/30) has no free address
        hint: remove hosts that are gone, or name a larger range
    "#]]
    .assert_eq(&all);
}

/// Whoever owns this clone has changed the file: only what holds for every fleet is asserted.
#[test]
fn the_fleet_of_this_repository_takes_a_host() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts/fleet.toml");
    let text = std::fs::read_to_string(path).expect("hosts/fleet.toml");
    let host = NewHost { name: name("a-host-nobody-has"), ..desk() };
    let after = add_host(&text, &host).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(remove_host(&after, &host.name), Ok(text));
}
