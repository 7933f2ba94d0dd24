//! Tab, in real shells: typed at a terminal of tmux, whose screen is looked at.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Clone, XTASK, run};

/// How long a screen may take. It is looked at until it shows what it should.
const PATIENCE: Duration = Duration::from_secs(30);

/// cargo's own completion, or what stands in for it, in the words of a shell.
const CARGO_OF_BASH: &str =
    "_cargo() { COMPREPLY=(); [[ $2 == b* ]] && COMPREPLY=(bench build); }; complete -F _cargo cargo\n";
const CARGO_OF_ZSH: &str = "#compdef cargo\n_cargo() { compadd bench build }\n_cargo \"$@\"\n";

/// A shell in a clone, with the completion as its user would load it.
struct Shell {
    home: tempfile::TempDir,
    clone: Clone,
}

impl Shell {
    /// `argv` starts it; `HOME` is a folder of its own, which `prepare` fills.
    fn start(clone: Clone, argv: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().unwrap();
        prepare(home.path());
        let shell = Self { home, clone };
        let home = shell.home.path().to_str().unwrap();
        let (folder, path) = (shell.clone.path().to_str().unwrap(), std::env::var("PATH").unwrap());
        let variables = [format!("HOME={home}"), format!("PATH={path}"), "LC_ALL=C.UTF-8".to_owned()];
        let mut command =
            vec!["new-session", "-d", "-x", "150", "-y", "60", "-c", folder, "env", "-i", "TERM=screen"];
        command.extend(variables.iter().map(String::as_str));
        command.extend(argv);
        shell.tmux(&command);
        shell.shows("ready>");
        shell
    }

    fn bash(clone: Clone, rc: &str) -> Self {
        let script = script(&clone, "bash");
        Self::start(clone, &["bash", "--noprofile"], |home| {
            fs::write(home.join("cargo-xtask.bash"), script).unwrap();
            fs::write(home.join(".bashrc"), format!("{rc}\nsource ~/cargo-xtask.bash\nPS1='ready> '\n"))
                .unwrap();
        })
    }

    fn zsh(clone: Clone, rc: &str) -> Self {
        let script = script(&clone, "zsh");
        Self::start(clone, &["zsh", "--no-globalrcs"], |home| {
            fs::write(home.join("cargo-xtask.zsh"), script).unwrap();
            fs::create_dir(home.join("functions")).unwrap();
            fs::write(home.join("functions/_cargo"), CARGO_OF_ZSH).unwrap();
            fs::write(home.join(".zshrc"), format!("{rc}\nsource ~/cargo-xtask.zsh\nPROMPT='ready> '\n"))
                .unwrap();
        })
    }

    fn fish(clone: Clone) -> Self {
        let script = script(&clone, "fish");
        Self::start(clone, &["fish"], |home| {
            let folder = home.join(".config/fish/completions");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cargo.fish"), script).unwrap();
            let prompt = "function fish_prompt; echo 'ready> '; end; set fish_greeting\nset fish_autosuggestion_enabled 0\n";
            fs::write(home.join(".config/fish/config.fish"), prompt).unwrap();
        })
    }

