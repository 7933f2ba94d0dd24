//! A terminal that can be looked at: a real tmux, with the tool in it as a person would have it.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lab::Lab;

use super::normal::{is_live, is_settled};
use crate::support::{Answer, argv_in, run};

const LOOK: Duration = Duration::from_millis(150);
/// What is printed once the tool has ended.
const END: &str = "[exit ";

/// A server that is ending does not take another pane: each has its own.
static PANES: AtomicUsize = AtomicUsize::new(0);

/// One terminal, with a program in it.
pub(crate) struct Pane {
    server: String,
    pub(crate) width: usize,
}

impl Pane {
    /// The tool, on the lab's deployer, in a terminal of this width and height.
    pub(crate) fn open(lab: &Lab, args: &[&str], (width, height): (usize, usize)) -> Self {
        let argv = argv_in("TERM=screen-256color", lab, args);
        // Ctrl-C reaches the shell as well, which stays and says how it ended.
        let shown = args.join(" ");
        let line = format!(
            "trap : INT; printf '$ cargo xtask {shown}\\n'; {}; echo \"{END}$?]\"; exec sleep 1000",
            remote::quote_all(argv)
        );
        let size = [width.to_string(), height.to_string()];
        let folder = lab.deployer().repository();
        let new =
            ["new-session", "-d", "-s", "it", "-x", &size[0], "-y", &size[1], "-c", folder.to_str().unwrap()];
        let pane = Self { server: format!("screens-{}", PANES.fetch_add(1, Ordering::Relaxed)), width };
        pane.tmux(&[&new[..], &["sh", "-c", &line]].concat());
        pane
    }

    /// The lines that are on the screen, as they stand there.
    pub(crate) fn screen(&self) -> Vec<String> {
        lines(&self.capture(&[]))
    }

    /// Those that were pushed out of it at the top.
    pub(crate) fn scrolled_away(&self) -> Vec<String> {
        // Without any, tmux takes the range for the screen's first line.
        if self.tmux(&["display-message", "-p", "#{history_size}"]).stdout.trim() == "0" {
            return Vec::new();
        }
        lines(&self.capture(&["-S", "-", "-E", "-1"]))
    }

    /// All of it, from the first line on.
    pub(crate) fn all(&self) -> Vec<String> {
        lines(&self.capture(&["-S", "-"]))
    }

    /// The same with each line that goes on in the next row as one.
    pub(crate) fn joined(&self) -> Vec<String> {
        lines(&self.capture(&["-S", "-", "-J"]))
    }

    /// The screen with its colours, as escape sequences; without how the tool ended.
    pub(crate) fn in_colour(&self) -> Vec<String> {
        let lines = lines(&self.capture(&["-e"]));
        lines.into_iter().filter(|line| !line.contains(END)).collect()
    }

    /// A line of a step, or of all of them, that did not fit and goes on in the next row.
    pub(crate) fn wrapped(&self) -> Option<String> {
        let of_a_step = |line: &String| is_settled(line) || line.starts_with("  ✗ ") || is_live(line);
        let joined = lines(&self.capture(&["-J"])).into_iter();
        joined.filter(of_a_step).find(|line| line.chars().count() > self.width)
    }

    pub(crate) fn resize(&mut self, width: usize) {
        self.tmux(&["resize-window", "-t", "it", "-x", &width.to_string(), "-y", "24"]);
        self.width = width;
    }

    pub(crate) fn type_keys(&self, keys: &str) {
        self.tmux(&["send-keys", "-t", "it", keys]);
    }

    pub(crate) fn cursor_is_shown(&self) -> bool {
        self.tmux(&["display-message", "-p", "-t", "it", "#{cursor_flag}"]).stdout.trim() == "1"
    }

    fn capture(&self, range: &[&str]) -> String {
        self.tmux(&[&["capture-pane", "-p", "-t", "it"], range].concat()).stdout
    }

    #[track_caller]
    fn tmux(&self, args: &[&str]) -> Answer {
        self.try_tmux(args).expect(0)
    }

    fn try_tmux(&self, args: &[&str]) -> Answer {
        let argv = [&["tmux", "-u", "-L", &self.server, "-f", "/dev/null"], args].concat();
        run(&argv, Path::new("/"), &[("LC_ALL", "C.UTF-8")])
    }

    /// Looks at it again and again until the tool has ended; gives the exit code.
    pub(crate) fn watch(&mut self, mut look: impl FnMut(&mut Self)) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let ended = self.screen().into_iter().find_map(|line| {
                line.strip_prefix(END)
                    .and_then(|rest| rest.strip_suffix(']'))
                    .and_then(|code| code.parse().ok())
            });
            if let Some(code) = ended {
                return code;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.screen().join("\n"));
            look(self);
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.try_tmux(&["kill-server"]);
    }
}

/// Without the empty ones at the end of a screen that is not full yet.
fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
}
