//! metrics-server on the test cluster: the real one, which reads from the simulated kubelets what their pods use, so that autoscalers
//! scale.
//!
//! Decides: how it is started and how the API server finds it. What a pod uses, its annotation says; see `tests/rig/stages/metrics.yaml`.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use super::{Cluster, build, repository};
use crate::process::{Process, free_port};
use crate::wait::{Seen, wait_for};

/// How long it may take until the cluster answers by it: a few seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(2);
/// The annotation of a pod that says what it uses of CPUs.
pub const CPU: &str = "rig.nimbus.dev/cpu";

/// metrics-server, which ends when this is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    _process: Process,
}

impl MetricsServer {
    /// Starts it on a cluster that was started with `metrics`, and waits until the cluster answers by it. What a pod uses it has seen twice,
    /// ten seconds apart, before it says anything of it. The first start on a
    /// machine builds it, which takes minutes.
    ///
    /// # Errors
    /// When it cannot be built or started, or nothing is served in time.
    pub async fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let ensure = || build::ensure_metrics_server(&repository()?);
        let program = tokio::task::spawn_blocking(ensure).await??;
        let kubeconfig = cluster.kubeconfig_for("metrics-server", &["system:masters"])?;
        let port = free_port()?;
        let mut command = Command::new(program);
        for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            command.arg(format!("--{flag}={}", kubeconfig.display()));
        }
        command
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--secure-port={port}"))
            .arg(format!("--cert-dir={}", cluster.dir().join("metrics-server").display()))
            // The simulated kubelets of all nodes serve at one port.
            .args(["--kubelet-use-node-status-port", "--kubelet-preferred-address-types=InternalIP"])
            .args(["--kubelet-insecure-tls", "--metric-resolution=10s", "--kubelet-request-timeout=5s"])
            .env_remove("KUBECONFIG")
            .env("HOME", cluster.dir());
        let process = Process::start("metrics-server", command, cluster.dir())?;
        // By this name the API server reaches loopback, which no endpoint may be.
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "metrics-server", "namespace": "kube-system"},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        });
        let api = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io", "version": "v1beta1",
                "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
                "service": {"name": "metrics-server", "namespace": "kube-system", "port": port},
            },
        });
        let file = cluster.dir().join("metrics-server.json");
        let both = json!({"apiVersion": "v1", "kind": "List", "items": [service, api]});
        std::fs::write(&file, both.to_string()).context("what the API server is told of metrics-server")?;
        cluster.kubectl(&["apply", "-f", &file.display().to_string()]).await?;
        wait_for("the cluster to answer what its nodes use", START_LIMIT, || async {
            let seen = cluster.kubectl(&["get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"]).await;
            // What uses nothing it leaves out: on a cluster without pods the list is empty.
            let answers = seen.as_ref().is_ok_and(|seen| seen.contains("NodeMetricsList"));
            Ok(Seen::when(answers.then_some(()), seen.unwrap_or_else(|error| error.to_string())))
        })
        .await
        .with_context(|| format!("metrics-server said last:\n{}", last_lines(&process.output())))?;
        Ok(Self { _process: process })
    }
}

fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
