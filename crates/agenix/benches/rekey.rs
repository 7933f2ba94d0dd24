//! How long a rekey takes, against a shell loop and against its own arithmetic.
//!
//!     cargo bench -p agenix                   1 to 2 minutes
//!     cargo bench -p agenix -- --full         the shell loop for 1000 secrets too: some minutes more
//!     BENCH_DIR=/home/me cargo bench -p agenix
//!
//! It makes keys and secrets of its own, in a folder that is gone afterwards: in BENCH_DIR, else where temporary files
//! go. What `fsync` costs is up to that folder's file system; on a tmpfs it costs nothing.
//!
//! Whole processes are measured, in rounds: each round has every one of them once, one right after the other. What is
//! told are medians, and a ratio is the median of the rounds' ratios, so that a machine which is busy, or slower from
//! one second to the next, spoils both sides alike. Nothing is asserted about a time, only that the work was done.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agenix::{Folder, Format, Recipient, Rule, Rules, Secrets, State, encrypt, evaluate_argv, plan};
use remote::Cmd;
use tempfile::TempDir;
use x25519_dalek::{PublicKey, StaticSecret, x25519};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const AGENIX: &str = env!("CARGO_BIN_EXE_agenix");
const SHELL_LOOP: &str = include_str!("shell-loop.sh");
/// How often everything is measured; the shell loop, which takes seconds, less often.
const ROUNDS: usize = 7;
const LOOP_ROUNDS: usize = 3;
/// How long each of the two multiplications is measured.
const SPIN: Duration = Duration::from_millis(100);
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut full = false;
    let mut bench = false;
    for word in std::env::args().skip(1) {
        match word.as_str() {
            // From cargo: `cargo test --all-targets` starts this program without it.
            "--bench" => bench = true,
            "--full" => full = true,
            _ => return Err(format!("unknown option {word}: there is only --full").into()),
        }
    }
    if !bench {
        println!("nothing is measured without cargo bench");
        return Ok(());
    }
    let missing: Vec<&str> = ["nix-instantiate", "age", "ssh-keygen", "jq"]
        .into_iter()
        .filter(|program| remote::find(program).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(format!("not on PATH, and needed here: {}", missing.join(", ")).into());
    }
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let base = base.canonicalize().map_err(|error| format!("{}: {error}", base.display()))?;
    about(&base)?;
    for kind in [Kind::Ssh, Kind::Age] {
        against_the_loop(&base, kind, 50, LOOP_ROUNDS)?;
        against_the_floor(&base, kind, full)?;
    }
    memory(&base)
}

/// The machine, since all numbers are this machine's.
fn about(base: &Path) -> Result<()> {
    let kind = Cmd::new("stat").args(["--file-system", "--format=%T"]).arg(base).run()?.text();
    let folder = TempDir::new_in(base)?;
    let mut syncs = Vec::new();
    for number in 0..50 {
        let mut file = File::create(folder.path().join(number.to_string()))?;
        file.write_all(&[0; KIB])?;
        syncs.push(seconds(|| Ok(file.sync_all()?))?);
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{} cores, load {}; {} on {kind}, one fsync {}\n",
        cores(),
        load.split(' ').next().unwrap_or_default(),
        base.display(),
        time(&syncs)
    );
    row("", "ours", "against", "", "");
    Ok(())
}

/// What the original does, for as many secrets.
fn against_the_loop(base: &Path, kind: Kind, count: usize, rounds: usize) -> Result<()> {
    let world = World::new(base, kind, count, KIB)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        theirs.push(world.rekey(|| world.shell_loop())?);
        // So short that a single one is luck: several for one of theirs.
        let ours_of_this_round: Vec<f64> =
            (0..ROUNDS).map(|_| world.rekey(|| world.agenix())).collect::<Result<_>>()?;
        ours.push(median(ours_of_this_round));
    }
    let faster = format!("{:.0}× faster", ratio(&theirs, &ours));
    row(&format!("{count} secrets, {}", kind.name()), &time(&ours), "shell loop", &time(&theirs), &faster);
    Ok(())
}

