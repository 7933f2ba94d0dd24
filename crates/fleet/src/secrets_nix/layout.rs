//! Where in the text an item of a list or a set goes, and what goes with it: the neighbours' way.

use std::ops::Range;

use rnix::SyntaxKind::{TOKEN_COMMENT, TOKEN_WHITESPACE};
use rnix::{NodeOrToken, SyntaxNode, SyntaxToken};

use super::parse::span;
use super::shape::Systems;

/// A piece of text in place of another.
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) new: String,
}

/// The text without some ranges. Two neighbours may both ask for what is between them.
pub(super) fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let kept = text.char_indices().filter(|(at, _)| !ranges.iter().any(|range| range.contains(at)));
    kept.map(|(_, c)| c).collect()
}

/// The text with all edits made. They do not overlap.
pub(super) fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
    let mut text = text.to_owned();
    for edit in edits {
        text.replace_range(edit.range, &edit.new);
    }
    text
}

/// What stands behind an item on its line.
struct Behind {
    /// Where the item and its comments end.
    end: usize,
    next: Next,
}

#[derive(PartialEq, Eq)]
enum Next {
    /// A comment up to the line's end.
    LineComment,
    LineEnd,
    /// The closing bracket or another item.
    Token {
        closes: bool,
    },
}

/// The item put behind `neighbour`, or into an empty list or set.
pub(super) fn insert(text: &str, container: &SyntaxNode, neighbour: Option<&SyntaxNode>, item: &str) -> Edit {
    let Some(neighbour) = neighbour else { return insert_first(text, container, item) };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let behind = behind(text, container, neighbour);
    let own_line = |indent: String| format!("{newline}{indent}{item}");
    let new = match behind.next {
        Next::Token { closes: false } => format!(" {item}"),
        _ if is_first_on_line(text, neighbour) => own_line(indent(text, neighbour)),
        // Not into the comment, and not in front of it either: it speaks of the neighbour.
        Next::LineComment => own_line(indent_of_line_after(text, container, neighbour)),
        _ => format!(" {item}"),
    };
    Edit { range: behind.end..behind.end, new }
}

fn insert_first(text: &str, container: &SyntaxNode, item: &str) -> Edit {
    let close = container.last_token().map_or(0, |token| span(token.text_range()).start);
    let is_set = text[close..].starts_with('}');
    let inner = container.last_token().and_then(|token| token.prev_token());
    let line = start_of_line(text, close);
    let is_own_line = text[line..close].trim().is_empty() && line > span(container.text_range()).start;
    if is_own_line {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let outer = &text[line..close];
        let is_tabs = outer.contains('\t') || outer.is_empty() && text.contains("\n\t");
        let step = if is_tabs { "\t" } else { "  " };
        return Edit { range: line..line, new: format!("{outer}{step}{item}{newline}") };
    }
    let new = match inner {
        Some(token) if token.kind() == TOKEN_WHITESPACE => format!("{item} "),
        Some(token) if token.kind() == TOKEN_COMMENT => format!(" {item} "),
        _ if is_set => format!(" {item} "),
        _ => item.to_owned(),
    };
    Edit { range: close..close, new }
}

/// The text without an item: its line if it has one of its own, with the comment on it and the block directly above
/// it; otherwise the item and the white space on one side.
pub(super) fn remove(text: &str, container: &SyntaxNode, item: &SyntaxNode) -> Range<usize> {
    let Range { start, end } = span(item.text_range());
    let behind = behind(text, container, item);
    let has_own_line = is_first_on_line(text, item) && !matches!(behind.next, Next::Token { .. });
    if has_own_line {
        let line_end = text[behind.end..].find('\n').map_or(text.len(), |newline| behind.end + newline + 1);
        let top = with_comments_above(text, container, start_of_line(text, start), line_end);
        return without_second_blank(text, top, line_end)..line_end;
    }
    let blank = |token: Option<SyntaxToken>| {
        let token = token.filter(|token| token.kind() == TOKEN_WHITESPACE && !token.text().contains('\n'));
        token.map(|token| span(token.text_range()))
    };
    let before = item.first_token().and_then(|token| token.prev_token());
    let above = blank(before.clone());
    let is_first = before.is_some_and(|token| {
        let neighbour = if token.kind() == TOKEN_WHITESPACE { token.prev_token() } else { Some(token) };
        neighbour == container.first_token() || above.is_none()
    });
    let below = blank(item.last_token().and_then(|token| token.next_token()));
    match (above, below) {
        (Some(above), _) if !is_first => above.start..end,
        (_, Some(below)) => start..below.end,
        (Some(above), None) => above.start..end,
        (None, None) => start..end,
    }
}

/// Of two groups, one blank line is left in between.
fn without_second_blank(text: &str, start: usize, end: usize) -> usize {
    let above = start.checked_sub(1).map_or(0, |newline| start_of_line(text, newline));
    let below = text[end..].lines().next().unwrap_or_default().trim_start();
    let is_double =
        text[above..start].trim().is_empty() && (below.is_empty() || below.starts_with(['}', ']']));
    if is_double { above } else { start }
}

