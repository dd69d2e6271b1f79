//! From an empty cluster to an empty cluster, step by step, with the time that each one took.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::alone;
use super::at_rest;
use super::backup::Shelf;
use super::deployed;
use super::elsewhere::{self, Elsewhere};
use super::filled;
use super::site::{AGENT, CONTROL_PLANE, NAMESPACE, SHOP, Site, asking};
use crate::bench::Row;
use crate::process::send_signal;
use crate::rig::real_node::NODE;
use crate::scenes::containers::{UNLESS_BROKEN, shell, with_state};
use crate::scenes::objects::{apply, with};
use crate::site::cluster_uid;
use crate::wait::{Seen, wait_for};

/// How long a step may take on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(2);
/// What the notes say of the ConfigMap that stops the agents, and a minute until an agent says so.
const STOPPED: Duration = Duration::from_mins(3);
/// What the product promises of a takeover, until the operator's command is answered again.
const TAKEOVER: Duration = Duration::from_secs(15);

/// What the agents may do.
const ALLOWED: [&str; 2] = ["restart_pod", "expand_volume"];

/// Tells it; with `at_rest` it stops in between to measure what the pods take.
pub async fn tell(site: &Site, at_rest: Option<&Path>) -> anyhow::Result<()> {
    alone::tell(site).await.context("a control plane on SQLite")?;
    let keys = keys_and_database(site).await?;
    let shelf = Shelf::new(site, NAMESPACE, "backups").await?;
    let mut clock = Clock::start(site);
    site.install(CONTROL_PLANE, &control_plane(1, &shelf.values(site))).await?;
    clock.say("helm install of two control planes, until both are ready");
    site.know_control_plane((NAMESPACE, CONTROL_PLANE), &keys).await?;
    the_operator_is_answered(site).await?;
    clock = Clock::start(site);
    site.helm(&["test", CONTROL_PLANE, "--timeout", "1m"]).await?;
    clock.say("helm test");
    // Helm leaves it for `--logs`, and after an uninstall too.
    site.kubectl(&["delete", "pod", &format!("{CONTROL_PLANE}-test")]).await?;

    clock = Clock::start(site);
    shelf.one_is_made(site, 1, "postgresql").await?;
    clock.say("a backup by the CronJob, until it is verified");

    let uid = cluster_uid(&site.cluster).await?;
    let agents = agents(site, &uid).await?;
    let agents = |round: u32| with(agents(round), "/acting/actions", json!(ALLOWED));
    clock = Clock::start(site);
    site.install(AGENT, &agents(1)).await?;
    clock.say("helm install of the agent, until it is ready");
    let name = the_cluster_is_watched(site, &uid).await?;
    clock.say("helm install of the agent, until the cluster's state is known");

    the_kubelet_is_read(site).await?;
    clock.say("helm install of the agent, until it read what its kubelet measured");

    site.nimbus(&["autonomous", "enable", "--cluster", &name, "--mode", "act"]).await?;
    heal(site, "first", "from a crash to the pod that replaced it").await?;
    clock.say("helm install of the agent, until a pod was healed, with all that is waited for in between");
    if let Some(dir) = at_rest {
        at_rest::measure(site, dir).await.context("what the pods take at rest")?;
    }

    let filled = filled::begin(site).await.context("volumes that fill")?;

    let clock = Clock::start(site);
    let leader = leader(site).await?;
    kill9(site, &leader).await?;
    the_operator_is_answered(site).await?;
    anyhow::ensure!(clock.begun.elapsed() < TAKEOVER, "the takeover took {:?}", clock.begun.elapsed());
    clock.say("the leading control plane is killed, until nimbus is answered again");
    the_cluster_is_watched(site, &uid).await?;
    heal(site, "second", "from a crash to the pod that replaced it, under the new leader").await?;
    if let Some(filled) = &filled {
        filled.grow(site).await.context("a volume that grows")?;
    }

    the_agent_ends_with_a_job_under_way(site).await?;
    the_cluster_is_watched(site, &uid).await?;
    upgrades(site, &uid, &agents, &control_plane(2, &shelf.values(site))).await?;
    shelf.one_is_made(site, 2, "postgresql").await.context("after the rollback")?;
    heal(site, "third", "from a crash to the pod that replaced it, after upgrade and rollback").await?;
    let expanded = filled.is_some();
    if let Some(filled) = filled {
        filled.end(site).await.context("a volume that grew")?;
    }
    nothing_was_lost(site, if expanded { 5 } else { 4 }).await?;
    let elsewhere =
        elsewhere::restore(site, &shelf, 3, &control_plane(3, &json!({}))).await.context("the restore")?;
    the_cluster_is_watched(site, &uid).await?;
    heal(site, "fourth", "from a crash to the pod that replaced it, under the restored control plane")
        .await?;
    stop(site).await?;
    removal(site, &elsewhere).await?;
    drop(elsewhere);
    shelf.remove(site).await?;
    deployed::tell(site).await.context("nimbus enterprise deploy")
}

