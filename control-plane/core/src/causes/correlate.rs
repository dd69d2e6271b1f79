//! Correlates findings to root causes: where several findings have the same cause, the deepest one becomes the
//! diagnosis.
//!
//! | seen together | the cause is |
//! |---|---|
//! | findings on pods of a node + the node not ready | the node |
//! | a rollout past its deadline whose pods are all on nodes that are not ready | the node |
//! | findings on pods of a workload + its rollout past its deadline | the rollout |
//! | findings on pods of a StatefulSet + its update waiting for a broken pod | the update |
//! | findings on pods of a Job or CronJob + its newest run failed | the failed run |
//! | OOMKilled + CrashLoopBackOff of one workload | the memory limit |
//! | an image that cannot be pulled + a crash loop of one workload | the image |
//!
//! [`EXPLAINED_BY`] holds who explains whom; which of several causes of one workload is the root says each cause's
//! depth. Many workloads at once is a storm, which the remediation declares; what to do about a cause is the remedies'.

use std::collections::{BTreeMap, BTreeSet};

use super::of;
use crate::assessment::Finding;
use crate::model::{IncidentKind, ObjectRef, Scope, Severity, Workload};
use crate::world::World;

/// Most evidence lines and most symptoms that one diagnosis carries; the rest is counted in a last line.
pub const MAX_LINES: usize = 20;

/// One root cause and what suffers from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Same cause, same key.
    pub key: String,
    /// What kind of cause.
    pub kind: IncidentKind,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub scope: Scope,
    /// The cause's object.
    pub object: ObjectRef,
    /// The workload on which attempts are counted, if any.
    pub workload: Option<Workload>,
    /// One line.
    pub title: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Objects that suffer from it.
    pub symptoms: Vec<ObjectRef>,
    /// Keys of causes that this one explains: they are no incidents of their own.
    pub explains: Vec<String>,
}

/// How one cause explains findings of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// The finding is on a pod that the node runs.
    OnItsNode,
    /// Every pod of the finding's workload that is not ready is on such nodes.
    OnlyOnItsNodes,
    /// The finding is of the same workload, and its cause is less deep.
    SameWorkload,
}

/// Who explains whom: a finding of the first kind is explained by one of the second, where the relation holds. The
/// first line that fits decides.
const EXPLAINED_BY: &[(IncidentKind, IncidentKind, Relation)] = {
    use IncidentKind::{
        ImagePull, JobFailing, NodeNotReady, OutOfMemory, PodCrashLoop, RolloutStuck, StatefulSetStuck,
    };
    use Relation::{OnItsNode, OnlyOnItsNodes, SameWorkload};
    &[
        (PodCrashLoop, NodeNotReady, OnItsNode),
        (ImagePull, NodeNotReady, OnItsNode),
        (OutOfMemory, NodeNotReady, OnItsNode),
        (RolloutStuck, NodeNotReady, OnlyOnItsNodes),
        (PodCrashLoop, RolloutStuck, SameWorkload),
        (PodCrashLoop, OutOfMemory, SameWorkload),
        (PodCrashLoop, ImagePull, SameWorkload),
        (ImagePull, RolloutStuck, SameWorkload),
        (ImagePull, OutOfMemory, SameWorkload),
        (OutOfMemory, RolloutStuck, SameWorkload),
        (PodCrashLoop, StatefulSetStuck, SameWorkload),
        (ImagePull, StatefulSetStuck, SameWorkload),
        (OutOfMemory, StatefulSetStuck, SameWorkload),
        (StatefulSetStuck, NodeNotReady, OnlyOnItsNodes),
        (PodCrashLoop, JobFailing, SameWorkload),
        (ImagePull, JobFailing, SameWorkload),
        (OutOfMemory, JobFailing, SameWorkload),
    ]
};

/// One diagnosis for each root cause, in order of key.
pub fn diagnose<'a>(world: &World, findings: impl Iterator<Item = &'a Finding>) -> Vec<Diagnosis> {
    let findings: Vec<&Finding> = findings.collect();
    let causes = Causes::of(world, &findings);
    let mut grouped: BTreeMap<String, Vec<&Finding>> = BTreeMap::new();
    let mut explained: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for finding in findings {
        let (own, cause) = (key(finding), causes.key_for(finding));
        if own != cause {
            explained.entry(cause.clone()).or_default().insert(own);
        }
        grouped.entry(cause).or_default().push(finding);
    }
    let keys: BTreeSet<String> = grouped.keys().cloned().collect();
    let mut diagnoses = Vec::with_capacity(grouped.len());
    for (key, group) in grouped {
        let explains = explained.remove(&key).unwrap_or_default();
        // A part of a workload's trouble may be explained while the rest is an incident of its own.
        let explains = explains.into_iter().filter(|other| !keys.contains(other)).collect();
        diagnoses.extend(describe(world, key, &group, explains));
    }
    diagnoses
}

/// The key of the cause that a finding would be by itself.
pub fn key(finding: &Finding) -> String {
    let object = finding.workload.as_ref().map_or_else(|| finding.object.identity(), Workload::uid);
    key_of(finding.kind, &finding.scope, object)
}

/// The key of an incident: the cause's word, the place, and what it is about.
pub(crate) fn key_of(kind: IncidentKind, scope: &Scope, object: &str) -> String {
    format!("{}/{scope}/{}", of(kind).key_word(), short(object))
}

