//! Fleet.toml as its author writes it, and what is said about its mistakes.

use std::net::IpAddr;

use fleet::{BuildOn, Fleet, FleetError, Host, HostName, Network, PublicKey, Role, nearest};

const CLUSTER: &str = "[cluster]\nname = \"mercury\"\ndomain = \"mercury\"\n";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb";
const OTHER_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi";

fn parse(text: &str) -> Fleet {
    Fleet::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The error and its hint, as the command line prints them.
fn refusal(text: &str) -> String {
    let error = Fleet::parse(text).expect_err(text);
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}{hint}")
}

/// Each body follows the three lines of `[cluster]`: its own first line is line 4.
fn refuses(cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        let expected = format!("hosts/fleet.toml{expected}");
        assert_eq!(refusal(&format!("{CLUSTER}{body}")), expected, "\n{body}");
    }
}

fn names(hosts: &[&Host]) -> Vec<String> {
    hosts.iter().map(|host| host.name.to_string()).collect()
}

#[test]
fn what_is_no_fleet_is_refused_at_its_line() {
    assert_eq!(refusal(""), "hosts/fleet.toml:1: missing field `cluster`");
    assert_eq!(refusal("[cluster]\nname = \"x\"\n"), "hosts/fleet.toml:1: missing field `domain`");
    assert!(refusal("[cluster]\nname = \"x\"\ndomain = \n").starts_with("hosts/fleet.toml:3: "));
    assert!(
        refusal("[cluster]\nname = \"x\"\nname = \"y\"\n").starts_with("hosts/fleet.toml:3: duplicate key")
    );
    let twice = format!("{CLUSTER}[hosts.a]\n[hosts.\"a\"]\n");
    assert!(refusal(&twice).starts_with("hosts/fleet.toml:5: duplicate key"));
}

#[test]
fn an_unknown_word_is_an_error_with_the_nearest_known_one() {
    let keys = "`role`, `node_ip`, `addresses`, `ssh_user`, `build_on`, `ssh_host_key`, `taints`, `labels`, `tls_sans`, \
                `node_ports`, `tags`, `system`";
    let plain = keys.replace('`', "");
    refuses(&[
        (
            "[hostz.a]\n",
            ":4: unknown field `hostz`, expected one of `cluster`, `admins`, `hosts`\nhint: did you mean `hosts`?",
        ),
        (
            "interfaces = \"eth0\"\n",
            ":4: unknown field `interfaces`, expected one of `name`, `domain`, `network`, `interface`, \
             `first_server`\nhint: did you mean `interface`?",
        ),
        (
            "[hosts.a]\n\nnode-ip = \"1.2.3.4\"\n",
            &format!(":6: unknown field `node-ip`, expected one of {keys}\nhint: did you mean `node_ip`?"),
        ),
        (
            "[hosts.a]\nzzzzzz = 1\n",
            &format!(":5: unknown field `zzzzzz`, expected one of {keys}\nhint: known here: {plain}"),
        ),
        (
            "[hosts.a]\nrole = \"serv\"\n",
            ":5: unknown variant `serv`, expected `server` or `agent`\nhint: did you mean `server`?",
        ),
        (
            "[hosts.a]\nrole = \"Agent\"\n",
            ":5: unknown variant `Agent`, expected `server` or `agent`\nhint: did you mean `agent`?",
        ),
        ("[hosts.a]\ntags = \"x\"\n", ":5: invalid type: string \"x\", expected a sequence"),
    ]);
}

