//! Graphviz' text.

use std::fmt::Write as _;

use super::{Graph, Kind, Node, Relation};

pub(crate) fn draw(graph: &Graph) -> String {
    let mut text = format!("digraph \"{}\" {{\n", escaped(&graph.cluster));
    let _ = writeln!(text, "  tooltip=\"{}\"", escaped(&graph.description()));
    text += "  rankdir=LR\n  node [fontname=\"sans-serif\" shape=box]\n  edge [fontname=\"sans-serif\" fontsize=10]\n";
    let groups = [("people", &Kind::PEOPLE[..]), ("secrets", &[Kind::Secret]), ("hosts", &Kind::HOSTS)];
    for (id, kinds) in groups {
        let _ = writeln!(text, "  subgraph \"cluster_{id}\" {{\n    style=invis");
        for (place, node) in graph.of(kinds) {
            let _ = writeln!(text, "    n{place} [{}]", attributes(node));
        }
        text += "  }\n";
    }
    for edge in &graph.edges {
        let attributes = match edge.relation {
            Relation::Joins => " [label=\"joins\"]",
            Relation::BuiltOn => " [label=\"built on\" style=bold]",
            Relation::Reads => " [style=dashed]",
        };
        let _ = writeln!(text, "  n{} -> n{}{attributes}", edge.from, edge.to);
    }
    text + "}\n"
}

fn attributes(node: &Node) -> String {
    let label = node.lines().map(escaped).collect::<Vec<_>>().join("\\n");
    let shape = match node.kind {
        Kind::Admin => " shape=ellipse",
        Kind::Key => " shape=hexagon",
        Kind::Secret => " shape=cylinder",
        Kind::Server => " penwidth=2",
        Kind::Agent => "",
        Kind::Host => " style=rounded",
    };
    let broken = if node.is_broken { " style=dashed color=red" } else { "" };
    format!("label=\"{label}\"{shape}{broken}")
}

/// Within double quotes. A backslash begins an escape there, and an ampersand an entity, as in HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => safe.push_str("\\\""),
            '\\' => safe.push_str("\\\\"),
            '&' => safe.push_str("&amp;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
