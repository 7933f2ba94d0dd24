//! Everything through the public face, with real keys from `ssh-keygen` against Debian's `age` and against `rage`.

mod crypt;
mod differential;
mod header;
mod identities;
mod interop;
mod keys;
mod kills;
mod passphrases;
mod recipients;
mod rules;
mod secrecy;
mod vectors;
mod write;