#[test]
fn impossible_values_are_refused_with_place_line_and_remedy() {
    refuses(&[
        (
            "network = \"100.64.0.0\"\n",
            ":4: cluster.network: `100.64.0.0` is not an address range\nhint: for example \"100.64.0.0/10\"",
        ),
        (
            "network = \"100.64.0.0/33\"\n",
            ":4: cluster.network: `100.64.0.0/33` is not an address range\nhint: for example \"100.64.0.0/10\"",
        ),
        (
            "network = \"fd00::/129\"\n",
            ":4: cluster.network: `fd00::/129` is not an address range\nhint: for example \"100.64.0.0/10\"",
        ),
        (
            "interface = \"a-name-of-16-byt\"\n",
            ":4: cluster.interface: `a-name-of-16-byt` is not the name of a network interface\n\
             hint: as `ip link` shows it",
        ),
        (
            "interface = \"tail scale\"\n",
            ":4: cluster.interface: `tail scale` is not the name of a network interface\n\
             hint: as `ip link` shows it",
        ),
        (
            "[hosts.Ocean]\n",
            ":4: hosts.Ocean: `Ocean` is not a host name: lower-case letters, digits and inner dashes, at most \
             63\nhint: rename the table; the name is also the host's DNS label",
        ),
        (
            "[hosts.ocean]\naddresses = [\n  \"ocean\",\n  \"root@ocean\",\n]\n",
            ":7: hosts.ocean.addresses: `root@ocean` is not an address: a DNS name or an IP address is\n\
             hint: write it without a user (that is ssh_user) or a port",
        ),
        (
            "[hosts.ocean]\nssh_user = \"-oProxyCommand=x\"\n",
            ":5: hosts.ocean.ssh_user: `-oProxyCommand=x` is not a user's name\n\
             hint: letters, digits, dashes, dots and underscores",
        ),
        (
            "[hosts.ocean]\nssh_host_key = \"ssh-ed25519 AAAA…\"\n",
            ":5: hosts.ocean.ssh_host_key: `ssh-ed25519 AAAA…` is not a usable public key: what follows the type \
             is not base64\nhint: `cargo xtask init` fills keys in",
        ),
        (
            "[admins]\nncrmro = \"me\"\n",
            ":5: admins.ncrmro: `me` is not a usable public key: it should begin with `ssh-ed25519 ` or \
             `ssh-rsa `\nhint: `cargo xtask init` fills keys in",
        ),
        (
            "[hosts.ocean]\nnode_ip = \"100.64.0\"\n",
            ":5: hosts.ocean.node_ip: `100.64.0` is not an IP address\nhint: for example \"100.64.0.7\"",
        ),
        (
            "[hosts.ocean]\nnode_ip = \"fd00::1\"\n",
            ":5: hosts.ocean.node_ip: fd00::1 is an IPv6 address\n\
             hint: IPv6 is not supported within the cluster yet; addresses may be IPv6",
        ),
        (
            "network = \"100.64.0.0/10\"\n[hosts.ocean]\nnode_ip = \"100.128.0.1\"\n",
            ":6: hosts.ocean.node_ip: 100.128.0.1 is outside of cluster.network (100.64.0.0/10)\n\
             hint: give the host's address in the mesh",
        ),
        (
            "[hosts.ocean]\nrole = \"server\"\n",
            ":4: hosts.ocean: server without a node_ip\nhint: add node_ip = \"…\"",
        ),
        (
            "[hosts.ocean]\ntaints = [\"a=b:NoSchedule\", \"a=b:Never\"]\n",
            ":5: hosts.ocean.taints: `a=b:Never` is not of the right form\n\
             hint: key=value:NoSchedule, or PreferNoSchedule, or NoExecute",
        ),
        (
            "[hosts.ocean]\nlabels = [\"region\"]\n",
            ":5: hosts.ocean.labels: `region` is not of the right form\nhint: key=value",
        ),
        (
            "[hosts.ocean]\nlabels = [\"-o x/y=z\"]\n",
            ":5: hosts.ocean.labels: `-o x/y=z` is not of the right form\nhint: key=value",
        ),
        (
            "[hosts.ocean]\ntls_sans = [\"https://ocean\"]\n",
            ":5: hosts.ocean.tls_sans: `https://ocean` is not of the right form\n\
             hint: a DNS name or an IP address",
        ),
    ]);
}

