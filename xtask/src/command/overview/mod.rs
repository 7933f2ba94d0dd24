//! `cargo xtask` alone: where one stands, and what comes next.
//!
//! At once, offline and without a key: files are read and git is asked, nothing else. So secrets.nix is not evaluated here, and
//! no host is asked how it is: `check` and `status` are one command away, and are what is suggested where they would tell more.

mod next;
mod screen;
mod stand;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use crate::cli::Global;
use crate::failure::Result;
use crate::repository::Repository;

pub(crate) fn run(global: &Global) -> Result<()> {
    let repository = Repository::find()?;
    let stand = stand::look(&repository)?;
    if global.json {
        say!("{}", screen::json(&stand));
    } else {
        say!("{}", screen::text(&stand, SystemTime::now()).trim_end());
    }
    Ok(())
}
