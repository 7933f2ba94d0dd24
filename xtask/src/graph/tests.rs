//! The graph of a fleet and its rules, in each format. That real programs take them is tested in `tests/it/graph.rs`.

use agenix::Rules;
use expect_test::expect;
use fleet::Fleet;

use super::{Fault, Graph, dot, mermaid, svg};

const ME: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQVzuLKxgPK8onfSns5O1MMZlqQBi5GofJH2sYz12TQ";
const OCEAN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMM5w2mCdEyYgCUHvUG7iHl5V9OXwgsIkSpVYVZQ8Yty";
const STRAY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJivIYZgxpnAsBdl8kvkCR0J0qIr+7AoWTyxK5AAUU1o";
/// What a name may be made of, and what it would be taken for.
const NASTY: &str = "it's \"x\" <b>&amp;</b> \\n #35; `y` %%{z}%% größe 名";

fn fleet() -> Fleet {
    let text = format!(
        "[cluster]\nname = \"mercury\"\ndomain = \"mercury\"\nnetwork = \"100.64.0.0/10\"\nfirst_server = \"ocean\"\n\
         [admins]\nme = \"{ME}\"\n\
         [hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\nssh_host_key = \"{OCEAN}\"\n\
         [hosts.atoll]\nrole = \"server\"\nnode_ip = \"100.64.0.7\"\nbuild_on = \"local\"\n\
         [hosts.maia]\nrole = \"agent\"\nnode_ip = \"100.64.0.5\"\naddresses = [\"100.64.0.5\"]\nbuild_on = \"ocean\"\n\
         [hosts.nas-1]\naddresses = [\"nas.lan\"]\n"
    );
    Fleet::parse(&text).unwrap()
}

fn graph_of(rules: &serde_json::Value) -> Graph {
    Graph::new(&fleet(), &Rules::from_json(&rules.to_string()).unwrap())
}

fn lines(graph: &Graph) -> String {
    graph.events().iter().map(|event| format!("{event}\n")).collect()
}

