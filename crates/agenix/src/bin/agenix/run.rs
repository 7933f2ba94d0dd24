//! What each request does, in the original's words.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agenix::nix::{NixError, evaluate_for};
use agenix::session;
use agenix::terminal::{EditorCommand, Person, piped, print_secret};
use agenix::{
    Due, EditError, Edited, Empty, Folder, Identities, PlaceError, Plan, Recipient, RekeyError, Rule,
    RuleError, SecretError, SecretPath, Secrets, Why,
};

use crate::arguments::Arguments;

/// `-d`: to standard output, byte for byte.
pub(crate) fn decrypt(arguments: &Arguments, file: &Path) -> Result<(), Failed> {
    let (secrets, rules_file) = open(arguments, &[file.to_owned()])?;
    let rule = rule_of(&secrets, file, &rules_file)?;
    let ciphertext = secrets.read(rule).map_err(|error| Failed::of(file, error))?;
    let ciphertext = ciphertext.ok_or_else(|| Failed::of(file, SecretError::Missing))?;
    let plaintext = secrets.open(&ciphertext, &identities(arguments, file)?);
    let plaintext = plaintext.map_err(|error| Failed::of(file, error))?;
    print_secret(&plaintext)
        .map_err(|error| Failed::line(format!("failed to write to standard output: {error}")))
}

/// `-e`: from standard input, or with an editor.
pub(crate) fn edit(arguments: &Arguments, file: &Path) -> Result<(), Failed> {
    if reads_key_from_stdin(arguments) && !std::io::stdin().is_terminal() {
        let line = "standard input cannot be both the private key and the new content";
        return Err(Failed::hinted(line, "give the key as a file: -i FILE".to_owned()));
    }
    // As in the original, where a rekey is an edit with the editor `:`.
    if std::env::var("EDITOR").is_ok_and(|editor| editor == ":") {
        return rekey_files(arguments, &[file.to_owned()], true, &|_| {});
    }
    let (secrets, rules_file) = open(arguments, &[file.to_owned()])?;
    let rule = rule_of(&secrets, file, &rules_file)?;
    rule.recipients().map_err(|error| Failed::of(file, SecretError::from(error)))?;
    // A file that is not there needs no key to make it.
    let exists = secrets.read(rule).map_err(|error| Failed::of(file, error))?.is_some();
    let identities = if exists { identities(arguments, file)? } else { Identities::default() };
    let empty = if arguments.allow_empty { Empty::Allowed } else { Empty::Refused };
    let content = piped().map_err(|error| Failed::line(format!("failed to read standard input: {error}")))?;
    let edited = match content {
        Some(content) => {
            let told = |recovery: &agenix::Recovery| eprintln!("{recovery}");
            agenix::edit_to(&secrets, rule, &identities, &content, empty, &told)
        }
        None => {
            let editor = EditorCommand::from_environment().ok_or_else(no_editor)?;
            agenix::edit(&secrets, rule, Some(&identities), &editor)
        }
    };
    match edited.map_err(|error| Failed::of(file, error))? {
        Edited::Written => {}
        Edited::Unchanged => eprintln!("{} wasn't changed, skipping re-encryption.", file.display()),
        Edited::NotCreated => eprintln!("{} wasn't created.", file.display()),
    }
    Ok(())
}

/// `-r`: all that need it, or none.
pub(crate) fn rekey(arguments: &Arguments, files: &[PathBuf]) -> Result<(), Failed> {
    rekey_files(arguments, files, arguments.force, &|name| eprintln!("rekeying {name}..."))
}

