//! `node list`: the fleet at a glance, from fleet.toml alone.

use console::style;
use fleet::{Fleet, Host, PublicKey};

use crate::cli::Global;
use crate::events::{Event, NodeEvent};
use crate::failure::Result;
use crate::repository::Repository;

const HEADINGS: [&str; 6] = ["HOST", "ROLE", "NODE IP", "REACHED AT", "LABELS AND TAINTS", "HOST KEY"];

pub(super) fn run(global: &Global, repository: &Repository) -> Result<()> {
    let fleet = repository.fleet()?;
    if global.json {
        fleet.hosts.values().for_each(|host| event(host).print());
        return Ok(());
    }
    let rows: Vec<[String; 6]> = fleet.hosts.values().map(|host| row(&fleet, host)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADINGS[column].len()]).max().unwrap_or(0)
    };
    let line = |cells: &[&str]| {
        let padded = cells.iter().enumerate().map(|(column, cell)| format!("{cell:0$}", width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    say!("{}", style(line(&HEADINGS)).dim());
    for row in &rows {
        say!("{}", line(&row.each_ref().map(String::as_str)));
    }
    Ok(())
}

fn row(fleet: &Fleet, host: &Host) -> [String; 6] {
    let is_first = fleet.with_role(fleet::Role::Server).len() > 1
        && fleet.first_server().is_some_and(|first| first.name == host.name);
    let role = host.role.map_or("–".to_owned(), |role| role.to_string());
    // Without what all of them have in front: `ncrmro.com/region=…` is `region=…`.
    let short = |text: &String| text.split_once('/').map_or(text.as_str(), |(_, rest)| rest).to_owned();
    let marks: Vec<String> = host.labels.iter().chain(&host.taints).map(short).collect();
    let user = if host.ssh_user == "root" { String::new() } else { format!("{}@", host.ssh_user) };
    [
        host.name.to_string(),
        if is_first { format!("{role}, first") } else { role },
        host.node_ip.map_or_else(|| "–".to_owned(), |ip| ip.to_string()),
        format!("{user}{}", host.addresses[0].as_str()),
        if marks.is_empty() { "–".to_owned() } else { marks.join(" ") },
        host.ssh_host_key.as_ref().map_or_else(|| "not pinned".to_owned(), PublicKey::fingerprint),
    ]
}

fn event(host: &Host) -> Event {
    Event::Node(NodeEvent {
        host: host.name.to_string(),
        role: host.role.map(|role| role.to_string()),
        node_ip: host.node_ip.map(|ip| ip.to_string()),
        addresses: host.addresses.iter().map(|address| address.as_str().to_owned()).collect(),
        ssh_user: host.ssh_user.clone(),
        labels: host.labels.clone(),
        taints: host.taints.clone(),
        tags: host.tags.clone(),
        key: host.ssh_host_key.as_ref().map(PublicKey::fingerprint),
    })
}
