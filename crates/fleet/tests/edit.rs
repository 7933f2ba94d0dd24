//! Edits of fleet.toml: the one value changes and nothing else, whatever the layout.

use expect_test::{Expect, expect};
use fleet::{Fleet, HostName, PublicKey, edit};

const NEW: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb new@somewhere";
const OLD: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi old@somewhere";

/// As shipped: commented through and through, no key yet.
const SHIPPED: &str = r#"# The fleet.
#
# Read me.

[cluster]
name = "mercury"
domain = "mercury"        # the host ocean is ocean.mercury
network = "100.64.0.0/10" # the mesh
# first_server = "ocean"

# Who can read every secret.
[admins]
# ncrmro = "ssh-ed25519 AAAA…"

# One table a host.

[hosts.ocean]
role = "server"
node_ip = "100.64.0.6"
addresses = [
  "ocean.mercury", # the mesh
  "100.64.0.6",
]

[hosts.maia] # far away
role = "agent"
node_ip = "100.64.0.5"
labels = ["ncrmro.com/region=us-south-2"]
"#;

/// Keys there already, with spaces and comments of their author's around them.
const FILLED: &str = r#"[cluster]
name    = "mercury"
domain  = "mercury"

[admins]
# The laptop.
ncrmro   =   'OLD'   # expires in May

# The one in the safe.
spare = "OLD"

# Hosts.
  [hosts."ocean"]
  # Pinned in person.
  ssh_host_key   = 'OLD' # was there


  tags = ["a", 'b']
[hosts.maia]
"#;

const NO_ADMINS: &str = r#"[cluster]
name = "mercury"
domain = "mercury"

[hosts.ocean]
tags = ["x"] # no key

[hosts.maia]
"#;

const INLINE: &str = r#"cluster = { name = "mercury", domain = "mercury" }
admins = { spare = "OLD", ncrmro = "OLD" } # two

[hosts] # all of them
ocean = { tags = ["x"] } # the big one
maia = {}
"#;

const DOTTED: &str = r#"cluster.name = "mercury"
cluster.domain = "mercury"
admins.spare = "OLD" # safe
hosts.ocean.tags = ["x"] # the big one
# Far away.
hosts.maia.tags = []
"#;

const LAYOUTS: [&str; 5] = [SHIPPED, FILLED, NO_ADMINS, INLINE, DOTTED];

fn key(text: &str) -> PublicKey {
    PublicKey::new(text).expect("a key")
}

fn ocean() -> HostName {
    HostName::new("ocean").expect("a name")
}

fn parse(text: &str) -> Fleet {
    Fleet::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A layout with real keys in it, so that it can be parsed.
fn filled(layout: &str) -> String {
    layout.replace("OLD", OLD)
}

fn admin(text: &str) -> String {
    edit::set_admin(text, "ncrmro", &key(NEW)).expect("TOML")
}

fn pin(text: &str) -> String {
    edit::set_host_key(text, &ocean(), &key(NEW)).expect("TOML")
}

fn clear(text: &str) -> String {
    edit::clear_admins(text).expect("TOML")
}

/// The edited layout; NEW and OLD stand for keys with their comments, BARE for the new one without.
fn check(edit: fn(&str) -> String, layout: &str, expected: &Expect) {
    let edited = edit(&filled(layout));
    expected.assert_eq(&edited.replace(NEW, "NEW").replace(OLD, "OLD").replace(&key(NEW).bare(), "BARE"));
}

/// Every line of `before` is in `after`, in order; but for the one that held the value, if there was one.
fn assert_lines_kept(before: &str, after: &str, replaced: usize) {
    let mut later = after.lines();
    let mut lost = 0;
    for line in before.lines() {
        let rest = later.clone();
        if !later.any(|other| other == line) {
            later = rest;
            lost += 1;
        }
    }
    assert!(lost <= replaced, "{lost} lines changed, not {replaced}:\n{before}\n---\n{after}");
    assert_eq!(before.matches('#').count(), after.matches('#').count(), "{after}");
}

#[test]
fn what_is_not_toml_is_refused() {
    for text in ["not toml", "[hosts", "a = 1\na = 2\n"] {
        assert!(edit::set_admin(text, "ncrmro", &key(NEW)).is_err(), "{text}");
        assert!(edit::set_host_key(text, &ocean(), &key(NEW)).is_err(), "{text}");
        assert!(edit::clear_admins(text).is_err(), "{text}");
    }
}

#[test]
fn setting_an_admin_changes_that_admin_only_and_twice_is_once() {
    for layout in LAYOUTS {
        let before = filled(layout);
        let after = admin(&before);
        assert_eq!(admin(&after), after);
        assert_lines_kept(&before, &after, 1);
        let mut expected = parse(&before);
        expected.admins.insert("ncrmro".to_owned(), key(NEW));
        assert_eq!(parse(&after), expected, "{after}");
        // Equal keys may differ in their comments, and an admin's is kept.
        assert_eq!(parse(&after).admins["ncrmro"].as_str(), NEW);
    }
}

#[test]
fn setting_a_host_key_changes_that_host_only_and_twice_is_once() {
    for layout in LAYOUTS {
        let before = filled(layout);
        let after = pin(&before);
        assert_eq!(pin(&after), after);
        assert_lines_kept(&before, &after, 1);
        let mut expected = parse(&before);
        expected.hosts.get_mut("ocean").expect("ocean").ssh_host_key = Some(key(NEW));
        assert_eq!(parse(&after), expected, "{after}");
        let written = parse(&after).hosts["ocean"].ssh_host_key.clone().expect("a key");
        assert_eq!(written.as_str(), key(NEW).bare(), "a host's key has no comment");
    }
}

#[test]
fn clearing_the_admins_leaves_the_rest() {
    for layout in LAYOUTS {
        let before = filled(layout);
        let after = clear(&before);
        assert_eq!(clear(&after), after);
        let mut expected = parse(&before);
        expected.admins.clear();
        assert_eq!(parse(&after), expected, "{after}");
        // And an admin can be set again.
        assert_eq!(parse(&admin(&after)).admins.keys().collect::<Vec<_>>(), ["ncrmro"]);
    }
    assert_eq!(clear(NO_ADMINS), NO_ADMINS);
    assert_eq!(clear(SHIPPED), SHIPPED);
}

#[test]
fn the_fleet_of_this_repository_can_be_edited() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../hosts/fleet.toml");
    let before = std::fs::read_to_string(path).expect("hosts/fleet.toml");
    let fleet = parse(&before);
    for name in fleet.hosts.keys() {
        let after = edit::set_host_key(&before, name, &key(NEW)).expect("TOML");
        assert_lines_kept(&before, &after, 1);
        let mut expected = fleet.clone();
        expected.hosts.get_mut(name).expect("the host").ssh_host_key = Some(key(NEW));
        assert_eq!(parse(&after), expected);
    }
    let after = edit::set_admin(&before, "somebody-else", &key(NEW)).expect("TOML");
    assert_lines_kept(&before, &after, 0);
    let mut expected = fleet.clone();
    expected.admins.insert("somebody-else".to_owned(), key(NEW));
    assert_eq!(parse(&after), expected);
}