#[test]
fn two_hosts_never_share_an_address_a_node_ip_or_a_key() {
    let two = |field: &str, a: &str, b: &str| format!("[hosts.b]\n{field} = {b}\n[hosts.a]\n{field} = {a}\n");
    refuses(&[
        (
            &two("node_ip", "\"10.0.0.1\"", "\"10.0.0.1\""),
            ":5: hosts.b.node_ip: 10.0.0.1 is the node_ip of a already\n\
             hint: give each node an address of its own",
        ),
        (
            &two("addresses", "[\"x\", \"y\"]", "[\"z\", \"y\"]"),
            ":5: hosts.b.addresses: y is an address of a already\n\
             hint: the pinned key is looked up by address: each belongs to one host",
        ),
        (
            "[hosts.a]\n[hosts.b]\naddresses = [\"a.mercury\"]\n",
            ":6: hosts.b.addresses: a.mercury is an address of a already\n\
             hint: the pinned key is looked up by address: each belongs to one host",
        ),
        // b has no addresses: its only one is b.mercury.
        (
            "[hosts.a]\naddresses = [\"b.mercury\"]\n[hosts.b]\n",
            ": hosts.b.addresses: b.mercury is an address of a already\n\
             hint: the pinned key is looked up by address: each belongs to one host",
        ),
        (
            &two("ssh_host_key", &format!("\"{KEY} one\""), &format!("\"{KEY} two\"")),
            ":5: hosts.b.ssh_host_key: this is the host key of a already\n\
             hint: a machine cloned from another needs host keys of its own: `ssh-keygen -A` there",
        ),
    ]);
}

#[test]
fn one_address_in_two_spellings_is_one_address() {
    let bodies = [
        "[hosts.a]\naddresses = [\"X.mercury\"]\n[hosts.b]\naddresses = [\"x.mercury\"]\n",
        "[hosts.a]\naddresses = [\"fd00::1\"]\n[hosts.b]\naddresses = [\"fd00:0::1\"]\n",
    ];
    for body in bodies {
        let said = refusal(&format!("{CLUSTER}{body}"));
        assert!(said.contains("hosts.b") && said.contains("is an address of a already"), "{said}");
    }
}

#[test]
fn a_label_begins_and_ends_as_kubernetes_demands() {
    for label in ["-x=y", "x-=y", "_x=y", "x=-y", "x=y.", "example.com/-x=y"] {
        let said = refusal(&format!("{CLUSTER}[hosts.a]\nlabels = [\"{label}\"]\n"));
        assert!(said.contains(&format!("`{label}` is not of the right form")), "{said}");
    }
}

#[test]
fn what_names_a_host_names_one_that_is_there() {
    let server =
        |name: &str, ip: u8| format!("[hosts.{name}]\nrole = \"server\"\nnode_ip = \"10.0.0.{ip}\"\n");
    let two = format!("{}{}", server("ocean", 1), server("atoll", 2));
    refuses(&[
        (
            "[hosts.ocean]\nbuild_on = \"maia\"\n[hosts.maja]\n",
            ":5: hosts.ocean.build_on: there is no host `maia` in hosts/fleet.toml\nhint: did you mean `maja`?",
        ),
        (
            "[hosts.ocean]\nbuild_on = \"here\"\n[hosts.maia]\n",
            ":5: hosts.ocean.build_on: there is no host `here` in hosts/fleet.toml\nhint: known hosts: maia, ocean",
        ),
        (
            &format!("first_server = \"ocan\"\n{two}"),
            ":4: cluster.first_server: there is no host `ocan` in hosts/fleet.toml\nhint: did you mean `ocean`?",
        ),
        (
            &format!("first_server = \"maia\"\n{two}[hosts.maia]\n"),
            ":4: cluster.first_server: `maia` is not a server\nhint: name a host with role = \"server\"",
        ),
        (
            &two,
            ": cluster.first_server: several servers (atoll, ocean) and no first one\n\
             hint: add first_server = \"atoll\": the one that the others join",
        ),
        (
            "[hosts.maia]\nrole = \"agent\"\nnode_ip = \"10.0.0.5\"\n",
            ": hosts.maia.role: an agent in a fleet without a server\nhint: one host needs role = \"server\"",
        ),
    ]);
}

