//! age's plugins, `age-plugin-NAME` on the PATH: hardware keys and newer kinds of key.
//!
//! The process is started by `age`, once a file, as its protocol has it. Left out: caching what a plugin was told,
//! since a wrong PIN that is given again by itself can lock a key for ever.

use std::fmt::Display;

use crate::printable::printable;

/// Why a plugin did not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// It is not installed.
    #[error("age-plugin-{plugin} is not on the PATH")]
    Missing {
        /// Its name, without `age-plugin-`.
        plugin: String,
    },
    /// It gave up.
    #[error("a plugin failed: {said}")]
    Failed {
        /// In its own words.
        said: String,
    },
}

impl PluginError {
    /// What plugins said. age does not let its error's variants be named.
    pub(crate) fn said(errors: &[impl Display]) -> Self {
        let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Self::Failed { said: printable(&words.join("; ")) }
    }
}
