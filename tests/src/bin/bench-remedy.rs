//! Measures the time from the moment when the API server shows a crash-looping pod to its eviction, with everything
//! real in between (watch, spool, QUIC, commit, diagnosis, plan, signature, admission, journal, eviction).
//!
//! On simulated kubelets and on a real node; one pod after the other, and fifty within a second.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use futures::FutureExt as _;
use nimbus_tests::bench::healing::{EAGER, Healing, RESTARTS, Stages};
use nimbus_tests::bench::{Report, Row, percentile};
use nimbus_tests::postgres::Postgres;
use nimbus_tests::rig::real_node::{INSIDE, enter, mounts, obstacle};
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault};
use nimbus_tests::rig::{build, repository};
use nimbus_tests::scenes::containers::shell;
use nimbus_tests::scenes::objects::{apply, with};
use nimbus_tests::scenes::pod_agent;
use nimbus_tests::site::{PATIENCE, Site, cluster_uid, policy_for};
use serde_json::json;

/// Pods on simulated kubelets, one after the other.
const SAMPLES: usize = 200;
/// The same on a real node, where each takes longer to come back.
const REAL_SAMPLES: usize = 20;
/// Deployments whose pods are broken in turn.
const DEPLOYMENTS: usize = 20;
/// Deployments that are broken within a second, and how often.
const TOGETHER: usize = 50;
const ROUNDS: usize = 4;
/// How long a container waits after its first restart: as with a kubelet. Shorter ones would be over, and it would run, when
/// some of the fifty come to their turn, and such a pod is left until it waits again.
const BACK_OFF: (&str, &str) = ("rig.nimbus.dev/back-off", "20s");
/// Where the node's flags are in its pods: a pod ends when a file of its name is there, and whenever it is.
const UNLESS_FLAGGED: &str = "while [ ! -e /flags/$HOSTNAME ]; do sleep 0.5; done; exit 1";

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("d{n}")).collect()
}

/// What was measured in one place.
#[derive(Default)]
struct Samples {
    single: Vec<f64>,
    together: Vec<f64>,
    /// Of those together.
    stages: Stages,
}

async fn measure(healing: &mut Healing<'_>, single: usize, rounds: usize) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    // The first few fill caches and connections.
    healing.one_at_a_time(&names(5), 5).await?;
    samples.single = healing.one_at_a_time(&names(DEPLOYMENTS), single).await?;
    healing.stages = Stages::default();
    for round in 0..rounds {
        let mut more = healing.at_once(&names(TOGETHER)).await?;
        eprintln!("round {round}: {TOGETHER} within {:.0} ms", percentile(&mut more, 100.0));
        samples.together.extend(more);
    }
    samples.stages = std::mem::take(&mut healing.stages);
    Ok(samples)
}

async fn simulated(database: Option<String>, rounds: usize) -> anyhow::Result<Samples> {
    let site = Site::start(database, EAGER).await?;
    // The default of 60 jobs an hour is a bound of the agent's own policy, and it holds.
    let uid = cluster_uid(&site.cluster).await?;
    site.agent.set_policy(&format!("{}jobs_per_hour = 10000\n", policy_for(&uid)))?;
    site.enable().await?;
    let work = site.cluster.workloads("bench").await?;
    for name in names(TOGETHER) {
        let mut deployment = DeploymentSpec::new(&name, 1);
        let (key, wait) = BACK_OFF;
        deployment.annotations.insert(key.to_owned(), wait.to_owned());
        work.apply(&deployment).await?;
    }
    for name in names(TOGETHER) {
        work.wait_until_ready(&name, PATIENCE).await?;
    }
    let breaker = Box::new(|pod: String| {
        let work = &work;
        async move { work.break_pod(&pod, &Fault::Crash).await }.boxed()
    });
    measure(&mut Healing::new(&site.plane, &work, breaker), SAMPLES, rounds).await
}

/// On a real node, inside of its namespaces.
async fn real() -> anyhow::Result<Samples> {
    let stage = pod_agent::stage(EAGER, "300s").await?;
    let work = stage.cluster.workloads("bench").await?;
    let flags = tempfile::tempdir()?;
    let volume = json!([{"name": "flags", "hostPath": {"path": flags.path().display().to_string()}}]);
    for name in names(TOGETHER) {
        let object = with(shell(&name, 1, UNLESS_FLAGGED), "/spec/template/spec/volumes", volume.clone());
        let mount = json!([{"name": "flags", "mountPath": "/flags", "readOnly": true}]);
        apply(&work, &with(object, "/spec/template/spec/containers/0/volumeMounts", mount)).await?;
    }
    for name in names(TOGETHER) {
        work.wait_until_ready(&name, PATIENCE).await?;
    }
    let breaker = Box::new(|pod: String| {
        let flag = flags.path().join(pod);
        async move { Ok(std::fs::write(flag, "")?) }.boxed()
    });
    measure(&mut Healing::new(&stage.plane, &work, breaker), REAL_SAMPLES, ROUNDS).await
}

