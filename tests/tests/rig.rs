//! Tests of the test environment itself: the cluster's faults look as they do on real nodes, and both servers survive
//! what the tests do to them.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;
use nimbus_tests::postgres::Postgres;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault, Workloads, is_ready, waiting_reason};
use nimbus_tests::rig::{Cluster, Component, Options};
use nimbus_tests::wait::{Seen, wait_for};

/// Generous: the machine may be busy with something else.
const LIMIT: Duration = Duration::from_mins(2);

async fn workloads(prefix: &str) -> anyhow::Result<Workloads> {
    Cluster::shared().await?.workloads(prefix).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broken_pod_crash_loops_and_its_replacement_is_healthy() {
    let work = workloads("crash").await.unwrap();
    work.apply_and_wait(&DeploymentSpec::new("web", 3), LIMIT).await.unwrap();
    let before = work.pod_names("web").await.unwrap();
    let victim = before.first().unwrap();

    work.break_pod(victim, &Fault::Crash).await.unwrap();
    let status = work
        .wait_for_container(victim, "three restarts and the back-off", LIMIT, |status| {
            status.restart_count >= 3 && waiting_reason(status) == Some("CrashLoopBackOff")
        })
        .await
        .unwrap();
    let ended = status.last_state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (1, Some("Error")));
    let message = status.state.unwrap().waiting.unwrap().message.unwrap();
    assert!(message.starts_with("back-off ") && message.contains(victim.as_str()), "{message}");
    let pods = work.pods("web").await.unwrap();
    assert_eq!(pods.iter().filter(|pod| is_ready(pod)).count(), 2, "the other two stay ready");

    work.delete_pod(victim, LIMIT).await.unwrap();
    work.wait_until_ready("web", LIMIT).await.unwrap();
    let after = work.pods("web").await.unwrap();
    assert!(after.iter().all(|pod| pod.metadata.name.as_ref() != Some(victim)));
    let restarts: i32 = after
        .iter()
        .flat_map(|pod| pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap())
        .map(|status| status.restart_count)
        .sum();
    assert_eq!(restarts, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pod_that_is_mended_becomes_ready_again() {
    let work = workloads("mend").await.unwrap();
    work.apply_and_wait(&DeploymentSpec::new("web", 1), LIMIT).await.unwrap();
    let pod = work.pod_names("web").await.unwrap().remove(0);
    work.break_pod(&pod, &Fault::OutOfMemory).await.unwrap();
    let status = work
        .wait_for_container(&pod, "killed for its memory and restarted", LIMIT, |status| {
            status.restart_count >= 1 && waiting_reason(status) == Some("CrashLoopBackOff")
        })
        .await
        .unwrap();
    let ended = status.last_state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("OOMKilled")));

    work.mend_pod(&pod, &Fault::OutOfMemory).await.unwrap();
    let status = work.wait_for_container(&pod, "ready again", LIMIT, |status| status.ready).await.unwrap();
    assert!(status.restart_count >= 2, "it took one more start: {}", status.restart_count);
    work.wait_until_ready("web", LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_crashes_on_one_node_only_is_well_elsewhere() {
    let work = workloads("on-node").await.unwrap();
    let spec = DeploymentSpec::new("web", 6).spread().fault(&Fault::CrashOnNode("node-0".to_owned()));
    work.apply(&spec).await.unwrap();
    let pods = wait_for("six pods, each placed and judged", LIMIT, || async {
        let pods = work.pods("web").await?;
        let judged = |pod: &k8s_openapi::api::core::v1::Pod| {
            let restarted = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
            is_ready(pod) || restarted.is_some_and(|all| all.iter().any(|status| status.restart_count > 0))
        };
        let count = pods.iter().filter(|pod| judged(pod)).count();
        Ok(Seen::when((count == 6).then_some(pods), format!("{count} judged")))
    })
    .await
    .unwrap();
    for pod in &pods {
        let node = pod.spec.as_ref().unwrap().node_name.as_deref().unwrap();
        assert_eq!(is_ready(pod), node != "node-0", "{node}");
    }
    assert!(pods.iter().any(is_ready) && !pods.iter().all(is_ready), "two pods on each of three nodes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revision_that_never_becomes_ready_passes_its_progress_deadline() {
    let work = workloads("deadline").await.unwrap();
    let spec = DeploymentSpec::new("web", 2).progress_deadline(5);
    work.apply_and_wait(&spec, LIMIT).await.unwrap();
    let (key, value) = Fault::NeverReady.annotation();
    work.set_template_annotation("web", key, Some(value)).await.unwrap();

    let deployments: Api<Deployment> = Api::namespaced(work.client(), work.namespace());
    let failed = wait_for("ProgressDeadlineExceeded", LIMIT, || async {
        let found = deployments.get("web").await?;
        let conditions = found.status.clone().unwrap_or_default().conditions.unwrap_or_default();
        let progressing = conditions.into_iter().find(|condition| condition.type_ == "Progressing");
        let text = format!("{progressing:?}");
        let passed = progressing.and_then(|it| it.reason).as_deref() == Some("ProgressDeadlineExceeded");
        Ok(Seen::when(passed.then_some(found), text))
    })
    .await
    .unwrap();
    let status = failed.status.unwrap();
    assert_eq!(status.available_replicas, Some(2), "the last good revision still serves");
    let sets = work.replica_sets("web").await.unwrap();
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[1].status.as_ref().unwrap().ready_replicas.unwrap_or(0), 0);

    work.set_template_annotation("web", key, None).await.unwrap();
    work.wait_until_ready("web", LIMIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ready_pod_can_stop_answering_and_an_image_can_be_missing() {
    let work = workloads("quiet").await.unwrap();
    work.apply_and_wait(&DeploymentSpec::new("web", 1), LIMIT).await.unwrap();
    let pod = work.pod_names("web").await.unwrap().remove(0);
    work.break_pod(&pod, &Fault::NeverReady).await.unwrap();
    let status = work.wait_for_container(&pod, "not ready", LIMIT, |status| !status.ready).await.unwrap();
    assert_eq!(status.restart_count, 0);
    assert!(status.state.unwrap().running.is_some());
    work.mend_pod(&pod, &Fault::NeverReady).await.unwrap();
    work.wait_until_ready("web", LIMIT).await.unwrap();

    work.apply(&DeploymentSpec::new("missing", 1).fault(&Fault::ImagePull)).await.unwrap();
    let pod = wait_for("a pod", LIMIT, || async {
        Ok(Seen::when(work.pod_names("missing").await?.into_iter().next(), "none"))
    })
    .await
    .unwrap();
    for reason in ["ErrImagePull", "ImagePullBackOff", "ErrImagePull"] {
        work.wait_for_container(&pod, reason, LIMIT, |status| waiting_reason(status) == Some(reason))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_may_do_what_rbac_grants_and_nothing_else() {
    let cluster = Cluster::shared().await.unwrap();
    let path = cluster.kubeconfig_for("reader", &["rig:readers"]).unwrap();
    let kubeconfig = path.to_str().unwrap();
    let denied = cluster.kubectl(&["--kubeconfig", kubeconfig, "get", "pods"]).await.unwrap_err().to_string();
    assert!(denied.contains("forbidden"), "{denied}");
    let args = ["create", "clusterrolebinding", "rig-readers", "--clusterrole=view", "--group=rig:readers"];
    cluster.kubectl(&args).await.unwrap();
    wait_for("the grant to be seen", LIMIT, || async {
        let answer = cluster.kubectl(&["--kubeconfig", kubeconfig, "get", "pods", "-o", "name"]).await?;
        Ok(Seen::Yes(answer))
    })
    .await
    .unwrap();
    let denied =
        cluster.kubectl(&["--kubeconfig", kubeconfig, "create", "namespace", "nope"]).await.unwrap_err();
    assert!(denied.to_string().contains("forbidden"), "{denied}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_turn_not_ready_and_the_api_server_comes_back() {
    let begun = Instant::now();
    let cluster = Cluster::start(Options { nodes: 2, ..Options::default() }).await.unwrap();
    eprintln!("the cluster started in {:.1} s", begun.elapsed().as_secs_f64());
    let work = cluster.workloads("nodes").await.unwrap();
    work.apply_and_wait(&DeploymentSpec::new("web", 2), LIMIT).await.unwrap();

    cluster.set_node_not_ready("node-1", true).await.unwrap();
    cluster.wait_for_node("node-1", "False", LIMIT).await.unwrap();
    cluster.set_node_not_ready("node-1", false).await.unwrap();
    cluster.wait_for_node("node-1", "True", LIMIT).await.unwrap();

    cluster.stop_heartbeats("node-0").await.unwrap();
    cluster.wait_for_node("node-0", "Unknown", LIMIT).await.unwrap();
    cluster.wait_for_node("node-1", "True", Duration::from_secs(1)).await.unwrap();
    cluster.resume_heartbeats("node-0").await.unwrap();
    cluster.wait_for_node("node-0", "True", LIMIT).await.unwrap();

    for component in [Component::ApiServer, Component::Etcd] {
        cluster.stop_component(component).unwrap();
        wait_for(&format!("the API server to fail without {component:?}"), LIMIT, || async {
            let answers = cluster.wait_until_api_answers(Duration::ZERO).await;
            Ok(Seen::when(answers.err(), "it answers"))
        })
        .await
        .unwrap();
        cluster.start_component(component).unwrap();
        cluster.wait_until_api_answers(LIMIT).await.unwrap();
    }
    work.wait_until_ready("web", LIMIT).await.unwrap();
    let pod = work.pod_names("web").await.unwrap().remove(0);
    work.delete_pod(&pod, LIMIT).await.unwrap();
    work.wait_until_ready("web", LIMIT).await.unwrap();

    let pids: Vec<u32> = Component::ALL.into_iter().filter_map(|component| cluster.pid(component)).collect();
    assert_eq!(pids.len(), Component::ALL.len());
    let dir = cluster.dir().to_owned();
    drop(cluster);
    for pid in pids {
        assert!(nimbus_tests::process::send_signal(pid, 0).is_err(), "process {pid} was left behind");
    }
    assert!(!dir.exists(), "the cluster's directory was left behind");
}

#[test]
fn postgres_keeps_what_it_committed_over_a_kill() {
    let begun = Instant::now();
    let mut server = Postgres::start().unwrap();
    eprintln!("PostgreSQL started in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(server.fresh_database().unwrap() != server.fresh_database().unwrap());
    assert_eq!(server.sql("postgres", "SHOW fsync").unwrap(), "on");
    server
        .sql("fresh_0", "CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 1000)")
        .unwrap();
    let before = server.pid();
    server.kill9_and_restart().unwrap();
    assert_ne!(server.pid(), before);
    assert_eq!(server.sql("fresh_0", "SELECT count(*), max(n) FROM kept").unwrap(), "1000|1000");
    let pid = server.pid();
    drop(server);
    assert!(nimbus_tests::process::send_signal(pid, 0).is_err(), "process {pid} was left behind");
}