/// From the comment block directly above some lines, if it is about them alone: without a blank line or a comment
/// below, it could head what follows as well.
fn with_comments_above(text: &str, container: &SyntaxNode, start: usize, end: usize) -> usize {
    let below = text[end..].lines().next().unwrap_or_default().trim_start();
    let is_alone = below.is_empty() || below.starts_with(['#', '}', ']']);
    let comments = super::parse::comments(container, &[span(container.text_range())]);
    let mut top = start;
    while is_alone && top > 0 {
        let above = start_of_line(text, top - 1);
        let line = &text[above..top];
        let at = above + line.len() - line.trim_start().len();
        let is_comment = line.trim_start().starts_with('#') && comments.iter().any(|range| range.start == at);
        if !is_comment {
            break;
        }
        top = above;
    }
    top
}

/// The binding of a key, spaced as its neighbours are.
pub(super) fn binding(systems: &Systems, neighbour: Option<&SyntaxNode>, name: &str, key: &str) -> String {
    let entries: Vec<Spacing> =
        systems.bindings.iter().filter_map(|binding| Spacing::of(&binding.node)).collect();
    let widths = |entry: &Spacing| entry.name + entry.before.chars().count();
    // One column for names of several lengths is no accident.
    let is_table = entries.windows(2).all(|pair| widths(&pair[0]) == widths(&pair[1]))
        && entries.windows(2).any(|pair| pair[0].name != pair[1].name);
    let near = neighbour.and_then(Spacing::of);
    let (before, behind) = match (&near, entries.first()) {
        (Some(near), Some(first)) if is_table => {
            let width = widths(first).saturating_sub(name.chars().count()).max(1);
            (" ".repeat(width), near.behind.clone())
        }
        (Some(near), _) => (near.before.clone(), near.behind.clone()),
        (None, _) => (" ".to_owned(), " ".to_owned()),
    };
    format!("{name}{before}={behind}\"{key}\";")
}

/// `ocean` `before` `=` `behind` `"KEY";`
struct Spacing {
    name: usize,
    before: String,
    behind: String,
}

impl Spacing {
    /// Nothing where a line's end or a comment is in between.
    fn of(entry: &SyntaxNode) -> Option<Self> {
        let (name, value) = (entry.first_child()?, entry.children().nth(1)?);
        let between: String = entry
            .children_with_tokens()
            .filter(|element| {
                let at = element.text_range().start();
                at >= name.text_range().end() && at < value.text_range().start()
            })
            .filter_map(NodeOrToken::into_token)
            .map(|token| token.text().to_owned())
            .collect();
        let (before, behind) = between.split_once('=')?;
        let is_blank = between.chars().all(|c| matches!(c, ' ' | '\t' | '='));
        let name = name.text().to_string().chars().count();
        is_blank.then(|| Self { name, before: before.to_owned(), behind: behind.to_owned() })
    }
}

fn behind(text: &str, container: &SyntaxNode, item: &SyntaxNode) -> Behind {
    let mut end = span(item.text_range()).end;
    let mut token = item.last_token().and_then(|token| token.next_token());
    while let Some(current) = token {
        let range = span(current.text_range());
        match current.kind() {
            TOKEN_WHITESPACE if current.text().contains('\n') => return Behind { end, next: Next::LineEnd },
            TOKEN_WHITESPACE => {}
            TOKEN_COMMENT if current.text().starts_with('#') => {
                // To the parser the first half of a Windows line's end is part of the comment.
                let comment = text[range.clone()].trim_end_matches('\r');
                return Behind { end: range.start + comment.len(), next: Next::LineComment };
            }
            TOKEN_COMMENT => end = range.end,
            _ => {
                let closes = Some(&current) == container.last_token().as_ref();
                return Behind { end, next: Next::Token { closes } };
            }
        }
        token = current.next_token();
    }
    Behind { end, next: Next::LineEnd }
}

/// For an item below one that does not begin its line: where its siblings begin theirs, or below the first of them.
fn indent_of_line_after(text: &str, container: &SyntaxNode, neighbour: &SyntaxNode) -> String {
    let siblings: Vec<SyntaxNode> = container.children().collect();
    let first_on_line = siblings.iter().rev().find(|sibling| is_first_on_line(text, sibling));
    indent(text, first_on_line.or(siblings.first()).unwrap_or(neighbour))
}

/// White space as wide as what is in front of a node on its line.
fn indent(text: &str, node: &SyntaxNode) -> String {
    let start = span(node.text_range()).start;
    let front = &text[start_of_line(text, start)..start];
    front.chars().map(|c| if c == '\t' { c } else { ' ' }).collect()
}

fn is_first_on_line(text: &str, node: &SyntaxNode) -> bool {
    let start = span(node.text_range()).start;
    text[start_of_line(text, start)..start].trim().is_empty()
}

fn start_of_line(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}
