//! agenix as a library: who may read which secret, and the encryption that makes it so.
//!
//! * [`Rules`]: what `secrets.nix` says, read from the JSON that nix prints for [`evaluate_argv`].
//! * [`Secrets`]: rules and their files together; [`Secrets::survey`] looks at all of them, without a key.
//! * [`edit`], [`edit_to`], [`write_new`]: change one secret. [`plan`], [`rekey`]: encrypt many anew, all or none.
//! * [`encrypt`], [`decrypt`]: age, in this process. [`Identities`]: the private keys; a locked one is asked for once,
//!   and only if it can help.
//! * [`recipients_of`], [`agrees`]: who a file is for, read from its header.
//! * [`Lock`], [`Transaction`], [`write_atomic`]: ciphertexts on disk are the old ones or the new ones, never something
//!   between.
//!
//! Why this shape: agenix starts five processes and two nix evaluations a secret; 50 secrets take 3 s and 50
//! passphrase prompts. Here the rules are evaluated once, keys are unlocked once, and the rest is arithmetic on all
//! cores.
//!
//! Without the feature `cli` this crate starts no process (but for age's plugins), asks nobody and prints nothing: who
//! runs nix, and who knows a passphrase ([`Asker`]), an editor ([`Editor`]) or the names of keys ([`Rules::naming`]), is
//! the caller. `examples/rekey.rs` is a whole program.
//!
//! Secrets are [`secrecy`] values: zeroized when dropped, absent from `Debug`. What this crate cannot reach:
//! `age` itself does not zeroize the last chunk it encrypted, nor the text of an identity while it parses it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agreement;
mod decrypt;
mod draft;
mod edit;
mod encrypt;
mod evaluate;
mod folder;
mod header;
mod identity;
mod journal;
mod lock;
mod memory;
#[cfg(feature = "cli")]
pub mod nix;
mod path;
mod plugin;
mod printable;
mod random;
mod readers;
mod recipient;
mod rekey;
mod rules;
mod secrets;
#[cfg(feature = "cli")]
pub mod session;
mod survey;
#[cfg(feature = "cli")]
pub mod terminal;
mod transaction;
mod write;

/// The one secret type of the workspace, in the version that `age` uses.
pub use age::secrecy;

pub use agreement::{Agreement, Extra, agrees};
pub use decrypt::{DecryptError, decrypt};
pub use draft::DraftError;
pub use edit::{EditError, Edited, Editor, Empty, edit, edit_to, write_new};
pub use encrypt::{EncryptError, Format, encrypt};
pub use evaluate::{evaluate_argv, evaluate_one_argv};
pub use folder::{Folder, PlaceError};
pub use header::{FileError, FileRecipients, SshKind, SshTag, recipients_of};
pub use identity::{Asker, Identities, IdentityError, IdentityProblem, IdentitySources, LockedKey};
pub use journal::Recovery;
pub use lock::{Lock, LockError};
pub use memory::forbid_core_dumps;
pub use path::{PathError, SecretPath};
pub use plugin::PluginError;
pub use random::random_hex;
pub use readers::ReaderTag;
pub use recipient::{KeyError, Recipient};
pub use rekey::{Change, Due, Others, Plan, RekeyError, Why, plan, rekey, rekey_with};
pub use rules::{Rule, RuleError, Rules, RulesError};
pub use secrets::{Failure, SecretError, Secrets};
pub use survey::{Finding, Found, State};
pub use transaction::{CommitError, Transaction, was_cut_off};
pub use write::{WriteError, write_atomic};
