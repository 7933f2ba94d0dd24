//! A change of the repository that is made whole or not at all: texts, and the secrets whose readers change with them.
//!
//! First what will be true is found out in a copy ([`Scratch`]), then all of it is shown, then a key is proved that opens
//! what has to be encrypted anew, then somebody is asked. Only then is anything written, in one transaction of agenix:
//! who is killed half-way is undone by whoever comes next.

use std::collections::BTreeSet;
use std::io;

use agenix::{
    Change, Due, Identities, Others, Plan, Recipient, RekeyError, Rule, Rules, SecretPath, Secrets, Why,
};
use console::style;
use fleet::{Fleet, HostName, PublicKey};

use super::scratch::{Difference, Scratch, differences};
use crate::cli::Global;
use crate::command::secrets::rekey;
use crate::events::Event;
use crate::failure::{Kind, Result};
use crate::identity;
use crate::render::Terminal;
use crate::repository::Repository;

/// What is to be written.
pub(super) struct Edits<'a> {
    repository: &'a Repository,
    /// As fleet.toml will say it.
    pub(super) fleet: Fleet,
    texts: Vec<Change>,
    before: Rules,
    /// With the rules as they will be.
    secrets: Secrets,
    /// Whose secrets are looked at in any case: their readers may be behind the rules.
    keys: Vec<PublicKey>,
}

/// A secret that is encrypted anew, and what that means.
struct Anew {
    path: SecretPath,
    added: Vec<Recipient>,
    removed: Vec<Recipient>,
    why: String,
}

impl<'a> Edits<'a> {
    /// `texts` are the changes, `before` the rules without them; `keys` are of the hosts that it is about.
    pub(super) fn new(
        repository: &'a Repository,
        scratch: &Scratch,
        fleet: Fleet,
        texts: Vec<Change>,
        before: Rules,
        keys: Vec<PublicKey>,
    ) -> Result<Self> {
        scratch.put(&texts)?;
        let secrets = repository.secrets(scratch.rules(&fleet)?)?;
        let edits = Self { repository, fleet, texts, before, secrets, keys };
        let plan = edits.plan();
        if plan.failures.is_empty() {
            return Ok(edits);
        }
        Err(rekey::failure(&RekeyError::Failed { failures: plan.failures }).also(nothing()))
    }

    pub(super) fn rules(&self) -> &Rules {
        self.secrets.rules()
    }

