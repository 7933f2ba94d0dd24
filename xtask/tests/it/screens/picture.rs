//! The picture of the README: a run as it was seen in a terminal, as an SVG that plays once and then stays as it ended.
//!
//! Its own file and nothing else: no script and no font. Whoever shows no animations, or asked for none, sees the end. Each
//! row of the terminal is a `<text>` for as long as it looked the same; two CSS animations show and hide them.
//!
//! `UPDATE_EXPECT=1` draws it where what it shows is out of date, times and hashes aside; delete it to have it drawn anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::normal::normal;

/// A screen in colour, and when it was seen.
pub(super) type Frame = (Duration, Vec<String>);

const WIDTH: f32 = 8.4;
const HEIGHT: f32 = 19.0;
const MARGIN: f32 = 18.0;
/// Where the dots are.
const TOP: f32 = 34.0;
/// The end of a line of the picture's last moment, by which its text is found again.
const AT_END: &str = "class=\"end\"";

const STYLE: &str = "\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d0d0d0;white-space:pre}
.b{font-weight:bold}.d{opacity:.55}.r{fill:#f07178}.g{fill:#9ece6a}.y{fill:#e0af68}.m{fill:#bb9af7}.c{fill:#7dcfff}
.then{visibility:hidden}
@keyframes from{from,to{visibility:hidden}}
@keyframes while{from,to{visibility:visible}}
@media (prefers-reduced-motion:reduce){text{animation:none!important}}";

/// The picture shows what these frames do.
#[track_caller]
pub(super) fn compare(path: &Path, frames: &[Frame]) {
    let ended = &frames.last().expect("a screen was seen").1;
    let plain: Vec<String> =
        ended.iter().map(|line| runs(line).into_iter().map(|(_, text)| text).collect()).collect();
    let shown = fs::read_to_string(path).map(|svg| rows(&svg)).unwrap_or_default();
    if normal(&shown) == normal(&plain) {
        return;
    }
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    assert!(update, "docs/rehearse.svg shows\n{}\nand it is\n{}", normal(&shown), normal(&plain));
    fs::write(path, draw(frames)).expect("a picture can be written");
}

/// The text of its last moment.
fn rows(svg: &str) -> Vec<String> {
    let ends = svg.lines().filter(|line| line.contains(AT_END));
    let text = |line: &str| {
        let mut text = String::new();
        let mut rest = line;
        while let Some(at) = rest.find('>') {
            let after = &rest[at + 1..];
            text += &after[..after.find('<').unwrap_or(after.len())];
            rest = &after[after.find('<').unwrap_or(after.len())..];
        }
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    ends.map(text).collect()
}

fn draw(frames: &[Frame]) -> String {
    let count = frames.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
    let columns = 80.0;
    let (width, height) = (columns * WIDTH + 2.0 * MARGIN, TOP + count as f32 * HEIGHT + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>cargo xtask bootstrap-cluster, on a rehearsal's machines</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"9\" fill=\"#16161e\"/>\n"
    );
    for (index, colour) in ["#f07178", "#e0af68", "#9ece6a"].iter().enumerate() {
        let x = MARGIN + 5.0 + index as f32 * 18.0;
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"17\" r=\"5\" fill=\"{colour}\"/>");
    }
    for row in 0..count {
        draw_row(&mut svg, frames, row);
    }
    svg + "</svg>\n"
}

/// One row through all frames.
fn draw_row(svg: &mut String, frames: &[Frame], row: usize) {
    let line = |index: usize| frames[index].1.get(row).map_or("", String::as_str);
    let mut begin = 0;
    while begin < frames.len() {
        let end = (begin..frames.len()).find(|index| line(*index) != line(begin)).unwrap_or(frames.len());
        let from = frames[begin].0.as_secs_f32();
        let how = match frames.get(end) {
            // What stays is there from the beginning where nothing moves.
            None if begin == 0 => AT_END.to_owned(),
            None => format!("{AT_END} style=\"animation:from {from:.2}s\""),
            Some((until, _)) => {
                let lasts = until.as_secs_f32() - from;
                format!("class=\"then\" style=\"animation:while {lasts:.2}s {from:.2}s\"")
            }
        };
        if !line(begin).is_empty() || end == frames.len() {
            let y = TOP + (row as f32 + 0.8) * HEIGHT;
            let _ = writeln!(svg, "<text y=\"{y:.1}\" {how}>{}</text>", cells(line(begin)));
        }
        begin = end;
    }
}

/// Each run of one look at the column where it begins: a font that is wider or narrower moves nothing.
fn cells(line: &str) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for (look, run) in runs(line) {
        let x = MARGIN + column as f32 * WIDTH;
        let width = run.chars().count();
        let class = if look.is_empty() { String::new() } else { format!(" class=\"{look}\"") };
        let escaped = run.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let length = width as f32 * WIDTH;
        let _ = write!(text, "<tspan x=\"{x:.1}\" textLength=\"{length:.1}\"{class}>{escaped}</tspan>");
        column += width;
    }
    text
}

/// The line in runs of one look each: the classes for what the escape sequences before it say.
fn runs(line: &str) -> Vec<(String, String)> {
    let (mut runs, mut look) = (Vec::new(), Vec::<&str>::new());
    for (index, part) in line.split("\x1b[").enumerate() {
        let text = match part.split_once('m') {
            Some((codes, text)) if index > 0 => {
                codes.split(';').for_each(|code| turn(&mut look, code));
                text
            }
            _ => part,
        };
        if !text.is_empty() {
            runs.push((look.join(" "), text.to_owned()));
        }
    }
    runs
}

fn turn(look: &mut Vec<&'static str>, code: &str) {
    const COLOURS: [&str; 5] = ["r", "g", "y", "m", "c"];
    let colour = match code {
        "31" => Some("r"),
        "32" => Some("g"),
        "33" => Some("y"),
        "35" => Some("m"),
        "36" => Some("c"),
        _ => None,
    };
    if colour.is_some() || code == "39" {
        look.retain(|it| !COLOURS.contains(it));
    }
    look.extend(colour);
    match code {
        "" | "0" => look.clear(),
        "1" => look.push("b"),
        "2" => look.push("d"),
        _ => {}
    }
}