/// How long a step took.
pub struct Clock<'a> {
    site: &'a Site,
    begun: Instant,
}

impl<'a> Clock<'a> {
    /// From now on.
    pub fn start(site: &'a Site) -> Self {
        Self { site, begun: Instant::now() }
    }

    /// Keeps and prints it.
    pub fn say(&self, what: &str) {
        let took = self.begun.elapsed().as_secs_f64();
        println!("{took:6.1} s  {what}");
        self.site.note(Row { what: what.into(), value: took, unit: "s".into(), aim: None, peer: None });
    }
}

/// What a person makes before the first install: the keys, and the Secrets that the charts name.
pub async fn keys_and_database(site: &Site) -> anyhow::Result<PathBuf> {
    let made = site.nimbus(&["keys", "create", "/run/nimbus-keys"]).await?;
    let keys = Path::new(made["directory"].as_str().context("the directory of the keys")?).to_owned();
    let from = format!("--from-file={}", keys.display());
    site.kubectl(&["create", "secret", "generic", "nimbus-keys", &from]).await?;
    let url = format!("--from-literal=url={}", site.database()?);
    site.kubectl(&["create", "secret", "generic", "nimbus-database", &url]).await?;
    Ok(keys)
}

/// The values of the control plane; another round makes other pods.
pub fn control_plane(round: u32, backup: &Value) -> Value {
    json!({
        "replicas": 2,
        "keys": {"existingSecret": "nimbus-keys"},
        "database": {"existingSecret": "nimbus-database"},
        "podAnnotations": {"round": round.to_string()},
        "podDisruptionBudget": {"enabled": true},
        "backup": backup,
        "test": asking(),
        // Who was sent on by one that stands by is among them.
        "log": {"filter": "info,nimbus_control_plane::gateway=debug"},
        "config": quick(),
    })
}

/// Waits of a test; a crash loop is one after its first restart.
pub fn quick() -> Value {
    json!({"settings": {
        "crash_loop_restarts": 1, "verify_ms": 1500, "good_after_ms": 4000, "backoff_base_ms": 1000,
        "storm": {"min_pods": 100_000, "incidents": 100_000},
    }})
}

/// The values of the agents: the token, spent by the first of them, is in a Secret.
pub async fn agents(site: &Site, uid: &str) -> anyhow::Result<impl Fn(u32) -> Value + use<>> {
    let words = ["agents", "token", "create", "--name", AGENT, "--kind", "cluster", "--uses", "1"];
    let made = site.nimbus(&words).await?;
    let named = format!("{CONTROL_PLANE}-agents.{NAMESPACE}.svc:7071");
    anyhow::ensure!(made["server"] == named.as_str(), "agents are told another address than {named}: {made}");
    let token = format!("--from-literal=token={}", made["token"].as_str().context("a join token")?);
    site.kubectl(&["create", "secret", "generic", "nimbus-join", &token]).await?;
    let service = format!("{CONTROL_PLANE}-agents");
    let address = site.kubectl(&["get", "service", &service, "-o", "jsonpath={.spec.clusterIP}"]).await?;
    let uid = uid.to_owned();
    Ok(move |round: u32| {
        json!({
            "server": format!("{address}:7071"),
            "join": {"existingSecret": "nimbus-join"},
            "podAnnotations": {"round": round.to_string()},
            "acting": {"actions": ["restart_pod"], "namespaces": [SHOP], "clusterUid": uid},
        })
    })
}

