//! Asking hosts, one or many side by side, outside of a plan: nothing is changed there and nothing is locked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use fleet::{Fleet, Host, HostName};
use remote::ssh::{Generation, Session, Ssh};

use crate::cli::Global;
use crate::failure::{Failure, Kind, Result};
use crate::identity;
use crate::render::Terminal;
use crate::run::{Elevation, open, ssh_host};

const UNPOISONED: &str = "no asker panics while it holds a lock";

/// The logins of one command.
pub(crate) struct Asker {
    elevation: Arc<Elevation>,
    generation: Generation,
    jobs: usize,
    /// Those of [`Asker::each`], for when it asks again.
    kept: Mutex<HashMap<HostName, Arc<Session>>>,
}

impl Asker {
    /// Nobody is connected to yet.
    pub(crate) fn new(global: &Global, fleet: &Fleet, terminal: &Terminal) -> Result<Self> {
        let elevation = Arc::new(Elevation::new(global.sudo, identity::asker(terminal)));
        Self::with(fleet, elevation, global.jobs)
    }

    /// Nobody is connected to yet; logins become root's as those of a run that is under way do.
    pub(crate) fn with(fleet: &Fleet, elevation: Arc<Elevation>, jobs: usize) -> Result<Self> {
        let hosts: Vec<_> = fleet.hosts.values().filter_map(ssh_host).collect();
        let generation = Ssh::new(&hosts)?.generation()?;
        Ok(Self { elevation, generation, jobs, kept: Mutex::default() })
    }

    /// How its logins become root's: a run that goes with it need not ask for the password again.
    pub(crate) fn elevation(&self) -> Arc<Elevation> {
        Arc::clone(&self.elevation)
    }

    /// A session with this host, as root. Several with one host share a login.
    pub(crate) fn session(&self, host: &Host) -> Result<Session> {
        self.elevation.root(host, open(host, &self.generation)?)
    }

    /// What each of these hosts answers, in their order; at most `--jobs` at once. Over the logins of the last time, which
    /// are made anew where they were lost: then a host may be asked twice.
    pub(crate) fn each<T: Send>(
        &self,
        hosts: &[&Host],
        ask: impl Fn(&Host, &Session) -> Result<T> + Sync,
    ) -> Vec<Result<T>> {
        let queue: Mutex<VecDeque<_>> = Mutex::new(hosts.iter().enumerate().collect());
        let answers = Mutex::new(Vec::new());
        let work = || {
            while let Some((at, host)) = { queue.lock().expect(UNPOISONED).pop_front() } {
                let answer = if remote::interrupted() {
                    Err(Failure::new(
                        Kind::Interrupted,
                        format!("interrupted before {} was asked", host.name),
                    ))
                } else {
                    self.ask(host, &ask)
                };
                answers.lock().expect(UNPOISONED).push((at, answer));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, hosts.len().max(1)) {
                scope.spawn(work);
            }
        });
        let mut answers = answers.into_inner().expect(UNPOISONED);
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
    fn ask<T>(&self, host: &Host, ask: &impl Fn(&Host, &Session) -> Result<T>) -> Result<T> {
        let kept = || self.kept.lock().expect(UNPOISONED);
        let last = kept().get(&host.name).cloned();
        if let Some(session) = last {
            match ask(host, &session) {
                Err(failure) if failure.kind == Kind::Unreachable => drop(kept().remove(&host.name)),
                answer => return answer,
            }
        }
        let session = Arc::new(self.session(host)?);
        kept().insert(host.name.clone(), Arc::clone(&session));
        ask(host, &session)
    }
}
