//! Words of others on their way to a terminal, where a control character would be a command.

/// The same text, with a blank for each control character.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}