/// Waits until the operator's command is answered.
pub async fn the_operator_is_answered(site: &Site) -> anyhow::Result<()> {
    wait_for("nimbus to be answered", LIMIT, || async { Ok(Seen::Yes(site.nimbus(&["status"]).await?)) })
        .await
        .map(drop)
}

/// Waits until a connected agent says how the cluster is; returns its name.
pub async fn the_cluster_is_watched(site: &Site, uid: &str) -> anyhow::Result<String> {
    wait_for("the cluster to be watched", LIMIT, || async {
        let clusters = site.nimbus(&["clusters", "list"]).await?;
        let known = clusters["items"].as_array().context("clusters")?.iter().find(|it| it["id"] == uid);
        let well = known.filter(|it| {
            let is_known = it["state"] == "healthy" || it["state"] == "degraded";
            is_known && it["agents_connected"].as_u64() > Some(0)
        });
        let name = well.and_then(|it| it["name"].as_str()).map(str::to_owned);
        Ok(Seen::when(name, clusters))
    })
    .await
}

/// Waits until the agent read its own node's kubelet, which it does by the right `nodes/stats` and verified by the cluster's CA.
async fn the_kubelet_is_read(site: &Site) -> anyhow::Result<()> {
    let pod =
        site.kubectl(&["get", "pods", "-l", "app.kubernetes.io/name=nimbus-agent", "-o", "name"]).await?;
    let pod = pod.lines().next().context("an agent")?.trim_start_matches("pod/").to_owned();
    let metrics = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:7072/proxy/metrics");
    wait_for("the agent to read its kubelet", LIMIT, || async {
        let said = site.kubectl(&["get", "--raw", &metrics]).await?;
        let of = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|figure| figure.parse::<u64>().ok())
        };
        let read = of("nimbus_agent_kubelet_reads_total").context("the figure of what was read")?;
        let failed = of("nimbus_agent_kubelet_failures_total").context("the figure of what was not")?;
        if read > 0 {
            return Ok(Seen::Yes(()));
        }
        Ok(Seen::NotYet(format!("{failed} looks in vain: {}", site.nimbus(&["agents", "list"]).await?)))
    })
    .await
}

/// Breaks one of two pods of a new Deployment, and waits until another one stands in its place.
pub async fn heal(site: &Site, name: &str, what: &str) -> anyhow::Result<()> {
    let victim = two_pods(site, name).await?;
    let clock = Clock::start(site);
    break_and_evict(site, name, &victim).await?;
    site.shop.wait_until_ready(name, LIMIT).await?;
    clock.say(what);
    Ok(())
}

/// A new Deployment of two pods that are well for long enough; returns one of them.
pub async fn two_pods(site: &Site, name: &str) -> anyhow::Result<String> {
    let web = with_state(shell(name, 2, UNLESS_BROKEN), &json!({"medium": "Memory"}));
    let probe = json!({"exec": {"command": ["test", "!", "-e", "/state/broken"]}, "periodSeconds": 1});
    apply(&site.shop, &with(web, "/spec/template/spec/containers/0/readinessProbe", probe)).await?;
    site.shop.wait_until_ready(name, LIMIT).await?;
    let victim = pods_of(site, name).await?.first().context("a pod")?.clone();
    site.shop.has_been_well(victim.trim_start_matches("pod/")).await?;
    Ok(victim)
}

/// Breaks it, and waits until it is gone: a job is under way then, which looks whether that helps.
pub async fn break_and_evict(site: &Site, name: &str, victim: &str) -> anyhow::Result<()> {
    let words = ["-n", SHOP, "exec", victim, "-c", "app", "--", "sh", "-c", "touch /state/broken"];
    site.cluster.kubectl(&words).await?;
    wait_for(&format!("{victim} to be replaced"), LIMIT, || async {
        let now = pods_of(site, name).await?;
        let incidents = || async { site.nimbus(&["incidents", "list"]).await };
        if now.iter().any(|pod| pod == victim) {
            return Ok(Seen::NotYet(format!("{now:?} {}", incidents().await?)));
        }
        Ok(Seen::Yes(()))
    })
    .await
}

