//! What is known around an incident, each with where it is known from: a timeline of what happened to its object, what was tried
//! and what else was wrong then; and how the object is now. Nothing is decided here, and nothing that is not known is filled in.
//!
//! Each source is a file: the incident's own story, jobs, other incidents, what was written in the cluster, and the present picture.

mod now;
mod other;
#[cfg(test)]
mod tests;
mod tried;
mod written;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Incident, Job, Scope};
use crate::snapshot::Snapshot;
use crate::world::Inventory;

/// Most lines of the timeline, the newest; the rest is counted.
pub const MOST_LINES: usize = 200;
/// Most lines of the present picture.
pub const MOST_FACTS: usize = 50;
/// What happened so long before the incident at most may have to do with it.
pub const BEFORE: SignedDuration = SignedDuration::from_hours(24);
/// Another incident that was opened so near to it may have the same cause.
pub const NEAR: SignedDuration = SignedDuration::from_mins(15);

nimbus_protocol::words! {
    /// Where something is known from.
    Source {
        /// The incident's own story, as Nimbus wrote it.
        Incident = "incident",
        /// A job of Nimbus, and what its agent reported.
        Job = "job",
        /// Another incident.
        OtherIncident = "other_incident",
        /// `managedFields` of an object: who wrote a part of it last.
        ManagedFields = "managed_fields",
        /// What Nimbus saw of a workload's revisions.
        Revisions = "revisions",
        /// The status of an object, as its cluster's agent saw it last.
        Status = "status",
        /// An Event of the cluster.
        Event = "event",
        /// What a kubelet measured.
        Kubelet = "kubelet",
    }
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// When it was so; `None` where that is not recorded.
    pub at: Option<Timestamp>,
    /// In words.
    pub text: String,
    /// Where it is known from.
    pub source: Source,
    /// Which one: an id of Nimbus, or an object.
    pub of: String,
}

impl Known {
    fn new(
        at: impl Into<Option<Timestamp>>,
        source: Source,
        of: &impl ToString,
        text: impl Into<String>,
    ) -> Self {
        Self { at: at.into(), text: text.into(), source, of: of.to_string() }
    }
}

/// What is known around an incident.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Investigation {
    /// What happened, the oldest first; what has no time is in `now`.
    pub timeline: Vec<Known>,
    /// How many older lines were left out.
    pub left_out: usize,
    /// How what it is about is now.
    pub now: Vec<Known>,
    /// What is not known, and why.
    pub unknown: Vec<String>,
}

/// Puts together what is known around `incident`: `others` are incidents of its place, `jobs` those of its place, `snapshot` the present
/// picture. The same input gives the same answer.
pub fn investigate(
    incident: &Incident,
    others: &[Incident],
    jobs: &[Job],
    snapshot: &Snapshot<'_>,
) -> Investigation {
    let mut all: Vec<Known> = incident
        .history
        .iter()
        .map(|entry| Known::new(entry.at, Source::Incident, &incident.id, entry.text.clone()))
        .collect();
    all.extend(tried::on(incident, jobs));
    all.extend(other::near(incident, others));
    let mut unknown = Vec::new();
    if let Some(inventory) = watched(incident, snapshot, &mut unknown) {
        all.extend(written::around(incident, inventory));
        all.extend(now::picture(incident, inventory));
    }
    let (mut timeline, mut now): (Vec<Known>, Vec<Known>) = all.into_iter().partition(|one| one.at.is_some());
    // Of what happened at one moment the incident's own story comes first.
    timeline.sort_by(|a, b| (a.at, a.source, &a.of).cmp(&(b.at, b.source, &b.of)));
    let left_out = timeline.len().saturating_sub(MOST_LINES);
    timeline.drain(..left_out);
    if now.len() > MOST_FACTS {
        unknown.push(format!("{} more facts of now are left out", now.len() - MOST_FACTS));
        now.truncate(MOST_FACTS);
    }
    Investigation { timeline, left_out, now, unknown }
}

/// The cluster's picture, and why it may be none of now.
fn watched<'s>(
    incident: &Incident,
    snapshot: &'s Snapshot<'_>,
    unknown: &mut Vec<String>,
) -> Option<&'s Inventory> {
    match &incident.scope {
        Scope::Host(_) => {
            unknown.push("of a host no more is kept than what the incident says".to_owned());
            None
        }
        Scope::Cluster(uid) => {
            if let Err(why) = snapshot.known(&incident.scope, nimbus_protocol::ObjectKind::ALL) {
                unknown.push(format!("{why}; what is said of the cluster is as it was seen last"));
            }
            unknown.push("logs of containers are not collected; Events are kept of volumes that cannot be mounted alone".to_owned());
            snapshot.world.clusters.get(uid)
        }
    }
}
