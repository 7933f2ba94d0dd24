//! A `secrets.nix` that a person wrote: what is not understood stays as it is, and what is edited looks as its author
//! would have written it.

use expect_test::{Expect, expect};
use fleet::secrets_nix::{SecretsNixError, add_host, named_secrets, remove_host, set_host_key};
use fleet::{HostName, PublicKey, Role};

const ADMIN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb";
const OCEAN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi";

/// The document's, with OCEAN and so on for keys.
const DOCUMENT: &str = r#"let
  users = {
    ncrmro = "ADMIN"; # Admin SSH key
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

const MAIA: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHhPDCG/QG1Z55zp+1o1sxyBc1TGEaP+xUcpu9xIljD";
const NEW: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFpjBFKFdvU4V7R0jJQsAIHrFKMhfWpO8WQgRMRKL03u";
const NEXT: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL6Xoy1okBmOHiz30QDXYC+M999/S6jQvTROaPyUlaOD";
const KEYS: [(&str, &str); 5] =
    [("ADMIN", ADMIN), ("OCEAN", OCEAN), ("MAIA", MAIA), ("NEW", NEW), ("NEXT", NEXT)];

fn name(text: &str) -> HostName {
    HostName::new(text).expect("a name")
}

fn key(text: &str) -> PublicKey {
    PublicKey::new(text).expect("a key")
}

/// With a comment, which is never written.
fn new_key() -> PublicKey {
    key(&format!("{NEW} root@new"))
}

fn filled(layout: &str) -> String {
    KEYS.iter().fold(layout.to_owned(), |text, (word, key)| text.replace(word, key))
}

fn emptied(text: &str) -> String {
    KEYS.iter().fold(text.to_owned(), |text, (word, key)| text.replace(key, word))
}

type Edited = Result<String, SecretsNixError>;

fn server(text: &str) -> Edited {
    add_host(text, &name("new-server"), Some(Role::Server), &new_key())
}

fn agent(text: &str) -> Edited {
    add_host(text, &name("new-agent"), Some(Role::Agent), &new_key())
}

fn without_maia(text: &str) -> Edited {
    remove_host(text, &name("maia"))
}

fn pinned(text: &str) -> Edited {
    set_host_key(text, &name("maia"), &new_key())
}

/// The lines that an edit took and gave.
fn diff(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] =
                if a == b { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push_str(&format!("-{}\n", old[i]));
            i += 1;
        } else {
            lines.push_str(&format!("+{}\n", new[j]));
            j += 1;
        }
    }
    lines
}

fn check_diff(edit: fn(&str) -> Edited, layout: &str, expected: &Expect) {
    let after = edit(&filled(layout)).unwrap_or_else(|error| panic!("{error}\n{layout}"));
    expected.assert_eq(&diff(layout, &emptied(&after)));
}

