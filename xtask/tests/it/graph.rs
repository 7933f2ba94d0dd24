//! `graph` as its users meet it, and its pictures as other programs take them: Graphviz, Mermaid itself in a browser, an
//! XML parser.

use std::fs;
use std::path::Path;

use expect_test::expect;

use crate::secrets::Cluster;
use crate::support::{CHROMIUM, Clone, repository, run, run_fed};

/// A secret's name of what could be taken for syntax.
const NASTY: &str = "secrets/it's \"x\" <b>&amp;</b> #35; `y` %%{z}%% größe 名.age";

/// With a secret of a nasty name, a rule that throws, a reader with a nasty name, and a host that is built on another.
fn cluster() -> Cluster {
    let cluster = Cluster::new("  PLACEHOLDER = { };");
    cluster.key("backup");
    let backup = format!("{} b | \\\"x\\\" <i>", cluster.public("backup"));
    let nasty = NASTY.replace('"', "\\\"");
    let rules = format!(
        "\"{nasty}\".publicKeys = adminKeys ++ [ systems.maia \"{backup}\" ];\n  \
         \"secrets/throws.age\".publicKeys = [ (throw \"no key yet\") ];"
    );
    cluster.clone.edit("secrets.nix", "PLACEHOLDER = { };", &rules);
    cluster.clone.fleet("build_on = \"target\"\ntaints", "build_on = \"ocean\"\ntaints");
    cluster
}

