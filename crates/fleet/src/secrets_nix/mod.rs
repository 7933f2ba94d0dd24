//! Hosts in a `secrets.nix` that a person wrote, edited losslessly.
//!
//! The form it knows is the literal one:
//!
//! ```nix
//! let
//!   systems = {
//!     ocean = "ssh-ed25519 AAAA…";
//!     maia = "ssh-ed25519 AAAA…";
//!   };
//!   k3sServers = [systems.ocean];
//!   k3sAgents = [systems.maia];
//! in { … }
//! ```
//!
//! Whatever else is in the file stays as it is, to the byte. Where one of these definitions has another form, nothing
//! is changed and [`SecretsNixError::Form`] has the edit to make by hand. Each function looks at its own work before it
//! returns it: the new text is read again, and its syntax tree without the edit has to be the old one.
//!
//! What this leaves out: what the rules mean. Nix evaluates them, whatever their form; a `secrets.nix` that takes its
//! hosts from fleet.toml is not in the literal form and needs no edit.

mod error;
mod layout;
mod names;
mod parse;
mod shape;

pub use error::SecretsNixError;
pub use names::named_secrets;

use rnix::SyntaxNode;

use crate::{HostName, PublicKey, Role, nearest};
use layout::{Edit, apply};
use parse::{Unknown, comments, outline, span};
use shape::{Shape, Systems, attribute, element_host, list_name};

type Result<T, E = SecretsNixError> = std::result::Result<T, E>;

/// The text with a host: its key in `systems`, behind the last host of its role, and `systems.NAME` at the end of
/// its role's list. Without a role: in `systems` only.
///
/// # Errors
/// When the host or its key is there already, and when the form is not recognised.
pub fn add_host(text: &str, host: &HostName, role: Option<Role>, key: &PublicKey) -> Result<String> {
    let name = attribute(host.as_str());
    let mut by_hand = format!("by hand, add to `systems`:\n  {name} = \"{}\";", key.bare());
    if let Some(role) = role {
        by_hand.push_str(&format!("\nand to the list `{}`:\n  systems.{name}", list_name(role)));
    }
    let form = |unknown: Unknown| form(text, unknown, &by_hand);
    let old = Shape::of(text).map_err(form)?;
    let systems = old.systems().map_err(form)?;
    let list = role.map(|role| old.list(role)).transpose().map_err(form)?;

    let there = systems.get(host.as_str()).map(|binding| binding.node.clone());
    if let Some(there) = there.or_else(|| old.selections(host.as_str()).next()) {
        return Err(SecretsNixError::Exists { host: host.to_string(), line: line_of(text, &there) });
    }
    key_is_free(text, &systems, host, key)?;

    let peers: Vec<String> =
        list.iter().flat_map(SyntaxNode::children).filter_map(|e| element_host(&e)).collect();
    let neighbour = systems.bindings.iter().rfind(|binding| peers.contains(&binding.name));
    let neighbour = neighbour.or(systems.bindings.last()).map(|binding| &binding.node);
    let binding = layout::binding(&systems, neighbour, &name, &key.bare());
    let mut edits = vec![layout::insert(text, &systems.node, neighbour, &binding)];
    if let Some(list) = &list {
        let last = list.children().last();
        edits.push(layout::insert(text, list, last.as_ref(), &format!("systems.{name}")));
    }
    let new = apply(text, edits);
    confirm(added(&old, &new, host, role, key), new, form)
}

/// The text without a host: neither its binding in `systems`, with the comments on its line and directly above, nor
/// `systems.NAME` in any list.
///
/// # Errors
/// When there is no such host, and when the form is not recognised: a use of the host outside of a list, for example.
pub fn remove_host(text: &str, host: &HostName) -> Result<String> {
    let name = attribute(host.as_str());
    let by_hand = format!(
        "by hand, remove from `systems`:\n  {name} = \"…\";\nand from every list, or wherever it is used:\n  systems.{name}"
    );
    let form = |unknown: Unknown| form(text, unknown, &by_hand);
    let old = Shape::of(text).map_err(form)?;
    let systems = old.systems().map_err(form)?;
    let binding = known(&systems, host)?;
    let elements = old.elements(host.as_str()).map_err(form)?;

    let mut ranges = vec![layout::remove(text, &systems.node, &binding.node)];
    for element in &elements {
        let list = element.parent().unwrap_or_else(|| old.root.clone());
        ranges.push(layout::remove(text, &list, element));
    }
    let mut left_out = comments(&old.root, &ranges);
    left_out.extend([&binding.node].into_iter().chain(&elements).map(|node| span(node.text_range())));
    let new = layout::without(text, &ranges);
    let is_right = Shape::of(&new).is_ok_and(|new| outline(&new.root, &[]) == outline(&old.root, &left_out));
    confirm(is_right, new, form)
}