#[test]
fn an_unknown_host_is_told_the_nearest_name_or_all_of_them() {
    let fleet = parse(&format!("{CLUSTER}[hosts.ocean]\n[hosts.maia]\n"));
    assert_eq!(fleet.host("maia").unwrap().name.as_str(), "maia");
    for (typed, hint) in [
        ("ocan", "did you mean `ocean`?"),
        ("Ocean", "did you mean `ocean`?"),
        ("--all", "known hosts: maia, ocean"),
        ("", "known hosts: maia, ocean"),
    ] {
        let error = fleet.host(typed).expect_err(typed);
        assert_eq!(error.to_string(), format!("there is no host `{typed}` in hosts/fleet.toml"));
        assert_eq!(error.hint().as_deref(), Some(hint));
        assert!(matches!(error, FleetError::UnknownHost { .. }));
    }
}

#[test]
fn the_nearest_name_is_given_only_if_it_could_have_been_meant() {
    let known = ["maia", "ocean", "oasis"];
    for (typed, expected) in [
        ("maia", Some("maia")),
        ("maja", Some("maia")),
        ("ocan", Some("ocean")),
        ("Ocean", Some("ocean")),
        ("oases", Some("oasis")),
        ("xyz", None),
        ("", None),
    ] {
        assert_eq!(nearest(typed, known).as_deref(), expected, "{typed}");
    }
    assert_eq!(nearest("ocean", []), None);
}

#[test]
fn a_network_contains_what_shares_its_leading_bits() {
    let network = |text: &str| -> Network {
        parse(&format!("{CLUSTER}network = \"{text}\"\n")).cluster.network.expect("a network")
    };
    let cases: [(&str, &[&str], &[&str]); 11] = [
        ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "::ffff:1.2.3.4"]),
        ("128.0.0.0/1", &["128.0.0.0", "255.255.255.255"], &["127.255.255.255"]),
        ("100.64.0.0/10", &["100.64.0.0", "100.127.255.255"], &["100.63.255.255", "100.128.0.0", "fd00::1"]),
        // The base may be any address of the range.
        ("100.64.0.6/10", &["100.64.0.0", "100.127.255.255"], &["100.128.0.0"]),
        ("192.168.1.0/24", &["192.168.1.0", "192.168.1.255"], &["192.168.0.255", "192.168.2.0"]),
        ("10.0.0.4/31", &["10.0.0.4", "10.0.0.5"], &["10.0.0.3", "10.0.0.6"]),
        ("10.0.0.4/32", &["10.0.0.4"], &["10.0.0.3", "10.0.0.5"]),
        ("::/0", &["::", "ffff::"], &["0.0.0.0"]),
        ("fd7a:115c:a1e0::/48", &["fd7a:115c:a1e0:ffff::1"], &["fd7a:115c:a1e1::1", "fd7a:115c:a1df::"]),
        ("fd00::8/125", &["fd00::8", "fd00::f"], &["fd00::7", "fd00::10"]),
        ("fd00::1/128", &["fd00::1"], &["fd00::", "fd00::2"]),
    ];
    for (text, inside, outside) in cases {
        let network = network(text);
        assert_eq!(network.to_string(), text);
        let contains = |address: &&str| network.contains(address.parse::<IpAddr>().expect("an address"));
        for address in inside {
            assert!(contains(address), "{text} has {address}");
        }
        for address in outside {
            assert!(!contains(address), "{text} has not {address}");
        }
    }
}

#[test]
fn servers_come_first_server_in_front_agents_by_name() {
    let fleet = parse(
        "cluster = { name = \"m\", domain = \"m\", first_server = \"ocean\" }\n\
         hosts.zebra = { role = \"agent\", node_ip = \"10.0.0.9\" }\n\
         hosts.reef = { role = \"server\", node_ip = \"10.0.0.3\" }\n\
         hosts.ocean = { role = \"server\", node_ip = \"10.0.0.1\" }\n\
         hosts.atoll = { role = \"server\", node_ip = \"10.0.0.2\" }\n\
         hosts.maia = { role = \"agent\", node_ip = \"10.0.0.5\" }\n\
         hosts.backup = {}\n",
    );
    assert_eq!(names(&fleet.with_role(Role::Server)), ["ocean", "atoll", "reef"]);
    assert_eq!(names(&fleet.with_role(Role::Agent)), ["maia", "zebra"]);
    assert_eq!(fleet.first_server().unwrap().name.as_str(), "ocean");
    let all: Vec<&str> = fleet.hosts.keys().map(HostName::as_str).collect();
    assert_eq!(all, ["atoll", "backup", "maia", "ocean", "reef", "zebra"]);

    let alone = parse(&format!("{CLUSTER}[hosts.ocean]\nrole = \"server\"\nnode_ip = \"10.0.0.1\"\n"));
    assert_eq!(alone.first_server().unwrap().name.as_str(), "ocean");
    assert_eq!(parse(&format!("{CLUSTER}[hosts.ocean]\n")).first_server(), None);
    assert_eq!((Role::Server.to_string(), Role::Agent.to_string()), ("server".into(), "agent".into()));
}

