//! A process by a name that another one, on the same machine, can look it up by.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// A process of some machine. Its text has no white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which boot of which machine: the kernel's own random number of it.
    boot: String,
    /// Whose numbers `pid` is one of. Containers share a kernel, not their processes' numbers.
    namespace: String,
    pid: i32,
    /// When it was started, in clock ticks since the boot: numbers are given again.
    start: u64,
}

impl Process {
    /// This one.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn own() -> io::Result<Self> {
        let pid = rustix::process::getpid();
        Ok(Self {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            namespace: fs::read_link("/proc/self/ns/pid")?.display().to_string(),
            pid: pid.as_raw_nonzero().get(),
            start: start(pid)?,
        })
    }

    /// Is it certain that it is no more? Never of one that cannot be seen from here.
    pub fn is_gone(&self) -> bool {
        let Ok(own) = Self::own() else { return false };
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        if (&self.boot, &self.namespace) != (&own.boot, &own.namespace) {
            return false;
        }
        // Not by its absence in /proc, which may hide the processes of others.
        test_kill_process(pid) == Err(Errno::SRCH) || start(pid).is_ok_and(|start| start != self.start)
    }
}

/// The 22nd field of `stat`, counted behind the program's name, which may have spaces: see proc(5).
fn start(pid: Pid) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let start = fields.split_whitespace().nth(19).and_then(|field| field.parse().ok());
    start.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat is not as proc(5) says"))
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.namespace, self.pid, self.start)
    }
}

/// The text is none of a process.
#[derive(Debug, thiserror::Error)]
#[error("this names no process")]
pub struct NoProcess;

impl FromStr for Process {
    type Err = NoProcess;

    fn from_str(text: &str) -> Result<Self, NoProcess> {
        let [boot, namespace, pid, start] = text.split('/').collect::<Vec<_>>()[..] else {
            return Err(NoProcess);
        };
        let (pid, start) = (pid.parse().map_err(|_| NoProcess)?, start.parse().map_err(|_| NoProcess)?);
        Ok(Self { boot: boot.to_owned(), namespace: namespace.to_owned(), pid, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cmd;

    #[test]
    fn a_process_is_found_by_its_text_until_it_is_gone() {
        let own = Process::own().unwrap();
        assert_eq!(own.to_string().parse::<Process>().unwrap(), own);
        assert!(!own.is_gone());
        // The number of one that was waited for is free, or another's.
        let said =
            Cmd::new("sh").args(["-c", "echo $$; cut -d ' ' -f 22 /proc/$$/stat"]).run().unwrap().text();
        let (pid, start) = said.split_once('\n').unwrap();
        let ended = Process { pid: pid.parse().unwrap(), start: start.parse().unwrap(), ..own };
        assert!(ended.is_gone());
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let own = Process::own().unwrap();
        assert!(Process { start: own.start + 1, ..own }.is_gone());
    }

    #[test]
    fn of_what_cannot_be_seen_from_here_nothing_is_certain() {
        let own = Process::own().unwrap();
        let gone = Process { start: 0, ..own };
        assert!(gone.is_gone(), "positive control");
        assert!(!Process { boot: "another".to_owned(), ..gone.clone() }.is_gone());
        assert!(!Process { namespace: "pid:[1]".to_owned(), ..gone.clone() }.is_gone());
        assert!(!Process { pid: 0, ..gone }.is_gone());
        for text in ["", "a/b/c/d", "a/b/1", "a/b/1/2/3"] {
            assert!(text.parse::<Process>().is_err(), "{text}");
        }
    }
}