#[test]
fn both_are_written_where_their_author_would() {
    let both = |text: &str| pin(&admin(text));
    for (layout, expected) in [
        (
            SHIPPED,
            expect![[r##"
            # The fleet.
            #
            # Read me.

            [cluster]
            name = "mercury"
            domain = "mercury"        # the host ocean is ocean.mercury
            network = "100.64.0.0/10" # the mesh
            # first_server = "ocean"

            # Who can read every secret.
            [admins]
            ncrmro = "NEW"
            # ncrmro = "ssh-ed25519 AAAA…"

            # One table a host.

            [hosts.ocean]
            role = "server"
            node_ip = "100.64.0.6"
            addresses = [
              "ocean.mercury", # the mesh
              "100.64.0.6",
            ]
            ssh_host_key = "BARE"

            [hosts.maia] # far away
            role = "agent"
            node_ip = "100.64.0.5"
            labels = ["ncrmro.com/region=us-south-2"]
        "##]],
        ),
        (
            FILLED,
            expect![[r#"
            [cluster]
            name    = "mercury"
            domain  = "mercury"

            [admins]
            # The laptop.
            ncrmro   =   "NEW"   # expires in May

            # The one in the safe.
            spare = "OLD"

            # Hosts.
              [hosts."ocean"]
              # Pinned in person.
              ssh_host_key   = "BARE" # was there


              tags = ["a", 'b']
            [hosts.maia]
        "#]],
        ),
        (
            NO_ADMINS,
            expect![[r#"
            [cluster]
            name = "mercury"
            domain = "mercury"

            [hosts.ocean]
            tags = ["x"] # no key
            ssh_host_key = "BARE"

            [hosts.maia]

            [admins]
            ncrmro = "NEW"
        "#]],
        ),
        (
            INLINE,
            expect![[r#"
            cluster = { name = "mercury", domain = "mercury" }
            admins = { spare = "OLD", ncrmro = "NEW" } # two

            [hosts] # all of them
            ocean = { tags = ["x"] , ssh_host_key = "BARE" } # the big one
            maia = {}
        "#]],
        ),
        (
            DOTTED,
            expect![[r#"
            cluster.name = "mercury"
            cluster.domain = "mercury"
            admins.spare = "OLD" # safe
            admins.ncrmro = "NEW"
            hosts.ocean.tags = ["x"] # the big one
            hosts.ocean.ssh_host_key = "BARE"
            # Far away.
            hosts.maia.tags = []
        "#]],
        ),
    ] {
        check(both, layout, &expected);
    }
}

#[test]
fn the_comments_of_an_admin_go_with_the_admin() {
    check(
        clear,
        FILLED,
        &expect![[r#"
        [cluster]
        name    = "mercury"
        domain  = "mercury"

        [admins]

        # Hosts.
          [hosts."ocean"]
          # Pinned in person.
          ssh_host_key   = 'OLD' # was there


          tags = ["a", 'b']
        [hosts.maia]
    "#]],
    );
}
