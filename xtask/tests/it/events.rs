//! `docs/events.schema.json` against what the tool says: every answer to `--json` that any test gets comes through here.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use boon::{Compiler, SchemaIndex, Schemas};
use expect_test::{expect, expect_file};
use serde_json::{Value, json};

use crate::secrets::Cluster;
use crate::support::{Answer, Clone};

const SCHEMA: &str = include_str!("../../../docs/events.schema.json");
const PLACE: &str = "file:///events.schema.json";

/// Is this a call of the tool with `--json`?
pub(crate) fn are_asked_for(argv: &[&str]) -> bool {
    let tool = argv.iter().position(|word| word.rsplit('/').next() == Some("xtask"));
    let args = tool.map_or(&[][..], |at| &argv[at + 1..]);
    args.contains(&"--json") && !args.contains(&"--help")
}

/// Every line is as the schema says, the first one and the last one stand where they belong, and the last one has the exit
/// code.
#[track_caller]
pub(crate) fn validate(answer: &Answer) {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let events: Vec<Value> = answer.stdout.lines().map(parse).collect();
    assert!(answer.stdout.ends_with('\n'), "the last line is cut off: {answer:?}");
    for event in &events {
        if let Err(error) = is_as_documented(event) {
            panic!("not as docs/events.schema.json says: {event}\n{error}");
        }
    }
    let at =
        |kind: &str| -> Vec<usize> { (0..events.len()).filter(|at| events[*at]["event"] == kind).collect() };
    assert_eq!(at("begin"), [0], "{answer:?}");
    assert_eq!(at("end"), [events.len() - 1], "{answer:?}");
    assert_eq!(events[events.len() - 1]["exit_code"], answer.code, "{answer:?}");
    let failures = at("failure");
    assert!(failures.is_empty() || answer.code != 0, "{answer:?}");
}

/// A journal, line by line; each has its time.
#[track_caller]
pub(crate) fn validate_journal(text: &str) {
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        is_as_documented(&event).unwrap_or_else(|error| panic!("{line}\n{error}"));
        assert!(event["at"].is_string(), "{line}");
    }
}

/// By its kind's own schema, whose messages a person can read, and then by the whole.
fn is_as_documented(event: &Value) -> Result<(), String> {
    let schema = Schema::get();
    let kind = event.get("event").map_or(Some("journal-entry"), Value::as_str).unwrap_or_default();
    let own = schema.kinds.get(kind).ok_or_else(|| format!("`{kind}` is no documented kind"))?;
    schema.all.validate(event, *own).map_err(|error| error.to_string())?;
    schema.all.validate(event, schema.whole).map_err(|error| error.to_string())
}

struct Schema {
    all: Schemas,
    whole: SchemaIndex,
    kinds: BTreeMap<String, SchemaIndex>,
}

impl Schema {
    fn get() -> &'static Self {
        static SCHEMA_ONCE: OnceLock<Schema> = OnceLock::new();
        SCHEMA_ONCE.get_or_init(|| {
            let (mut all, mut compiler) = (Schemas::new(), Compiler::new());
            let json = schema();
            let names: Vec<String> = json["$defs"].as_object().unwrap().keys().cloned().collect();
            compiler.add_resource(PLACE, json).unwrap();
            let whole = compiler.compile(PLACE, &mut all).unwrap();
            let mut compile = |name: &String| {
                compiler.compile(&format!("{PLACE}#/$defs/{name}"), &mut all).expect("a sound schema")
            };
            let kinds = names.iter().map(|name| (name.clone(), compile(name))).collect();
            Self { all, whole, kinds }
        })
    }
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

#[test]
fn the_page_is_the_schema() {
    expect_file!["../../../docs/events.md"].assert_eq(&page(&schema()));
}

/// The schema as a person reads it.
fn page(schema: &Value) -> String {
    let text = |value: &Value| value["description"].as_str().unwrap().to_owned();
    let mut page = INTRODUCTION.to_owned();
    let mut told = Vec::new();
    for group in schema["x-groups"].as_array().unwrap() {
        page += &format!("\n## {}\n\n{}\n", group["title"].as_str().unwrap(), text(group));
        for kind in group["events"].as_array().unwrap() {
            let kind = kind.as_str().unwrap();
            let def = &schema["$defs"][kind];
            told.push(kind);
            page += &format!("\n### `{kind}`\n\n{}\n{}", text(def), fields(def));
        }
    }
    page += "\n## Parts\n";
    for (name, def) in schema["$defs"].as_object().unwrap() {
        if !told.contains(&name.as_str()) {
            page += &format!("\n### `{name}`\n\n{}\n{}", text(def), fields(def));
        }
    }
    page
}

