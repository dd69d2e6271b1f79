//! Two versions as pods, on two nodes: both charts are installed as they were in the version before, the control planes are
//! upgraded under its agents, and then the DaemonSet, with a job under way and held halfway, so that agents of both versions
//! stand side by side and lead after each other; at last it is rolled back, with a job under way again, and upgraded anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::at_rest::process_of;
use super::site::{AGENT, CONTROL_PLANE, NAMESPACE, Site, UNTIL_READY};
use super::story::{
    Clock, LIMIT, agents, break_and_evict, control_plane, keys_and_database, the_cluster_is_watched,
    the_operator_is_answered, two_pods,
};
use crate::process::{binary, send_signal};
use crate::site::cluster_uid;
use crate::wait::{Seen, wait_for};

/// The variable with the tree of the version before, whose programs were built in it.
const BEFORE: &str = "NIMBUS_BEFORE";
/// How long a replacement is watched before its job is done: longer than one pod takes to be told to end.
const VERIFY_MS: u32 = 12_000;
/// How often a leader is ended until another one leads, and how long that may take each time.
const ENDS: usize = 4;
const TAKES_OVER: Duration = Duration::from_secs(20);
/// The agents' pods.
const PODS: [&str; 4] = ["get", "pods", "-l", "app.kubernetes.io/name=nimbus-agent"];

/// Tells it.
pub async fn tell(site: &Site) -> anyhow::Result<()> {
    let before = Before::bring(site)?;
    let keys = keys_and_database(site).await?;
    let planes = |round: u32| {
        let mut values = control_plane(round, &json!({"enabled": false}));
        // A job is under way for so long at least.
        values["config"]["settings"]["verify_ms"] = json!(VERIFY_MS);
        values
    };
    before.install(site, CONTROL_PLANE, &planes(1)).await?;
    site.know_control_plane((NAMESPACE, CONTROL_PLANE), &keys).await?;
    the_operator_is_answered(site).await?;
    let uid = cluster_uid(&site.cluster).await?;
    let agents = agents(site, &uid).await?;
    before.install(site, AGENT, &agents(1)).await?;
    let name = the_cluster_is_watched(site, &uid).await?;
    let fleet = Fleet { site, before: &before, cluster: &name };
    fleet.is([Version::Before, Version::Before]).await?;
    // As it was before there were modes.
    site.nimbus(&["autonomous", "enable", "--cluster", &name]).await?;
    fleet.heals("before", "a pod is healed in the version before").await?;

    let clock = Clock::start(site);
    site.install(CONTROL_PLANE, &planes(2)).await?;
    the_operator_is_answered(site).await?;
    the_cluster_is_watched(site, &uid).await?;
    clock.say("helm upgrade of the control planes from the version before, under its agents");
    fleet.is([Version::Before, Version::Before]).await?;
    fleet
        .heals("upgraded", "a pod is healed by an agent of the version before, under today's control plane")
        .await?;

    halfway(&fleet, &agents(2)).await.context("agents of both versions")?;
    // The one of the version before leads, has the job, and is the one that is replaced.
    let leader = fleet.leader().await?;
    if leader.version == Version::Today {
        fleet.gives_the_lead_up(&leader).await?;
    }
    let by = amid_a_job(&fleet, "complete", async || go_on(site).await).await?;
    fleet.is([Version::Today, Version::Today]).await?;
    let now = fleet.agents().await?;
    let there = now.iter().any(|agent| agent["id"] == by.as_str() && agent["state"] == "connected");
    anyhow::ensure!(!there, "the agent with the job was to be replaced: {now:?}");
    fleet.heals("today", "a pod is healed by today's agents").await?;

    let clock = Clock::start(site);
    let back = ["rollback", AGENT, "1"];
    amid_a_job(&fleet, "back", async || site.helm(&[&back[..], &UNTIL_READY].concat()).await.map(drop))
        .await?;
    clock.say("helm rollback of the agents to the version before, with a job under way");
    fleet.is([Version::Before, Version::Before]).await?;
    fleet.heals("older", "a pod is healed after the rollback").await?;
    site.install(AGENT, &agents(3)).await?;
    fleet.is([Version::Today, Version::Today]).await?;
    fleet.heals("last", "a pod is healed after one more upgrade").await?;
    nothing_was_lost_or_done_twice(site).await
}

/// The agents are upgraded with a job under way, and the DaemonSet stops once one node has today's.
async fn halfway(fleet: &Fleet<'_>, values: &Value) -> anyhow::Result<()> {
    let site = fleet.site;
    amid_a_job(fleet, "halfway", async || {
        let (from, image) = (site.chart(AGENT)?, site.image(AGENT));
        site.install_from((&site.cluster, NAMESPACE), AGENT, (&from, &image), values, &[]).await?;
        // The first node's pod is gone by now, and the next one waits for its successor, which takes seconds.
        let hold = r#"{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}"#;
        site.kubectl(&["patch", "daemonset", AGENT, "--type=merge", "-p", hold]).await.map(drop)
    })
    .await?;
    fleet.is([Version::Before, Version::Today]).await?;
    let mut led = Vec::new();
    for (number, name) in ["side-by-side", "the-other-way"].into_iter().enumerate() {
        let leader = fleet.leader().await?;
        led.push(leader.version);
        let what = format!(
            "a pod is healed by the agent of {}, beside one of the other version",
            leader.version.words()
        );
        fleet.heals(name, &what).await?;
        fleet.is([Version::Before, Version::Today]).await?;
        if number == 0 {
            fleet.gives_the_lead_up(&leader).await?;
        }
    }
    led.sort_unstable();
    anyhow::ensure!(led == [Version::Before, Version::Today], "expected both to have led, found {led:?}");
    Ok(())
}

