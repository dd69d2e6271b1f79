//! Tests of the enrolment of a pod's agent with the tokens and keys of a real API server: what it issues for a pod of the
//! agents' service account is taken, what it issues for others is not, and an agent ends with its pod.
//!
//! The agents run beside the cluster with a kubeconfig, since its simulated nodes start no container; the tokens are those
//! that a kubelet would have been given.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::process::{Process, binary};
use nimbus_tests::rig::{Cluster, Options};
use nimbus_tests::site::{PATIENCE, cluster_uid};
use nimbus_tests::wait::{Seen, wait_for};

const NAMESPACE: &str = "nimbus-system";
/// Longer than the minute for which an agent is left alone after its enrolment.
const GONE: Duration = Duration::from_secs(100);

/// A pod of the agents' service account on the node at this place of the list, as a DaemonSet makes one for each; returns
/// the node.
async fn make_pod(cluster: &Cluster, name: &str, place: usize) -> anyhow::Result<String> {
    let nodes = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]).await?;
    let node = nodes.split_whitespace().nth(place).unwrap_or_default().to_owned();
    let spec = serde_json::json!({"spec": {
        "serviceAccountName": "nimbus-agent", "terminationGracePeriodSeconds": 1, "nodeName": node,
    }});
    let (image, spec) = ("registry.example/nimbus-agent:1", spec.to_string());
    cluster.kubectl(&["-n", NAMESPACE, "run", name, "--image", image, "--overrides", &spec]).await?;
    Ok(node)
}

/// Writes a token of the API server for `pod` and this audience to a file.
async fn token(cluster: &Cluster, dir: &Path, pod: &str, audience: &str) -> anyhow::Result<String> {
    let text = cluster
        .kubectl(&[
            "-n",
            NAMESPACE,
            "create",
            "token",
            "nimbus-agent",
            "--audience",
            audience,
            "--duration",
            "10m",
            "--bound-object-kind",
            "Pod",
            "--bound-object-name",
            pod,
        ])
        .await?;
    let path = dir.join(format!("{pod}-{audience}"));
    std::fs::write(&path, text.trim())?;
    Ok(path.display().to_string())
}

/// What an agent that is refused prints before it ends.
fn refused(plane: &Plane, cluster: &Cluster, join: &str, proof: &str) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new(binary("nimbus-agent")?);
    command.args(["--server", &plane.quic().to_string(), "--join", join, "--service-account-token", proof]);
    command.arg("--data-dir").arg(dir.path().join("data")).arg("--kubeconfig").arg(cluster.kubeconfig_path());
    let mut process = Process::start("refused-agent", command, dir.path())?;
    let status = process.wait(PATIENCE)?;
    anyhow::ensure!(!status.success(), "it was expected to be refused: {}", process.output());
    Ok(process.output())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    anyhow::ensure!(status.success(), "cannot copy {}", from.display());
    Ok(())
}

/// The control plane goes back to what it was before this agent joined: the agent proves itself again, ends, and is the same
/// agent once it was started again, as a kubelet does.
async fn joins_anew_after_a_restore(plane: &mut Plane, backup: &Path, agent: &mut AgentProcess) {
    let before = agent.seen_by(plane).await.unwrap()["id"].clone();
    plane.stop().unwrap();
    std::fs::remove_dir_all(plane.data_dir()).unwrap();
    copy(backup, &plane.data_dir()).unwrap();
    plane.restart().await.unwrap();
    agent.wait_until_dead(GONE).unwrap();
    assert!(agent.output().contains("joined anew"), "{}", agent.output());
    agent.restart().unwrap();
    agent.wait_until_connected(plane).await.unwrap();
    assert_eq!(agent.seen_by(plane).await.unwrap()["id"], before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_prove_where_they_run_by_a_real_api_servers_tokens() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let mut plane = Plane::start(None, QUICK).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    cluster.kubectl(&["create", "namespace", NAMESPACE]).await.unwrap();
    cluster.kubectl(&["-n", NAMESPACE, "create", "serviceaccount", "nimbus-agent"]).await.unwrap();

    let spare = plane.join_token("spare", "cluster").await.unwrap();
    let mut agents = Vec::new();
    for (place, pod) in ["first", "second"].into_iter().enumerate() {
        let node = make_pod(&cluster, pod, place).await.unwrap();
        let proof = token(&cluster, dir.path(), pod, "nimbus-control-plane").await.unwrap();
        let options = AgentOptions {
            name: node.clone(),
            kubeconfig: Some(cluster.kubeconfig_path()),
            // As the chart gives it, at every start.
            env: vec![
                ("NIMBUS_SERVICE_ACCOUNT_TOKEN".into(), proof),
                ("NIMBUS_JOIN_TOKEN".into(), spare.clone()),
            ],
            ..AgentOptions::default()
        };
        agents.push((AgentProcess::join(&plane, options).await.unwrap(), node));
        if agents.len() == 1 {
            plane.stop().unwrap();
            copy(&plane.data_dir(), &dir.path().join("backup")).unwrap();
            plane.restart().await.unwrap();
        }
    }
    joins_anew_after_a_restore(&mut plane, &dir.path().join("backup"), &mut agents[1].0).await;
    let uid = cluster_uid(&cluster).await.unwrap();
    let clusters = plane.items("/clusters").await.unwrap();
    assert_eq!((clusters.len(), &clusters[0]["id"]), (1, &serde_json::Value::from(uid)), "{clusters:?}");

    let join = plane.join_token("unused", "cluster").await.unwrap();
    let wrong = token(&cluster, dir.path(), "first", "vault").await.unwrap();
    let says = refused(&plane, &cluster, &join, &wrong).unwrap();
    assert!(says.contains("proof_audience"), "{says}");
    let stolen = token(&cluster, dir.path(), "first", "nimbus-control-plane").await.unwrap();
    let says = refused(&plane, &cluster, &join, &stolen).unwrap();
    assert!(says.contains("proof_replayed"), "another key with the token of a pod that has an agent: {says}");

    cluster.kubectl(&["-n", NAMESPACE, "delete", "pod", "second", "--now"]).await.unwrap();
    let (second, node) = &agents[1];
    wait_for("the agent to end with its pod", GONE, || async {
        let all = plane.items("/agents").await?;
        let it = all.iter().find(|agent| agent["name"] == node.as_str());
        let ended = it.is_some_and(|agent| agent["state"] == "revoked");
        Ok(Seen::when(ended.then_some(()), format!("{it:?}\n{}", second.output())))
    })
    .await
    .unwrap();
    let first = agents[0].0.seen_by(&plane).await.unwrap();
    assert_eq!(first["state"], "connected", "{first}");
}
