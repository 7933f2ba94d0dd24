//! The server's kubeconfig, made fit for another machine, and merged into a person's own.
//!
//! It holds a private key. So texts come and go as secrets, and the tree between them is wiped when it is done with. What
//! the YAML library keeps for itself while it reads (its buffers, its events) is beyond our reach, and is not wiped.
//! Comments are lost in a merge, as in one by `kubectl config`.

use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretSlice};
use serde_norway::{Mapping, Value};

use crate::yaml;

/// The lists of named entries.
const LISTS: [&str; 3] = ["clusters", "contexts", "users"];
/// Room for keys, names and indentation beyond what was read: a buffer that grows leaves copies behind.
const MARGIN: usize = 16 * 1024;

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// Not YAML.
    #[error("it is not YAML")]
    Yaml(#[from] serde_norway::Error),
    /// YAML of another shape.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// The same, of what may be absent.
    #[error("its {0} are no list of named entries")]
    Shape(&'static str),
    /// A list, or a word.
    #[error("it is no mapping")]
    NoMapping,
}

/// Gives cluster, user and context the cluster's name (K3s calls all of them `default`, so two clusters could not be
/// merged) and puts the server's address in place of 127.0.0.1. Everything else is kept.
///
/// # Errors
/// When it is not a kubeconfig.
pub fn personalise(
    yaml: &SecretSlice<u8>,
    name: &str,
    server: &str,
) -> Result<SecretSlice<u8>, KubeconfigError> {
    let mut tree = Tree::read(yaml)?;
    let config = &mut tree.0;
    for list in LISTS {
        for entry in entries(config, list)? {
            entry.insert("name".into(), name.into());
        }
    }
    for entry in entries(config, "clusters")? {
        let cluster = entry.get_mut("cluster").and_then(Value::as_mapping_mut);
        cluster.ok_or(KubeconfigError::Missing("cluster"))?.insert("server".into(), server.into());
    }
    for entry in entries(config, "contexts")? {
        let context = entry.get_mut("context").and_then(Value::as_mapping_mut);
        let context = context.ok_or(KubeconfigError::Missing("context"))?;
        context.insert("cluster".into(), name.into());
        context.insert("user".into(), name.into());
    }
    let root = config.as_mapping_mut().ok_or(KubeconfigError::NoMapping)?;
    root.insert("current-context".into(), name.into());
    Ok(tree.write(yaml.expose_secret().len()))
}

/// Puts the entries of `new` into `old`, in place of those of the same names, else behind the others. All else in `old`
/// stays as it is and where it is; its current context too, if it has one. `None`: nothing changes.
///
/// # Errors
/// When one of them is not a kubeconfig.
pub fn merge(
    old: &SecretSlice<u8>,
    new: &SecretSlice<u8>,
) -> Result<Option<SecretSlice<u8>>, KubeconfigError> {
    let mut new = Tree::read(new)?;
    let size = old.expose_secret().len() + MARGIN;
    let mut tree = Tree::read(old)?;
    if tree.0.is_null() {
        return Ok(Some(new.write(size)));
    }
    let before = Tree(tree.0.clone());
    let root = tree.0.as_mapping_mut().ok_or(KubeconfigError::NoMapping)?;
    for list in LISTS {
        let theirs = root.entry(list.into()).or_insert(Value::Null);
        if theirs.is_null() {
            *theirs = Value::Sequence(Vec::new());
        }
        let theirs = theirs.as_sequence_mut().ok_or(KubeconfigError::Shape(list))?;
        if theirs.iter().any(|entry| name_of(entry).is_none()) {
            return Err(KubeconfigError::Shape(list));
        }
        for entry in entries(&mut new.0, list)? {
            let mut entry = Value::Mapping(std::mem::take(entry));
            match theirs.iter_mut().find(|other| name_of(other) == name_of(&entry)) {
                Some(other) => std::mem::swap(other, &mut entry),
                None => theirs.push(std::mem::replace(&mut entry, Value::Null)),
            }
            wipe(&mut entry);
        }
    }
    for key in ["apiVersion", "kind", "current-context"] {
        let is_set = root.get(key).is_some_and(|value| value.as_str() != Some("") && !value.is_null());
        if let Some(value) = new.0.get(key).filter(|_| !is_set) {
            root.insert(key.into(), value.clone());
        }
    }
    Ok((tree.0 != before.0).then(|| tree.write(size)))
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("name").and_then(Value::as_str)
}

fn entries<'a>(
    config: &'a mut Value,
    list: &'static str,
) -> Result<impl Iterator<Item = &'a mut Mapping>, KubeconfigError> {
    let list = config.get_mut(list).and_then(Value::as_sequence_mut).ok_or(KubeconfigError::Missing(list))?;
    Ok(list.iter_mut().filter_map(Value::as_mapping_mut))
}

/// A kubeconfig, wiped when it is dropped.
struct Tree(Value);

