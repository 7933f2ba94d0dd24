//! No token where it does not belong: every argv and environment of every process, every journal, log and file.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lab::Lab;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{on, run, xtask};

each_k3s!(a_token_is_only_in_its_secret_and_at_its_place_on_the_node,);

/// Everything that any process of the lab was started with, looked at again and again. The lab has a process namespace
/// of its own, and this test is its first process: it sees all of them, those on the machines too.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<HashSet<Vec<u8>>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(HashSet::new())));
        let (stopped, into) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    for file in ["cmdline", "environ"] {
                        if let Ok(text) = fs::read(entry.path().join(file)) {
                            into.lock().unwrap().insert(text);
                        }
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    pub(crate) fn saw(&self, secret: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|text| contains(text, secret.as_bytes()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// The files under `root` that hold the text.
pub(crate) fn files_with(root: &Path, wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir()
                && !["/proc", "/sys", "/dev", "/usr", "/run/xtask-lab"].contains(&path.to_str().unwrap_or(""))
            {
                folders.push(path);
            } else if kind.is_file() && fs::read(&path).is_ok_and(|text| contains(&text, wanted.as_bytes())) {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Where a token may be on a machine: where K3s and the agent-token unit keep it.
fn misplaced(lab: &Lab, machine: &str, secret: &str) -> Vec<String> {
    let root = lab.machine(machine).root();
    let place = format!("{}/var/lib/rancher/", root.display());
    files_with(root, secret).into_iter().filter(|path| !path.starts_with(&place)).collect()
}

/// As this process sees them; it has the deployer's root.
fn reports(lab: &Lab) -> Vec<PathBuf> {
    let runs = fs::read_dir(lab.deployer().path("/cluster/.xtask/runs")).unwrap();
    let reports = runs.map(|run| run.unwrap().path().join("report.html"));
    reports.filter(|report| report.exists()).collect()
}

fn a_token_is_only_in_its_secret_and_at_its_place_on_the_node(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        let watch = Watch::start();
        let mut said = Vec::new();
        for args in [
            &["bootstrap-cluster", "-v"][..],
            &["deploy", "maia", "--json"],
            &["verify", "-v"],
            &["doctor", "-v"],
            &["kubeconfig"],
        ] {
            let answer = xtask(lab, args).expect(0);
            said.push(answer.stdout + &answer.stderr);
        }
        let password = |path: &str| {
            let token = on(lab, "ocean", &format!("cat {path}"));
            token.rsplit(':').next().unwrap().to_owned()
        };
        let server = password("/var/lib/rancher/k3s/server/token");
        let agent = password("/var/lib/rancher/k3s/server/agent-token");
        assert!(server.len() >= 32 && agent.len() >= 32 && server != agent);
        // Among the files that are searched is what the runs left for people to look at.
        let reports = reports(lab);
        assert_eq!(reports.len(), 2);
        for secret in [&server, &agent] {
            assert!(!watch.saw(secret), "in an argv or an environment");
            assert!(!said.iter().any(|text| text.contains(secret)), "in what the tool prints");
            assert_eq!(files_with(Path::new("/"), secret), Vec::<String>::new(), "on the deployer");
            for machine in ["ocean", "maia"] {
                assert_eq!(misplaced(lab, machine, secret), Vec::<String>::new(), "on {machine}");
                let journal = on(lab, machine, "journalctl --no-pager --output export");
                assert!(!journal.contains(secret), "in the journal of {machine}");
            }
            // Positive control: each of these searches does find what is there.
            let control = run(&["sh", "-c", "sleep 0.3", secret], Path::new("/"), &[]).expect(0);
            assert!(watch.saw(secret), "an argv is not seen: {control:?}");
            let page = &reports[0];
            let before = fs::read_to_string(page).unwrap();
            fs::write("/root/planted", format!("x{secret}y")).unwrap();
            fs::write(page, before.replace("</main>", &format!("<p>{secret}</p></main>"))).unwrap();
            let found = files_with(Path::new("/"), secret);
            let report = found.iter().any(|path| path.ends_with("/report.html"));
            assert!(report && found.len() == 2 && found.contains(&"/root/planted".to_owned()), "{found:?}");
            fs::remove_file("/root/planted").unwrap();
            fs::write(page, before).unwrap();
            on(
                lab,
                "maia",
                &format!("echo {secret} > /var/planted; logger planted {secret}; journalctl --sync"),
            );
            assert_eq!(
                misplaced(lab, "maia", secret).iter().filter(|path| path.ends_with("/var/planted")).count(),
                1
            );
            assert!(on(lab, "maia", "journalctl --no-pager --output export").contains(secret));
        }
    });
}
