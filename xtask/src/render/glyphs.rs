//! The signs that things are drawn with: Unicode's, or ASCII's where the locale knows no others.

/// One set of signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glyphs {
    pub(super) done: &'static str,
    pub(super) skipped: &'static str,
    pub(super) failed: &'static str,
    pub(super) spinner: [&'static str; 10],
    pub(super) full: &'static str,
    pub(super) empty: &'static str,
    pub(super) more: &'static str,
    pub(super) dot: &'static str,
    pub(super) output: &'static str,
    /// A branch, the last one, what leads past a branch.
    pub(super) branch: &'static str,
    pub(super) last: &'static str,
    pub(super) past: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    done: "✓",
    skipped: "–",
    failed: "✗",
    spinner: ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
    full: "━",
    empty: "─",
    more: "…",
    dot: "·",
    output: "│",
    branch: "├─ ",
    last: "└─ ",
    past: "│  ",
};

const ASCII: Glyphs = Glyphs {
    done: "+",
    skipped: "-",
    failed: "x",
    spinner: ["|", "/", "-", "\\", "|", "/", "-", "\\", "|", "/"],
    full: "#",
    empty: ".",
    more: "...",
    dot: "-",
    output: "|",
    branch: "|- ",
    last: "`- ",
    past: "|  ",
};

impl Glyphs {
    /// Those that this process's locale can show.
    pub(crate) fn of_locale() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// By the variables that decide it, the strongest first.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
        let locale = locale.to_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") { UNICODE } else { ASCII }
    }
}

#[cfg(test)]
impl Glyphs {
    pub(super) const UNICODE: Self = UNICODE;
    pub(super) const ASCII: Self = ASCII;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_variable_that_is_set_decides() {
        let of = |set: &[(&str, &str)]| {
            Glyphs::of(|name| set.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[]), ASCII);
        assert_eq!(of(&[("LANG", "en_US.UTF-8")]), UNICODE);
        assert_eq!(of(&[("LANG", "C.utf8")]), UNICODE);
        assert_eq!(of(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]), ASCII);
        assert_eq!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C")]), UNICODE);
    }
}
