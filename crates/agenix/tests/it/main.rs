//! Everything through the public face, with real keys from `ssh-keygen` against Debian's `age` and against `rage`.

mod again;
mod crypt;
mod differential;
mod editing;
mod header;
mod identities;
mod interop;
mod interrupting;
#[path = "../../fuzz/invariants.rs"]
mod invariants;
mod keys;
mod kills;
mod passphrases;
mod piping;
mod places;
mod plugins;
mod property;
mod recipients;
mod rules;
mod secrecy;
mod seeds;
mod surroundings;
mod terminal;
mod test_plugin;
mod unlocking;
mod vectors;
mod world;
mod write;
