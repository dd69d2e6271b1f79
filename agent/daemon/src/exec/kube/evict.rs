//! Evicts a pod through the Eviction API, with its UID as a precondition, so that every PodDisruptionBudget is
//! honoured.

use kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::super::remedy::{ActError, precondition};
use super::pod_path;
use crate::watch::kube::request::{self, RequestError};

/// Would the API server allow the eviction now? Nothing is changed by asking; any answer but yes is a refusal, as
/// nothing may be prepared for an eviction that does not come.
pub(in super::super) async fn would_be_allowed(client: &Client, pod: &v1::Target) -> Result<(), Refusal> {
    match request(client, pod, true).await {
        Ok(()) => Ok(()),
        Err(ActError::Refused(refusal)) => Err(refusal),
        Err(ActError::Failed(found) | ActError::Uncertain(found)) => Err(precondition(format!(
            "expected the eviction to be allowed when asked beforehand, found: {found}"
        ))),
    }
}

/// Evicts the pod.
pub(in super::super) async fn evict(client: &Client, pod: &v1::Target) -> Result<(), ActError> {
    request(client, pod, false).await
}

async fn request(client: &Client, pod: &v1::Target, dry_run: bool) -> Result<(), ActError> {
    let path = pod_path(pod).map_err(ActError::Refused)?;
    let mut eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod.name, "namespace": pod.namespace },
        "deleteOptions": { "preconditions": { "uid": pod.uid } },
    });
    if dry_run {
        eviction["deleteOptions"]["dryRun"] = json!(["All"]);
    }
    let answer = request::post::<Value>(client, &format!("{path}/eviction"), &eviction).await;
    answer.map(drop).map_err(|error| eviction_error(&format!("{}/{}", pod.namespace, pod.name), error))
}

/// What the API server's refusal of an eviction means.
fn eviction_error(pod: &str, error: RequestError) -> ActError {
    match error {
        RequestError::Unanswered(found) => {
            ActError::Uncertain(format!("the eviction of {pod} was not answered: {found}"))
        }
        RequestError::Api { code: 429, message, causes, .. } => {
            let causes = if causes.is_empty() { String::new() } else { format!(" ({causes})") };
            ActError::Refused(precondition(format!(
                "expected the eviction of {pod} to be allowed, found: {message}{causes}"
            )))
        }
        RequestError::Api { code: 404 | 409, message, .. } => {
            ActError::Refused(precondition(format!("expected pod {pod} as planned, found: {message}")))
        }
        RequestError::Api { code, message, .. } if code >= 500 => {
            ActError::Uncertain(format!("the eviction of {pod} ended with {code}: {message}"))
        }
        RequestError::Api { code, message, .. } => {
            ActError::Failed(format!("expected to evict pod {pod}, found {code}: {message}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use nimbus_agent_core::Code;

    use super::*;

    fn api(code: u16, message: &str) -> RequestError {
        RequestError::Api {
            code,
            reason: String::new(),
            message: message.to_owned(),
            causes: "The disruption budget web needs 2 healthy pods and has 2 currently".to_owned(),
        }
    }

    #[test]
    fn a_disruption_budget_refuses_in_its_own_words() {
        let ActError::Refused(refusal) = eviction_error("shop/web-1", api(429, "Cannot evict pod")) else {
            panic!("not refused");
        };
        assert_eq!(refusal.code, Code::PreconditionFailed);
        assert!(refusal.reason.contains("disruption budget web needs 2"), "{}", refusal.reason);
    }

    #[test]
    fn an_answer_that_leaves_the_effect_open_is_not_taken_for_a_refusal() {
        assert!(matches!(eviction_error("a/b", api(409, "uid")), ActError::Refused(_)));
        assert!(matches!(eviction_error("a/b", api(403, "no")), ActError::Failed(_)));
        assert!(matches!(eviction_error("a/b", api(504, "late")), ActError::Uncertain(_)));
        assert!(matches!(
            eviction_error("a/b", RequestError::Unanswered("cut".into())),
            ActError::Uncertain(_)
        ));
    }

    #[tokio::test]
    async fn whatever_a_dry_run_does_not_allow_is_refused_before_anything_is_touched() {
        let pod = v1::Target { namespace: "shop".into(), name: "web".into(), uid: "u".into() };
        for (code, allowed) in
            [(201, true), (403, false), (404, false), (429, false), (500, false), (503, false)]
        {
            let status = http::StatusCode::from_u16(code).unwrap();
            let client = super::super::super::test_support::api(move |_, body| {
                assert_eq!(body["deleteOptions"]["dryRun"], json!(["All"]), "a dry run changes nothing");
                (status, json!({ "kind": "Status", "status": "Failure", "message": "no", "code": code }))
            })
            .await;
            let asked = would_be_allowed(&client, &pod).await;
            assert_eq!(asked.is_ok(), allowed, "{code}: {asked:?}");
            if let Err(refusal) = asked {
                assert_eq!(refusal.code, Code::PreconditionFailed);
            }
        }
    }
}
