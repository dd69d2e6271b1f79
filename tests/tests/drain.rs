//! What `nimbus nodes drain --dry-run` says before a drain is what the real eviction API says of each pod, and what
//! `kubectl drain` then does. The API server, the scheduler, the controllers and kubectl are real; the nodes are simulated.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{EvictParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use nimbus_tests::plane::QUICK;
use nimbus_tests::rig::workloads::{DeploymentSpec, Workloads};
use nimbus_tests::site::{PATIENCE, Site};
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::{Value, json};

/// Makes an object.
async fn make<T>(api: &Api<T>, object: Value) -> anyhow::Result<()>
where
    T: Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

async fn budget(work: &Workloads, name: &str, app: &str, at_least: u32) -> anyhow::Result<()> {
    use k8s_openapi::api::policy::v1::PodDisruptionBudget;
    let budgets = Api::<PodDisruptionBudget>::namespaced(work.client(), work.namespace());
    let spec = json!({"minAvailable": at_least, "selector": {"matchLabels": {"app": app}}});
    make(&budgets, json!({"metadata": {"name": name}, "spec": spec})).await
}

/// The answer for some nodes, once it is as `is_so` wants it.
async fn answer(site: &Site, nodes: &str, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let path = format!("/clusters/{}/drain?nodes={nodes}", site.cluster_name().await?);
    wait_for(&format!("an answer on {nodes}"), PATIENCE, || async {
        let answer = site.plane.get(&path).await?;
        Ok(Seen::when(is_so(&answer).then(|| answer.clone()), serde_json::to_string_pretty(&answer)?))
    })
    .await
}

fn node_of(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}

/// Each pod of the namespace on this node that the API would not let go now, as its answer to a dry run says.
async fn refused(pods: &Api<Pod>, node: &str) -> anyhow::Result<Vec<String>> {
    let mut refused = Vec::new();
    for pod in pods.list(&kube::api::ListParams::default()).await?.items {
        let name = pod.metadata.name.clone().unwrap_or_default();
        if node_of(&pod) != node {
            continue;
        }
        let dry = EvictParams {
            post_options: PostParams { dry_run: true, ..PostParams::default() },
            ..EvictParams::default()
        };
        match pods.evict(&name, &dry).await {
            Ok(_) => {}
            // 429: a budget; 500: more than one of them.
            Err(kube::Error::Api(status)) if [429, 500].contains(&status.code) => refused.push(name),
            Err(error) => return Err(error.into()),
        }
    }
    refused.sort();
    Ok(refused)
}

/// The pods of the answer that a budget is in the way of.
fn by_budgets(answer: &Value, namespace: &str) -> Vec<String> {
    let all = answer["in_the_way"].as_array().cloned().unwrap_or_default();
    let of_budget = |one: &&Value| one["why"].to_string().contains("PodDisruptionBudget");
    let mut names: Vec<String> = all
        .iter()
        .filter(of_budget)
        .filter_map(|one| one["pod"].as_str()?.strip_prefix(&format!("{namespace}/")).map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_drain_is_what_the_eviction_api_and_kubectl_do() -> anyhow::Result<()> {
    let site = Site::start(None, QUICK).await?;
    let work = site.cluster.workloads("drain").await?;
    work.apply_and_wait(&DeploymentSpec::new("web", 6), PATIENCE).await?;
    work.apply_and_wait(&DeploymentSpec::new("api", 1), PATIENCE).await?;
    work.apply_and_wait(&DeploymentSpec::new("db", 1), PATIENCE).await?;
    let kubeconfig = Kubeconfig::read_from(site.cluster.kubeconfig_path())?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // A 429 is an answer here.
    config.default_retry = false;
    let pods = Api::<Pod>::namespaced(kube::Client::try_from(config)?, work.namespace());
    let nodes: std::collections::BTreeSet<String> =
        pods.list(&kube::api::ListParams::default()).await?.items.iter().map(node_of).collect();
    assert!(nodes.len() > 1, "the pods are on several nodes: {nodes:?}");
    for node in &nodes {
        answer(&site, node, |answer| answer["verdict"] == "finishes" && answer["going"] != 0).await?;
        assert_eq!(refused(&pods, node).await?, Vec::<String>::new());
    }

    // One that never lets its pod go, one that lets one go after the other, and two on one pod.
    budget(&work, "never", "api", 1).await?;
    budget(&work, "slow", "web", 5).await?;
    budget(&work, "db-one", "db", 0).await?;
    budget(&work, "db-two", "db", 0).await?;
    let api = pods.get(&work.pod_names("api").await?.remove(0)).await?;
    let db = pods.get(&work.pod_names("db").await?.remove(0)).await?;
    for (pod, word) in [(&api, "never lets a pod go"), (&db, "several PodDisruptionBudgets")] {
        answer(&site, &node_of(pod), |answer| answer["in_the_way"].to_string().contains(word)).await?;
    }
    for node in &nodes {
        // The budgets' controller gives its figures in a moment, and the agent tells them in another.
        wait_for("the answer and the API to agree", PATIENCE, || async {
            let (said, real) = (answer(&site, node, |_| true).await?, refused(&pods, node).await?);
            let agree = by_budgets(&said, work.namespace()) == real;
            Ok(Seen::when(agree.then_some(()), format!("{real:?}\n{}", serde_json::to_string_pretty(&said)?)))
        })
        .await?;
    }
    let all = nodes.iter().cloned().collect::<Vec<_>>().join(",");
    let both = answer(&site, &all, |answer| answer["verdict"] == "blocked").await?;
    let changes = both["changes"].as_array().map_or(0, Vec::len);
    assert!(changes >= 2 && both["changes_are_fewest"] == true, "{both}");

    // What kubectl does with a node that is blocked, and with one that is not.
    let drain = async |node: &str, seconds: u32| {
        let timeout = format!("--timeout={seconds}s");
        let ran = site.cluster.kubectl(&["drain", node, "--ignore-daemonsets", &timeout]).await;
        site.cluster.kubectl(&["uncordon", node]).await?;
        anyhow::Ok(ran)
    };
    let blocked = node_of(&api);
    let failed = drain(&blocked, 12).await?;
    assert!(failed.as_ref().is_err_and(|error| format!("{error:#}").contains("would violate")), "{failed:?}");
    let free = nodes.iter().find(|node| **node != blocked && **node != node_of(&db));
    if let Some(node) = free {
        let said = answer(&site, node, |answer| answer["verdict"] == "finishes").await?;
        assert_eq!(json!(said["rounds"].as_array().map(Vec::len)), said["going"], "{said}");
        drain(node, 90).await??;
    }

    // A pod of nobody is in the way of kubectl too.
    let lone = json!({"metadata": {"name": "lone"}, "spec": {"nodeName": blocked, "containers": [{"name": "a", "image": "a"}]}});
    make(&pods, lone).await?;
    let said = answer(&site, &blocked, |answer| answer["in_the_way"].to_string().contains("/lone")).await?;
    assert_eq!(said["verdict"], "blocked");
    let failed = drain(&blocked, 5).await?;
    assert!(failed.is_err_and(|error| format!("{error:#}").contains("lone")));

    let (code, printed) =
        site.plane.nimbus(&["nodes", "drain", &blocked, "--dry-run", "--exit-code"]).await?;
    assert!(
        code == Some(3) && printed.contains("does not finish") && printed.contains("lone"),
        "{code:?} {printed}"
    );
    let (code, printed) = site.plane.nimbus(&["nodes", "drain", &blocked]).await?;
    assert!(code == Some(2) && printed.contains("--dry-run"), "{code:?} {printed}");
    Ok(())
}
