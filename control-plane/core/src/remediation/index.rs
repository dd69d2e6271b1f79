//! An index of the snapshot's documents by the incident that they belong to, so that a pass over many incidents stays
//! linear.

use std::collections::{BTreeMap, BTreeSet};

use nimbus_protocol::ids::{IncidentId, PlanId};

use crate::model::{Approval, Job, Plan, Versioned};
use crate::snapshot::Snapshot;

/// Made once for a pass.
pub(super) struct Index<'a> {
    plans: BTreeMap<PlanId, &'a Plan>,
    approvals: BTreeMap<IncidentId, Vec<&'a Versioned<Approval>>>,
    jobs: BTreeMap<IncidentId, Vec<&'a Versioned<Job>>>,
    busy: BTreeSet<IncidentId>,
}

impl<'a> Index<'a> {
    pub(super) fn of(s: &Snapshot<'a>) -> Self {
        let mut approvals: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for approval in s.approvals {
            approvals.entry(approval.doc.incident_id).or_default().push(approval);
        }
        let mut jobs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for job in s.jobs {
            jobs.entry(job.doc.incident_id).or_default().push(job);
        }
        Self {
            plans: s.plans.iter().map(|plan| (plan.doc.id, &plan.doc)).collect(),
            approvals,
            jobs,
            busy: s.in_flight().map(|job| job.incident_id).collect(),
        }
    }

    pub(super) fn plan(&self, id: PlanId) -> Option<&'a Plan> {
        self.plans.get(&id).copied()
    }

    /// The approvals of an incident, whatever became of them.
    pub(super) fn approvals(&self, incident: IncidentId) -> &[&'a Versioned<Approval>] {
        self.approvals.get(&incident).map_or(&[], Vec::as_slice)
    }

    /// The jobs of an incident that the snapshot holds.
    pub(super) fn jobs(&self, incident: IncidentId) -> &[&'a Versioned<Job>] {
        self.jobs.get(&incident).map_or(&[], Vec::as_slice)
    }

    /// Is a job out for it?
    pub(super) fn at_work(&self, incident: IncidentId) -> bool {
        self.busy.contains(&incident)
    }
}