/// The upgrade goes on: with the very strategy of the chart, so that nobody but helm has another word on it.
async fn go_on(site: &Site) -> anyhow::Result<()> {
    let strategy =
        r#"{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"10%"}}}}"#;
    site.kubectl(&["patch", "daemonset", AGENT, "--type=merge", "-p", strategy]).await?;
    let daemon_set = format!("daemonset/{AGENT}");
    site.kubectl(&["rollout", "status", &daemon_set, "--timeout=3m"]).await.map(drop)
}

/// Something is done to the agents while a job is under way, which ends well; returns who has it.
async fn amid_a_job(
    fleet: &Fleet<'_>,
    name: &str,
    change: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let (site, name) = (fleet.site, format!("amid-{name}"));
    let victim = two_pods(site, &name).await?;
    break_and_evict(site, &name, &victim).await?;
    let under_way = |job: &Value| job["applied_at"].is_string() && job["finished_at"].is_null();
    let by = fleet.job_is(&victim, "under way", under_way).await?;
    change().await?;
    let done = fleet.job_succeeded(&victim).await?;
    anyhow::ensure!(done == by, "expected the job's end by {by}, who began it, found it by {done}");
    site.shop.wait_until_ready(&name, LIMIT).await?;
    Ok(by)
}

/// Which version an agent's pod is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Before,
    Today,
}

impl Version {
    fn words(self) -> &'static str {
        match self {
            Self::Before => "the version before",
            Self::Today => "today",
        }
    }
}

/// An agent that leads.
struct Leader {
    id: String,
    pod: String,
    version: Version,
}

/// The agents of the cluster.
struct Fleet<'a> {
    site: &'a Site,
    before: &'a Before,
    cluster: &'a str,
}

impl Fleet<'_> {
    /// Waits until the agents of both nodes are connected, and their pods ready and of these versions, in any order.
    async fn is(&self, versions: [Version; 2]) -> anyhow::Result<()> {
        wait_for(&format!("agents of the versions {versions:?} on both nodes"), LIMIT, || async {
            let pods = self.pods().await?;
            let mut now: Vec<_> =
                pods.values().map(|(_, version, ready)| ready.then_some(*version)).collect();
            now.sort_unstable();
            let agents = self.agents().await?;
            let connected = agents.iter().filter(|agent| agent["state"] == "connected").count();
            let all = now == versions.map(Some) && connected == 2;
            Ok(Seen::when(all.then_some(()), format!("{pods:?} {agents:?}")))
        })
        .await
    }

    /// By node: the name of the agent's pod, its version and whether it is ready.
    async fn pods(&self) -> anyhow::Result<BTreeMap<String, (String, Version, bool)>> {
        let said = self.site.kubectl(&[&PODS[..], &["-o", "json"]].concat()).await?;
        let said: Value = serde_json::from_str(&said)?;
        let mut all = BTreeMap::new();
        for pod in said["items"].as_array().context("pods")? {
            let image = pod["spec"]["containers"][0]["image"].as_str().context("an image")?;
            let version =
                if image.ends_with(&self.before.digest(AGENT)?) { Version::Before } else { Version::Today };
            let conditions = pod["status"]["conditions"].as_array();
            let ready =
                conditions.into_iter().flatten().any(|it| it["type"] == "Ready" && it["status"] == "True");
            let gone = pod["metadata"]["deletionTimestamp"].is_string();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            all.insert(
                text(&pod["spec"]["nodeName"]),
                (text(&pod["metadata"]["name"]), version, ready && !gone),
            );
        }
        Ok(all)
    }

    /// The cluster's agents as the control plane has them.
    async fn agents(&self) -> anyhow::Result<Vec<Value>> {
        let shown = self.site.nimbus(&["clusters", "show", self.cluster]).await?;
        Ok(shown["agents"].as_array().context("agents")?.clone())
    }

    async fn leader(&self) -> anyhow::Result<Leader> {
        wait_for("an agent to lead", LIMIT, || async {
            let (pods, agents) = (self.pods().await?, self.agents().await?);
            let leading: Vec<_> = agents.iter().filter(|agent| agent["leading"] == true).collect();
            let [agent] = leading[..] else { return Ok(Seen::NotYet(format!("{agents:?}"))) };
            let pod = agent["node"].as_str().and_then(|node| pods.get(node)).context("the leader's pod")?;
            let id = agent["id"].as_str().context("an id")?.to_owned();
            Ok(Seen::Yes(Leader { id, pod: pod.0.clone(), version: pod.1 }))
        })
        .await
    }

    /// Ends the leader's program, as the kubelet would; it starts anew in its pod, and another one leads: at once, or where it was
    /// back before that one asked, after one more end, when the kubelet lets it wait.
    async fn gives_the_lead_up(&self, leader: &Leader) -> anyhow::Result<()> {
        for _ in 0..ENDS {
            send_signal(process_of(self.site, &leader.pod, AGENT).await?, libc::SIGTERM)?;
            let passed = wait_for("another agent to lead", TAKES_OVER, || async {
                let now = self.leader().await?;
                Ok(Seen::when((now.version != leader.version).then_some(()), now.id))
            });
            if passed.await.is_ok() {
                return Ok(());
            }
        }
        anyhow::bail!("after {ENDS} ends of {} it still leads", leader.pod)
    }

    /// A pod is replaced, by the agent that leads.
    async fn heals(&self, name: &str, what: &str) -> anyhow::Result<()> {
        let leader = self.leader().await?;
        let site = self.site;
        let victim = two_pods(site, name).await?;
        let clock = Clock::start(site);
        break_and_evict(site, name, &victim).await?;
        site.shop.wait_until_ready(name, LIMIT).await?;
        clock.say(what);
        let by = self.job_succeeded(&victim).await?;
        anyhow::ensure!(by == leader.id, "expected a job of {}, found one of {by}", leader.id);
        Ok(())
    }

    /// Waits until the job for this pod has succeeded; returns the agent's id.
    async fn job_succeeded(&self, victim: &str) -> anyhow::Result<String> {
        self.job_is(victim, "done", |job| job["state"] == "succeeded").await
    }

    async fn job_is(&self, victim: &str, what: &str, is: impl Fn(&Value) -> bool) -> anyhow::Result<String> {
        let pod = victim.trim_start_matches("pod/");
        wait_for(&format!("the job for {pod} to be {what}"), LIMIT, || async {
            let jobs = self.site.nimbus(&["jobs", "list"]).await?;
            let all = jobs["items"].as_array().context("jobs")?;
            let own = all.iter().find(|job| job["object"]["name"] == pod && is(job));
            let by = own.and_then(|job| job["agent_id"].as_str()).map(str::to_owned);
            Ok(Seen::when(by, jobs))
        })
        .await
    }
}

