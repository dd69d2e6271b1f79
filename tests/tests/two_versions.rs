//! Tests two versions side by side, with the programs of the version before in the directory that `NIMBUS_BEFORE` names:
//! agents of both at one control plane, an agent that is downgraded and upgraded on its data, and a control plane that is
//! upgraded under an agent that already was.
//! Too long for CI.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

use std::path::PathBuf;

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::process::binary;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads};
use nimbus_tests::rig::{Cluster, Options};
use nimbus_tests::site::{PATIENCE, Site, agent_options, cluster_uid};
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

/// A program of the version before.
fn before(name: &str) -> PathBuf {
    let dir = std::env::var_os("NIMBUS_BEFORE")
        .expect("NIMBUS_BEFORE: a directory with the programs of the version before, as `cargo xtask test --long` makes it");
    let program = PathBuf::from(dir).join(name);
    assert!(program.is_file(), "expected {}", program.display());
    program
}

/// What both versions may do in the cluster: a policy that names an action which an agent does not know allows nothing.
fn options_of_both(cluster: &Cluster, name: &str, uid: &str, program: Option<PathBuf>) -> AgentOptions {
    let policy = format!(
        "allow = [\"restart_pod\", \"rollback_deployment\"]\nclusters = [\"{uid}\"]\nnamespaces = [\"*\"]\n"
    );
    AgentOptions { policy, program, ..agent_options(cluster, name, uid) }
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

/// A pod of a new Deployment, which has no attempts behind it, crashes and is replaced by the agent of this name.
async fn heals(plane: &Plane, workloads: &Workloads, name: &str, agent: &str) -> anyhow::Result<()> {
    workloads.apply_and_wait(&DeploymentSpec::new(name, 3), PATIENCE).await?;
    let pod = workloads.pod_names(name).await?.remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await?;
    let me = plane.get(&format!("/agents/{agent}")).await?;
    wait_for(&format!("pod {pod} to be replaced by agent {agent}"), PATIENCE, || async {
        let jobs = plane.items("/jobs").await?;
        let its = |job: &&Value| job["object"]["name"] == pod.as_str() && job["agent_id"] == me["id"];
        let done = jobs.iter().filter(its).any(|job| job["state"] == "succeeded");
        Ok(Seen::when(done.then_some(()), serde_json::to_string_pretty(&jobs)?))
    })
    .await?;
    let pods = workloads.pod_names(name).await?;
    anyhow::ensure!(
        pods.len() == 3 && !pods.contains(&pod),
        "expected another pod in the place of {pod}, found {pods:?}"
    );
    Ok(())
}

async fn id_of(plane: &Plane, name: &str) -> Value {
    plane.get(&format!("/agents/{name}")).await.unwrap()["id"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_of_both_versions_heal_and_one_is_downgraded_and_upgraded() {
    let mut site = Site::start(None, QUICK).await.unwrap();
    site.enable().await.unwrap();
    let uid = cluster_uid(&site.cluster).await.unwrap();
    let workloads = site.cluster.workloads("versions").await.unwrap();
    let older = options_of_both(&site.cluster, "older", &uid, Some(before("nimbus-agent")));
    let mut older = AgentProcess::join(&site.plane, older).await.unwrap();
    heals(&site.plane, &workloads, "first", "one").await.unwrap();

    // The one of the version before takes over, and acts.
    site.agent.stop().unwrap();
    leads(&site.plane, &older, "older").await.unwrap();
    heals(&site.plane, &workloads, "taken-over", "older").await.unwrap();

    // It is upgraded, and downgraded again, on its data: the same agent, whose observations go on where they were.
    let id = id_of(&site.plane, "older").await;
    for (name, program) in [("upgraded", None), ("downgraded", Some(before("nimbus-agent")))] {
        older.change_to(program).unwrap();
        older.wait_until_connected(&site.plane).await.unwrap();
        leads(&site.plane, &older, "older").await.unwrap();
        heals(&site.plane, &workloads, name, "older").await.unwrap();
        assert_eq!(id_of(&site.plane, "older").await, id, "{name}: it is the agent that it was");
    }
    let said = site.plane.output();
    assert!(!said.contains("lost its spool"), "{said}");
    // One that was of this version first is downgraded too.
    older.stop().unwrap();
    site.agent.set_policy(&options_of_both(&site.cluster, "one", &uid, None).policy).unwrap();
    site.agent.change_to(Some(before("nimbus-agent"))).unwrap();
    site.agent.wait_until_connected(&site.plane).await.unwrap();
    leads(&site.plane, &site.agent, "one").await.unwrap();
    heals(&site.plane, &workloads, "last", "one").await.unwrap();
    assert_eq!(site.plane.get("/audit/verify").await.unwrap()["valid"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_is_upgraded_under_an_agent_that_already_was() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let uid = cluster_uid(&cluster).await.unwrap();
    let mut plane = Plane::start_program(before("nimbus-control-plane"), QUICK).await.unwrap();
    let agent = AgentProcess::join(&plane, options_of_both(&cluster, "newer", &uid, None)).await.unwrap();
    leads(&plane, &agent, "newer").await.unwrap();
    let workloads = cluster.workloads("upgraded").await.unwrap();
    let clusters = plane.items("/clusters").await.unwrap();
    let name = clusters[0]["name"].as_str().unwrap();
    plane.post(&format!("/autonomous/{name}/enable"), serde_json::json!({})).await.unwrap();
    heals(&plane, &workloads, "before", "newer").await.unwrap();
    let ids = |items: Vec<Value>| items.into_iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
    let before = [ids(plane.items("/incidents").await.unwrap()), ids(plane.items("/jobs").await.unwrap())];

    plane.change_to(binary("nimbus-control-plane").unwrap()).await.unwrap();
    agent.wait_until_connected(&plane).await.unwrap();
    leads(&plane, &agent, "newer").await.unwrap();
    let after = [ids(plane.items("/incidents").await.unwrap()), ids(plane.items("/jobs").await.unwrap())];
    assert_eq!(after, before, "nothing is lost, and nothing is done again");
    // It was let act before there were modes, and goes on.
    heals(&plane, &workloads, "after", "newer").await.unwrap();
    assert_eq!(plane.get("/audit/verify").await.unwrap()["valid"], true);
}
