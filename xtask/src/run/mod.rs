//! Carrying out a plan: what each [`Action`] does, and what the steps of a run share.

mod activate;
mod build;
mod cluster;
mod commands;
mod connect;
mod copy;
mod datastore;
mod difference;
mod drain;
mod elevation;
mod finding;
mod fit;
mod fitness;
mod gate;
mod generation;
mod health;
mod host;
mod labels;
mod leave;
mod lock;
mod look;
mod preflight;
mod quorum;
mod reboot;
mod rollback;
mod rotate;
mod secret;
mod settle;
mod standing;
mod switch;
mod together;
mod token;
mod watch;

pub(crate) use cluster::nodes;
pub(crate) use commands::Commands;
pub(crate) use connect::{is_this_machine, open, ssh_host};
pub(crate) use elevation::Elevation;
pub(crate) use finding::{Finding, digest};
pub(crate) use host::{journal_since, k3s_unit, k3s_version, require_supported};
#[cfg(test)]
pub(crate) use look::Kept;
pub(crate) use look::{Seen, look};
pub(crate) use secret::{AGENT_SECRET, SERVER_SECRET, log_in};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use agenix::{Identities, Rules};
use fleet::{Fleet, HostName};
use pipeline::{Outcome, Progress};
use remote::Said;
use remote::nix::OverrideInput;
use remote::ssh::{Generation, Session, Ssh};

use self::difference::Difference;
use crate::failure::{Failure, Kind, Result};
use crate::playbook::{Action, Plan};
use crate::render::Renderer;
use crate::repository::Repository;
use crate::tokens::Tokens;

/// All that the steps of one run share.
pub(crate) struct Run<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) fleet: &'a Fleet,
    /// Evaluated only where the plan deals with secrets.
    pub(crate) rules: Option<&'a Rules>,
    pub(crate) overrides: Vec<OverrideInput>,
    /// Is a token rotated? With one that an earlier run made, where that was cut off.
    pub(crate) rotation: Option<Rotation>,
    /// The snapshot of an earlier run, which this one goes on with.
    pub(crate) taken_up: Option<String>,
    /// Why a host is not well, as doctor finds it, for a gate that fails.
    pub(crate) explain: Option<Explain<'a>>,
    /// How long a gate may take; zero looks once.
    pub(crate) patience: Duration,
    /// How long an activation may take before its host goes back by itself.
    pub(crate) activation_timeout: Duration,
    identities: Identities,
    elevation: Arc<Elevation>,
    state: Mutex<State>,
    together: together::Together,
    begun: SystemTime,
    /// The logins that everything but a gate shares.
    generation: Generation,
    ssh: Ssh,
}

/// Looks for the cause of what is wrong with a host.
pub(crate) type Explain<'a> = Box<dyn Fn(&HostName) -> Option<Finding> + Sync + 'a>;

/// Which token a rotation is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// A new one, unless the servers show that there is one already.
    New,
    /// The one that an earlier run made.
    GoesOn,
}

/// What steps found out for later ones.
#[derive(Default)]
struct State {
    sessions: HashMap<HostName, Arc<Session>>,
    /// Servers that were to be asked and do not answer, and why.
    silent: BTreeMap<HostName, String>,
    /// Opened after a host's activation had ended: for its gate.
    fresh: HashMap<HostName, Arc<Session>>,
    /// The flake as a store path.
    snapshot: Option<String>,
    built: HashMap<HostName, Built>,
    /// The system that each host has whole.
    copied: HashMap<HostName, String>,
    /// Units that had failed before the host was activated: only newly failed ones count.
    failed_before: HashMap<HostName, Vec<String>>,
    /// When a host's system was activated, by its own clock in seconds since 1970.
    activated: HashMap<HostName, String>,
    /// The boot default before, of hosts whose new one has not run yet.
    unproven: HashMap<HostName, String>,
    /// Hosts that go back by themselves unless they pass their gate.
    armed: HashMap<HostName, rollback::Armed>,
    /// Hosts that do not, and why.
    stays: HashMap<HostName, String>,
    /// The locks of the hosts that this run changes.
    locks: HashMap<HostName, remote::Held>,
    /// Servers whose K3s is to be another one.
    new_k3s: HashMap<HostName, fit::NewK3s>,
    /// Nodes as their gates saw them.
    nodes: HashMap<HostName, k3s::node::Node>,
    /// Nodes that this run cordoned.
    drained: HashSet<HostName>,
    /// What a dry activation found.
    differences: BTreeMap<HostName, Difference>,
    /// Every server has been restarted with the token that a rotation is to.
    rotated: bool,
}