#[test]
fn a_rule_that_cannot_be_used_is_told_and_the_rest_is_drawn() {
    let graph = graph_of(&serde_json::json!({
        "secrets/a.age": { "publicKeys": ["ssh-ed25519 PLACEHOLDER"] },
        "secrets/b.age": { "publicKeys": [ME, OCEAN] },
        "../outside.age": { "publicKeys": [ME] },
    }));
    let faults: Vec<&str> = graph.faults().iter().map(|Fault { what, .. }| what.as_str()).collect();
    expect![[r#"
        the rule for secrets/a.age cannot be used: "ssh-ed25519 PLACEHOLDER" is a placeholder, not a key
        "../outside.age" may leave the repository"#]]
    .assert_eq(&faults.join("\n"));
    let lines = lines(&graph);
    let edge =
        r#"{"event":"graph-edge","from":"server:ocean","relation":"reads","to":"secret:secrets/b.age"}"#;
    assert!(lines.contains(edge), "{lines}");
    assert!(!lines.contains("\"to\":\"secret:secrets/a.age\""), "{lines}");
    assert!(mermaid::draw(&graph).contains("[(\"secrets/a.age<br>its rule cannot be used\")]:::broken"));
}

#[test]
fn without_rules_the_fleet_is_drawn() {
    let fault = Fault { what: "secrets.nix does not evaluate".to_owned(), hint: None };
    let graph = Graph::without_rules(&fleet(), fault);
    expect![[r#"
        {"broken":false,"details":[],"event":"graph-node","id":"admin:me","kind":"admin","name":"me"}
        {"broken":false,"details":["server, the first","100.64.0.6","at ocean.mercury","built on itself"],"event":"graph-node","id":"server:ocean","kind":"server","name":"ocean"}
        {"broken":false,"details":["server","100.64.0.7","at atoll.mercury","built where it is deployed from","no pinned key"],"event":"graph-node","id":"server:atoll","kind":"server","name":"atoll"}
        {"broken":false,"details":["agent","100.64.0.5","no pinned key"],"event":"graph-node","id":"agent:maia","kind":"agent","name":"maia"}
        {"broken":false,"details":["outside of the cluster","at nas.lan","built on itself","no pinned key"],"event":"graph-node","id":"host:nas-1","kind":"host","name":"nas-1"}
        {"event":"graph-edge","from":"server:atoll","relation":"joins","to":"server:ocean"}
        {"event":"graph-edge","from":"agent:maia","relation":"joins","to":"server:ocean"}
        {"event":"graph-edge","from":"agent:maia","relation":"built on","to":"server:ocean"}
        {"event":"graph-fault","finding":"secrets.nix does not evaluate","hint":null}
    "#]].assert_eq(&lines(&graph));
}

#[test]
fn a_key_whose_comment_is_a_hosts_name_is_not_the_host() {
    let graph = graph_of(
        &serde_json::json!({ "secrets/a.age": { "publicKeys": [format!("{STRAY} ocean"), OCEAN] } }),
    );
    let lines = lines(&graph);
    let readers: Vec<&str> = lines.lines().filter(|line| line.contains("\"reads\"")).collect();
    expect![[r#"
        {"event":"graph-edge","from":"key:ocean","relation":"reads","to":"secret:secrets/a.age"}
        {"event":"graph-edge","from":"server:ocean","relation":"reads","to":"secret:secrets/a.age"}"#]]
    .assert_eq(&readers.join("\n"));
}

#[test]
fn mermaid_has_each_relation_and_takes_no_name_for_syntax() {
    let graph = graph_of(&serde_json::json!({ NASTY: { "publicKeys": [ME, format!("{STRAY} {NASTY}")] } }));
    expect![[r#"
        flowchart LR
          accTitle: mercury
          accDescr: 2 servers, 1 agent, 1 other host, 1 secret and 2 readers besides the hosts
          subgraph people ["admins and other keys"]
            n0(["me"])
            n6{{"it#39;s #34;x#34; #60;b#62;#38;amp#59;#60;/b#62; #92;n #35;35#59; #96;y#96; #37;#37;#123;z#125;#37;#37; größe 名"}}
          end
          subgraph secrets ["secrets"]
            n5[("it#39;s #34;x#34; #60;b#62;#38;amp#59;#60;/b#62; #92;n #35;35#59; #96;y#96; #37;#37;#123;z#125;#37;#37; größe 名")]
          end
          subgraph hosts ["mercury"]
            n1["ocean<br>server, the first<br>100.64.0.6<br>at ocean.mercury<br>built on itself"]:::server
            n2["atoll<br>server<br>100.64.0.7<br>at atoll.mercury<br>built where it is deployed from<br>no pinned key"]:::server
            n3["maia<br>agent<br>100.64.0.5<br>no pinned key"]
            n4("nas-1<br>outside of the cluster<br>at nas.lan<br>built on itself<br>no pinned key")
          end
          n2 -->|joins| n1
          n3 -->|joins| n1
          n3 ==>|built on| n1
          n0 -.-> n5
          n6 -.-> n5
          classDef server stroke-width:3px
          classDef broken stroke-dasharray:3 3
    "#]].assert_eq(&mermaid::draw(&graph));
}

#[test]
fn dot_has_each_relation_and_takes_no_name_for_syntax() {
    let graph = graph_of(&serde_json::json!({ NASTY: { "publicKeys": [ME, format!("{STRAY} {NASTY}")] } }));
    expect![[r#"
        digraph "mercury" {
          tooltip="2 servers, 1 agent, 1 other host, 1 secret and 2 readers besides the hosts"
          rankdir=LR
          node [fontname="sans-serif" shape=box]
          edge [fontname="sans-serif" fontsize=10]
          subgraph "cluster_people" {
            style=invis
            n0 [label="me" shape=ellipse]
            n6 [label="it's \"x\" <b>&amp;amp;</b> \\n #35; `y` %%{z}%% größe 名" shape=hexagon]
          }
          subgraph "cluster_secrets" {
            style=invis
            n5 [label="it's \"x\" <b>&amp;amp;</b> \\n #35; `y` %%{z}%% größe 名" shape=cylinder]
          }
          subgraph "cluster_hosts" {
            style=invis
            n1 [label="ocean\nserver, the first\n100.64.0.6\nat ocean.mercury\nbuilt on itself" penwidth=2]
            n2 [label="atoll\nserver\n100.64.0.7\nat atoll.mercury\nbuilt where it is deployed from\nno pinned key" penwidth=2]
            n3 [label="maia\nagent\n100.64.0.5\nno pinned key"]
            n4 [label="nas-1\noutside of the cluster\nat nas.lan\nbuilt on itself\nno pinned key" style=rounded]
          }
          n2 -> n1 [label="joins"]
          n3 -> n1 [label="joins"]
          n3 -> n1 [label="built on" style=bold]
          n0 -> n5 [style=dashed]
          n6 -> n5 [style=dashed]
        }
    "#]].assert_eq(&dot::draw(&graph));
}

#[test]
fn the_svg_of_a_fleet_without_secrets_or_arcs_has_room_for_its_legend() {
    let text = "[cluster]\nname = \"a\"\ndomain = \"a\"\n[hosts.a]\naddresses = [\"a.lan\"]\n";
    let graph = Graph::new(&Fleet::parse(text).unwrap(), &Rules::default());
    let drawn = svg::draw(&graph);
    let width: usize =
        drawn.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(width > 300, "{width}");
    assert!(drawn.contains("0 servers, 0 agents, 1 other host, 0 secrets and 0 readers besides the hosts"));
}

/// The boxes' places, from the picture itself.
fn boxes(drawn: &str) -> Vec<[usize; 4]> {
    let attribute = |rect: &str, name: &str| -> usize {
        rect.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    let rects = drawn.split("<rect class=\"box").skip(1);
    rects.map(|rect| ["x", "y", "width", "height"].map(|name| attribute(rect, name))).collect()
}

#[test]
fn in_the_svg_no_box_lies_on_another_and_all_lie_in_the_picture() {
    let many: serde_json::Map<String, serde_json::Value> = (0..30)
        .map(|number| {
            (
                format!("secrets/{}.age", "n".repeat(number + 1)),
                serde_json::json!({ "publicKeys": [ME, OCEAN] }),
            )
        })
        .collect();
    let drawn = svg::draw(&graph_of(&many.into()));
    let boxes = boxes(&drawn);
    assert_eq!(boxes.len(), 30 + 4 + 1);
    let size = drawn.split("viewBox=\"0 0 ").nth(1).unwrap().split('"').next().unwrap();
    let size: Vec<usize> = size.split(' ').map(|number| number.parse().unwrap()).collect();
    for (index, [x, y, width, height]) in boxes.iter().enumerate() {
        assert!(x + width < size[0] && y + height < size[1]);
        for [other_x, other_y, other_width, other_height] in &boxes[index + 1..] {
            let apart = x + width < *other_x
                || other_x + other_width < *x
                || y + height < *other_y
                || other_y + other_height < *y;
            assert!(apart, "{:?}", boxes[index]);
        }
    }
}

#[test]
fn the_svg_of_many_hosts_has_two_lines_for_each() {
    let hosts = |count: u8| -> usize {
        let host = |number| format!("[hosts.a{number}]\nrole = \"agent\"\nnode_ip = \"100.64.1.{number}\"\n");
        let server = "[hosts.ocean]\nrole = \"server\"\nnode_ip = \"100.64.0.6\"\n";
        let text = format!(
            "[cluster]\nname = \"a\"\ndomain = \"a\"\nnetwork = \"100.64.0.0/10\"\n{server}{}",
            (1..=count).map(host).collect::<String>()
        );
        let drawn = svg::draw(&Graph::new(&Fleet::parse(&text).unwrap(), &Rules::default()));
        boxes(&drawn)[0][3]
    };
    assert!(hosts(40) < hosts(3) / 2, "{} {}", hosts(40), hosts(3));
}
