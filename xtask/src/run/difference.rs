//! What a new system would change on a host: packages, sizes, units. Asked of the host, which has both closures by then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use remote::nix;
use remote::ssh::Session;

use super::build::short;
use super::copy::bytes;
use crate::failure::Result;

/// Outputs of one package: the version is the same without them.
const OUTPUTS: [&str; 8] = ["bin", "dev", "doc", "info", "lib", "man", "out", "terminfo"];

/// Versions by package. A package may be there in several.
type Packages<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// One host's difference, as a person reads it.
pub(crate) struct Difference {
    host: String,
    old: Option<String>,
    new: String,
    /// `k3s 1.34.1 → 1.35.1`
    changed: Vec<String>,
    added: Vec<String>,
    removed: Vec<String>,
    /// In bytes, of the old and of the new closure.
    sizes: Option<(u64, u64)>,
    /// `restart k3s.service`
    units: Vec<String>,
}

impl Difference {
    /// Between what runs there and the new system.
    pub(super) fn ask(session: &Session, old: Option<String>, new: String) -> Result<Self> {
        let closure =
            |system: &str| -> Result<String> { Ok(session.run(nix::requisites_argv(system))?.text()) };
        let before = old.as_deref().map(closure).transpose()?.unwrap_or_default();
        let after = closure(&new)?;
        let sizes = match &old {
            Some(old) => sizes(&session.run(nix::closure_sizes_argv(&[old, &new]))?.text(), old, &new),
            None => None,
        };
        let mut difference = Self::between(&packages(&before), &packages(&after));
        difference.sizes = sizes;
        Ok(Self { host: session.name().to_owned(), old, new, ..difference })
    }

    fn between(before: &Packages, after: &Packages) -> Self {
        let versions = |versions: &BTreeSet<&str>| versions.iter().copied().collect::<Vec<_>>().join(", ");
        let only = |here: &Packages, there: &Packages| -> Vec<String> {
            let lacking = here.iter().filter(|(name, _)| !there.contains_key(*name));
            lacking.map(|(name, has)| format!("{name} {}", versions(has))).collect()
        };
        let both = before.iter().filter_map(|(name, old)| after.get(name).map(|new| (name, old, new)));
        let changed = both
            .filter(|(_, old, new)| old != new)
            .map(|(name, old, new)| format!("{name} {} → {}", versions(old), versions(new)));
        Self {
            host: String::new(),
            old: None,
            new: String::new(),
            changed: changed.collect(),
            added: only(after, before),
            removed: only(before, after),
            sizes: None,
            units: Vec::new(),
        }
    }

    /// With what switch-to-configuration says that it would do.
    pub(super) fn with_units(self, lines: &[String]) -> Self {
        Self { units: lines.iter().filter_map(|line| unit_change(line)).collect(), ..self }
    }

    /// In one line.
    pub(super) fn summary(&self) -> String {
        let counts = [(&self.changed, "changed"), (&self.added, "added"), (&self.removed, "removed")];
        let counts = counts.iter().filter(|(which, _)| !which.is_empty());
        let mut parts: Vec<String> = counts.map(|(which, what)| format!("{} {what}", which.len())).collect();
        if parts.is_empty() {
            parts.push("no package changes".to_owned());
        }
        let units = if self.units.is_empty() { "touch no unit".to_owned() } else { self.units.join(", ") };
        format!("{}; would {units}", parts.join(", "))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let old = self.old.as_deref().map_or("nothing".to_owned(), short);
        if self.old.as_ref() == Some(&self.new) {
            return write!(f, "{}  runs {old} already", self.host);
        }
        write!(f, "{}  {old} → {}", self.host, short(&self.new))?;
        let groups = [("changed", &self.changed), ("added", &self.added), ("removed", &self.removed)];
        for (what, lines) in groups.into_iter().chain([("units", &self.units)]) {
            for (index, line) in lines.iter().enumerate() {
                write!(f, "\n  {:8} {line}", if index == 0 { what } else { "" })?;
            }
        }
        if let Some((old, new)) = self.sizes {
            let sign = if new < old { "-" } else { "+" };
            write!(f, "\n  size     {} → {} ({sign}{})", bytes(old), bytes(new), bytes(new.abs_diff(old)))?;
        }
        Ok(())
    }
}

