//! A tree as YAML text, into a buffer of the caller's.
//!
//! Own code for two reasons. kubectl reads YAML 1.1, in which a bare `yes` or `012` is no string, and the library's writer
//! leaves `yes` bare: so every string that could be taken for something else is quoted here. And nothing but the caller's
//! buffer ever holds the text, which has a private key in it.

use serde_norway::{Mapping, Value};

/// Words that YAML 1.1 knows, in any case.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// The document, in block style, as kubectl writes its own.
pub(crate) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => write_mapping(mapping, 0, out),
        Value::Sequence(list) if !list.is_empty() => write_list(list, 0, out),
        value => {
            write_scalar(value, out);
            out.push(b'\n');
        }
    }
}

/// The cursor stands where the first key goes.
fn write_mapping(mapping: &Mapping, indent: usize, out: &mut Vec<u8>) {
    for (index, (key, value)) in mapping.iter().enumerate() {
        if index > 0 {
            write_indent(indent, out);
        }
        write_scalar(key, out);
        out.push(b':');
        write_child(value, indent + 2, indent, out);
    }
}

/// The cursor stands where the first dash goes.
fn write_list(list: &[Value], indent: usize, out: &mut Vec<u8>) {
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            write_indent(indent, out);
        }
        out.push(b'-');
        if let Value::Mapping(mapping) = item
            && !mapping.is_empty()
        {
            out.push(b' ');
            write_mapping(mapping, indent + 2, out);
        } else {
            write_child(item, indent + 2, indent + 2, out);
        }
    }
}

/// What stands behind a key or a dash; lists and mappings each have an indentation of theirs.
fn write_child(value: &Value, mapping_at: usize, list_at: usize, out: &mut Vec<u8>) {
    match value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            out.push(b'\n');
            write_indent(mapping_at, out);
            write_mapping(mapping, mapping_at, out);
        }
        Value::Sequence(list) if !list.is_empty() => {
            out.push(b'\n');
            write_indent(list_at, out);
            write_list(list, list_at, out);
        }
        Value::Tagged(tagged) => {
            out.extend_from_slice(format!(" {}", tagged.tag).as_bytes());
            write_child(&tagged.value, mapping_at, list_at, out);
        }
        value => {
            out.push(b' ');
            write_scalar(value, out);
            out.push(b'\n');
        }
    }
}

fn write_indent(indent: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + indent, b' ');
}

/// In a line. A list or a mapping comes here empty, or as a key, where JSON is good YAML.
fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) if is_plain(text) => out.extend_from_slice(text.as_bytes()),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        // A buffer takes everything, and a tree of plain values is JSON.
        value => serde_json::to_writer(out, value).expect("a scalar is JSON"),
    }
}

/// Beginning with a letter it is no number and no date; without blanks there is no ` #` and no `: ` in it.
fn is_plain(text: &str) -> bool {
    let usual = |c: char| c.is_ascii_alphanumeric() || "_./:@+=%-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(usual)
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(yaml: &str) -> String {
        let value: Value = serde_norway::from_str(yaml).unwrap();
        let mut out = Vec::new();
        write(&value, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(serde_norway::from_str::<Value>(&text).unwrap(), value, "{text}");
        text
    }

    #[test]
    fn what_kubectl_writes_stays_as_it_is() {
        let yaml = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: LS0tQUJD==\n    server: \
                    https://100.64.0.6:6443\n  name: mercury\ncurrent-context: \"\"\npreferences: {}\nusers: []\nx: null\n";
        assert_eq!(again(yaml), yaml);
    }

    #[test]
    fn a_string_stays_one_in_every_yaml() {
        for text in [
            "yes",
            "No",
            "on",
            "null",
            "true",
            "012",
            "1e3",
            "1:30",
            "2026-01-02",
            "-",
            "~",
            "a: b",
            "a #b",
            "a:",
            "",
        ] {
            assert_eq!(
                again(&format!("k: {}", serde_json::to_string(text).unwrap())),
                format!("k: {text:?}\n")
            );
        }
        assert_eq!(again("k: |\n  two\n  lines\n"), "k: \"two\\nlines\\n\"\n");
        assert_eq!(again("yes: 1\n"), "\"yes\": 1\n");
    }

    #[test]
    fn every_shape_is_read_as_it_was() {
        again("- - a\n  - {b: [c, {d: e}]}\n- []\n- {}\n- -1\n- 1.5\n- .inf\n- true\n");
        again("a:\n- b:\n    c: [x, [y, z]]\n  d: {}\n1: one\nt: !tag {a: b}\nu: !tag [a]\nv: !tag s\n");
        for scalar in ["~", "text", "7", "[]", "{}"] {
            again(scalar);
        }
    }
}
