//! Reports of real runs, opened in a real browser; and the history.

mod browser;

use std::cell::OnceCell;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use expect_test::expect;
use lab::Lab;
use serde_json::{Value, json};

use self::browser::Browser;
use crate::events::validate_journal;
use crate::support::{Clone, configure, enter_lab, repository, run, xtask};

/// What a host may say: each would be something else than text if it came into the page, or onto the terminal, as it is.
const HOSTILE: &str = "system.activationScripts.hostile = \
    \"printf '</pre><script>console.error(1)</script><img src=http://127.0.0.1:9/x> \\\\033[31mred \\\\342\\\\200\\\\256drow\\\\n'\";";
/// A unit that fails: its host does not pass its gate, and goes back.
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

/// Where the reports are taken out of the lab, which only root inside of it sees.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_reports_of_a_good_and_of_a_bad_run_open_in_a_browser() {
    const NAME: &str = "report::the_reports_of_a_good_and_of_a_bad_run_open_in_a_browser";
    // Held from before the lab is entered: in there the folder has no name.
    let out = OnceCell::new();
    let hold_out = || {
        let _ = out.set(File::open(kept("")).unwrap());
        repository()
    };
    enter_lab(NAME, hold_out, |lab| {
        let keep_newest = |name: &str| keep_newest(lab, out.get().expect("it is held"), name);
        xtask(lab, &["bootstrap-cluster"]).expect(0).says("report: .xtask/runs/");
        keep_newest("report-good.html");
        every_answer_of_a_cluster_is_told_in_events(lab);
        configure(lab, "ocean", "environment.etc.\"motd-of-the-day\".text = \"hello\";");
        configure(lab, "maia", &format!("{HOSTILE}\n{TROUBLE}"));
        let failing = ["deploy", "ocean", "maia", "--gate-timeout", "2", "--json"];
        let failed = xtask(lab, &failing).expect(7).events();
        let last = &failed[failed.len() - 1];
        assert_eq!(last["event"], "report");
        assert_eq!(last["path"], format!(".xtask/runs/{}/report.html", last["run"].as_str().unwrap()));
        keep_newest("report-bad.html");
        the_history_is_listed(lab);
        a_run_is_told_in_the_terminal(lab);
        the_report_of_a_killed_run_is_made_later(lab);
    });
    // What follows is for the program outside of the lab's namespaces alone.
    if lab::is_inside() {
        return;
    }
    let browser = Browser::start();
    the_browser_sees_what_is_wrong(&browser);
    for name in ["report-good", "report-bad"] {
        for scheme in ["light", "dark"] {
            for width in [1280, 360] {
                is_well_made(&browser, name, scheme, width);
            }
        }
    }
    the_keyboard_reaches_all_of_it(&browser);
    nothing_that_a_host_said_is_markup(&browser);
}

/// Whatever they come to: that they are as documented is looked at wherever a test calls the tool.
fn every_answer_of_a_cluster_is_told_in_events(lab: &Lab) {
    for (args, kind) in [
        (&["verify"][..], "run-finished"),
        (&["status"], "host"),
        (&["doctor", "-v"], "well"),
        (&["check"], "check"),
        (&["token", "check"], "token"),
        (&["token", "sync"], "secret-finished"),
        (&["secrets", "list"], "secret"),
        (&["secrets", "rekey"], "rekeyed"),
        (&["kubeconfig"], "kubeconfig"),
        (&["deploy", "maia", "--dry-run"], "planned-step"),
    ] {
        let events = xtask(lab, &[args, &["--json"]].concat()).expect(0).events();
        assert!(events.iter().any(|event| event["event"] == kind), "{args:?} tells no `{kind}`: {events:?}");
    }
}

fn runs(lab: &Lab) -> PathBuf {
    lab.deployer().path("/cluster/.xtask/runs")
}

fn newest(lab: &Lab) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(runs(lab)).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.pop().unwrap()
}

fn keep_newest(lab: &Lab, out: &File, name: &str) {
    let run = newest(lab);
    validate_journal(&fs::read_to_string(run.join("events.jsonl")).unwrap());
    fs::copy(run.join("report.html"), format!("/proc/self/fd/{}/{name}", out.as_raw_fd())).unwrap();
}

fn the_history_is_listed(lab: &Lab) {
    let list = xtask(lab, &["report", "--list"]).expect(0).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[1].contains("failed (7)") && lines[1].ends_with("deploy ocean maia"), "{list}");
    assert!(lines[2].contains("ok") && lines[2].ends_with("bootstrap mercury"), "{list}");
    let events = xtask(lab, &["report", "--list", "--json"]).expect(0).events();
    let told = |event: &Value| (event["outcome"].clone(), event["exit_code"].clone());
    assert_eq!(
        events.iter().map(told).collect::<Vec<_>>(),
        [(json!("failed"), json!(7)), (json!("ok"), json!(0))]
    );
    let one = xtask(lab, &["report", "--json"]).expect(0).events();
    assert_eq!(one, [events[0].clone()]);
}

