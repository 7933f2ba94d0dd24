//! Any text as the path of a secret.
#![no_main]

#[expect(dead_code, reason = "each target asks one of them")]
#[path = "../invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::path(text));