#[test]
fn a_host_says_all_that_its_table_says_and_the_rest_is_default() {
    let fleet = parse(&format!(
        "{CLUSTER}[admins]\nncrmro = \"{KEY} ncrmro@laptop\"\n[hosts.maia]\nrole = \"agent\"\n\
         node_ip = \"100.64.0.5\"\naddresses = [\"maia.mercury\", \"100.64.0.5\"]\nbuild_on = \"ocean\"\n\
         ssh_host_key = \"{OTHER_KEY} root@maia\"\ntaints = [\"ncrmro.com/region=us-south-2:NoSchedule\"]\n\
         labels = [\"ncrmro.com/region=us-south-2\", \"empty=\"]\ntls_sans = [\"api.mercury\", \"::1\"]\n\
         node_ports = true\ntags = [\"edge site\"]\nsystem = \"aarch64-linux\"\n\
         [hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\n[hosts.desk]\nbuild_on = \"local\"\n"
    ));
    let maia = fleet.host("maia").unwrap();
    let addresses: Vec<&str> = maia.addresses.iter().map(fleet::Address::as_str).collect();
    assert_eq!(addresses, ["maia.mercury", "100.64.0.5"]);
    assert_eq!(maia.role, Some(Role::Agent));
    assert_eq!(maia.node_ip, Some(IpAddr::from([100, 64, 0, 5])));
    assert_eq!(maia.build_on, BuildOn::Host(HostName::new("ocean").unwrap()));
    assert_eq!(maia.ssh_host_key, Some(PublicKey::new(OTHER_KEY).unwrap()));
    assert_eq!(maia.taints, ["ncrmro.com/region=us-south-2:NoSchedule"]);
    assert_eq!(maia.labels, ["ncrmro.com/region=us-south-2", "empty="]);
    assert_eq!(maia.tls_sans, ["api.mercury", "::1"]);
    assert_eq!((maia.node_ports, maia.system.as_deref()), (true, Some("aarch64-linux")));
    assert_eq!(maia.tags, ["edge site"]);

    let desk = fleet.host("desk").unwrap();
    assert_eq!((desk.role, desk.node_ip, &desk.ssh_host_key), (None, None, &None));
    assert_eq!((&desk.build_on, desk.node_ports, &desk.system), (&BuildOn::Local, false, &None));
    assert_eq!(desk.addresses[0].as_str(), "desk.mercury");
    assert_eq!(fleet.host("ocean").unwrap().build_on, BuildOn::Target);

    assert_eq!(fleet.owner_of(&PublicKey::new(KEY).unwrap()), Some("ncrmro"));
    assert_eq!(fleet.owner_of(&PublicKey::new(OTHER_KEY).unwrap()), Some("maia"));
}

/// Whoever owns this clone has changed the file: only what holds for every fleet is asserted.
#[test]
fn the_fleet_of_this_repository_is_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts/fleet.toml");
    let fleet = parse(&std::fs::read_to_string(path).expect("hosts/fleet.toml"));
    assert!(!fleet.hosts.is_empty());
    for (name, host) in &fleet.hosts {
        assert_eq!(&host.name, name);
        assert!(!host.addresses.is_empty(), "{name}");
        assert_eq!(fleet.host(name.as_str()).unwrap(), host);
    }
    let in_cluster = fleet.hosts.values().filter(|host| host.role.is_some()).count();
    let listed = fleet.with_role(Role::Server).len() + fleet.with_role(Role::Agent).len();
    assert_eq!(in_cluster, listed);
    assert_eq!(fleet.first_server().is_some(), in_cluster > 0);
}
