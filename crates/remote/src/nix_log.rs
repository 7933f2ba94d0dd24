//! What nix says in its own format, `--log-format internal-json`: lines for a person, and how much is done of how much.
//!
//! Pure, and fed line by line: each `@nix {…}` becomes the lines that nix would have printed without the flag, and changes
//! the [`Amounts`]. The format has no documentation and grows with nix; so a number that is missing counts as nothing, and
//! a line that cannot be read is passed on as it is: other programs write to the same pipe.
//!
//! Amounts only grow, also over several nix in one pipe, as nixos-rebuild starts them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// In front of each line of the format.
const MARK: &str = "@nix ";
/// nix' own default: messages above it are for whoever debugs nix.
const INFO: u64 = 3;

/// An archive of a path is padded to words, and a newer nix does not tell of the last one's padding.
const WORD: u64 = 8;

// The numbers by which nix names kinds of activities and of their results.
const COPY_PATH: u64 = 100;
const COPY_PATHS: u64 = 103;
const BUILDS: u64 = 104;
const BUILD_LOG_LINE: u64 = 101;
const PROGRESS: u64 = 105;
const SET_EXPECTED: u64 = 106;
const POST_BUILD_LOG_LINE: u64 = 107;

/// How much of how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Done so far.
    pub done: u64,
    /// As many as are known of by now; more may come.
    pub expected: u64,
}

/// What a nix has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Derivations that were built.
    pub builds: Amount,
    /// Store paths that were copied.
    pub paths: Amount,
    /// Bytes of store paths that were copied, unpacked.
    pub bytes: Amount,
}

