//! Everything through the public face, with real keys from `ssh-keygen` against Debian's `age` and against `rage`.

mod crypt;
mod differential;
mod header;
mod identities;
mod interop;
#[path = "../../fuzz/invariants.rs"]
mod invariants;
mod keys;
mod kills;
mod passphrases;
mod plugins;
mod property;
mod recipients;
mod rules;
mod secrecy;
mod seeds;
mod test_plugin;
mod vectors;
mod write;
