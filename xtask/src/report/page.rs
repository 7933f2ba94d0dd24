//! The page: what it was and how it ended, what failed, then when and where, then everything.

use std::fmt::Write as _;

use super::escape::Text;
use super::story::{Outcome, Story};
use super::text::{time, took};
use super::{critical, tables, timeline};
use crate::events::FailureEvent;

const STYLE: &str = include_str!("page.css");
/// No script, nothing from anywhere, whatever got into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// One file that needs nothing else.
pub(crate) fn html(story: &Story) -> String {
    let path = critical::path(story);
    let mut sections: Vec<(&str, &str, String)> = Vec::new();
    if !story.failures.is_empty() {
        sections.push(("failures", "What failed", story.failures.iter().map(failure).collect()));
    }
    if !story.steps.is_empty() {
        sections.push(("timeline", "Timeline", timeline_section(story, &path)));
        sections.push(("hosts", "Hosts", tables::hosts(story)));
        sections.push(("critical", "Critical path", tables::critical(story, &path)));
    }
    sections.extend(tables::built(story).map(|table| ("built", "Built and copied", table)));
    sections.extend(tables::gates(story).map(|gates| ("gates", "Gates", gates)));
    sections.extend(tables::differences(story).map(|all| ("differences", "Differences", all)));
    if !story.steps.is_empty() {
        sections.push(("steps", "Steps", tables::steps(story, &path)));
    }
    if !story.not_reached.is_empty() {
        sections.push(("not-reached", "Not reached", not_reached(story)));
    }
    let mut page = head(story);
    page.push_str("<nav aria-label=Sections><ul>\n");
    for (id, title, _) in &sections {
        let _ = writeln!(page, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    page.push_str("</ul></nav>\n<main id=main tabindex=-1>\n");
    for (id, title, body) in sections {
        let _ = write!(
            page,
            "<section aria-labelledby={id}>\n<h2 id={id} tabindex=-1>{title}</h2>\n{body}</section>\n"
        );
    }
    let id = Text(&story.id);
    let _ = write!(
        page,
        "</main>\n<footer><p>Made by <code>cargo xtask</code> from <code>.xtask/runs/{id}/events.jsonl</code>. \
         Again: <code>cargo xtask report {id}</code></p></footer>\n</body>\n</html>\n"
    );
    page
}

fn head(story: &Story) -> String {
    let (title, verdict) = (Text(&story.title), story.verdict());
    let code = match story.exit_code() {
        Some(code) => code.to_string(),
        None => "none".to_owned(),
    };
    let counts = [
        (Outcome::Changed, "changed"),
        (Outcome::Done, "done"),
        (Outcome::Skipped, "skipped"),
        (Outcome::Failed, "failed"),
        (Outcome::CutOff, "without an end"),
    ];
    let mut steps: Vec<String> = counts
        .iter()
        .map(|(outcome, word)| (story.count(*outcome), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if !story.not_reached.is_empty() {
        steps.push(format!("{} not reached", story.not_reached.len()));
    }
    let facts = [
        ("Begun", format!("<time datetime=\"{}\">{}</time>", Text(&story.at), Text(&time(&story.at)))),
        ("Took", took(story.length)),
        ("Steps", if steps.is_empty() { "none".to_owned() } else { steps.join(", ") }),
        ("Exit code", code),
        ("Run", format!("<code>{}</code>", Text(&story.id))),
    ];
    let facts: String =
        facts.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=Content-Security-Policy content=\"{POLICY}\">\n\
         <meta name=color-scheme content=\"light dark\">\n<meta name=referrer content=no-referrer>\n\
         <title>{title}: {verdict}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <a class=skip href=\"#main\">Skip to the report</a>\n\
         <header class={}>\n<p class=verdict>{verdict}</p>\n<h1>{title}</h1>\n<dl>\n{facts}</dl>\n</header>\n",
        story.outcome()
    )
}

fn timeline_section(story: &Story, path: &[usize]) -> String {
    format!(
        "<p class=key aria-hidden=true><span class=changed>changed</span> <span class=done>done</span> \
         <span class=skipped>skipped</span> <span class=failed>failed</span> <span class=cut-off>without an end</span> \
         <span class=critical>critical path</span></p>\n\
         <a class=skip href=\"#hosts\">Skip the timeline</a>\n{}",
        timeline::timeline(story, path)
    )
}

fn failure(failure: &FailureEvent) -> String {
    let mut page = String::from("<article class=failure>\n");
    if let (Some(stage), Some(subject), Some(step)) = (&failure.stage, &failure.subject, &failure.step) {
        let _ = writeln!(
            page,
            "<p class=where>{} <span>{}</span> <small>stage {}</small></p>",
            Text(subject),
            Text(step),
            Text(stage)
        );
    }
    let _ = writeln!(page, "<h3>{}</h3>", Text(&failure.error));
    if !failure.tail.is_empty() {
        let lines: String = failure.tail.iter().map(|line| format!("{}\n", Text(line))).collect();
        let _ = writeln!(page, "<pre tabindex=0 aria-label=\"its last lines\">{lines}</pre>");
    }
    for note in &failure.notes {
        let _ = writeln!(page, "<p><strong>note</strong> {}</p>", Text(note));
    }
    if let Some(hint) = &failure.hint {
        let _ = writeln!(page, "<p class=hint><strong>hint</strong> {}</p>", Text(hint));
    }
    let _ = writeln!(page, "<p class=code>exit code {}</p>\n</article>", failure.exit_code);
    page
}

fn not_reached(story: &Story) -> String {
    let mut page = String::from("<p>These were planned, and never begun.</p>\n<ul class=not-reached>\n");
    for id in &story.not_reached {
        let (subject, step, stage) = (Text(&id.subject), Text(&id.step), Text(&id.stage));
        let _ = writeln!(page, "<li>{subject} <span>{step}</span> <small>{stage}</small></li>");
    }
    page + "</ul>\n"
}
