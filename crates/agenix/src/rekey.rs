//! Encrypting secrets anew for those whom the rules name now: only the files that need it, and all of them or none.
//!
//! What is due is seen without a key ([`plan`]), so a set that is right already costs no passphrase and no write.
//! Everything is decrypted and encrypted, on all cores, and lies on disk beside the old files before the first is
//! replaced; in memory there is one secret a core.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::agreement::Agreement;
use crate::decrypt::DecryptError;
use crate::encrypt::encrypt;
use crate::header::FileRecipients;
use crate::identity::Identities;
use crate::lock::LockError;
use crate::path::SecretPath;
use crate::plugin::PluginError;
use crate::recipient::Recipient;
use crate::rules::{Rule, RuleError};
use crate::secrecy::ExposeSecret as _;
use crate::secrets::{Failure, SecretError, Secrets};
use crate::survey::{Finding, Found, State, cores};
use crate::transaction::{CommitError, Transaction};

/// What a rekey would do.
#[derive(Debug, Default)]
pub struct Plan<'r> {
    /// To be encrypted anew.
    pub due: Vec<Due<'r>>,
    /// Right already.
    pub right: Vec<SecretPath>,
    /// Without a file: there is nothing to encrypt.
    pub missing: Vec<SecretPath>,
    /// Of no use. A plan with one of these is not executed.
    pub failures: Vec<Failure>,
}

/// A secret to be encrypted anew.
#[derive(Debug)]
pub struct Due<'r> {
    /// Its rule.
    pub rule: &'r Rule,
    /// Whom its file is for now.
    pub file: FileRecipients,
    /// Whom it will be for.
    pub readers: Vec<Recipient>,
    /// Why it is due.
    pub why: Why,
}

/// Why a secret is encrypted anew.
#[derive(Debug)]
pub enum Why {
    /// Its file is for others than its rule names.
    Readers(Agreement),
    /// Its rule wants armor and the file is binary, or the reverse.
    Format,
    /// Its rule names keys that are anonymous in the file. Once it is written anew, the file names them.
    Unproven,
    /// It was asked for.
    Forced,
}

impl Why {
    /// In words; readers that the rule does not name are called as those of `known` are.
    #[must_use]
    pub fn described(&self, known: &[Recipient]) -> String {
        match self {
            Self::Readers(agreement) => agreement.described(known),
            Self::Format => "armor is not as the rule says".to_owned(),
            Self::Unproven => "its age keys do not show who they are".to_owned(),
            Self::Forced => "forced".to_owned(),
        }
    }
}

/// Which files need it. `force`: all that are there. Reads headers only, needs no key.
#[must_use]
pub fn plan<'r>(secrets: &Secrets, rules: &[&'r Rule], force: bool) -> Plan<'r> {
    let mut plan = Plan::default();
    let mut seen = BTreeMap::new();
    for Finding { rule, state } in secrets.survey_of(rules) {
        let path = rule.path();
        let file = secrets.folder().file(path);
        match state {
            State::Missing => plan.missing.push(path.clone()),
            // A rule that is wrong, for a file that is not there, harms nobody yet.
            State::Unusable(SecretError::Rule(_)) if file.as_ref().is_ok_and(|file| !file.exists()) => {
                plan.missing.push(path.clone());
            }
            State::Unusable(error) => plan.failures.push(Failure { path: path.clone(), error }),
            State::Found(found) => match file.map(|file| another_s(&mut seen, file, path, &found.readers)) {
                Ok(Some(Ok(()))) => plan.right.push(path.clone()),
                Ok(Some(Err(error))) => {
                    plan.failures.push(Failure { path: path.clone(), error: error.into() });
                }
                _ => match why(&found, force) {
                    Some(why) => plan.due.push(Due { rule, file: found.file, readers: found.readers, why }),
                    None => plan.right.push(path.clone()),
                },
            },
        }
    }
    plan
}

/// Through a symlink two rules may have one file. It is rekeyed for the first of them; as both want it, if they differ,
/// it cannot be.
fn another_s(
    seen: &mut BTreeMap<PathBuf, (SecretPath, Vec<Recipient>)>,
    file: PathBuf,
    path: &SecretPath,
    readers: &[Recipient],
) -> Option<Result<(), RuleError>> {
    match seen.get(&file) {
        None => {
            seen.insert(file, (path.clone(), readers.to_vec()));
            None
        }
        Some((_, others)) if same(others, readers) => Some(Ok(())),
        Some((other, _)) => Some(Err(RuleError::SameFile { rule: path.clone(), other: other.clone() })),
    }
}

fn same(a: &[Recipient], b: &[Recipient]) -> bool {
    a.len() == b.len() && a.iter().all(|recipient| b.contains(recipient))
}

impl Found {
    /// Why its file is to be encrypted anew; `None` where it is as its rule says.
    #[must_use]
    pub fn why_due(&self) -> Option<Why> {
        if !self.agreement.holds() {
            return Some(Why::Readers(self.agreement.clone()));
        }
        if self.format != self.wanted {
            return Some(Why::Format);
        }
        self.agreement.unproven.then_some(Why::Unproven)
    }
}

