//! Why `kubectl drain` did not empty a node, from what it says.

use std::collections::BTreeSet;

/// What kept pods on their node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Pods without a controller would be gone for good, and kubectl does not delete those.
    NoController(Vec<String>),
    /// A PodDisruptionBudget does not let them go.
    Budget(Vec<String>),
    /// They did not end within the time.
    Slow(Vec<String>),
}

impl Kept {
    /// In words.
    pub fn what(&self) -> String {
        match self {
            Self::NoController(pods) => {
                format!(
                    "{} {} no controller, and would be gone for good",
                    pods.join(", "),
                    verb(pods, "has", "have")
                )
            }
            Self::Budget(pods) => format!("a disruption budget keeps {} there", pods.join(", ")),
            Self::Slow(pods) => format!("{} did not end in time", pods.join(", ")),
        }
    }

    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoController(pods) => {
                let (namespace, name) = pods.first().and_then(|pod| pod.split_once('/')).unwrap_or_default();
                format!("if nobody needs it any more: k3s kubectl --namespace {namespace} delete pod {name}")
            }
            Self::Budget(_) => {
                "k3s kubectl get poddisruptionbudgets -A; more replicas on other nodes, or another budget"
                    .to_owned()
            }
            Self::Slow(_) => "--drain=SECONDS gives it more time".to_owned(),
        }
    }
}

fn verb<'a>(pods: &[String], one: &'a str, many: &'a str) -> &'a str {
    if pods.len() == 1 { one } else { many }
}

/// Reads what kubectl said on standard error; `None` where it says nothing of pods.
pub fn kept(lines: &[String]) -> Option<Kept> {
    let some =
        |pods: BTreeSet<String>| Some(pods.into_iter().collect::<Vec<_>>()).filter(|pods| !pods.is_empty());
    let without =
        lines.iter().filter_map(|line| line.split_once("declare no controller (use --force to override): "));
    // `default/a, default/b`, and then other reasons behind `;`, or `, continuing command...`.
    let without = without.flat_map(|(_, rest)| rest.split([';', ',']).map(str::trim));
    if let Some(pods) = some(without.filter(|pod| is_pod(pod)).map(str::to_owned).collect()) {
        return Some(Kept::NoController(pods));
    }
    let evicted = |text: &str| {
        let lines = lines.iter().filter(|line| line.contains(text));
        some(lines.filter_map(|line| evicted(line)).collect())
    };
    if let Some(pods) = evicted("violate the pod's disruption budget") {
        return Some(Kept::Budget(pods));
    }
    evicted("global timeout reached").map(Kept::Slow)
}

fn is_pod(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
    word.matches('/').count() == 1 && word.chars().all(plain)
}

/// `error when evicting pods/"web-1" -n "default" (will retry after 5s): …`
fn evicted(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("pods/\"")?;
    let (name, rest) = rest.split_once('"')?;
    let namespace = rest.split_once("-n \"")?.1.split('"').next()?;
    Some(format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        kept(&text.lines().map(str::to_owned).collect::<Vec<_>>()).map(|kept| kept.what())
    }

    /// Each as kubectl 1.35 says it.
    #[test]
    fn the_pods_that_stay_are_named() {
        let bare = "error: unable to drain node \"maia\" due to error: cannot delete cannot delete Pods that declare no \
                    controller (use --force to override): default/bare, continuing command...";
        assert_eq!(told(bare).unwrap(), "default/bare has no controller, and would be gone for good");
        let budget = "evicting pod default/web-2\n\
                      error when evicting pods/\"web-2\" -n \"default\" (will retry after 5s): Cannot evict pod as it would \
                      violate the pod's disruption budget.\n\
                      error when evicting pods/\"web-2\" -n \"default\": global timeout reached: 10s";
        assert_eq!(told(budget).unwrap(), "a disruption budget keeps default/web-2 there");
        let slow = "error when waiting for pod \"a\" in namespace \"default\" to terminate: global timeout reached: 5s\n\
                    error when evicting pods/\"a\" -n \"default\": global timeout reached: 5s";
        assert_eq!(told(slow).unwrap(), "default/a did not end in time");
        assert_eq!(told("error: the server doesn't have a resource type"), None);
    }
}
