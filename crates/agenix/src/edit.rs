//! Changing a secret: decrypt, let somebody change it, encrypt. Whatever goes wrong, the file is as it was, and what
//! was typed is offered again.

use std::path::Path;

use crate::draft::{Draft, DraftError};
use crate::identity::Identities;
use crate::journal::Recovery;
use crate::rules::Rule;
use crate::secrecy::{ExposeSecret as _, SecretSlice};
use crate::secrets::{SecretError, Secrets};
use crate::transaction::CommitError;

/// A person with an editor.
pub trait Editor {
    /// Lets the file be changed; returns when the editor is closed.
    ///
    /// # Errors
    /// When the editor says that it failed: nothing is changed then.
    fn edit(&self, file: &Path) -> Result<(), String>;

    /// What was typed cannot be kept, for this reason. Shall the editor be opened again, with all of it?
    fn again(&self, why: &EditError) -> bool;

    /// A run before was cut off, and this was done about it.
    fn recovered(&self, recovery: &Recovery);
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// The file is new.
    Written,
    /// The content is the same, so the file is too.
    Unchanged,
    /// The editor left no file, and there was none before.
    NotCreated,
}

/// Is a secret without content meant?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// More likely a pipe that broke.
    Refused,
    /// It is.
    Allowed,
}

/// Edits a secret, or makes it if it is not there. Without identities the editor starts from nothing, whatever was
/// there.
///
/// A file that is saved empty is meant: unlike a pipe, an editor does not break without saying so.
///
/// # Errors
/// The file is as it was.
pub fn edit(
    secrets: &Secrets,
    rule: &Rule,
    identities: Option<&Identities>,
    editor: &dyn Editor,
) -> Result<Edited, EditError> {
    // Before anybody types: a rule that cannot be used would have it typed for nothing.
    rule.recipients().map_err(SecretError::from)?;
    put_in_order(secrets, &|recovery| editor.recovered(recovery))?;
    let mut before = secrets.read(rule)?;
    let content = match (&before, identities) {
        (Some(before), Some(identities)) => Some(secrets.open(before, identities)?),
        _ => None,
    };
    let name = rule.path().as_str().rsplit('/').next().unwrap_or("secret");
    let draft = Draft::new(name, content.as_ref().map(SecretSlice::expose_secret))?;
    let result = loop {
        if let Err(said) = editor.edit(draft.path()) {
            break Err(EditError::Editor { said });
        }
        let Some(new) = draft.read()? else { break Ok(Edited::NotCreated) };
        if content.as_ref().is_some_and(|content| content.expose_secret() == new.expose_secret()) {
            break Ok(Edited::Unchanged);
        }
        match write(secrets, rule, &new, before.as_deref(), Empty::Allowed, &|recovery| {
            editor.recovered(recovery);
        }) {
            Err(error) if editor.again(&error) => {
                // Told of the other's change, the user goes on: then his is the one that counts.
                if matches!(error, EditError::Secret(SecretError::Commit(CommitError::Changed { .. }))) {
                    before = secrets.read(rule)?;
                }
            }
            done => break done.map(|()| Edited::Written),
        }
    };
    draft.close()?;
    result
}

/// Replaces a secret by `content`, unless it is that already: what `edit` does with a pipe.
///
/// # Errors
/// The file is as it was.
pub fn edit_to(
    secrets: &Secrets,
    rule: &Rule,
    identities: &Identities,
    content: &SecretSlice<u8>,
    empty: Empty,
    on_recovery: &dyn Fn(&Recovery),
) -> Result<Edited, EditError> {
    put_in_order(secrets, on_recovery)?;
    let before = secrets.read(rule)?;
    if let Some(before) = &before {
        let old = secrets.open(before, identities)?;
        if old.expose_secret() == content.expose_secret() {
            return Ok(Edited::Unchanged);
        }
    }
    write(secrets, rule, content, before.as_deref(), empty, on_recovery)?;
    Ok(Edited::Written)
}

/// Writes a secret anew, whatever was there: takes no identity.
///
/// # Errors
/// The file is as it was.
pub fn write_new(
    secrets: &Secrets,
    rule: &Rule,
    content: &SecretSlice<u8>,
    empty: Empty,
    on_recovery: &dyn Fn(&Recovery),
) -> Result<(), EditError> {
    put_in_order(secrets, on_recovery)?;
    let before = secrets.read(rule)?;
    write(secrets, rule, content, before.as_deref(), empty, on_recovery)
}

/// Before anything is read: what a run that was cut off left half-way is no content to start from.
fn put_in_order(secrets: &Secrets, on_recovery: &dyn Fn(&Recovery)) -> Result<(), EditError> {
    if let Some(recovery) = secrets.put_in_order().map_err(SecretError::from)? {
        on_recovery(&recovery);
    }
    Ok(())
}

fn write(
    secrets: &Secrets,
    rule: &Rule,
    content: &SecretSlice<u8>,
    before: Option<&[u8]>,
    empty: Empty,
    on_recovery: &dyn Fn(&Recovery),
) -> Result<(), EditError> {
    if content.expose_secret().is_empty() && empty == Empty::Refused {
        return Err(EditError::Empty);
    }
    let ciphertext = secrets.seal(rule, content.expose_secret())?;
    let (lock, recovery) = secrets.lock().map_err(SecretError::from)?;
    if let Some(recovery) = recovery {
        on_recovery(&recovery);
    }
    Ok(secrets.replace(&lock, rule, &ciphertext, before)?)
}

/// Why a secret was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Something about the secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No content.
    #[error("the new content is empty")]
    Empty,
    /// The editor failed.
    #[error("the editor failed, so nothing is changed: {said}")]
    Editor {
        /// How.
        said: String,
    },
    /// No file for the editor, or it could not be removed.
    #[error(transparent)]
    Draft(#[from] DraftError),
}

impl EditError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.hint(),
            Self::Empty => Some("if an empty secret is meant: --allow-empty".to_owned()),
            Self::Editor { .. } => None,
            Self::Draft(error) => Some(error.hint()),
        }
    }
}
