//! The objects that scenes put into a cluster: a healthy one as a literal, and how one thing of it is set otherwise.

use anyhow::Context as _;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::rig::workloads::Workloads;

/// Annotation: the container exits again and again.
pub const CRASH: (&str, &str) = ("rig.nimbus.dev/crash", "always");
/// Annotation: it never becomes ready.
pub const NEVER_READY: (&str, &str) = ("rig.nimbus.dev/never-ready", "true");

/// A pod's spec with one container.
pub fn pod_spec() -> Value {
    json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "app", "image": "registry.example/app:1"}],
    })
}

/// A pod template with the label `app`.
fn template(name: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}, "annotations": {}}, "spec": pod_spec()})
}

/// A healthy Deployment; a rollout that does not progress has failed after 5 s.
pub fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 5,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
        },
    })
}

/// The same, no two pods of which may share a node.
pub fn apart(deployment: Value) -> Value {
    let labels = deployment["spec"]["selector"].clone();
    let term = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": labels}]);
    let path = "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    with(deployment, path, term)
}

/// The same, as evenly over the nodes as there is room: a wish, which rules no node out.
pub fn spread(deployment: Value) -> Value {
    let labels = deployment["spec"]["selector"].clone();
    let wish = json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": labels,
    }]);
    with(deployment, "/spec/template/spec/topologySpreadConstraints", wish)
}

/// A healthy StatefulSet.
pub fn stateful_set(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
        },
    })
}

/// A healthy DaemonSet.
pub fn daemon_set(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template(name)},
    })
}

/// A budget for the pods with this label `app`.
pub fn budget(name: &str, app: &str, spec: Value) -> Value {
    let spec = with(spec, "/selector", json!({"matchLabels": {"app": app}}));
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec})
}

/// The object with one more value, at a path such as `/spec/template/spec/nodeName`; missing objects on the way are
/// made.
pub fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut at = &mut object;
    for key in path.trim_start_matches('/').split('/') {
        let key = key.replace("~1", "/");
        at = match at {
            Value::Array(items) => match key.parse::<usize>().ok().filter(|index| *index < items.len()) {
                Some(index) => &mut items[index],
                None => return object,
            },
            other => &mut other[key],
        };
    }
    *at = value;
    object
}

/// The workload whose pods all have this annotation.
pub fn annotated(object: Value, (key, value): (&str, &str)) -> Value {
    let path = format!("/spec/template/metadata/annotations/{}", key.replace('/', "~1"));
    with(object, &path, json!(value))
}

/// An API for objects of the kind that this one is.
fn api_of(work: &Workloads, object: &Value) -> anyhow::Result<Api<DynamicObject>> {
    Ok(Api::namespaced_with(work.client(), work.namespace(), &resource_of(object)?))
}

fn resource_of(object: &Value) -> anyhow::Result<ApiResource> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("an object names its kind");
    let (version, kind) = (text(&object["apiVersion"])?, text(&object["kind"])?);
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind)))
}

/// Applies an object in the scene's namespace as this field manager.
///
/// # Errors
/// When the API server refuses.
pub async fn apply_as(work: &Workloads, manager: &str, object: &Value) -> anyhow::Result<Value> {
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    let params = PatchParams::apply(manager).force();
    let applied = api_of(work, object)?.patch(name, &params, &Patch::Apply(object)).await;
    Ok(serde_json::to_value(applied.with_context(|| format!("cannot apply {name}"))?)?)
}

/// Takes an object of the scene's namespace away, which would keep the cluster busy for as long as others are played.
///
/// # Errors
/// When the API server refuses.
pub async fn remove(work: &Workloads, object: &Value) -> anyhow::Result<()> {
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    let removed = api_of(work, object)?.delete(name, &DeleteParams::default()).await;
    removed.with_context(|| format!("cannot remove {name}"))?;
    Ok(())
}

/// Applies an object as a person would.
///
/// # Errors
/// As [`apply_as`].
pub async fn apply(work: &Workloads, object: &Value) -> anyhow::Result<Value> {
    apply_as(work, "kubectl", object).await
}

/// Applies an object that belongs to no namespace.
///
/// # Errors
/// As [`apply_as`].
pub async fn apply_to_cluster(work: &Workloads, object: &Value) -> anyhow::Result<()> {
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    let api: Api<DynamicObject> = Api::all_with(work.client(), &resource_of(object)?);
    let applied = api.patch(name, &PatchParams::apply("kubectl").force(), &Patch::Apply(object)).await;
    applied.with_context(|| format!("cannot apply {name}"))?;
    Ok(())
}

/// Changes part of an object (a JSON merge patch).
///
/// # Errors
/// When it is not there, or the API server refuses.
pub async fn merge(work: &Workloads, object: &Value, patch: Value) -> anyhow::Result<Value> {
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    let patched = api_of(work, object)?.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    Ok(serde_json::to_value(patched.with_context(|| format!("cannot change {name}"))?)?)
}

/// Changes part of an object's status (a JSON merge patch), as its own controller would.
///
/// # Errors
/// As [`merge`].
pub async fn merge_status(work: &Workloads, object: &Value, patch: Value) -> anyhow::Result<()> {
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
    let patched = api_of(work, object)?.patch_status(name, &params, &patch).await;
    patched.with_context(|| format!("cannot change the status of {name}"))?;
    Ok(())
}

/// The object as it is now; `None` when it is gone.
///
/// # Errors
/// When the API server does not answer.
pub async fn get(work: &Workloads, object: &Value) -> anyhow::Result<Option<Value>> {
    let name = object["metadata"]["name"].as_str().context("an object has a name")?;
    Ok(api_of(work, object)?.get_opt(name).await?.map(serde_json::to_value).transpose()?)
}

/// A reference to an object of the scene's namespace, to get or to change it.
pub fn named(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_set_and_the_rest_stays() {
        let object = annotated(deployment("web", 2), CRASH);
        assert_eq!(object["spec"]["template"]["metadata"]["annotations"]["rig.nimbus.dev/crash"], "always");
        let object = with(object, "/spec/template/spec/containers/0/image", json!("b"));
        assert_eq!(object["spec"]["template"]["spec"]["containers"][0], json!({"name": "app", "image": "b"}));
        assert_eq!(object["spec"]["replicas"], 2);
    }
}
