//! Chooses the cluster that the agent of `nimbus up` watches: the current context of a kubeconfig.
//!
//! A kubeconfig that was named must work. One that was only found must be readable, but its cluster may be away, as it
//! is after a reboot of both: the agent then starts all the same and watches it as soon as it answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nimbus_agent::ClusterSource;
use nimbus_agent::watch::kube::client::{ClusterError, target};
use nimbus_cli::error::Failure;
use nimbus_cli::exit::Exit;
use nimbus_cli::{config, files};
use serde::Deserialize;
use tokio::time::timeout;

/// How long a cluster is given to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `--no-cluster`.
    None,
    /// `--kubeconfig FILE`.
    Named(PathBuf),
    /// Nothing was said.
    IfThere,
}

/// What the agent is given.
#[derive(Debug)]
pub(super) struct Found {
    pub source: ClusterSource,
    /// The cluster's name; `None` when none answered.
    pub name: Option<String>,
    /// The UID of its kube-system namespace; `None` when none answered.
    pub uid: Option<String>,
    /// Why none is watched now, half a sentence; empty when one is.
    pub reason: String,
}

impl Found {
    fn none(reason: impl Into<String>) -> Self {
        Self { source: ClusterSource::None, name: None, uid: None, reason: reason.into() }
    }

    /// Is there one that does not answer now?
    pub fn awaited(&self) -> bool {
        self.uid.is_none() && self.source != ClusterSource::None
    }
}

/// The one thing of a kubeconfig that is looked at here.
#[derive(Debug, Deserialize)]
struct Kubeconfig {
    #[serde(rename = "current-context", default)]
    current_context: Option<String>,
}

/// Finds the cluster and asks it who it is.
pub(super) async fn find(wanted: &Wanted) -> Result<Found, Failure> {
    match wanted {
        Wanted::None => Ok(Found::none("--no-cluster")),
        Wanted::Named(path) => match look(path)? {
            Some(_) => identify(ClusterSource::Kubeconfig { path: Some(path.clone()), context: None })
                .await?
                .map_err(|found| unreachable(path, &found)),
            None => Err(no_current(path)),
        },
        Wanted::IfThere => if_there(std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty())).await,
    }
}

async fn if_there(variable: Option<std::ffi::OsString>) -> Result<Found, Failure> {
    let named: Vec<PathBuf> =
        variable.iter().flat_map(std::env::split_paths).filter(|p| !p.as_os_str().is_empty()).collect();
    let paths = if named.is_empty() {
        config::home().map(|home| home.join(".kube").join("config")).into_iter().collect()
    } else {
        named.clone()
    };
    let there: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
    if there.is_empty() {
        let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Ok(Found::none(format!("no kubeconfig at {}", shown.join(", "))));
    }
    let mut current = None;
    for path in &there {
        current = current.or(look(path)?);
    }
    let Some(context) = current else {
        return Ok(Found::none(format!("{} names no current context", there[0].display())));
    };
    // One file is named; several are merged by the client, which reads the variable itself.
    let path = if let [one] = there[..] { Some(one.clone()) } else { None };
    let source = ClusterSource::Kubeconfig { path, context: None };
    let found = identify(source.clone()).await?;
    Ok(found.unwrap_or_else(|why| Found {
        source,
        ..Found::none(format!(
            "the cluster of context {context:?} does not answer now; the agent keeps trying. Found: {why}"
        ))
    }))
}

/// Largest kubeconfig that is read, in bytes.
const MAX_KUBECONFIG: u64 = 8 << 20;

/// The file's current context. Unreadable or malformed is an error that names the file and the place.
fn look(path: &Path) -> Result<Option<String>, Failure> {
    let text = nimbus_platform::read_regular_text(path, MAX_KUBECONFIG).map_err(|error| {
        files::unreadable("the kubeconfig", path, &error)
            .next("check --kubeconfig or KUBECONFIG, or use --no-cluster")
    })?;
    let parsed: Result<Kubeconfig, _> = serde_saphyr::from_str(&text);
    let parsed = parsed.map_err(|error| {
        let text = error.to_string();
        let place: Vec<&str> = text.lines().take(1).collect();
        malformed(path, &place.join(" "))
    })?;
    Ok(parsed.current_context.filter(|context| !context.is_empty()))
}

