//! Kills the agent and the control plane at every crash point: after a restart the same incident ends resolved, once,
//! with one effect.
//!
//! A fail point kills the process (SIGKILL, by itself) the first time that it comes there. A witness of its own
//! counts on the API server's watch how many pods there ever were.
//! A long fault test.

use std::time::Duration;

use nimbus_tests::effects::Witness;
use nimbus_tests::plane::QUICK;
use nimbus_tests::postgres::Postgres;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads};
use nimbus_tests::site::{PATIENCE, Site};
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

/// Points of the control plane on the way of an automatic remedy.
const PLANE: &[&str] = &["cp::stored", "cp::planned", "cp::signed", "cp::sent", "cp::report", "cp::reported"];
/// Points of the agent.
const AGENT: &[&str] =
    &["agent::received", "agent::journalled", "agent::applied", "agent::verified", "agent::reported"];

async fn healthy(site: &Site, prefix: &str) -> anyhow::Result<(Workloads, Witness, String)> {
    let workloads = site.cluster.workloads(prefix).await?;
    workloads.apply_and_wait(&DeploymentSpec::new("api", 1), PATIENCE).await?;
    // Its revision has lasted for `good_after_ms`, by times in whole seconds: before, its pod is left to a person.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let witness = Witness::watch(&workloads);
    let pod = workloads.pod_names("api").await?.remove(0);
    Ok((workloads, witness, pod))
}

