//! Small runs, told in a few lines: what comes of them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{Story, critical, html, tables, text, timeline};

/// A journal: each event with the time at which it came, in milliseconds.
struct Told(String);

impl Told {
    fn new(title: &str) -> Self {
        let mut told = Self(String::new());
        told.at(0, json!({"event": "run", "version": 1, "id": "2026-11-27T10-00-00Z-1", "title": title}));
        told
    }

    fn at(&mut self, milliseconds: u64, mut event: Value) {
        event["at"] =
            format!("2026-11-27T10:00:{:02}.{:03}Z", milliseconds / 1000, milliseconds % 1000).into();
        let _ = writeln!(self.0, "{event}");
    }

    fn begin(&mut self, at: u64, stage: &str, subject: &str, step: &str) {
        self.at(at, json!({"event": "step-started", "stage": stage, "subject": subject, "step": step}));
    }

    fn end(&mut self, at: u64, stage: &str, subject: &str, step: &str, outcome: &str) {
        let field = match outcome {
            "skipped" => "reason",
            "failed" => "error",
            _ => "detail",
        };
        let mut event = json!({"event": "step-finished", "stage": stage, "subject": subject, "step": step,
            "outcome": outcome, "milliseconds": 1});
        event[field] = format!("{step} {outcome}").into();
        self.at(at, event);
    }

    fn story(&self) -> Story {
        Story::read(&self.0).expect("a journal")
    }
}

/// Two agents of which one has to wait for the only thread, behind a server; each with two steps.
fn three_hosts() -> Told {
    let mut told = Told::new("deploy ocean maia reef");
    told.begin(0, "server", "ocean", "activate");
    told.end(2000, "server", "ocean", "activate", "changed");
    told.begin(2000, "server", "ocean", "verify");
    told.end(2500, "server", "ocean", "verify", "done");
    told.begin(2500, "agents", "maia", "activate");
    told.begin(2500, "agents", "reef", "activate");
    told.end(3000, "agents", "reef", "activate", "skipped");
    told.begin(3000, "agents", "reef", "verify");
    told.end(3100, "agents", "reef", "verify", "done");
    told.end(6000, "agents", "maia", "activate", "changed");
    told.begin(6000, "agents", "maia", "verify");
    told
}

fn path(story: &Story, expect: &Expect) {
    let path = critical::path(story);
    let words = path.iter().map(|index| {
        let id = &story.steps[*index].id;
        format!("{} {}", id.subject, id.step)
    });
    expect.assert_eq(&words.collect::<Vec<_>>().join(", "));
}

#[test]
fn the_critical_path_is_what_the_end_waited_for() {
    let mut told = three_hosts();
    told.end(7000, "agents", "maia", "verify", "done");
    path(&told.story(), &expect!["ocean activate, ocean verify, maia activate, maia verify"]);
    assert_eq!(critical::length(&told.story(), &critical::path(&told.story())), 7000);
}

#[test]
fn the_critical_path_goes_through_whoever_held_the_thread() {
    let mut told = Told::new("deploy maia reef --jobs 1");
    told.begin(0, "agents", "maia", "activate");
    told.end(3000, "agents", "maia", "activate", "changed");
    told.begin(3000, "agents", "reef", "activate");
    told.end(4000, "agents", "reef", "activate", "changed");
    path(&told.story(), &expect!["maia activate, reef activate"]);
}

#[test]
fn the_critical_path_of_a_killed_run_leads_to_what_was_under_way() {
    let told = three_hosts();
    path(&told.story(), &expect!["ocean activate, ocean verify, maia activate, maia verify"]);
    path(&Told::new("nothing").story(), &expect![""]);
}

#[test]
fn a_name_that_comes_back_is_another_step() {
    let mut told = Told::new("deploy maia --reboot");
    told.begin(0, "agents", "maia", "verify");
    told.end(100, "agents", "maia", "verify", "done");
    told.begin(100, "agents", "maia", "reboot");
    told.end(900, "agents", "maia", "reboot", "changed");
    told.begin(900, "agents", "maia", "verify");
    told.at(
        950,
        json!({"event": "step-fact", "stage": "agents", "subject": "maia", "step": "verify",
        "name": "evidence", "value": "node: Ready"}),
    );
    told.end(1000, "agents", "maia", "verify", "done");
    let story = told.story();
    let facts: Vec<usize> = story.steps.iter().map(|step| step.facts.len()).collect();
    assert_eq!((facts, story.stages.len()), (vec![0, 0, 1], 1));
    path(&story, &expect!["maia verify, maia reboot, maia verify"]);
}

