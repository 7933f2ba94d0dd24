//! In what the stand-in differs from what was recorded, and why it may.

use super::recording::Difference;

pub(super) const ALL: &[Difference] = &[];