/// One incident, resolved, one effect.
async fn ended_well(
    site: &Site,
    point: &str,
    workloads: &Workloads,
    witness: &Witness,
) -> anyhow::Result<()> {
    let incident = site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await?;
    let all = site.incidents("pod_crash_loop", workloads.namespace()).await?;
    assert_eq!(all.len(), 1, "{point}: one incident: {all:?}");
    let jobs = site.jobs_of(&incident).await?;
    let took_effect = jobs.iter().filter(|j| !j["applied_at"].is_null()).count();
    assert_eq!(took_effect, 1, "{point}: {jobs:?}");
    assert_eq!(jobs.iter().filter(|j| j["state"] == "succeeded").count(), 1, "{point}: {jobs:?}");
    assert_eq!(witness.pods(), 2, "{point}: the broken pod and one replacement");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_plane_may_die_at_any_step() {
    let postgres = Postgres::start().unwrap();
    // Half of the points on each database.
    for (database, points) in [(None, &PLANE[..3]), (Some(postgres.fresh_database().unwrap()), &PLANE[3..])] {
        let mut site = Site::start(database, QUICK).await.unwrap();
        site.enable().await.unwrap();
        for point in points {
            eprintln!("killing at {point}");
            let (workloads, witness, pod) = healthy(&site, "plane").await.unwrap();
            site.plane.restart_with(Some(&format!("{point}=1*return"))).unwrap();
            workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
            site.plane
                .wait_until_dead(PATIENCE)
                .unwrap_or_else(|e| panic!("{point}: {e}\n{}", site.plane.output()));
            site.plane.restart().await.unwrap();
            ended_well(&site, point, &workloads, &witness).await.unwrap();
        }
        let audit = site.plane.get("/audit/verify").await.unwrap();
        assert_eq!(audit["valid"], true, "{audit}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_may_die_at_any_step() {
    let mut site = Site::start(None, QUICK).await.unwrap();
    site.enable().await.unwrap();
    for point in AGENT {
        eprintln!("killing at {point}");
        let (workloads, witness, pod) = healthy(&site, "agent").await.unwrap();
        site.agent.restart_with(Some(&format!("{point}=1*return"))).unwrap();
        site.agent.wait_until_connected(&site.plane).await.unwrap();
        workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
        site.agent
            .wait_until_dead(PATIENCE)
            .unwrap_or_else(|e| panic!("{point}: {e}\n{}", site.agent.output()));
        site.agent.restart().unwrap();
        ended_well(&site, point, &workloads, &witness).await.unwrap();
        let closed = site
            .cluster
            .kubectl(&[
                "get",
                "nodes",
                "-o",
                "jsonpath={.items[*].spec.unschedulable}{.items[*].spec.taints[*].key}",
            ])
            .await
            .unwrap();
        assert_eq!(closed.trim(), "", "{point}: a taint of Nimbus was left");
    }
}

/// What did not help is undone, or said to stay, once: also by an agent that died on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_dies_while_it_undoes_says_how_the_job_ended() {
    let brief = QUICK.replace("verify_timeout_ms = 40000", "verify_timeout_ms = 8000");
    let mut site = Site::start(None, &brief).await.unwrap();
    site.enable().await.unwrap();
    let (workloads, _witness, pod) = healthy(&site, "undone").await.unwrap();
    site.agent.restart_with(Some("agent::applied=1*return")).unwrap();
    site.agent.wait_until_connected(&site.plane).await.unwrap();
    workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
    site.agent.wait_until_dead(PATIENCE).unwrap();
    // The replacement is broken too, before anybody can see it well for long enough.
    let look = async || {
        let names = workloads.pod_names("api").await?;
        Ok(Seen::when(names.iter().find(|name| **name != pod).cloned(), format!("{names:?}")))
    };
    let replacement = wait_for("a replacement", PATIENCE, look).await.unwrap();
    workloads.break_pod(&replacement, &Fault::Crash).await.unwrap();
    site.agent.restart_with(Some("agent::compensating=1*return")).unwrap();
    site.agent.wait_until_dead(PATIENCE).unwrap();
    site.agent.restart().unwrap();
    // A replacement that never lasted is not made anew: a person is asked, and makes another one.
    let incident = site.incident_in("pod_crash_loop", workloads.namespace(), "escalated").await.unwrap();
    let jobs = site.jobs_of(&incident).await.unwrap();
    assert_eq!((jobs.len(), &jobs[0]["state"]), (1, &Value::from("failed")), "{jobs:?}");
    let reason = jobs[0]["reason"].as_str().unwrap();
    assert!(reason.contains("interrupted while it was being undone"), "{reason}");
    assert!(
        reason.contains("not undone"),
        "an evicted pod does not come back, and nobody says it did: {reason}"
    );
    let words = ["delete", "pod", "--namespace", workloads.namespace(), &replacement];
    site.cluster.kubectl(&words).await.unwrap();
    site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_planned_and_approved_nothing_is_lost_or_done_twice() {
    let mut site = Site::start(None, QUICK).await.unwrap();
    site.enable().await.unwrap();
    let workloads = site.cluster.workloads("approval").await.unwrap();
    let spec = DeploymentSpec::new("web", 2).progress_deadline(5);
    workloads.apply_and_wait(&spec, PATIENCE).await.unwrap();
    workloads.set_template_annotation("web", "rig.nimbus.dev/never-ready", Some("true")).await.unwrap();
    let before = site.incident_in("rollout_stuck", workloads.namespace(), "waiting_approval").await.unwrap();

    // Planned, not approved yet: the same approval is still asked for afterwards.
    site.plane.kill9().unwrap();
    site.plane.restart_with(Some("cp::approved=1*return")).unwrap();
    site.plane.wait_until_ready().await.unwrap();
    let after = site.incident_in("rollout_stuck", workloads.namespace(), "waiting_approval").await.unwrap();
    assert_eq!(before["approval_id"], after["approval_id"], "an identical plan keeps its approval");

    // Approved and killed before the answer: the word counts, once.
    let _ = site.approve(&after).await;
    site.plane.wait_until_dead(Duration::from_secs(30)).unwrap();
    site.plane.restart().await.unwrap();
    let incident = site.incident_in("rollout_stuck", workloads.namespace(), "resolved").await.unwrap();
    let jobs = site.jobs_of(&incident).await.unwrap();
    assert_eq!((jobs.len(), &jobs[0]["state"]), (1, &Value::from("succeeded")), "{jobs:?}");
    let sets = workloads.replica_sets("web").await.unwrap();
    assert_eq!(sets.len(), 2, "no third revision");
}