    /// Exactly the secrets whose readers change.
    fn plan(&self) -> Plan<'_> {
        let texts = |rule: Option<&Rule>| {
            let recipients = rule?.recipients().ok()?;
            Some(recipients.iter().map(|recipient| recipient.text().to_owned()).collect::<BTreeSet<_>>())
        };
        let concerned = |rule: &&Rule| {
            let (now, then) = (texts(self.before.rule(rule.path()).ok()), texts(Some(rule)));
            now != then || self.keys.iter().any(|key| names(rule, key))
        };
        let rules: Vec<&Rule> = self.secrets.rules().iter().filter(concerned).collect();
        agenix::plan(&self.secrets, &rules, false)
    }

    /// How many secrets are encrypted anew.
    pub(super) fn due(&self) -> usize {
        self.plan().due.len()
    }

    fn anew(&self, due: &Due<'_>) -> Anew {
        let before = self.before.rule(due.rule.path()).and_then(Rule::recipients).unwrap_or_default();
        let without = |all: &[Recipient], others: &[Recipient]| {
            all.iter().filter(|one| !others.contains(one)).cloned().collect::<Vec<_>>()
        };
        Anew {
            path: due.rule.path().clone(),
            added: without(&due.readers, &before),
            removed: without(&before, &due.readers),
            why: due.why.described(&self.secrets.readers()),
        }
    }

    /// The hosts that will read a secret which they do not read now.
    pub(super) fn gaining(&self) -> Vec<HostName> {
        let plan = self.plan();
        let added: Vec<Recipient> = plan.due.iter().flat_map(|due| self.anew(due).added).collect();
        let gains = |key: &PublicKey| added.iter().any(|reader| is(reader, key));
        let hosts = self.fleet.hosts.values();
        let hosts = hosts.filter(|host| host.ssh_host_key.as_ref().is_some_and(gains));
        hosts.map(|host| host.name.clone()).collect()
    }

    /// Shows all that will be written.
    pub(super) fn show(&self, global: &Global) -> Result<()> {
        show_differences(global, &self.texts)?;
        let plan = self.plan();
        if !global.json && !plan.due.is_empty() {
            say!("{}", style("secrets encrypted anew").bold());
        }
        for due in &plan.due {
            show_anew(global, &self.anew(due));
        }
        Ok(())
    }

    /// Proves that a key at hand opens what is to be encrypted anew, before anybody is asked or anything written.
    pub(super) fn unlock(&self, global: &Global) -> Result<Identities> {
        let plan = self.plan();
        if plan.due.is_empty() {
            return Ok(Identities::default());
        }
        let identities = identity::load(global, &Terminal::new())?;
        let mut failures = Vec::new();
        // What only may be wrong is left as it is, as in any rekey.
        for due in plan.due.iter().filter(|due| !matches!(due.why, Why::Unproven)) {
            let opened = self.secrets.read(due.rule).and_then(|bytes| {
                let bytes = bytes.ok_or(agenix::SecretError::Missing)?;
                self.secrets.open(&bytes, &identities)
            });
            if let Err(error) = opened {
                failures.push(agenix::Failure { path: due.rule.path().clone(), error });
            }
        }
        if failures.is_empty() {
            return Ok(identities);
        }
        let failure = rekey::failure(&RekeyError::Failed { failures });
        Err(if remote::interrupted() { failure.of_kind(Kind::Interrupted) } else { failure }.also(nothing()))
    }

    /// Writes all of it, or nothing, and lets git know.
    pub(super) fn write(&self, identities: &Identities) -> Result<()> {
        let new: Vec<&SecretPath> =
            self.texts.iter().filter(|text| text.before.is_none()).map(|text| &text.path).collect();
        let tell_git = || {
            let known = new.iter().try_for_each(|path| self.repository.let_git_know(path));
            known.map_err(|failure| io::Error::other(failure.message))
        };
        let others = Others { files: &self.texts, last: Some(&tell_git) };
        let (plan, stop) = (self.plan(), &remote::interrupted);
        agenix::rekey_with(&self.secrets, plan, identities, &others, stop, &|_| {}).map(drop).map_err(
            |error| {
                let gone = new.iter().map(|path| path.in_repository(self.repository.root()));
                self.repository.forget_gone(&gone.collect::<Vec<_>>());
                let failure = rekey::failure(&error).during("failed to change the repository");
                if remote::interrupted() { failure.of_kind(Kind::Interrupted) } else { failure }
            },
        )
    }
}

fn nothing() -> String {
    "nothing was changed".to_owned()
}

fn is(reader: &Recipient, key: &PublicKey) -> bool {
    PublicKey::new(reader.text()).is_ok_and(|reader| reader == *key)
}

/// Does the rule name this key?
pub(super) fn names(rule: &Rule, key: &PublicKey) -> bool {
    rule.recipients().is_ok_and(|readers| readers.iter().any(|reader| is(reader, key)))
}

/// The secrets that a key may read by the rules, and that are there.
pub(super) fn readable(repository: &Repository, rules: &Rules, key: &PublicKey) -> Vec<SecretPath> {
    let rules = rules.iter().filter(|rule| names(rule, key)).map(Rule::path);
    rules.filter(|path| repository.has(path)).cloned().collect()
}

/// Shows what will be another text.
pub(super) fn show_differences(global: &Global, texts: &[Change]) -> Result<()> {
    differences(texts)?.iter().for_each(|difference| show_difference(global, difference));
    Ok(())
}

fn show_difference(global: &Global, Difference { path, text }: &Difference) {
    if global.json {
        Event::Difference { file: path.clone(), difference: text.clone() }.print();
        return;
    }
    for line in text.lines() {
        let line = match line.as_bytes().first() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => style(line).bold(),
            Some(b'+') => style(line).green(),
            Some(b'-') => style(line).red(),
            Some(b'@') => style(line).cyan(),
            _ => style(line),
        };
        say!("{line}");
    }
    say!("");
}

fn show_anew(global: &Global, Anew { path, added, removed, why }: &Anew) {
    let labels = |readers: &[Recipient]| readers.iter().map(Recipient::label).collect::<Vec<_>>();
    let (added, removed) = (labels(added), labels(removed));
    if global.json {
        Event::Anew { secret: path.to_string(), added, removed, why: why.clone() }.print();
        return;
    }
    let signed = |sign: char, labels: &[String]| {
        labels.iter().map(|label| format!("{sign}{label}")).collect::<Vec<_>>().join(" ")
    };
    let what = match (added.is_empty(), removed.is_empty()) {
        (true, true) => why.clone(),
        _ if added == removed => format!("{}, by the new key instead of the old one", added.join(", ")),
        _ => format!("{} {}", signed('+', &added), signed('-', &removed)),
    };
    say!("  {path}  {}", what.trim());
}
