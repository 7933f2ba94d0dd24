//! x
use crate::cli::Global;
use crate::failure::Result;
pub(crate) fn run(_g: &Global) -> Result<()> {
    Ok(())
}
