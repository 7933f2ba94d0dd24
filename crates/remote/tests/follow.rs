//! Commands that go on by themselves, on this machine; over ssh, and interrupted, they are the rehearsal's to show.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use remote::ssh::Session;

/// Takes this many writes.
#[derive(Clone)]
struct Out(Arc<Mutex<Vec<u8>>>, usize);

impl Out {
    fn new(takes: usize) -> Self {
        Self(Arc::default(), takes)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 = self.1.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_it_says_comes_at_once_and_its_exit_code_is_kept() {
    let (session, out) = (Session::local("ocean"), Out::new(9));
    // Its standard input is nobody's: the beat is not for it.
    session.follow(["sh", "-c", "echo \"$1\"; cat", "sh", "it's"], out.clone()).unwrap().unwrap();
    assert_eq!(out.text(), "it's\n");
    let begun = Instant::now();
    let error = session.follow(["sh", "-c", "echo why >&2; exit 3"], out).unwrap_err();
    assert_eq!((error.code(), error.tail()), (Some(3), &["why".to_owned()][..]));
    assert!(begun.elapsed() < Duration::from_secs(4), "not at the next beat");
}

#[test]
fn it_ends_when_nobody_listens_any_more() {
    let (session, out) = (Session::local("ocean"), Out::new(1));
    let talk = "echo $$; while sleep 0.05; do echo more; done";
    let told = session.follow(["sh", "-c", talk], out.clone()).unwrap().unwrap_err();
    assert_eq!(told.kind(), io::ErrorKind::BrokenPipe);
    let pid: u32 = out.text().lines().next().unwrap().parse().unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