/// A path as part of a key: a long one by its digest, as a database's index takes no long values.
fn short(path: &str) -> std::borrow::Cow<'_, str> {
    const MOST: usize = 512;
    if path.len() <= MOST {
        return path.into();
    }
    format!("sha256:{}", nimbus_protocol::to_hex(&nimbus_protocol::sha256(path.as_bytes()))).into()
}

/// The findings that may explain others, by what they are found by.
#[derive(Default)]
struct Causes<'a> {
    /// By scope and node name the findings about a node.
    nodes: BTreeMap<&'a Scope, BTreeMap<&'a str, &'a Finding>>,
    /// By scope and workload UID the findings about it that no node explains.
    workloads: BTreeMap<&'a Scope, BTreeMap<&'a str, Vec<&'a Finding>>>,
    /// By the key of a finding about a workload the finding about the node that explains it.
    on_nodes: BTreeMap<String, &'a Finding>,
}

impl<'a> Causes<'a> {
    fn of(world: &World, findings: &[&'a Finding]) -> Self {
        let mut causes = Self::default();
        for finding in findings.iter().filter(|f| f.workload.is_none() && !f.node.is_empty()) {
            causes.nodes.entry(&finding.scope).or_default().insert(&finding.node, finding);
        }
        for finding in findings {
            if let Some(node) = causes.node_behind(world, finding) {
                causes.on_nodes.insert(key(finding), node);
            }
        }
        for finding in findings {
            // What a node explains is not a cause of its workload's.
            if let Some(workload) = &finding.workload
                && causes.node_of(finding).is_none()
                && !causes.on_nodes.contains_key(&key(finding))
            {
                let of_scope = causes.workloads.entry(&finding.scope).or_default();
                of_scope.entry(workload.uid()).or_default().push(finding);
            }
        }
        causes
    }

    fn key_for(&self, finding: &Finding) -> String {
        let own = key(finding);
        if let Some(node) = self.node_of(finding).or_else(|| self.on_nodes.get(&own).copied()) {
            return key(node);
        }
        let workloads = self.workloads.get(&finding.scope);
        let of_workload = finding.workload.as_ref().and_then(|workload| workloads?.get(workload.uid()));
        let deepest = of_workload
            .into_iter()
            .flatten()
            .filter(|other| explains(other, finding, Relation::SameWorkload))
            .max_by_key(|other| of(other.kind).depth());
        deepest.map_or(own, |other| key(other))
    }

    /// The finding about the node that a finding's pod is on, if that explains it.
    fn node_of(&self, finding: &Finding) -> Option<&'a Finding> {
        let node = self.nodes.get(&finding.scope)?.get(finding.node.as_str()).copied()?;
        explains(node, finding, Relation::OnItsNode).then_some(node)
    }

    /// The finding about a node that explains one about a whole workload: all its pods that are not ready are on such
    /// nodes.
    fn node_behind(&self, world: &World, finding: &Finding) -> Option<&'a Finding> {
        let nodes = self.nodes.get(&finding.scope)?;
        let inventory = world.clusters.get(finding.scope.cluster_uid()?)?;
        let owner = finding.object.uid();
        let all = inventory.pods_of(owner).chain(inventory.pods_owned_by(owner));
        let mut failing = all.filter(|pod| !pod.ready).peekable();
        let first = nodes.get(failing.peek()?.node.as_str()).copied()?;
        let all = failing.all(|pod| nodes.contains_key(pod.node.as_str()));
        (all && explains(first, finding, Relation::OnlyOnItsNodes)).then_some(first)
    }
}

fn explains(deeper: &Finding, finding: &Finding, relation: Relation) -> bool {
    EXPLAINED_BY.contains(&(finding.kind, deeper.kind, relation))
}

fn describe(world: &World, key: String, group: &[&Finding], explains: Vec<String>) -> Option<Diagnosis> {
    // The finding that is the cause itself; of several (pods of one workload) the one that restarts most.
    let rank =
        |f: &&&Finding| (of(f.kind).depth(), f.restarts, std::cmp::Reverse(f.object.name().to_owned()));
    let root = group.iter().max_by_key(rank)?;
    let of_root = group.iter().filter(|f| f.object == root.object && f.kind == root.kind);
    let others = group.iter().filter(|f| f.object != root.object || f.kind != root.kind);
    let mut evidence: Vec<String> = of_root.chain(others).flat_map(|f| f.evidence.clone()).collect();
    evidence.dedup();
    let more = evidence.len().saturating_sub(MAX_LINES);
    if more > 0 {
        evidence.truncate(MAX_LINES);
        evidence.push(format!("... and {more} more"));
    }
    let mut symptoms: Vec<ObjectRef> =
        group.iter().map(|f| &f.object).filter(|object| **object != root.object).cloned().collect();
    symptoms.sort();
    symptoms.dedup();
    let cause = of(root.kind);
    let title = cause.title(root, symptoms.len() + 1);
    symptoms.truncate(MAX_LINES);
    let inventory = root.scope.cluster_uid().and_then(|uid| world.clusters.get(uid));
    Some(Diagnosis {
        key,
        kind: root.kind,
        severity: cause.severity(root, inventory),
        scope: root.scope.clone(),
        object: root.object.clone(),
        workload: root.workload.clone(),
        title,
        evidence,
        symptoms,
        explains,
    })
}
