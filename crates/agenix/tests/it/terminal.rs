//! A person at a terminal: the drop-in in a pty of its own, which `script` makes, with what is typed and shown there.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::world::{Answer, Call, until};

/// Ctrl-C, as the terminal gets it.
pub(crate) const CTRL_C: &str = "\x03";

pub(crate) struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Call<'_> {
    /// The drop-in, as a person runs it who has this EDITOR.
    pub(crate) fn at_terminal(self, editor: &str) -> Terminal {
        let argv = self.argv();
        self.env("EDITOR", editor).in_terminal(&argv)
    }

    /// Any program, started by a shell as a person's programs are: ctrl-C does not end that shell, the terminal's end
    /// does.
    pub(crate) fn in_terminal(self, argv: &[OsString]) -> Terminal {
        let words = argv.iter().map(|word| word.to_str().expect("unicode"));
        let line = format!("trap : INT; {}; exit $?", remote::quote_all(words));
        let script = ["script", "--quiet", "--return", "--flush", "--command", &line, "/dev/null"];
        let mut command = self.command(&script.map(OsString::from));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut script = command
            .spawn()
            .unwrap_or_else(|error| panic!("these tests need `script` of util-linux: {error}"));
        let keyboard = script.stdin.take().expect("a pipe");
        let mut shown = script.stdout.take().expect("a pipe");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(1..) = shown.read(&mut some).inspect(|count| {
                copy.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&some[..*count]);
            }) {}
        });
        Terminal { script, keyboard, screen, reader: Some(reader) }
    }
}

impl Terminal {
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).and_then(|()| self.keyboard.flush()).expect("a keyboard");
    }

    /// All that was shown so far.
    pub(crate) fn screen(&self) -> String {
        let shown = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    }

    /// Waits until it is on the screen.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        until(&format!("{text:?} on the screen"), || {
            let shown = self.screen().contains(text);
            if !shown && self.script.try_wait().expect("a child").is_some() {
                // Its last words may still be on their way.
                std::thread::sleep(Duration::from_millis(300));
                assert!(self.screen().contains(text), "{text:?} was not shown:\n{}", self.screen());
            }
            shown
        });
    }

    /// Answers a question whose answer is not shown while it is typed.
    #[track_caller]
    pub(crate) fn answers(&mut self, question: &str, answer: &str) {
        self.shows(question);
        // Between the question and the terminal's falling silent there is a moment, and what is typed in it is lost.
        std::thread::sleep(Duration::from_millis(300));
        self.types(&format!("{answer}\n"));
    }

    /// Waits for the end. What was shown is given as standard error.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Answer {
        let mut status = None;
        until("the end", || {
            status = self.script.try_wait().expect("a child");
            status.is_some()
        });
        self.reader.take().into_iter().for_each(|reader| reader.join().expect("the screen"));
        let stderr = self.screen();
        Answer { code: status.and_then(|status| status.code()).unwrap_or(-1), stdout: Vec::new(), stderr }
    }

    /// As when the window is closed: the kernel hangs up.
    pub(crate) fn close(self) {}
}

/// So a test that fails leaves no editor behind.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
