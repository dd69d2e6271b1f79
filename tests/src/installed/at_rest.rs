//! What both programs take as pods on a real node while nothing is wrong, beside node_exporter in the same minute.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::site::{AGENT, CONTROL_PLANE, NAMESPACE, Site};
use crate::bench::{Row, usage};
use crate::process::{Process, free_port};

/// Rest before the measurement, and the window in which processor time is counted.
const SETTLE: Duration = Duration::from_secs(20);
const WINDOW: Duration = Duration::from_mins(1);

/// Measures the agent, and the two control planes, of which one stands by.
pub async fn measure(site: &Site, dir: &Path) -> anyhow::Result<()> {
    let agent = format!("-l=app.kubernetes.io/name={AGENT}");
    let agent = site.kubectl(&["get", "pods", &agent, "-o", "jsonpath={.items[0].metadata.name}"]).await?;
    let agent = process_of(site, &agent, AGENT).await?;
    let peer = usage::node_exporter(dir, free_port()?)?;
    tokio::time::sleep(SETTLE).await;
    let peer_pid = peer.as_ref().map(Process::pid);
    let measured = |pid: u32| tokio::task::spawn_blocking(move || usage::processor_percent(pid, WINDOW));
    let (own, other) = tokio::join!(measured(agent), async {
        match peer_pid {
            Some(pid) => measured(pid).await.map(Some),
            None => Ok(None),
        }
    });
    let (own, other) = (own??, other?.transpose()?);
    let says = |figure: f64, digits: usize| format!("node_exporter {figure:.digits$}");
    let memory = peer_pid.map(resident_mb).transpose()?.map(|mb| says(mb, 1));
    let said = site.nimbus(&["clusters", "list"]).await?;
    let pods = said["items"][0]["pods"].as_u64().context("the pods of the cluster")?;
    let what = format!("the agent's pod, leading in a cluster of {pods} pods: ");
    site.note(Row {
        what: format!("{what}resident memory"),
        value: resident_mb(agent)?,
        unit: "MB".into(),
        aim: Some("12".into()),
        peer: memory,
    });
    site.note(Row {
        what: format!("{what}processor"),
        value: own,
        unit: "% of a core".into(),
        aim: None,
        peer: other.map(|percent| format!("{} (nobody scrapes it)", says(percent, 3))),
    });
    for number in 0..2 {
        let pod = format!("{CONTROL_PLANE}-{number}");
        let pid = process_of(site, &pod, CONTROL_PLANE).await?;
        let ready = format!("/api/v1/namespaces/{NAMESPACE}/pods/https:{pod}:7070/proxy/readyz");
        let leads = site.kubectl(&["get", "--raw", &ready]).await?.trim() == "ready";
        let role = if leads { "leads" } else { "stands by" };
        site.note(Row {
            what: format!("the control plane's pod that {role}: resident memory"),
            value: resident_mb(pid)?,
            unit: "MB".into(),
            aim: None,
            peer: None,
        });
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    Ok(usage::resident_bytes(pid)? as f64 / 1e6)
}

/// The process of a program in a pod.
pub async fn process_of(site: &Site, pod: &str, program: &str) -> anyhow::Result<u32> {
    let uid = site.kubectl(&["get", "pod", pod, "-o", "jsonpath={.metadata.uid}"]).await?;
    // The kernel cuts a name after 15 bytes.
    let name: String = program.chars().take(15).collect();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let file = entry.file_name();
        let Some(pid) = file.to_str().and_then(|file| file.parse().ok()) else { continue };
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name && read("cgroup").contains(&uid) {
            return Ok(pid);
        }
    }
    anyhow::bail!("no process {name} of {pod} was found")
}