fn fields(def: &Value) -> String {
    let properties = def["properties"].as_object().unwrap();
    let required: Vec<&str> = def["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    // A parsed object has lost its order; the list of what is required has it.
    let optional =
        properties.keys().map(String::as_str).filter(|name| *name != "at" && !required.contains(name));
    let names = required.iter().copied().chain(optional).filter(|name| *name != "event");
    let rows: Vec<String> = names
        .filter(|name| properties.contains_key(*name))
        .map(|name| {
            let property = &properties[name];
            let optional = if required.contains(&name) { "" } else { ", not always there" };
            let about = property["description"].as_str().unwrap_or_default();
            format!("| `{name}` | {}{optional} | {about} |\n", form(property))
        })
        .collect();
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n| field | is | |\n|---|---|---|\n{}", rows.concat())
    }
}

/// A property's type in words.
fn form(property: &Value) -> String {
    if let Some(part) = property["$ref"].as_str() {
        let name = part.trim_start_matches("#/$defs/");
        return format!("[{name}](#{name})");
    }
    if let Some(forms) = property["oneOf"].as_array() {
        return forms.iter().map(form).collect::<Vec<_>>().join(" or ");
    }
    let literal = |value: &Value| format!("`{value}`");
    if !property["const"].is_null() {
        return literal(&property["const"]);
    }
    if let Some(words) = property["enum"].as_array() {
        return words.iter().map(literal).collect::<Vec<_>>().join(", ");
    }
    let types = match &property["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().unwrap_or_default()],
    };
    let word = |word: &&str| match *word {
        "array" => format!("list of {}", form(&property["items"])),
        "null" => "`null`".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "number".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        other => other.to_owned(),
    };
    types.iter().map(word).collect::<Vec<_>>().join(" or ")
}

const INTRODUCTION: &str = "\
# Events

`cargo xtask … --json` prints one JSON object a line on standard output, and nothing else. Version 1. The machine form is
[`events.schema.json`](events.schema.json) (JSON Schema 2020-12), from which this page is made; every line that any test of
this repository gets is validated against it.

```
cargo xtask deploy maia --json | jq --raw-output 'select(.event == \"failure\") | .error, .hint'
```

Each line's `event` is its kind. The first line is `begin`, the last one `end`, also where a command is refused; whatever
failed is a `failure` between them. What `check`, `doctor`, `status` and `token check` find is their answer and no failure
of theirs: the exit code alone says that something was found. Every field of a kind is always there, `null` where there is
nothing to tell, but for those of which it is said. Whoever reads it passes over kinds and fields that it does not know: new
ones do not change the version.

Each run that changes something has a journal, `.xtask/runs/RUN/events.jsonl`: the same lines, each with the time at which
it was written in `at`, behind a line of its own kind, `run`. A journal without an `end` is of a run that was killed, or
still goes on.

Of `rehearse` the stream is that of the command under rehearsal. `secrets show`, `kubeconfig --base64`, `test`,
`completions` and `man` print what is no event, and refuse `--json`.
";