fn a_run_is_told_in_the_terminal(lab: &Lab) {
    let told = xtask(lab, &["report"]).expect(0).stdout;
    assert!(told.starts_with("deploy ocean maia  failed: a verification failed (exit code 7)\n"), "{told}");
    assert!(told.contains("error: maia is not well") && told.contains("trouble.service failed"), "{told}");
    assert!(told.contains("report: /cluster/.xtask/runs/"), "{told}");
    assert!(!told.contains('\x1b'), "{told}");
    let id = newest(lab).file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(xtask(lab, &["report", &id, "--print"]).expect(0).stdout, told);
}

/// As its journal was when it died: in the middle of a line.
fn the_report_of_a_killed_run_is_made_later(lab: &Lab) {
    let killed = runs(lab).join("2020-01-01T00-00-00Z-1");
    fs::create_dir(&killed).unwrap();
    let text = fs::read_to_string(newest(lab).join("events.jsonl")).unwrap();
    let end = text.find("\"step\":\"activate\"").expect("it came that far") + 200;
    fs::write(killed.join("events.jsonl"), &text[..end]).unwrap();
    let told = xtask(lab, &["report", "2020"]).expect(0).stdout;
    assert!(told.contains("no end is known: it was killed, or goes on"), "{told}");
    assert!(told.contains("no end of activate is known"), "{told}");
    let page = fs::read_to_string(killed.join("report.html")).unwrap();
    assert!(page.contains("class=cut-off") && page.ends_with("</html>\n"));
    xtask(lab, &["report", "2020-02"]).expect(2).says("did you mean 2020-01-01T00-00-00Z-1?");
    fs::remove_dir_all(killed).unwrap();
}

/// The positive control: a page with all that the others must not have.
fn the_browser_sees_what_is_wrong(browser: &Browser) {
    let page = "<!doctype html><title>x</title><script>console.error('seen')</script>\
                <img src=http://127.0.0.1:9/x><div style='width:3000px'>x</div><p style='color:#999'>faint</p>";
    let path = kept("report-control.html");
    fs::write(&path, page).unwrap();
    let seen = browser.open(&path, "light", 360);
    assert!(seen.console.iter().any(|line| line.contains("seen")), "{seen:?}");
    assert_eq!(seen.requests.len(), 2, "{seen:?}");
    assert!(seen.width > 360, "{seen:?}");
    assert_eq!(browser.ask(include_str!("report/contrast.js")), json!(["2.85 faint"]));
}

fn is_well_made(browser: &Browser, name: &str, scheme: &str, width: u32) {
    let path = kept(&format!("{name}.html"));
    let seen = browser.open(&path, scheme, width);
    assert_eq!(seen.console, Vec::<String>::new(), "{name} {scheme} {width}");
    let page = format!("file://{}", path.display());
    assert_eq!(seen.requests, [page], "{name} {scheme} {width}");
    assert_eq!(seen.width, width, "{name} {scheme} {width}: it is wider than the screen");
    browser.photograph(&kept(&format!("{name}-{scheme}-{width}.png")));
    let background = browser.ask("getComputedStyle(document.body).backgroundColor");
    let is_light = background == "rgb(252, 252, 251)";
    assert_eq!(is_light, scheme == "light", "{background}");
    let faint = browser.ask(include_str!("report/contrast.js"));
    assert_eq!(faint, json!([]), "{name} {scheme} {width}: too faint to read");
}

fn the_keyboard_reaches_all_of_it(browser: &Browser) {
    browser.open(&kept("report-bad.html"), "light", 1280);
    let focused = "(e => e.tagName.toLowerCase() + ' ' + (e.getAttribute('href') || e.textContent.slice(0, 20)))(document.activeElement)";
    browser.press(browser::TAB);
    assert_eq!(browser.ask(focused), "a #main");
    let mut visited = Vec::new();
    for _ in 0..200 {
        browser.press(browser::TAB);
        visited.push(browser.ask(focused).as_str().unwrap().to_owned());
        if visited.last().unwrap().starts_with("summary") {
            break;
        }
    }
    assert!(visited.iter().any(|it| it == "a #s0"), "no step of the timeline: {visited:?}");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.ask(outline), "solid", "where the focus is can be seen");
    let opened = "document.activeElement.parentElement.open";
    assert_eq!(browser.ask(opened), json!(false), "{visited:?}");
    browser.press(browser::ENTER);
    assert_eq!(browser.ask(opened), json!(true), "{visited:?}");
}

