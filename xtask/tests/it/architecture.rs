//! The edges of docs/architecture.md hold: which crate may know which.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{repository, run};

#[test]
fn crates_depend_on_each_other_as_the_architecture_says() {
    let argv = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"];
    let answer = run(&argv, repository(), &[]).expect(0);
    let metadata: Value = serde_json::from_str(&answer.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let edges = |package: &Value| -> BTreeSet<String> {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        // Tests may use what they like.
        let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
        let ours = normal.filter_map(|dependency| names.get(dependency["name"].as_str()?));
        ours.map(|name| (*name).to_owned()).collect()
    };
    let found: BTreeMap<&str, BTreeSet<String>> =
        packages.iter().map(|package| (package["name"].as_str().unwrap(), edges(package))).collect();
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let allowed = BTreeMap::from([
        ("agenix", set(&["remote"])),
        ("fleet", set(&[])),
        ("k3s", set(&[])),
        ("lab", set(&["fleet", "remote"])),
        ("pipeline", set(&[])),
        ("remote", set(&[])),
        ("xtask", set(&["agenix", "fleet", "k3s", "lab", "pipeline", "remote"])),
    ]);
    assert_eq!(found, allowed);
}
