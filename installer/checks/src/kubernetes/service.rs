//! Whether Services of type LoadBalancer get an address here.

use serde::Deserialize;
use serde_json::Value;

use super::{Metadata, items};
use crate::check::Gathered;

/// The Services of type LoadBalancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balancers {
    /// How many have an address.
    pub served: usize,
    /// The names (`namespace/name`) of those without one.
    pub waiting: Vec<String>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(flatten)]
    common: Metadata,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default, rename = "loadBalancer")]
    balancer: Balancer,
}

#[derive(Deserialize, Default)]
struct Balancer {
    #[serde(default)]
    ingress: Vec<Value>,
}

/// Of `kubectl get services --all-namespaces -o json`.
pub fn balancers(printed: &[u8]) -> Gathered<Balancers> {
    let objects: Vec<Object> = items(printed, "kubectl get services --all-namespaces -o json")?;
    let mut found = Balancers::default();
    for Object { metadata, spec, status } in objects {
        if spec.kind != "LoadBalancer" {
            continue;
        }
        if status.balancer.ingress.is_empty() {
            found.waiting.push(format!("{}/{}", metadata.namespace, metadata.common.name));
        } else {
            found.served += 1;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_with_and_without_an_address_are_told_apart() {
        let printed = br#"{"items": [
            {"metadata": {"name": "a", "namespace": "n"}, "spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {}}},
            {"metadata": {"name": "b", "namespace": "n"}, "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {}}},
            {"metadata": {"name": "c", "namespace": "n"}, "spec": {"type": "LoadBalancer"},
             "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
        ]}"#;
        assert_eq!(balancers(printed), Ok(Balancers { served: 1, waiting: vec!["n/b".to_owned()] }));
    }
}
