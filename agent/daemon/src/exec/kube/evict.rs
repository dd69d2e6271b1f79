//! Evicts a pod through the Eviction API, with its UID as a precondition, so that every PodDisruptionBudget is
//! honoured.

use kube::Client;
use nimbus_agent_core::action::budget::{self, Budget};
use nimbus_agent_core::{Code, Refusal};
use nimbus_protocol::v1;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::remedy::{ActError, precondition};
use super::pod_path;
use crate::watch::kube::request::{self, RequestError};

/// Most budgets of a namespace that are read to name the one that refused.
const MOST_BUDGETS: usize = 500;
/// What the API server says, with 500, of a pod that several budgets select; it looks at them before it does anything.
const MORE_THAN_ONE: &str = "more than one PodDisruptionBudget";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Budgets {
    items: Vec<Budget>,
}

/// Would the API server allow the eviction now? Nothing is changed by asking; any answer but yes is a refusal, with the
/// budget or reason that stands behind it: nothing may be touched for an eviction that does not come.
pub(in super::super) async fn would_be_allowed(client: &Client, pod: &v1::Target) -> Result<(), Refusal> {
    let name = format!("{}/{}", pod.namespace, pod.name);
    let refused = |found: String| {
        let reason = format!(
            "asked beforehand, the API server does not allow the eviction of {name}, so nothing is touched: {found}"
        );
        Refusal::new(Code::EvictionRefused, reason)
    };
    match ask(client, pod, true).await? {
        Ok(()) => Ok(()),
        // Another pod by now, or none: it is planned anew from what is there.
        Err(RequestError::Api { code: 404 | 409, message, .. }) => {
            Err(precondition(format!("expected pod {name} as planned, found: {message}")))
        }
        Err(RequestError::Api { code, message, causes, .. }) => {
            let said = if causes.is_empty() { message } else { format!("{message} ({causes})") };
            Err(refused(explained(client, pod, code, &said).await))
        }
        Err(RequestError::Unanswered(found)) => Err(refused(found)),
    }
}

/// The answer with the budgets that select the pod, as far as they can be read.
async fn explained(client: &Client, pod: &v1::Target, code: u16, said: &str) -> String {
    let path = pod_path(pod).unwrap_or_default();
    let found: Option<Value> = request::get_optional(client, &path).await.unwrap_or_default();
    let labels = found.map(|pod| pod["metadata"]["labels"].clone()).unwrap_or_default();
    let labels = serde_json::from_value(labels).unwrap_or_default();
    let budgets = match request::segment(&pod.namespace) {
        Some(namespace) => {
            let path =
                format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets?limit={MOST_BUDGETS}");
            request::get::<Budgets>(client, &path).await.ok()
        }
        None => None,
    };
    budget::explain(code, said, &labels, budgets.as_ref().map(|found| found.items.as_slice()))
}

/// Evicts the pod.
pub(in super::super) async fn evict(client: &Client, pod: &v1::Target) -> Result<(), ActError> {
    let asked = ask(client, pod, false).await.map_err(ActError::Refused)?;
    let Err(error) = asked else { return Ok(()) };
    let name = format!("{}/{}", pod.namespace, pod.name);
    if let Some(said) = more_than_one_budget(&error)
        && is_untouched(client, pod).await
    {
        let found = explained(client, pod, error.code(), said).await;
        let reason = format!(
            "expected the eviction of {name} to be allowed as its dry run was, found another budget since, and the pod \
             untouched: {found}"
        );
        return Err(ActError::Refused(Refusal::new(Code::EvictionRefused, reason)));
    }
    Err(eviction_error(&name, error))
}

/// The API server's words, if they are that it evicts no pod of several budgets.
fn more_than_one_budget(error: &RequestError) -> Option<&str> {
    let RequestError::Api { code: 500, message, .. } = error else { return None };
    message.contains(MORE_THAN_ONE).then_some(message.as_str())
}

/// Is the pod there, and not on its way out? What cannot be read may be touched.
async fn is_untouched(client: &Client, pod: &v1::Target) -> bool {
    let Ok(path) = pod_path(pod) else { return false };
    let found = super::pod(client, &path).await.ok().flatten();
    found.and_then(|found| found.meta).is_some_and(|meta| meta.uid == pod.uid && meta.deleting_since_us == 0)
}

