//! From findings to causes: one diagnosis for each root cause, the deeper cause wins.
//!
//! | seen together | the cause is |
//! |---|---|
//! | findings on pods of a node + the node not ready | the node |
//! | a rollout past its deadline whose pods are all on nodes that are not ready | the node |
//! | findings on pods of a Deployment + its rollout past its deadline | the rollout |
//! | OOMKilled + CrashLoopBackOff of one owner | the memory limit |
//! | an image that cannot be pulled + a crash loop of one owner | the image |
//!
//! Many owners at once is a storm, which `heal` declares; what to do about a cause is the planner's.

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::Finding;
use crate::model::{IncidentKind, ObjectRef, Severity};
use crate::snapshot::Scope;
use crate::world::{Health, Inventory, World};

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
    /// The workload on which attempts are counted.
    pub owner: Option<ObjectRef>,
    /// One line.
    pub title: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Objects that suffer from it.
    pub symptoms: Vec<ObjectRef>,
    /// Keys of causes that this one explains: they are no incidents of their own.
    pub explains: Vec<String>,
}

/// One diagnosis for each root cause, in order of key.
pub fn diagnose(world: &World, findings: &[Finding]) -> Vec<Diagnosis> {
    let causes = Causes::of(world, findings);
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
        // A part of an owner's trouble may be explained while the rest is an incident of its own.
        let explains = explains.into_iter().filter(|other| !keys.contains(other)).collect();
        diagnoses.extend(describe(world, key, &group, explains));
    }
    diagnoses
}

/// The key of the cause that a finding would be by itself.
pub fn key(finding: &Finding) -> String {
    let uid = finding.owner.as_ref().map_or(&finding.object.uid, |owner| &owner.uid);
    let place = match &finding.scope {
        Scope::Cluster(uid) => uid.as_str(),
        Scope::Host(agent) => agent.as_str(),
    };
    match finding.kind {
        IncidentKind::PodCrashLoop => format!("crash/{place}/{uid}"),
        IncidentKind::OutOfMemory => format!("memory/{place}/{uid}"),
        IncidentKind::ImagePull => format!("image/{place}/{uid}"),
        IncidentKind::RolloutStuck => format!("rollout/{place}/{uid}"),
        IncidentKind::NodeNotReady => format!("node/{place}/{uid}"),
        IncidentKind::FileDrift => format!("file/{place}/{}", short(&finding.object.name)),
        IncidentKind::Storm => format!("storm/{place}"),
    }
}

/// A path as part of a key: a long one by its digest, as a database's index takes no long values.
fn short(path: &str) -> std::borrow::Cow<'_, str> {
    const MOST: usize = 512;
    if path.len() <= MOST {
        return path.into();
    }
    format!("sha256:{}", crate::audit::to_hex(&nimbus_protocol::sha256(path.as_bytes()))).into()
}

/// The deeper causes among the findings.
#[derive(Default)]
struct Causes {
    /// By scope and node name the key of a node that is not ready.
    nodes: BTreeMap<Scope, BTreeMap<String, String>>,
    /// By scope and owner UID the deepest cause that this owner has of its own.
    owners: BTreeMap<Scope, BTreeMap<String, (u8, String)>>,
    /// By the key of a stuck rollout the key of the node that explains it.
    rollouts: BTreeMap<String, String>,
}

impl Causes {
    fn of(world: &World, findings: &[Finding]) -> Self {
        let mut causes = Self::default();
        for finding in findings.iter().filter(|f| f.kind == IncidentKind::NodeNotReady) {
            let nodes = causes.nodes.entry(finding.scope.clone()).or_default();
            nodes.insert(finding.node.clone(), key(finding));
        }
        for finding in findings.iter().filter(|f| f.kind == IncidentKind::RolloutStuck) {
            if let Some(node) = causes.node_behind_rollout(world, finding) {
                causes.rollouts.insert(key(finding), node);
            }
        }
        for finding in findings {
            let Some(owner) = &finding.owner else { continue };
            // What a node explains is not a cause of its owner's.
            if causes.node(finding).is_none() && !causes.rollouts.contains_key(&key(finding)) {
                let rank = (depth(finding.kind), key(finding));
                let owners = causes.owners.entry(finding.scope.clone()).or_default();
                let deepest = owners.entry(owner.uid.clone()).or_insert_with(|| rank.clone());
                if rank.0 > deepest.0 {
                    *deepest = rank;
                }
            }
        }
        causes
    }

