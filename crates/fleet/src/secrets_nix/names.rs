//! The secrets that a text names, for who wants to offer them before anything was evaluated.

use super::parse::parse;
use super::shape::plain_string;

/// What the text has in quotes and calls `….age`, in its order, each once; nothing of a text that is no Nix.
///
/// No more than an offer: which rules there are is known to nix alone.
pub fn named_secrets(text: &str) -> Vec<String> {
    let Ok(tree) = parse(text) else { return Vec::new() };
    let mut names = Vec::new();
    for name in tree.descendants().filter_map(|node| plain_string(&node)) {
        if name.ends_with(".age") && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
