//! Test-and-patch: changes a Kubernetes object only if it has the UID and resourceVersion that were checked, and
//! annotates it with the job, so that after a crash the agent can tell whether the change was made.

use kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use serde_json::{Value, json};

use super::super::remedy::{ActError, Effect, precondition};
use super::path;
use crate::watch::kube::request::{self, RequestError};

/// The annotation that says which job changed an object last.
pub(in super::super) const ANNOTATION: &str = "nimbus.dev/job";

/// An object that a job changes.
#[derive(Debug, Clone)]
pub(in super::super) struct Object {
    /// Kind, namespace and name, for messages.
    pub(in super::super) name: String,
    uid: String,
    path: String,
}

impl Object {
    /// A Deployment.
    pub(in super::super) fn deployment(target: &v1::Target) -> Result<Self, Refusal> {
        Ok(Self {
            name: format!("Deployment {}/{}", target.namespace, target.name),
            uid: target.uid.clone(),
            path: path("/apis/apps/v1", &target.namespace, "deployments", &target.name)?,
        })
    }

    /// A StatefulSet.
    pub(in super::super) fn stateful_set(target: &v1::Target) -> Result<Self, Refusal> {
        Ok(Self {
            name: format!("StatefulSet {}/{}", target.namespace, target.name),
            uid: target.uid.clone(),
            path: path("/apis/apps/v1", &target.namespace, "statefulsets", &target.name)?,
        })
    }

    /// A PersistentVolumeClaim.
    pub(in super::super) fn claim(target: &v1::Target) -> Result<Self, Refusal> {
        Ok(Self {
            name: format!("PersistentVolumeClaim {}/{}", target.namespace, target.name),
            uid: target.uid.clone(),
            path: path("/api/v1", &target.namespace, "persistentvolumeclaims", &target.name)?,
        })
    }

    /// A HorizontalPodAutoscaler.
    pub(in super::super) fn autoscaler(target: &v1::Target) -> Result<Self, Refusal> {
        Ok(Self {
            name: format!("HorizontalPodAutoscaler {}/{}", target.namespace, target.name),
            uid: target.uid.clone(),
            path: path("/apis/autoscaling/v2", &target.namespace, "horizontalpodautoscalers", &target.name)?,
        })
    }

    /// A Certificate of cert-manager.
    pub(in super::super) fn certificate(target: &v1::Target) -> Result<Self, Refusal> {
        Ok(Self {
            name: format!("Certificate {}/{}", target.namespace, target.name),
            uid: target.uid.clone(),
            path: path("/apis/cert-manager.io/v1", &target.namespace, "certificates", &target.name)?,
        })
    }

    /// Is this the object that was planned on, and not another one of its name?
    pub(in super::super) fn is(&self, now: &Value) -> bool {
        now["metadata"]["uid"].as_str() == Some(self.uid.as_str())
    }

    /// The object as it is now; `None` when there is none of that name.
    pub(in super::super) async fn get(&self, client: &Client) -> Result<Option<Value>, RequestError> {
        request::get_optional(client, &self.path).await
    }
}

/// The state that was checked, and that a patch relies on.
#[derive(Debug, Clone)]
pub(in super::super) struct Checked {
    version: String,
    annotated: bool,
}

impl Checked {
    /// Of an object that was just read.
    pub(in super::super) fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        Self {
            version: metadata["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            annotated: metadata["annotations"].is_object(),
        }
    }

    /// Is this the very state that was checked?
    pub(in super::super) fn is(&self, object: &Value) -> bool {
        !self.version.is_empty() && object["metadata"]["resourceVersion"] == self.version.as_str()
    }
}

/// Changes the object by these operations (RFC 6902), all or none.
pub(in super::super) async fn apply(
    client: &Client,
    object: &Object,
    checked: &Checked,
    job: JobId,
    operations: impl IntoIterator<Item = Value>,
) -> Result<(), ActError> {
    let patch = patch_of(object, checked, job, operations);
    match request::json_patch::<Value>(client, &object.path, &patch).await {
        Ok(_) => Ok(()),
        Err(error) => Err(patch_error(&object.name, error)),
    }
}

