//! Lossless edits of fleet.toml: comments, order and formatting stay as their author left them.
//!
//! Keys are set in place. Hosts come and go as whole lines of text, so that not one byte of another line moves.

mod error;
mod hosts;
mod lines;

pub use error::EditError;
pub use hosts::{NewHost, add_host, remove_host};

use toml_edit::{DocumentMut, Item, Table, TomlError, value};

use crate::{HostName, PublicKey};

/// The text with an admin's key set.
///
/// # Errors
/// When the text is not TOML.
pub fn set_admin(text: &str, name: &str, key: &PublicKey) -> Result<String, TomlError> {
    set(text, &["admins"], name, key.as_str())
}

/// The text with an empty `[admins]`.
///
/// # Errors
/// When the text is not TOML.
pub fn clear_admins(text: &str) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    if let Some(admins) = document.get_mut("admins").and_then(Item::as_table_like_mut) {
        admins.clear();
    }
    Ok(document.to_string())
}

/// The text with a host's pinned key set. The host's table must be there.
///
/// # Errors
/// When the text is not TOML.
pub fn set_host_key(text: &str, host: &HostName, key: &PublicKey) -> Result<String, TomlError> {
    set(text, &["hosts", host.as_str()], "ssh_host_key", &key.bare())
}

fn set(text: &str, tables: &[&str], key: &str, new: &str) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let mut table: &mut Item = document.as_item_mut();
    for name in tables {
        table = &mut table[name];
        if table.is_none() {
            *table = Item::Table(Table::new());
        }
    }
    match table[key].as_value_mut() {
        // Only the value: what stands before and behind it (a comment) belongs to its author.
        Some(old) => {
            let decor = old.decor().clone();
            *old = new.into();
            *old.decor_mut() = decor;
        }
        None => table[key] = value(new),
    }
    Ok(document.to_string())
}
