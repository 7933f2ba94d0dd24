//! The file as serde sees it: every key it may have, nothing checked yet but shape.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::error::{FleetError, nearest};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFleet {
    pub(crate) cluster: RawCluster,
    #[serde(default)]
    pub(crate) admins: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(crate) hosts: BTreeMap<Spanned<String>, RawHost>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCluster {
    pub(crate) name: Spanned<String>,
    pub(crate) domain: Spanned<String>,
    pub(crate) network: Option<Spanned<String>>,
    pub(crate) interface: Option<Spanned<String>>,
    pub(crate) first_server: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawHost {
    pub(crate) role: Option<RawRole>,
    pub(crate) node_ip: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) addresses: Vec<Spanned<String>>,
    pub(crate) ssh_user: Option<Spanned<String>>,
    pub(crate) build_on: Option<Spanned<String>>,
    pub(crate) ssh_host_key: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) taints: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) labels: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) tls_sans: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) node_ports: bool,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) system: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawRole {
    Server,
    Agent,
}

pub(crate) fn parse(text: &str) -> Result<RawFleet, FleetError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| line_of(text, span.start));
        let message = error.message().to_owned();
        FleetError::Shape { line, hint: suggest(&message), message }
    })
}

/// 1-based line of a byte offset.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// serde lists the known names behind the unknown one, all in back quotes; the nearest of them is what was meant.
fn suggest(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    Some(match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", known.join(", ")),
    })
}
