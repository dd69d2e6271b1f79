//! Tests two agents of one cluster: one watches; when it is killed the other takes over within the Lease's duration, no
//! observation is counted twice and no job runs twice.
//! A long fault test.

use std::time::{Duration, Instant};

use nimbus_tests::agent::AgentProcess;
use nimbus_tests::effects::Witness;
use nimbus_tests::plane::QUICK;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads};
use nimbus_tests::site::{PATIENCE, Site, agent_options, cluster_uid};
use nimbus_tests::wait::{Seen, wait_for};

/// The lease's time, and what a busy machine may add before the takeover shows in the control plane.
const LEASE: Duration = Duration::from_secs(15);
const SLACK: Duration = Duration::from_secs(15);

async fn leader(site: &Site) -> anyhow::Result<Option<String>> {
    let clusters = site.plane.items("/clusters").await?;
    Ok(clusters[0]["leader"].as_str().map(str::to_owned))
}

async fn counted(site: &Site) -> anyhow::Result<(u64, u64)> {
    let clusters = site.plane.items("/clusters").await?;
    Ok((clusters[0]["pods"].as_u64().unwrap_or(0), clusters[0]["deployments"].as_u64().unwrap_or(0)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_agent_takes_over_within_the_leases_time() {
    // Long enough that an agent is told to end while it looks whether its job helped.
    let settings = QUICK.replace("verify_ms = 1500", "verify_ms = 5000");
    let mut site = Site::start(None, &settings).await.unwrap();
    site.enable().await.unwrap();
    let uid = cluster_uid(&site.cluster).await.unwrap();
    let mut options = agent_options(&site.cluster, "two", &uid);
    // As the chart gives it to a pod.
    options.env.push(("NIMBUS_FINISH_JOBS".into(), "75".into()));
    let mut second = AgentProcess::join(&site.plane, options).await.unwrap();
    assert_eq!(site.plane.items("/clusters").await.unwrap().len(), 1, "one cluster, two agents");
    let first_leads = leader(&site).await.unwrap();
    let workloads = site.cluster.workloads("pair").await.unwrap();
    workloads.apply_and_wait(&DeploymentSpec::new("api", 3), PATIENCE).await.unwrap();
    wait_for("three pods to be counted", PATIENCE, || async {
        let counted = counted(&site).await?;
        Ok(Seen::when((counted == (3, 1)).then_some(()), format!("{counted:?}")))
    })
    .await
    .unwrap();

    // The first is killed while it verifies a job: the job's effect must not be repeated by the second.
    let witness = Witness::watch(&workloads);
    let pod = workloads.pod_names("api").await.unwrap().remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
    wait_for("the pod to be evicted", PATIENCE, || async {
        let gone = !workloads.pod_names("api").await?.contains(&pod);
        Ok(Seen::when(gone.then_some(()), "still there"))
    })
    .await
    .unwrap();
    site.agent.kill9().unwrap();
    let killed = Instant::now();
    wait_for("the second agent to lead", LEASE + SLACK, || async {
        let now = leader(&site).await?;
        let taken = now.is_some() && now != first_leads;
        Ok(Seen::when(taken.then_some(()), format!("{now:?}\n{}", second.output())))
    })
    .await
    .unwrap();
    eprintln!("the second agent led {:.1} s after the first was killed", killed.elapsed().as_secs_f64());

    // Its complete listing replaced the picture: nothing is counted twice.
    wait_for("the same three pods to be counted", PATIENCE, || async {
        let counted = counted(&site).await?;
        Ok(Seen::when((counted == (3, 1)).then_some(()), format!("{counted:?}")))
    })
    .await
    .unwrap();
    assert_eq!(witness.pods(), 4, "three pods and one replacement, ever");

    // The first comes back and stands by; the second heals.
    site.agent.restart().unwrap();
    site.agent.wait_until_connected(&site.plane).await.unwrap();
    let pod = workloads.pod_names("api").await.unwrap().remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
    wait_for("the pod to be evicted by the second", PATIENCE, || async {
        let gone = !workloads.pod_names("api").await?.contains(&pod);
        Ok(Seen::when(gone.then_some(()), "still there"))
    })
    .await
    .unwrap();
    site.incident_where("pod_crash_loop", workloads.namespace(), "healed by the second", |i| {
        i["state"] == "resolved" && i["job_id"].is_string()
    })
    .await
    .unwrap();
    assert_ne!(leader(&site).await.unwrap(), first_leads, "a returning agent does not push the leader aside");
    assert_eq!(witness.pods(), 5);

    ends_with_a_job_under_way(&site, &workloads, &mut second).await.unwrap();
    assert_eq!(witness.pods(), 6, "and nobody did it again");
    wait_for("the first agent to lead", SLACK, || async {
        let now = leader(&site).await?;
        Ok(Seen::when((now == first_leads).then_some(()), format!("{now:?}\n{}", site.agent.output())))
    })
    .await
    .unwrap();

    // A leader that is revoked makes room, although its process goes on and reaches the cluster.
    second.restart().unwrap();
    second.wait_until_connected(&site.plane).await.unwrap();
    site.plane.post("/agents/one/revoke", serde_json::json!({})).await.unwrap();
    wait_for("the second agent to lead again", LEASE + SLACK, || async {
        let now = leader(&site).await?;
        let taken = now.is_some() && now != first_leads;
        Ok(Seen::when(taken.then_some(()), format!("{now:?}\n{}", second.output())))
    })
    .await
    .unwrap();
}

/// As a pod is told to end in a rolling upgrade: the job is finished and reported before.
async fn ends_with_a_job_under_way(
    site: &Site,
    workloads: &Workloads,
    agent: &mut AgentProcess,
) -> anyhow::Result<()> {
    let pod = workloads.pod_names("api").await?.remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await?;
    wait_for("the pod to be evicted", PATIENCE, || async {
        let gone = !workloads.pod_names("api").await?.contains(&pod);
        Ok(Seen::when(gone.then_some(()), "still there"))
    })
    .await?;
    assert_eq!(agent.stop()?, Some(0), "{}", agent.output());
    let said = agent.output();
    assert!(said.contains("jobs are under way") && !said.contains("still under way"), "{said}");
    let newest = site.plane.items("/jobs").await?.remove(0);
    assert_eq!(newest["state"], "succeeded", "{newest}\n{said}");
    Ok(())
}
