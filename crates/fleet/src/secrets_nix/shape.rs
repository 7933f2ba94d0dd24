//! The literal form: `let systems = { … }; k3sServers = [ … ]; k3sAgents = [ … ]; in …`, and where it is left.

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTR_SET, NODE_ATTRPATH, NODE_ATTRPATH_VALUE, NODE_IDENT, NODE_IDENT_PARAM,
    NODE_INHERIT, NODE_LEGACY_LET, NODE_LET_IN, NODE_LIST, NODE_PAT_BIND, NODE_PAT_ENTRY, NODE_SELECT,
    NODE_STRING, TOKEN_REC, TOKEN_STRING_CONTENT,
};
use rnix::{NodeOrToken, SyntaxNode};

use super::parse::{Unknown, parse};
use crate::{PublicKey, Role};

/// The attribute set of host keys.
pub(super) const SYSTEMS: &str = "systems";

/// The list of a role.
pub(super) fn list_name(role: Role) -> &'static str {
    match role {
        Role::Server => "k3sServers",
        Role::Agent => "k3sAgents",
    }
}

/// A file whose outermost expression is `let … in …`.
pub(super) struct Shape {
    pub(super) root: SyntaxNode,
    outer_let: SyntaxNode,
}

/// `NAME = VALUE;`
pub(super) struct Binding {
    pub(super) node: SyntaxNode,
    pub(super) name: String,
    pub(super) value: SyntaxNode,
}

impl Binding {
    /// The key, if it is written out.
    pub(super) fn key(&self) -> Option<PublicKey> {
        PublicKey::new(&plain_string(&self.value)?).ok()
    }
}

/// `systems`, understood.
pub(super) struct Systems {
    /// The braces.
    pub(super) node: SyntaxNode,
    /// In the file's order.
    pub(super) bindings: Vec<Binding>,
}

impl Systems {
    pub(super) fn get(&self, name: &str) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.name == name)
    }
}

impl Shape {
    pub(super) fn of(text: &str) -> Result<Self, Unknown> {
        let root = parse(text)?;
        match root.first_child() {
            Some(expression) if expression.kind() == NODE_LET_IN => Ok(Self { root, outer_let: expression }),
            Some(other) => Err(Unknown::at(&other, "it does not begin with `let`")),
            None => Err(Unknown { at: None, what: "it is empty".to_owned() }),
        }
    }

    pub(super) fn systems(&self) -> Result<Systems, Unknown> {
        let node = self.definition(SYSTEMS)?;
        if node.kind() != NODE_ATTR_SET {
            return Err(Unknown::at(&node, "`systems` is not written out as { NAME = \"KEY\"; … }"));
        }
        let is_rec = node.children_with_tokens().any(|element| element.kind() == TOKEN_REC);
        if is_rec {
            return Err(Unknown::at(&node, "`systems` is a `rec { … }`"));
        }
        let mut bindings: Vec<Binding> = Vec::new();
        for entry in node.children() {
            let binding = binding(&entry)?;
            if bindings.iter().any(|other| other.name == binding.name) {
                return Err(Unknown::at(&entry, format!("`{}` is defined twice", binding.name)));
            }
            bindings.push(binding);
        }
        Ok(Systems { node, bindings })
    }

    /// The brackets of a role's list.
    pub(super) fn list(&self, role: Role) -> Result<SyntaxNode, Unknown> {
        let name = list_name(role);
        let node = self.definition(name)?;
        let is_list = node.kind() == NODE_LIST;
        if is_list {
            Ok(node)
        } else {
            Err(Unknown::at(&node, format!("`{name}` is not written out as [ … ]")))
        }
    }

    /// The value of the one definition of a name in the outermost `let`.
    fn definition(&self, name: &str) -> Result<SyntaxNode, Unknown> {
        let entries = self.outer_let.children();
        let mut defining = entries.filter(|entry| defines(entry, name));
        let Some(entry) = defining.next() else {
            return Err(Unknown { at: None, what: format!("the outermost `let` does not define `{name}`") });
        };
        if let Some(second) = defining.next() {
            return Err(Unknown::at(&second, format!("`{name}` is defined in several places")));
        }
        if entry.kind() == NODE_INHERIT {
            return Err(Unknown::at(&entry, format!("`{name}` is inherited")));
        }
        let in_parts = |_| Unknown::at(&entry, format!("`{name}` is defined in parts: `{name}.… = …`"));
        binding(&entry).map(|binding| binding.value).map_err(in_parts)
    }

    /// Every `systems.NAME` of the file, whatever follows.
    pub(super) fn selections<'a>(&self, name: &'a str) -> impl Iterator<Item = SyntaxNode> + use<'a> {
        let selects = self.root.descendants().filter(|node| node.kind() == NODE_SELECT);
        selects.filter(|node| node.first_child().is_some_and(|of| is_ident(&of, SYSTEMS))).filter(
            move |node| {
                let path = node.children().nth(1).map(|path| attributes(&path)).unwrap_or_default();
                path.first().is_some_and(|first| first.as_deref() == Some(name))
            },
        )
    }

    /// Every list element `systems.NAME`, if the file uses the host in no other way.
    pub(super) fn elements(&self, name: &str) -> Result<Vec<SyntaxNode>, Unknown> {
        for node in self.root.descendants() {
            if defines(&node, SYSTEMS) && is_another_variable(&node, &self.outer_let) {
                return Err(Unknown::at(&node, "there may be another `systems`"));
            }
            if is_ident(&node, SYSTEMS) {
                use_is_known(&node)?;
            }
        }
        let (elements, others): (Vec<_>, Vec<_>) = self.selections(name).partition(is_element);
        match others.first() {
            Some(other) => Err(Unknown::at(other, format!("`systems.{name}` is used outside of a list"))),
            None => Ok(elements),
        }
    }
}

