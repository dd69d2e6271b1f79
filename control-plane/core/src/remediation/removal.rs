//! Decides what is written when a person removes a cluster: it is forgotten, its agents are refused, its incidents are over.

use jiff::{SignedDuration, Timestamp};

use super::decide_error::DecideError;
use super::record::Record;
use super::resolution::{self, End};
use crate::model::{
    Agent, ChangeSet, Cluster, JoinTokenRecord, JoinTokenState, Removed, Scope, SharedAgent, Versioned,
};
use crate::settings::later;
use crate::snapshot::Snapshot;

/// For so long after a control plane began to serve, its agents may still be on their way back to it.
pub const COME_BACK: SignedDuration = SignedDuration::from_mins(2);

/// What a person said of a removal.
#[derive(Debug, Clone, Copy)]
pub struct Removal<'a> {
    /// Who removes it.
    pub by: &'a str,
    /// Why; may be empty.
    pub reason: &'a str,
    /// Also while its agents are connected, or may still come back: they are refused at once.
    pub is_forced: bool,
    /// Since when this control plane serves.
    pub serves_since: Timestamp,
}

/// Removes a cluster, with the join tokens that are for it alone. Refused while a job is in flight there; and, unless it is
/// forced, while one of its agents is connected, and just after a start, when nobody can be yet. `s.connected` has to hold every
/// agent with a session, whatever it still has to send.
///
/// The agents of pods go as if their pods were gone, and leave the lists after a day; any other agent is revoked for good.
/// What was audited stays.
pub fn remove_cluster(
    s: &Snapshot<'_>,
    cluster: &Versioned<Cluster>,
    tokens: &[Versioned<JoinTokenRecord>],
    removal: Removal<'_>,
    now: Timestamp,
) -> Result<ChangeSet, DecideError> {
    let Cluster { uid, name, .. } = &cluster.doc;
    let Removal { by, reason, is_forced, serves_since } = removal;
    let its_agent =
        |agent: &Agent| agent.bound_cluster.as_ref() == Some(uid) || agent.cluster_uid.as_ref() == Some(uid);
    // What its agents watch of their own hosts nobody watches any more either.
    let of_it = |scope: &Scope| match scope {
        Scope::Cluster(cluster) => cluster == uid,
        Scope::Host(id) => s.agent(*id).is_some_and(|agent| agent.revoked_at.is_none() && its_agent(agent)),
    };
    if let Some(job) = s.in_flight().find(|job| of_it(&job.scope)) {
        return Err(DecideError::JobRunning { incident: job.incident_id, job: job.id });
    }
    let is_refused = |agent: &&SharedAgent| agent.doc.revoked_at.is_none() && its_agent(&agent.doc);
    let agents: Vec<&SharedAgent> = s.agents.iter().filter(is_refused).collect();
    let connected = agents.iter().filter(|agent| s.connected.contains(&agent.doc.id)).count();
    if connected > 0 && !is_forced {
        return Err(DecideError::AgentsConnected { cluster: name.clone(), connected });
    }
    let settled = later(serves_since, COME_BACK);
    if now < settled && !agents.is_empty() && !is_forced {
        return Err(DecideError::AgentsComeBack { cluster: name.clone(), until: settled });
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
    for token in tokens {
        let its = token.doc.cluster.as_ref().or(token.doc.first_cluster.as_ref()) == Some(uid);
        if its && token.doc.state(now) == JoinTokenState::Usable {
            let mut doc = token.doc.clone();
            doc.revoke(now);
            let text =
                format!("the join token for {} is refused from now on: its cluster was removed", doc.name);
            record.audit_by(by, "token.revoked", &doc.id, name, text);
            record.changes.tokens.push(Versioned { version: token.version, doc });
        }
    }
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let text =
        format!("removed with {refused} agents and {} incidents{because}", record.changes.incidents.len());
    record.audit_by(by, "cluster.removed", uid, name, text);
    record.changes.removed.push(Removed::of(cluster));
    for pause in s.pauses.iter().filter(|pause| pause.doc.cluster_uid.as_ref() == Some(uid)) {
        record.audit_by(by, "autonomous.resumed", uid, name, "its pause goes with the cluster");
        record.changes.removed.push(Removed::of(pause));
    }
    Ok(record.changes)
}