fn why(found: &Found, force: bool) -> Option<Why> {
    match found.why_due() {
        // What was asked for is not left as it is where no key opens it.
        None | Some(Why::Unproven) if force => Some(Why::Forced),
        why => why,
    }
}

/// Encrypts what is due anew and replaces all of it, or nothing. Passphrases are asked for before others are kept from
/// writing. See [`Secrets::put_in_order`] for what goes before a plan.
///
/// `stop` is asked between two secrets; `on_done` is told how many are encrypted so far. Both from several threads.
///
/// Gives the secrets that were left as they are: due only because nothing is proven of them, and no identity opens
/// them. For all that is known they are right.
///
/// # Errors
/// With all secrets for which it did not work. Every file is as it was.
pub fn rekey(
    secrets: &Secrets,
    plan: Plan<'_>,
    identities: &Identities,
    stop: &(dyn Fn() -> bool + Sync),
    on_done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<SecretPath>, RekeyError> {
    rekey_with(secrets, plan, identities, &Others::default(), stop, on_done)
}

/// What changes together with the secrets.
#[derive(Default)]
pub struct Others<'a> {
    /// Files that are no secrets. At least two, or one and a secret, if there is a last step.
    pub files: &'a [Change],
    /// What is done when all files are in place, such as letting git know of them. If it fails, everything is put back.
    pub last: Option<&'a dyn Fn() -> io::Result<()>>,
}

/// A file that changes together with the secrets, such as the one that their rules are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: SecretPath,
    /// What is there now; `None` where there is no file.
    pub before: Option<Vec<u8>>,
    /// What will be there; `None` where it is to be gone.
    pub after: Option<Vec<u8>>,
}

impl Change {
    fn stage(&self, transaction: &Transaction<'_>) -> Result<(), CommitError> {
        match (&self.after, &self.before) {
            (Some(after), before) => transaction.stage(&self.path, after, before.as_deref()),
            (None, Some(before)) => transaction.stage_removal(&self.path, before),
            (None, None) => Ok(()),
        }
    }
}

/// As [`rekey`], with other files: `secrets` has the rules that are true afterwards. All of it, or nothing.
///
/// # Errors
/// As there.
pub fn rekey_with(
    secrets: &Secrets,
    plan: Plan<'_>,
    identities: &Identities,
    others: &Others<'_>,
    stop: &(dyn Fn() -> bool + Sync),
    on_done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<SecretPath>, RekeyError> {
    if !plan.failures.is_empty() {
        return Err(RekeyError::Failed { failures: plan.failures });
    }
    plan.due.iter().for_each(|due| identities.prepare(&due.file));
    let (lock, _) = secrets.lock()?;
    let transaction = Transaction::new(&lock);
    let (failures, left) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while !stop() {
            let Some(due) = plan.due.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            match one(secrets, due, identities, &transaction) {
                Ok(()) => on_done(done.fetch_add(1, Ordering::Relaxed) + 1),
                Err(error) if due.may_be_left(&error) => push(&left, due.rule.path().clone()),
                Err(error) => push(&failures, Failure { path: due.rule.path().clone(), error }),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..cores().min(plan.due.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failures.is_empty() {
        failures.sort_by(|a, b| a.path.cmp(&b.path));
        return Err(RekeyError::Failed { failures });
    }
    others.files.iter().try_for_each(|change| change.stage(&transaction))?;
    if stop() {
        return Err(RekeyError::Stopped);
    }
    transaction.commit_and(others.last.unwrap_or(&|| Ok(())))?;
    let mut left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
    left.sort();
    Ok(left)
}

fn push<T>(to: &Mutex<Vec<T>>, item: T) {
    to.lock().unwrap_or_else(PoisonError::into_inner).push(item);
}

impl Due<'_> {
    fn may_be_left(&self, error: &SecretError) -> bool {
        let no_key = matches!(
            error,
            SecretError::Decrypt(
                DecryptError::NotARecipient { .. }
                    | DecryptError::NoIdentity { .. }
                    | DecryptError::PassphraseNeeded { .. }
                    | DecryptError::Plugin(PluginError::Missing { .. })
            )
        );
        no_key && matches!(self.why, Why::Unproven)
    }
}

fn one(
    secrets: &Secrets,
    due: &Due<'_>,
    identities: &Identities,
    transaction: &Transaction<'_>,
) -> Result<(), SecretError> {
    let before = secrets.read(due.rule)?.ok_or(SecretError::Missing)?;
    let plaintext = secrets.open(&before, identities)?;
    let after = encrypt(plaintext.expose_secret(), &due.readers, due.rule.format())?;
    Ok(transaction.stage(due.rule.path(), &after, Some(&before))?)
}

/// Why nothing was rekeyed.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// It did not work for some; so it was done for none.
    #[error("{} of the secrets could not be rekeyed, so none was", failures.len())]
    Failed {
        /// Each, with its reason.
        failures: Vec<Failure>,
    },
    /// The caller wanted it to stop.
    #[error("stopped; no secret was changed")]
    Stopped,
    /// Another process is writing.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// All were encrypted, and replacing them did not work.
    #[error("failed to replace the secrets")]
    Commit(#[from] CommitError),
}
