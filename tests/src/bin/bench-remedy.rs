//! Measures the time from the moment when the API server shows a crash-looping pod to its eviction, with everything
//! real in between (watch, spool, QUIC, commit, diagnosis, plan, signature, admission, journal, eviction).
//!
//! Both moments are taken from one watch of the API server in this process, on one clock.

use std::time::Instant;

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use nimbus_tests::bench::{Report, percentile};
use nimbus_tests::postgres::Postgres;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads, waiting_reason};
use nimbus_tests::site::{PATIENCE, Site, cluster_uid, policy_for};
use nimbus_tests::wait;
use tokio::sync::mpsc;

const SAMPLES: usize = 200;
const DEPLOYMENTS: usize = 20;
/// `crash_loop_restarts` below.
const RESTARTS: i32 = 1;

/// A rule that waits for nothing: the first crash loop is enough, no cap, no storm, no wait between attempts.
const EAGER: &str = r"
[settings]
crash_loop_restarts = 1
verify_ms = 100
verify_timeout_ms = 20000
backoff_base_ms = 1
backoff_max_ms = 1
attempts = 1000000
[settings.caps]
per_namespace = 1000
per_node = 1000
per_cluster = 1000
fleet = 1000
[settings.storm]
pod_percent = 100
min_pods = 1000000
incidents = 1000000
";

/// What the watch saw of a pod, and when.
enum Seen {
    Broken(String),
    Evicted(String),
}

fn spawn_watch(workloads: &Workloads) -> mpsc::UnboundedReceiver<(Seen, Instant)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let api = kube::Api::<Pod>::namespaced(workloads.client(), workloads.namespace());
    tokio::spawn(async move {
        let mut pods = watcher(api, watcher::Config::default()).default_backoff().touched_objects().boxed();
        while let Some(pod) = pods.next().await {
            let (now, Ok(pod)) = (Instant::now(), pod) else { continue };
            let name = pod.metadata.name.clone().unwrap_or_default();
            let statuses = pod.status.as_ref().and_then(|s| s.container_statuses.as_ref());
            // What the rule waits for: a container that was restarted and waits again. The first wait, before any
            // restart, is not a loop yet.
            let loops = |c: &ContainerStatus| {
                waiting_reason(c) == Some("CrashLoopBackOff") && c.restart_count >= RESTARTS
            };
            let broken = statuses.is_some_and(|all| all.iter().any(loops));
            let seen = match (pod.metadata.deletion_timestamp.is_some(), broken) {
                (true, _) => Seen::Evicted(name),
                (false, true) => Seen::Broken(name),
                (false, false) => continue,
            };
            if sender.send((seen, now)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The milliseconds from broken to evicted of this pod, as the watch saw both.
async fn evicted(events: &mut mpsc::UnboundedReceiver<(Seen, Instant)>, pod: &str) -> anyhow::Result<f64> {
    let mut broken = None;
    loop {
        let (seen, at) = tokio::time::timeout(PATIENCE, events.recv())
            .await
            .with_context(|| format!("nothing was seen of {pod}"))?
            .context("the watch ended")?;
        match seen {
            Seen::Broken(name) if name == pod => _ = broken.get_or_insert(at),
            Seen::Evicted(name) if name == pod => {
                let broken =
                    broken.with_context(|| format!("{pod} was evicted before it was seen broken"))?;
                return Ok(at.duration_since(broken).as_secs_f64() * 1e3);
            }
            _ => {}
        }
    }
}

/// Breaks one pod after the other, each once the one before is replaced and its incident resolved, and collects the
/// milliseconds from broken to evicted.
async fn sample(site: &Site, workloads: &Workloads, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut events = spawn_watch(workloads);
    let mut samples = Vec::new();
    while samples.len() < count {
        let deployment = format!("d{}", samples.len() % DEPLOYMENTS);
        workloads.wait_until_ready(&deployment, PATIENCE).await?;
        let pod = workloads.pod_names(&deployment).await?.remove(0);
        workloads.break_pod(&pod, &Fault::Crash).await?;
        samples.push(evicted(&mut events, &pod).await?);
        wait::wait_for("the incident to be resolved", PATIENCE, || async {
            let open = site.plane.items("/incidents?state=active").await?;
            Ok(wait::Seen::when(open.is_empty().then_some(()), format!("{open:?}")))
        })
        .await?;
        if samples.len().is_multiple_of(10) {
            eprintln!("{} of {count}, the last {:.0} ms", samples.len(), samples[samples.len() - 1]);
        }
    }
    Ok(samples)
}

async fn measure(database: Option<String>) -> anyhow::Result<Vec<f64>> {
    let site = Site::start(database, EAGER).await?;
    // The default of 60 jobs an hour is a bound of the agent's own policy, and it holds.
    let uid = cluster_uid(&site.cluster).await?;
    site.agent.set_policy(&format!("{}jobs_per_hour = 10000\n", policy_for(&uid)))?;
    site.enable().await?;
    let workloads = site.cluster.workloads("bench").await?;
    for n in 0..DEPLOYMENTS {
        workloads.apply(&DeploymentSpec::new(&format!("d{n}"), 1)).await?;
    }
    for n in 0..DEPLOYMENTS {
        workloads.wait_until_ready(&format!("d{n}"), PATIENCE).await?;
    }
    // The first few fill caches and connections.
    sample(&site, &workloads, 5).await?;
    sample(&site, &workloads, SAMPLES).await
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut report = Report::new("Broken object seen to remedy applied", "cargo xtask bench remedy");
    let postgres = Postgres::start()?;
    for (name, database) in [("SQLite", None), ("PostgreSQL", Some(postgres.fresh_database()?))] {
        eprintln!("remedy on {name}: {SAMPLES} pods");
        let mut samples = measure(database).await?;
        report.row(format!("{name}: p50"), percentile(&mut samples, 50.0), "ms", None, None);
        report.row(format!("{name}: p99"), percentile(&mut samples, 99.0), "ms", Some("1,000"), None);
        report.row(
            format!("{name}: longest of {}", samples.len()),
            percentile(&mut samples, 100.0),
            "ms",
            None,
            None,
        );
    }
    report.note(format!(
        "A real API server, controller manager and scheduler, simulated kubelets, all of it on the machine's cores \
         together; {SAMPLES} pods, each broken once the incident before it is resolved, as one node is closed at a \
         time. From the watch event that shows what the rule asks for ({RESTARTS} restart and waiting in \
         CrashLoopBackOff) to the one that shows the pod being deleted; closing its node before, so that the \
         replacement goes elsewhere, is included."
    ));
    report.note(
        "Peers act on timers: Kubernetes evicts from a failed node after 50 s + 300 s by default, Argo CD polls every \
         120 s; neither replaces a crash-looping pod.",
    );
    report.print()
}
