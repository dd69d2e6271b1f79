//! The stage on a real node: the agent is a pod there, as it would be in production.

use std::net::IpAddr;

use serde_json::json;

use crate::plane::Plane;
use crate::process::binary;
use crate::rig::real_node::{ADDRESS, RealNode, images};
use crate::scenes::objects::apply;
use crate::scenes::stage::{Agent, Stage, grant, policy};
use crate::site::cluster_uid;

/// The agent's namespace, which Pod Security keeps as it is meant to be kept.
const NAMESPACE: &str = "nimbus-system";

/// Starts the node with this longest wait of a container that crashes, a control plane of this configuration, and the agent as
/// a pod.
pub async fn stage(config: &str, longest_back_off: &str) -> anyhow::Result<Stage> {
    let (cluster, node) = RealNode::start(longest_back_off).await?;
    let plane = Plane::start_reachable(config, IpAddr::V4(ADDRESS)).await?;
    node.import(&images::agent(node.dir(), &binary("nimbus-agent")?)?)?;
    grant(&cluster).await?;
    let uid = cluster_uid(&cluster).await?;
    let token = plane.join_token_for("pod", "cluster", Some(&uid)).await?;
    let work =
        cluster.namespace(NAMESPACE, &json!({"pod-security.kubernetes.io/enforce": "restricted"})).await?;
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nimbus-agent"}}),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nimbus-agent"},
            "data": {"policy.toml": policy(&uid)},
        }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nimbus-agent"},
            "stringData": {"join": token},
        }),
    ];
    let container = json!({
        "name": "agent",
        "image": images::AGENT,
        "args": [
            "--server", plane.quic().to_string(), "--name", "pod", "--data-dir", "/data/agent",
            "--policy", "/etc/nimbus/policy.toml",
        ],
        "env": [
            {"name": "NIMBUS_JOIN_TOKEN", "valueFrom": {"secretKeyRef": {"name": "nimbus-agent", "key": "join"}}},
            {"name": "RUST_LOG", "value": "info"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "policy", "mountPath": "/etc/nimbus"},
        ],
    });
    objects.push(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "nimbus-agent"},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": "nimbus-agent"}},
            "template": {
                "metadata": {"labels": {"app": "nimbus-agent"}},
                "spec": {
                    "serviceAccountName": "nimbus-agent",
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    "volumes": [
                        {"name": "data", "emptyDir": {}},
                        {"name": "policy", "configMap": {"name": "nimbus-agent"}},
                    ],
                },
            },
        },
    }));
    for object in &objects {
        apply(&work, object).await?;
    }
    let audit = cluster.audit_log();
    let stage = Stage {
        plane,
        agent: Agent::Pod,
        cluster,
        audit,
        node: Some(node),
        metrics: None,
        certificates: None,
    };
    match stage.open().await {
        Ok(()) => Ok(stage),
        Err(error) => {
            let words = ["-n", NAMESPACE, "get", "pods,events", "-o", "wide"];
            let seen = stage.cluster.kubectl(&words).await.unwrap_or_else(|error| format!("{error:#}"));
            let words = ["-n", NAMESPACE, "logs", "deployment/nimbus-agent", "--tail=30"];
            let said = stage.cluster.kubectl(&words).await.unwrap_or_else(|error| format!("{error:#}"));
            Err(error.context(format!("{seen}\n{said}")))
        }
    }
}
