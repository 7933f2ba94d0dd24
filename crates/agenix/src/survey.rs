//! All secrets at a glance, without a key: is each there, is it for whom its rule says, as its rule says?
//!
//! Only the start of each file is read, and all cores read: a thousand secrets take some milliseconds.

use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZero;
use std::path::Path;
use std::thread;

use crate::agreement::{Agreement, agrees};
use crate::encrypt::Format;
use crate::header::{FileRecipients, format_of, recipients_of};
use crate::recipient::Recipient;
use crate::rules::{KeyCache, Rule};
use crate::secrets::{SecretError, Secrets};

/// Room for a header of some 80 readers. A longer one is read with the whole file.
const START_BYTES: u64 = 16 * 1024;

/// One secret.
#[derive(Debug)]
pub struct Finding<'r> {
    /// Its rule.
    pub rule: &'r Rule,
    /// What its file is.
    pub state: State,
}

/// What a secret's file is.
#[derive(Debug)]
pub enum State {
    /// There is no file yet.
    Missing,
    /// Rule or file are of no use.
    Unusable(SecretError),
    /// An age file.
    Found(Found),
}

/// An age file and what its rule says of it.
#[derive(Debug)]
pub struct Found {
    /// Bytes on disk.
    pub size: u64,
    /// How it is written.
    pub format: Format,
    /// Who it is for.
    pub file: FileRecipients,
    /// Who the rule names.
    pub readers: Vec<Recipient>,
    /// How the rule wants it to be written.
    pub wanted: Format,
    /// The difference between the readers.
    pub agreement: Agreement,
}

impl Secrets {
    /// Looks at all secrets, in the order of their paths.
    #[must_use]
    pub fn survey(&self) -> Vec<Finding<'_>> {
        let rules: Vec<&Rule> = self.rules().iter().collect();
        self.survey_of(&rules)
    }

    /// Looks at some secrets, in the order given.
    #[must_use]
    pub fn survey_of<'r>(&self, rules: &[&'r Rule]) -> Vec<Finding<'r>> {
        let share = rules.len().div_ceil(cores()).max(1);
        let look = |rules: &[&'r Rule]| {
            let mut keys = KeyCache::default();
            rules.iter().map(|rule| Finding { rule, state: self.look(rule, &mut keys) }).collect::<Vec<_>>()
        };
        if rules.len() <= share {
            return look(rules);
        }
        thread::scope(|scope| {
            let look = &look;
            let workers: Vec<_> = rules.chunks(share).map(|share| scope.spawn(move || look(share))).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("a survey does not panic")).collect()
        })
    }

    fn look(&self, rule: &Rule, keys: &mut KeyCache) -> State {
        match self.examine(rule, keys) {
            Ok(found) => State::Found(found),
            Err(SecretError::Missing) => State::Missing,
            Err(error) => State::Unusable(error),
        }
    }

    fn examine(&self, rule: &Rule, keys: &mut KeyCache) -> Result<Found, SecretError> {
        let readers = rule.recipients_with(keys)?;
        let (file, format, size) = header_of(&self.folder().file(rule.path())?)?;
        let agreement = agrees(&file, &readers);
        Ok(Found { size, format, file, readers, wanted: rule.format(), agreement })
    }
}

fn header_of(path: &Path) -> Result<(FileRecipients, Format, u64), SecretError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SecretError::Missing,
        _ => SecretError::Unreadable { source },
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(START_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    let mut header = recipients_of(&bytes);
    if header.is_err() && size > START_BYTES {
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        header = recipients_of(&bytes);
    }
    Ok((header?, format_of(&bytes).unwrap_or_default(), size))
}

/// How many threads are worth starting.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