#[test]
fn what_is_not_documented_is_seen() {
    let told = |event: &Value| {
        is_as_documented(event).map_err(|error| error.lines().last().unwrap_or_default().to_owned())
    };
    assert_eq!(told(&json!({"event": "end", "exit_code": 0})), Ok(()));
    for wrong in [
        json!({"event": "end", "exit_code": 0, "more": 1}),
        json!({"event": "end"}),
        json!({"event": "end", "exit_code": "0"}),
        json!({"event": "nonsense"}),
        json!({"event": "step-finished", "stage": "a", "subject": "b", "step": "c", "outcome": "done", "milliseconds": 1}),
        json!({"something": "else"}),
    ] {
        assert!(told(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_refusal_is_told_to_a_program_too() {
    let clone = Clone::new();
    let told = |args: &[&str], code| {
        let answer = clone.xtask(args).expect(code);
        answer.stdout.replace(clone.path().to_str().unwrap(), "REPO")
    };
    expect![[r#"
        {"event":"begin","version":1,"command":"verify","dry_run":false}
        {"event":"failure","stage":null,"subject":null,"step":null,"error":"there is no host `nobody` in hosts/fleet.toml","tail":[],"notes":[],"hint":"known hosts: maia, ocean","exit_code":2}
        {"event":"end","exit_code":2}
    "#]].assert_eq(&told(&["verify", "nobody", "--json"], 2));
    expect![[r#"
        {"event":"begin","version":1,"command":"","dry_run":false}
        {"event":"failure","stage":null,"subject":null,"step":null,"error":"unexpected argument `--gaol` found","tail":[],"notes":[],"hint":"did you mean `--goal`?","exit_code":2}
        {"event":"end","exit_code":2}
    "#]].assert_eq(&told(&["deploy", "maia", "--gaol", "test", "--json"], 2));
    expect![[r#"
        {"event":"begin","version":1,"command":"secrets show","dry_run":false}
        {"event":"failure","stage":null,"subject":null,"step":null,"error":"a secret is printed as it is, which --json has no form for","tail":[],"notes":[],"hint":"leave --json out","exit_code":2}
        {"event":"end","exit_code":2}
    "#]].assert_eq(&told(&["secrets", "show", "x.age", "--json"], 2));
    expect![[r#"
        {"event":"begin","version":1,"command":"report","dry_run":false}
        {"event":"failure","stage":null,"subject":null,"step":null,"error":"there is no run to report yet: nothing was deployed from this clone","tail":[],"notes":[],"hint":"cargo xtask rehearse tries it on throwaway machines; cargo xtask deploy HOST is the first","exit_code":2}
        {"event":"end","exit_code":2}
    "#]].assert_eq(&told(&["report", "--json"], 2));
    expect![[r#"
        {"event":"begin","version":1,"command":"test","dry_run":false}
        {"event":"failure","stage":null,"subject":null,"step":null,"error":"what the tests say is printed as it is, which --json has no form for","tail":[],"notes":[],"hint":"leave --json out","exit_code":2}
        {"event":"end","exit_code":2}
    "#]].assert_eq(&told(&["test", "--json"], 2));
    // The rehearsal itself is refused before there is a command that tells of itself.
    clone.fleet("role = \"agent\"", "role = \"worker\"");
    expect![[r#"
        {"event":"begin","version":1,"command":"rehearse","dry_run":false}
        {"event":"failure","stage":null,"subject":null,"step":null,"error":"hosts/fleet.toml:40: unknown variant `worker`, expected `server` or `agent`","tail":[],"notes":[],"hint":"known here: server, agent","exit_code":3}
        {"event":"end","exit_code":3}
    "#]].assert_eq(&told(&["rehearse", "--json"], 3));
}

#[test]
fn every_answer_of_the_repository_is_told_in_events() {
    let cluster = Cluster::new("\n  \"secrets/new.age\".publicKeys = adminKeys;");
    for (name, readers) in [("server", ["me", "ocean"]), ("agent", ["me", "maia"])] {
        cluster.keep(&format!("secrets/k3s-{name}-token.age"), name, &readers);
    }
    cluster.key("attic");
    let key = cluster.public("attic");
    let told = |args: &[&str], stdin: &str| {
        let events = cluster.fed(&[args, &["--json"]].concat(), stdin).events();
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told(&["secrets", "new", "secrets/new.age"], "x"), ["secret-finished"]);
    assert_eq!(told(&["secrets", "edit", "secrets/new.age"], "y"), ["secret-finished"]);
    assert_eq!(told(&["secrets", "rekey", "--force"], "").last().unwrap(), "rekeyed");
    assert_eq!(told(&["token", "generate", "server"], ""), ["failure"]);
    assert_eq!(told(&["check"], "")[0], "check");
    let host = ["node", "add", "attic", "--role", "agent", "--host-key", &key, "--no-deploy"];
    assert_eq!(told(&host, ""), ["key", "difference", "difference", "difference", "anew", "failure"]);
    let added = told(&[&host[..], &["--yes"]].concat(), "");
    assert_eq!(added.last().unwrap(), "added", "{added:?}");
    let pinned = told(&["node", "pin", "maia", "--host-key", &cluster.public("maia"), "--yes"], "");
    assert!(pinned.contains(&"pinned".to_owned()), "{pinned:?}");
    fs::write(cluster.path("admin.pub"), cluster.public("attic")).unwrap();
    assert_eq!(told(&["init", "--admin", "me=admin.pub"], "")[0], "key");
}

#[test]
fn every_dry_run_is_told_in_events() {
    let clone = Clone::new();
    for args in [
        &["deploy", "maia"][..],
        &["bootstrap-cluster"],
        &["verify"],
        &["rollback", "maia"],
        &["status"],
        &["status", "--drift"],
        &["doctor"],
        &["logs", "maia"],
        &["kubeconfig"],
        &["kubeconfig", "--merge"],
        &["init", "--admin", "me=hosts/fleet.toml"],
        &["init", "--host", "maia=127.0.0.1"],
        &["node", "add", "attic", "--role", "agent"],
        &["node", "pin", "maia"],
        &["node", "list"],
        &["rehearse"],
        &["rehearse", "--clean"],
        &["test"],
    ] {
        let answer = clone.xtask(&[args, &["--dry-run", "--json"]].concat());
        assert!(answer.code == 0 || answer.stdout.contains("\"event\":\"failure\""), "{args:?}: {answer:?}");
        assert!(answer.stdout.contains("\"dry_run\":true"), "{args:?}: {answer:?}");
        if answer.code == 0 {
            assert!(answer.stdout.lines().count() > 2, "{args:?} tells nothing: {answer:?}");
        }
    }
}
