//! Tests about K3s are written once and become two: on the stand-in, and on the K3s that `XTASK_TEST_K3S` names.
//!
//! The second half lies in modules called `real`, so that `--skip real::` leaves it out. Without the variable such a test says
//! that it was left out, and passes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use lab::{Lab, Options};
use rustix::fs::{FlockOperation, flock};

use crate::support::{enter_lab_with, repository};

/// A file that is K3s; several, `:` between them, are several versions.
const K3S: &str = "XTASK_TEST_K3S";
/// An archive of container images, for pods; several as above.
const IMAGE: &str = "XTASK_TEST_IMAGE";
/// Every test may have to wait for all others.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// Makes two tests of each function: `stand_in::NAME` and `real::NAME`. Once a file.
macro_rules! each_k3s {
    ($($test:ident),+ $(,)?) => {
        mod stand_in {
            $(#[test]
            fn $test() {
                super::$test(&$crate::each_k3s::Rehearsal::with_stand_in(module_path!(), stringify!($test)));
            })+
        }
        mod real {
            $(#[test]
            fn $test() {
                if let Some(rehearsal) = $crate::each_k3s::Rehearsal::with_real(module_path!(), stringify!($test)) {
                    super::$test(&rehearsal);
                }
            })+
        }
    };
}
pub(crate) use each_k3s;

/// A test with the K3s that its machines run.
pub(crate) struct Rehearsal {
    /// As `--exact` takes it.
    test: String,
    /// Packages of the miniature nixpkgs with their versions, oldest first.
    versions: Vec<(String, String)>,
    options: Option<Options>,
    /// Held until the test has ended.
    _place: Option<File>,
}

impl Rehearsal {
    pub(crate) fn with_stand_in(module: &str, test: &str) -> Self {
        let versions = [("k3s_1_34", "1.34.2+k3s1"), ("k3s_1_35", "1.35.1+k3s1")];
        let versions = versions.map(|(package, version)| (package.to_owned(), version.to_owned())).to_vec();
        Self { test: path(module, test), versions, options: None, _place: None }
    }

    /// Nothing where no K3s is named.
    pub(crate) fn with_real(module: &str, test: &str) -> Option<Self> {
        let test = path(module, test);
        let k3s = files(K3S);
        if k3s.is_empty() {
            println!("{test} was left out: it needs a real K3s; {K3S}=FILE runs it");
            return None;
        }
        // In the lab's namespaces the test runs again, while the one outside holds its place.
        let place = (!lab::is_inside()).then(place);
        // Inside of the deployer's root there is no such file any more; but a test asks before.
        let k3s = k3s.iter().map(|file| lab::K3s::at(file)).collect::<Result<Vec<_>, _>>();
        let k3s = k3s.unwrap_or_else(|error| panic!("{K3S}: {error}"));
        let mut versions: Vec<_> =
            k3s.iter().map(|k3s| (package(k3s.version()), k3s.version().to_owned())).collect();
        versions.sort_by_key(|(_, version)| numbers(version));
        let options = Options { k3s, images: files(IMAGE), ..Options::default() };
        Some(Self { test, versions, options: Some(options), _place: place })
    }

    pub(crate) fn is_real(&self) -> bool {
        self.options.is_some()
    }

    /// The newest version: what machines run unless they are given another.
    pub(crate) fn version(&self) -> &str {
        &self.versions.last().expect("one at least").1
    }

    /// Packages with their versions, an older one and a newer one; nothing where only one is named.
    pub(crate) fn two_versions(&self) -> Option<[&(String, String); 2]> {
        if let [.., old, new] = &self.versions[..] {
            return Some([old, new]);
        }
        println!("{} was left out: it needs two versions of K3s; {K3S}=FILE:FILE runs it", self.test);
        None
    }

    /// A lab of the repository's own fleet.
    pub(crate) fn in_lab(&self, body: impl FnOnce(&Lab)) {
        self.enter_lab(repository, body);
    }

    /// A lab of another repository, made in the lab's namespaces.
    pub(crate) fn enter_lab<R: AsRef<Path>>(&self, repository: impl FnOnce() -> R, body: impl FnOnce(&Lab)) {
        let options = self.options.clone().unwrap_or_default();
        enter_lab_with(&options, &self.test, repository, body);
    }
}

/// `it::tokens::real` and `rotated` as `tokens::real::rotated`.
fn path(module: &str, test: &str) -> String {
    let (_, module) = module.split_once("::").expect("a module of this program");
    format!("{module}::{test}")
}

fn files(variable: &str) -> Vec<PathBuf> {
    let value = std::env::var_os(variable).unwrap_or_default();
    std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// `k3s_1_35_4`, as the miniature nixpkgs names it.
fn package(version: &str) -> String {
    let numbers: Vec<&str> = version.split(['.', '+']).take(3).collect();
    format!("k3s_{}", numbers.join("_"))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '+']).map(|part| part.trim_start_matches("k3s").parse().unwrap_or(0)).collect()
}

/// One of as many places as there are processors: a real K3s keeps one busy while it starts. Tests of several processes share
/// them.
fn place() -> File {
    let count = available_parallelism().map_or(1, usize::from);
    let path = |number| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("real-k3s-{number}"));
    let files: Vec<File> = (0..count).map(|number| File::create(path(number)).unwrap()).collect();
    let start = Instant::now();
    loop {
        let taken = |file: &File| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if let Some(free) = files.iter().position(taken) {
            return files.into_iter().nth(free).expect("its number");
        }
        assert!(start.elapsed() < PATIENCE, "no place became free within {} h", PATIENCE.as_secs() / 3600);
        sleep(Duration::from_millis(200));
    }
}
