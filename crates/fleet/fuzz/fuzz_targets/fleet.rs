//! Any text as fleet.toml, and hosts added to it and removed from it.
#![no_main]

#[expect(dead_code, reason = "each target asks one of them")]
#[path = "../invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::fleet(text));
