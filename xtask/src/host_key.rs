//! A host's key, as the host itself says it over the network. Nobody vouches for it: whoever calls this shows the
//! fingerprint and asks.

use std::time::Duration;

use fleet::{Address, PublicKey};
use remote::{Cmd, RunError, Tool};

use crate::failure::Result;

/// What a person does to compare it, on the host's own console.
pub(crate) const ON_THE_HOST: &str = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub";

/// The key that the first of these addresses answers with, each asked for 3 s; `None` when none answers. Its ed25519
/// key if it has one.
pub(crate) fn scan(addresses: &[Address]) -> Result<Option<(PublicKey, Address)>> {
    remote::require(Tool::SSH_KEYSCAN)?;
    for address in addresses {
        let scan = Cmd::new("ssh-keyscan").args(["-T", "3", "-t", "ed25519,rsa", address.as_str()]);
        let text = match scan.timeout(Duration::from_secs(10)).run() {
            Ok(output) => output.text(),
            Err(error @ RunError::Interrupted { .. }) => return Err(error.into()),
            Err(_) => continue,
        };
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let keys = lines.filter_map(|(_, key)| PublicKey::new(key).ok());
        if let Some(key) = keys.max_by_key(|key| key.bare().starts_with("ssh-ed25519 ")) {
            return Ok(Some((key, address.clone())));
        }
    }
    Ok(None)
}
