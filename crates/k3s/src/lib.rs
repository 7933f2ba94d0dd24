//! What K3s prints and stores, read by pure functions: tokens, certificates, node lists, units, journals, the kubeconfig.
//!
//! Nothing here starts a process or opens a file; each function takes the text that somebody fetched.

pub mod certificate;
pub mod journal;
mod kubeconfig;
pub mod login;
pub mod node;
mod token;
pub mod unit;
mod yaml;

pub use kubeconfig::{KubeconfigError, merge, personalise};
pub use token::{Role, Token, TokenError};

/// The token that servers join with, on a server that has run.
pub const SERVER_TOKEN: &str = "/var/lib/rancher/k3s/server/token";
/// The token that agents log in with, on a server. A symlink to the server's own where none was configured.
pub const AGENT_TOKEN: &str = "/var/lib/rancher/k3s/server/agent-token";
/// The administrator's kubeconfig, on a server.
pub const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
