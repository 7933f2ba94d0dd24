//! Any bytes as an age file: who is it for?
#![no_main]

#[expect(dead_code, reason = "each target asks one of them")]
#[path = "../invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::header(bytes));
