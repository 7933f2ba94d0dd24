//! The fault battery: a deploy into which something breaks, on real machines. The table of docs/faults.md is what these
//! tests saw.

mod activation;
mod agents;
pub(crate) mod battery;
mod deployers;
mod interrupt;
mod kill;
mod link;
mod pods;
mod room;
