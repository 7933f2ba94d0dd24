//! What stands in for the real thing has tests of its own, in its own language. They belong to the suite.

use crate::support::{repository, run};

#[test]
fn the_miniature_nixpkgs_answers_as_the_real_one() {
    let argv =
        ["nix-instantiate", "--eval", "--strict", "--store", "dummy://", "crates/lab/nixpkgs/tests.nix"];
    let answer = run(&argv, repository(), &[]).expect(0);
    assert_eq!(answer.stdout.trim(), "[ ]", "failed checks");
}

#[test]
fn the_nixos_rebuild_stand_in_imitates_what_is_known_of_the_real_one() {
    python("crates/lab/stand-ins/tests/test_nixos_rebuild.py");
}

#[test]
fn the_k3s_stand_in_follows_the_real_protocol() {
    python("crates/lab/nixpkgs/pkgs/k3s/tests/test_k3s.py");
}

fn python(file: &str) {
    let answer = run(&["/usr/bin/python3", file], repository(), &[("PYTHONDONTWRITEBYTECODE", "1")]);
    answer.expect(0);
}