async fn ask(client: &Client, pod: &v1::Target, dry_run: bool) -> Result<Result<(), RequestError>, Refusal> {
    let path = pod_path(pod)?;
    let mut eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod.name, "namespace": pod.namespace },
        "deleteOptions": { "preconditions": { "uid": pod.uid } },
    });
    if dry_run {
        eviction["deleteOptions"]["dryRun"] = json!(["All"]);
    }
    Ok(request::post::<Value>(client, &format!("{path}/eviction"), &eviction).await.map(drop))
}

/// What the API server's refusal of an eviction means.
fn eviction_error(pod: &str, error: RequestError) -> ActError {
    match error {
        RequestError::Unanswered(found) => {
            ActError::Uncertain(format!("the eviction of {pod} was not answered: {found}"))
        }
        RequestError::Api { code: code @ (403 | 429), message, causes, .. } => {
            let causes = if causes.is_empty() { String::new() } else { format!(" ({causes})") };
            let reason =
                format!("expected the eviction of {pod} to be allowed, found {code}: {message}{causes}");
            ActError::Refused(Refusal::new(Code::EvictionRefused, reason))
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
        assert_eq!(refusal.code, Code::EvictionRefused);
        assert!(refusal.reason.contains("disruption budget web needs 2"), "{}", refusal.reason);
    }

    #[test]
    fn an_answer_that_leaves_the_effect_open_is_not_taken_for_a_refusal() {
        assert!(matches!(eviction_error("a/b", api(409, "uid")), ActError::Refused(_)));
        assert!(matches!(eviction_error("a/b", api(403, "no")), ActError::Refused(_)));
        assert!(matches!(eviction_error("a/b", api(422, "no")), ActError::Failed(_)));
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
            let client = super::super::super::test_support::api(move |path, body| {
                if !path.ends_with("/eviction") {
                    let selector = json!({ "matchLabels": { "app": "web" } });
                    let budget =
                        json!({ "metadata": { "name": "web-pdb" }, "spec": { "selector": selector } });
                    let labels = json!({ "app": "web" });
                    let found = json!({ "metadata": { "labels": labels }, "items": [budget] });
                    return (http::StatusCode::OK, found);
                }
                assert_eq!(body["deleteOptions"]["dryRun"], json!(["All"]), "a dry run changes nothing");
                (status, json!({ "kind": "Status", "status": "Failure", "message": "no", "code": code }))
            })
            .await;
            let asked = would_be_allowed(&client, &pod).await;
            assert_eq!(asked.is_ok(), allowed, "{code}: {asked:?}");
            if let Err(refusal) = asked {
                let planned_anew = code == 404;
                let expected = if planned_anew { Code::PreconditionFailed } else { Code::EvictionRefused };
                assert_eq!(refusal.code, expected, "{code}");
                let named = refusal.reason.contains("budget web-pdb");
                assert_eq!(named, code == 429, "{code}: {}", refusal.reason);
            }
        }
    }

    #[tokio::test]
    async fn a_second_budget_after_the_dry_run_refuses_only_where_the_pod_is_seen_untouched() {
        let pod = v1::Target { namespace: "shop".into(), name: "web".into(), uid: "u".into() };
        let two = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        for (said, uid, leaves, refused) in [
            (two, "u", false, true),
            (two, "u", true, false),
            (two, "another", false, false),
            ("the server broke", "u", false, false),
        ] {
            let client = super::super::super::test_support::api(move |path, _| {
                if path.ends_with("/eviction") {
                    let why = json!({ "kind": "Status", "status": "Failure", "message": said, "code": 500 });
                    return (http::StatusCode::INTERNAL_SERVER_ERROR, why);
                }
                if path.contains("/poddisruptionbudgets") {
                    let budget =
                        |name: &str| json!({ "metadata": { "name": name }, "spec": { "selector": {} } });
                    return (http::StatusCode::OK, json!({ "items": [budget("one"), budget("two")] }));
                }
                let mut meta = json!({ "namespace": "shop", "name": "web", "uid": uid });
                if leaves {
                    meta["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
                }
                (http::StatusCode::OK, json!({ "metadata": meta }))
            })
            .await;
            match evict(&client, &pod).await {
                Err(ActError::Refused(refusal)) => {
                    assert!(refused, "{said} {uid}: {}", refusal.reason);
                    assert_eq!(refusal.code, Code::EvictionRefused);
                    assert!(refusal.reason.contains("2 budgets select it (one, two)"), "{}", refusal.reason);
                }
                Err(ActError::Uncertain(reason)) => assert!(!refused, "{said} {uid}: {reason}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
