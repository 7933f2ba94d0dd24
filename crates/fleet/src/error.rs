//! What can be wrong with a fleet.

/// What is wrong with fleet.toml, or with a name that should be in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// Not TOML, an unknown key, a wrong type.
    #[error("hosts/fleet.toml{}: {message}", at(*line))]
    Shape {
        /// 1-based.
        line: Option<usize>,
        /// The parser's words.
        message: String,
        /// The nearest known name, for an unknown one.
        hint: Option<String>,
    },
    /// TOML of the right shape that says something impossible.
    #[error("hosts/fleet.toml{}: {place}: {message}", at(*line))]
    Value {
        /// 1-based.
        line: Option<usize>,
        /// The key, `hosts.maia.node_ip`.
        place: String,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A host that fleet.toml does not have.
    #[error("there is no host `{name}` in hosts/fleet.toml")]
    UnknownHost {
        /// What was asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
        /// All names there are.
        known: Vec<String>,
    },
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

impl FleetError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Shape { hint, .. } => hint.clone(),
            Self::Value { hint, .. } => Some(hint.clone()),
            Self::UnknownHost { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownHost { known, .. } => Some(format!("known hosts: {}", known.join(", "))),
        }
    }
}

/// The known name that is nearest to a mistyped one, if one is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let scored = known.into_iter().map(|name| (strsim::jaro_winkler(typed, name), name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 > 0.75).then(|| best.1.to_owned())
}
