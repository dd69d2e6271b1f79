//! An agent ends with its pod: decides which agents of pods are revoked because their pod is gone.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

use crate::Snapshot;
use crate::model::{Agent, AuditDraft, ChangeSet, Versioned};
use crate::world::Inventory;

/// How long an agent is left alone after its enrolment although nobody sees its pod: the leading agent's list may be older.
pub const KEPT_PODLESS: SignedDuration = SignedDuration::from_mins(1);

/// Most agents that one look revokes; the next one follows at once.
const MOST: usize = 200;

/// Is this agent's pod gone, by what the connected leading agent of its cluster sees (`led`)? Not while there is no such leader, it
/// has not listed the pods, or the agent is new.
pub fn is_gone(agent: &Agent, led: Option<&Inventory>, now: Timestamp) -> bool {
    let (Some(pod), Some(inventory)) = (&agent.pod, led) else { return false };
    // By a clock that went back it is new again, which only puts the answer off.
    let is_new = now.duration_since(agent.created_at) < KEPT_PODLESS;
    !is_new && inventory.has_every(ObjectKind::Pod) && inventory.pods.get(&pod.uid).is_none()
}

/// Revokes the agents whose pod is not among those that the connected leading agent of its cluster sees. While there is no
/// such leader, or it has not listed the pods, nothing is known and nobody is revoked.
pub fn gone(snapshot: &Snapshot<'_>, now: Timestamp) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for agent in snapshot.agents.iter().filter(|agent| agent.doc.revoked_at.is_none()) {
        let (Some(pod), Some(cluster)) = (&agent.doc.pod, &agent.doc.bound_cluster) else { continue };
        let inventory = snapshot.world.clusters.get(cluster);
        let led = inventory.filter(|it| it.leader.is_some_and(|leader| snapshot.connected.contains(&leader)));
        if !is_gone(&agent.doc, led, now) {
            continue;
        }
        let mut doc = agent.doc.clone();
        (doc.revoked_at, doc.pod_gone) = (Some(now), true);
        doc.leading = false;
        changes.audit.push(AuditDraft {
            at: now,
            actor: "nimbus".to_owned(),
            action: "agent.pod_gone".to_owned(),
            subject: doc.id.to_string(),
            cluster: cluster.clone(),
            detail: format!(
                "agent {} is refused from now on: its pod {}/{} is gone",
                doc.name, pod.namespace, pod.name
            ),
        });
        changes.agents.push(Versioned { version: agent.version, doc });
        if changes.agents.len() >= MOST {
            break;
        }
    }
    changes
}