fn rekey_files(
    arguments: &Arguments,
    files: &[PathBuf],
    force: bool,
    on_due: &dyn Fn(&str),
) -> Result<(), Failed> {
    let (secrets, rules_file) = open(arguments, files)?;
    if let (true, Some(refused)) = (files.is_empty(), secrets.rules().refused().first()) {
        return Err(Failed { lines: vec![refused.to_string()], hint: Some(refused.hint()) });
    }
    let rules = session::chosen(&secrets, files, |file| rule_of(&secrets, file, &rules_file))?;
    let recovery = secrets.put_in_order();
    let recovery = recovery.map_err(|error| Failed::hinted(&session::chain(&error), error.hint()))?;
    if let Some(recovery) = recovery {
        eprintln!("{recovery}");
    }
    let plan = agenix::plan(&secrets, &rules, force);
    if !plan.failures.is_empty() {
        return Err(RekeyError::Failed { failures: plan.failures }.into());
    }
    tell(arguments, &plan, &secrets.readers(), on_due);
    if plan.due.is_empty() {
        return Ok(());
    }
    let wanted = plan.due.iter().find(|due| !matches!(due.why, Why::Unproven));
    let identities = match wanted {
        Some(due) => identities(arguments, Path::new(due.rule.path().as_str()))?,
        // What is due only because nothing is proven can wait for somebody with a key.
        None => perhaps_identities(arguments)?,
    };
    let left = agenix::rekey(&secrets, plan, &identities, &remote::interrupted, &|_| {})?;
    for path in left {
        eprintln!(
            "{path} is left as it is: its age keys do not show who they are, and it is for none of ours."
        );
    }
    Ok(())
}

fn tell(arguments: &Arguments, plan: &Plan<'_>, known: &[Recipient], on_due: &dyn Fn(&str)) {
    let due = plan.due.iter().map(|due| (due.rule.path(), Some(due)));
    let missing = plan.missing.iter().map(|path| (path, None));
    let all: BTreeMap<&SecretPath, Option<&Due<'_>>> = due.chain(missing).collect();
    for (path, due) in all {
        on_due(path.as_str());
        match due {
            None => eprintln!("{path} wasn't created."),
            Some(due) if arguments.verbose => eprintln!("  {}", due.why.described(known)),
            Some(_) => {}
        }
    }
    if arguments.verbose {
        plan.right.iter().for_each(|path| eprintln!("{path} is right already"));
    }
}

/// The rules, and where they are from as the user would say it.
fn open(arguments: &Arguments, files: &[PathBuf]) -> Result<(Secrets, PathBuf), Failed> {
    let named = arguments.rules.clone().or_else(|| std::env::var_os("RULES").map(PathBuf::from));
    let rules_file = match named.filter(|file| !file.as_os_str().is_empty()) {
        // As nix imports a folder.
        Some(folder) if folder.is_dir() => folder.join("default.nix"),
        Some(file) => file,
        None => nearest_rules(files).unwrap_or_else(|| PathBuf::from("./secrets.nix")),
    };
    let folder =
        |path: &Path| Folder::new(path).map_err(|error| Failed::line(format!("{}: {error}", path.display())));
    let beside = rules_file.parent().unwrap_or(Path::new("."));
    if !rules_file.is_file() {
        let error = NixError::NoFile { file: rules_file.display().to_string() };
        return Err(Failed::hinted(&session::chain(&error), error.hint()));
    }
    let (beside, here) = (folder(beside)?, folder(Path::new("."))?);
    let names = |folder: &Folder| -> Vec<SecretPath> {
        files.iter().flat_map(|file| folder.names_of(file).unwrap_or_default()).collect()
    };
    let wanted = [names(&beside), names(&here)].concat();
    let rules = evaluate_for(&rules_file, &wanted)?;
    // The original takes the names of rules for paths from the current folder. Who keeps secrets.nix in a folder below
    // and runs it from above relies on that.
    let there = |folder: &Folder| match files {
        [] => rules.iter().any(|rule| folder.file(rule.path()).is_ok_and(|file| file.exists())),
        _ => names(folder).iter().any(|name| rules.rule(name).is_ok()),
    };
    let folder = if !there(&beside) && there(&here) { here } else { beside };
    if arguments.verbose {
        eprintln!(
            "rules: {} ({} secrets), files in {}",
            rules_file.display(),
            rules.len(),
            folder.root().display()
        );
    }
    Ok((Secrets::new(folder, rules), rules_file))
}

