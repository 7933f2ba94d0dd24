//! Every process that this project starts, every machine it talks to, and the person at the terminal, is reached through
//! here.
//!
//! A command is a value ([`Cmd`]): program, argv, environment, standard input, a bound on its time. It is built by a
//! pure function, printed by `--dry-run -v`, asserted on by tests, and run by one function that knows how to wait, to
//! stream the tool's messages, to time out and to be interrupted. No shell ever parses a local command; the one that
//! sshd insists on gets an argv quoted by [`quote`].
//!
//! What this crate leaves out: any knowledge of K3s, of secrets' meaning, of what order things happen in.

mod cmd;
pub mod dev;
mod error;
mod group;
mod held;
mod interrupt;
pub mod nix;
pub mod nix_log;
pub mod nixos_rebuild;
mod open;
pub mod question;
mod quote;
mod run;
mod said;
pub mod ssh;
mod sudo;
mod tools;

pub use cmd::{Cmd, Stdin};
pub use error::{Ending, RunError};
pub use held::Held;
pub use interrupt::{Tidy, interrupted, shielded, watch_for_interrupts};
pub use open::open;
pub use quote::{quote, quote_all};
pub use run::{Background, Output};
pub use said::Said;
pub use sudo::Sudo;
pub use tools::{MissingTool, Tool, find, is_root, require};
