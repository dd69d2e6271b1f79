//! Tests the way of an observation on a real cluster: a fault is observed, a remedy planned, allowed or approved,
//! carried out and verified.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

use nimbus_tests::plane::QUICK;
use nimbus_tests::postgres::Postgres;
use nimbus_tests::process::binary;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads, is_ready};
use nimbus_tests::site::{PATIENCE, Site, cluster_uid, policy_for};
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

async fn healthy(site: &Site, prefix: &str, name: &str, replicas: i32) -> anyhow::Result<Workloads> {
    let workloads = site.cluster.workloads(prefix).await?;
    workloads.apply_and_wait(&DeploymentSpec::new(name, replicas), PATIENCE).await?;
    // Its revision has lasted for `good_after_ms`, by times in whole seconds: before, a lone pod of it is left to a person.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    Ok(workloads)
}

async fn node_of(workloads: &Workloads, pod: &str) -> anyhow::Result<String> {
    let api =
        kube::Api::<k8s_openapi::api::core::v1::Pod>::namespaced(workloads.client(), workloads.namespace());
    Ok(api.get(pod).await?.spec.and_then(|s| s.node_name).unwrap_or_default())
}

/// Nodes that are cordoned or carry Nimbus's taint.
async fn closed_nodes(site: &Site) -> anyhow::Result<Vec<String>> {
    let nodes = kube::Api::<k8s_openapi::api::core::v1::Node>::all(site.cluster.client().await?);
    let all = nodes.list(&kube::api::ListParams::default()).await?;
    let closed = all.into_iter().filter(|n| {
        n.spec.as_ref().is_some_and(|spec| {
            let held = spec.taints.iter().flatten().any(|taint| taint.key == "nimbus.dev/held");
            held || spec.unschedulable == Some(true)
        })
    });
    Ok(closed.filter_map(|n| n.metadata.name).collect())
}

/// The Deployment's generation: it counts every change of its spec.
async fn generation(workloads: &Workloads, name: &str) -> anyhow::Result<i64> {
    use k8s_openapi::api::apps::v1::Deployment;
    let api = kube::Api::<Deployment>::namespaced(workloads.client(), workloads.namespace());
    Ok(api.get(name).await?.metadata.generation.unwrap_or(0))
}

fn words(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Breaks one pod; it is replaced on another node without anybody's help, once.
async fn crash_loop_heals(site: &Site) -> anyhow::Result<()> {
    let workloads = healthy(site, "crash", "api", 2).await?;
    let before = workloads.pod_names("api").await?;
    let node = node_of(&workloads, &before[0]).await?;
    workloads.break_pod(&before[0], &Fault::Crash).await?;
    let incident = site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await?;

    let after = workloads.pods("api").await?;
    assert_eq!(after.len(), 2, "as many pods as before");
    assert!(after.iter().all(is_ready), "resolved means ready");
    let names: Vec<String> = after.iter().filter_map(|p| p.metadata.name.clone()).collect();
    assert!(
        !names.contains(&before[0]) && names.contains(&before[1]),
        "{before:?} became {names:?}: one effect"
    );
    let new = names.iter().find(|n| !before.contains(n)).expect("a new pod");
    assert_ne!(node_of(&workloads, new).await?, node, "the new pod runs elsewhere");
    assert_eq!(closed_nodes(site).await?, Vec::<String>::new(), "Nimbus removed its own taint");
    let jobs = site.jobs_of(&incident).await?;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(jobs[0]["state"], "succeeded");
    let landed = jobs[0]["reason"].as_str().unwrap_or_default();
    assert!(landed.contains("another node than"), "the verdict says where it landed: {landed}");
    assert!(incident["history"].as_array().is_some_and(|h| h.len() >= 3), "{}", words(&incident));
    Ok(())
}

/// A taint of Nimbus whose time is over: the agent takes it away by itself, whoever's job it was.
async fn a_stale_taint_goes_by_itself(site: &Site) -> anyhow::Result<()> {
    use kube::api::{Patch, PatchParams};
    let nodes = kube::Api::<k8s_openapi::api::core::v1::Node>::all(site.cluster.client().await?);
    let name = nodes.list(&kube::api::ListParams::default()).await?.items.remove(0).metadata.name;
    let value = format!("job_{:032x}.1700000000", 98);
    let taint = serde_json::json!({"key": "nimbus.dev/held", "value": value, "effect": "NoSchedule"});
    let patch = Patch::Merge(serde_json::json!({"spec": {"taints": [taint]}}));
    nodes.patch(&name.unwrap_or_default(), &PatchParams::default(), &patch).await?;
    wait_for("the stale taint to go", PATIENCE, || async {
        let closed = closed_nodes(site).await?;
        Ok(Seen::when(closed.is_empty().then_some(()), format!("{closed:?}")))
    })
    .await?;
    Ok(())
}

/// A budget that can never allow the eviction: named with its figures, nothing is touched, no attempt is counted; once it
/// lets an unready pod go, the pod is replaced.
async fn a_budget_is_named_and_asked_again(site: &Site) -> anyhow::Result<()> {
    use k8s_openapi::api::policy::v1::PodDisruptionBudget;
    use kube::api::{Patch, PatchParams, PostParams};
    let workloads = healthy(site, "budget", "api", 1).await?;
    let budgets = kube::Api::<PodDisruptionBudget>::namespaced(workloads.client(), workloads.namespace());
    let budget = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "never"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "api"}}},
    }))?;
    budgets.create(&PostParams::default(), &budget).await?;
    let pod = workloads.pod_names("api").await?.remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await?;
    let says = |i: &Value| i["reason"].as_str().is_some_and(|r| r.contains("budget never (minAvailable 1"));
    let refused = site.incident_where("pod_crash_loop", workloads.namespace(), "refused", says).await?;
    assert_eq!(refused["attempts"], 0, "{}", words(&refused));
    assert_eq!(workloads.pod_names("api").await?, std::slice::from_ref(&pod), "untouched");
    assert_eq!(closed_nodes(site).await?, Vec::<String>::new(), "nothing was held for it");
    let patch = serde_json::json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}});
    budgets.patch("never", &PatchParams::default(), &Patch::Merge(patch)).await?;
    site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await?;
    assert_ne!(workloads.pod_names("api").await?, [pod]);
    Ok(())
}

