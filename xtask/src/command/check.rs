//! `check`: offline, without a key: what CI can know about fleet, rules and secrets. All findings at once.

use agenix::{Finding, Recipient, Secrets, State, Why};
use fleet::Fleet;

use crate::access;
use crate::cli::Global;
use crate::events::Event;
use crate::failure::{Failure, Kind, Result};
use crate::render::github;
use crate::repository::{AGENT_TOKEN, Repository, SERVER_TOKEN, is_token, secret};

/// One thing that was looked at.
struct Checked {
    subject: String,
    /// What is well, or what is not, with what to do.
    result: std::result::Result<String, (String, Option<String>)>,
}

pub(crate) fn run(global: &Global) -> Result<()> {
    let repository = Repository::find()?;
    let fleet = repository.fleet()?;
    let mut checked = vec![Checked {
        subject: "hosts/fleet.toml".to_owned(),
        result: Ok(format!("{} hosts, {} admins", fleet.hosts.len(), fleet.admins.len())),
    }];
    let advice = k3s::quorum::advice(fleet.with_role(fleet::Role::Server).len());
    checked.extend(fleet.hosts.values().map(|host| check_host(&repository, host)));
    checked.push(check_visible(&repository)?);
    match repository.rules(&fleet) {
        Ok(rules) => checked.extend(check_rules(&fleet, &repository.secrets(rules)?)),
        Err(failure) => checked.push(Checked {
            subject: "secrets.nix".to_owned(),
            result: Err((failure.message, failure.hint)),
        }),
    }
    print(global, &checked);
    if github::on_runner() {
        annotate(&checked);
    }
    match advice {
        Some(advice) if github::on_runner() => github::warn(&advice),
        Some(advice) => eprintln!("warning: {advice}"),
        None => {}
    }
    match checked.iter().filter(|checked| checked.result.is_err()).count() {
        0 => Ok(()),
        _ if global.json || github::on_runner() => Err(Failure::told(Kind::Configuration)),
        1 => Err(Failure::configuration("one check failed")),
        failed => Err(Failure::configuration(format!("{failed} checks failed"))),
    }
}

fn print(global: &Global, checked: &[Checked]) {
    let width = checked.iter().map(|checked| checked.subject.chars().count()).max().unwrap_or(0);
    for Checked { subject, result } in checked {
        match result {
            _ if global.json => {
                let (ok, text, hint) = match result {
                    Ok(text) => (true, text, &None),
                    Err((text, hint)) => (false, text, hint),
                };
                let (subject, finding, hint) = (subject.clone(), text.clone(), hint.clone());
                Event::Check { subject, ok, finding, hint }.print();
            }
            Ok(text) => say!("{} {subject:width$}  {text}", console::style("✓").green()),
            Err((text, hint)) => {
                say!("{} {subject:width$}  {text}", console::style("✗").red().bold());
                if let Some(hint) = hint {
                    say!("  {:width$}  {} {hint}", "", console::style("hint:").cyan());
                }
            }
        }
    }
}

fn annotate(checked: &[Checked]) {
    let finding = |checked: &'_ Checked| {
        let (text, hint) = checked.result.as_ref().err()?;
        Some(github::Finding { subject: checked.subject.clone(), text: text.clone(), hint: hint.clone() })
    };
    github::found(&checked.iter().filter_map(finding).collect::<Vec<_>>());
}

fn check_host(repository: &Repository, host: &fleet::Host) -> Checked {
    let file = format!("hosts/{}/default.nix", host.name);
    let result = if !repository.root().join(&file).is_file() {
        Err((
            format!("{file} does not exist"),
            Some("write it, importing ../common/base.nix and ./k3s.nix".to_owned()),
        ))
    } else if host.ssh_host_key.is_none() {
        Err(("it has no ssh_host_key".to_owned(), Some("cargo xtask init".to_owned())))
    } else {
        let role = host.role.map_or("outside the cluster".to_owned(), |role| role.to_string());
        Ok(role)
    };
    Checked { subject: format!("hosts.{}", host.name), result }
}

