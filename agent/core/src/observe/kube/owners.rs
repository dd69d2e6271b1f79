//! Who keeps an object in its desired state: its owners, whoever manages its pod template, and the marks that deployment
//! tools leave. All of them are named, the topmost first.
//!
//! A mark that any chart or manifest may carry (the label `app.kubernetes.io/instance`, `managed-by: Helm` alone) proves
//! nothing by itself; together with the field manager of a controller it names the application.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::labels::{Annotations, Labels, Owner};

/// One entry of `managedFields`: who wrote which fields, as far as it matters here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ManagedFields {
    pub(super) manager: String,
    pub(super) time: Option<String>,
    fields_v1: Fields,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:spec")]
    spec: SpecFields,
    #[serde(rename = "f:data")]
    data: Option<IgnoredAny>,
    #[serde(rename = "f:binaryData")]
    binary_data: Option<IgnoredAny>,
    #[serde(rename = "f:stringData")]
    string_data: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct SpecFields {
    #[serde(rename = "f:template")]
    template: Option<IgnoredAny>,
    #[serde(rename = "f:resources")]
    resources: Option<IgnoredAny>,
    #[serde(rename = "f:minReplicas")]
    min_replicas: Option<IgnoredAny>,
    #[serde(rename = "f:maxReplicas")]
    max_replicas: Option<IgnoredAny>,
    #[serde(rename = "f:replicas")]
    replicas: Option<IgnoredAny>,
}

impl ManagedFields {
    /// Did it write a part of the pod template?
    pub(super) fn has_template(&self) -> bool {
        self.fields_v1.spec.template.is_some()
    }

    /// Did it write how much a claim asks for?
    pub(super) fn has_resources(&self) -> bool {
        self.fields_v1.spec.resources.is_some()
    }

    /// Did it write one of the bounds of an autoscaler?
    pub(super) fn has_bounds(&self) -> bool {
        let spec = &self.fields_v1.spec;
        spec.min_replicas.is_some() || spec.max_replicas.is_some()
    }

    /// Did it write a part of a ConfigMap's or a Secret's content?
    pub(super) fn has_content(&self) -> bool {
        let fields = &self.fields_v1;
        [&fields.data, &fields.binary_data, &fields.string_data].into_iter().any(Option::is_some)
    }
}

/// The part of an object by whose writers it is told who keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The pod template of a workload.
    Template,
    /// How much a claim asks for.
    Resources,
    /// How many replicas an autoscaler may make.
    Bounds,
    /// How many pods a workload has.
    Replicas,
}

impl Part {
    fn is_of(self, entry: &ManagedFields) -> bool {
        match self {
            Self::Template => entry.has_template(),
            Self::Resources => entry.has_resources(),
            Self::Bounds => entry.has_bounds(),
            Self::Replicas => entry.fields_v1.spec.replicas.is_some(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Template => "the pod template",
            Self::Resources => "how much it asks for",
            Self::Bounds => "its bounds",
            Self::Replicas => "how many pods it has",
        }
    }
}

/// Everything about an object that may say who keeps it.
pub(super) struct Marks<'a> {
    pub(super) part: Part,
    pub(super) labels: Option<&'a Labels>,
    pub(super) annotations: Option<&'a Annotations>,
    pub(super) owners: Vec<&'a Owner>,
    pub(super) managed: &'a [ManagedFields],
}

/// Who, in one word, and what says so.
pub(super) type Manager = (&'static str, String);

/// Whoever keeps the object: the topmost in one word, and all that says so.
pub(super) fn manager(marks: &Marks<'_>) -> Option<Manager> {
    let mut found: Vec<Manager> = Vec::new();
    found.extend(argo_cd(marks));
    found.extend(flux(marks));
    found.extend(others(marks));
    found.extend(anew(marks));
    found.extend(growers(marks));
    found.extend(operators(marks));
    found.extend(helm(marks));
    let who = found.first()?.0;
    let evidence: Vec<String> = found.into_iter().map(|(_, why)| why).collect();
    Some((who, evidence.join("; ")))
}

impl<'a> Marks<'a> {
    fn label(&self, which: fn(&Labels) -> &Option<String>) -> Option<&'a String> {
        self.labels.and_then(|labels| which(labels).as_ref())
    }

    fn annotation(&self, which: fn(&Annotations) -> &Option<String>) -> Option<&'a String> {
        self.annotations.and_then(|annotations| which(annotations).as_ref())
    }

    /// The first manager of that part of the object that fits.
    fn wrote(&self, fits: impl Fn(&str) -> bool) -> Option<&'a str> {
        let writers = self.managed.iter().filter(|entry| self.part.is_of(entry));
        writers.map(|entry| entry.manager.as_str()).find(|name| fits(name))
    }
}

