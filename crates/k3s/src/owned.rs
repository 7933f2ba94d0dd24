//! A Node's labels and taints against those that the fleet names.
//!
//! K3s takes taints at a node's first registration only, and merges labels but removes none. The rest is done here, and
//! only to what is ours: what the fleet names, and what it named when it was last applied. That is recorded in annotations
//! of the Node itself, so it goes where the Node goes, is seen by every deployer, and ends with it. A file beside
//! fleet.toml would be wrong the moment that somebody else deploys or a node is made anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::{Node, Taint};

/// The keys of the labels that were applied, separated by commas.
pub const LABELS: &str = "xtask/owned-labels";
/// The taints that were applied, each as `key:Effect`.
pub const TAINTS: &str = "xtask/owned-taints";

/// What to give to `kubectl label`, `taint` and `annotate`, and what to tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// `key=value` and `key-`
    pub labels: Vec<String>,
    /// `key=value:Effect` and `key:Effect-`
    pub taints: Vec<String>,
    /// `key=value` and `key-`
    pub annotations: Vec<String>,
    /// A line for each label and taint that changes.
    pub told: Vec<String>,
}

impl Changes {
    /// Is the Node as it should be, and recorded to be so?
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.taints.is_empty() && self.annotations.is_empty()
    }
}

/// From the Node to what the fleet says: `labels` as `key=value`, `taints` as `key=value:Effect`.
pub fn changes(node: &Node, labels: &[String], taints: &[String]) -> Changes {
    let mut changes = Changes::default();
    changes.label(node, labels);
    changes.taint(node, taints);
    changes
}

impl Changes {
    fn label(&mut self, node: &Node, labels: &[String]) {
        let wanted: BTreeMap<&str, &str> =
            labels.iter().map(|label| label.split_once('=').unwrap_or((label, ""))).collect();
        for (key, value) in &wanted {
            let old = node.labels.get(*key).map(String::as_str);
            if old != Some(*value) {
                self.labels.push(format!("{key}={value}"));
                let was = old.map_or(String::new(), |old| format!(", was {old}"));
                self.told.push(format!("label {key}={value}{was}"));
            }
        }
        for key in recorded(node, LABELS) {
            if !wanted.contains_key(key) && node.labels.contains_key(key) && !is_kubernetes(key) {
                self.labels.push(format!("{key}-"));
                self.told.push(format!("label {key} removed"));
            }
        }
        self.record(node, LABELS, wanted.keys().map(|key| (*key).to_owned()).collect());
    }

    fn taint(&mut self, node: &Node, taints: &[String]) {
        let wanted: Vec<Taint> = taints.iter().filter_map(|text| parse_taint(text)).collect();
        let name = |taint: &Taint| format!("{}:{}", taint.key, taint.effect);
        for taint in &wanted {
            let old = node.taints.iter().find(|old| name(old) == name(taint));
            if old.is_none_or(|old| old.value != taint.value) {
                let shown = shown(taint);
                let was = old.map_or(String::new(), |old| format!(", was {}", self::shown(old)));
                self.told.push(format!("taint {shown}{was}"));
                self.taints.push(shown);
            }
        }
        for gone in recorded(node, TAINTS) {
            let is_wanted = wanted.iter().any(|taint| name(taint) == gone);
            let is_there = node.taints.iter().any(|taint| name(taint) == gone);
            if !is_wanted && is_there && !is_kubernetes(gone) {
                self.taints.push(format!("{gone}-"));
                self.told.push(format!("taint {gone} removed"));
            }
        }
        self.record(node, TAINTS, wanted.iter().map(name).collect());
    }

    fn record(&mut self, node: &Node, annotation: &str, names: BTreeSet<String>) {
        let new = names.into_iter().collect::<Vec<_>>().join(",");
        let old = node.annotations.get(annotation).map_or("", String::as_str);
        if old != new {
            self.annotations.push(if new.is_empty() {
                format!("{annotation}-")
            } else {
                format!("{annotation}={new}")
            });
        }
    }
}