/// The host of a list element `systems.NAME`.
pub(super) fn element_host(element: &SyntaxNode) -> Option<String> {
    let of = element.first_child().filter(|_| element.kind() == NODE_SELECT)?;
    let path =
        element.children().nth(1).filter(|_| is_ident(&of, SYSTEMS) && element.children().count() == 2)?;
    match attributes(&path).as_slice() {
        [Some(name)] => Some(name.clone()),
        _ => None,
    }
}

/// As an attribute name: quoted where Nix would read something else.
pub(super) fn attribute(name: &str) -> String {
    const KEYWORDS: [&str; 10] =
        ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];
    let is_identifier = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !KEYWORDS.contains(&name);
    if is_identifier { name.to_owned() } else { format!("\"{name}\"") }
}

/// A string without interpolation and escapes.
pub(super) fn plain_string(node: &SyntaxNode) -> Option<String> {
    let is_plain = node.kind() == NODE_STRING && node.first_child().is_none();
    let tokens = node.children_with_tokens().filter_map(NodeOrToken::into_token);
    let content = tokens.filter(|token| token.kind() == TOKEN_STRING_CONTENT);
    let text: String = content.map(|token| token.text().to_owned()).collect();
    (is_plain && !text.contains(['\\', '$']) && !text.contains("''")).then_some(text)
}

fn binding(entry: &SyntaxNode) -> Result<Binding, Unknown> {
    if entry.kind() != NODE_ATTRPATH_VALUE {
        return Err(Unknown::at(entry, "`inherit` stands where a definition was expected"));
    }
    let mut children = entry.children();
    let (path, value) = (children.next(), children.next());
    let names = path.as_ref().map(attributes).unwrap_or_default();
    match (names.as_slice(), value) {
        ([Some(name)], Some(value)) => Ok(Binding { node: entry.clone(), name: name.clone(), value }),
        ([None, ..], _) => Err(Unknown::at(entry, "the name of a definition is computed")),
        _ => Err(Unknown::at(entry, "an attribute path stands where a name was expected")),
    }
}

/// The names of `a."b".${c}`; nothing for one that is computed.
fn attributes(path: &SyntaxNode) -> Vec<Option<String>> {
    let name = |node: SyntaxNode| match node.kind() {
        NODE_IDENT => Some(node.text().to_string()),
        _ => plain_string(&node),
    };
    path.children().map(name).collect()
}

/// Is the name one of those that an entry of a `let` or of a set defines?
fn defines(entry: &SyntaxNode, name: &str) -> bool {
    let is_name = |node: &Option<String>| node.as_deref() == Some(name);
    match entry.kind() {
        NODE_INHERIT => attributes(entry).iter().any(is_name),
        NODE_ATTRPATH_VALUE => {
            entry.first_child().is_some_and(|path| attributes(&path).first().is_some_and(is_name))
        }
        _ => false,
    }
}

fn is_ident(node: &SyntaxNode, name: &str) -> bool {
    node.kind() == NODE_IDENT && node.text() == name
}

fn is_element(selection: &SyntaxNode) -> bool {
    element_host(selection).is_some() && selection.parent().is_some_and(|parent| parent.kind() == NODE_LIST)
}

/// Can it be told whether this `systems` stands for a certain host?
fn use_is_known(ident: &SyntaxNode) -> Result<(), Unknown> {
    let Some(parent) = ident.parent() else { return Ok(()) };
    match parent.kind() {
        NODE_SELECT => {
            let path = parent.children().nth(1).map(|path| attributes(&path)).unwrap_or_default();
            match path.first() {
                Some(Some(_)) => Ok(()),
                _ => Err(Unknown::at(&parent, "which of `systems` is used here is computed")),
            }
        }
        // Shorter by a key afterwards, and nothing else.
        NODE_APPLY if parent.first_child().is_some_and(|f| f.text() == "builtins.attrValues") => Ok(()),
        // The name of something else, or the definition.
        NODE_ATTRPATH => Ok(()),
        NODE_PAT_ENTRY | NODE_IDENT_PARAM | NODE_PAT_BIND => {
            Err(Unknown::at(ident, "there may be another `systems`"))
        }
        _ => Err(Unknown::at(ident, "`systems` is used as a whole, perhaps for this host")),
    }
}

/// Does an entry that defines `systems` define a variable, other than the outermost `let` does?
fn is_another_variable(entry: &SyntaxNode, outer_let: &SyntaxNode) -> bool {
    let Some(scope) = entry.parent() else { return false };
    match scope.kind() {
        NODE_LET_IN => scope != *outer_let,
        NODE_LEGACY_LET => true,
        _ => {
            let is_rec = scope.children_with_tokens().any(|element| element.kind() == TOKEN_REC);
            is_rec || entry.kind() == NODE_INHERIT
        }
    }
}
