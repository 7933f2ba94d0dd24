//! age's plugins, `age-plugin-NAME` on the PATH: hardware keys and newer kinds of key.
//!
//! The process is started by `age`, once a file, as its protocol has it. Left out: caching what a plugin was told,
//! since a wrong PIN that is given again by itself can lock a key for ever.

use std::fmt::Display;

/// What plugins said. age does not let its error's variants be named.
pub(crate) fn said(errors: &[impl Display]) -> String {
    let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
    // A program's words, on their way to a terminal.
    words.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
