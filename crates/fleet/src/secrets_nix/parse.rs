//! Text to syntax tree and back to what must not change.

use std::ops::Range;

use rnix::SyntaxKind::{
    NODE_ERROR, TOKEN_COLON, TOKEN_COMMENT, TOKEN_IN, TOKEN_INTERPOL_END, TOKEN_INTERPOL_START,
    TOKEN_L_BRACE, TOKEN_L_BRACK, TOKEN_L_PAREN, TOKEN_LET, TOKEN_OR, TOKEN_R_BRACE, TOKEN_R_BRACK,
    TOKEN_R_PAREN, TOKEN_SEMICOLON, TOKEN_WHITESPACE,
};
use rnix::{NodeOrToken, Root, SyntaxKind, SyntaxNode, TextRange, WalkEvent};

/// A part of the file that is not of the literal form.
#[derive(Debug)]
pub(super) struct Unknown {
    /// Byte offset; absent if something is missing.
    pub(super) at: Option<usize>,
    pub(super) what: String,
}

impl Unknown {
    pub(super) fn at(node: &SyntaxNode, what: impl Into<String>) -> Self {
        Self { at: Some(node.text_range().start().into()), what: what.into() }
    }
}

/// No secrets.nix is as large.
const LARGEST: usize = 1 << 20;

/// Parser and tree call themselves for each level; no person writes so many, and half a megabyte of stack has room.
const DEEPEST: usize = 1000;

/// The file's tree.
pub(super) fn parse(text: &str) -> Result<SyntaxNode, Unknown> {
    if text.len() > LARGEST {
        return Err(Unknown { at: None, what: "it is too large to be edited".to_owned() });
    }
    // Nix ends a line there and rnix does not: a comment for the one would be code for the other.
    let lone = text.match_indices('\r').find(|(at, _)| !text[*at..].starts_with("\r\n"));
    if let Some((at, _)) = lone {
        return Err(Unknown { at: Some(at), what: "there is a carriage return within a line".to_owned() });
    }
    if let Some(at) = too_deep(text) {
        return Err(Unknown { at: Some(at), what: "it is nested too deeply".to_owned() });
    }
    let parse = Root::parse(text);
    let tree = parse.syntax();
    if !parse.errors().is_empty() {
        let error = tree.descendants().find(|node| node.kind() == NODE_ERROR);
        let at = error.map_or(text.trim_end().len(), |node| node.text_range().start().into());
        let what = "this is not Nix: `nix-instantiate --parse secrets.nix` says why".to_owned();
        return Err(Unknown { at: Some(at), what });
    }
    Ok(tree)
}

/// Where the tree could get deeper than the limit. Brackets nest, and so do operators, arguments and keywords, one in
/// the other up to the next `;`: every token may be a level. Only the elements of a list stand side by side.
fn too_deep(text: &str) -> Option<usize> {
    #[derive(Clone, Copy)]
    struct Frame {
        base: usize,
        depth: usize,
        is_list: bool,
    }
    let (mut at, mut outer) = (0, Vec::new());
    let mut frame = Frame { base: 0, depth: 0, is_list: false };
    for (kind, token) in rnix::tokenize(text) {
        match kind {
            TOKEN_WHITESPACE | TOKEN_COMMENT => {}
            TOKEN_L_BRACE | TOKEN_L_BRACK | TOKEN_L_PAREN | TOKEN_INTERPOL_START | TOKEN_LET => {
                outer.push(frame);
                let depth = frame.depth + 1;
                frame = Frame { base: depth, depth, is_list: kind == TOKEN_L_BRACK };
            }
            TOKEN_R_BRACE | TOKEN_R_BRACK | TOKEN_R_PAREN | TOKEN_INTERPOL_END | TOKEN_IN => {
                frame = outer.pop().unwrap_or(Frame { is_list: false, ..frame });
                frame.depth += usize::from(!frame.is_list);
            }
            TOKEN_SEMICOLON => frame.depth = frame.base,
            // To the parser, a function without parentheses takes the rest of the list.
            TOKEN_COLON => frame = Frame { is_list: false, depth: frame.depth + 1, ..frame },
            TOKEN_OR => frame.depth += 1,
            _ => frame.depth += usize::from(!frame.is_list),
        }
        if frame.depth > DEEPEST {
            return Some(at);
        }
        at += token.len();
    }
    None
}

/// All of a tree but white space and what is `left_out`, in order. Two files with the same outline say the same, and
/// have the same comments.
pub(super) fn outline(tree: &SyntaxNode, left_out: &[Range<usize>]) -> Vec<(SyntaxKind, String)> {
    let mut outline = Vec::new();
    let mut skipped = None;
    for event in tree.preorder_with_tokens() {
        match event {
            WalkEvent::Enter(_) if skipped.is_some() => {}
            WalkEvent::Enter(element) if left_out.contains(&span(element.text_range())) => {
                skipped = Some(element);
            }
            WalkEvent::Enter(NodeOrToken::Token(token)) if token.kind() != TOKEN_WHITESPACE => {
                outline.push((token.kind(), token.text().to_owned()));
            }
            WalkEvent::Leave(element) if skipped.as_ref() == Some(&element) => skipped = None,
            // The two ends of a node: what is in it follows from them.
            WalkEvent::Enter(NodeOrToken::Node(node)) => outline.push((node.kind(), "(".to_owned())),
            WalkEvent::Leave(NodeOrToken::Node(node)) if skipped.is_none() => {
                outline.push((node.kind(), ")".to_owned()));
            }
            WalkEvent::Enter(_) | WalkEvent::Leave(_) => {}
        }
    }
    outline
}

/// The comments that lie within some ranges.
pub(super) fn comments(tree: &SyntaxNode, within: &[Range<usize>]) -> Vec<Range<usize>> {
    let tokens = tree.descendants_with_tokens().filter_map(NodeOrToken::into_token);
    let comments = tokens.filter(|token| token.kind() == TOKEN_COMMENT).map(|token| span(token.text_range()));
    comments
        .filter(|comment| within.iter().any(|r| r.start <= comment.start && comment.end <= r.end))
        .collect()
}

/// A range as Rust has them.
pub(super) fn span(range: TextRange) -> Range<usize> {
    range.start().into()..range.end().into()
}
