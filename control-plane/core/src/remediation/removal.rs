//! Decides what is written when a person removes a cluster: it is forgotten, its agents are refused, its incidents are over.

use jiff::Timestamp;

use super::decide_error::DecideError;
use super::record::Record;
use super::resolution::{self, End};
use crate::model::{Agent, ChangeSet, Cluster, Removed, Scope, Versioned};
use crate::snapshot::Snapshot;

/// Removes a cluster. Refused while one of its agents is connected, which would only ask to be let in again, and while a job
/// is in flight there.
///
/// The agents of pods go as if their pods were gone, and leave the lists after a day; any other agent is revoked for good.
/// What was audited stays.
pub fn remove_cluster(
    s: &Snapshot<'_>,
    cluster: &Versioned<Cluster>,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    let Cluster { uid, name, .. } = &cluster.doc;
    let of_it = |scope: &Scope| scope.cluster_uid() == Some(uid.as_str());
    let its_agent =
        |agent: &Agent| agent.bound_cluster.as_ref() == Some(uid) || agent.cluster_uid.as_ref() == Some(uid);
    if let Some(job) = s.in_flight().find(|job| of_it(&job.scope)) {
        return Err(DecideError::JobRunning { incident: job.incident_id, job: job.id });
    }
    let agents = s.agents.iter().filter(|agent| agent.doc.revoked_at.is_none() && its_agent(&agent.doc));
    let here = agents.clone().filter(|agent| s.connected.contains(&agent.doc.id));
    let connected = here.count();
    if connected > 0 {
        return Err(DecideError::AgentsConnected { cluster: name.clone(), connected });
    }
    let mut record = Record::new(now);
    for incident in s.incidents.iter().filter(|incident| incident.doc.is_open() && of_it(&incident.doc.scope))
    {
        let text = format!("{by} removed its cluster; whether it was put right is not known");
        resolution::close(s, &mut record, incident, &text, End::Merged, now);
    }
    let mut refused = 0;
    for agent in agents {
        let mut doc = agent.doc.clone();
        (doc.revoked_at, doc.pod_gone, doc.leading) = (Some(now), doc.pod.is_some(), false);
        let text = format!("agent {} is refused from now on: its cluster was removed", doc.name);
        record.audit_by(by, "agent.revoked", &doc.id, name, text);
        record.changes.agents.push(Versioned { version: agent.version, doc });
        refused += 1;
    }
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let text =
        format!("removed with {refused} agents and {} incidents{because}", record.changes.incidents.len());
    record.audit_by(by, "cluster.removed", uid, name, text);
    record.changes.removed.push(Removed::of(cluster));
    Ok(record.changes)
}