    fn key_for(&self, finding: &Finding) -> String {
        let own = key(finding);
        if let Some(node) = self.node(finding).or_else(|| self.rollouts.get(&own)) {
            return node.clone();
        }
        let owners = self.owners.get(&finding.scope);
        let of_owner = finding.owner.as_ref().and_then(|owner| owners?.get(&owner.uid));
        of_owner.map_or(own, |(_, key)| key.clone())
    }

    /// The key of the node that a finding is on, if that node is not ready.
    fn node(&self, finding: &Finding) -> Option<&String> {
        self.nodes.get(&finding.scope)?.get(&finding.node)
    }

    /// The node that explains a stuck rollout: all its pods that are not ready are on nodes that are not.
    fn node_behind_rollout(&self, world: &World, finding: &Finding) -> Option<String> {
        let Scope::Cluster(uid) = &finding.scope else { return None };
        let nodes = self.nodes.get(&finding.scope)?;
        let mut failing =
            world.clusters.get(uid)?.pods_of(&finding.object.uid).filter(|pod| !pod.ready).peekable();
        let first = nodes.get(&failing.peek()?.node)?;
        failing.all(|pod| nodes.contains_key(&pod.node)).then(|| first.clone())
    }
}

/// Which of several causes of one owner is the deeper one.
fn depth(kind: IncidentKind) -> u8 {
    match kind {
        IncidentKind::PodCrashLoop => 1,
        IncidentKind::ImagePull => 2,
        IncidentKind::OutOfMemory => 3,
        IncidentKind::RolloutStuck => 4,
        IncidentKind::FileDrift | IncidentKind::NodeNotReady | IncidentKind::Storm => 5,
    }
}

fn describe(world: &World, key: String, group: &[&Finding], explains: Vec<String>) -> Option<Diagnosis> {
    // The finding that is the cause itself; of several (pods of one owner) the one that restarts most.
    let rank = |f: &&&Finding| (depth(f.kind), f.restarts, std::cmp::Reverse(f.object.name.clone()));
    let cause = group.iter().max_by_key(rank)?;
    let inventory = match &cause.scope {
        Scope::Cluster(uid) => world.clusters.get(uid),
        Scope::Host(_) => None,
    };
    let of_cause = group.iter().filter(|f| f.object == cause.object && f.kind == cause.kind);
    let others = group.iter().filter(|f| f.object != cause.object || f.kind != cause.kind);
    let mut evidence: Vec<String> = of_cause.chain(others).flat_map(|f| f.evidence.clone()).collect();
    evidence.dedup();
    let more = evidence.len().saturating_sub(MAX_LINES);
    if more > 0 {
        evidence.truncate(MAX_LINES);
        evidence.push(format!("... and {more} more"));
    }
    let mut symptoms: Vec<ObjectRef> =
        group.iter().map(|f| &f.object).filter(|object| **object != cause.object).cloned().collect();
    symptoms.sort();
    symptoms.dedup();
    let title = title(cause, symptoms.len() + 1);
    symptoms.truncate(MAX_LINES);
    Some(Diagnosis {
        key,
        kind: cause.kind,
        severity: severity(inventory, cause),
        scope: cause.scope.clone(),
        object: cause.object.clone(),
        owner: cause.owner.clone(),
        title,
        evidence,
        symptoms,
        explains,
    })
}

fn severity(inventory: Option<&Inventory>, cause: &Finding) -> Severity {
    if cause.kind == IncidentKind::NodeNotReady {
        return Severity::Critical;
    }
    let owner = cause.owner.as_ref().filter(|owner| owner.kind == "Deployment");
    match (inventory, owner) {
        (Some(inventory), Some(owner)) => match inventory.health_of(&owner.uid) {
            Health::NotReady { ready: 0, .. } => Severity::Critical,
            _ => Severity::Warning,
        },
        _ => Severity::Warning,
    }
}

fn title(cause: &Finding, pods: usize) -> String {
    let owner = cause.owner.as_ref().unwrap_or(&cause.object);
    let many = if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
    match cause.kind {
        IncidentKind::PodCrashLoop => {
            format!("{owner}: {many} in a crash loop (container {})", cause.container)
        }
        IncidentKind::OutOfMemory => {
            format!("{owner}: container {} is killed for its memory limit", cause.container)
        }
        IncidentKind::ImagePull => format!("{owner}: container {} cannot get its image", cause.container),
        IncidentKind::RolloutStuck => format!("{owner}: the new revision does not become available"),
        IncidentKind::NodeNotReady => format!("{}: not ready", cause.object),
        IncidentKind::FileDrift => {
            cause.evidence.first().cloned().unwrap_or_else(|| format!("{} drifted", cause.object))
        }
        IncidentKind::Storm => format!("{}: storm", cause.object),
    }
}