/// `./secrets.nix`, else the nearest above the first file, else the nearest above the current folder.
fn nearest_rules(files: &[PathBuf]) -> Option<PathBuf> {
    let here = PathBuf::from("secrets.nix");
    let inside = |rules: &Path, file: &PathBuf| {
        let folder = Folder::new(rules.parent().unwrap_or(Path::new(".")));
        folder.is_ok_and(|folder| !matches!(folder.names_of(file), Err(PlaceError::Outside { .. })))
    };
    if here.is_file() && files.iter().all(|file| inside(&here, file)) {
        return Some("./secrets.nix".into());
    }
    let above = |start: &Path| {
        let start = std::path::absolute(start).ok()?;
        start.ancestors().skip(1).map(|folder| folder.join("secrets.nix")).find(|file| file.is_file())
    };
    files.first().and_then(|file| above(file)).or_else(|| above(&here))
}

fn rule_of<'s>(secrets: &'s Secrets, file: &Path, rules_file: &Path) -> Result<&'s Rule, Failed> {
    secrets.rule_of(file).map_err(|error| match &error {
        SecretError::Rule(RuleError::NoRule { nearest, .. }) => Failed {
            lines: vec![format!("There is no rule for {} in {}.", file.display(), rules_file.display())],
            hint: nearest.as_ref().map(|nearest| format!("did you mean {nearest}?")),
        },
        _ => Failed::hinted(&session::chain(&error), error.hint()),
    })
}

fn identities(arguments: &Arguments, file: &Path) -> Result<Identities, Failed> {
    let identities = perhaps_identities(arguments)?;
    if identities.is_empty() {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let key = |name| home.join(".ssh").join(name).display().to_string();
        return Err(Failed::line(format!(
            "No identity found to decrypt {}. Try adding an SSH key at {} or {} or using the --identity flag to \
             specify a file.",
            file.display(),
            key("id_rsa"),
            key("id_ed25519")
        )));
    }
    Ok(identities)
}

/// None is no error, one that is named and of no use is.
fn perhaps_identities(arguments: &Arguments) -> Result<Identities, Failed> {
    let identities = session::identities(&arguments.identities, Arc::new(Person));
    let identities = identities.map_err(|(line, hint)| Failed::hinted(&line, hint))?;
    if arguments.verbose && !identities.is_empty() {
        eprintln!("identities: {}", identities.names().join(", "));
    }
    Ok(identities)
}

fn reads_key_from_stdin(arguments: &Arguments) -> bool {
    let names = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    arguments.identities.iter().any(|file| names.iter().any(|name| file == Path::new(name)))
}

fn no_editor() -> Failed {
    Failed::hinted(
        "EDITOR says no editor",
        "EDITOR=nano agenix -e FILE, or give the content on standard input".to_owned(),
    )
}

/// What is printed on standard error before the exit with 1.
pub(crate) struct Failed {
    lines: Vec<String>,
    hint: Option<String>,
}

impl Failed {
    fn line(line: String) -> Self {
        Self { lines: vec![line], hint: None }
    }

    fn hinted(line: &str, hint: impl Into<Option<String>>) -> Self {
        Self { lines: vec![line.to_owned()], hint: hint.into() }
    }

    fn of(file: &Path, error: impl Into<EditError>) -> Self {
        let error = error.into();
        Self::hinted(&session::about(&file.display().to_string(), &error), error.hint())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        self.hint.iter().try_for_each(|hint| writeln!(f, "hint: {hint}"))
    }
}

impl From<NixError> for Failed {
    fn from(error: NixError) -> Self {
        let mut lines = vec![session::chain(&error)];
        if let NixError::Fails { more, .. } = &error {
            lines.extend(more.iter().map(|line| format!("  {line}")));
        }
        Self { lines, hint: error.hint() }
    }
}

impl From<RekeyError> for Failed {
    fn from(error: RekeyError) -> Self {
        let (mut lines, hint) = session::failures_of(&error);
        lines.push(session::chain(&error));
        Self { lines, hint }
    }
}
