//! Everything through the public face, with real keys from `ssh-keygen` and against Debian's `age`.

mod crypt;
mod differential;
mod header;
mod identities;
mod keys;
mod kills;
mod passphrases;
mod recipients;
mod rules;
mod secrecy;
mod write;