    fn tmux(&self, args: &[&str]) -> String {
        let socket = self.home.path().join("tmux");
        let argv = [&["tmux", "-f", "/dev/null", "-S", socket.to_str().unwrap()], args].concat();
        run(&argv, self.clone.path(), &[]).expect(0).stdout
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// A new line on an empty screen, and Tab behind it as often as said.
    fn tab(&self, line: &str, times: usize) -> &Self {
        self.tmux(&["send-keys", "C-u", "C-l"]);
        self.until(&format!("an empty line before `{line}`"), |screen| screen.trim() == "ready>");
        self.tmux(&["send-keys", "-l", line]);
        self.shows(line.trim_end());
        for _ in 0..times {
            self.tmux(&["send-keys", "Tab"]);
        }
        self
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        self.until(&format!("`{text}`"), |screen| screen.contains(text));
    }

    /// All of these words, each by itself.
    #[track_caller]
    fn offers(&self, words: &[&str]) {
        let has = |screen: &str, word: &str| screen.split_whitespace().any(|shown| shown == word);
        self.until(&format!("{words:?}"), |screen| words.iter().all(|word| has(screen, word)));
    }

    /// What was offered has none of these.
    #[track_caller]
    fn offers_none_of(&self, words: &[&str]) {
        let screen = self.screen();
        let offered: Vec<&str> = screen.lines().skip(1).flat_map(str::split_whitespace).collect();
        assert!(
            !words.iter().any(|word| offered.contains(word)),
            "one of {words:?} is offered in:\n{screen}"
        );
    }

    #[track_caller]
    fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if is_there(&self.screen()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        panic!("{what} is not shown in:\n{}", self.screen().trim_end());
    }

    /// What is the same in every shell: `second` is how often Tab is pressed for a list.
    fn completes_our_words(&self, second: usize) {
        self.tab("cargo xtask boo", 1).shows("cargo xtask bootstrap-cluster");
        self.tab("cargo -q xtask st", 1).shows("cargo -q xtask status");
        self.tab("cargo xtask ", second).offers(&["deploy", "rollback", "secrets", "completions"]);
        self.offers_none_of(&["--dry-run", "build"]);
        for line in ["deploy ", "verify ", "logs ", "rollback ", "node remove ", "status maia "] {
            let line = format!("cargo xtask {line}");
            if line.contains("maia") {
                self.tab(&line, 1).shows("maia ocean");
            } else {
                self.tab(&line, second).offers(&["maia", "ocean"]);
            }
        }
        self.tab("cargo xtask deploy --ro", 1).shows("cargo xtask deploy --role");
        self.tab("cargo xtask deploy --role ", second).offers(&["server", "agent"]);
        self.tab("cargo xtask deploy --role=ag", 1).shows("cargo xtask deploy --role=agent");
        self.tab("cargo xtask deploy --tag ", 1).shows("--tag edge");
        self.tab("cargo xtask init --host ma", 1).shows("--host maia=");
        self.tab("cargo xtask secrets edit secrets/k3s-", second).shows("k3s-agent-token.age");
        self.tab("cargo xtask secrets edit secrets/k3s-s", 1).shows("edit secrets/k3s-server-token.age");
        self.tab("cargo xtask rehearse -- token rot", 1).shows("rehearse -- token rotate");
        self.tab("cargo xtask deploy --resume=", 1).shows("--resume=2026-01-02T03-04-05Z-77");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// What is printed; of a clone without a fleet, by a program that is gone.
fn script(clone: &Clone, shell: &str) -> String {
    let script = clone.xtask(&["completions", shell]).expect(0).stdout;
    assert!(script.contains(XTASK), "{script}");
    if clone.path().join("hosts").exists() { script } else { script.replace(XTASK, "/nowhere/xtask") }
}

/// With a tag and a run to offer.
fn clone() -> Clone {
    let clone = Clone::new();
    clone.fleet("[hosts.maia]", "[hosts.maia]\ntags = [\"edge\"]");
    fs::create_dir_all(clone.path().join(".xtask/runs/2026-01-02T03-04-05Z-77")).unwrap();
    clone
}

#[test]
fn bash_completes_our_words_and_leaves_cargos_to_cargo() {
    let shell = Shell::bash(clone(), CARGO_OF_BASH);
    shell.completes_our_words(2);
    shell.tab("cargo b", 2).offers(&["bench", "build"]);
    shell.tab("cargo build xt", 2);
    shell.offers_none_of(&["deploy"]);
}

#[test]
fn bash_loads_cargos_completion_when_it_is_wanted() {
    let on_demand = "source /usr/share/bash-completion/bash_completion\n\
        mkdir -p ~/.local/share/bash-completion/completions\n\
        cat > ~/.local/share/bash-completion/completions/cargo <<'END'\n"
        .to_owned()
        + CARGO_OF_BASH
        + "END\n";
    let shell = Shell::bash(clone(), &on_demand);
    shell.tab("cargo b", 2).offers(&["bench", "build"]);
    shell.tab("cargo xtask boo", 1).shows("cargo xtask bootstrap-cluster");
    shell.tab("cargo b", 2).offers(&["bench", "build"]);
}

#[test]
fn bash_alone_has_our_words() {
    let shell = Shell::bash(clone(), "");
    shell.completes_our_words(2);
    // As without us: files.
    shell.tab("cargo fl", 1).shows("cargo flake.nix");
}

#[test]
fn zsh_completes_our_words_and_leaves_cargos_to_cargo() {
    let shell = Shell::zsh(clone(), "fpath+=(~/functions)\nautoload -Uz compinit; compinit -D -u");
    shell.completes_our_words(1);
    shell.tab("cargo b", 1).offers(&["bench", "build"]);
    // With what each is.
    shell.tab("cargo xtask verify ", 1).offers(&["maia", "--", "agent"]);
}

#[test]
fn zsh_without_any_completion_gets_it() {
    let shell = Shell::zsh(clone(), "");
    shell.tab("cargo xtask boo", 1).shows("cargo xtask bootstrap-cluster");
    shell.tab("cargo fl", 1).shows("cargo flake.nix");
}

#[test]
fn fish_completes_our_words_and_leaves_cargos_to_cargo() {
    let shell = Shell::fish(clone());
    shell.completes_our_words(1);
    shell.tab("cargo be", 1).shows("cargo bench");
    shell.tab("cargo xtask verify ", 1).offers(&["maia", "(agent)"]);
    // `check` and `init` are words of both.
    shell.tab("cargo check --rel", 1).shows("cargo check --release");
    shell.tab("cargo xtask init --", 1).offers(&["--admin", "--host"]);
    shell.offers_none_of(&["--bin", "--lib", "--vcs"]);
}

#[test]
fn a_name_is_a_word_and_never_a_command() {
    let with_bad_name = || {
        let clone = clone();
        fs::create_dir_all(clone.path().join("secrets")).unwrap();
        fs::write(clone.path().join("secrets/x $(touch pwned);touch pwned.age"), "").unwrap();
        clone
    };
    for shell in
        [Shell::bash(with_bad_name(), ""), Shell::zsh(with_bad_name(), ""), Shell::fish(with_bad_name())]
    {
        shell.tab("cargo xtask secrets show secrets/x", 1).shows("touch");
        // Run with `true` in front: it takes any words.
        shell.tmux(&["send-keys", "C-a"]);
        shell.tmux(&["send-keys", "-l", "true "]);
        shell.tmux(&["send-keys", "C-e"]);
        shell.tmux(&["send-keys", "-l", "; echo done-4''2"]);
        shell.tmux(&["send-keys", "Enter"]);
        shell.shows("done-42");
        assert!(!shell.clone.path().join("pwned").exists(), "{}", shell.screen());
    }
}

#[test]
fn a_program_that_is_gone_is_not_missed_aloud() {
    let bare = || {
        let clone = Clone::new();
        fs::remove_dir_all(clone.path().join("hosts")).unwrap();
        clone
    };
    for shell in [Shell::bash(bare(), ""), Shell::zsh(bare(), ""), Shell::fish(bare())] {
        // The shell's own answer is a file.
        shell.tab("cargo xtask fl", 1).shows("cargo xtask flake.nix");
        assert_eq!(shell.screen().trim(), "ready> cargo xtask flake.nix");
    }
}

#[test]
fn what_cannot_be_read_is_not_offered_and_says_nothing() {
    let clone = clone();
    let offered = |words: &[&str]| {
        let answer = clone.xtask(&[&["completions", "bash", "--", "xtask"], words].concat()).expect(0);
        assert_eq!(answer.stderr, "");
        answer.stdout
    };
    clone.fleet("[cluster]", "[cluster");
    assert_eq!(offered(&["deploy", ""]).lines().next(), Some("--role"), "no host, and so the options");
    assert_eq!(offered(&["boo"]), "bootstrap-cluster\n");
    fs::write(clone.path().join("secrets.nix"), "{ \"a.age\" =").unwrap();
    assert!(!offered(&["secrets", "edit", ""]).contains("a.age"));
    fs::remove_file(clone.path().join("hosts/fleet.toml")).unwrap();
    assert_eq!(offered(&["boo"]), "", "another project's xtask is not ours");
}

/// With nothing on the PATH it does the same: neither nix nor git nor anything else is started. And it is quick.
#[test]
fn a_tab_reads_files_and_starts_nothing() {
    let clone = clone();
    fs::create_dir_all(clone.path().join("secrets")).unwrap();
    fs::write(clone.path().join("secrets/by-hand.age"), "").unwrap();
    let mut times = Vec::new();
    for _ in 0..9 {
        let begun = Instant::now();
        let ask = ["completions", "fish", "--", "xtask", "secrets", "edit", ""];
        let answer = clone.xtask_with(&ask, &[("PATH", "/nowhere")]).expect(0);
        times.push(begun.elapsed());
        assert_eq!(
            (answer.stdout.as_str(), answer.stderr.as_str()),
            (
                "secrets/by-hand.age\twritten\nsecrets/k3s-agent-token.age\tnot written yet\n\
                 secrets/k3s-server-token.age\tnot written yet\n",
                ""
            )
        );
    }
    times.sort();
    assert!(times[4] < Duration::from_millis(100), "{times:?}");
}

#[test]
fn names_are_those_that_one_would_type_in_this_folder() {
    let clone = clone();
    let ask = |folder: &str, words: &[&str]| {
        let argv = [&[XTASK, "completions", "bash", "--", "xtask"], words].concat();
        run(&argv, &clone.path().join(folder), &[]).expect(0).stdout
    };
    fs::create_dir_all(clone.path().join("secrets")).unwrap();
    fs::write(clone.path().join("secrets/wifi.age"), "").unwrap();
    assert_eq!(ask("secrets", &["secrets", "show", ""]), "wifi.age\n");
    assert_eq!(ask("hosts/maia", &["secrets", "show", ""]), "secrets/wifi.age\n");
    assert_eq!(
        ask("", &["secrets", "new", "secrets/"]),
        "secrets/k3s-agent-token.age\nsecrets/k3s-server-token.age\n"
    );
    assert_eq!(ask("", &["secrets", "rekey", "--only", ""]), "secrets/wifi.age\n");
    assert_eq!(ask("", &["node", "add", "alma", "--build-on", ""]), "target\nlocal\nmaia\nocean\n");
    assert_eq!(ask("", &["node", "add", "alma", "--label", "ncr"]), "ncrmro.com/region=us-south-2\n");
}
