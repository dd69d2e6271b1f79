//! Tests two versions side by side, with the version before in the tree that `NIMBUS_BEFORE` names:
//! agents of both at one control plane that lead after each other, an agent that is downgraded and upgraded on its data with
//! something unsent and with a job under way, and a control plane that is upgraded under an agent that already was.
//! Too long for CI.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::process::binary;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads};
use nimbus_tests::rig::{Cluster, Options};
use nimbus_tests::site::{PATIENCE, Site, agent_options, cluster_uid};
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

/// A program of the version before, which is another one than that of today.
fn before(name: &str) -> PathBuf {
    let dir = std::env::var_os("NIMBUS_BEFORE")
        .expect("NIMBUS_BEFORE: the tree of the version before with its programs, as `cargo xtask test --long` makes it");
    let program = PathBuf::from(dir).join("target/debug").join(name);
    let (then, today) = (std::fs::read(&program), std::fs::read(binary(name).unwrap()));
    assert!(then.unwrap() != today.unwrap(), "{} is the program of today", program.display());
    program
}

async fn leads(plane: &Plane, agent: &AgentProcess, name: &str) -> anyhow::Result<()> {
    wait_for(&format!("agent {name} to lead"), PATIENCE, || async {
        let clusters = plane.items("/clusters").await?;
        let me = plane.get(&format!("/agents/{name}")).await?;
        let led = clusters.iter().any(|it| it["leader"] == me["id"] || it["leader"] == name);
        let well = clusters.iter().any(|it| it["state"] == "healthy" || it["state"] == "degraded");
        Ok(Seen::when((led && well).then_some(()), format!("{clusters:?}\n{}", agent.output())))
    })
    .await
}

/// A pod of a new Deployment, which has no attempts behind it, crashes.
async fn breaks(workloads: &Workloads, name: &str) -> anyhow::Result<String> {
    workloads.apply_and_wait(&DeploymentSpec::new(name, 3), PATIENCE).await?;
    let pod = workloads.pod_names(name).await?.remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await?;
    Ok(pod)
}

/// The job for this pod, of the agent of this name, gets as far as `is`.
async fn job(
    plane: &Plane,
    pod: &str,
    agent: &str,
    what: &str,
    is: fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let me = plane.get(&format!("/agents/{agent}")).await?;
    wait_for(&format!("the job of agent {agent} for pod {pod} to be {what}"), PATIENCE, || async {
        let jobs = plane.items("/jobs").await?;
        let its = |job: &&Value| job["object"]["name"] == pod && job["agent_id"] == me["id"];
        let done = jobs.iter().filter(its).any(is);
        Ok(Seen::when(done.then_some(()), serde_json::to_string_pretty(&jobs)?))
    })
    .await
}

fn succeeded(job: &Value) -> bool {
    job["state"] == "succeeded"
}

/// It is replaced by the agent of this name.
async fn heals(plane: &Plane, workloads: &Workloads, name: &str, agent: &str) -> anyhow::Result<()> {
    let pod = breaks(workloads, name).await?;
    job(plane, &pod, agent, "done", succeeded).await?;
    let pods = workloads.pod_names(name).await?;
    anyhow::ensure!(
        pods.len() == 3 && !pods.contains(&pod),
        "another pod in the place of {pod}, not {pods:?}"
    );
    Ok(())
}

/// Each pod that broke has one job, which helped, and no agent dropped anything.
async fn nothing_was_lost_or_done_twice(plane: &Plane) {
    let mut by_pod: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for job in plane.items("/jobs").await.unwrap() {
        by_pod.entry(job["object"]["name"].to_string()).or_default().push(job);
    }
    assert!(by_pod.values().all(|jobs| jobs.len() == 1 && succeeded(&jobs[0])), "{by_pod:#?}");
    for agent in plane.items("/agents").await.unwrap() {
        let agent = plane.get(&format!("/agents/{}", agent["name"].as_str().unwrap())).await.unwrap();
        assert_eq!(agent["dropped"], 0, "{agent:#}");
    }
    let said = plane.output();
    assert!(!said.contains("lost its spool"), "{said}");
    assert_eq!(plane.get("/audit/verify").await.unwrap()["valid"], true);
}

async fn id_of(plane: &Plane, name: &str) -> Value {
    plane.get(&format!("/agents/{name}")).await.unwrap()["id"].clone()
}

/// The agent is changed to another program while it cannot send what it sees.
async fn changes(
    site: &mut Site,
    workloads: &Workloads,
    (agent, name): (&mut AgentProcess, &str),
    (program, deployment): (Option<PathBuf>, &str),
) {
    let id = id_of(&site.plane, name).await;
    site.plane.stop().unwrap();
    let unsent = format!("{deployment}-unsent");
    let before = size_of_spool(agent);
    workloads.apply_and_wait(&DeploymentSpec::new(&unsent, 2), PATIENCE).await.unwrap();
    wait_for("the agent to keep what it cannot send", PATIENCE, || async {
        let now = size_of_spool(agent);
        Ok(Seen::when((now > before).then_some(()), format!("{now} bytes, as {before} before")))
    })
    .await
    .unwrap();
    agent.change_to(program).unwrap();
    site.plane.restart().await.unwrap();
    agent.wait_until_connected(&site.plane).await.unwrap();
    leads(&site.plane, agent, name).await.unwrap();
    heals(&site.plane, workloads, deployment, name).await.unwrap();
    assert_eq!(id_of(&site.plane, name).await, id, "{deployment}: it is the agent that it was");
}

