//! The slim Certificate of cert-manager: until when what was issued is valid, when it is due to be renewed, and how far that has come.
//!
//! What was issued, and its key, are in a Secret that nobody reads for this: the Certificate's own status says all that is told.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Condition, Slim, SlimMeta, condition, count, micros};
use crate::observe::bounded;

/// cert-manager's own API group, in which an issuer is that is said without one.
pub const CERT_MANAGER: &str = "cert-manager.io";
/// The kind of an issuer that is said without one.
const ISSUER: &str = "Issuer";
/// Most names that are told of one certificate.
const MOST_NAMES: usize = 4;

/// A Certificate of `cert-manager.io/v1`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimCertificate {
    metadata: SlimMeta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    secret_name: String,
    issuer_ref: IssuerRef,
    common_name: String,
    dns_names: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct IssuerRef {
    group: String,
    kind: String,
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Option<Vec<Condition>>,
    not_before: Option<String>,
    not_after: Option<String>,
    renewal_time: Option<String>,
    last_failure_time: Option<String>,
    failed_issuance_attempts: Option<i64>,
    revision: Option<i64>,
}

fn or(text: &str, without: &str) -> String {
    bounded(if text.is_empty() { without } else { text })
}

impl Slim for SlimCertificate {
    const KIND: ObjectKind = ObjectKind::Certificate;
    const PATH: &'static str = "/apis/cert-manager.io/v1/certificates";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        v1::observation::Body::Certificate(self.told())
    }
}

impl SlimCertificate {
    /// What is told of it.
    pub fn told(&self) -> v1::Certificate {
        let (spec, status) = (&self.spec, &self.status);
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let ready = condition(conditions, "Ready").cloned().unwrap_or_default();
        let issuing = condition(conditions, "Issuing").cloned().unwrap_or_default();
        let mut names: Vec<String> = Vec::new();
        for name in std::iter::once(&spec.common_name).chain(spec.dns_names.iter().flatten()) {
            if !name.is_empty() && !names.contains(name) && names.len() < MOST_NAMES {
                names.push(bounded(name));
            }
        }
        v1::Certificate {
            meta: Some(self.metadata.observe()),
            secret_name: bounded(&spec.secret_name),
            issuer_group: or(&spec.issuer_ref.group, CERT_MANAGER),
            issuer_kind: or(&spec.issuer_ref.kind, ISSUER),
            issuer_name: bounded(&spec.issuer_ref.name),
            names,
            not_before_us: micros(status.not_before.as_ref()),
            not_after_us: micros(status.not_after.as_ref()),
            renewal_time_us: micros(status.renewal_time.as_ref()),
            ready: or(&ready.status, "Unknown"),
            ready_reason: bounded(&ready.reason),
            ready_message: bounded(&ready.message),
            issuing: bounded(&issuing.status),
            issuing_reason: bounded(&issuing.reason),
            issuing_message: bounded(&issuing.message),
            issuing_since_us: micros(issuing.last_transition_time.as_ref()),
            last_failure_us: micros(status.last_failure_time.as_ref()),
            failed_attempts: count(status.failed_issuance_attempts),
            revision: count(status.revision),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_its_status_says_is_told_and_what_it_does_not_say_is_not_known() {
        let told = |object| serde_json::from_value::<SlimCertificate>(object).unwrap().told();
        let whole = told(json!({
            "metadata": {"uid": "c", "name": "web", "namespace": "shop", "generation": 2},
            "spec": {
                "secretName": "web-tls", "commonName": "web.example.com",
                "dnsNames": ["web.example.com", "www.example.com", "a", "b", "c"],
                "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"},
            },
            "status": {
                "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2026-04-01T00:00:00Z", "renewalTime": "2026-03-01T00:00:00Z",
                "lastFailureTime": "2026-03-02T00:00:00Z", "failedIssuanceAttempts": 3, "revision": 7,
                "conditions": [
                    {"type": "Ready", "status": "True", "reason": "Ready", "message": "up to date"},
                    {"type": "Issuing", "status": "False", "reason": "Failed", "message": "the order is invalid",
                     "lastTransitionTime": "2026-03-02T00:00:00Z"},
                ],
            },
        }));
        assert_eq!((whole.secret_name.as_str(), whole.revision, whole.failed_attempts), ("web-tls", 7, 3));
        let issuer = [&whole.issuer_group, &whole.issuer_kind, &whole.issuer_name].map(String::as_str);
        assert_eq!(issuer, ["cert-manager.io", "ClusterIssuer", "letsencrypt"]);
        assert_eq!(whole.names, ["web.example.com", "www.example.com", "a", "b"]);
        assert_eq!(whole.not_after_us - whole.renewal_time_us, 31 * 86_400_000_000);
        assert_eq!((whole.ready.as_str(), whole.issuing.as_str()), ("True", "False"));
        assert_eq!(whole.issuing_since_us, whole.last_failure_us);

        let new =
            told(json!({"metadata": {"uid": "c", "name": "web"}, "spec": {"issuerRef": {"name": "ca"}}}));
        assert_eq!((new.not_after_us, new.renewal_time_us, new.last_failure_us, new.revision), (0, 0, 0, 0));
        assert_eq!(
            (new.ready.as_str(), new.issuing.as_str(), new.issuer_kind.as_str()),
            ("Unknown", "", "Issuer")
        );
    }
}