fn rows(report: &mut Report, place: &str, mut samples: Samples) {
    for (how, of) in [("one at a time", &mut samples.single), ("50 within a second", &mut samples.together)] {
        let count = of.len();
        let aim = if how == "one at a time" { "1,000" } else { "3,000" };
        if count > 0 {
            report.row(format!("{place}, {how}: p50"), percentile(of, 50.0), "ms", None, None);
            report.row(format!("{place}, {how}: p99"), percentile(of, 99.0), "ms", Some(aim), None);
            let longest = format!("{place}, {how}: longest of {count}");
            report.row(longest, percentile(of, 100.0), "ms", None, None);
        }
    }
    let Stages { signed, sent } = &mut samples.stages;
    for (stage, of) in [("job signed", signed), ("job sent", sent)] {
        if !of.is_empty() {
            for p in [50.0, 99.0] {
                let what = format!("{place}, 50 within a second, until the {stage}: p{p}");
                report.row(what, percentile(of, p), "ms", None, None);
            }
        }
    }
}

/// This program once more, in namespaces of its own.
fn on_a_real_node(report: &mut Report) -> anyhow::Result<()> {
    if let Some(why) = obstacle::of_all() {
        report.note(format!("The real node was left out: {why}."));
        return Ok(());
    }
    build::ensure_all(&repository()?, true)?;
    let dir = tempfile::Builder::new().prefix("nimbus-node-").tempdir()?;
    let status = enter::run(&std::env::current_exe()?, &[INSIDE.as_ref(), dir.path().as_os_str()])?;
    anyhow::ensure!(status.success(), "the real node's part ended with {status}");
    let rows = std::fs::read(dir.path().join("rows.json")).context("the real node's part left no figures")?;
    report.rows.extend(serde_json::from_slice::<Vec<Row>>(&rows)?);
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new("Broken object seen to remedy applied", "cargo xtask bench remedy");
    if let [first, into] = words.as_slice()
        && first == INSIDE
    {
        mounts::prepare(Path::new(into))?;
        rows(&mut report, "real node", real().await?);
        return Ok(std::fs::write(Path::new(into).join("rows.json"), serde_json::to_vec(&report.rows)?)?);
    }
    let place = words.first().map_or("all", String::as_str);
    anyhow::ensure!(
        words.len() < 2 && ["all", "sqlite", "postgres", "node"].contains(&place),
        "expected one of all, sqlite, postgres and node, found {words:?}"
    );
    let wanted = |one: &str| place == "all" || place == one;
    if wanted("sqlite") {
        rows(&mut report, "SQLite", simulated(None, ROUNDS).await?);
    }
    if wanted("postgres") {
        let postgres = Postgres::start()?;
        rows(&mut report, "PostgreSQL", simulated(Some(postgres.fresh_database()?), ROUNDS).await?);
    }
    if wanted("node") {
        tokio::task::block_in_place(|| on_a_real_node(&mut report))?;
    }
    let mut how = String::new();
    write!(
        how,
        "A real API server, controller manager and scheduler, all of it on the machine's cores together. SQLite and \
         PostgreSQL: simulated kubelets, whose containers wait for {} after their first restart, as a kubelet's do. Real \
         node: kubelet, containerd and runc, the agent as a pod, SQLite. One at a time: {DEPLOYMENTS} Deployments of one pod in turn, each pod broken once the incident before it is resolved. \
         50 within a second: {TOGETHER} Deployments of one pod, {ROUNDS} times, with the caps raised. From the watch \
         event that shows what the rule asks for ({RESTARTS} restart and waiting in CrashLoopBackOff) to the one that \
         shows the pod being deleted.",
        BACK_OFF.1
    )?;
    report.note(how);
    report.note(
        "Nearly all of the time of 50 at once is the agent's: each eviction is asked for twice (a dry run first), reads and \
         looks take turns. On the real node a few of 50 wait much longer: a kubelet that restarts 50 containers on these \
         cores shows that one waits when its 10 s are nearly over. It then runs again, nothing is done to a container that \
         runs, and it is acted on when it waits next, 20 s later (the benchmark prints the story of each that was signed \
         after more than 3 s).",
    );
    report.note(
        "Peers act on timers: Kubernetes evicts from a failed node after 50 s + 300 s by default, Argo CD polls every \
         120 s; neither replaces a crash-looping pod.",
    );
    report.print()
}
