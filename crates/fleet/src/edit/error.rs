//! Why a host was neither added nor removed.

use crate::FleetError;

/// Why fleet.toml was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It was no fleet before the edit, or has no such host.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// There is a host of this name.
    #[error("there is a host `{name}` in hosts/fleet.toml already")]
    Exists {
        /// Its name.
        name: String,
    },
    /// The file would be no fleet any more: an address that is taken, a server that the others join.
    #[error("failed to edit hosts/fleet.toml: {}", without_line(source))]
    Impossible {
        /// What would be wrong with it. Its line is one of the text that was not written.
        source: FleetError,
    },
    /// The hosts are written in a way that this edit does not know; nothing was changed.
    #[error("failed to edit hosts/fleet.toml: {what}")]
    Form {
        /// What was not recognised.
        what: String,
        /// What to do by hand. Several lines, TOML among them.
        by_hand: String,
    },
}

impl EditError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fleet(error) | Self::Impossible { source: error } => error.hint(),
            Self::Exists { .. } => Some("choose another name, or remove that host first".to_owned()),
            Self::Form { by_hand, .. } => Some(by_hand.clone()),
        }
    }
}

/// A line of a text that nobody can look at would mislead.
fn without_line(error: &FleetError) -> String {
    match error {
        FleetError::Shape { message, .. } => message.clone(),
        FleetError::Value { place, message, .. } => format!("{place}: {message}"),
        FleetError::UnknownHost { .. } => error.to_string(),
    }
}