fn recorded<'a>(node: &'a Node, annotation: &str) -> impl Iterator<Item = &'a str> {
    let names = node.annotations.get(annotation).map_or("", String::as_str);
    names.split(',').filter(|name| !name.is_empty())
}

/// Kubernetes' and K3s' own: nobody else takes those away, whoever once named them.
fn is_kubernetes(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    ["kubernetes.io", "k8s.io", "k3s.io"]
        .iter()
        .any(|own| domain.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.')))
}

fn parse_taint(text: &str) -> Option<Taint> {
    let (pair, effect) = text.rsplit_once(':')?;
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some(Taint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() })
}

fn shown(taint: &Taint) -> String {
    let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
    format!("{}{value}:{}", taint.key, taint.effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(labels: &str, taints: &str, annotations: &[(&str, &str)]) -> Node {
        let map = |text: &str| -> serde_json::Value {
            text.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect()
        };
        let taints: Vec<serde_json::Value> = taints
            .split_whitespace()
            .map(|text| parse_taint(text).unwrap())
            .map(|t| serde_json::json!({"key": t.key, "value": t.value, "effect": t.effect}))
            .collect();
        let annotations: serde_json::Value = annotations.iter().copied().collect();
        let item = serde_json::json!({
            "metadata": {"name": "maia", "labels": map(labels), "annotations": annotations},
            "spec": {"taints": taints},
        });
        let list = serde_json::json!({ "items": [item] }).to_string();
        crate::node::parse_list(list.as_bytes()).unwrap().remove(0)
    }

    fn told(node: &Node, labels: &[&str], taints: &[&str]) -> Vec<String> {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let changes = changes(node, &owned(labels), &owned(taints));
        [changes.labels, changes.taints, changes.annotations].concat()
    }

    #[test]
    fn what_the_fleet_names_is_applied_and_recorded_and_then_left_alone() {
        let fresh = node("a=1 kubernetes.io/os=linux", "", &[]);
        assert_eq!(
            told(&fresh, &["a=1", "b=2"], &["t=x:NoSchedule"]),
            ["b=2", "t=x:NoSchedule", "xtask/owned-labels=a,b", "xtask/owned-taints=t:NoSchedule"]
        );
        let done = [(LABELS, "a,b"), (TAINTS, "t:NoSchedule")];
        let done = node("a=1 b=2", "t=x:NoSchedule node.kubernetes.io/unreachable=:NoExecute", &done);
        assert!(
            changes(&done, &["a=1".to_owned(), "b=2".to_owned()], &["t=x:NoSchedule".to_owned()]).is_empty()
        );
        assert_eq!(told(&node("", "", &[]), &[], &[]), [""; 0]);
    }

    #[test]
    fn only_what_was_applied_by_us_is_removed() {
        let annotations = [(LABELS, "a,b,node-role.kubernetes.io/x"), (TAINTS, "t:NoSchedule,u:NoExecute")];
        let labels = "a=1 b=2 theirs=3 node-role.kubernetes.io/x=true";
        let node = node(labels, "t=x:NoSchedule theirs=y:NoSchedule", &annotations);
        assert_eq!(
            told(&node, &["a=9"], &[]),
            ["a=9", "b-", "t:NoSchedule-", "xtask/owned-labels=a", "xtask/owned-taints-"]
        );
        assert_eq!(
            changes(&node, &["a=9".to_owned()], &["t=z:NoSchedule".to_owned()]).told,
            ["label a=9, was 1", "label b removed", "taint t=z:NoSchedule, was t=x:NoSchedule"]
        );
        assert!(is_kubernetes("etcd.k3s.io/x") && is_kubernetes("kubernetes.io/os"));
        assert!(!is_kubernetes("notk3s.io/x") && !is_kubernetes("zone"));
    }
}
