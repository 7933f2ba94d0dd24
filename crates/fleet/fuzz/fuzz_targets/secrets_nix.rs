//! Any text as secrets.nix, and hosts added to it, removed from it and changed in it.
#![no_main]

#[expect(dead_code, reason = "each target asks one of them")]
#[path = "../invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::secrets_nix(text));
