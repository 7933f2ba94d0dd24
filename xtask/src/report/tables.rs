//! The page's tables: hosts, what was built and copied, gates with what they saw, differences, steps.

use std::fmt::{Display, Write as _};

use super::critical;
use super::escape::Text;
use super::story::{Outcome, Step, Story};
use super::text::took;
use super::told::Amount;

/// A table whose rows become blocks on a narrow screen; the roles keep it a table for whoever listens to it.
fn open(page: &mut String, class: &str, caption: &str, heads: &[&str]) {
    let _ = write!(
        page,
        "<table role=table class=\"{class}\"><caption>{caption}</caption><thead role=rowgroup><tr role=row>"
    );
    for head in heads {
        let _ = write!(page, "<th role=columnheader scope=col>{head}</th>");
    }
    page.push_str("</tr></thead>\n");
}

fn cell(page: &mut String, class: &str, content: impl Display) {
    let _ = write!(page, "<td role=cell class=\"{class}\">{content}</td>");
}

fn row_head(page: &mut String, content: impl Display) {
    let _ = write!(page, "<th role=rowheader scope=row>{content}</th>");
}

/// An outcome, told by a sign, a colour and a word.
pub(super) fn mark(outcome: Outcome) -> String {
    let (class, sign) = match outcome {
        Outcome::Changed => ("changed", "●"),
        Outcome::Done => ("done", "✓"),
        Outcome::Skipped => ("skipped", "–"),
        Outcome::Failed => ("failed", "✗"),
        Outcome::CutOff => ("cut-off", "…"),
    };
    format!("<span class=\"mark {class}\"><span aria-hidden=true>{sign}</span> {}</span>", outcome.word())
}

pub(super) fn hosts(story: &Story) -> String {
    let mut page = String::new();
    open(&mut page, "hosts", "How it went on each host", &["Host", "Changed", "Skipped", "Time", "Outcome"]);
    page.push_str("<tbody role=rowgroup>\n");
    for subject in story.subjects() {
        let tally = story.tally(subject);
        page.push_str("<tr role=row>");
        row_head(&mut page, Text(subject));
        cell(
            &mut page,
            "number labelled",
            format_args!("<span class=label>changed </span>{}", tally.changed),
        );
        cell(
            &mut page,
            "number labelled",
            format_args!("<span class=label>skipped </span>{}", tally.skipped),
        );
        cell(&mut page, "number", took(tally.milliseconds));
        let class = match tally.outcome {
            Outcome::Failed => "words failed",
            Outcome::CutOff => "words cut-off",
            _ => "words",
        };
        cell(&mut page, class, Text(&tally.words));
        page.push_str("</tr>\n");
    }
    page + "</tbody></table>\n"
}

/// `None` where nothing was built, copied or resolved.
pub(super) fn built(story: &Story) -> Option<String> {
    let mut page = String::new();
    open(
        &mut page,
        "built",
        "Systems, where they came from and how they got there",
        &["What", "Store path", "Built", "Copied"],
    );
    page.push_str("<tbody role=rowgroup>\n");
    let mut any = false;
    let snapshots = story.steps.iter().flat_map(|step| step.facts("snapshot"));
    for (index, path) in snapshots.enumerate() {
        any = true;
        page.push_str("<tr role=row>");
        row_head(&mut page, if index == 0 { "snapshot of the flake" } else { "the same, with a new token" });
        cell(&mut page, "path", format_args!("<code>{}</code>", Text(path)));
        cell(&mut page, "words none", "–");
        cell(&mut page, "words none", "–");
        page.push_str("</tr>\n");
    }
    for step in &story.steps {
        for system in step.facts("system") {
            any = true;
            let copy = story.steps.iter().rev().find(|other| {
                other.id.subject == step.id.subject && other.id.step == "copy" && other.from >= step.from
            });
            page.push_str("<tr role=row>");
            row_head(&mut page, Text(&step.id.subject));
            cell(&mut page, "path", format_args!("<code>{}</code>", Text(system)));
            let builds = step.amounts.builds.map_or_else(String::new, |Amount { done, .. }| match done {
                0 => "nothing had to be, ".to_owned(),
                1 => "1 derivation, ".to_owned(),
                many => format!("{many} derivations, "),
            });
            cell(
                &mut page,
                "words labelled",
                format_args!("<span class=label>built: </span>{builds}{}", took(step.took())),
            );
            let copied = copy.map_or_else(|| "built where it runs".to_owned(), copied);
            cell(
                &mut page,
                "words labelled",
                format_args!("<span class=label>copied: </span>{}", Text(&copied)),
            );
            page.push_str("</tr>\n");
        }
    }
    any.then(|| page + "</tbody></table>\n")
}

fn copied(step: &Step) -> String {
    match step.outcome {
        Outcome::Skipped => step.detail.clone(),
        Outcome::Changed | Outcome::Done => format!("{}, {}", step.detail, took(step.took())),
        outcome => outcome.word().to_owned(),
    }
}