async fn pods_of(site: &Site, name: &str) -> anyhow::Result<Vec<String>> {
    let words = ["-n", SHOP, "get", "pods", "-l", &format!("app={name}"), "-o", "name"];
    let said = site.cluster.kubectl(&words).await?;
    Ok(said.lines().map(str::to_owned).collect())
}

/// The ConfigMap that the notes name stops the agents, and outlives an upgrade.
async fn stop(site: &Site) -> anyhow::Result<()> {
    let why = "--from-literal=why=it is tried";
    site.kubectl(&["create", "configmap", &format!("{AGENT}-stop"), why]).await?;
    let clock = Clock::start(site);
    allowed_are(site, "nothing", <[Value]>::is_empty).await?;
    clock.say("a ConfigMap stops the agents, until they say so");
    site.helm(&["upgrade", AGENT, &site.chart(AGENT)?, "--reuse-values", "--wait", "--timeout", "3m"])
        .await?;
    allowed_are(site, "nothing after an upgrade", <[Value]>::is_empty).await?;
    site.kubectl(&["delete", "configmap", &format!("{AGENT}-stop")]).await?;
    allowed_are(site, "what it was", |allowed| allowed == ALLOWED.map(|word| json!(word))).await
}

async fn allowed_are(site: &Site, what: &str, is: impl Fn(&[Value]) -> bool) -> anyhow::Result<()> {
    wait_for(&format!("the agent to be allowed {what}"), STOPPED, || async {
        let agents = site.nimbus(&["agents", "list"]).await?;
        let all = agents["items"].as_array().context("agents")?;
        let agent = all.iter().find(|agent| agent["state"] == "connected");
        let allowed = agent.and_then(|agent| agent["allowed_actions"].as_array());
        Ok(Seen::when(allowed.is_some_and(|allowed| is(allowed)).then_some(()), format!("{agents}")))
    })
    .await
}

/// The agent's pod is told to end while a job is under way: it goes on with that and reports it before it ends.
async fn the_agent_ends_with_a_job_under_way(site: &Site) -> anyhow::Result<()> {
    let victim = two_pods(site, "under-way").await?;
    break_and_evict(site, "under-way", &victim).await?;
    let clock = Clock::start(site);
    let agents = format!("-l=app.kubernetes.io/name={AGENT}");
    site.kubectl(&["delete", "pod", &agents, "--wait=true"]).await?;
    clock.say("the agent's pod is deleted with a job under way, until it is gone");
    let jobs = site.nimbus(&["jobs", "list"]).await?;
    let newest = jobs["items"].as_array().and_then(|jobs| jobs.first()).context("a job")?;
    anyhow::ensure!(newest["state"] == "succeeded", "the job of an agent that ended: {newest}");
    site.shop.wait_until_ready("under-way", LIMIT).await.map(drop)
}

/// The pod of the control plane that leads.
async fn leader(site: &Site) -> anyhow::Result<String> {
    let raw = |pod: &str| format!("/api/v1/namespaces/{NAMESPACE}/pods/https:{pod}:7070/proxy/readyz");
    for number in 0..2 {
        let pod = format!("{CONTROL_PLANE}-{number}");
        if site.kubectl(&["get", "--raw", &raw(&pod)]).await?.trim() == "ready" {
            return Ok(pod);
        }
    }
    anyhow::bail!("no control plane says that it leads")
}

/// Kills the program in a pod without warning; the kubelet starts it anew.
async fn kill9(site: &Site, pod: &str) -> anyhow::Result<()> {
    let pid = at_rest::process_of(site, pod, CONTROL_PLANE).await?;
    Ok(send_signal(pid, libc::SIGKILL)?)
}

