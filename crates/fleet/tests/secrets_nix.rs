//! A `secrets.nix` that a person wrote: what is not understood stays as it is, and what is edited looks as its author
//! would have written it.

use expect_test::{Expect, expect};
use fleet::secrets_nix::{SecretsNixError, add_host, remove_host, set_host_key};
use fleet::{HostName, PublicKey, Role};

const ADMIN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb";
const OCEAN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi";

/// The document's, with OCEAN and so on for keys.
const DOCUMENT: &str = r#"let
  users = {
    ncrmro = "ADMIN"; # Admin SSH key
  };
  
  systems = {
    ocean = "OCEAN"; # Server node SSH key
    maia = "MAIA";  # Agent node SSH key
  };

  adminKeys = [users.ncrmro];
  k3sServers = [systems.ocean];  # Only server nodes
  k3sAgents = [systems.maia];    # Only agent nodes
in {
  # Server token - only servers can decrypt
  "secrets/k3s-server-token.age".publicKeys = adminKeys ++ k3sServers;
  
  # Agent token - only agents can decrypt
  "secrets/k3s-agent-token.age".publicKeys = adminKeys ++ k3sAgents;
}
"#;