/// Changes the object's status by these operations, all or none. What marks the job is in them: of a patch of the status the API server
/// takes nothing else.
pub(in super::super) async fn apply_to_status(
    client: &Client,
    object: &Object,
    checked: &Checked,
    operations: impl IntoIterator<Item = Value>,
) -> Result<(), ActError> {
    let patch: Value = tests_of(object, checked).into_iter().chain(operations).collect();
    let url = format!("{}/status", object.path);
    match request::json_patch::<Value>(client, &url, &patch).await {
        Ok(_) => Ok(()),
        Err(error) => Err(patch_error(&object.name, error)),
    }
}

/// Asks the API server whether it would take the same change; nothing is changed.
pub(in super::super) async fn try_out(
    client: &Client,
    object: &Object,
    checked: &Checked,
    job: JobId,
    operations: impl IntoIterator<Item = Value>,
) -> Result<(), RequestError> {
    let patch = patch_of(object, checked, job, operations);
    request::json_patch_dry_run::<Value>(client, &object.path, &patch).await.map(|_| ())
}

fn patch_of(
    object: &Object,
    checked: &Checked,
    job: JobId,
    operations: impl IntoIterator<Item = Value>,
) -> Value {
    let mut patch = Vec::from(tests_of(object, checked));
    if !checked.annotated {
        patch.push(json!({ "op": "add", "path": "/metadata/annotations", "value": {} }));
    }
    let pointer = format!("/metadata/annotations/{}", ANNOTATION.replace('/', "~1"));
    patch.push(json!({ "op": "add", "path": pointer, "value": job.to_string() }));
    patch.extend(operations);
    Value::Array(patch)
}

/// That it is the very object in the very state that was checked.
fn tests_of(object: &Object, checked: &Checked) -> [Value; 2] {
    [
        json!({ "op": "test", "path": "/metadata/uid", "value": object.uid }),
        json!({ "op": "test", "path": "/metadata/resourceVersion", "value": checked.version }),
    ]
}

/// What the API server's refusal of a patch means.
fn patch_error(name: &str, error: RequestError) -> ActError {
    match error {
        RequestError::Unanswered(found) => {
            ActError::Uncertain(format!("the change of {name} was not answered: {found}"))
        }
        RequestError::Api { code: 404 | 409 | 422, message, .. } => {
            ActError::Refused(precondition(format!("expected {name} as it was checked, found: {message}")))
        }
        // Nothing was changed, and what stands in the way passes: it is asked for again.
        RequestError::Api { code: code @ (401 | 429), message, .. } => ActError::Refused(precondition(
            format!("expected the API server to take a change of {name}, found {code}: {message}"),
        )),
        RequestError::Api { code, message, .. } if code >= 500 => {
            ActError::Uncertain(format!("the change of {name} ended with {code}: {message}"))
        }
        RequestError::Api { code, message, .. } => {
            ActError::Failed(format!("expected to change {name}, found {code}: {message}"))
        }
    }
}

/// Was the object changed by this job, or does it show the change anyway?
pub(in super::super) async fn probe(
    client: Result<Client, String>,
    object: &Object,
    job: JobId,
    shows: impl FnOnce(&Value) -> bool + Send,
) -> Effect {
    let client = match client {
        Ok(client) => client,
        Err(why) => return Effect::Unknown(why),
    };
    match object.get(&client).await {
        Err(error) => Effect::Unknown(error.to_string()),
        Ok(None) => Effect::Unknown(format!("{} is gone", object.name)),
        Ok(Some(now)) => {
            let ours = now["metadata"]["annotations"][ANNOTATION] == json!(job.to_string());
            if ours || shows(&now) { Effect::Present } else { Effect::Absent }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_leaves_the_change_open_is_not_taken_for_a_refusal() {
        let api = |code| RequestError::Api {
            code,
            reason: String::new(),
            message: "no".to_owned(),
            causes: String::new(),
        };
        for code in [401, 404, 409, 422, 429] {
            assert!(matches!(patch_error("x", api(code)), ActError::Refused(_)), "{code}");
        }
        assert!(matches!(patch_error("x", api(403)), ActError::Failed(_)));
        assert!(matches!(patch_error("x", api(500)), ActError::Uncertain(_)));
        assert!(matches!(patch_error("x", RequestError::Unanswered("cut".into())), ActError::Uncertain(_)));
    }

    #[test]
    fn what_was_checked_is_the_version_and_whether_there_is_a_place_for_the_annotation() {
        let checked = Checked::of(&json!({ "metadata": { "resourceVersion": "7" } }));
        assert_eq!((checked.version.as_str(), checked.annotated), ("7", false));
        assert!(Checked::of(&json!({ "metadata": { "annotations": {} } })).annotated);
    }
}
