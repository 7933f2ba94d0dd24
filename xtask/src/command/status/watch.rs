//! `--watch`: the same screen again and again, in the terminal's other screen, as `top` does it. What was seen last stays
//! when it ends.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use console::{Term, style};
use fleet::Fleet;
use remote::Tidy;

use super::screen;
use super::survey::Surveyor;
use crate::cli::Global;
use crate::failure::{Failure, Kind, Result};

/// How often the wait looks whether it was interrupted.
const POLL: Duration = Duration::from_millis(100);

pub(super) fn require_possible(global: &Global) -> Result<()> {
    if global.json || !std::io::stdout().is_terminal() {
        let what = if global.json { "--json has no form for it" } else { "this is none" };
        let message = format!("--watch draws in a terminal, and {what}");
        return Err(Failure::new(Kind::Usage, message).hint("without --watch it looks once".to_owned()));
    }
    Ok(())
}

/// Until ctrl-C, which is how it is meant to end.
pub(super) fn run(surveyor: &Surveyor<'_>, fleet: &Fleet, seconds: u64) -> Result<()> {
    // Before the other screen: somebody may be asked for a password.
    let mut survey = surveyor.first_survey()?;
    let other = OtherScreen::enter();
    while !remote::interrupted() {
        other.draw(&screen::lines(&survey, fleet, screen::width()), seconds);
        let next = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < next && !remote::interrupted() {
            std::thread::sleep(POLL);
        }
        match surveyor.survey() {
            Ok(new) => survey = new,
            Err(failure) if failure.kind == Kind::Interrupted => break,
            Err(failure) => return Err(failure),
        }
    }
    drop(other);
    screen::lines(&survey, fleet, screen::width()).iter().for_each(|line| say!("{line}"));
    Ok(())
}

/// Gone again however we end, a second ctrl-C included.
struct OtherScreen {
    _tidy: Tidy,
}

impl OtherScreen {
    fn enter() -> Self {
        let other = Self { _tidy: Tidy::new() };
        // The other screen; no cursor; what is too wide, after the window got narrower, is cut and not wrapped.
        write("\x1b[?1049h\x1b[?25l\x1b[?7l");
        other
    }

    /// Over what stands there, so that nothing flickers.
    fn draw(&self, lines: &[String], seconds: u64) {
        let rows = usize::from(Term::stdout().size().0).max(4);
        let room = rows - 2;
        let mut shown: Vec<String> = lines.iter().take(room).cloned().collect();
        if lines.len() > room {
            shown[room - 1] = style(format!("… {} more lines", lines.len() - room + 1)).dim().to_string();
        }
        let foot = format!("every {seconds} s; ctrl-C ends it");
        shown.extend([String::new(), style(foot).dim().to_string()]);
        let body = shown.join("\x1b[K\r\n");
        write(&format!("\x1b[H{body}\x1b[K\x1b[J"));
    }
}

impl Drop for OtherScreen {
    fn drop(&mut self) {
        write("\x1b[?7h\x1b[?25h\x1b[?1049l");
    }
}

/// A terminal that has gone away is noticed as SIGHUP.
fn write(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
