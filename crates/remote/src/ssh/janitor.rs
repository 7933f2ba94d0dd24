//! Whoever clears up when we do not come to it: masters outlive the process that started them, by half an hour.

use std::io::{self, PipeWriter};
use std::path::Path;

use crate::Cmd;
use crate::run::Background;

/// It reads nothing ever, only that we are gone.
const SCRIPT: &str = "read -r _
for socket in \"$1\"/*/*; do
  if [ -S \"$socket\" ]; then ssh -q -o ControlPath=\"$socket\" -O exit -- nobody; fi
done
rm -rf -- \"$1\"";

/// Closes the masters and removes their folder once this process is gone, by whatever death.
pub(super) struct Janitor {
    // First: one that is ended has nothing to do any more.
    _process: Background,
    _alive: PipeWriter,
}

impl Janitor {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let (stdin, alive) = io::pipe()?;
        let (_, stdout) = io::pipe()?;
        let script = Cmd::new("/bin/sh").args(["-c", SCRIPT, "sh"]).arg(folder);
        let process = script.start_between(stdin, stdout).map_err(io::Error::other)?;
        Ok(Self { _process: process, _alive: alive })
    }
}