fn argo_cd(marks: &Marks<'_>) -> Option<Manager> {
    if let Some(id) = marks.annotation(|a| &a.argocd) {
        // application:group/kind:namespace/name
        let application = id.split(':').next().unwrap_or(id);
        let why = format!("Application {application}: annotation argocd.argoproj.io/tracking-id = {id}");
        return Some(("argocd", why));
    }
    if let Some(name) = marks.label(|l| &l.argocd) {
        return Some(("argocd", format!("Application {name}: label argocd.argoproj.io/instance = {name}")));
    }
    let writer = marks.wrote(|name| name.starts_with("argocd"))?;
    let part = marks.part.words();
    let why = match marks.label(|l| &l.instance) {
        Some(name) => {
            format!("Application {name}: {writer} wrote {part}, label app.kubernetes.io/instance = {name}")
        }
        None => format!("an Application: {writer} wrote {part}"),
    };
    Some(("argocd", why))
}

fn flux(marks: &Marks<'_>) -> Option<Manager> {
    let named = |kind: &str, namespace: Option<&String>, name: &String, label: &str| {
        let of = namespace.map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
        ("flux", format!("{kind} {of}: label {label} = {name}"))
    };
    if let Some(name) = marks.label(|l| &l.flux_kustomization) {
        let namespace = marks.label(|l| &l.flux_kustomization_namespace);
        return Some(named("Kustomization", namespace, name, "kustomize.toolkit.fluxcd.io/name"));
    }
    if let Some(name) = marks.label(|l| &l.flux_helm) {
        let namespace = marks.label(|l| &l.flux_helm_namespace);
        return Some(named("HelmRelease", namespace, name, "helm.toolkit.fluxcd.io/name"));
    }
    let writer = marks.wrote(|name| matches!(name, "kustomize-controller" | "helm-controller" | "flux"))?;
    Some(("flux", format!("{writer} wrote {}", marks.part.words())))
}

/// Other tools that apply what they keep again and again.
fn others(marks: &Marks<'_>) -> Option<Manager> {
    if let Some(mode) = marks.label(|l| &l.addon_manager).filter(|mode| *mode == "Reconcile") {
        let why = format!("label addonmanager.kubernetes.io/mode = {mode}");
        return Some(("addon-manager", why));
    }
    if let Some(id) = marks.annotation(|a| &a.objectset) {
        return Some(("objectset", format!("annotation objectset.rio.cattle.io/id = {id}")));
    }
    if let Some(id) = marks.annotation(|a| &a.inventory) {
        return Some(("inventory", format!("annotation config.k8s.io/owning-inventory = {id}")));
    }
    let app = marks.label(|l| &l.kapp)?;
    Some(("kapp", format!("label kapp.k14s.io/app = {app}")))
}

/// Tools that delete a claim which is larger than they say, and make a smaller one, and that write the bounds of an autoscaler back. A
/// pod template they only write again.
fn anew(marks: &Marks<'_>) -> Option<Manager> {
    match marks.part {
        Part::Template => None,
        Part::Resources | Part::Bounds | Part::Replicas => {
            let is_terraform = |name: &str| {
                let name = name.to_ascii_lowercase();
                name.starts_with("terraform") || name.starts_with("hashicorp") || name.starts_with("opentofu")
            };
            let terraform = marks.wrote(is_terraform).map(|writer| ("terraform", writer));
            let pulumi = || marks.wrote(|name| name.starts_with("pulumi")).map(|writer| ("pulumi", writer));
            let (who, writer) = terraform.or_else(pulumi)?;
            Some((who, format!("{writer} wrote {}", marks.part.words())))
        }
    }
}

/// What lets claims grow by itself, up to its own limit.
fn growers(marks: &Marks<'_>) -> Option<Manager> {
    match marks.part {
        Part::Template | Part::Bounds | Part::Replicas => None,
        Part::Resources => {
            if let Some(limit) = marks.annotation(|a| &a.autoresize_limit) {
                let why = format!("annotation resize.topolvm.io/storage_limit = {limit}");
                return Some(("pvc-autoresizer", why));
            }
            let writer = marks.wrote(|name| name.starts_with("pvc-autoresizer"))?;
            Some(("pvc-autoresizer", format!("{writer} wrote {}", marks.part.words())))
        }
    }
}

/// Any owner, not only the controlling one, and whatever calls itself an operator or a controller and wrote the template.
fn operators(marks: &Marks<'_>) -> Option<Manager> {
    if !marks.owners.is_empty() {
        let names: Vec<String> =
            marks.owners.iter().map(|owner| format!("{} {}", owner.kind, owner.name)).collect();
        return Some(("operator", format!("owned by {}", names.join(", "))));
    }
    if let Some(name) = marks.label(|l| &l.olm_owner) {
        let kind = marks.label(|l| &l.olm_owner_kind).map_or("ClusterServiceVersion", String::as_str);
        return Some(("operator", format!("{kind} {name}: label olm.owner = {name}")));
    }
    let writer = marks.wrote(is_operator)?;
    Some(("operator", format!("{writer} wrote {}", marks.part.words())))
}

