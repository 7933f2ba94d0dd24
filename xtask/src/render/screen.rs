//! The terminal that live lines and questions share.
//!
//! Own code in place of a crate for progress bars, since those draw each bar by itself: they neither fold what does not fit
//! nor survive a window that is made narrower, where a terminal wraps the old lines and more of them have to be taken back.
//!
//! One thread draws, ten times a second, each time in one write: up to the first live line, what has settled, the live lines,
//! nothing below. The cursor stands below the last line between two drawings, and is never hidden: whatever ends us, a
//! `kill -9` included, leaves a usable terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use console::{Term, measure_text_width, style};

use super::glyphs::Glyphs;

const TICK: Duration = Duration::from_millis(100);
/// What a terminal that does not know its own size is taken for.
const SIZE: Size = Size { width: 80, height: 24 };

/// In characters. Nothing is drawn in the last column: a terminal may wrap behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What is to be seen next: lines that stay, and below them lines that are drawn anew each time.
#[derive(Debug, Default)]
pub(super) struct Picture {
    pub(super) settled: Vec<String>,
    pub(super) live: Vec<String>,
}

/// Makes pictures; told how often it has been asked.
type Scene = Box<dyn FnMut(Size, usize) -> Picture + Send>;

/// The terminal at standard error, if it is one that can be drawn on.
#[derive(Clone, Default)]
pub(crate) struct Terminal {
    screen: Arc<Mutex<Screen>>,
}

#[derive(Default)]
struct Screen {
    canvas: Canvas,
    scene: Option<Scene>,
    frame: usize,
}

/// What stands in the terminal below what has settled.
#[derive(Debug, Default)]
struct Canvas {
    /// The width of each live line.
    drawn: Vec<usize>,
}

/// Lives as long as something is shown. When it is dropped, what has settled stays and nothing else.
pub(crate) struct Showing {
    terminal: Terminal,
    /// Gone when it is to end.
    ticks: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Can lines be drawn anew on standard error?
    pub(crate) fn can_draw() -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        std::io::stderr().is_terminal() && !dumb
    }

    /// A line that changes while somebody waits; not shown where it cannot be.
    pub(crate) fn show_line(&self, line: impl Fn(usize) -> String + Send + 'static) -> Showing {
        if !Self::can_draw() {
            return Showing { terminal: self.clone(), ticks: None };
        }
        self.show(Box::new(move |size, frame| {
            let line = console::truncate_str(&line(frame), size.width.saturating_sub(1), "…").into_owned();
            Picture { settled: Vec::new(), live: vec![line] }
        }))
    }

    /// Something that moves, with a word on what is waited for.
    pub(crate) fn show_spinner(&self, text: &str) -> Showing {
        let (glyphs, text) = (Glyphs::of_locale(), text.to_owned());
        self.show_line(move |frame| {
            format!("{} {text}", style(glyphs.spinner[frame % glyphs.spinner.len()]).cyan().for_stderr())
        })
    }

    /// Shows this until the answer is dropped.
    pub(super) fn show(&self, scene: Scene) -> Showing {
        self.screen().scene = Some(scene);
        let (sender, ticks) = mpsc::channel();
        let terminal = self.clone();
        let tick = move || {
            while ticks.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                terminal.screen().draw();
            }
        };
        let thread = std::thread::Builder::new().name("screen".to_owned()).spawn(tick);
        // Without a thread all of it is shown at the end.
        Showing { terminal: self.clone(), ticks: thread.ok().map(|thread| (sender, thread)) }
    }

    /// Takes the live lines away while somebody is asked something.
    pub(crate) fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        let mut screen = self.screen();
        screen.clear();
        ask()
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        // A scene that panicked draws nothing wrong afterwards.
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.ticks.take() {
            drop(sender);
            let _ = thread.join();
        }
        let mut screen = self.terminal.screen();
        screen.draw();
        screen.clear();
        screen.scene = None;
    }
}

impl Screen {
    fn draw(&mut self) {
        let Some(scene) = &mut self.scene else { return };
        self.frame += 1;
        let mut at = size();
        let mut picture = scene(at, self.frame);
        // A window that was changed meanwhile has wrapped the old lines differently: the picture has to be of the size that
        // they have at this moment.
        for _ in 0..3 {
            let now = size();
            if now == at {
                break;
            }
            at = now;
            picture.live = scene(at, self.frame).live;
        }
        put(&self.canvas.redraw(&picture, at));
    }

    fn clear(&mut self) {
        if !self.canvas.drawn.is_empty() {
            put(&self.canvas.redraw(&Picture::default(), size()));
        }
    }
}

impl Canvas {
    /// The text that puts this picture in the place of the last one.
    fn redraw(&mut self, picture: &Picture, size: Size) -> String {
        let mut text = String::new();
        // A line that is wider than the window has become is several by now.
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(size.width).max(1)).sum();
        if rows > 0 {
            let _ = write!(text, "\r\x1b[{rows}A");
        }
        for line in picture.settled.iter().chain(&picture.live) {
            let _ = write!(text, "{line}\x1b[K\r\n");
        }
        if text.is_empty() {
            return text;
        }
        text.push_str("\x1b[J");
        self.drawn = picture.live.iter().map(|line| measure_text_width(line)).collect();
        // Meanwhile no line goes on in the next row, should the window be narrower by now than we know.
        format!("\x1b[?7l{text}\x1b[?7h")
    }
}

fn size() -> Size {
    let (height, width) = Term::stderr().size_checked().unwrap_or_default();
    let or = |size: u16, other: usize| if size == 0 { other } else { size.into() };
    Size { width: or(width, SIZE.width), height: or(height, SIZE.height) }
}

fn put(text: &str) {
    if !text.is_empty() {
        let mut out = std::io::stderr().lock();
        // A terminal that has gone away ends nobody's deploy.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Size = Size { width: 10, height: 24 };

    fn picture(settled: &[&str], live: &[&str]) -> Picture {
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        Picture { settled: own(settled), live: own(live) }
    }

    /// Without what stands around all of it.
    #[track_caller]
    fn drawn(canvas: &mut Canvas, picture: &Picture, size: Size) -> String {
        let text = canvas.redraw(picture, size);
        let inner = text.strip_prefix("\x1b[?7l").and_then(|text| text.strip_suffix("\x1b[?7h"));
        inner.unwrap_or_else(|| panic!("{text:?}")).to_owned()
    }

    #[test]
    fn a_picture_takes_the_place_of_the_last_one() {
        let mut canvas = Canvas::default();
        assert_eq!(canvas.redraw(&Picture::default(), SIZE), "");
        let first = drawn(&mut canvas, &picture(&["title"], &["a", "b"]), SIZE);
        assert_eq!(first, "title\x1b[K\r\na\x1b[K\r\nb\x1b[K\r\n\x1b[J");
        let second = drawn(&mut canvas, &picture(&["a done"], &["b"]), SIZE);
        assert_eq!(second, "\r\x1b[2Aa done\x1b[K\r\nb\x1b[K\r\n\x1b[J");
        assert_eq!(drawn(&mut canvas, &Picture::default(), SIZE), "\r\x1b[1A\x1b[J");
        assert_eq!(canvas.redraw(&Picture::default(), SIZE), "");
    }

    #[test]
    fn a_window_that_was_made_narrower_has_more_rows_to_take_back() {
        let mut canvas = Canvas::default();
        canvas.redraw(&picture(&[], &["twenty characters...", "\x1b[2mten only!!\x1b[0m", ""]), SIZE);
        assert!(drawn(&mut canvas, &picture(&[], &["x"]), NARROW).starts_with("\r\x1b[4A"));
    }
}