/// The text with another key for a host that is there. The same key leaves the text as it is.
///
/// # Errors
/// When there is no such host, when another has this key, and when the form is not recognised: a key that is not
/// written out, for example.
pub fn set_host_key(text: &str, host: &HostName, key: &PublicKey) -> Result<String> {
    let by_hand = format!("by hand, set in `systems`:\n  {} = \"{}\";", attribute(host.as_str()), key.bare());
    let form = |unknown: Unknown| form(text, unknown, &by_hand);
    let old = Shape::of(text).map_err(form)?;
    let systems = old.systems().map_err(form)?;
    let binding = known(&systems, host)?;
    if shape::plain_string(&binding.value).is_none() {
        return Err(form(Unknown::at(&binding.value, format!("the key of `{host}` is not written out"))));
    }
    if binding.key().as_ref() == Some(key) {
        return Ok(text.to_owned());
    }
    key_is_free(text, &systems, host, key)?;

    let range = span(binding.value.text_range());
    let new = apply(text, vec![Edit { range: range.clone(), new: format!("\"{}\"", key.bare()) }]);
    let is_right = Shape::of(&new).is_ok_and(|new| {
        let Ok(systems) = new.systems() else { return false };
        let Some(changed) = systems.get(host.as_str()) else { return false };
        changed.key().as_ref() == Some(key)
            && outline(&new.root, &[span(changed.value.text_range())]) == outline(&old.root, &[range])
    });
    confirm(is_right, new, form)
}

/// Is the new text the old one with this host, and nothing else?
fn added(old: &Shape, new: &str, host: &HostName, role: Option<Role>, key: &PublicKey) -> bool {
    let look = || {
        let new = Shape::of(new).ok()?;
        let systems = new.systems().ok()?;
        let binding = systems.get(host.as_str()).filter(|binding| binding.key().as_ref() == Some(key))?;
        let mut left_out = vec![span(binding.node.text_range())];
        if let Some(role) = role {
            let element = new.list(role).ok()?.children().last()?;
            element_host(&element).filter(|name| name == host.as_str())?;
            left_out.push(span(element.text_range()));
        }
        Some(outline(&new.root, &left_out) == outline(&old.root, &[]))
    };
    look().unwrap_or(false)
}

/// A text that is not what was asked for goes to nobody.
fn confirm(is_right: bool, new: String, form: impl Fn(Unknown) -> SecretsNixError) -> Result<String> {
    let what = || "it is written in a way that this edit would break".to_owned();
    if is_right { Ok(new) } else { Err(form(Unknown { at: None, what: what() })) }
}

fn known<'a>(systems: &'a Systems, host: &HostName) -> Result<&'a shape::Binding> {
    systems.get(host.as_str()).ok_or_else(|| {
        let known: Vec<String> = systems.bindings.iter().map(|binding| binding.name.clone()).collect();
        let nearest = nearest(host.as_str(), known.iter().map(String::as_str));
        SecretsNixError::UnknownHost { host: host.to_string(), nearest, known }
    })
}

fn key_is_free(text: &str, systems: &Systems, host: &HostName, key: &PublicKey) -> Result<()> {
    let mut others = systems.bindings.iter().filter(|binding| binding.name != host.as_str());
    match others.find(|binding| binding.key().as_ref() == Some(key)) {
        None => Ok(()),
        Some(other) => {
            let line = line_of(text, &other.node);
            Err(SecretsNixError::KeyTaken { other: other.name.clone(), line })
        }
    }
}

fn form(text: &str, unknown: Unknown, by_hand: &str) -> SecretsNixError {
    let line = unknown.at.map(|at| crate::raw::line_of(text, at));
    SecretsNixError::Form { line, what: unknown.what, by_hand: by_hand.to_owned() }
}

fn line_of(text: &str, node: &SyntaxNode) -> usize {
    crate::raw::line_of(text, span(node.text_range()).start)
}