#[test]
fn the_graph_is_drawn_though_a_rule_is_broken_and_says_which() {
    let answer = cluster().stranger(&["graph"], "").expect(0);
    expect![[r#"
        warning: the rule for secrets/throws.age does not evaluate: no key yet
        hint: see what nix says of it: nix-instantiate --eval --strict ./secrets.nix
    "#]]
    .assert_eq(&answer.stderr);
    expect![[r#"
        flowchart LR
          accTitle: mercury
          accDescr: 1 server, 1 agent, 0 other hosts, 4 secrets and 2 readers besides the hosts
          subgraph people ["admins and other keys"]
            n0(["me"])
            n4{{"b #124; #34;x#34; #60;i#62;"}}
          end
          subgraph secrets ["secrets"]
            n3[("secrets/it#39;s #34;x#34; #60;b#62;#38;amp#59;#60;/b#62; #35;35#59; #96;y#96; #37;#37;#123;z#125;#37;#37; größe 名.age")]
            n5[("secrets/k3s-agent-token.age")]
            n6[("secrets/k3s-server-token.age")]
            n7[("secrets/throws.age<br>its rule cannot be used")]:::broken
          end
          subgraph hosts ["mercury"]
            n1["ocean<br>server<br>100.64.0.6<br>at ocean.mercury<br>built on itself"]:::server
            n2["maia<br>agent<br>100.64.0.5<br>at maia.mercury"]
          end
          n2 -->|joins| n1
          n2 ==>|built on| n1
          n0 -.-> n3
          n2 -.-> n3
          n4 -.-> n3
          n0 -.-> n5
          n2 -.-> n5
          n0 -.-> n6
          n1 -.-> n6
          classDef server stroke-width:3px
          classDef broken stroke-dasharray:3 3
    "#]].assert_eq(&answer.stdout);
}

#[test]
fn the_graph_is_drawn_though_there_are_no_rules_at_all() {
    let clone = Clone::new();
    fs::write(clone.path().join("secrets.nix"), "{ oops").unwrap();
    let answer =
        clone.xtask(&["graph", "--format", "dot"]).expect(0).says("warning: secrets.nix does not evaluate");
    assert!(answer.stdout.contains("ocean"), "{}", answer.stdout);
}

#[test]
fn without_a_fleet_there_is_nothing_to_draw() {
    let clone = Clone::new();
    clone.fleet("[cluster]", "[cluster");
    clone.refuses(
        &["graph", "--out", "fleet.svg"],
        3,
        &expect![[r#"
        error: hosts/fleet.toml:7: unclosed table, expected `]`
    "#]],
    );
    assert!(!clone.path().join("fleet.svg").exists());
}

#[test]
fn a_picture_is_written_where_it_is_asked_for_in_the_format_of_its_name() {
    let clone = Clone::new();
    clone.refuses(&["graph", "--out", "nowhere/fleet.svg"], 3, &expect![[r#"
        warning: the rule for secrets/k3s-agent-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.
        hint: cargo xtask init
        warning: the rule for secrets/k3s-server-token.age does not evaluate: [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.
        hint: cargo xtask init
        error: failed to write nowhere/fleet.svg: No such file or directory (os error 2)
        hint: is its folder there, and may you write there?
    "#]]);
    let beginning = |name: &str| {
        clone.xtask(&["graph", "--out", name]).expect(0);
        let text = fs::read_to_string(clone.path().join(name)).unwrap();
        text.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        [beginning("a.svg"), beginning("a.dot"), beginning("a.mmd")],
        ["<svg", "digraph", "flowchart"]
    );
    let answer = clone.xtask(&["graph", "--out", "b.svg", "--dry-run"]).expect(0);
    assert_eq!(answer.stdout, "would write b.svg\n");
    assert!(!clone.path().join("b.svg").exists());
}

#[test]
fn json_tells_each_node_and_edge_and_what_is_not_drawn() {
    let answer = cluster().stranger(&["graph", "--json"], "").expect(0);
    assert_eq!(answer.stderr, "");
    let events: Vec<serde_json::Value> =
        answer.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!([count("graph-node"), count("graph-edge"), count("graph-fault")], [8, 9, 1]);
    let built = serde_json::json!({
        "event": "graph-edge", "from": "agent:maia", "to": "server:ocean", "relation": "built on",
    });
    assert!(events.contains(&built), "{events:?}");
}

/// What the text of a picture says, in the order of the file: read by an XML parser, which refuses what is not well formed.
fn texts_of_svg(svg: &str, folder: &Path) -> String {
    const READ: &str = "import sys, xml.etree.ElementTree as tree\n\
        print('\\n'.join(tree.fromstring(sys.stdin.buffer.read()).itertext()))";
    run_fed(&["python3", "-c", READ], folder, &[], svg.as_bytes()).expect(0).stdout
}

#[test]
fn the_svg_is_well_formed_and_shows_each_name_as_it_is() {
    let cluster = cluster();
    let svg = cluster.stranger(&["graph", "--format", "svg"], "").expect(0).stdout;
    let texts = texts_of_svg(&svg, cluster.clone.path());
    for name in
        ["ocean", "maia", "me", NASTY, "b | \"x\" <i>", "its rule cannot be used", "joins", "built on"]
    {
        assert!(texts.lines().any(|line| line == name), "{name} is not in\n{texts}");
    }
    for word in [
        "<title id=\"title\">mercury</title>",
        "<desc id=\"desc\">",
        "prefers-color-scheme:dark",
        "role=\"img\"",
    ] {
        assert!(svg.contains(word), "{word}");
    }
    // It needs nothing else, and does nothing.
    for word in ["<script", "href", "@import", "<image", "onload"] {
        assert!(!svg.contains(word), "{word}");
    }
}

#[test]
fn graphviz_draws_the_dot_and_shows_each_name_as_it_is() {
    let cluster = cluster();
    let dot = cluster.stranger(&["graph", "--format", "dot"], "").expect(0).stdout;
    let drawn = run_fed(&["dot", "-Tsvg"], cluster.clone.path(), &[], dot.as_bytes()).expect(0);
    assert_eq!(drawn.stderr, "");
    // Graphviz writes spaces and dashes of its own kind.
    let texts = texts_of_svg(&drawn.stdout, cluster.clone.path()).replace('\u{a0}', " ");
    for name in ["ocean", "maia", NASTY, "b | \"x\" <i>", "its rule cannot be used", "joins", "built on"] {
        assert!(texts.lines().any(|line| line == name), "{name} is not in\n{texts}");
    }
    // The control: it does refuse.
    assert_ne!(run_fed(&["dot", "-Tsvg"], cluster.clone.path(), &[], b"digraph { a -> }").code, 0);
}

/// Mermaid draws the texts in a headless browser; what it says of each: the texts of its picture, or why it refuses.
fn drawn_by_mermaid(texts: &[&str], folder: &Path) -> Vec<String> {
    let mermaid = repository().join("target/tools/npm/mermaid/dist/mermaid.min.js");
    assert!(mermaid.is_file(), "no {}; `cargo xtask test --install` brings it", mermaid.display());
    let page = include_str!("graph/mermaid.html").replace("MERMAID", mermaid.to_str().unwrap());
    // No text can end the script that it stands in.
    let page = page.replace("TEXTS", &serde_json::to_string(texts).unwrap().replace('<', "\\u003c"));
    let (page_file, profile) = (folder.join("page.html"), folder.join("profile"));
    fs::write(&page_file, page).unwrap();
    let (profile, page_file) =
        (format!("--user-data-dir={}", profile.display()), format!("file://{}", page_file.display()));
    let more = ["--disable-dev-shm-usage", &profile, "--virtual-time-budget=60000", "--dump-dom", &page_file];
    let page =
        run(&[&["chromium"][..], &CHROMIUM, &more].concat(), folder, &[("HOME", folder.to_str().unwrap())])
            .expect(0)
            .stdout;
    let answers = page.split("<pre id=\"answers\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let answers = answers.unwrap_or_else(|| panic!("no answers in {page}"));
    let answers =
        answers.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", " ").replace("&amp;", "&");
    serde_json::from_str(&answers).unwrap_or_else(|error| panic!("{error} in {answers}"))
}

#[test]
fn mermaid_draws_its_text_and_shows_each_name_as_it_is() {
    let cluster = cluster();
    let text = cluster.stranger(&["graph"], "").expect(0).stdout;
    let answers = drawn_by_mermaid(&[&text, "flowchart LR\n  a[\"x \" y\"] --> b"], cluster.home());
    // The control: it does refuse.
    assert!(answers[1].starts_with("refused: Parse error"), "{}", answers[1]);
    for name in ["ocean", "maia", NASTY, "b | \"x\" <i>", "its rule cannot be used", "joins", "built on"] {
        assert!(answers[0].lines().any(|line| line.trim() == name), "{name} is not in\n{}", answers[0]);
    }
}