/// The names by which operators write: `manager` is that of every operator that was not given another one.
fn is_operator(name: &str) -> bool {
    // Of the cluster itself: it writes what people and autoscalers ask it to.
    let of_the_cluster = matches!(name, "kube-controller-manager" | "cloud-controller-manager");
    let ours = name.starts_with("nimbus");
    let sounds = name == "manager" || name.ends_with("operator") || name.ends_with("-controller");
    sounds && !of_the_cluster && !ours
        || name.ends_with("-controller-manager") && !of_the_cluster
        || name.contains("-operator-")
}

fn helm(marks: &Marks<'_>) -> Option<Manager> {
    let managed = marks.label(|l| &l.managed_by).is_some_and(|by| by == "Helm");
    let release = marks.annotation(|a| &a.helm_release).filter(|_| managed)?;
    Some(("helm", format!("release {release}: annotation meta.helm.sh/release-name = {release}")))
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::{Value, json};

    use super::super::{Slim as _, SlimDeployment};

    fn managed(metadata: &Value) -> (String, String) {
        let object = serde_json::from_value::<SlimDeployment>(json!({ "metadata": metadata })).unwrap();
        let Body::Deployment(seen) = object.observe() else { panic!() };
        (seen.manager, seen.manager_evidence)
    }

    fn wrote(manager: &str) -> Value {
        json!([
            { "manager": "kube-controller-manager", "subresource": "status",
              "fieldsV1": { "f:status": {}, "f:metadata": { "f:annotations": {} } } },
            { "manager": manager, "time": "2026-01-02T03:04:05Z",
              "fieldsV1": { "f:metadata": {}, "f:spec": { "f:template": { "f:spec": {} } } } },
        ])
    }

    #[test]
    fn the_topmost_owner_is_named() {
        let cases = [
            (
                json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:a/b"}}),
                "argocd",
                "Application shop",
            ),
            (json!({"labels": {"argocd.argoproj.io/instance": "shop"}}), "argocd", "Application shop"),
            (
                json!({"labels": {"app.kubernetes.io/instance": "shop"}, "managedFields": wrote("argocd-controller")}),
                "argocd",
                "Application shop",
            ),
            (
                json!({"labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }}),
                "flux",
                "Kustomization flux-system/apps",
            ),
            (json!({"managedFields": wrote("helm-controller")}), "flux", "helm-controller"),
            (
                json!({"ownerReferences": [
                    {"kind": "ClusterServiceVersion", "name": "etcd.v1", "uid": "u", "controller": false},
                ]}),
                "operator",
                "ClusterServiceVersion etcd.v1",
            ),
            (json!({"labels": {"olm.owner": "etcd.v1"}}), "operator", "ClusterServiceVersion etcd.v1"),
            (json!({"managedFields": wrote("prometheus-operator")}), "operator", "prometheus-operator"),
            (json!({"managedFields": wrote("manager")}), "operator", "manager wrote"),
            (
                json!({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}),
                "addon-manager",
                "Reconcile",
            ),
            (
                json!({
                    "labels": {"app.kubernetes.io/managed-by": "Helm"},
                    "annotations": {"meta.helm.sh/release-name": "shop"},
                }),
                "helm",
                "release shop",
            ),
        ];
        for (metadata, manager, evidence) in cases {
            let found = managed(&metadata);
            assert_eq!(found.0, manager, "{metadata}");
            assert!(found.1.contains(evidence), "{metadata}: {}", found.1);
        }
    }

    #[test]
    fn every_owner_is_named_the_topmost_first() {
        let (who, why) = managed(&json!({
            "annotations": {"argocd.argoproj.io/tracking-id": "shop:x"},
            "ownerReferences": [{"kind": "Etcd", "name": "main", "uid": "u"}],
        }));
        assert_eq!(who, "argocd");
        assert!(why.contains("Application shop") && why.contains("Etcd main"), "{why}");
    }

    #[test]
    fn a_mark_that_anything_may_carry_proves_nothing() {
        for metadata in [
            json!({"labels": {"app.kubernetes.io/instance": "shop"}, "managedFields": wrote("kubectl-client-side-apply")}),
            json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}, "managedFields": wrote("kubectl")}),
            json!({"annotations": {"meta.helm.sh/release-name": "shop"}}),
            json!({"managedFields": wrote("nimbus-agent")}),
            json!({"managedFields": wrote("Terraform")}),
            json!({"labels": {"addonmanager.kubernetes.io/mode": "EnsureExists"}}),
            // It wrote the number of pods, not the template.
            json!({"managedFields": [{"manager": "keda-operator", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}),
            json!({"managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:metadata": {"f:labels": {}}}}]}),
            json!({"managedFields": null}),
        ] {
            assert_eq!(managed(&metadata), (String::new(), String::new()), "{metadata}");
        }
    }
}
