//! Labels and taints of a Node, brought to what fleet.toml says where K3s' own flags do not: see [`k3s::owned`].

use fleet::HostName;
use k3s::owned::{self, Changes};
use pipeline::Outcome;

use super::cluster::{self, kubectl};
use super::{Run, changed, skipped};
use crate::failure::{Failure, Kind, Result};

impl Run<'_> {
    pub(super) fn labels(&self, name: &HostName) -> Result<Outcome> {
        // The gate has just seen it, with what K3s itself applied when it started.
        let seen = self.state().nodes.get(name).cloned();
        let node = match seen {
            Some(node) => node,
            None => {
                let server = self.asked_about(name, &self.session(name))?;
                let node = cluster::nodes(&server)?.into_iter().find(|node| node.name == name.as_str());
                node.ok_or_else(|| {
                    Failure::new(Kind::Verification, format!("the cluster has no node of the name {name}"))
                })?
            }
        };
        let mut told = Vec::new();
        if self.is_left_cordoned(&node, name) {
            self.let_it_work(name)?;
            told.push("takes work again: an earlier run drained it and was cut off".to_owned());
        }
        let host = self.host(name);
        let changes = owned::changes(&node, &host.labels, &host.taints);
        if changes.is_empty() && told.is_empty() {
            return skipped("its labels and taints are those of fleet.toml");
        }
        self.apply(name, &changes)?;
        let only_recorded = changes.told.is_empty() && told.is_empty();
        told.extend(changes.told);
        changed(if only_recorded {
            "as in fleet.toml; recorded on the node".to_owned()
        } else {
            told.join(", ")
        })
    }

    fn apply(&self, name: &HostName, changes: &Changes) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let server = self.asked_about(name, &self.session(name))?;
        // The record comes last: what was not removed yet stays recorded, and what was set is named by fleet.toml still.
        let verbs =
            [("label", &changes.labels), ("taint", &changes.taints), ("annotate", &changes.annotations)];
        for (verb, args) in verbs.into_iter().filter(|(_, args)| !args.is_empty()) {
            let args = args.iter().map(String::as_str);
            let argv: Vec<&str> =
                [verb, "node", name.as_str(), "--overwrite"].into_iter().chain(args).collect();
            kubectl(&server, &argv).map_err(|failure| {
                let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
                failure.of_kind(kind).during(&format!("failed to {verb} the node of {name}"))
            })?;
        }
        Ok(())
    }
}