/// The packages among store paths. What has no version is configuration, and changes its hash with anything.
fn packages(closure: &str) -> Packages<'_> {
    let mut packages = Packages::new();
    for path in closure.lines() {
        let name = path.trim_start_matches("/nix/store/").split_once('-').map(|(_, name)| name);
        if let Some((name, version)) = name.and_then(name_and_version) {
            packages.entry(name).or_default().insert(version);
        }
    }
    packages
}

/// As Nix has it: the version begins behind the first dash that no letter follows.
fn name_and_version(name: &str) -> Option<(&str, &str)> {
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let at = dashes.into_iter().find(|at| name[at + 1..].starts_with(|c: char| !c.is_ascii_alphabetic()))?;
    let (name, version) = (&name[..at], &name[at + 1..]);
    let output = version.rsplit_once('-').filter(|(_, output)| OUTPUTS.contains(output));
    Some((name, output.map_or(version, |(version, _)| version)))
}

/// `would restart the following units: k3s.service` is `restart k3s.service`.
fn unit_change(line: &str) -> Option<String> {
    let (verb, units) = line.strip_prefix("would ")?.split_once(" the following ")?;
    Some(format!("{verb} {}", units.split_once(": ")?.1))
}

/// Each line is a path and a number.
fn sizes(lines: &str, old: &str, new: &str) -> Option<(u64, u64)> {
    let of = |path: &str| {
        let line = lines.lines().find(|line| line.split_whitespace().next() == Some(path));
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|size| size.parse().ok())
    };
    Some((of(old)?, of(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_path_is_taken_apart_as_nix_does_it() {
        for (name, parts) in [
            ("k3s-1.35.1+k3s1", Some(("k3s", "1.35.1+k3s1"))),
            ("openssl-3.0.13-bin", Some(("openssl", "3.0.13"))),
            ("python3.12-requests-2.31.0", Some(("python3.12-requests", "2.31.0"))),
            ("linux-6.12.1-modules-shrunk", Some(("linux", "6.12.1-modules-shrunk"))),
            ("unit-k3s.service", None),
        ] {
            assert_eq!(name_and_version(name), parts);
        }
    }

    #[test]
    fn packages_are_compared_and_what_has_no_version_is_not() {
        let before = "/nix/store/aaa-etc\n/nix/store/aaa-k3s-1.34.1\n/nix/store/aaa-nano-7.2\n/nix/store/a-glibc-2.40-66";
        let after = "/nix/store/bbb-etc\n/nix/store/bbb-k3s-1.35.1\n/nix/store/bbb-htop-3.3.0\n/nix/store/b-glibc-2.40-66";
        let system = |hash: &str| format!("/nix/store/{hash}-nixos-system-maia-26.05");
        let (old, new) = (system("aaaaaaaaaa"), system("bbbbbbbbbb"));
        let mut difference = Difference::between(&packages(before), &packages(after));
        difference.sizes = sizes(&format!("{old}\t2048\n{new}  1024"), &old, &new);
        difference = Difference { host: "maia".to_owned(), old: Some(old), new, ..difference };
        let said = ["would restart the following units: k3s.service", "would activate the configuration..."];
        let difference = difference.with_units(&said.map(str::to_owned));
        expect_test::expect![[r#"
            maia  maia-26.05 (aaaaaaaa) → maia-26.05 (bbbbbbbb)
              changed  k3s 1.34.1 → 1.35.1
              added    htop 3.3.0
              removed  nano 7.2
              units    restart k3s.service
              size     2.0 KiB → 1.0 KiB (-1.0 KiB)"#]]
        .assert_eq(&difference.to_string());
        assert_eq!(difference.summary(), "1 changed, 1 added, 1 removed; would restart k3s.service");
    }
}
