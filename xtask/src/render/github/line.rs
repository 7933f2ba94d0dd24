//! Lines of the log: commands to the runner, which are ours alone, and all others, which must not be taken for one.
//!
//! The runner takes a line for a command if it begins with `::name …::`, after any space, and also if `##[name …]` stands
//! anywhere in it. It ends a line at a carriage return, too; and it compares as its locale does, which passes over
//! characters that have no width. So that is how lines are looked at here.

use super::place::Place;

/// How bad an annotation is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Level {
    Error,
    Warning,
}

/// An annotation, in its place if one is known.
pub(super) fn annotation(level: Level, title: &str, place: Option<&Place>, message: &str) -> String {
    let name = match level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let line = place.and_then(|place| place.line).map(|line| line.to_string());
    let file = place.map(|place| ("file", place.file.as_str()));
    let line = line.as_deref().map(|line| ("line", line));
    let properties: Vec<(&str, &str)> = file.into_iter().chain(line).chain([("title", title)]).collect();
    command(name, &properties, &console::strip_ansi_codes(message))
}

/// `::name key=value,key=value::message`, escaped as the runner reads it.
pub(super) fn command(name: &str, properties: &[(&str, &str)], message: &str) -> String {
    let properties: Vec<String> =
        properties.iter().map(|(key, value)| format!("{key}={}", escaped_property(value))).collect();
    let space = if properties.is_empty() { "" } else { " " };
    format!("::{name}{space}{}::{}", properties.join(","), escaped(message))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

/// The same line, as no command, without colours.
pub(super) fn harmless(line: &str) -> String {
    let line = console::strip_ansi_codes(line).replace(['\r', '\n'], " ");
    let mut seen = line.chars().filter(char::is_ascii_graphic);
    let is_command = seen.next() == Some(':') && seen.next() == Some(':');
    let mut text = String::with_capacity(line.len() + 1);
    text.extend(is_command.then_some('\\'));
    let mut last = [' '; 2];
    for c in line.chars() {
        text.extend((c == '[' && last == ['#', '#']).then_some('\\'));
        text.push(c);
        if c.is_ascii() && !c.is_ascii_control() {
            last = [last[1], c];
        }
    }
    text
}

/// The same of several lines, of which some may be JSON: those mean what they meant.
pub(super) fn harmless_output(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('{') {
        Some(_) => line.replace("##[", "#\\u0023["),
        None => harmless(line),
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}
