//! cert-manager on the test cluster: its real controllers, by which Certificates become Secrets and are renewed.
//!
//! Decides: how the program of `tests/rig/cert-manager` is started, and how it is known that a Certificate was issued. It is
//! cert-manager without its webhook: the API server takes whatever the definitions of the kinds allow.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Cluster, build, repository};
use crate::process::Process;
use crate::wait::{Seen, wait_for};

/// How long its controllers may take until they run: it takes less than a second on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(1);
/// What the program prints then.
const STARTED: &str = "started";

/// Controllers that run on a cluster; they end when this is dropped.
#[derive(Debug)]
pub struct CertManager {
    process: Process,
}

impl CertManager {
    /// Defines the kinds on this cluster and starts the controllers. The first start on a machine builds them, which takes
    /// minutes.
    ///
    /// # Errors
    /// When they cannot be built or started; then with what they said.
    pub async fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let ensure = || build::ensure_cert_manager(&repository()?);
        let (program, kinds) = tokio::task::spawn_blocking(ensure).await??;
        let kinds = kinds.to_str().context("a path in UTF-8")?;
        // Not on the client's side, which would write them once more into an annotation that has no room for them.
        cluster.kubectl(&["apply", "--server-side", "--filename", kinds]).await?;
        let established = ["wait", "--for=condition=Established", "--timeout=60s", "--filename", kinds];
        cluster.kubectl(&established).await?;
        // What RBAC grants to cert-manager is its chart's matter.
        let kubeconfig = cluster.kubeconfig_for("cert-manager", &["system:masters"])?;
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(kubeconfig).env_remove("KUBECONFIG").env("HOME", cluster.dir());
        let mut process = Process::start("cert-manager", command, cluster.dir())?;
        process.wait_for_line(STARTED, START_LIMIT)?;
        Ok(Self { process })
    }

    /// Waits until a Certificate was issued for this or a later time, the first one being 1, and is ready.
    ///
    /// # Errors
    /// When it is not within `limit`, with its conditions and the controllers' last words.
    pub async fn wait_until_issued(
        &self,
        cluster: &Cluster,
        (namespace, name): (&str, &str),
        revision: u64,
        limit: Duration,
    ) -> anyhow::Result<()> {
        wait_for(&format!("revision {revision} of the Certificate {name}"), limit, || async {
            let status = status(cluster, (namespace, name)).await?;
            let is_issued = status["revision"].as_u64().is_some_and(|found| found >= revision);
            let is = |condition| is_true(&status, condition);
            let found = is_issued && is("Ready") && !is("Issuing");
            Ok(Seen::when(found.then_some(()), format!("{status}\n{}", self.last_words())))
        })
        .await
    }

    /// Has a Certificate issued once more before its time: sets the condition that `cmctl renew` sets.
    ///
    /// # Errors
    /// When there is no such Certificate, or none was issued yet.
    pub async fn renew(&self, cluster: &Cluster, (namespace, name): (&str, &str)) -> anyhow::Result<()> {
        let condition = json!({
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
        });
        let patch = json!([{"op": "add", "path": "/status/conditions/-", "value": condition}]).to_string();
        let which = ["patch", "certificate", name, "--namespace", namespace];
        let what = ["--subresource=status", "--type=json", "--patch", patch.as_str()];
        cluster.kubectl(&[&which[..], &what].concat()).await.map(drop)
    }

    fn last_words(&self) -> String {
        let output = self.process.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

fn is_true(status: &Value, condition: &str) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|found| found["type"] == condition && found["status"] == "True")
}

async fn status(cluster: &Cluster, (namespace, name): (&str, &str)) -> anyhow::Result<Value> {
    let words = ["get", "certificate", name, "--namespace", namespace, "--output=json"];
    let mut object: Value = serde_json::from_str(&cluster.kubectl(&words).await?)?;
    Ok(object["status"].take())
}
