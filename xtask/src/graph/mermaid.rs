//! Mermaid's text, which GitHub draws in a fenced block of Markdown.
//!
//! Colours are left to whoever draws it, so that it is readable in light and dark: kinds differ by shape. A label is a
//! quoted text in which all that could mean something is written as a character's number.

use std::fmt::Write as _;

use super::{Graph, Kind, Node, Relation};

pub(crate) fn draw(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let _ = writeln!(text, "  accTitle: {}", escaped(&graph.cluster));
    let _ = writeln!(text, "  accDescr: {}", escaped(&graph.description()));
    let groups = [
        ("people", "admins and other keys", &Kind::PEOPLE[..]),
        ("secrets", "secrets", &[Kind::Secret]),
        ("hosts", &graph.cluster, &Kind::HOSTS),
    ];
    for (id, title, kinds) in groups {
        let mut nodes = graph.of(kinds).peekable();
        if nodes.peek().is_none() {
            continue;
        }
        let _ = writeln!(text, "  subgraph {id} [\"{}\"]", escaped(title));
        for (place, node) in nodes {
            let _ = writeln!(text, "    n{place}{}{}", shape(node), class(node));
        }
        text += "  end\n";
    }
    for edge in &graph.edges {
        let arrow = match edge.relation {
            Relation::Joins => "-->|joins|",
            Relation::BuiltOn => "==>|built on|",
            Relation::Reads => "-.->",
        };
        let _ = writeln!(text, "  n{} {arrow} n{}", edge.from, edge.to);
    }
    text + "  classDef server stroke-width:3px\n  classDef broken stroke-dasharray:3 3\n"
}

fn shape(node: &Node) -> String {
    let label = node.lines().map(escaped).collect::<Vec<_>>().join("<br>");
    match node.kind {
        Kind::Admin => format!("([\"{label}\"])"),
        Kind::Key => format!("{{{{\"{label}\"}}}}"),
        Kind::Secret => format!("[(\"{label}\")]"),
        Kind::Server | Kind::Agent => format!("[\"{label}\"]"),
        Kind::Host => format!("(\"{label}\")"),
    }
}

fn class(node: &Node) -> &'static str {
    match node.kind {
        _ if node.is_broken => ":::broken",
        Kind::Server => ":::server",
        _ => "",
    }
}

/// Letters and digits of any script, and what means nothing to Mermaid, to Markdown in it, or to HTML; all else as
/// numbers. A control character is nothing that can be shown.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " ./,-".contains(c) {
            safe.push(c);
        } else if c.is_control() {
            safe.push(' ');
        } else {
            let _ = write!(safe, "#{};", u32::from(c));
        }
    }
    safe
}
