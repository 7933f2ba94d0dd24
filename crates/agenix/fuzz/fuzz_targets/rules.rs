//! Any text as what nix printed for secrets.nix.
#![no_main]

#[expect(dead_code, reason = "each target asks one of them")]
#[path = "../invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::rules(text));