fn nothing_that_a_host_said_is_markup(browser: &Browser) {
    browser.open(&kept("report-bad.html"), "light", 1280);
    assert_eq!(
        browser.ask("document.querySelectorAll('script, img, iframe, link, object').length"),
        json!(0)
    );
    let said = browser.ask("[...document.querySelectorAll('pre')].map(e => e.textContent).join()");
    let said = said.as_str().unwrap();
    assert!(
        said.contains("</pre><script>console.error(1)</script>"),
        "the control: it is there as text\n{said}"
    );
    assert!(said.contains(" red \u{fffd}drow"), "{said}");
    // Whoever listens to it.
    let tables =
        "[...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('th[scope=col]'))";
    assert_eq!(browser.ask(tables), json!(true));
    assert_eq!(browser.ask("document.querySelectorAll('h1').length"), json!(1));
    assert_eq!(browser.ask("document.documentElement.lang"), "en");
    let named = "[...document.querySelectorAll('svg a')].every(a => a.getAttribute('aria-label') && a.querySelector('title'))";
    assert_eq!(browser.ask(named), json!(true));
}

#[test]
fn without_a_run_there_is_a_kind_word() {
    let clone = Clone::new();
    clone.refuses(
        &["report"],
        2,
        &expect![[r#"
        error: there is no run to report yet: nothing was deployed from this clone
        hint: cargo xtask rehearse tries it on throwaway machines; cargo xtask deploy HOST is the first
    "#]],
    );
    let list = clone.xtask(&["report", "--list"]).expect(0);
    assert_eq!(list.stdout, "no run yet; cargo xtask deploy HOST makes one\n");
    clone.refuses(
        &["report", "2026"],
        2,
        &expect![[r#"
        error: there is no run `2026`
        hint: no run has been kept yet: cargo xtask deploy HOST
    "#]],
    );
    clone.xtask(&["report", "--list", "--print"]).expect(2).says("cannot be used with");
    run(&["mkdir", "-p", ".xtask/runs/2026-11-27T00-00-00Z-1"], clone.path(), &[]).expect(0);
    clone.refuses(
        &["report", "2026"],
        3,
        &expect![[r#"
        error: failed to read the journal of the run 2026-11-27T00-00-00Z-1
        hint: is it of another version? it is in .xtask/runs/2026-11-27T00-00-00Z-1/events.jsonl
    "#]],
    );
}

/// What `xdg-open` is given, and what becomes of a summary where it fails.
#[test]
fn a_report_is_opened_where_there_is_a_display() {
    let clone = Clone::new();
    let id = "2026-11-27T00-00-00Z-1";
    let folder = clone.path().join(".xtask/runs").join(id);
    fs::create_dir_all(&folder).unwrap();
    let first = json!({"event": "run", "version": 1, "id": id, "title": "deploy maia", "at": "2026-11-27T00:00:00.000Z"});
    let end = json!({"event": "end", "exit_code": 0, "at": "2026-11-27T00:00:01.500Z"});
    fs::write(folder.join("events.jsonl"), format!("{first}\n{end}\n")).unwrap();
    let opener = clone.path().join("xdg-open");
    let path = format!("{}:{}", clone.path().display(), std::env::var("PATH").unwrap());
    let at_desk = |script: &str, display: &str| {
        fs::write(&opener, format!("#!/bin/sh\necho \"$@\" > {}/shown\n{script}\n", clone.path().display()))
            .unwrap();
        run(&["chmod", "+x", opener.to_str().unwrap()], clone.path(), &[]).expect(0);
        let env = [("DISPLAY", display), ("WAYLAND_DISPLAY", ""), ("PATH", &path)];
        crate::support::run_at_terminal(&[crate::support::XTASK, "report"], clone.path(), &env, ("?", ""))
            .expect(0)
            .stdout
    };
    let page = folder.join("report.html").display().to_string();
    assert!(at_desk("", ":0").starts_with(&format!("opened {page}")));
    assert_eq!(fs::read_to_string(clone.path().join("shown")).unwrap().trim(), page);
    // One that stays in front is left alone.
    assert!(at_desk("sleep 5", ":0").starts_with("opened "));
    assert!(at_desk("exit 3", ":0").contains("deploy maia"));
    assert!(at_desk("", "").contains("deploy maia"));
    assert!(
        clone
            .xtask_with(&["report"], &[("DISPLAY", ":0"), ("PATH", &path)])
            .expect(0)
            .stdout
            .contains("1.5 s")
    );
}