/// A reader of one pipe.
#[derive(Debug, Default)]
pub struct NixLog {
    running: HashMap<u64, Activity>,
    ended: Amounts,
    /// Bytes that were announced by activities that have ended.
    announced: u64,
    /// Of the paths that are going to be copied, in bytes. An old nix does not tell of bytes itself.
    sizes: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct Activity {
    kind: u64,
    amount: Amount,
    /// It tells how far it is; else its parts are counted.
    tells: bool,
    /// Bytes that it expects its parts to copy.
    announces: u64,
    /// The store path, or the derivation's name.
    name: String,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Line {
    Msg {
        level: u64,
        msg: String,
    },
    Start {
        id: u64,
        #[serde(default)]
        level: u64,
        #[serde(default)]
        text: String,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        fields: Vec<Value>,
    },
    Result {
        id: u64,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        fields: Vec<Value>,
    },
    Stop {
        id: u64,
    },
    #[serde(other)]
    Other,
}

impl NixLog {
    /// A reader that knows how large paths are.
    pub fn with_sizes(sizes: HashMap<String, u64>) -> Self {
        Self { sizes, ..Self::default() }
    }

    /// What a person is shown of this line: nothing, or one line or several.
    pub fn read(&mut self, line: &str) -> Vec<String> {
        let Some(json) = line.strip_prefix(MARK) else { return vec![line.to_owned()] };
        match serde_json::from_str(json) {
            Err(_) => vec![line.to_owned()],
            Ok(Line::Msg { level, msg }) if level <= INFO => plain(&msg).lines().map(str::to_owned).collect(),
            Ok(Line::Start { id, level, text, kind, fields }) => {
                self.start(id, kind, &text, &fields);
                let shown = level <= INFO && !text.is_empty();
                shown.then(|| format!("{}...", plain(&text))).into_iter().collect()
            }
            Ok(Line::Result { id, kind, fields }) => self.result(id, kind, &fields).into_iter().collect(),
            Ok(Line::Stop { id }) => {
                self.stop(id);
                Vec::new()
            }
            Ok(Line::Msg { .. } | Line::Other) => Vec::new(),
        }
    }

    /// Where it stands.
    pub fn amounts(&self) -> Amounts {
        let of = |kind: u64, ended: Amount| {
            self.running.values().filter(|it| it.kind == kind).fold(ended, |sum, it| sum.plus(it.amount))
        };
        let announced =
            self.running.values().fold(self.announced, |sum, it| sum.saturating_add(it.announces));
        let bytes = of(COPY_PATH, self.ended.bytes);
        Amounts {
            builds: of(BUILDS, self.ended.builds),
            paths: of(COPY_PATHS, self.ended.paths),
            bytes: Amount { expected: bytes.expected.max(announced), ..bytes },
        }
    }

    fn start(&mut self, id: u64, kind: u64, text: &str, fields: &[Value]) {
        self.stop(id);
        let name = fields.first().and_then(Value::as_str).unwrap_or_default();
        let size = self.sizes.get(name).copied().unwrap_or_default();
        let activity = match kind {
            COPY_PATH => Activity { amount: Amount { done: 0, expected: size }, ..Activity::default() },
            COPY_PATHS => Activity {
                amount: Amount { done: 0, expected: paths_of(text) },
                announces: if paths_of(text) > 0 { self.sizes.values().sum() } else { 0 },
                ..Activity::default()
            },
            _ => Activity::default(),
        };
        self.running.insert(id, Activity { kind, name: name.to_owned(), ..activity });
    }

    /// The line that it is for a person, if it is one.
    fn result(&mut self, id: u64, kind: u64, fields: &[Value]) -> Option<String> {
        let activity = self.running.get_mut(&id)?;
        let number = |at: usize| fields.get(at).and_then(Value::as_u64).unwrap_or_default();
        match kind {
            PROGRESS => {
                // What failed is expected no more by nix, and by whoever reads "3 of 3".
                let expected = number(1).saturating_add(number(3));
                // Before it builds something nix expects to find it in a cache, and a moment later does not.
                let guesses = activity.kind == COPY_PATHS && number(0) == 0 && number(2) == 0;
                let expected = if guesses { activity.amount.expected } else { expected };
                activity.tells |= !guesses;
                activity.amount = Amount { done: number(0), expected };
            }
            SET_EXPECTED if number(0) == COPY_PATH => activity.announces = number(1),
            BUILD_LOG_LINE | POST_BUILD_LOG_LINE => {
                let text = plain(fields.first().and_then(Value::as_str)?);
                return Some(format!("{}> {text}", derivation_name(&activity.name)));
            }
            _ => {}
        }
        None
    }

    fn stop(&mut self, id: u64) {
        let Some(activity) = self.running.remove(&id) else { return };
        let mut amount = activity.amount;
        match activity.kind {
            COPY_PATH => {
                if !activity.tells {
                    // It says that it is over and nothing else.
                    amount.done = amount.expected;
                } else if amount.expected.saturating_sub(amount.done) < WORD {
                    amount.done = amount.expected.max(amount.done);
                }
                let counting =
                    |it: &&mut Activity| it.kind == COPY_PATHS && !it.tells && it.amount.expected > 0;
                if let Some(whole) = self.running.values_mut().find(counting) {
                    whole.amount.done = whole.amount.expected.min(whole.amount.done + 1);
                }
                self.ended.bytes = self.ended.bytes.plus(amount);
            }
            COPY_PATHS => self.ended.paths = self.ended.paths.plus(amount),
            BUILDS => self.ended.builds = self.ended.builds.plus(amount),
            _ => {}
        }
        self.announced = self.announced.saturating_add(activity.announces);
    }
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            done: self.done.saturating_add(other.done),
            expected: self.expected.saturating_add(other.expected.max(other.done)),
        }
    }
}

/// `copying 12 paths`: what an old nix says in place of a number.
fn paths_of(text: &str) -> u64 {
    let mut words = text.split(' ');
    match (words.next(), words.next().map(str::parse), words.next()) {
        (Some("copying"), Some(Ok(number)), Some("paths" | "path")) => number,
        _ => 0,
    }
}

/// `/nix/store/…-linux-6.12.drv` as nix calls it in front of its lines: `linux-6.12`.
fn derivation_name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".drv");
    file.split_once('-').map_or(file, |(_, name)| name)
}

/// Without colours, and whatever else a terminal would act on. As nix itself does where it writes to no terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '\x1b' => match rest.next() {
                Some('[') => drop(rest.find(|end| ('\x40'..='\x7e').contains(end))),
                Some(']') => drop(rest.find(|end| *end == '\x07')),
                _ => {}
            },
            '\t' => plain.push_str("  "),
            '\n' => plain.push('\n'),
            char if char.is_control() => {}
            char => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