fn check_visible(repository: &Repository) -> Result<Checked> {
    let result = match repository.require_visible() {
        Ok(()) => Ok("knows every file that the flake needs".to_owned()),
        Err(failure) if failure.kind == Kind::Configuration => Err((failure.message, failure.hint)),
        Err(failure) => return Err(failure),
    };
    Ok(Checked { subject: "git".to_owned(), result })
}

fn check_rules(fleet: &Fleet, secrets: &Secrets) -> Vec<Checked> {
    let rules = secrets.rules();
    let mut checked = Vec::new();
    if fleet.first_server().is_some() {
        for token in [SERVER_TOKEN, AGENT_TOKEN] {
            let path = secret(token);
            if let Err(error) = rules.rule(&path) {
                let result = Err((error.to_string(), Some(error.hint())));
                checked.push(Checked { subject: token.to_owned(), result });
            }
        }
    }
    checked.extend(access::misrules(fleet, rules).into_iter().map(|misrule| {
        let result = Err((misrule.what, Some(misrule.hint.to_owned())));
        Checked { subject: misrule.secret.to_string(), result }
    }));
    checked.extend(secrets.rules().refused().iter().map(|error| Checked {
        subject: "secrets.nix".to_owned(),
        result: Err((error.to_string(), Some(error.hint()))),
    }));
    if agenix::was_cut_off(secrets.folder()) {
        let text = "a rekey was cut off half-way".to_owned();
        let hint = "cargo xtask secrets rekey, which undoes it first".to_owned();
        checked.push(Checked { subject: "secrets".to_owned(), result: Err((text, Some(hint))) });
    }
    checked.extend(secrets.survey().into_iter().map(|finding| Checked {
        subject: finding.rule.path().to_string(),
        result: check_secret(&finding, &secrets.readers()),
    }));
    checked
}

/// Secrets and rules that are not as they should be: subject, finding, hint.
pub(super) fn wrong_with_secrets(
    repository: &Repository,
    fleet: &Fleet,
) -> Result<Vec<(String, String, Option<String>)>> {
    let secrets = repository.secrets(repository.rules(fleet)?)?;
    let checked = check_rules(fleet, &secrets).into_iter();
    let wrong = |checked: Checked| checked.result.err().map(|(text, hint)| (checked.subject, text, hint));
    Ok(checked.filter_map(wrong).collect())
}

fn check_secret(
    finding: &Finding<'_>,
    known: &[Recipient],
) -> std::result::Result<String, (String, Option<String>)> {
    let path = finding.rule.path();
    let found = match &finding.state {
        State::Found(found) => found,
        // A token is missing until the cluster is made, which is no fault.
        State::Missing if is_token(path.as_str()) => {
            return Ok("not there yet: `cargo xtask bootstrap-cluster` makes it".to_owned());
        }
        State::Missing => {
            let hint = format!("cargo xtask secrets new {}", remote::quote(path.as_str()));
            return Err(("the file does not exist".to_owned(), Some(hint)));
        }
        State::Unusable(error) => return Err((error.to_string(), error.hint())),
    };
    let count = count(&found.readers);
    let wrong = match found.why_due() {
        None => return Ok(format!("encrypted to {count}")),
        // Written by another program: nothing is known to be wrong.
        Some(Why::Unproven) => {
            return Ok(format!("encrypted to {count}; of its age keys only the number shows, until a rekey"));
        }
        Some(why @ Why::Readers(_)) => {
            format!("its readers are not those of secrets.nix: {}", why.described(known))
        }
        Some(why) => why.described(known),
    };
    Err((wrong, Some("cargo xtask secrets rekey".to_owned())))
}

fn count(readers: &[Recipient]) -> String {
    match readers.len() {
        1 => "1 key".to_owned(),
        many => format!("{many} keys"),
    }
}
