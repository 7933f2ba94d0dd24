//! What a gate asks a host about itself, in one command: a round trip and a login shell for each question would be most of
//! what a deploy of small hosts takes.

use std::collections::BTreeMap;

use k3s::unit::{self, Unit};
use remote::RunError;
use remote::ssh::Session;

use super::host;
use super::look::sections;
use super::standing::is_active;
use crate::failure::{Failure, Kind, Result};

/// Sections, each under a line `== NAME`; then one for each of `$@`, which are files. Where systemd itself does not answer, a
/// section says so; without the last section it was cut off.
const ASK: &str = "\
export LC_ALL=C
tell() { printf '== %s\\n' \"$1\"; }
tell clock; date +%s
tell failed; systemctl list-units --state=failed --plain --no-legend --no-pager 2>&1 || tell unanswered
tell running; readlink -m RUNNING
tell unit; systemctl show TIMESTAMP --property UNIT_PROPERTIES UNITS 2>&1 || tell unanswered
tell containerd; systemctl show --property ActiveState --value containerd.service
for file; do tell \"$file\"; stat --dereference --format '%s %a %U %Y' \"$file\" 2> /dev/null; done
tell end";

/// How a host is, by itself.
pub(super) struct Health {
    /// Its own clock, in seconds since 1970.
    pub(super) clock: u64,
    /// Units that have failed.
    pub(super) failed: Vec<String>,
    /// What runs.
    pub(super) running: Option<String>,
    /// The K3s unit, if there is one.
    pub(super) unit: Option<Unit>,
    /// Is containerd up, or on its way?
    pub(super) has_containerd: bool,
    files: BTreeMap<String, File>,
}

/// A file, as `stat` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) size: u64,
    /// `400`
    pub(super) mode: String,
    pub(super) owner: String,
    /// When it was last written, in seconds since 1970.
    pub(super) written: u64,
}

impl Health {
    /// The K3s unit's name.
    pub(super) fn unit_id(&self) -> &str {
        self.unit.as_ref().map_or("k3s", |unit| &unit.id)
    }

    /// One of the files that were asked for; `None` where there is none.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }
}

/// Asks, also about these files.
pub(super) fn health(session: &Session, files: &[&str]) -> Result<Health> {
    let script = [
        ("TIMESTAMP", unit::TIMESTAMP),
        ("RUNNING", host::RUNNING),
        ("UNIT_PROPERTIES", unit::PROPERTIES),
        ("UNITS", &unit::CANDIDATES.join(" ")),
    ]
    .iter()
    .fold(ASK.to_owned(), |script, (name, value)| script.replace(name, value));
    let text = session.run(["sh", "-c", &script, "sh"].iter().chain(files))?.text();
    if text.lines().any(|line| line == "== unanswered") {
        let message = format!("failed to look at the units of {}: systemd does not answer", session.name());
        let hint = format!("on {}: systemctl status", session.name());
        return Err(Failure::new(Kind::Verification, message).tail(&unanswered(&text)).hint(hint));
    }
    let lost = || RunError::OutputLost { command: format!("the look at {}", session.name()) };
    Ok(parse(&text).ok_or_else(lost)?)
}

/// What was said in front of it.
fn unanswered(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().take_while(|line| *line != "== unanswered").collect();
    let said = lines.into_iter().rev().take_while(|line| !line.starts_with("== "));
    said.map(str::to_owned).collect()
}

/// `None` unless it is whole.
fn parse(text: &str) -> Option<Health> {
    let sections = sections(text);
    sections.get("end")?;
    let section = |name: &str| sections.get(name).map_or("", |text| text.trim());
    let word = |line: &str| line.split_whitespace().next().map(str::to_owned);
    Some(Health {
        clock: section("clock").parse().ok()?,
        failed: section("failed").lines().filter_map(word).collect(),
        running: Some(section("running").to_owned()).filter(|target| target != host::RUNNING),
        unit: unit::parse(section("unit")),
        has_containerd: is_active(section("containerd")),
        files: sections
            .iter()
            .filter_map(|(path, said)| Some(((*path).to_owned(), file(said.trim())?)))
            .collect(),
    })
}

fn file(said: &str) -> Option<File> {
    let [size, mode, owner, written] = said.split(' ').collect::<Vec<_>>()[..] else { return None };
    let (size, written) = (size.parse().ok()?, written.parse().ok()?);
    Some(File { size, mode: mode.to_owned(), owner: owner.to_owned(), written })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_read() {
        let said = "== clock\n1800\n== failed\nfoo.service loaded failed failed A foo\n== running\n/nix/store/a-nixos-system-maia\n\
                    == unit\nId=k3s.service\nLoadState=loaded\nActiveState=active\n\
                    == containerd\nactive\n== /run/agenix/k3s-agent-token\n107 400 root 1795\n== /run/agenix/none\n== end";
        let health = parse(said).unwrap();
        assert_eq!((health.clock, &health.failed[..]), (1800, &["foo.service".to_owned()][..]));
        assert!(health.has_containerd);
        assert_eq!(health.running.as_deref(), Some("/nix/store/a-nixos-system-maia"));
        assert!(health.unit.as_ref().unwrap().is_active());
        let file = health.file("/run/agenix/k3s-agent-token").unwrap();
        assert_eq!(
            (file.size, file.mode.as_str(), file.owner.as_str(), file.written),
            (107, "400", "root", 1795)
        );
        assert_eq!(health.file("/run/agenix/none"), None);
        assert!(parse(&said[..said.len() - 3]).is_none(), "cut off");
    }

    #[test]
    fn a_host_without_anything_is_well() {
        let health =
            parse("== clock\n1\n== failed\n== running\n/run/current-system\n== unit\n== end").unwrap();
        assert!(health.failed.is_empty() && health.running.is_none() && health.unit.is_none());
        assert!(!health.has_containerd);
    }

    #[test]
    fn what_was_not_answered_is_told_as_that() {
        let text = "== clock\n1\n== failed\nFailed to list units: Transport endpoint is not connected\n\
                    == unanswered\n== running\n";
        assert_eq!(unanswered(text), ["Failed to list units: Transport endpoint is not connected"]);
    }
}
