//! Finds the cluster that the agent is to watch, and builds the API client for it.
//!
//! A kubeconfig that cannot be used is an error at the start; a cluster that does not answer is a problem that goes
//! away by itself.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use nimbus_platform::open_regular;

use super::request;
use crate::config::ClusterSource;

/// Longest wait for a TCP and TLS connection to the API server.
const CONNECT: Duration = Duration::from_secs(5);

/// What to do about a cluster that does not answer.
const REACH: &str = "check the network, the address and the credentials; it is tried again";

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig file is not there.
    #[error("expected a kubeconfig at {0}, found no such file; check --kubeconfig, or use --no-cluster")]
    NoFile(PathBuf),
    /// The kubeconfig cannot be used.
    #[error(
        "expected a usable kubeconfig{file}, found: {found}; try `kubectl --kubeconfig FILE get nodes`, or use \
         --no-cluster"
    )]
    Kubeconfig {
        /// Where, if it was named.
        file: String,
        /// What is wrong with it.
        found: String,
    },
    /// Not in a pod, or its service account is not mounted.
    #[error(
        "expected to run in a pod with a mounted service account, found: {0}; use --kubeconfig FILE or --no-cluster"
    )]
    NotInCluster(String),
    /// The API server does not answer, or not as one.
    #[error("expected the Kubernetes API at {url}, found: {found}; {remedy}")]
    Unreachable {
        /// The API server.
        url: String,
        /// What came instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// Where the API server is, and the credentials for it.
#[derive(Debug, Clone)]
pub struct Target {
    config: Config,
    name: String,
}

/// A cluster that answered.
#[derive(Clone)]
pub struct Cluster {
    /// Its client; cheap to clone.
    pub client: Client,
    /// UID of the kube-system namespace.
    pub uid: String,
    /// Its name in the kubeconfig, or the beginning of its UID.
    pub name: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({} {})", self.name, self.uid)
    }
}

/// Reads where the cluster is, without using the network.
pub async fn target(source: &ClusterSource) -> Result<Option<Target>, ClusterError> {
    let (mut config, name) = match source {
        ClusterSource::None => return Ok(None),
        ClusterSource::InCluster => {
            let config =
                Config::incluster().map_err(|error| ClusterError::NotInCluster(error.to_string()))?;
            (config, String::new())
        }
        ClusterSource::Kubeconfig { path, context } => kubeconfig(path.clone(), context.clone()).await?,
    };
    config.connect_timeout = Some(CONNECT);
    // A 429 is how a disruption budget refuses an eviction: an answer, not something to wait out in here.
    config.default_retry = false;
    Ok(Some(Target { config, name }))
}

/// Largest kubeconfig that is read, in bytes.
const MAX_KUBECONFIG: u64 = 8 << 20;

/// The files that are read where none is named.
fn of_environment(is_asked: bool) -> Vec<PathBuf> {
    if !is_asked {
        return Vec::new();
    }
    match (std::env::var_os("KUBECONFIG"), std::env::var_os("HOME")) {
        (Some(paths), _) if !paths.is_empty() => std::env::split_paths(&paths).collect(),
        (_, Some(home)) => vec![PathBuf::from(home).join(".kube/config")],
        _ => Vec::new(),
    }
}

/// A pipe would be waited for, and the signals that end this program with it. What else is wrong with a file is told by who reads it.
fn look(path: &Path) -> Result<(), ClusterError> {
    let wrong =
        |found: String| Err(ClusterError::Kubeconfig { file: format!(" at {}", path.display()), found });
    match open_regular(path).and_then(|file| file.metadata()) {
        Ok(about) if about.len() > MAX_KUBECONFIG => wrong(format!("more than {MAX_KUBECONFIG} bytes")),
        Err(error) if error.kind() == ErrorKind::InvalidInput => wrong(error.to_string()),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn kubeconfig(
    path: Option<PathBuf>,
    context: Option<String>,
) -> Result<(Config, String), ClusterError> {
    let file = path.as_ref().map(|path| format!(" at {}", path.display())).unwrap_or_default();
    let wrong = |error: KubeconfigError| ClusterError::Kubeconfig {
        file: file.clone(),
        found: nimbus_platform::chain(&error),
    };
    for path in path.iter().cloned().chain(of_environment(path.is_none())) {
        look(&path)?;
    }
    let read = match &path {
        Some(path) if !path.exists() => return Err(ClusterError::NoFile(path.clone())),
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let read = read.map_err(wrong)?;
    let chosen = context.clone().or_else(|| read.current_context.clone()).unwrap_or_default();
    let name = read
        .contexts
        .iter()
        .find(|named| named.name == chosen)
        .and_then(|named| named.context.as_ref())
        .map_or(chosen, |context| context.cluster.clone());
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(read, &options).await.map_err(wrong)?;
    Ok((config, name))
}

impl Target {
    /// An API server of a test.
    #[cfg(test)]
    pub(in crate::watch) fn of(config: Config) -> Self {
        Self { config, name: String::new() }
    }

    /// How the API server is reached, with the credentials for it.
    pub(in crate::watch) fn config(&self) -> &Config {
        &self.config
    }

    /// Connects, and asks which cluster it is.
    pub async fn identify(&self) -> Result<Cluster, ClusterError> {
        let unreachable = |found: String, remedy| ClusterError::Unreachable {
            url: self.config.cluster_url.to_string(),
            found,
            remedy,
        };
        let client = Client::try_from(self.config.clone())
            .map_err(|error| unreachable(nimbus_platform::chain(&error), REACH))?;
        let namespace: serde_json::Value = request::get(&client, "/api/v1/namespaces/kube-system")
            .await
            .map_err(|error| unreachable(error.to_string(), REACH))?;
        let uid = namespace.pointer("/metadata/uid").and_then(serde_json::Value::as_str).unwrap_or_default();
        if uid.is_empty() {
            let found = "an answer without the kube-system namespace's UID".to_owned();
            return Err(unreachable(found, "check that the address is a Kubernetes API server's"));
        }
        let name = if self.name.is_empty() {
            format!("cluster-{}", uid.chars().take(8).collect::<String>())
        } else {
            self.name.clone()
        };
        Ok(Cluster { client, uid: uid.to_owned(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error_of(text: &str, context: Option<&str>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, text).unwrap();
        let source = ClusterSource::Kubeconfig { path: Some(path), context: context.map(str::to_owned) };
        target(&source).await.unwrap_err().to_string()
    }

    const GOOD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: \
                        east, user: u}}]\nclusters: [{name: east, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: \
                        [{name: u, user: {}}]\n";

    #[tokio::test]
    async fn a_malformed_kubeconfig_names_the_file_and_the_way_out() {
        for text in ["", "{", "clusters: 7", "apiVersion: v1\nkind: Config\n"] {
            let error = error_of(text, None).await;
            assert!(error.contains("/config") && error.contains("--no-cluster"), "{text:?}: {error}");
        }
        assert!(error_of(GOOD, Some("other")).await.contains("other"));
        let gone = ClusterSource::Kubeconfig { path: Some("/nowhere/kubeconfig".into()), context: None };
        assert!(matches!(target(&gone).await, Err(ClusterError::NoFile(_))));
    }

    #[tokio::test]
    async fn an_unreachable_cluster_is_named_with_its_address() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, GOOD).unwrap();
        let source = ClusterSource::Kubeconfig { path: Some(path), context: None };
        let target = target(&source).await.unwrap().unwrap();
        let error = target.identify().await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:1") && error.contains("tried again"), "{error}");
    }
}