/// Asks the cluster who it is. The inner error says in half a sentence why it does not answer.
async fn identify(source: ClusterSource) -> Result<Result<Found, String>, Failure> {
    let wrong = |error: ClusterError| {
        Failure::new("the kubeconfig cannot be used")
            .detail(error.to_string())
            .next("correct it, name another one with --kubeconfig, or use --no-cluster")
    };
    let Some(target) = target(&source).await.map_err(wrong)? else {
        return Ok(Ok(Found::none("--no-cluster")));
    };
    Ok(match timeout(ANSWER, target.identify()).await {
        Ok(Ok(cluster)) => {
            Ok(Found { source, name: Some(cluster.name), uid: Some(cluster.uid), reason: String::new() })
        }
        Ok(Err(ClusterError::Unreachable { url, found, .. })) => Err(format!("{url}: {found}")),
        Ok(Err(other)) => Err(other.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    })
}

fn malformed(path: &Path, found: &str) -> Failure {
    Failure::new("the kubeconfig cannot be read")
        .expected("a kubeconfig in YAML")
        .found(format!("{}: {found}", path.display()))
        .next("correct that place, name another file with --kubeconfig, or use --no-cluster")
}

fn no_current(path: &Path) -> Failure {
    Failure::new("the kubeconfig names no current context")
        .expected("current-context: NAME")
        .found(format!("none in {}", path.display()))
        .next("choose one with `kubectl config use-context NAME`, or use --no-cluster")
}

fn unreachable(path: &Path, found: &str) -> Failure {
    Failure::new("the cluster does not answer")
        .exit(Exit::Error)
        .expected(format!(
            "the current cluster of {} to answer within {} s",
            path.display(),
            ANSWER.as_secs()
        ))
        .found(found)
        .next("check it with `kubectl get nodes`, or start without it: --no-cluster")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: \
                        east, user: u}}]\nclusters: [{name: east, cluster: {server: 'http://127.0.0.1:9'}}]\nusers: \
                        [{name: u, user: {}}]\n";

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn a_malformed_one_names_file_and_place_whether_named_or_found() {
        let (_dir, path) = file("current-context: a\nclusters: [\n  {name: x\n");
        for wanted in [find(&Wanted::Named(path.clone())).await, if_there(Some(path.clone().into())).await] {
            let failure = wanted.unwrap_err();
            assert!(failure.found.contains("kubeconfig") && failure.found.contains("line"), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_cluster_that_is_away_is_an_error_only_where_it_was_named() {
        let (_dir, path) = file(GOOD);
        let failure = find(&Wanted::Named(path.clone())).await.unwrap_err();
        assert!(failure.found.contains("127.0.0.1:9") && failure.next.contains("--no-cluster"), "{failure}");
        // Only found, it may be away: the agent is given it all the same, and keeps trying.
        let found = if_there(Some(path.clone().into())).await.unwrap();
        assert_eq!(found.source, ClusterSource::Kubeconfig { path: Some(path), context: None });
        assert_eq!((found.awaited(), &found.name, &found.uid), (true, &None, &None));
        assert!(found.reason.contains("does not answer now; the agent keeps trying"), "{}", found.reason);
    }

    #[tokio::test]
    async fn nothing_there_and_no_current_context_are_said() {
        let found = if_there(Some("/nowhere/kubeconfig".into())).await.unwrap();
        assert_eq!(found.reason, "no kubeconfig at /nowhere/kubeconfig");
        assert!(!found.awaited());
        let (_dir, path) = file("apiVersion: v1\nkind: Config\n");
        let found = if_there(Some(path.clone().into())).await.unwrap();
        assert!(found.reason.contains("no current context"), "{}", found.reason);
        assert!(find(&Wanted::Named(path)).await.unwrap_err().next.contains("use-context"));
        let gone = find(&Wanted::Named("/nowhere/kubeconfig".into())).await.unwrap_err();
        assert!(gone.found.contains("no such file"), "{gone}");
    }
}
