//! What there is to see of a repository without leaving it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use remote::Cmd;

use crate::failure::Result;
use crate::journal::Last;
use crate::repository::{AGENT_TOKEN, Repository, SERVER_TOKEN, is_seen_by_the_flake, secret};

/// Where one stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stand {
    /// Or what is wrong with fleet.toml, and what to do about it.
    pub(super) fleet: std::result::Result<FleetStand, (String, Option<String>)>,
    /// Tokens that the cluster needs and that are not there.
    pub(super) missing_tokens: Vec<&'static str>,
    /// A write of several files was cut off.
    pub(super) was_cut_off: bool,
    pub(super) has_lock: bool,
    pub(super) git: Git,
    pub(super) last: Option<Last>,
}

/// What fleet.toml says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FleetStand {
    pub(super) cluster: String,
    pub(super) admins: usize,
    pub(super) hosts: Vec<HostStand>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostStand {
    pub(super) name: String,
    /// `None`: outside of the cluster.
    pub(super) role: Option<fleet::Role>,
    pub(super) has_key: bool,
    /// `hosts/NAME/default.nix`
    pub(super) has_folder: bool,
}

/// Of the files that the flake sees, or should.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Git {
    /// Git does not know them, so the flake does not see them.
    pub(super) unknown: Vec<String>,
    /// It knows them, and their content is not committed.
    pub(super) uncommitted: Vec<String>,
    /// When the newest commit was made; `None` without one.
    pub(super) committed: Option<SystemTime>,
}

pub(super) fn look(repository: &Repository) -> Result<Stand> {
    let fleet = repository.fleet();
    let has_servers = fleet.as_ref().is_ok_and(|fleet| fleet.first_server().is_some());
    let tokens = [SERVER_TOKEN, AGENT_TOKEN].into_iter().filter(|_| has_servers);
    let root = repository.root();
    Ok(Stand {
        fleet: fleet
            .map(|fleet| fleet_stand(repository, &fleet))
            .map_err(|failure| (failure.message, failure.hint)),
        missing_tokens: tokens.filter(|token| !repository.has(&secret(token))).collect(),
        was_cut_off: agenix::was_cut_off(&repository.folder()?),
        has_lock: root.join("flake.lock").exists(),
        git: git(repository)?,
        last: Last::read(root),
    })
}

fn fleet_stand(repository: &Repository, fleet: &fleet::Fleet) -> FleetStand {
    let host = |host: &fleet::Host| HostStand {
        name: host.name.to_string(),
        role: host.role,
        has_key: host.ssh_host_key.is_some(),
        has_folder: repository.root().join(format!("hosts/{}/default.nix", host.name)).is_file(),
    };
    FleetStand {
        cluster: fleet.cluster.name.clone(),
        admins: fleet.admins.len(),
        hosts: fleet.hosts.values().map(host).collect(),
    }
}

fn git(repository: &Repository) -> Result<Git> {
    let git = |args: &[&str]| Cmd::new("git").args(args).dir(repository.root());
    let status =
        git(&["--no-optional-locks", "status", "--porcelain=v1", "-z", "--untracked-files=all"]).run()?;
    // Without a commit there is none to tell of.
    let newest = git(&["log", "-1", "--format=%ct"]).run().ok();
    let seconds = newest.and_then(|output| output.text().parse().ok());
    let committed = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    Ok(Git { committed, ..parse(&String::from_utf8_lossy(&status.stdout)) })
}

/// `XY NAME`, each ended by a NUL; of a renamed file the old name follows.
pub(super) fn parse(status: &str) -> Git {
    let mut git = Git::default();
    let mut entries = status.split_terminator('\0');
    while let Some(entry) = entries.next() {
        let Some((state, name)) = entry.split_at_checked(3) else { continue };
        if state.starts_with(['R', 'C']) {
            entries.next();
        }
        if !is_seen_by_the_flake(name) {
            continue;
        }
        let list = if state.starts_with("??") { &mut git.unknown } else { &mut git.uncommitted };
        list.push(name.to_owned());
    }
    git
}