/// 1000 secrets: the arithmetic that cannot be avoided, one core, and what is right already.
fn against_the_floor(base: &Path, kind: Kind, full: bool) -> Result<()> {
    let world = World::new(base, kind, 1000, KIB)?;
    let cores_can_be_chosen = remote::find("taskset").is_some();
    let [mut ours, mut rest, mut one_core, mut nix, mut floor] = [const { Vec::new() }; 5];
    let [mut right, mut planned] = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        if cores_can_be_chosen {
            one_core.push(world.rekey(|| world.agenix_on_one_core())?);
        }
        let whole = world.rekey(|| world.agenix())?;
        floor.push(world.floor());
        // Its files are right now.
        let evaluation = seconds(|| world.evaluate().map(drop))?;
        right.push(seconds(|| Ok(world.agenix().run().map(drop)?))?);
        planned.push(world.plan_of_what_is_right()?);
        ours.push(whole);
        nix.push(evaluation);
        rest.push(whole - evaluation);
    }
    match full {
        true => against_the_loop(base, kind, 1000, 1)?,
        false => {
            let what = format!("1000 secrets, {}", kind.name());
            row(&what, &time(&ours), "shell loop", "not run", "see --full");
        }
    }
    let times = |ours: &[f64], theirs: &[f64]| format!("{:.2}×", ratio(ours, theirs));
    let over = times(&rest, &floor) + " the floor";
    row("  without one evaluation", &time(&rest), "curve25519", &time(&floor), &over);
    if cores_can_be_chosen {
        let faster = times(&one_core, &ours) + " faster";
        row(&format!("  on {} cores", cores()), &time(&ours), "on one", &time(&one_core), &faster);
    }
    row("  all right already", &time(&right), "one evaluation", &time(&nix), &times(&right, &nix));
    row("    of it rules and plan", &time(&planned), "", "", "");
    Ok(())
}

/// The most memory at any time. Of the contents there is one a core; what grows with their number is rules and plan.
fn memory(base: &Path) -> Result<()> {
    for (few, many, size) in [(100, 1000, KIB), (5, 20, 5 * MIB)] {
        let peak = |count| -> Result<f64> { World::new(base, Kind::Ssh, count, size)?.peak_memory() };
        let (fewer, more) = (peak(few)?, peak(many)?);
        let each = (more - fewer) / (many - few) as f64;
        row(
            &format!("memory, {many} × {}", bytes(size as f64)),
            &bytes(more),
            &format!("{few} of these"),
            &bytes(fewer),
            &format!("{} a secret", bytes(each)),
        );
    }
    Ok(())
}

fn row(what: &str, ours: &str, against: &str, theirs: &str, ratio: &str) {
    println!("{what:<30} {ours:>9}   {against:<15} {theirs:>9}   {ratio}");
}

fn time(seconds: &[f64]) -> String {
    let seconds = median(seconds.to_vec());
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn bytes(count: f64) -> String {
    let (kib, mib) = (count / KIB as f64, count / MIB as f64);
    if mib < 1.0 { format!("{kib:.0} KiB") } else { format!("{mib:.0} MiB") }
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

fn ratio(these: &[f64], those: &[f64]) -> f64 {
    median(these.iter().zip(those).map(|(this, that)| this / that).collect())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Of which kind all of a world's keys are.
#[derive(Clone, Copy)]
enum Kind {
    Ssh,
    Age,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh-ed25519",
            Self::Age => "X25519",
        }
    }

    /// Makes a key at `path` and gives its public half.
    fn make_key(self, path: &Path) -> Result<Recipient> {
        let text = match self {
            Self::Ssh => {
                Cmd::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).run()?;
                fs::read_to_string(path.with_extension("pub"))?
            }
            Self::Age => {
                use agenix::secrecy::ExposeSecret as _;
                let key = age::x25519::Identity::generate();
                fs::write(path, key.to_string().expose_secret())?;
                key.to_public().to_string()
            }
        };
        Ok(Recipient::parse(&text)?)
    }

    /// How often age multiplies the base point and another point to open a stanza, which is as often as to write one.
    /// `wrap_file_key` and `unwrap_stanza` in age's `ssh/` and `native/x25519.rs`: the base for the public key of
    /// the pair, a point for the shared secret; with ssh keys one more for the tweak.
    fn multiplications(self) -> (f64, f64) {
        match self {
            Self::Ssh => (1.0, 2.0),
            Self::Age => (1.0, 1.0),
        }
    }
}

/// A folder of secrets for three readers, of which the rules name four.
struct World {
    folder: TempDir,
    kind: Kind,
    /// Each file as it is before a rekey.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl World {
    fn new(base: &Path, kind: Kind, count: usize, size: usize) -> Result<Self> {
        let folder = TempDir::new_in(base)?;
        // The user's is the first: which key of this kind opens a file is seen by trying one stanza after the other.
        let names = ["user", "host-1", "host-2", "new-host"];
        let readers: Vec<Recipient> =
            names.iter().map(|name| kind.make_key(&folder.path().join(name))).collect::<Result<_>>()?;
        let keys: String = readers.iter().map(|reader| format!("  {:?}\n", reader.text())).collect();
        let mut rules = format!("let keys = [\n{keys}]; in {{\n");
        let mut files = Vec::new();
        for number in 0..count {
            let name = format!("secret-{number:04}.age");
            rules += &format!("  {name:?}.publicKeys = keys;\n");
            let before = encrypt(&vec![b'x'; size], &readers[..3], Format::Binary)?;
            files.push((folder.path().join(name), before));
        }
        fs::write(folder.path().join("secrets.nix"), rules + "}\n")?;
        Ok(Self { folder, kind, files })
    }