/// Each body of a `let`, edited; the whole text, with the ends of lines shown where they are not plain.
fn check_all(edit: fn(&str) -> Edited, bodies: &[&str], expected: &Expect) {
    let mut shown = String::new();
    for body in bodies {
        let text = filled(&format!("let\n{body}\nin {{ }}\n"));
        let after = edit(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let after = emptied(&after).replace("\r\n", "\\r\n").replace('\t', "\\t");
        let body =
            after.strip_prefix("let").and_then(|text| text.strip_suffix("in { }\n")).expect("the rest");
        shown.push_str(&format!("----{body}"));
    }
    expected.assert_eq(&shown);
}

/// What the command line prints.
fn told(error: &SecretsNixError) -> String {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    emptied(&format!("{error}{hint}\n"))
}

/// What is said about each, and nothing else happens.
fn check_refused(edit: fn(&str) -> Edited, texts: &[&str], expected: &Expect) {
    let told: String = texts.iter().map(|text| told(&edit(&filled(text)).expect_err(text))).collect();
    expected.assert_eq(&told);
}

/// The first line of each refusal.
fn check_unknown(edit: fn(&str) -> Edited, texts: &[&str], expected: &Expect) {
    let mut lines = String::new();
    for text in texts {
        let error = edit(&filled(text)).expect_err(text);
        assert!(matches!(error, SecretsNixError::Form { .. }), "{error}");
        lines.push_str(&format!("{error}\n"));
    }
    expected.assert_eq(&lines);
}

const HOSTS: &str = "systems = { ocean = \"OCEAN\"; maia = \"MAIA\"; };";
const LISTS: &str = "k3sServers = [systems.ocean]; k3sAgents = [systems.maia];";

#[test]
fn a_form_that_is_not_known_is_left_alone_and_the_edit_told() {
    let derived = "let systems = builtins.mapAttrs f fleet.hosts; k3sServers = []; k3sAgents = []; in { }";
    check_refused(
        server,
        &[derived],
        &expect![[r#"
        secrets.nix:1: `systems` is not written out as { NAME = "KEY"; … }
        hint: by hand, add to `systems`:
          new-server = "NEW";
        and to the list `k3sServers`:
          systems.new-server
    "#]],
    );
    check_refused(
        agent,
        &[derived],
        &expect![[r#"
        secrets.nix:1: `systems` is not written out as { NAME = "KEY"; … }
        hint: by hand, add to `systems`:
          new-agent = "NEW";
        and to the list `k3sAgents`:
          systems.new-agent
    "#]],
    );
    check_refused(
        without_maia,
        &[derived],
        &expect![[r#"
        secrets.nix:1: `systems` is not written out as { NAME = "KEY"; … }
        hint: by hand, remove from `systems`:
          maia = "…";
        and from every list, or wherever it is used:
          systems.maia
    "#]],
    );
    check_refused(
        pinned,
        &[derived],
        &expect![[r#"
        secrets.nix:1: `systems` is not written out as { NAME = "KEY"; … }
        hint: by hand, set in `systems`:
          maia = "NEW";
    "#]],
    );
    let alone = |text: &str| add_host(text, &name("0host"), None, &new_key());
    check_refused(
        alone,
        &[derived],
        &expect![[r#"
        secrets.nix:1: `systems` is not written out as { NAME = "KEY"; … }
        hint: by hand, add to `systems`:
          "0host" = "NEW";
    "#]],
    );
}

#[test]
fn each_unknown_form_is_named_with_its_line() {
    let with = |systems: &str, lists: &str| format!("let\n{systems}\n{lists}\nin {{ }}");
    let texts = [
        "".to_owned(),
        "{ }".to_owned(),
        "let in".to_owned(),
        "let systems = { ocean = \"OCEAN\"; in { }".to_owned(),
        "let a = 1;\r b = 2; in { }".to_owned(),
        "[".repeat(100_000),
        format!("let a = {}1; in {{ }}", "f ".repeat(100_000)),
        format!("let a = [{}1]; in {{ }}", "x: x ++ ".repeat(100_000)),
        format!("let a = [{}1]; in {{ }}", "a.a or ".repeat(100_000)),
        format!("let a = {}1; in {{ }}", "b; ".repeat(1 << 20)),
        "{ pkgs }: let systems = { }; k3sAgents = [ ]; in { }".to_owned(),
        with("", LISTS),
        with("systems = rec { ocean = \"OCEAN\"; };", LISTS),
        with("systems = { ocean = \"OCEAN\"; } // more;", LISTS),
        with("systems = (import ./systems.nix);", LISTS),
        with("systems.ocean = \"OCEAN\"; systems.maia = \"MAIA\";", LISTS),
        with("systems.ocean = \"OCEAN\";", LISTS),
        with("inherit (import ./keys.nix) systems;", LISTS),
        with("systems = { inherit ocean; };", LISTS),
        with("systems = { ${name} = \"OCEAN\"; };", LISTS),
        with("systems = { \"${name}\" = \"OCEAN\"; };", LISTS),
        with("systems = { ocean.key = \"OCEAN\"; };", LISTS),
        with("systems = { ocean = \"OCEAN\";\n\"ocean\" = \"MAIA\"; };", LISTS),
        with(HOSTS, "k3sServers = [systems.ocean];"),
        with(HOSTS, "k3sAgents = [systems.maia] ++ more;"),
        with(HOSTS, "k3sAgents = map (name: systems.${name}) [\"maia\"];"),
        with(HOSTS, "k3sAgents = with systems; [maia];"),
        with(HOSTS, "k3sAgents = ([systems.maia]);"),
        with(HOSTS, "k3sAgents = [systems.maia]; k3sAgents = [];"),
        with(HOSTS, "inherit k3sAgents;"),
    ];
    check_unknown(
        agent,
        &texts.each_ref().map(String::as_str),
        &expect![[r#"
            secrets.nix:1: this is not Nix: `nix-instantiate --parse secrets.nix` says why
            secrets.nix:1: it does not begin with `let`
            secrets.nix:1: this is not Nix: `nix-instantiate --parse secrets.nix` says why
            secrets.nix:1: this is not Nix: `nix-instantiate --parse secrets.nix` says why
            secrets.nix:1: there is a carriage return within a line
            secrets.nix:1: it is nested too deeply
            secrets.nix:1: it is nested too deeply
            secrets.nix:1: it is nested too deeply
            secrets.nix:1: it is nested too deeply
            secrets.nix: it is too large to be edited
            secrets.nix:1: it does not begin with `let`
            secrets.nix: the outermost `let` does not define `systems`
            secrets.nix:2: `systems` is a `rec { … }`
            secrets.nix:2: `systems` is not written out as { NAME = "KEY"; … }
            secrets.nix:2: `systems` is not written out as { NAME = "KEY"; … }
            secrets.nix:2: `systems` is defined in several places
            secrets.nix:2: `systems` is defined in parts: `systems.… = …`
            secrets.nix:2: `systems` is inherited
            secrets.nix:2: `inherit` stands where a definition was expected
            secrets.nix:2: the name of a definition is computed
            secrets.nix:2: the name of a definition is computed
            secrets.nix:2: an attribute path stands where a name was expected
            secrets.nix:3: `ocean` is defined twice
            secrets.nix: the outermost `let` does not define `k3sAgents`
            secrets.nix:3: `k3sAgents` is not written out as [ … ]
            secrets.nix:3: `k3sAgents` is not written out as [ … ]
            secrets.nix:3: `k3sAgents` is not written out as [ … ]
            secrets.nix:3: `k3sAgents` is not written out as [ … ]
            secrets.nix:3: `k3sAgents` is defined in several places
            secrets.nix:3: `k3sAgents` is inherited
        "#]],
    );
}

#[test]
fn a_host_that_is_used_in_another_way_is_not_removed() {
    let with = |rest: &str| format!("let\n{HOSTS}\n{LISTS}\n{rest}");
    let texts = [
        with("main = systems.maia; in { }"),
        with("main = [(systems.maia)]; in { }"),
        with("main = [systems.maia.key]; in { }"),
        with("main = [(systems.maia or \"\")]; in { }"),
        with("in { \"a.age\".publicKeys = k3sServers ++ map f [ systems.maia ] ++ f systems.maia; }"),
        with("all = map (name: systems.${name}) [\"maia\"]; in { }"),
        with("all = with systems; [maia]; in { }"),
        with("inherit (systems) maia; in { }"),
        with("all = f systems; in { }"),
        with("all = map (systems: [systems.maia]) []; in { }"),
        with("all = map ({ systems }: [systems.maia]) []; in { }"),
        with("all = let systems = {}; in [systems.maia]; in { }"),
        with("all = rec { \"systems\" = {}; a = [systems.maia]; }; in { }"),
        with("in { inherit systems; }"),
    ];
    check_unknown(
        without_maia,
        &texts.each_ref().map(String::as_str),
        &expect![[r#"
        secrets.nix:4: `systems.maia` is used outside of a list
        secrets.nix:4: `systems.maia` is used outside of a list
        secrets.nix:4: `systems.maia` is used outside of a list
        secrets.nix:4: `systems.maia` is used outside of a list
        secrets.nix:4: `systems.maia` is used outside of a list
        secrets.nix:4: which of `systems` is used here is computed
        secrets.nix:4: `systems` is used as a whole, perhaps for this host
        secrets.nix:4: `systems` is used as a whole, perhaps for this host
        secrets.nix:4: `systems` is used as a whole, perhaps for this host
        secrets.nix:4: there may be another `systems`
        secrets.nix:4: there may be another `systems`
        secrets.nix:4: there may be another `systems`
        secrets.nix:4: there may be another `systems`
        secrets.nix:4: there may be another `systems`
    "#]],
    );
}

#[test]
fn a_key_that_is_not_written_out_is_not_changed() {
    let texts = [
        "let systems = { maia = builtins.readFile ./maia.pub; }; in { }",
        "let systems = {\n maia = \"ssh-ed25519 ${key}\"; }; in { }",
        "let systems = {\n maia = keys.maia; }; in { }",
    ];
    check_unknown(
        pinned,
        &texts,
        &expect![[r#"
        secrets.nix:1: the key of `maia` is not written out
        secrets.nix:2: the key of `maia` is not written out
        secrets.nix:2: the key of `maia` is not written out
    "#]],
    );
}

#[test]
fn what_is_there_already_or_is_not_there_is_told() {
    let text = filled(DOCUMENT);
    let mut told_all = String::new();
    for result in [
        add_host(&text, &name("maia"), Some(Role::Agent), &new_key()),
        add_host(&text, &name("reef"), Some(Role::Agent), &key(MAIA)),
        set_host_key(&text, &name("maia"), &key(OCEAN)),
        set_host_key(&text, &name("maja"), &new_key()),
        remove_host(&text, &name("reef")),
        remove_host("let systems = { }; in { }", &name("reef")),
        // In a list, though not in `systems`.
        add_host(&text.replace("[systems.maia]", "[\n systems.reef ]"), &name("reef"), None, &new_key()),
        add_host(&text.replace("maia =", "\"maia\" ="), &name("maia"), None, &new_key()),
    ] {
        told_all.push_str(&told(&result.expect_err("refused")));
    }
    expect![[r#"
        secrets.nix:8: there is a `maia` already
        hint: choose another name, or remove that host first
        secrets.nix:8: this is the key of `maia` already
        hint: a machine cloned from another needs host keys of its own: `ssh-keygen -A` there
        secrets.nix:7: this is the key of `ocean` already
        hint: a machine cloned from another needs host keys of its own: `ssh-keygen -A` there
        there is no host `maja` in `systems` of secrets.nix
        hint: did you mean `maia`?
        there is no host `reef` in `systems` of secrets.nix
        hint: known hosts: ocean, maia
        there is no host `reef` in `systems` of secrets.nix
        secrets.nix:14: there is a `reef` already
        hint: choose another name, or remove that host first
        secrets.nix:8: there is a `maia` already
        hint: choose another name, or remove that host first
    "#]]
    .assert_eq(&told_all);
}

#[test]
fn the_documents_file_takes_a_server_and_an_agent() {
    check_diff(
        server,
        DOCUMENT,
        &expect![[r#"
        +    new-server = "NEW";
        -  k3sServers = [systems.ocean];  # Only server nodes
        +  k3sServers = [systems.ocean systems.new-server];  # Only server nodes
    "#]],
    );
    check_diff(
        agent,
        DOCUMENT,
        &expect![[r#"
        +    new-agent = "NEW";
        -  k3sAgents = [systems.maia];    # Only agent nodes
        +  k3sAgents = [systems.maia systems.new-agent];    # Only agent nodes
    "#]],
    );
    check_diff(
        |text| add_host(&agent(text)?, &name("reef"), Some(Role::Server), &key(NEXT)),
        DOCUMENT,
        &expect![[r#"
            +    reef = "NEXT";
            +    new-agent = "NEW";
            -  k3sServers = [systems.ocean];  # Only server nodes
            -  k3sAgents = [systems.maia];    # Only agent nodes
            +  k3sServers = [systems.ocean systems.reef];  # Only server nodes
            +  k3sAgents = [systems.maia systems.new-agent];    # Only agent nodes
        "#]],
    );
    check_diff(
        |text| add_host(text, &name("desk"), None, &new_key()),
        DOCUMENT,
        &expect![[r#"
        +    desk = "NEW";
    "#]],
    );
}

#[test]
fn the_documents_file_loses_a_host_and_changes_a_key() {
    check_diff(
        without_maia,
        DOCUMENT,
        &expect![[r#"
        -    maia = "MAIA";  # Agent node SSH key
        -  k3sAgents = [systems.maia];    # Only agent nodes
        +  k3sAgents = [];    # Only agent nodes
    "#]],
    );
    check_diff(
        |text| remove_host(text, &name("ocean")),
        DOCUMENT,
        &expect![[r#"
        -    ocean = "OCEAN"; # Server node SSH key
        -  k3sServers = [systems.ocean];  # Only server nodes
        +  k3sServers = [];  # Only server nodes
    "#]],
    );
    check_diff(
        pinned,
        DOCUMENT,
        &expect![[r#"
        -    maia = "MAIA";  # Agent node SSH key
        +    maia = "NEW";  # Agent node SSH key
    "#]],
    );
    let text = filled(DOCUMENT);
    for (edit, host) in [(server as fn(&str) -> Edited, "new-server"), (agent, "new-agent")] {
        assert_eq!(remove_host(&edit(&text).expect("added"), &name(host)), Ok(text.clone()));
    }
    assert_eq!(set_host_key(&text, &name("maia"), &key(MAIA)), Ok(text));
}

#[test]
fn a_new_host_is_written_as_its_neighbours_are() {
    let bodies = [
        // All in one line.
        "systems = { ocean = \"OCEAN\"; maia = \"MAIA\"; }; k3sAgents = [ systems.maia ];",
        "systems={ocean=\"OCEAN\";maia=\"MAIA\";};k3sAgents=[systems.maia];",
        // Nothing there yet.
        "systems = {}; k3sAgents = [];",
        "systems = { }; k3sAgents = [ ];",
        "  systems = {\n  };\n  k3sAgents = [\n  ];",
        "\tsystems = {\n\t};\n\tk3sAgents = [\n\t];",
        "systems = { # none yet\n}; k3sAgents = [ /* none */ ];",
        "systems = {/* none */}; k3sAgents = [\n  # none yet\n];",
        // One per line, and the brackets anywhere.
        "  systems = {\n    ocean = \"OCEAN\";\n\n    # far away\n    maia  = \"MAIA\"; # agent\n  };\n  k3sAgents = [\n    systems.maia # agent\n  ];",
        "  systems =\n    { ocean = \"OCEAN\";\n      maia = \"MAIA\"; };\n  k3sAgents =\n    [ systems.maia\n      systems.maia ];",
        "  systems\n    = { ocean\n      = \"OCEAN\"; };\n  k3sAgents = [ systems.maia # far\n  ];",
        "  systems = {\n    maia = \"MAIA\"; ocean = \"OCEAN\"; }; # both\n  k3sAgents = [ # all\n    systems.maia systems.maia # one\n  ];",
        "\tsystems = {\n\t\tocean\t= \"OCEAN\";\n\t};\n\tk3sAgents = [\n\t\tsystems.ocean\n\t];",
        // Keys in one column.
        "  systems = {\n    ocean     = \"OCEAN\";\n    maia      = \"MAIA\";\n  };\n  k3sAgents = [systems.maia/* far */];",
        "  systems = {\n    ocean = \"OCEAN\";\n    maia  = \"MAIA\";\n  };\n  k3sAgents = [\"x\" (f y) systems.\"maia\"];",
        // Lines that end as Windows ends them.
        "  systems = {\r\n    maia = \"MAIA\"; # agent\r\n  };\r\n  k3sAgents = [\r\n    systems.maia # agent\r\n  ];\r\n  x = [\r\n  ];",
        "  systems = {\r\n    maia = \"MAIA\";\r\n  };\r\n  k3sAgents = [\r\n  ];",
    ];
    check_all(
        agent,
        &bodies,
        &expect![[r#"
        ----
        systems = { ocean = "OCEAN"; maia = "MAIA"; new-agent = "NEW"; }; k3sAgents = [ systems.maia systems.new-agent ];
        ----
        systems={ocean="OCEAN";maia="MAIA"; new-agent="NEW";};k3sAgents=[systems.maia systems.new-agent];
        ----
        systems = { new-agent = "NEW"; }; k3sAgents = [systems.new-agent];
        ----
        systems = { new-agent = "NEW"; }; k3sAgents = [ systems.new-agent ];
        ----
          systems = {
            new-agent = "NEW";
          };
          k3sAgents = [
            systems.new-agent
          ];
        ----
        \tsystems = {
        \t\tnew-agent = "NEW";
        \t};
        \tk3sAgents = [
        \t\tsystems.new-agent
        \t];
        ----
        systems = { # none yet
          new-agent = "NEW";
        }; k3sAgents = [ /* none */ systems.new-agent ];
        ----
        systems = {/* none */ new-agent = "NEW"; }; k3sAgents = [
          # none yet
          systems.new-agent
        ];
        ----
          systems = {
            ocean = "OCEAN";

            # far away
            maia  = "MAIA"; # agent
            new-agent = "NEW";
          };
          k3sAgents = [
            systems.maia # agent
            systems.new-agent
          ];
        ----
          systems =
            { ocean = "OCEAN";
              maia = "MAIA";
              new-agent = "NEW"; };
          k3sAgents =
            [ systems.maia
              systems.maia
              systems.new-agent ];
        ----
          systems
            = { ocean
              = "OCEAN"; new-agent = "NEW"; };
          k3sAgents = [ systems.maia # far
                        systems.new-agent
          ];
        ----
          systems = {
            maia = "MAIA"; new-agent = "NEW"; ocean = "OCEAN"; }; # both
          k3sAgents = [ # all
            systems.maia systems.maia # one
            systems.new-agent
          ];
        ----
        \tsystems = {
        \t\tocean\t= "OCEAN";
        \t\tnew-agent\t= "NEW";
        \t};
        \tk3sAgents = [
        \t\tsystems.ocean
        \t\tsystems.new-agent
        \t];
        ----
          systems = {
            ocean     = "OCEAN";
            maia      = "MAIA";
            new-agent = "NEW";
          };
          k3sAgents = [systems.maia/* far */ systems.new-agent];
        ----
          systems = {
            ocean = "OCEAN";
            maia  = "MAIA";
            new-agent = "NEW";
          };
          k3sAgents = ["x" (f y) systems."maia" systems.new-agent];
        ----
          systems = {\r
            maia = "MAIA"; # agent\r
            new-agent = "NEW";\r
          };\r
          k3sAgents = [\r
            systems.maia # agent\r
            systems.new-agent\r
          ];\r
          x = [\r
          ];
        ----
          systems = {\r
            maia = "MAIA";\r
            new-agent = "NEW";\r
          };\r
          k3sAgents = [\r
            systems.new-agent\r
          ];
    "#]],
    );
}

#[test]
fn a_long_file_is_not_a_deep_one() {
    let hosts = (0..2000).map(|index| format!("  h{index} = \"{index}\";\n")).collect::<String>();
    let list = (0..2000).map(|index| format!(" systems.h{index}")).collect::<String>();
    let rules =
        (0..2000).map(|index| format!("  \"{index}.age\".publicKeys = k3sAgents;\n")).collect::<String>();
    let text = format!("let\nsystems = {{\n{hosts}}};\nk3sAgents = [{list} ];\nin {{\n{rules}}}\n");
    let after = agent(&text).expect("added");
    assert_eq!(remove_host(&after, &name("new-agent")), Ok(text));
}

#[test]
fn a_name_that_nix_would_read_otherwise_is_quoted() {
    let file = "let systems = { }; k3sAgents = []; in { }";
    let mut shown = String::new();
    for host in ["0host", "in", "or", "a-b-0", "true"] {
        let added = add_host(file, &name(host), Some(Role::Agent), &new_key()).expect("added");
        shown.push_str(&format!("{}\n", emptied(&added)));
        let again = add_host(&added, &name(host), None, &new_key()).expect_err("is there");
        assert!(matches!(again, SecretsNixError::Exists { .. }), "{again}");
        let pinned = set_host_key(&added, &name(host), &key(MAIA)).expect("pinned");
        assert_eq!(pinned, added.replace(NEW, MAIA));
        assert_eq!(
            remove_host(&added, &name(host)).expect("removed"),
            "let systems = { }; k3sAgents = []; in { }"
        );
    }
    expect![[r#"
        let systems = { "0host" = "NEW"; }; k3sAgents = [systems."0host"]; in { }
        let systems = { "in" = "NEW"; }; k3sAgents = [systems."in"]; in { }
        let systems = { "or" = "NEW"; }; k3sAgents = [systems."or"]; in { }
        let systems = { a-b-0 = "NEW"; }; k3sAgents = [systems.a-b-0]; in { }
        let systems = { true = "NEW"; }; k3sAgents = [systems.true]; in { }
    "#]]
    .assert_eq(&shown);
}

#[test]
fn what_is_said_about_a_host_goes_with_it() {
    let bodies = [
        "systems = { ocean = \"OCEAN\"; maia = \"MAIA\"; }; k3sAgents = [ systems.maia ];",
        "systems = { maia = \"MAIA\"; ocean = \"OCEAN\"; }; k3sAgents = [systems.maia systems.ocean];",
        "systems={ocean=\"OCEAN\";maia=\"MAIA\";};k3sAgents=[systems.ocean systems.maia];both=[systems.maia systems.maia];",
        "  systems = {\n    # The first.\n    ocean = \"OCEAN\";\n\n    # Far away,\n    # in a cellar.\n    maia = \"MAIA\"; # slow\n\n    # Spare.\n    x = \"y\";\n  };\n  k3sAgents = [\n    # Agents.\n    systems.maia # slow\n    systems.ocean # fast\n  ];",
        // A comment that heads what follows as well stays.
        "  systems = {\n    # Agents.\n    maia = \"MAIA\";\n    reef = \"OCEAN\";\n  };\n  k3sAgents = [ systems.maia # slow\n    systems.reef ];",
        "  systems =\n    { # All.\n      maia =\n        \"MAIA\";\n    };\n  k3sAgents = [\n    systems.reef\n    systems.\"maia\" ];",
        "\tsystems = {\r\n\t\t# Far.\r\n\t\tmaia = \"MAIA\"; # slow\r\n\t};\r\n\tk3sAgents = [\r\n\t\tsystems.maia\r\n\t];",
        // Wherever it is listed.
        "  systems = { maia = \"MAIA\"; };\n  all = builtins.attrValues systems ++ [ systems.maia ] ++ f [\"x\" systems.maia];\n  other.systems = 1;\n  k3sAgents = f { list = [ systems.maia/**/systems.ocean ]; };",
    ];
    check_all(
        without_maia,
        &bodies,
        &expect![[r#"
            ----
            systems = { ocean = "OCEAN"; }; k3sAgents = [ ];
            ----
            systems = { ocean = "OCEAN"; }; k3sAgents = [systems.ocean];
            ----
            systems={ocean="OCEAN";};k3sAgents=[systems.ocean];both=[];
            ----
              systems = {
                # The first.
                ocean = "OCEAN";

                # Spare.
                x = "y";
              };
              k3sAgents = [
                # Agents.
                systems.ocean # fast
              ];
            ----
              systems = {
                # Agents.
                reef = "OCEAN";
              };
              k3sAgents = [ # slow
                systems.reef ];
            ----
              systems =
                { # All.
                };
              k3sAgents = [
                systems.reef
                ];
            ----
            \tsystems = {\r
            \t};\r
            \tk3sAgents = [\r
            \t];
            ----
              systems = { };
              all = builtins.attrValues systems ++ [ ] ++ f ["x"];
              other.systems = 1;
              k3sAgents = f { list = [/**/systems.ocean ]; };
        "#]],
    );
}

#[test]
fn a_key_is_changed_where_it_stands() {
    let bodies = [
        "systems = { maia = \"MAIA root@maia\"; # old\n };",
        "systems = { \"maia\" = ''MAIA'' /* old */; };",
        "systems = { maia\n=\n\"\"; };",
    ];
    check_all(
        pinned,
        &bodies,
        &expect![[r#"
        ----
        systems = { maia = "NEW"; # old
         };
        ----
        systems = { "maia" = "NEW" /* old */; };
        ----
        systems = { maia
        =
        "NEW"; };
    "#]],
    );
}

#[test]
fn secrets_are_named_by_what_stands_in_quotes_and_not_in_comments() {
    let text = r#"
        # "secrets/comment.age".publicKeys
        let more = { "b.age".publicKeys = [ ]; }; name = "x"; in
        { "secrets/a.age".publicKeys = [ ]; "${name}.age".publicKeys = [ ]; "readme.md" = 1; } // more // { "b.age" = 2; }
    "#;
    assert_eq!(named_secrets(text), ["b.age", "secrets/a.age"]);
    assert_eq!(named_secrets("{ \"a.age\" = "), Vec::<String>::new());
}
