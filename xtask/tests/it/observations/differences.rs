//! In what the stand-in differs from what was recorded, and why it may.

use super::recording::Difference;

const SHORTER: &str = "a rehearsal is to see a dead node within its patience";

pub(super) const ALL: &[Difference] = &[
    Difference {
        section: "files, objects and commands",
        real: "ocean, label node-role.kubernetes.io/master: true",
        stand_in: &[],
        reason: "by K3s' sources it is not set from 1.34 on, and nothing here reads it",
    },
    Difference {
        section: "starts and signs of life",
        real: "ocean, first start, the Lease comes: long after Ready",
        stand_in: &["ocean, first start, the Lease comes: soon"],
        reason: SHORTER,
    },
    Difference {
        section: "starts and signs of life",
        real: "maia, first start, the Lease comes: long after Ready",
        stand_in: &["maia, first start, the Lease comes: soon"],
        reason: SHORTER,
    },
    Difference {
        section: "starts and signs of life",
        real: "at rest, the Lease is renewed every: about 10 s",
        stand_in: &["at rest, the Lease is renewed every: about 1 s"],
        reason: SHORTER,
    },
    Difference {
        section: "starts and signs of life",
        real: "dead, Ready stays True for: about 50 s",
        stand_in: &["dead, Ready stays True for: about 5 s"],
        reason: SHORTER,
    },
    Difference {
        section: "an agent's unit",
        real: "a flag that K3s does not know, Ready: True",
        stand_in: &["a flag that K3s does not know, Ready: Unknown"],
        reason: SHORTER,
    },
    Difference {
        section: "an agent's unit",
        real: "an argument that its kubelet does not know, Ready: True",
        stand_in: &["an argument that its kubelet does not know, Ready: Unknown"],
        reason: SHORTER,
    },
    Difference {
        section: "an agent's unit",
        real: "containerd is stopped, Ready: True",
        stand_in: &["containerd is stopped, Ready: Unknown"],
        reason: SHORTER,
    },
];