#[test]
fn how_it_ended_is_told_whatever_the_journal_knows() {
    let ended = |more: &[Value]| {
        let mut told = three_hosts();
        more.iter().for_each(|event| told.at(7000, event.clone()));
        let story = told.story();
        format!("{} {:?}: {}\n", story.outcome(), story.exit_code(), story.verdict())
    };
    let finished =
        |ok: bool| json!({"event": "run-finished", "ok": ok, "not_reached": [], "milliseconds": 1});
    let failure =
        json!({"event": "failure", "error": "no", "tail": [], "notes": [], "hint": null, "exit_code": 7});
    let end = |code: u8| json!({"event": "end", "exit_code": code});
    // The second and the third as versions without an `end` wrote them.
    let all = [
        ended(&[]),
        ended(&[finished(true)]),
        ended(&[finished(false), failure.clone()]),
        ended(&[finished(false), failure, end(7)]),
        ended(&[end(130)]),
        ended(&[json!({"event": "of the future", "what": {}}), end(0)]),
    ];
    expect![[r#"
        unfinished None: no end is known: it was killed, or goes on
        ok Some(0): done
        failed Some(7): failed: a verification failed
        failed Some(7): failed: a verification failed
        interrupted Some(130): interrupted
        ok Some(0): done
    "#]]
    .assert_eq(&all.concat());
    assert!(Story::read("").is_none());
    assert!(Story::read(&Told::new("x").0.replace("\"version\":1", "\"version\":2")).is_none());
}

#[test]
fn a_table_tells_what_a_bar_shows() {
    let mut told = three_hosts();
    told.at(
        6500,
        json!({"event": "step-progress", "stage": "agents", "subject": "maia", "step": "verify",
        "line": "<b>it</b> waits"}),
    );
    told.end(7000, "agents", "maia", "verify", "failed");
    let story = told.story();
    let path = critical::path(&story);
    expect![[r#"
        <table role=table class="hosts"><caption>How it went on each host</caption><thead role=rowgroup><tr role=row><th role=columnheader scope=col>Host</th><th role=columnheader scope=col>Changed</th><th role=columnheader scope=col>Skipped</th><th role=columnheader scope=col>Time</th><th role=columnheader scope=col>Outcome</th></tr></thead>
        <tbody role=rowgroup>
        <tr role=row><th role=rowheader scope=row>ocean</th><td role=cell class="number labelled"><span class=label>changed </span>1</td><td role=cell class="number labelled"><span class=label>skipped </span>0</td><td role=cell class="number">2.5 s</td><td role=cell class="words">verify done</td></tr>
        <tr role=row><th role=rowheader scope=row>maia</th><td role=cell class="number labelled"><span class=label>changed </span>1</td><td role=cell class="number labelled"><span class=label>skipped </span>0</td><td role=cell class="number">4.5 s</td><td role=cell class="words failed">failed at verify</td></tr>
        <tr role=row><th role=rowheader scope=row>reef</th><td role=cell class="number labelled"><span class=label>changed </span>0</td><td role=cell class="number labelled"><span class=label>skipped </span>1</td><td role=cell class="number">600 ms</td><td role=cell class="words">verify done</td></tr>
        </tbody></table>
    "#]].assert_eq(&tables::hosts(&story));
    let steps = tables::steps(&story, &path);
    let row = steps.lines().find(|line| line.contains("id=s4")).unwrap();
    expect![[r#"<tr role=row id=s4><td role=cell class="outcome"><span class="mark done"><span aria-hidden=true>✓</span> done</span></td><td role=cell class="host">reef</td><td role=cell class="step">verify</td><td role=cell class="number">100 ms</td><td role=cell class="words">verify done</td></tr>"#]].assert_eq(row);
    expect![[r##"
        <p>These steps waited for one another and made the run as long as it was: 7.0 s of 7.0 s. Any other could have taken longer.</p>
        <ol class=path>
        <li><a href="#s0"><span>ocean</span> activate</a> <span class=number>2.0 s</span><span class=share aria-hidden=true><span style="width:28%"></span></span></li>
        <li><a href="#s1"><span>ocean</span> verify</a> <span class=number>500 ms</span><span class=share aria-hidden=true><span style="width:7%"></span></span></li>
        <li><a href="#s2"><span>maia</span> activate</a> <span class=number>3.5 s</span><span class=share aria-hidden=true><span style="width:50%"></span></span></li>
        <li><a href="#s5"><span>maia</span> verify</a> <span class=number>1.0 s</span><span class=share aria-hidden=true><span style="width:14%"></span></span></li>
        </ol>
    "##]].assert_eq(&tables::critical(&story, &path));
}

#[test]
fn a_bar_is_a_link_with_words() {
    let mut told = Told::new("deploy maia");
    told.begin(0, "agents", "maia", "activate");
    told.end(1000, "agents", "maia", "activate", "changed");
    let story = told.story();
    expect![[r##"
        <div class=timeline>
        <div class=names aria-hidden=true>
        <span>maia</span>
        </div>
        <div class=drawing role=region aria-label="Timeline" tabindex=0>
        <svg role=group aria-label="one step over 1.0 s" width="100%" height="88">
        <svg class="band" x="0.00%" y=0 width="100.00%" height="88"><title>stage agents, 1.0 s</title><rect width="100%" height="100%" /><text x=5 y=17>agents</text></svg>
        <line class=tick x1="0.00%" x2="0.00%" y1=26 y2=67 /><text class=time x="0.00%" y=81>0</text>
        <line class=tick x1="20.00%" x2="20.00%" y1=26 y2=67 /><text class=time x="20.00%" y=81>200 ms</text>
        <line class=tick x1="40.00%" x2="40.00%" y1=26 y2=67 /><text class=time x="40.00%" y=81>400 ms</text>
        <line class=tick x1="60.00%" x2="60.00%" y1=26 y2=67 /><text class=time x="60.00%" y=81>600 ms</text>
        <line class=tick x1="80.00%" x2="80.00%" y1=26 y2=67 /><text class=time x="80.00%" y=81>800 ms</text>
        <line class=tick x1="100.00%" x2="100.00%" y1=26 y2=67 /><text class=time text-anchor=end x="100.00%" y=81>1 s</text>
        <line class=row x1=0 x2="100%" y1=26 y2=26 />
        <g class=critical aria-hidden=true>
        <line x1="0.00%" x2="100.00%" y1=57 y2=57 />
        </g>
        <a href="#s0" class=changed aria-label="maia, activate: changed, 1.0 s, on the critical path"><title>maia, activate: changed, 1.0 s, on the critical path
        activate changed</title><svg x="0.00%" y=31 width="100.00%" height=22><rect width="100%" height="100%" rx=3 /><text x=6 y=15 aria-hidden=true>activate</text></svg></a>
        </svg>
        </div>
        </div>
    "##]].assert_eq(&timeline::timeline(&story, &critical::path(&story)));
}

#[test]
fn what_was_built_and_copied_is_told_with_its_amounts() {
    let mut told = Told::new("deploy maia");
    let of = |step: &str| json!({"stage": "build", "subject": "maia", "step": step});
    let with = |step: &str, more: Value| {
        let mut event = of(step);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    told.begin(0, "build", "maia", "build");
    for done in [1, 3] {
        told.at(500, with("build", json!({"event": "step-amount", "builds": {"done": done, "expected": 3}})));
    }
    told.at(
        900,
        with("build", json!({"event": "step-fact", "name": "system", "value": "/nix/store/abc-maia"})),
    );
    told.end(1000, "build", "maia", "build", "done");
    told.begin(1000, "build", "maia", "copy");
    told.end(1500, "build", "maia", "copy", "done");
    expect![[r#"
        <table role=table class="built"><caption>Systems, where they came from and how they got there</caption><thead role=rowgroup><tr role=row><th role=columnheader scope=col>What</th><th role=columnheader scope=col>Store path</th><th role=columnheader scope=col>Built</th><th role=columnheader scope=col>Copied</th></tr></thead>
        <tbody role=rowgroup>
        <tr role=row><th role=rowheader scope=row>maia</th><td role=cell class="path"><code>/nix/store/abc-maia</code></td><td role=cell class="words labelled"><span class=label>built: </span>3 derivations, 1.0 s</td><td role=cell class="words labelled"><span class=label>copied: </span>copy done, 500 ms</td></tr>
        </tbody></table>
    "#]].assert_eq(&tables::built(&told.story()).unwrap());
    assert_eq!(tables::built(&three_hosts().story()), None);
}

#[test]
fn a_run_that_was_refused_is_a_page_too() {
    let mut told = Told::new("deploy <maia>");
    told.at(
        10,
        json!({"event": "failure", "stage": null, "subject": null, "step": null,
        "error": "no & never", "tail": ["<a line>"], "notes": ["a note"], "hint": "a hint", "exit_code": 3}),
    );
    told.at(10, json!({"event": "end", "exit_code": 3}));
    let story = told.story();
    let page = html(&story);
    let body = &page[page.find("</head>").unwrap()..];
    expect![[r##"
        </head>
        <body>
        <a class=skip href="#main">Skip to the report</a>
        <header class=failed>
        <p class=verdict>failed: configuration or secrets</p>
        <h1>deploy &lt;maia&gt;</h1>
        <dl>
        <div><dt>Begun</dt><dd><time datetime="2026-11-27T10:00:00.000Z">2026-11-27 10:00:00 UTC</time></dd></div>
        <div><dt>Took</dt><dd>10 ms</dd></div>
        <div><dt>Steps</dt><dd>none</dd></div>
        <div><dt>Exit code</dt><dd>3</dd></div>
        <div><dt>Run</dt><dd><code>2026-11-27T10-00-00Z-1</code></dd></div>
        </dl>
        </header>
        <nav aria-label=Sections><ul>
        <li><a href="#failures">What failed</a></li>
        </ul></nav>
        <main id=main tabindex=-1>
        <section aria-labelledby=failures>
        <h2 id=failures tabindex=-1>What failed</h2>
        <article class=failure>
        <h3>no &amp; never</h3>
        <pre tabindex=0 aria-label="its last lines">&lt;a line&gt;
        </pre>
        <p><strong>note</strong> a note</p>
        <p class=hint><strong>hint</strong> a hint</p>
        <p class=code>exit code 3</p>
        </article>
        </section>
        </main>
        <footer><p>Made by <code>cargo xtask</code> from <code>.xtask/runs/2026-11-27T10-00-00Z-1/events.jsonl</code>. Again: <code>cargo xtask report 2026-11-27T10-00-00Z-1</code></p></footer>
        </body>
        </html>
    "##]].assert_eq(body);
    expect![[r#"
        deploy <maia>  failed: configuration or secrets (exit code 3)
        2026-11-27 10:00:00 UTC, 10 ms

        error: no & never
          │ <a line>
        note: a note
        hint: a hint
    "#]]
    .assert_eq(&text(&story));
}

#[test]
fn a_text_is_a_run_at_a_glance() {
    let mut told = three_hosts();
    told.end(7000, "agents", "maia", "verify", "failed");
    told.at(
        7000,
        json!({"event": "run-finished", "ok": false, "milliseconds": 7000,
        "not_reached": [{"stage": "agents", "subject": "maia", "step": "boot default"}]}),
    );
    told.at(7000, json!({"event": "failure", "stage": "agents", "subject": "maia", "step": "verify",
        "error": "maia is not well", "tail": ["\u{1b}[31mred\u{1b}[0m\u{7}"], "notes": [], "hint": "look", "exit_code": 7}));
    told.at(7000, json!({"event": "end", "exit_code": 7}));
    expect![[r#"
        deploy ocean maia reef  failed: a verification failed (exit code 7)
        2026-11-27 10:00:00 UTC, 7.0 s

                 changed  skipped    time  outcome
          ocean        1        0   2.5 s  verify done
          maia         1        0   4.5 s  failed at verify
          reef         0        1  600 ms  verify done

        what it waited for most: maia activate 3.5 s, ocean activate 2.0 s, maia verify 1.0 s

        error: maia is not well
          │ red�
        hint: look
    "#]]
    .assert_eq(&text(&told.story()));
}