/// Each gate with what it looked at and what it saw. `None` where there was none.
pub(super) fn gates(story: &Story) -> Option<String> {
    let mut page = String::new();
    for step in story.steps.iter().filter(|step| step.id.step == "verify") {
        let evidence: Vec<&str> = step.facts("evidence").collect();
        let _ = writeln!(
            page,
            "<div class=\"gate {}\"><h3>{} <small>{}</small></h3>{}<p class=words>{}</p>",
            step.outcome.word().replace(' ', "-"),
            Text(&step.id.subject),
            Text(&step.id.stage),
            mark(step.outcome),
            Text(&step.detail)
        );
        if !evidence.is_empty() {
            page.push_str("<dl>\n");
            for line in evidence {
                let (what, seen) = line.split_once(": ").unwrap_or((line, ""));
                let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", Text(what), Text(seen));
            }
            page.push_str("</dl>\n");
        }
        page.push_str("</div>\n");
    }
    (!page.is_empty()).then(|| format!("<div class=gates>\n{page}</div>\n"))
}

/// What a dry activation found. `None` where there was none.
pub(super) fn differences(story: &Story) -> Option<String> {
    let mut page = String::new();
    for difference in story.steps.iter().flat_map(|step| step.facts("difference")) {
        let _ = writeln!(page, "<pre tabindex=0 aria-label=\"difference\">{}</pre>", Text(difference));
    }
    (!page.is_empty()).then_some(page)
}

pub(super) fn steps(story: &Story, path: &[usize]) -> String {
    let mut page = String::new();
    open(
        &mut page,
        "steps",
        "Every step, in the order in which they began; the critical path is underlined",
        &["Outcome", "Host", "Step", "Time", "What"],
    );
    for (number, stage) in story.stages.iter().enumerate() {
        let of_stage: Vec<(usize, &Step)> =
            story.steps.iter().enumerate().filter(|(_, step)| step.stage == number).collect();
        if of_stage.is_empty() {
            continue;
        }
        let _ = writeln!(
            page,
            "<tbody role=rowgroup><tr role=row class=stage><th role=rowheader scope=rowgroup colspan=5>{} \
             <span>{}</span></th></tr>",
            Text(&stage.name),
            took(stage.to - stage.from)
        );
        for (index, step) in of_stage {
            step_row(&mut page, index, step, path.contains(&index));
        }
        page.push_str("</tbody>\n");
    }
    page + "</table>\n"
}

fn step_row(page: &mut String, index: usize, step: &Step, is_critical: bool) {
    let _ = write!(page, "<tr role=row id=s{index}>");
    cell(page, "outcome", mark(step.outcome));
    cell(page, "host", Text(&step.id.subject));
    cell(page, "step", Text(&step.id.step));
    let time = took(step.took());
    if is_critical {
        let heard = "<span class=heard>, on the critical path</span>";
        cell(page, "number", format_args!("<span class=on-path>{time}{heard}</span>"));
    } else {
        cell(page, "number", time);
    }
    let facts: Vec<_> = step.facts.iter().filter(|(name, _)| name != "difference").collect();
    if facts.is_empty() && step.lines.is_empty() {
        cell(page, "words", Text(&step.detail));
        page.push_str("</tr>\n");
        return;
    }
    let detail = if step.detail.is_empty() { "what it said" } else { &step.detail };
    let mut more = format!("<details><summary>{}</summary>", Text(detail));
    if !facts.is_empty() {
        more.push_str("<dl>");
        for (name, value) in facts {
            let _ = write!(more, "<div><dt>{}</dt><dd>{}</dd></div>", Text(name), Text(value));
        }
        more.push_str("</dl>");
    }
    if !step.lines.is_empty() {
        more.push_str("<pre tabindex=0 aria-label=\"its last lines\">");
        if step.dropped > 0 {
            let _ = writeln!(more, "… {} lines before these", step.dropped);
        }
        for line in &step.lines {
            let _ = writeln!(more, "{}", Text(line));
        }
        more.push_str("</pre>");
    }
    more.push_str("</details>");
    cell(page, "words", more);
    page.push_str("</tr>\n");
}

/// The critical path in words; steps that nobody would notice are counted only.
pub(super) fn critical(story: &Story, path: &[usize]) -> String {
    let sum = critical::length(story, path);
    let (told, short): (Vec<usize>, Vec<usize>) =
        path.iter().partition(|index| story.steps[**index].took() * 200 >= sum);
    let mut page = format!(
        "<p>These steps waited for one another and made the run as long as it was: {} of {}. Any other could have \
         taken longer.</p>\n<ol class=path>\n",
        took(sum),
        took(story.length)
    );
    for index in told {
        let step = &story.steps[index];
        let share = (step.took() * 100).checked_div(sum).unwrap_or(0);
        let _ = writeln!(
            page,
            "<li><a href=\"#s{index}\"><span>{}</span> {}</a> <span class=number>{}</span>\
             <span class=share aria-hidden=true><span style=\"width:{share}%\"></span></span></li>",
            Text(&step.id.subject),
            Text(&step.id.step),
            took(step.took())
        );
    }
    page.push_str("</ol>\n");
    match short.len() {
        0 => {}
        1 => page.push_str("<p class=rest>And a step that took next to no time.</p>\n"),
        more => {
            let _ = writeln!(page, "<p class=rest>And {more} steps that took next to no time.</p>");
        }
    }
    page
}
