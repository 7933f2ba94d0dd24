//! A file on disk is the old one or the new one, whatever happens.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use agenix::write_atomic;
use tempfile::TempDir;

/// Set for the test binary that a test starts again as its own child.
const CHILD_PATH: &str = "AGENIX_TEST_CHILD_PATH";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn a_new_file_is_0644_and_its_folders_are_made() {
    let folder = folder();
    let path = folder.path().join("secrets/deep/new.age");
    write_atomic(&path, b"new").expect("written");
    assert_eq!(fs::read(&path).expect("a file"), b"new");
    assert_eq!(mode(&path), 0o644);
    assert_eq!(names(path.parent().expect("a folder")), ["new.age"]);
}

#[test]
fn an_existing_file_keeps_its_mode() {
    let folder = folder();
    let path = folder.path().join("a.age");
    for bits in [0o600, 0o640, 0o444, 0o755] {
        fs::write(&path, "old").or_else(|_| fs::remove_file(&path)).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(bits)).expect("its mode");
        write_atomic(&path, b"new").expect("written");
        assert_eq!((fs::read(&path).expect("a file"), mode(&path)), (b"new".to_vec(), bits));
    }
    assert_eq!(names(folder.path()), ["a.age"]);
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let folder = folder();
    let (link, target) = (folder.path().join("link.age"), folder.path().join("real/target.age"));
    // A relative link, through another link, to a file that is not there yet.
    symlink("second.age", &link).expect("a link");
    symlink("real/target.age", folder.path().join("second.age")).expect("a link");
    for content in [b"one", b"two"] {
        write_atomic(&link, content).expect("written");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(fs::read(&target).expect("a file"), content);
    }
    assert_eq!(names(target.parent().expect("a folder")), ["target.age"]);
}

#[test]
fn errors_name_the_path_and_the_step() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let error = |path: &PathBuf| {
        let error = write_atomic(path, b"new").expect_err("cannot be written");
        assert_eq!(&error.path, path);
        format!("{error}: {}", error.source).replace(&format!("{}/", folder.path().display()), "")
    };
    fs::create_dir(at("folder")).expect("a folder");
    assert_eq!(
        error(&at("folder")),
        "failed to write folder: could not look at it: it is not a regular file"
    );
    fs::write(at("file"), "old").expect("a file");
    assert_eq!(
        error(&at("file/a.age")),
        "failed to write file/a.age: could not follow its symlink: Not a directory (os error 20)"
    );
    symlink("loop", at("loop")).expect("a link");
    assert_eq!(
        error(&at("loop")),
        "failed to write loop: could not follow its symlink: more than 40 symlinks"
    );
    assert_eq!(names(folder.path()), ["file", "folder", "loop"]);
    assert!(names(&at("folder")).is_empty());
}

/// Not a test of its own: the child of the two below.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD_PATH).map(PathBuf::from) else { return };
    let contents = [vec![b'a'; 300_000], vec![b'b'; 200_000]];
    for content in contents.iter().cycle().take(100_000) {
        if let Err(error) = write_atomic(&path, content) {
            println!("{error}: {} ({:?})", error.source, error.hint());
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the process under test is this test itself")]
fn child_command(prologue: &str, path: &Path) -> Command {
    let mut command = Command::new("bash");
    let this = std::env::current_exe().expect("this test's own path");
    command.args(["-c", &format!("{prologue} exec \"$0\" --exact write::child --nocapture")]).arg(this);
    command.env(CHILD_PATH, path).stdin(Stdio::null());
    command
}

#[test]
fn a_write_that_fails_halfway_leaves_the_old_file_and_nothing_else() {
    let folder = folder();
    let path = folder.path().join("a.age");
    fs::write(&path, "old").expect("a file");
    // The kernel refuses to let any file grow past 8 KiB, so the write ends in the middle.
    let output = child_command("trap '' XFSZ; ulimit -f 8;", &path).output().expect("bash");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!(
        "failed to write {}: could not write its temporary file: File too large (os error 27) (None)",
        path.display()
    );
    assert!(said.contains(&expected), "{said}");
    assert_eq!(fs::read(&path).expect("a file"), b"old");
    assert_eq!(names(folder.path()), ["a.age"]);
}

#[test]
fn a_kill_at_any_point_leaves_a_whole_file() {
    let folder = folder();
    let path = folder.path().join("a.age");
    let mut seen = Vec::new();
    for round in 0..20 {
        write_atomic(&path, b"old").expect("written");
        let mut child = child_command("", &path).stdout(Stdio::null()).spawn().expect("bash");
        std::thread::sleep(Duration::from_millis(20 + 7 * round));
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let found = fs::read(&path).expect("never missing");
        let all = |byte: u8| found.iter().all(|found| *found == byte);
        let whole = match found.len() {
            300_000 => all(b'a'),
            200_000 => all(b'b'),
            _ => found == b"old",
        };
        assert!(whole, "{} bytes after a kill in round {round}", found.len());
        seen.push(found.len());
    }
    assert!(seen.iter().any(|length| *length > 3), "the control: the child did write: {seen:?}");
}
