//! The server's kubeconfig, made fit for another machine.

use serde_norway::{Mapping, Value};

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// Not YAML.
    #[error("the server's kubeconfig is not YAML")]
    Yaml(#[from] serde_norway::Error),
    /// YAML of another shape.
    #[error("the server's kubeconfig has no {0}")]
    Missing(&'static str),
}

/// Gives cluster, user and context the cluster's name (K3s calls all of them `default`, so two clusters could not be
/// merged) and puts the server's address in place of 127.0.0.1. Everything else is kept.
///
/// # Errors
/// When it is not a kubeconfig.
pub fn personalise(yaml: &str, name: &str, server: &str) -> Result<String, KubeconfigError> {
    let mut config: Value = serde_norway::from_str(yaml)?;
    for list in ["clusters", "users", "contexts"] {
        for entry in entries(&mut config, list)? {
            entry.insert("name".into(), name.into());
        }
    }
    for entry in entries(&mut config, "clusters")? {
        let cluster = entry.get_mut("cluster").and_then(Value::as_mapping_mut);
        cluster.ok_or(KubeconfigError::Missing("cluster"))?.insert("server".into(), server.into());
    }
    for entry in entries(&mut config, "contexts")? {
        let context = entry.get_mut("context").and_then(Value::as_mapping_mut);
        let context = context.ok_or(KubeconfigError::Missing("context"))?;
        context.insert("cluster".into(), name.into());
        context.insert("user".into(), name.into());
    }
    let root = config.as_mapping_mut().ok_or(KubeconfigError::Missing("clusters"))?;
    root.insert("current-context".into(), name.into());
    Ok(serde_norway::to_string(&config)?)
}

fn entries<'a>(
    config: &'a mut Value,
    list: &'static str,
) -> Result<impl Iterator<Item = &'a mut Mapping>, KubeconfigError> {
    let list = config.get_mut(list).and_then(Value::as_sequence_mut).ok_or(KubeconfigError::Missing(list))?;
    Ok(list.iter_mut().filter_map(Value::as_mapping_mut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_address_are_the_clusters() {
        let yaml = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: QUJD\n    server: \
                    https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    user: \
                    default\n  name: default\ncurrent-context: default\nkind: Config\npreferences: {}\nusers:\n- \
                    name: default\n  user:\n    client-key-data: REVG\n";
        let told = personalise(yaml, "mercury", "https://100.64.0.6:6443").unwrap();
        assert!(told.contains("server: https://100.64.0.6:6443"), "{told}");
        assert!(told.contains("QUJD") && told.contains("REVG") && told.contains("current-context: mercury"));
        assert!(!told.contains("default"));
        assert!(personalise("kind: Config", "x", "y").is_err());
        assert!(personalise(": :", "x", "y").is_err());
    }
}
