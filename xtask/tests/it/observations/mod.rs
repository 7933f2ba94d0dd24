//! What K3s does, seen from outside: one program of observations, for a real K3s and for the stand-in alike.
//!
//! What the real one did is kept in a recording a minor version, which `UPDATE_EXPECT=1` writes. The stand-in has to agree
//! with it line by line, but for the differences that [`differences`] lists with their reasons. Everything else that tests
//! assert of K3s rests on that.

mod answers;
mod differences;
mod files;
mod machine;
mod recording;
mod times;
mod units;

use std::path::PathBuf;

use lab::Lab;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{configure, repository, xtask};
use recording::Recording;

each_k3s!(
    answers_of_a_server,
    files_objects_and_commands,
    an_agents_unit,
    a_servers_unit,
    starts_and_signs_of_life,
);

fn answers_of_a_server(rehearsal: &Rehearsal) {
    observe(rehearsal, "answers of a server", |_, lab, seen| answers::of_a_server(lab, seen));
}

fn files_objects_and_commands(rehearsal: &Rehearsal) {
    observe(rehearsal, "files, objects and commands", |_, lab, seen| files::all(lab, seen));
}

fn an_agents_unit(rehearsal: &Rehearsal) {
    observe(rehearsal, "an agent's unit", units::of_an_agent);
}

fn a_servers_unit(rehearsal: &Rehearsal) {
    observe(rehearsal, "a server's unit", units::of_a_server);
}

fn starts_and_signs_of_life(rehearsal: &Rehearsal) {
    observe(rehearsal, "starts and signs of life", |_, lab, seen| times::all(lab, seen));
}

/// What was seen, each with its name.
#[derive(Default)]
struct Seen(Vec<String>);

impl Seen {
    fn see(&mut self, what: &str, value: &str) {
        self.0.push(format!("{what}: {}", recording::without_chance(value)));
    }
}

/// Makes the observations of a section, and compares them with the recording.
fn observe(rehearsal: &Rehearsal, section: &str, body: impl FnOnce(bool, &Lab, &mut Seen)) {
    // Opened before the lab is entered, whose machine for deploys does not have this repository.
    let recording = Recording::open(&recordings(), rehearsal.version(), rehearsal.is_real());
    rehearsal.in_lab(|lab| {
        let mut seen = Seen::default();
        body(rehearsal.is_real(), lab, &mut seen);
        if rehearsal.is_real() {
            recording.is_or_becomes(section, &seen.0);
        } else {
            recording.agrees_but_for(section, &seen.0, differences::ALL);
        }
    });
}

fn recordings() -> PathBuf {
    repository().join("xtask/tests/it/observations")
}

/// Two nodes, one of them a server, with etcd: not every K3s has another datastore.
fn bootstrap(lab: &Lab) {
    configure(lab, "ocean", "services.k3s.clusterInit = lib.mkForce true;");
    let answer = xtask(lab, &["bootstrap-cluster"]);
    if answer.code != 0 {
        for host in ["ocean", "maia"] {
            eprintln!("{host}:\n{}", machine::last_words(lab, host));
        }
    }
    answer.expect(0);
}

#[test]
fn differences_are_of_the_sections_that_there_are() {
    let Some(recording) = recording::newest(&recordings()) else { panic!("no recording") };
    for difference in differences::ALL {
        let known = recording.lines(difference.section);
        assert!(
            known.contains(&difference.real.to_owned()),
            "a difference that is none any more: [{}] {}",
            difference.section,
            difference.real
        );
        assert!(!difference.reason.is_empty());
    }
}