impl Tree {
    fn read(yaml: &SecretSlice<u8>) -> Result<Self, KubeconfigError> {
        Ok(Self(serde_norway::from_slice(yaml.expose_secret())?))
    }

    /// `size` is about how long it will be.
    fn write(&self, size: usize) -> SecretSlice<u8> {
        let mut text = Zeroizing::new(Vec::with_capacity(2 * size + MARGIN));
        yaml::write(&self.0, &mut text);
        SecretSlice::from(Box::from(text.as_slice()))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Sequence(list) => list.iter_mut().for_each(wipe),
        Value::Mapping(mapping) => mapping.values_mut().for_each(wipe),
        Value::Tagged(tagged) => wipe(&mut tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVERS: &str = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: QUJD\n    server: \
        https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    user: \
        default\n  name: default\ncurrent-context: default\nkind: Config\npreferences: {}\nusers:\n- \
        name: default\n  user:\n    client-key-data: REVG\n";

    fn secret(text: &str) -> SecretSlice<u8> {
        SecretSlice::from(text.as_bytes().to_vec())
    }

    fn text(secret: &SecretSlice<u8>) -> String {
        String::from_utf8(secret.expose_secret().to_vec()).unwrap()
    }

    fn ours() -> SecretSlice<u8> {
        personalise(&secret(SERVERS), "mercury", "https://100.64.0.6:6443").unwrap()
    }

    #[test]
    fn names_and_address_are_the_clusters() {
        let told = text(&ours());
        assert!(told.contains("server: https://100.64.0.6:6443"), "{told}");
        assert!(told.contains("QUJD") && told.contains("REVG") && told.contains("current-context: mercury"));
        assert!(!told.contains("default"));
        assert!(personalise(&secret("kind: Config"), "x", "y").is_err());
        assert!(personalise(&secret(": :"), "x", "y").is_err());
    }

    #[test]
    fn a_merge_keeps_all_that_is_not_of_the_same_name() {
        let old = "users:\n- user:\n    token: abc\n  name: work\n- name: mercury\n  user:\n    client-key-data: OLD\n\
            extensions:\n- name: mine\n  extension: {on: 'yes', port: 0o17}\nclusters:\n- name: work\n  cluster: \
            {server: 'https://work', x-unknown: 1}\ncurrent-context: work\nkind: Config\napiVersion: v1\ncontexts: null\n";
        let merged = merge(&secret(old), &ours()).unwrap().unwrap();
        expect_eq(
            &text(&merged),
            "users:\n- user:\n    token: abc\n  name: work\n- name: mercury\n  user:\n    client-key-data: REVG\n\
             extensions:\n- name: mine\n  extension:\n    \"on\": \"yes\"\n    port: 15\nclusters:\n- name: work\n  cluster:\n    \
             server: https://work\n    x-unknown: 1\n- cluster:\n    certificate-authority-data: QUJD\n    server: \
             https://100.64.0.6:6443\n  name: mercury\ncurrent-context: work\nkind: Config\napiVersion: v1\ncontexts:\n- \
             context:\n    cluster: mercury\n    user: mercury\n  name: mercury\n",
        );
        assert!(merge(&merged, &ours()).unwrap().is_none(), "again");
    }

    #[track_caller]
    fn expect_eq(found: &str, wanted: &str) {
        assert!(found == wanted, "found:\n{found}\nwanted:\n{wanted}");
    }

    #[test]
    fn an_empty_one_becomes_ours() {
        for empty in ["", "# nothing yet\n", "---\n"] {
            assert_eq!(text(&merge(&secret(empty), &ours()).unwrap().unwrap()), text(&ours()));
        }
        // As kubectl writes it.
        let none = "apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n";
        let merged = merge(&secret(none), &ours()).unwrap().unwrap();
        assert!(text(&merged).contains("current-context: mercury\n"), "{}", text(&merged));
        assert!(merge(&merged, &ours()).unwrap().is_none(), "again");
    }

    #[test]
    fn a_broken_one_is_refused() {
        for (broken, why) in [
            ("clusters: [", "it is not YAML"),
            ("a: 1\na: 2\n", "it is not YAML"),
            ("a: 1\n---\nb: 2\n", "it is not YAML"),
            ("- a\n", "it is no mapping"),
            ("users: {}\n", "its users are no list of named entries"),
            ("clusters:\n- cluster: {}\n", "its clusters are no list of named entries"),
        ] {
            assert_eq!(merge(&secret(broken), &ours()).unwrap_err().to_string(), why, "{broken}");
        }
    }

    #[test]
    fn what_was_read_is_wiped() {
        let mut tree = Tree::read(&secret(SERVERS)).unwrap();
        wipe(&mut tree.0);
        let left = serde_norway::to_string(&tree.0).unwrap();
        assert!(!left.contains("REVG") && left.contains("client-key-data"), "{left}");
    }
}
