//! The journal of a run: `.xtask/runs/ID/events.jsonl`, one event a line, as it happens.
//!
//! A line is written by one system call, behind the others: so what a killed run had to tell is there. It tells what
//! `--json` prints, with the time, behind one line of what was asked for; no secret is in either. A journal that cannot
//! be written is told once and stops no deploy. What hosts are is never read from it: they are asked.
//!
//! Beside it lies what a person looks at, `report.html`, made from these lines alone when the run has ended: so that of a run
//! that was killed can be made later.

mod last;
mod past;
mod runs;

pub(crate) use last::{End, Last, RunKind};
pub(crate) use past::Past;
pub(crate) use runs::{KeptRun, RUNS};

use self::runs::ids;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pipeline::{Event, Report};
use remote::nix::OverrideInput;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::events::{self, VERSION};
use crate::failure::{Failure, Result};
use crate::playbook::{Aim, Plan};
use crate::render::Renderer;

const EVENTS: &str = "events.jsonl";
/// How many runs are kept.
const KEPT: usize = 100;

/// What a deploy was asked to do, with its hosts found out: enough to do the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) title: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) aim: Aim,
    /// Name and reference of each `--override-input`.
    pub(crate) overrides: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn overrides(&self) -> Vec<OverrideInput> {
        let input = |(name, reference): &(String, String)| OverrideInput {
            name: name.clone(),
            reference: reference.clone(),
        };
        self.overrides.iter().map(input).collect()
    }
}

pub(crate) struct Journal {
    file: File,
    root: PathBuf,
    id: String,
    /// From the root.
    path: PathBuf,
    /// It could not be written, which was told.
    broken: bool,
}

impl Journal {
    /// A new one for a run that begins now. `more` is what a later run needs to go on with it.
    pub(crate) fn begin(root: &Path, title: &str, more: &Value) -> io::Result<Self> {
        let now = SystemTime::now();
        let at = humantime::format_rfc3339_seconds(now).to_string().replace(':', "-");
        let id = format!("{at}-{}", std::process::id());
        let runs = root.join(RUNS);
        let private = |parents| -> DirBuilder {
            let mut builder = DirBuilder::new();
            builder.recursive(parents).mode(0o700);
            builder
        };
        private(true).create(&runs)?;
        // Nobody has to ignore it in a .gitignore of theirs.
        let ignored = root.join(".xtask/.gitignore");
        if !ignored.exists() {
            fs::write(ignored, "*\n")?;
        }
        forget_old_runs(&runs);
        let path = Path::new(RUNS).join(&id).join(EVENTS);
        private(false).create(runs.join(&id))?;
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(root.join(&path))?;
        let mut begun = json!({"event": "run", "version": VERSION, "id": id, "title": title});
        let mut journal = Self { file, root: root.to_owned(), id, path, broken: false };
        let more = more.as_object().into_iter().flatten();
        begun
            .as_object_mut()
            .expect("an event is an object")
            .extend(more.map(|(k, v)| (k.clone(), v.clone())));
        journal.line(now, begun);
        Ok(journal)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// How the run ended, and then the report of it; gives its path from the repository's root. What goes wrong with a report
    /// is told, and is nobody's failure.
    pub(crate) fn finish(mut self, result: &Result<()>) -> Option<PathBuf> {
        let failure = result.as_ref().err();
        if let Some(failure) = failure.filter(|failure| !failure.is_told()) {
            self.tell(&events::Event::failure(failure, None));
        }
        self.tell(&events::Event::End { exit_code: failure.map_or(0, |failure| failure.kind as u8) });
        let report = KeptRun::find(&self.root, &self.id).and_then(|run| run.write_report());
        report.inspect_err(|failure| eprintln!("warning: this run has no report: {failure}")).ok()
    }

    fn tell(&mut self, event: &impl Serialize) {
        let event = serde_json::to_value(event).expect("events are plain data");
        self.line(SystemTime::now(), event);
    }

    fn line(&mut self, at: SystemTime, mut event: Value) {
        if self.broken {
            return;
        }
        let fields = event.as_object_mut().expect("an event is an object");
        fields.insert("at".to_owned(), humantime::format_rfc3339_millis(at).to_string().into());
        if let Err(error) = self.file.write_all(format!("{event}\n").as_bytes()) {
            eprintln!("warning: the journal {} cannot be written any more: {error}", self.path.display());
            self.broken = true;
        }
    }
}

impl Renderer for Journal {
    fn event(&mut self, event: &Event) {
        self.tell(event);
    }

    fn report(&mut self, _plan: &Plan, report: &Report<Failure>) {
        for failure in &report.failures {
            self.tell(&events::Event::failure(&failure.error, Some(&failure.step)));
        }
    }
}

/// The oldest ones beyond those that are kept; one that cannot be removed is in nobody's way.
fn forget_old_runs(runs: &Path) {
    let ids = ids(runs);
    for id in ids.iter().skip(KEPT.saturating_sub(1)) {
        let _ = fs::remove_dir_all(runs.join(id));
    }
}

/// The runs of the repository, the newest first.
pub(crate) fn ids_in(root: &Path) -> Vec<String> {
    ids(&root.join(RUNS))
}