/// A system, and where it is from.
#[derive(Clone)]
struct Built {
    system: String,
    origin: Origin,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    /// Built from this snapshot of the flake.
    Snapshot(String),
    /// A generation that lies on the host, by its number.
    OnHost(u32),
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        repository: &'a Repository,
        fleet: &'a Fleet,
        rules: Option<&'a Rules>,
        identities: Identities,
        elevation: impl Into<Arc<Elevation>>,
    ) -> Result<Self> {
        let hosts: Vec<_> = fleet.hosts.values().filter_map(connect::ssh_host).collect();
        let ssh = Ssh::new(&hosts)?;
        Ok(Self {
            repository,
            fleet,
            rules,
            overrides: Vec::new(),
            rotation: None,
            taken_up: None,
            explain: None,
            patience: Duration::ZERO,
            activation_timeout: Duration::ZERO,
            identities,
            elevation: elevation.into(),
            state: Mutex::default(),
            together: together::Together::default(),
            begun: SystemTime::now(),
            generation: ssh.generation()?,
            ssh,
        })
    }

    /// Executes the plan and tells how it went. The error's kind is that of the first failure.
    pub(crate) fn execute(
        &self,
        plan: &Plan,
        jobs: usize,
        renderers: &mut [&mut dyn Renderer],
    ) -> Result<()> {
        let act = |action: &Action, progress: &Progress<Failure>| self.act(action, progress);
        let report = pipeline::execute(plan, jobs, remote::interrupted, act, |event| {
            renderers.iter_mut().for_each(|renderer| renderer.event(event));
        });
        renderers.iter_mut().for_each(|renderer| renderer.report(plan, &report));
        match report.failures.first() {
            None => Ok(()),
            Some(failure) => Err(Failure::told(failure.error.kind)),
        }
    }

    /// How its logins become root's.
    pub(crate) fn elevation(&self) -> Arc<Elevation> {
        Arc::clone(&self.elevation)
    }

    /// What would change on each host, where that was asked for.
    pub(crate) fn differences(&self) -> Vec<String> {
        self.state().differences.values().map(ToString::to_string).collect()
    }

    /// The systems that were built, or found.
    pub(crate) fn systems(&self) -> BTreeMap<HostName, String> {
        let state = self.state();
        state.built.iter().map(|(name, built)| (name.clone(), built.system.clone())).collect()
    }

    fn act(&self, action: &Action, progress: &Progress<Failure>) -> Result<Outcome> {
        if remote::interrupted() {
            let failure = Failure::new(Kind::Interrupted, "interrupted before this step");
            // Between two steps a host may be on a system that has not passed its gate.
            return match action {
                Action::Activate { host, .. } | Action::Gate { host } | Action::Reboot { host } => {
                    self.or_undone(host, Err(failure), progress)
                }
                _ => Err(failure),
            };
        }
        let result = match action {
            Action::Preflight { hosts, goal, token } => self.preflight(hosts, *goal, *token),
            Action::Connect { host, lock, needed } => self.connect(host, *lock, *needed, progress),
            Action::ServerToken { servers } => self.server_token(servers),
            Action::SharedToken { servers } => self.shared_token(servers),
            Action::Snapshot { with_agents } => self.snapshot(*with_agents, progress),
            Action::Generation { host, to, yes } => self.generation(host, *to, *yes),
            Action::Build { host, together } => self.build(host, together, progress),
            Action::Copy { host } => self.copy(host, progress),
            Action::Fit { hosts, goal } => self.fit(hosts, *goal),
            Action::Quorum { host, reboot } => self.quorum(host, *reboot),
            Action::Datastore { host } => self.datastore(host),
            Action::Drain { host, seconds, reboot } => self.drain(host, *seconds, *reboot, progress),
            Action::Uncordon { host } => self.uncordon(host),
            Action::Reboot { host } => self.or_undone(host, self.reboot(host, progress), progress),
            Action::Activate { host, target } => {
                self.or_undone(host, self.activate(host, *target, progress), progress)
            }
            Action::Gate { host } => self.or_undone(host, self.gate(host, progress), progress),
            Action::Labels { host } => self.labels(host),
            Action::AgentToken => self.agent_token(progress),
            Action::BackUp { server } => self.back_up(server),
            Action::SameUnit { host } => self.same_unit(host),
            Action::NewToken { server, of } => self.new_token(server, *of, progress),
            Action::Rotate { server, of } => self.rotate(server, *of),
            Action::Restart { host, of } => self.restart_with_token(host, *of),
            Action::TryToken { host, of } => self.try_token(host, *of),
            Action::CanLeave { leaves, server } => self.can_leave(leaves, server),
            Action::Empty { host, server, seconds, force } => {
                self.empty(host, server, *seconds, *force, progress)
            }
            Action::LeaveEtcd { host, server } => self.leave_etcd(host, server),
            Action::StopK3s { host } => self.stop_k3s(host),
            Action::DeleteNode { host, server } => self.delete_node(host, server),
        };
        // What fails because we were asked to stop is no fault of the configuration or of a build.
        let consequence = |kind| matches!(kind, Kind::Unforeseen | Kind::Configuration | Kind::Build);
        result.map_err(|failure| {
            if remote::interrupted() && consequence(failure.kind) {
                failure.of_kind(Kind::Interrupted)
            } else {
                failure
            }
        })
    }

    /// A host that was touched is back where it was after a failure, and its node takes work again.
    fn or_undone(
        &self,
        host: &HostName,
        result: Result<Outcome>,
        progress: &Progress<Failure>,
    ) -> Result<Outcome> {
        result.map_err(|failure| self.uncordoned_after(host, self.undone(host, failure, progress)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no step panics while it holds the state")
    }

    fn host(&self, name: &HostName) -> &fleet::Host {
        &self.fleet.hosts[name]
    }

    fn session(&self, name: &HostName) -> Arc<Session> {
        let state = self.state();
        Arc::clone(state.sessions.get(name).expect("a plan connects to a host before it does anything there"))
    }

    fn tokens(&self) -> Tokens<'_> {
        Tokens { repository: self.repository, rules: self.rules(), identities: &self.identities }
    }

    fn rules(&self) -> &Rules {
        self.rules.expect("a plan with secrets is run with rules")
    }
}

fn done(detail: impl Into<String>) -> Result<Outcome> {
    Ok(Outcome::Done { detail: detail.into() })
}

fn changed(detail: impl Into<String>) -> Result<Outcome> {
    Ok(Outcome::Changed { detail: detail.into() })
}

fn skipped(reason: impl Into<String>) -> Result<Outcome> {
    Ok(Outcome::Skipped { reason: reason.into() })
}

/// What a tool says, as what the step says.
fn tell(progress: &Progress<Failure>, said: Said<'_>) {
    let amount = |it: remote::nix_log::Amount| pipeline::Amount { done: it.done, expected: it.expected };
    match said {
        Said::Line(line) => progress.line(line),
        Said::Amounts(it) => progress.amounts(pipeline::Amounts {
            builds: amount(it.builds),
            paths: amount(it.paths),
            bytes: amount(it.bytes),
        }),
    }
}
