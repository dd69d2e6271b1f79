//! The fields of a pod's spec that are read: what the scheduler goes by, the containers' names and needs, and the volumes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::selector::{Requirement, SlimSelector};
use crate::observe::bounded;

/// A pod's spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) node_name: String,
    pub(super) containers: Vec<Declared>,
    pub(super) init_containers: Option<Vec<Declared>>,
    pub(super) volumes: Option<Vec<Volume>>,
    pub(super) node_selector: Option<BTreeMap<String, String>>,
    pub(super) affinity: Option<Affinity>,
    pub(super) tolerations: Option<Vec<Toleration>>,
    pub(super) topology_spread_constraints: Option<Vec<Spread>>,
    pub(super) priority: Option<i32>,
    pub(super) preemption_policy: String,
    pub(super) scheduler_name: String,
    pub(super) scheduling_gates: Option<Vec<Value>>,
    pub(super) resource_claims: Option<Vec<Value>>,
    pub(super) overhead: Option<BTreeMap<String, Value>>,
    pub(super) resources: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Affinity {
    #[serde(rename = "nodeAffinity")]
    pub(super) to_nodes: Option<NodeAffinity>,
    #[serde(rename = "podAffinity")]
    pub(super) to_pods: Option<PodAffinity>,
    #[serde(rename = "podAntiAffinity")]
    pub(super) away_from_pods: Option<PodAffinity>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub(super) required: Option<Vec<PodTerm>>,
}

/// A term of pod affinity or anti-affinity. Keys whose values have to be the same, or another one, are part of its selector
/// already: the API server adds them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodTerm {
    pub(super) topology_key: String,
    pub(super) label_selector: Option<SlimSelector>,
    pub(super) namespaces: Option<Vec<String>>,
    pub(super) namespace_selector: Option<Nothing>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeAffinity {
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub(super) required: Option<Terms>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terms {
    pub(super) node_selector_terms: Vec<Term>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Term {
    pub(super) match_expressions: Option<Vec<Requirement>>,
    pub(super) match_fields: Option<Vec<Requirement>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Toleration {
    pub(super) key: String,
    pub(super) operator: String,
    pub(super) value: String,
    pub(super) effect: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spread {
    pub(super) when_unsatisfiable: String,
    pub(super) topology_key: String,
    pub(super) max_skew: i32,
    pub(super) min_domains: Option<i32>,
    pub(super) label_selector: Option<SlimSelector>,
    pub(super) match_label_keys: Option<Vec<String>>,
    pub(super) node_affinity_policy: Option<String>,
    pub(super) node_taints_policy: Option<String>,
}

/// A container as it is declared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) restart_policy: String,
    pub(super) resources: Resources,
    pub(super) ports: Option<Vec<Port>>,
    liveness_probe: Option<Nothing>,
    startup_probe: Option<Nothing>,
    env: Option<Vec<Variable>>,
    env_from: Option<Vec<Source>>,
}

/// Of an environment variable what it refers to; a value of its own is skipped.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Variable {
    value_from: Option<ValueFrom>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ValueFrom {
    config_map_key_ref: Option<Named>,
    secret_key_ref: Option<Named>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    config_map_ref: Option<Named>,
    secret_ref: Option<Named>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    pub(super) requests: Option<BTreeMap<String, Value>>,
    pub(super) claims: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Port {
    pub(super) host_port: Option<u32>,
}

/// Of a volume its name and its kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Volume {
    name: String,
    empty_dir: Option<EmptyDir>,
    ephemeral: Option<Nothing>,
    host_path: Option<Nothing>,
    persistent_volume_claim: Option<Claim>,
    csi: Option<Nothing>,
    config_map: Option<Named>,
    secret: Option<SecretVolume>,
    projected: Option<Projected>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SecretVolume {
    secret_name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Option<Vec<ProjectedSource>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProjectedSource {
    config_map: Option<Named>,
    secret: Option<Named>,
}

/// The ConfigMap with the certificates of the API server, which every pod has with its token.
const OF_EVERY_POD: &str = "kube-root-ca.crt";

/// What a pod refers to in its namespace, by name, each once.
#[derive(Debug, Default)]
pub(super) struct References {
    pub(super) config_maps: BTreeSet<String>,
    pub(super) secrets: BTreeSet<String>,
}

impl Spec {
    /// The ConfigMaps and Secrets that its containers and volumes refer to.
    pub(super) fn references(&self) -> References {
        let mut found = References::default();
        let containers = || self.containers.iter().chain(self.init_containers.iter().flatten());
        for from in containers().flat_map(|c| c.env.iter().flatten()).filter_map(|v| v.value_from.as_ref()) {
            found.add(from.config_map_key_ref.as_ref(), from.secret_key_ref.as_ref());
        }
        for from in containers().flat_map(|c| c.env_from.iter().flatten()) {
            found.add(from.config_map_ref.as_ref(), from.secret_ref.as_ref());
        }
        for volume in self.volumes.iter().flatten() {
            found.add(volume.config_map.as_ref(), None);
            found.secrets.extend(volume.secret.iter().map(|secret| bounded(&secret.secret_name)));
            for source in volume.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
                found.add(source.config_map.as_ref(), source.secret.as_ref());
            }
        }
        for names in [&mut found.config_maps, &mut found.secrets] {
            names.retain(|name| !name.is_empty() && name != OF_EVERY_POD);
        }
        found
    }
}

impl References {
    fn add(&mut self, config_map: Option<&Named>, secret: Option<&Named>) {
        self.config_maps.extend(config_map.map(|named| bounded(&named.name)));
        self.secrets.extend(secret.map(|named| bounded(&named.name)));
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Nothing {}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct EmptyDir {
    medium: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Claim {
    claim_name: String,
}

impl Declared {
    /// May the kubelet end it because a probe fails?
    pub(super) fn is_probed(&self) -> bool {
        self.liveness_probe.is_some() || self.startup_probe.is_some()
    }

    /// An init container that runs beside the others, as a sidecar does.
    pub(super) fn stays(&self) -> bool {
        self.restart_policy == "Always"
    }
}

impl Volume {
    /// What is lost, or out of reach, when the pod goes to another node; `None` for what is not.
    pub(super) fn is_lost(&self) -> Option<String> {
        let name = bounded(&self.name);
        match self {
            Self { empty_dir: Some(dir), .. } if dir.medium != "Memory" => Some(format!("emptyDir {name}")),
            Self { ephemeral: Some(_), .. } => Some(format!("ephemeral volume {name}")),
            Self { host_path: Some(_), .. } => Some(format!("hostPath {name} (it stays on its node)")),
            Self { .. } => None,
        }
    }

    /// The claim that it uses, by name; none where it is made with the pod, or is no claim.
    pub(super) fn claim(&self) -> Option<&str> {
        self.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str())
    }

    /// Why it may decide where the pod can run.
    pub(super) fn binds(&self) -> Option<String> {
        let name = bounded(&self.name);
        match self {
            Self { persistent_volume_claim: Some(claim), .. } => {
                Some(format!("volume {name} of claim {}", bounded(&claim.claim_name)))
            }
            Self { ephemeral: Some(_), .. } => Some(format!("ephemeral volume {name}")),
            Self { csi: Some(_), .. } => Some(format!("CSI volume {name}")),
            Self { .. } => None,
        }
    }
}
