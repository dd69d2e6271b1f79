//! The slim Issuer and ClusterIssuer of cert-manager: whether they can issue. What they hold to do so is not read.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, condition};
use crate::observe::bounded;

/// An Issuer of `cert-manager.io/v1`, of its own namespace's Certificates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimIssuer {
    metadata: SlimMeta,
    status: Status,
}

/// A ClusterIssuer of `cert-manager.io/v1`, of all namespaces' Certificates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct SlimClusterIssuer(SlimIssuer);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Option<Vec<Condition>>,
}

impl SlimIssuer {
    /// What is told of it.
    pub fn told(&self) -> v1::Issuer {
        let conditions = self.status.conditions.as_deref().unwrap_or_default();
        let ready = condition(conditions, "Ready").cloned().unwrap_or_default();
        let status = if ready.status.is_empty() { "Unknown" } else { &ready.status };
        v1::Issuer {
            meta: Some(self.metadata.observe()),
            ready: bounded(status),
            ready_reason: bounded(&ready.reason),
            ready_message: bounded(&ready.message),
        }
    }
}

impl SlimClusterIssuer {
    /// What is told of it.
    pub fn told(&self) -> v1::Issuer {
        self.0.told()
    }
}

impl Slim for SlimIssuer {
    const KIND: ObjectKind = ObjectKind::Issuer;
    const PATH: &'static str = "/apis/cert-manager.io/v1/issuers";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        v1::observation::Body::Issuer(self.told())
    }
}

impl Slim for SlimClusterIssuer {
    const KIND: ObjectKind = ObjectKind::ClusterIssuer;
    const PATH: &'static str = "/apis/cert-manager.io/v1/clusterissuers";

    fn meta(&self) -> &SlimMeta {
        &self.0.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        v1::observation::Body::ClusterIssuer(self.told())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_issuer_that_does_not_say_that_it_is_ready_is_not_known_to_be() {
        let object = |conditions| json!({"metadata": {"uid": "i", "name": "ca"}, "status": {"conditions": conditions}});
        let told = |conditions| serde_json::from_value::<SlimIssuer>(object(conditions)).unwrap().told();
        assert_eq!(told(json!(null)).ready, "Unknown");
        let not = told(
            json!([{"type": "Ready", "status": "False", "reason": "ErrGetKeyPair", "message": "no Secret"}]),
        );
        assert_eq!([not.ready, not.ready_reason, not.ready_message], ["False", "ErrGetKeyPair", "no Secret"]);
        let body = serde_json::from_value::<SlimClusterIssuer>(object(json!(null))).unwrap().observe();
        assert!(matches!(body, v1::observation::Body::ClusterIssuer(issuer) if issuer.ready == "Unknown"));
    }
}
