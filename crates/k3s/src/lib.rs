//! What K3s prints and stores, read by pure functions: tokens, certificates, node lists, units, journals, the kubeconfig; and
//! its rules: which version may follow which, what servers have to agree in, how many of them have to remain.
//!
//! Nothing here starts a process or opens a file; each function takes the text that somebody fetched.

pub mod certificate;
pub mod drain;
pub mod etcd;
pub mod journal;
mod kubeconfig;
pub mod login;
pub mod node;
pub mod owned;
pub mod quorum;
pub mod start;
mod token;
pub mod unit;
pub mod version;
mod yaml;

pub use kubeconfig::{KubeconfigError, merge, personalise};
pub use start::Start;
pub use token::{Role, Token, TokenError};
pub use version::Version;

/// The token that servers join with, on a server that has run.
pub const SERVER_TOKEN: &str = "/var/lib/rancher/k3s/server/token";
/// The token that agents log in with, on a server. A symlink to the server's own where none was configured.
pub const AGENT_TOKEN: &str = "/var/lib/rancher/k3s/server/agent-token";
/// A server's datastore, whichever it is.
pub const DATASTORE: &str = "/var/lib/rancher/k3s/server/db";
/// The administrator's kubeconfig, on a server.
pub const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
