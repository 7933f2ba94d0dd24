//! The names that a completion can offer: what stands in the repository's files at that moment.
//!
//! A Tab has to be quick and quiet. So files are read and nothing is started, neither nix nor git; nobody is contacted; what
//! cannot be read offers nothing. Of secrets only names are looked at.

use std::fs;
use std::path::{Path, PathBuf};

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use fleet::{Fleet, Host, secrets_nix};

const FLEET: &str = "hosts/fleet.toml";

/// The repository around the current folder, if there is one.
pub(crate) struct Here {
    root: PathBuf,
    folder: PathBuf,
}

impl Here {
    /// By its fleet.toml, as another project may well have an `xtask` of its own.
    pub(crate) fn find() -> Option<Self> {
        let folder = std::env::current_dir().ok()?;
        let root = folder.ancestors().find(|above| above.join(FLEET).is_file())?.to_owned();
        Some(Self { root, folder })
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn fleet(&self) -> Option<Fleet> {
        Fleet::parse(&fs::read_to_string(self.root.join(FLEET)).ok()?).ok()
    }

    /// Each as one would type it here, and whether its file is there: those that secrets.nix names, and files in `secrets`.
    pub(crate) fn secrets(&self) -> Vec<(String, bool)> {
        let rules = fs::read_to_string(self.root.join("secrets.nix")).unwrap_or_default();
        let mut names = secrets_nix::named_secrets(&rules);
        let files = fs::read_dir(self.root.join("secrets")).into_iter().flatten().flatten();
        names.extend(files.filter_map(|file| Some(format!("secrets/{}", file.file_name().to_str()?))));
        names.retain(|name| name.ends_with(".age"));
        names.sort();
        names.dedup();
        let is_there = |name: &String| self.root.join(name).exists();
        let below = |name: &String| self.root.join(name).strip_prefix(&self.folder).ok().map(Path::to_owned);
        let typed = |name: String| {
            let typed = below(&name).and_then(|path| path.to_str().map(str::to_owned));
            let there = is_there(&name);
            (typed.unwrap_or(name), there)
        };
        names.into_iter().map(typed).collect()
    }
}

/// The hosts, each with its role.
pub(super) fn hosts() -> ArgValueCandidates {
    named(|here| here.fleet().map(|fleet| fleet.hosts.values().map(host).collect()))
}

/// The hosts, as the beginning of `HOST=ADDRESS`.
pub(super) fn host_addresses() -> ArgValueCandidates {
    named(|here| {
        let fleet = here.fleet()?;
        Some(fleet.hosts.values().map(|it| described(format!("{}=", it.name), role(it))).collect())
    })
}

/// Where a system may be built.
pub(super) fn builders() -> ArgValueCandidates {
    named(|here| {
        let fixed = [("target", "on the host itself"), ("local", "on this machine")];
        let fixed = fixed.map(|(name, about)| described(name, about));
        let hosts = here.fleet().into_iter().flat_map(|fleet| fleet.hosts.into_values());
        Some(fixed.into_iter().chain(hosts.map(|it| host(&it))).collect())
    })
}

/// The tags, each with the hosts that have it.
pub(super) fn tags() -> ArgValueCandidates {
    of_hosts(|host| &host.tags)
}

/// The labels that hosts have.
pub(super) fn labels() -> ArgValueCandidates {
    of_hosts(|host| &host.labels)
}

/// The taints that hosts have.
pub(super) fn taints() -> ArgValueCandidates {
    of_hosts(|host| &host.taints)
}

/// Which secrets are offered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// With a rule or a file.
    All,
    /// Those with a file.
    Written,
    /// Those without.
    Unwritten,
}

/// Secrets by the names that one would type here.
pub(super) fn secrets(which: Which) -> ArgValueCandidates {
    named(move |here| {
        let wanted = |there| match which {
            Which::All => true,
            Which::Written => there,
            Which::Unwritten => !there,
        };
        let secrets = here.secrets().into_iter().filter(|(_, there)| wanted(*there));
        let about = |there| if there { "written" } else { "not written yet" };
        Some(secrets.map(|(name, there)| described(name, about(there))).collect())
    })
}

/// The runs that left a journal, the newest first.
pub(crate) fn runs() -> ArgValueCandidates {
    named(|here| {
        let runs = crate::journal::ids_in(&here.root).into_iter().enumerate();
        Some(runs.map(|(at, id)| CompletionCandidate::new(id).display_order(Some(at))).collect())
    })
}

fn of_hosts(of: impl Fn(&Host) -> &Vec<String> + Send + Sync + 'static) -> ArgValueCandidates {
    named(move |here| {
        let fleet = here.fleet()?;
        let mut all: Vec<&String> = fleet.hosts.values().flat_map(&of).collect();
        all.sort();
        all.dedup();
        let who = |text: &String| {
            let hosts = fleet.hosts.values().filter(|host| of(host).contains(text));
            hosts.map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        Some(all.into_iter().map(|text| described(text, who(text))).collect())
    })
}

fn host(host: &Host) -> CompletionCandidate {
    described(host.name.as_str(), role(host))
}

fn role(host: &Host) -> String {
    host.role.map_or("outside the cluster".to_owned(), |role| role.to_string())
}

fn described(name: impl Into<String>, about: impl Into<String>) -> CompletionCandidate {
    CompletionCandidate::new(name.into()).help(Some(about.into().into()))
}

fn named(
    names: impl Fn(&Here) -> Option<Vec<CompletionCandidate>> + Send + Sync + 'static,
) -> ArgValueCandidates {
    ArgValueCandidates::new(move || Here::find().and_then(|here| names(&here)).unwrap_or_default())
}
