//! Draining a node before its host is touched, and letting it take work again.
//!
//! That it was us who cordoned it is recorded in an annotation of the Node: a deployer that is killed leaves it cordoned,
//! and the next deploy must know it from a node that a person cordoned, which stays so.

use std::time::{Duration, Instant};

use fleet::HostName;
use k3s::node::Node;
use pipeline::{Outcome, Progress};
use remote::RunError;
use remote::ssh::Session;

use super::cluster::{self, kubectl};
use super::{Run, changed, host, skipped};
use crate::failure::{Failure, Kind, Result};

const CORDONED: &str = "xtask/cordoned";
/// What kubectl needs beyond the time that it is given.
const SLACK: Duration = Duration::from_secs(30);
/// How long a server that was just taken back may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

impl Run<'_> {
    pub(super) fn drain(
        &self,
        name: &HostName,
        seconds: u64,
        reboot: bool,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        if !self.will_touch(name, reboot)? {
            return skipped("it is not touched");
        }
        if host::k3s_unit(&self.session(name))?.is_none() {
            return skipped("it has no node yet");
        }
        let server = self.asked_about(name, &self.session(name))?;
        let nodes = cluster::nodes(&server)
            .map_err(|failure| failure.during(&format!("failed to drain {name}, which was not touched")))?;
        let Some(node) = nodes.iter().find(|node| node.name == name.as_str()) else {
            return skipped("it has no node yet");
        };
        let was_cordoned = node.cordoned && !is_ours(node);
        if !was_cordoned {
            kubectl(
                &server,
                &["annotate", "node", name.as_str(), &format!("{CORDONED}=drained"), "--overwrite"],
            )?;
            self.state().drained.insert(name.clone());
        }
        if let Err(error) = send_away(&server, name, seconds, progress) {
            return Err(self.uncordoned_after(name, refusal(name, server.name(), error)));
        }
        changed(if was_cordoned { "drained; it was cordoned before" } else { "drained" })
    }

    pub(super) fn uncordon(&self, name: &HostName) -> Result<Outcome> {
        if !self.state().drained.contains(name) {
            return skipped("it was not drained, or cordoned before that");
        }
        self.let_it_work(name)?;
        changed("takes work again")
    }

    /// An earlier run drained it and was cut off.
    pub(super) fn is_left_cordoned(&self, node: &Node, name: &HostName) -> bool {
        is_ours(node) && !self.state().drained.contains(name)
    }

    pub(super) fn let_it_work(&self, name: &HostName) -> Result<()> {
        let server = self.asked_about(name, &self.session(name))?;
        kubectl(&server, &["uncordon", name.as_str()])?;
        kubectl(&server, &["annotate", "node", name.as_str(), &format!("{CORDONED}-")])?;
        self.state().drained.remove(name);
        if let Some(node) = self.state().nodes.get_mut(name) {
            node.annotations.remove(CORDONED);
        }
        Ok(())
    }

    /// What failed, on a node that was drained for it: whatever runs there now, nobody is to find it empty later.
    pub(super) fn uncordoned_after(&self, name: &HostName, failure: Failure) -> Failure {
        if !self.state().drained.contains(name) {
            return failure;
        }
        let start = Instant::now();
        loop {
            match remote::shielded(|| self.let_it_work(name)) {
                Ok(()) => return failure.also(format!("{name} takes work again")),
                Err(problem) if start.elapsed() > PATIENCE => {
                    return failure
                        .also(format!("{name} is still cordoned: {problem}"))
                        .also(format!("on a server: k3s kubectl uncordon {name}"));
                }
                Err(_) => std::thread::sleep(Duration::from_secs(1)),
            }
        }
    }
}

/// Has the node's pods go elsewhere.
pub(super) fn send_away(
    server: &Session,
    name: &HostName,
    seconds: u64,
    progress: &Progress<Failure>,
) -> std::result::Result<(), RunError> {
    // kubectl tells there whom it sends away.
    let argv = host::ALOUD.map(str::to_owned).into_iter().chain(k3s::node::drain(name.as_str(), seconds));
    let drain = server.command(argv).timeout(Duration::from_secs(seconds).saturating_add(SLACK));
    drain.run_watched(&|line| progress.line(line)).map(drop)
}

/// By the pods that stayed, where kubectl names them.
fn refusal(name: &HostName, server: &str, error: RunError) -> Failure {
    let attempt = format!("failed to drain {name}, which was not touched");
    if let Some(kept) = k3s::drain::kept(error.tail()) {
        let hint = format!("on {server}: {}", kept.remedy());
        return Failure::new(Kind::Verification, format!("{attempt}: {}", kept.what())).hint(hint);
    }
    let hint = format!(
        "on {server}: k3s kubectl get pods -A -o wide --field-selector spec.nodeName={name}; --drain=SECONDS gives it more time"
    );
    let failure = Failure::from(error).during(&attempt);
    let kind = if failure.kind == Kind::Unforeseen { Kind::Verification } else { failure.kind };
    failure.of_kind(kind).hint(hint)
}

fn is_ours(node: &Node) -> bool {
    node.annotations.contains_key(CORDONED)
}
