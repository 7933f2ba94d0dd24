//! A plan as data, and its executor.
//!
//! A [`Plan`] is stages in order; a stage is tracks side by side (one a host); a track is steps in order. What a step
//! *does* is a value of the caller's own type `A`, so this crate knows nothing of hosts or K3s, and `--dry-run` prints
//! the very value that [`execute`] consumes. Workers send [`Event`]s; one thread, the caller's, draws them.
//!
//! The one rule of order: a stage begins only when every step of the stages before it is done or was skipped. A track
//! that fails does not stop its neighbours half-way; it stops what comes after, tracks of its own stage included that
//! wait for a free thread, unless the stage is harmless. Where a plan allows that some subjects fail, the run goes on
//! without them: none of their later steps is begun.

mod event;
mod execute;
mod plan;

pub use event::{Amount, Amounts, Event, Outcome, StepId};
pub use execute::{Failure, Progress, Report, StepReport, execute};
pub use plan::{Allowance, Plan, Stage, Step, Track};