/// Both are upgraded; an upgrade to an image that nobody has leaves the one that serves alone; both go back.
async fn upgrades(
    site: &Site,
    uid: &str,
    agents: &impl Fn(u32) -> Value,
    control_plane: &Value,
) -> anyhow::Result<()> {
    let clock = Clock::start(site);
    site.install(CONTROL_PLANE, control_plane).await?;
    clock.say("helm upgrade of the control planes, one after the other");
    let clock = Clock::start(site);
    site.install(AGENT, &agents(2)).await?;
    clock.say("helm upgrade of the agent");
    the_cluster_is_watched(site, uid).await?;

    let chart = site.chart(CONTROL_PLANE)?;
    let words = [
        "upgrade",
        CONTROL_PLANE,
        &chart,
        "--reuse-values",
        "--wait",
        "--timeout",
        "15s",
        "--set",
        "image.tag=nobody-has-it",
    ];
    let failed = site.helm(&words).await;
    anyhow::ensure!(failed.is_err(), "an image that nobody has was installed");
    the_operator_is_answered(site).await?;
    let clock = Clock::start(site);
    for release in [CONTROL_PLANE, AGENT] {
        site.helm(&["rollback", release, "1", "--wait", "--timeout", "3m"]).await?;
    }
    clock.say("helm rollback of both, after an upgrade to an image that nobody has");
    let round = ["get", "pods", "-o", r"jsonpath={.items[*].metadata.annotations.round}"];
    let rounds = site.kubectl(&round).await?;
    anyhow::ensure!(rounds.split_whitespace().all(|round| round == "1"), "not rolled back: {rounds}");
    the_operator_is_answered(site).await?;
    the_cluster_is_watched(site, uid).await.map(drop)
}

/// Every observation and every job is accounted for.
async fn nothing_was_lost(site: &Site, jobs_in_all: usize) -> anyhow::Result<()> {
    let verified = site.nimbus(&["audit", "verify"]).await?;
    anyhow::ensure!(verified["valid"] == true, "the audit log: {verified}");
    // Those of the pods that are gone, too.
    let agents = site.nimbus(&["agents", "list", "--all"]).await?;
    let agents = agents["items"].as_array().context("agents")?;
    let connected = agents.iter().filter(|agent| agent["state"] == "connected").count();
    anyhow::ensure!(connected == 1, "expected the agent of one node, found {agents:?}");
    for agent in agents {
        anyhow::ensure!(agent["dropped"] == 0, "observations were dropped: {agent}");
    }
    let shown = site.nimbus(&["clusters", "show", AGENT]).await?;
    let ours: Vec<&Value> = shown["agents"].as_array().into_iter().flatten().collect();
    anyhow::ensure!(
        ours.iter().any(|agent| agent["node"] == NODE && agent["leading"] == true),
        "expected the agent of {NODE}, found {ours:?}"
    );
    // The last replacement may be there before the agent has looked at it for long enough.
    wait_for("every job to have succeeded", LIMIT, || async {
        let jobs = site.nimbus(&["jobs", "list"]).await?;
        let all = jobs["items"].as_array().context("jobs")?;
        let done = all.iter().filter(|job| job["state"] == "succeeded").count();
        Ok(Seen::when((done == jobs_in_all && all.len() == jobs_in_all).then_some(()), format!("{jobs}")))
    })
    .await
}

/// Nothing is left but what a person made.
async fn removal(site: &Site, elsewhere: &Elsewhere) -> anyhow::Result<()> {
    let clock = Clock::start(site);
    site.helm(&["uninstall", AGENT, "--wait", "--timeout", "2m"]).await?;
    elsewhere.uninstall(site).await?;
    let everything = "pods,statefulsets,daemonsets,services,configmaps,secrets,serviceaccounts,roles,\
                      rolebindings,clusterroles,clusterrolebindings,persistentvolumeclaims,networkpolicies,cronjobs,jobs,\
                      poddisruptionbudgets";
    let ours = ["get", everything, "-l", "app.kubernetes.io/part-of=nimbus", "-o", "name"];
    let pods = ["get", "pods", "-o", "name"];
    wait_for("everything to be gone", LIMIT, || async {
        let mut left = String::new();
        for words in [&ours[..], &pods] {
            left += &site.kubectl(words).await?;
            left += &elsewhere.kubectl(words).await?;
        }
        Ok(Seen::when(left.trim().is_empty().then_some(()), left))
    })
    .await?;
    let secrets = ["get", "secrets", "-o", "name"];
    let (here, there) = (site.kubectl(&secrets).await?, elsewhere.kubectl(&secrets).await?);
    for (secrets, own) in [(&there, "nimbus-keys"), (&there, "nimbus-database"), (&here, "nimbus-join")] {
        anyhow::ensure!(secrets.contains(own), "{own} was somebody else's, and is gone: {secrets}");
    }
    clock.say("helm uninstall of both, until nothing is left");
    Ok(())
}
