//! The parts of an object's metadata that tell who keeps it, and that other tools leave on it as marks.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) controller: bool,
}

/// All labels of an object, with those among them that decisions use.
#[derive(Debug, Clone, Default)]
pub(super) struct AllLabels {
    pub(super) known: Labels,
    pub(super) all: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for AllLabels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let known = Labels::deserialize(&value).map_err(D::Error::custom)?;
        let mut all = BTreeMap::new();
        if let Value::Object(labels) = value {
            for (key, label) in labels {
                if let Value::String(text) = label {
                    all.insert(key, text);
                }
            }
        }
        Ok(Self { known, all })
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Labels {
    #[serde(rename = "argocd.argoproj.io/instance")]
    pub(super) argocd: Option<String>,
    #[serde(rename = "kustomize.toolkit.fluxcd.io/name")]
    pub(super) flux_kustomization: Option<String>,
    #[serde(rename = "kustomize.toolkit.fluxcd.io/namespace")]
    pub(super) flux_kustomization_namespace: Option<String>,
    #[serde(rename = "helm.toolkit.fluxcd.io/name")]
    pub(super) flux_helm: Option<String>,
    #[serde(rename = "helm.toolkit.fluxcd.io/namespace")]
    pub(super) flux_helm_namespace: Option<String>,
    #[serde(rename = "app.kubernetes.io/managed-by")]
    pub(super) managed_by: Option<String>,
    #[serde(rename = "app.kubernetes.io/instance")]
    pub(super) instance: Option<String>,
    #[serde(rename = "olm.owner")]
    pub(super) olm_owner: Option<String>,
    #[serde(rename = "olm.owner.kind")]
    pub(super) olm_owner_kind: Option<String>,
    #[serde(rename = "addonmanager.kubernetes.io/mode")]
    pub(super) addon_manager: Option<String>,
    #[serde(rename = "kapp.k14s.io/app")]
    pub(super) kapp: Option<String>,
    #[serde(rename = "node-role.kubernetes.io/control-plane")]
    pub(super) control_plane: Option<String>,
    #[serde(rename = "controller-revision-hash")]
    pub(super) controller_revision: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotations {
    #[serde(rename = "argocd.argoproj.io/tracking-id")]
    pub(super) argocd: Option<String>,
    #[serde(rename = "meta.helm.sh/release-name")]
    pub(super) helm_release: Option<String>,
    #[serde(rename = "objectset.rio.cattle.io/id")]
    pub(super) objectset: Option<String>,
    #[serde(rename = "config.k8s.io/owning-inventory")]
    pub(super) inventory: Option<String>,
    #[serde(rename = "resize.topolvm.io/storage_limit")]
    pub(super) autoresize_limit: Option<String>,
    #[serde(rename = "deployment.kubernetes.io/revision")]
    pub(super) revision: Option<String>,
    #[serde(rename = "nimbus.dev/cordoned-by")]
    pub(super) cordoned_by: Option<String>,
    #[serde(rename = "nimbus.dev/raised-maximum")]
    pub(super) raised_maximum: Option<String>,
    #[serde(rename = "cluster-autoscaler.kubernetes.io/safe-to-evict")]
    pub(super) safe_to_evict: Option<String>,
    #[serde(rename = "karpenter.sh/do-not-disrupt")]
    pub(super) do_not_disrupt: Option<String>,
    #[serde(rename = "karpenter.sh/do-not-evict")]
    pub(super) do_not_evict: Option<String>,
    #[serde(rename = "descheduler.alpha.kubernetes.io/prefer-no-eviction")]
    pub(super) prefer_no_eviction: Option<String>,
}
