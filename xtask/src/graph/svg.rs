//! A picture of our own, which needs nothing else: no script, no font, no colour of its surroundings.
//!
//! Secrets stand in the middle, people to their left, hosts to their right: so every arrow of a reader is short, and
//! crosses no box. How hosts belong together is drawn by arcs to the right of them, each relation in lanes of its own.

use std::fmt::Write as _;

use console::measure_text_width;

use super::{Edge, Graph, Kind, Node, Relation};

const MARGIN: usize = 24;
/// Of more hosts than this, what stands below their names is one line: the picture of forty is no longer than it has to be.
const MANY: usize = 12;
/// Between two boxes of a column, and between two columns.
const GAP: usize = 14;
const AISLE: usize = 150;
const LINE: usize = 18;
const PADDING: usize = 12;
/// Of the fixed-width font in which boxes are measured: a little more than any such font's character at this size.
const CHARACTER: usize = 8;
/// The room of the headings, and of the legend.
const HEADING: usize = 34;
const LEGEND: usize = 40;
/// Between two arcs; less where there are many, which have this room together.
const LANE: usize = 14;
const LANES: usize = 240;

/// Light, dark, and what they share. Colours are those that stay apart for whoever does not see red or green.
const STYLE: &str = "\
text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1f2328}\
.name{font-weight:bold}.dim{fill:#59636e}.page{fill:#ffffff}\
.box{fill:#f6f8fa;stroke:#59636e}.server{stroke:#0969da;stroke-width:2.5}.secret{stroke:#9a6700}.broken{stroke:#d1242f;stroke-dasharray:4 3}\
.edge{fill:none;stroke:#59636e}.joins{stroke:#0969da;stroke-width:1.5}.built-on{stroke:#8250df;stroke-width:1.5;stroke-dasharray:6 4}\
.reads{stroke:#9a6700;stroke-opacity:.65}.head-joins{fill:#0969da}.head-built-on{fill:#8250df}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}.page{fill:#0d1117}.box{fill:#151b23;stroke:#9198a1}\
.server{stroke:#4493f8}.secret{stroke:#d29922}.broken{stroke:#f85149}.edge{stroke:#9198a1}.joins{stroke:#4493f8}\
.built-on{stroke:#ab7df8}.reads{stroke:#d29922}.head-joins{fill:#4493f8}.head-built-on{fill:#ab7df8}}";

/// A node's place in the picture, in pixels.
#[derive(Debug, Clone, Copy, Default)]
struct Box {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

pub(crate) fn draw(graph: &Graph) -> String {
    let is_short = graph.of(&Kind::HOSTS).count() <= MANY;
    let texts: Vec<Vec<String>> = graph.nodes.iter().map(|node| texts(node, is_short)).collect();
    let (boxes, headings, right) = layout(graph, &texts);
    let arcs: Vec<&Edge> = graph.edges.iter().filter(|edge| edge.relation != Relation::Reads).collect();
    let lane = |number: usize| right + 54 + number * (LANES / arcs.len().max(1)).clamp(2, LANE);
    let side = if arcs.is_empty() { right } else { lane(arcs.len()) };
    let width = (side + MARGIN).max(legend_width());
    let bottom = boxes.iter().map(|place| place.y + place.height).max().unwrap_or(HEADING);
    let height = bottom + LEGEND + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n\
         <style>{STYLE}</style>\n<defs>{}{}</defs>\n<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&graph.cluster),
        escaped(&graph.description()),
        arrow_head("joins"),
        arrow_head("built-on"),
    );
    for (x, heading) in headings {
        let _ =
            writeln!(text, "<text class=\"dim\" x=\"{x}\" y=\"{}\">{}</text>", MARGIN + 6, escaped(&heading));
    }
    for edge in graph.edges.iter().filter(|edge| edge.relation == Relation::Reads) {
        text += &reading(boxes[edge.from], boxes[edge.to]);
    }
    for (number, edge) in arcs.iter().enumerate() {
        text += &arc(boxes[edge.from], boxes[edge.to], edge.relation, lane(number));
    }
    for (number, node) in graph.nodes.iter().enumerate() {
        text += &node_box(node, &texts[number], boxes[number]);
    }
    text + &legend(bottom + LEGEND) + "</svg>\n"
}

/// The lines of a box.
fn texts(node: &Node, is_short: bool) -> Vec<String> {
    if is_short || node.details.is_empty() {
        return node.lines().map(str::to_owned).collect();
    }
    vec![node.name.clone(), node.details.join(" · ")]
}