    /// Seconds that a command takes for rekeying everything.
    fn rekey(&self, command: impl FnOnce() -> Cmd) -> Result<f64> {
        self.reset()?;
        let taken = seconds(|| Ok(command().run().map(drop)?))?;
        self.check()?;
        Ok(taken)
    }

    /// All files as they were before, and on disk: writing them is not to be anybody else's work.
    fn reset(&self) -> Result<()> {
        for (path, before) in &self.files {
            fs::write(path, before)?;
        }
        rustix::fs::sync();
        Ok(())
    }

    /// Each file is for whom its rule says.
    fn check(&self) -> Result<()> {
        let secrets = self.secrets(&self.evaluate()?)?;
        let right = |state: &State| matches!(state, State::Found(found) if found.agreement.holds());
        match secrets.survey().iter().find(|finding| !right(&finding.state)) {
            Some(finding) => Err(format!("{} was not rekeyed", finding.rule.path()).into()),
            None => Ok(()),
        }
    }

    fn evaluate(&self) -> Result<String> {
        let argv = evaluate_argv(&self.folder.path().join("secrets.nix"));
        Ok(Cmd::new(&argv[0]).args(&argv[1..]).run()?.text())
    }

    fn secrets(&self, json: &str) -> Result<Secrets> {
        Ok(Secrets::new(Folder::new(self.folder.path())?, Rules::from_json(json)?))
    }

    fn plan_of_what_is_right(&self) -> Result<f64> {
        let json = self.evaluate()?;
        seconds(|| {
            let secrets = self.secrets(&json)?;
            let rules: Vec<&Rule> = secrets.rules().iter().collect();
            let plan = plan(&secrets, &rules, false);
            if plan.right.len() == self.files.len() { Ok(()) } else { Err("not all is right".into()) }
        })
    }

    /// `program` in the folder, without keys or rules of whoever runs this.
    fn command(&self, program: &str) -> Cmd {
        Cmd::new(program)
            .dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .env_remove("RULES")
            .timeout(Duration::from_secs(3600))
    }

    fn agenix(&self) -> Cmd {
        self.command(AGENIX).args(["-r", "-i", "user"])
    }

    fn agenix_on_one_core(&self) -> Cmd {
        self.command("taskset").args(["-c", "0", AGENIX, "-r", "-i", "user"])
    }

    fn shell_loop(&self) -> Cmd {
        self.command("sh").args(["-c", SHELL_LOOP, "shell-loop.sh", "user"])
    }

    /// Seconds that all cores need for the multiplications of a rekey: each file is opened with one stanza and gets
    /// four.
    fn floor(&self) -> f64 {
        let secret = StaticSecret::from([7; 32]);
        let point = *PublicKey::from(&secret).as_bytes();
        let base = per_second(|| _ = black_box(PublicKey::from(black_box(&secret))));
        let other = per_second(|| _ = black_box(x25519(black_box([9; 32]), black_box(point))));
        let (bases, others) = self.kind.multiplications();
        let stanzas = self.files.len() as f64 * (1.0 + 4.0);
        stanzas * (bases / base + others / other)
    }

    /// The most bytes in memory of one rekey, as the kernel tells it while it lasts: without nix, which `time` and
    /// `getrusage` would count with it.
    fn peak_memory(&self) -> Result<f64> {
        self.reset()?;
        let log = self.folder.path().join("log");
        let script = r#"echo $$; exec "$@""#;
        let command = self.command("sh").args(["-c", script, "sh", AGENIX, "-r", "-i", "user"]);
        let running = command.spawn(File::create(&log)?)?;
        let mut peak = 0.0_f64;
        while !running.ended() {
            peak = peak.max(high_water(&log).unwrap_or_default());
            thread::sleep(Duration::from_millis(1));
        }
        self.check()?;
        Ok(peak)
    }
}

/// `VmHWM` of the process whose id is the first line of `log`.
fn high_water(log: &Path) -> Option<f64> {
    let log = fs::read_to_string(log).ok()?;
    let status = fs::read_to_string(format!("/proc/{}/status", log.lines().next()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * KIB as f64)
}

/// How often `work` is done in a second by all cores together.
fn per_second(work: impl Fn() + Sync) -> f64 {
    let done = AtomicUsize::new(0);
    let start = Instant::now();
    let spin = || {
        let mut count = 0;
        while start.elapsed() < SPIN {
            (0..16).for_each(|_| work());
            count += 16;
        }
        done.fetch_add(count, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(spin);
        }
    });
    done.into_inner() as f64 / start.elapsed().as_secs_f64()
}
