//! The picture of the README: a terminal as SVG, from what tmux says of its cells.

use std::path::Path;

pub(super) fn compare(_path: &Path, _lines: &[String]) {}
