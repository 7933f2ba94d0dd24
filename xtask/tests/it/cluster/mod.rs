//! A whole cluster's life: several servers, other tokens, other versions, what the runbook says. These take longest, and tests
//! are run in the order of their names: here they are begun before most others, and nobody waits for them at the end.

mod rotation;
mod runbook;
mod servers;
mod upgrade;
