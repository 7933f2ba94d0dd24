//! Words for a POSIX shell: the one at the far end of ssh, and the one a person pastes into.

/// One word, quoted so that a POSIX shell reads back exactly `word`.
///
/// Own code, because it is four lines and everything that runs on a host goes through it: single quotes keep every
/// byte, and a single quote itself is spliced in from outside of them.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+@%".contains(c);
    // An assignment or a tilde would mean something in front of the line; nothing we allow above does.
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('=') {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A whole argv as one line.
pub fn quote_all<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    words.into_iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(quote_all(["systemctl", "show", "-p", "Id,ActiveState", "k3s.service"]), {
            "systemctl show -p Id,ActiveState k3s.service"
        });
    }

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        let words = [
            "",
            " ",
            "a b",
            "it's",
            "$HOME",
            "`id`",
            "a\nb",
            "\\",
            "~",
            "*",
            "=x",
            "ünïcode",
            "!",
            "'",
            "\"",
            "-n",
        ];
        for word in words {
            let line = format!("printf %s {}", quote(word));
            let out = crate::Cmd::new("sh").args(["-c", &line]).run().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