/// The version before: its charts, and the images of its programs.
struct Before {
    charts: PathBuf,
    images: BTreeMap<&'static str, Value>,
}

impl Before {
    fn bring(site: &Site) -> anyhow::Result<Self> {
        let tree = std::env::var_os(BEFORE).map(PathBuf::from).with_context(|| {
            format!("{BEFORE}: the tree of the version before with its programs, as `cargo xtask test --long` makes it")
        })?;
        let mut images = BTreeMap::new();
        for name in [CONTROL_PLANE, AGENT] {
            let program = tree.join("target/debug").join(name);
            let then = std::fs::read(&program).with_context(|| program.display().to_string())?;
            anyhow::ensure!(then != std::fs::read(binary(name)?)?, "{} is today's", program.display());
            images.insert(name, site.push(&program, "before")?);
        }
        Ok(Self { charts: tree.join("charts"), images })
    }

    async fn install(&self, site: &Site, chart: &str, values: &Value) -> anyhow::Result<()> {
        let from = self.charts.join(chart).display().to_string();
        let image = self.images.get(chart).context("an image")?;
        site.install_from((&site.cluster, NAMESPACE), chart, (&from, image), values, &UNTIL_READY).await
    }

    fn digest(&self, name: &str) -> anyhow::Result<String> {
        let image = self.images.get(name).context("an image")?;
        Ok(image["digest"].as_str().context("a digest")?.to_owned())
    }
}

/// Each pod that broke has one job, which succeeded; no agent that ever was dropped an observation; the audit log is whole.
async fn nothing_was_lost_or_done_twice(site: &Site) -> anyhow::Result<()> {
    let jobs = site.nimbus(&["jobs", "list"]).await?;
    let mut by_pod: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for job in jobs["items"].as_array().context("jobs")? {
        by_pod.entry(job["object"]["name"].to_string()).or_default().push(job);
    }
    let once = by_pod.values().all(|jobs| jobs.len() == 1 && jobs[0]["state"] == "succeeded");
    anyhow::ensure!(
        once && by_pod.len() == BROKEN,
        "expected {BROKEN} pods with a job each, found {by_pod:#?}"
    );
    // Those of the pods that are gone, too.
    let agents = site.nimbus(&["agents", "list", "--all"]).await?;
    for agent in agents["items"].as_array().context("agents")? {
        anyhow::ensure!(agent["dropped"] == 0, "observations were dropped: {agent}");
    }
    let verified = site.nimbus(&["audit", "verify"]).await?;
    anyhow::ensure!(verified["valid"] == true, "the audit log: {verified}");
    Ok(())
}

/// How many pods the story breaks.
const BROKEN: usize = 10;