/// Where each node is, what stands above each column, and where the last column ends.
fn layout(graph: &Graph, texts: &[Vec<String>]) -> (Vec<Box>, Vec<(usize, String)>, usize) {
    let columns = [
        ("admins and other keys", &Kind::PEOPLE[..]),
        ("secrets", &[Kind::Secret]),
        (&graph.cluster, &Kind::HOSTS),
    ];
    let mut boxes = vec![Box::default(); graph.nodes.len()];
    let mut headings = Vec::new();
    let (mut x, mut right) = (MARGIN, MARGIN);
    for (heading, kinds) in columns {
        let nodes: Vec<usize> = graph.of(kinds).map(|(place, _)| place).collect();
        let lines = nodes.iter().flat_map(|place| texts[*place].iter().map(String::as_str));
        let widest = lines.chain([heading]).map(measure_text_width).max();
        if nodes.is_empty() {
            continue;
        }
        let width = widest.unwrap_or(0) * CHARACTER + 2 * PADDING;
        let mut y = MARGIN + HEADING - GAP;
        for place in nodes {
            let height = texts[place].len() * LINE + PADDING;
            boxes[place] = Box { x, y, width, height };
            y += height + GAP;
        }
        headings.push((x, heading.to_owned()));
        right = x + width;
        x = right + AISLE;
    }
    (boxes, headings, right)
}

fn node_box(node: &Node, lines: &[String], place: Box) -> String {
    let Box { x, y, width, height } = place;
    let broken = if node.is_broken { " broken" } else { "" };
    let radius = match node.kind {
        Kind::Admin | Kind::Key => height / 2,
        _ => 5,
    };
    let mut text = format!(
        "<g><title>{}</title><rect class=\"box {}{broken}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>",
        escaped(&node.id()),
        node.kind.word(),
    );
    for (number, line) in lines.iter().enumerate() {
        let class = if number == 0 { "name" } else { "dim" };
        let (x, y) = (x + PADDING, y + PADDING / 2 + (number + 1) * LINE - 5);
        let _ = write!(text, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(line));
    }
    text + "</g>\n"
}

/// From a reader to a secret, on the sides that face each other.
fn reading(reader: Box, secret: Box) -> String {
    let (from, to) = if reader.x < secret.x {
        (reader.x + reader.width, secret.x)
    } else {
        (reader.x, secret.x + secret.width)
    };
    let (start, end) = (middle(reader), middle(secret));
    let bend = usize::midpoint(from, to);
    format!("<path class=\"edge reads\" d=\"M{from} {start}C{bend} {start} {bend} {end} {to} {end}\"/>\n")
}

/// From a host to another one of the same column, round by the right.
fn arc(from: Box, to: Box, relation: Relation, lane: usize) -> String {
    let class = class(relation);
    // Two relations of the same two hosts do not lie upon each other.
    let aside = if relation == Relation::BuiltOn { LINE / 2 } else { 0 };
    let (x, start, end) = (from.x + from.width, middle(from) + aside, middle(to) + aside);
    let to = to.x + to.width;
    format!(
        "<path class=\"edge {class}\" marker-end=\"url(#{class})\" d=\"M{x} {start}C{lane} {start} {lane} {end} {to} {end}\"/>\n"
    )
}

fn middle(place: Box) -> usize {
    place.y + place.height / 2
}

fn class(relation: Relation) -> &'static str {
    match relation {
        Relation::Joins => "joins",
        Relation::BuiltOn => "built-on",
        Relation::Reads => "reads",
    }
}

fn arrow_head(class: &str) -> String {
    format!(
        "<marker id=\"{class}\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"head-{class}\" d=\"M0 0L8 4L0 8z\"/></marker>"
    )
}

const RELATIONS: [Relation; 3] = [Relation::Reads, Relation::Joins, Relation::BuiltOn];
const SAMPLE: usize = 34;

fn legend_width() -> usize {
    let words: usize = RELATIONS.iter().map(|relation| relation.word().len() * CHARACTER).sum();
    2 * MARGIN + words + RELATIONS.len() * (SAMPLE + 3 * GAP)
}

fn legend(y: usize) -> String {
    let mut text = String::new();
    let mut x = MARGIN;
    for relation in RELATIONS {
        let class = class(relation);
        let marker = if relation == Relation::Reads { "" } else { &format!(" marker-end=\"url(#{class})\"") };
        let _ = write!(text, "<path class=\"edge {class}\"{marker} d=\"M{x} {y}h{SAMPLE}\"/>");
        x += SAMPLE + GAP;
        let _ = writeln!(text, "<text class=\"dim\" x=\"{x}\" y=\"{}\">{}</text>", y + 4, relation.word());
        x += relation.word().len() * CHARACTER + 2 * GAP;
    }
    text
}

/// For text and for attributes. Most control characters cannot stand in XML at all.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}
