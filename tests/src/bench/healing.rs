//! From a broken pod to its eviction, as one watch of the API server sees both: what the benchmark of remedies measures.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::mpsc;

use crate::plane::Plane;
use crate::rig::workloads::{Workloads, waiting_reason};
use crate::site::PATIENCE;
use crate::wait;

/// `crash_loop_restarts` below.
pub const RESTARTS: i32 = 1;

/// A rule that waits for nothing: the first crash loop is enough, no cap, no storm, no wait between attempts.
pub const EAGER: &str = r"
[settings]
crash_loop_restarts = 1
good_after_ms = 1000
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

/// A job that is signed later than this has its story told.
const SLOW: SignedDuration = SignedDuration::from_secs(3);

/// Breaks a pod.
pub type Breaker<'a> = Box<dyn Fn(String) -> futures::future::BoxFuture<'a, anyhow::Result<()>> + 'a>;

/// What the watch saw of a pod, and when.
enum Seen {
    Broken(String),
    Evicted(String),
}

/// Deployments of one pod each, which are broken one by one or together.
pub struct Healing<'a> {
    plane: &'a Plane,
    workloads: &'a Workloads,
    breaker: Breaker<'a>,
    events: mpsc::UnboundedReceiver<(Seen, Instant)>,
    /// Where the time went, of all jobs so far.
    pub stages: Stages,
}

/// Milliseconds from broken until each stage was reached, by the clocks of the machine.
#[derive(Debug, Default)]
pub struct Stages {
    /// The control plane signed the job.
    pub signed: Vec<f64>,
    /// It was sent.
    pub sent: Vec<f64>,
}

impl<'a> Healing<'a> {
    /// Begins to watch.
    pub fn new(plane: &'a Plane, workloads: &'a Workloads, breaker: Breaker<'a>) -> Self {
        Self { plane, workloads, breaker, events: spawn_watch(workloads), stages: Stages::default() }
    }

    /// Breaks the pods of `deployments` in turn, `count` in all, each once the one before is replaced and its incident
    /// resolved, and collects the milliseconds from broken to evicted.
    ///
    /// # Errors
    /// When one is not replaced in time.
    pub async fn one_at_a_time(&mut self, deployments: &[String], count: usize) -> anyhow::Result<Vec<f64>> {
        let mut samples = Vec::new();
        for deployment in deployments.iter().cycle().take(count) {
            samples.extend(self.at_once(std::slice::from_ref(deployment)).await?);
            if samples.len().is_multiple_of(10) {
                eprintln!("{} of {count}, the last {:.0} ms", samples.len(), samples[samples.len() - 1]);
            }
        }
        Ok(samples)
    }

    /// Breaks the pods of all these `deployments` together, waits until all are replaced and no incident is open, and
    /// collects each one's milliseconds from broken to evicted.
    ///
    /// # Errors
    /// When one is not replaced in time.
    pub async fn at_once(&mut self, deployments: &[String]) -> anyhow::Result<Vec<f64>> {
        let work = self.workloads;
        let pods = try_join_all(deployments.iter().map(|name| async move {
            work.wait_until_ready(name, PATIENCE).await?;
            let pod = work.pod_names(name).await?.pop();
            pod.with_context(|| format!("{name} has no pod"))
        }))
        .await?;
        try_join_all(pods.iter().map(|pod| self.workloads.has_been_well(pod))).await?;
        try_join_all(pods.iter().map(|pod| (self.breaker)(pod.clone()))).await?;
        let (samples, broken) = self.evicted(&pods).await?;
        wait::wait_for("the incidents to be resolved", PATIENCE, || async {
            let open = self.plane.items("/incidents?state=active").await?;
            Ok(wait::Seen::when(open.is_empty().then_some(()), format!("{open:?}")))
        })
        .await?;
        self.note_stages(&broken).await?;
        Ok(samples)
    }

    /// What the control plane says of the jobs that evicted these pods.
    async fn note_stages(&mut self, broken: &HashMap<String, Timestamp>) -> anyhow::Result<()> {
        let jobs = self.plane.items("/jobs").await?;
        for job in jobs.iter().filter(|job| !job["applied_at"].is_null()) {
            let Some(since) = job["object"]["name"].as_str().and_then(|name| broken.get(name)) else {
                continue;
            };
            let signed = job["created_at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            if signed.is_some_and(|at| at.duration_since(*since) > SLOW) {
                self.tell_why(job, *since).await?;
            }
            let stages = [("created_at", &mut self.stages.signed), ("dispatched_at", &mut self.stages.sent)];
            for (field, into) in stages {
                let at: Option<Timestamp> = job[field].as_str().and_then(|text| text.parse().ok());
                into.extend(at.map(|at| at.duration_since(*since).as_secs_f64() * 1e3));
            }
        }
        Ok(())
    }

    /// Prints the story of a job that was signed late.
    async fn tell_why(&self, job: &serde_json::Value, since: Timestamp) -> anyhow::Result<()> {
        let id = job["incident_id"].as_str().unwrap_or_default();
        let incident = self.plane.get(&format!("/incidents/{id}")).await?;
        eprintln!(
            "{} was broken at {since:.3}, and its job signed at {}:",
            job["object"]["name"], job["created_at"]
        );
        for line in incident["history"].as_array().into_iter().flatten() {
            eprintln!("    {} {}", line["at"], line["text"]);
        }
        Ok(())
    }

    /// The milliseconds from broken to evicted of each of these pods, and when each was broken.
    async fn evicted(&mut self, pods: &[String]) -> anyhow::Result<(Vec<f64>, HashMap<String, Timestamp>)> {
        let (mut broken, mut evicted, mut samples) = (HashMap::new(), HashSet::new(), Vec::new());
        while samples.len() < pods.len() {
            let (seen, at) = tokio::time::timeout(PATIENCE, self.events.recv())
                .await
                .with_context(|| format!("{} of {} were evicted", samples.len(), pods.len()))?
                .context("the watch ended")?;
            match seen {
                Seen::Broken(name) => _ = broken.entry(name).or_insert(at),
                // The watch tells of a pod's end more than once.
                Seen::Evicted(name) if pods.contains(&name) && evicted.insert(name.clone()) => {
                    let since = broken.get(&name);
                    let since =
                        since.with_context(|| format!("{name} was evicted before it was seen broken"))?;
                    samples.push(at.duration_since(*since).as_secs_f64() * 1e3);
                }
                Seen::Evicted(_) => {}
            }
        }
        let now = (Instant::now(), nimbus_platform::now());
        let ago = |at: Instant| now.1.checked_sub(now.0.duration_since(at)).unwrap_or(now.1);
        Ok((samples, broken.into_iter().map(|(name, at)| (name, ago(at))).collect()))
    }
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