/// Breaks every replacement: attempts are capped, then a person is asked.
async fn a_hopeless_pod_is_escalated(site: &Site) -> anyhow::Result<()> {
    let workloads = healthy(site, "hopeless", "api", 1).await?;
    let what = "the incident to be escalated while every replacement breaks";
    wait_for(what, PATIENCE, || async {
        for pod in workloads.pod_names("api").await? {
            // A pod that is gone by now cannot be broken; the next look finds its replacement.
            let _ = workloads.break_pod(&pod, &Fault::Crash).await;
        }
        let all = site.incidents("pod_crash_loop", workloads.namespace()).await?;
        Ok(Seen::when(all.iter().any(|i| i["state"] == "escalated").then_some(()), format!("{all:?}")))
    })
    .await?;
    let jobs: Vec<Value> = site.plane.items("/jobs").await?;
    let mine = |j: &&Value| j["object"]["namespace"] == workloads.namespace() && !j["applied_at"].is_null();
    // One that is broken before it was ever ready is not made anew at all.
    let made = jobs.iter().filter(mine).count();
    assert!((1..=3).contains(&made), "three attempts, not more: {jobs:?}");
    Ok(())
}

/// A cordon of Nimbus whose job nobody knows: a person is asked, and then the node is uncordoned.
async fn a_stale_cordon_is_lifted_after_approval(site: &Site) -> anyhow::Result<()> {
    use kube::api::{Patch, PatchParams};
    let nodes = kube::Api::<k8s_openapi::api::core::v1::Node>::all(site.cluster.client().await?);
    let node = nodes.list(&kube::api::ListParams::default()).await?.items.remove(0);
    let name = node.metadata.name.unwrap_or_default();
    let job = format!("job_{:032x}", 99);
    let cordon = serde_json::json!({
        "metadata": {"annotations": {"nimbus.dev/cordoned-by": job}},
        "spec": {"unschedulable": true},
    });
    nodes.patch(&name, &PatchParams::default(), &Patch::Merge(cordon)).await?;
    let waits = site.incident_on("stale_cordon", &name, "waiting_approval").await?;
    assert_eq!(
        closed_nodes(site).await?,
        std::slice::from_ref(&name),
        "nothing is opened before the approval"
    );
    site.approve(&waits).await?;
    let incident = site.incident_on("stale_cordon", &name, "resolved").await?;
    assert_eq!(closed_nodes(site).await?, Vec::<String>::new());
    let jobs = site.jobs_of(&incident).await?;
    assert_eq!((jobs.len(), &jobs[0]["kind"]), (1, &Value::from("uncordon_node")), "{jobs:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_looping_pod_is_replaced_elsewhere_and_a_hopeless_one_is_escalated() {
    let site = Site::start(None, QUICK).await.unwrap();
    site.enable().await.unwrap();
    crash_loop_heals(&site).await.unwrap();
    a_stale_cordon_is_lifted_after_approval(&site).await.unwrap();
    a_stale_taint_goes_by_itself(&site).await.unwrap();
    a_budget_is_named_and_asked_again(&site).await.unwrap();
    a_hopeless_pod_is_escalated(&site).await.unwrap();
    let audit = site.plane.get("/audit/verify").await.unwrap();
    assert_eq!(audit["valid"], true, "{audit}");
}

/// A new revision that never becomes ready; waits until an approval is asked for.
async fn stuck_rollout(site: &Site, prefix: &str) -> anyhow::Result<(Workloads, Value)> {
    let workloads = site.cluster.workloads(prefix).await?;
    let spec = DeploymentSpec::new("web", 3).progress_deadline(5);
    workloads.apply_and_wait(&spec, PATIENCE).await?;
    workloads.set_template_annotation("web", "rig.nimbus.dev/never-ready", Some("true")).await?;
    let incident = site.incident_in("rollout_stuck", workloads.namespace(), "waiting_approval").await?;
    Ok((workloads, incident))
}

async fn approved_rollback(site: &Site) -> anyhow::Result<()> {
    let (workloads, incident) = stuck_rollout(site, "approve").await?;
    let stuck_at = generation(&workloads, "web").await?;
    assert_eq!(
        site.incidents("pod_crash_loop", workloads.namespace()).await?.len(),
        0,
        "one incident, not one a pod"
    );
    assert_eq!(site.incidents("rollout_stuck", workloads.namespace()).await?.len(), 1);
    let changes = words(&incident["plan"]["changes"]);
    assert!(changes.contains("revision"), "the approval shows what will change: {changes}");
    assert_eq!(site.jobs_of(&incident).await?.len(), 0, "nothing is sent before the approval");

    site.approve(&incident).await?;
    let incident = site.incident_in("rollout_stuck", workloads.namespace(), "resolved").await?;
    workloads.wait_until_ready("web", PATIENCE).await?;
    assert_eq!(generation(&workloads, "web").await?, stuck_at + 1, "changed once");
    let jobs = site.jobs_of(&incident).await?;
    assert_eq!((jobs.len(), &jobs[0]["state"]), (1, &Value::from("succeeded")), "{jobs:?}");
    Ok(())
}

async fn denied_rollback(site: &Site) -> anyhow::Result<()> {
    let (workloads, incident) = stuck_rollout(site, "deny").await?;
    let stuck_at = generation(&workloads, "web").await?;
    site.deny(&incident).await?;
    let incident = site.incident_in("rollout_stuck", workloads.namespace(), "escalated").await?;
    let reason = incident["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("not tonight") && reason.contains("nothing was changed"), "{reason}");
    // The same plan is not asked again, and nothing is sent, over several passes of the control plane.
    let passes = tokio::time::Instant::now() + std::time::Duration::from_secs(4);
    while tokio::time::Instant::now() < passes {
        assert_eq!(site.incidents("rollout_stuck", workloads.namespace()).await?[0]["state"], "escalated");
        assert_eq!(site.jobs_of(&incident).await?.len(), 0);
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    assert_eq!(generation(&workloads, "web").await?, stuck_at);
    Ok(())
}

/// The Deployment changes between plan and approval: the old approval is worth nothing, a new plan is made.
async fn changed_since_planned(site: &Site) -> anyhow::Result<()> {
    let (workloads, old) = stuck_rollout(site, "changed").await?;
    let (approval, digest) = nimbus_tests::site::approval_of(&old)?;
    workloads.set_template_annotation("web", "team", Some("blue")).await?;
    let new = site
        .incident_where("rollout_stuck", workloads.namespace(), "planned anew", |i| {
            i["state"] == "waiting_approval" && i["approval_id"] != old["approval_id"]
        })
        .await?;
    let body = serde_json::json!({"plan_digest": digest, "reason": "late"});
    let path = format!("/approvals/{approval}/approve");
    let (status, problem) = site.plane.request(reqwest::Method::POST, &path, Some(body)).await?;
    assert_eq!(status, 409, "{problem}");
    assert_ne!(new["approval"]["plan_digest"], digest.as_str());
    site.approve(&new).await?;
    site.incident_in("rollout_stuck", workloads.namespace(), "resolved").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_revision_is_rolled_back_only_with_approval_on_postgresql() {
    let postgres = Postgres::start().unwrap();
    let site = Site::start(Some(postgres.fresh_database().unwrap()), QUICK).await.unwrap();
    site.enable().await.unwrap();
    approved_rollback(&site).await.unwrap();
    denied_rollback(&site).await.unwrap();
    changed_since_planned(&site).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_leave_nothing_happens_and_the_reason_is_in_the_incident() {
    let site = Site::start(None, QUICK).await.unwrap();
    let workloads = healthy(&site, "leave", "api", 1).await.unwrap();
    let pod = workloads.pod_names("api").await.unwrap().remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
    let namespace = workloads.namespace();

    // Not enabled: observed and explained.
    let says = |word: &'static str| move |i: &Value| i["reason"].as_str().is_some_and(|r| r.contains(word));
    site.incident_where("pod_crash_loop", namespace, "not enabled", says("autonomous enable")).await.unwrap();
    assert_eq!(site.plane.items("/jobs").await.unwrap(), Vec::<Value>::new());

    // Enabled, but the agent's own policy denies the namespace: refused there, whatever the control plane wants.
    let uid = cluster_uid(&site.cluster).await.unwrap();
    site.agent.set_policy(&format!("{}deny_namespaces = [\"{namespace}\"]\n", policy_for(&uid))).unwrap();
    site.enable().await.unwrap();
    let refused = site.incident_where("pod_crash_loop", namespace, "policy", says("policy")).await.unwrap();
    assert_eq!(workloads.pod_names("api").await.unwrap(), vec![pod.clone()], "untouched");
    let jobs = site.jobs_of(&refused).await.unwrap();
    assert!(jobs.iter().all(|j| j["state"] == "refused"), "{jobs:?}");

    // Allowed on both sides: healed.
    site.agent.set_policy(&policy_for(&uid)).unwrap();
    site.incident_in("pod_crash_loop", namespace, "resolved").await.unwrap();
    assert_ne!(workloads.pod_names("api").await.unwrap(), vec![pod]);
}

/// Runs the agent's own switch, as a person on its side would.
fn switch(site: &Site, command: &str) -> String {
    let mut program = std::process::Command::new(binary("nimbus-agent").unwrap());
    program.args([command, "--data-dir"]).arg(site.agent.data_dir());
    let output = program.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn nimbus(site: &Site, words: &[&str]) {
    let (code, said) = site.plane.nimbus(words).await.unwrap();
    assert_eq!(code, Some(0), "{words:?}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_cluster_waits_on_either_side_and_one_that_recommends_asks() {
    let site = Site::start(None, QUICK).await.unwrap();
    site.enable().await.unwrap();
    let name = site.cluster_name().await.unwrap();
    let says = |word: &'static str| move |i: &Value| i["reason"].as_str().is_some_and(|r| r.contains(word));
    let workloads = healthy(&site, "pause", "api", 2).await.unwrap();
    let pod = workloads.pod_names("api").await.unwrap().remove(0);
    let namespace = workloads.namespace();

    // On both sides: the agent's own pause is what is left when the control plane's ends.
    nimbus(&site, &["autonomous", "pause", "--cluster", &name, "--reason", "disks are moved"]).await;
    assert!(switch(&site, "pause").contains("from now on"));
    workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
    site.incident_where("pod_crash_loop", namespace, "paused", says("disks are moved")).await.unwrap();
    nimbus(&site, &["autonomous", "resume", "--cluster", &name]).await;
    site.incident_where("pod_crash_loop", namespace, "paused there", says("nimbus-agent resume"))
        .await
        .unwrap();
    assert_eq!(site.plane.items("/jobs").await.unwrap(), Vec::<Value>::new());
    assert!(workloads.pod_names("api").await.unwrap().contains(&pod), "untouched");
    assert!(switch(&site, "resume").contains("goes on"));
    site.incident_in("pod_crash_loop", namespace, "resolved").await.unwrap();
    assert!(!workloads.pod_names("api").await.unwrap().contains(&pod));

    // What went by itself just now waits for a person once the cluster only recommends.
    nimbus(&site, &["autonomous", "enable", "--cluster", &name, "--mode", "recommend"]).await;
    let workloads = healthy(&site, "asks", "shop", 2).await.unwrap();
    let pod = workloads.pod_names("shop").await.unwrap().remove(0);
    workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
    let incident =
        site.incident_in("pod_crash_loop", workloads.namespace(), "waiting_approval").await.unwrap();
    assert!(workloads.pod_names("shop").await.unwrap().contains(&pod), "untouched");
    site.approve(&incident).await.unwrap();
    let healed = site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await.unwrap();
    let jobs = site.jobs_of(&healed).await.unwrap();
    assert!(jobs.iter().all(|job| job["approval_id"].is_string()), "{jobs:?}");
}