/// Bytes of the observations that an agent keeps until they are acknowledged.
fn size_of_spool(agent: &AgentProcess) -> u64 {
    let files = std::fs::read_dir(agent.data_dir().join("spool")).unwrap();
    files.map(|file| file.unwrap().metadata().map_or(0, |file| file.len())).sum()
}

/// It is killed once it has replaced a pod, and another program finds in its journal what it was about.
async fn changes_amid_a_job(
    site: &Site,
    workloads: &Workloads,
    (agent, name): (&mut AgentProcess, &str),
    (program, deployment): (Option<PathBuf>, &str),
) {
    let pod = breaks(workloads, deployment).await.unwrap();
    let applied = |job: &Value| job["applied_at"].is_string() && job["finished_at"].is_null();
    job(&site.plane, &pod, name, "under way", applied).await.unwrap();
    agent.kill9().unwrap();
    agent.change_to(program).unwrap();
    job(&site.plane, &pod, name, "done", succeeded).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_both_versions_heal_and_one_is_downgraded_and_upgraded() {
    let settings = QUICK.replace("verify_ms = 1500", "verify_ms = 6000");
    let mut site = Site::start(None, &settings).await.unwrap();
    site.enable().await.unwrap();
    let uid = cluster_uid(&site.cluster).await.unwrap();
    let workloads = site.cluster.workloads("versions").await.unwrap();
    // Its policy names actions that came after it.
    let options =
        AgentOptions { program: Some(before("nimbus-agent")), ..agent_options(&site.cluster, "older", &uid) };
    let mut older = AgentProcess::join(&site.plane, options).await.unwrap();
    heals(&site.plane, &workloads, "side-by-side", "one").await.unwrap();

    // The one of the version before takes over, and acts.
    site.agent.stop().unwrap();
    leads(&site.plane, &older, "older").await.unwrap();
    heals(&site.plane, &workloads, "taken-over", "older").await.unwrap();

    let who = "older";
    changes(&mut site, &workloads, (&mut older, who), (None, "upgraded")).await;
    changes(&mut site, &workloads, (&mut older, who), (Some(before("nimbus-agent")), "downgraded")).await;
    changes_amid_a_job(&site, &workloads, (&mut older, who), (None, "upgraded-amid")).await;
    let program = Some(before("nimbus-agent"));
    changes_amid_a_job(&site, &workloads, (&mut older, who), (program, "downgraded-amid")).await;

    // The one of this version takes over from the one before, and is downgraded too.
    site.agent.restart().unwrap();
    site.agent.wait_until_connected(&site.plane).await.unwrap();
    older.stop().unwrap();
    leads(&site.plane, &site.agent, "one").await.unwrap();
    heals(&site.plane, &workloads, "taken-back", "one").await.unwrap();
    site.agent.change_to(Some(before("nimbus-agent"))).unwrap();
    site.agent.wait_until_connected(&site.plane).await.unwrap();
    heals(&site.plane, &workloads, "last", "one").await.unwrap();
    nothing_was_lost_or_done_twice(&site.plane).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_is_upgraded_under_an_agent_that_already_was() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let uid = cluster_uid(&cluster).await.unwrap();
    let mut plane = Plane::start_program(before("nimbus-control-plane"), QUICK).await.unwrap();
    let agent = AgentProcess::join(&plane, agent_options(&cluster, "newer", &uid)).await.unwrap();
    leads(&plane, &agent, "newer").await.unwrap();
    let workloads = cluster.workloads("upgraded").await.unwrap();
    let clusters = plane.items("/clusters").await.unwrap();
    let name = clusters[0]["name"].as_str().unwrap();
    plane.post(&format!("/autonomous/{name}/enable"), serde_json::json!({})).await.unwrap();
    heals(&plane, &workloads, "before", "newer").await.unwrap();
    let states = |items: Vec<Value>| -> Vec<(Value, Value)> {
        items.into_iter().map(|it| (it["id"].clone(), it["state"].clone())).collect()
    };
    let jobs = states(plane.items("/jobs").await.unwrap());
    let incidents = states(plane.items("/incidents").await.unwrap());

    plane.change_to(binary("nimbus-control-plane").unwrap()).await.unwrap();
    agent.wait_until_connected(&plane).await.unwrap();
    // It was let act before there were modes, and goes on.
    heals(&plane, &workloads, "after", "newer").await.unwrap();
    let (jobs_now, incidents_now) =
        (states(plane.items("/jobs").await.unwrap()), states(plane.items("/incidents").await.unwrap()));
    assert!(jobs.iter().all(|job| jobs_now.contains(job)), "{jobs_now:?}");
    assert!(incidents.iter().all(|incident| incidents_now.contains(incident)), "{incidents_now:?}");
    nothing_was_lost_or_done_twice(&plane).await;
}
