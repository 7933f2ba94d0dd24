//! The command line as the original reads it: one word after the other, the last of a kind wins.
//!
//! By hand, since no parser's idea of a command line is the original's, and scripts rely on that one.

use std::ffi::OsString;
use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Help,
    Version,
    Edit {
        file: PathBuf,
    },
    Decrypt {
        file: PathBuf,
    },
    /// Without files: all.
    Rekey {
        files: Vec<PathBuf>,
    },
}

/// The command line, resolved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) request: Request,
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) rules: Option<PathBuf>,
    pub(crate) verbose: bool,
    pub(crate) force: bool,
    pub(crate) allow_empty: bool,
}

/// What is printed instead of doing anything.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Refusal {
    fn help(reason: &str) -> Self {
        let stderr = if reason.is_empty() { String::new() } else { format!("agenix: {reason}\n") };
        Self { stdout: help(), stderr }
    }

    fn line(stdout: &str) -> Self {
        Self { stdout: format!("{stdout}\n"), stderr: String::new() }
    }
}

#[derive(Default)]
struct Seen {
    /// Of `-e` and `-d`; the last one counts.
    file: Option<PathBuf>,
    decrypt: bool,
    rekey: bool,
    files: Vec<PathBuf>,
    identities: Vec<PathBuf>,
    rules: Option<PathBuf>,
    verbose: bool,
    force: bool,
    allow_empty: bool,
}

/// Reads the words after the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, Refusal> {
    let mut words = words.into_iter().peekable();
    if words.peek().is_none() {
        return Err(Refusal::help(""));
    }
    let mut seen = Seen::default();
    while let Some(word) = words.next() {
        let mut value = |missing: &str| words.next().map(PathBuf::from).ok_or_else(|| Refusal::line(missing));
        match word.to_str() {
            Some("-h" | "--help") => return Ok(seen.with(Request::Help)),
            Some("--version") => return Ok(seen.with(Request::Version)),
            Some("-e" | "--edit") => seen.file = Some(value("no FILE specified")?),
            Some("-d" | "--decrypt") => {
                seen.decrypt = true;
                seen.file = Some(value("no FILE specified")?);
            }
            Some("-i" | "--identity") => seen.identities.push(value("no PRIVATE_KEY specified")?),
            Some("--rules") => seen.rules = Some(value("no RULES specified")?),
            Some("-r" | "--rekey") => seen.rekey = true,
            Some("-v" | "--verbose") => seen.verbose = true,
            Some("--force") => seen.force = true,
            Some("--allow-empty") => seen.allow_empty = true,
            Some("--") => seen.files.extend(words.by_ref().map(PathBuf::from)),
            Some(option) if option.starts_with('-') => {
                return Err(Refusal::help(&format!("unknown option {option}")));
            }
            _ => seen.files.push(PathBuf::from(word)),
        }
    }
    seen.resolve()
}

impl Seen {
    fn resolve(mut self) -> Result<Arguments, Refusal> {
        let files = std::mem::take(&mut self.files);
        if self.rekey {
            return Ok(self.with(Request::Rekey { files }));
        }
        if let Some(word) = files.first() {
            return Err(Refusal::help(&format!("{} stands alone: -e, -d or -r?", word.display())));
        }
        match self.file.take() {
            Some(file) if self.decrypt => Ok(self.with(Request::Decrypt { file })),
            Some(file) => Ok(self.with(Request::Edit { file })),
            None => Err(Refusal::help("no FILE specified")),
        }
    }

    fn with(self, request: Request) -> Arguments {
        let Self { identities, rules, verbose, force, allow_empty, .. } = self;
        Arguments { request, identities, rules, verbose, force, allow_empty }
    }
}

pub(crate) fn help() -> String {
    format!(
        "\
agenix - edit and rekey age secret files
 \nagenix -e FILE [-i PRIVATE_KEY]
agenix -r [-i PRIVATE_KEY]
agenix -r FILE... [-i PRIVATE_KEY]
 \noptions:
-h, --help                show help
-e, --edit FILE           edits FILE using $EDITOR
-r, --rekey               re-encrypts all secrets with specified recipients
-d, --decrypt FILE        decrypts FILE to STDOUT
-i, --identity            identity to use when decrypting
-v, --verbose             verbose output
--rules RULES             path to the rules; wins over the variable RULES
--force                   with -r: also secrets that are right already
--allow-empty             with -e: an empty content is meant
--version                 show the version
 \nFILE an age-encrypted file
 \nPRIVATE_KEY a path to a private SSH key used to decrypt file
 \nEDITOR environment variable of editor to use when editing FILE
 \nIf STDIN is not interactive, EDITOR will be set to \"cp /dev/stdin\"
 \nRULES environment variable with path to Nix file specifying recipient public keys.
Defaults to './secrets.nix'
or, where there is none, to the one beside FILE or in a folder above
 \n-r replaces all files that need it or none, and leaves alone what is right.
A PRIVATE_KEY may also be an age identity file, with a passphrase or for a plugin.
 \nagenix version: {}
",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, Refusal> {
        parse(line.split_whitespace().map(OsString::from)).map(|arguments| arguments.request)
    }

    #[test]
    fn the_original_s_order_of_precedence() {
        let file = |name: &str| PathBuf::from(name);
        assert_eq!(request("-e a -d b"), Ok(Request::Decrypt { file: file("b") }));
        assert_eq!(request("-d a -e b"), Ok(Request::Decrypt { file: file("b") }));
        assert_eq!(request("-e a -e b -i k"), Ok(Request::Edit { file: file("b") }));
        assert_eq!(request("-r -e a"), Ok(Request::Rekey { files: vec![] }));
        assert_eq!(request("-r a -i k b"), Ok(Request::Rekey { files: vec![file("a"), file("b")] }));
        assert_eq!(request("-e -h"), Ok(Request::Edit { file: file("-h") }));
        assert_eq!(request("-r -- -x"), Ok(Request::Rekey { files: vec![file("-x")] }));
    }

    #[test]
    fn what_is_missing_is_said_on_standard_output() {
        assert_eq!(request("-e"), Err(Refusal::line("no FILE specified")));
        assert_eq!(request("-e a -i"), Err(Refusal::line("no PRIVATE_KEY specified")));
        assert_eq!(request("-i k"), Err(Refusal::help("no FILE specified")));
        assert_eq!(request("-x"), Err(Refusal::help("unknown option -x")));
    }
}
