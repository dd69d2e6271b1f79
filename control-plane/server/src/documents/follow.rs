//! Takes a committed change set into what was read before: the same documents that another reading of the store would give.
//!
//! Decides nothing of its own: what is open is what the store's queries say ([`Docs::read`]), and what cannot be known from
//! the change set is not guessed; the store is read again then.

use std::borrow::Borrow;

use jiff::Timestamp;
use nimbus_control_core::model::{
    Agent, AnyDocument, Approval, ApprovalState, ChangeSet, Cluster, Document, Incident, IncidentState, Job,
    Pause, Plan, Removed, Versioned,
};
use nimbus_protocol::to_micros;
use nimbus_store::MAX_ALL;

use super::Docs;
use super::docs::order;

/// The tables of what is held here, each in a list of its own in a change set.
const HELD: [&str; 7] =
    [Agent::TABLE, Cluster::TABLE, Pause::TABLE, Incident::TABLE, Plan::TABLE, Approval::TABLE, Job::TABLE];

impl Docs {
    /// Takes in a change set that was decided from these documents, or from newer parts of the store, and was committed.
    /// Jobs that finished before `jobs_since` leave. False when only the store knows what is open now; what is here is then
    /// of no use.
    pub(super) fn follow(&mut self, changes: &ChangeSet, jobs_since: Timestamp) -> bool {
        // Named one by one: a new list does not compile until it is followed, or said not to be held.
        let ChangeSet {
            agents,
            tokens: _,
            clusters,
            pauses,
            incidents,
            plans,
            approvals,
            jobs,
            documents,
            removed,
            audit: _,
            cursors: _,
        } = changes;
        let foreign = |document: &Versioned<AnyDocument>| !HELD.contains(&document.doc.table);
        let followed = documents.iter().all(foreign)
            && removed.iter().all(|gone| self.forget(gone))
            && each(&mut self.agents, agents, |a, b| a.id == b.id, |_| true)
            && each(&mut self.clusters, clusters, |a, b| a.uid == b.uid, |_| true)
            && each(&mut self.pauses, pauses, |a, b| a.id() == b.id(), |_| true)
            && each(&mut self.incidents, incidents, |a, b| a.id == b.id, is_open)
            && each(&mut self.jobs, jobs, |a, b| a.id == b.id, |job| counts(job, jobs_since))
            && self.follow_approvals(approvals, incidents)
            && self.follow_plans(plans);
        self.jobs.retain(|job| counts(&job.doc, jobs_since));
        followed && self.is_bounded()
    }

    /// A document that was removed. False for one of another list than the clusters' and the pauses', whose leaving touches
    /// others.
    fn forget(&mut self, gone: &Removed) -> bool {
        let before = self.clusters.len() + self.pauses.len();
        match gone.table {
            Cluster::TABLE => self.clusters.retain(|cluster| cluster.doc.uid != gone.id),
            Pause::TABLE => self.pauses.retain(|pause| pause.doc.id() != gone.id),
            _ => {}
        }
        self.clusters.len() + self.pauses.len() < before
    }

    /// After the incidents: with one that is resolved its approvals leave.
    fn follow_approvals(
        &mut self,
        approvals: &[Versioned<Approval>],
        incidents: &[Versioned<Incident>],
    ) -> bool {
        for resolved in incidents.iter().filter(|incident| !is_open(&incident.doc)) {
            self.approvals.retain(|approval| approval.doc.incident_id != resolved.doc.id);
        }
        let open = &self.incidents;
        each(
            &mut self.approvals,
            approvals,
            |a, b| a.id == b.id,
            |approval| {
                may_serve(approval) && open.iter().any(|incident| incident.doc.id == approval.incident_id)
            },
        )
    }

    /// After everything that names a plan.
    fn follow_plans(&mut self, plans: &[Versioned<Plan>]) -> bool {
        let followed = each(&mut self.plans, plans, |a, b| a.id == b.id, |_| true);
        let needed = self.plans_needed();
        self.plans.retain(|plan| needed.contains(&plan.doc.id));
        followed && self.plans.len() == needed.len()
    }

    fn is_bounded(&self) -> bool {
        let Self { revision: _, agents, clusters, pauses, incidents, plans, approvals, jobs } = self;
        let longest = [
            agents.len(),
            clusters.len(),
            pauses.len(),
            incidents.len(),
            plans.len(),
            approvals.len(),
            jobs.len(),
        ];
        longest.into_iter().all(|count| count <= MAX_ALL as usize)
    }
}

fn is_open(incident: &Incident) -> bool {
    incident.state != IncidentState::Resolved
}

fn may_serve(approval: &Approval) -> bool {
    matches!(approval.state, ApprovalState::Pending | ApprovalState::Approved)
}

/// As the store compares: from when on a job counts, in microseconds.
fn counts(job: &Job, since: Timestamp) -> bool {
    !job.state.is_final() || to_micros(job.counted_from()) >= to_micros(since)
}

/// Puts each changed document in its place, or takes it out where it does not stay. False for a document that stays and was
/// not here although it is not new, and for one of another version than it was changed from.
fn each<T: Document + Clone, H: Borrow<Versioned<T>> + From<Versioned<T>>>(
    held: &mut Vec<H>,
    changes: &[Versioned<T>],
    same: impl Fn(&T, &T) -> bool,
    stays: impl Fn(&T) -> bool,
) -> bool {
    changes.iter().all(|change| {
        // The store took a new one, so there was none. Of many agents, those that came last are those that change.
        let is_new = change.version == 0;
        let found = || held.iter().rposition(|it| same(&of(it).doc, &change.doc));
        let place = if is_new { None } else { found() };
        let stored = || Versioned { version: change.version + 1, doc: change.doc.clone() };
        match (place, stays(&change.doc)) {
            (Some(at), _) if of(&held[at]).version != change.version => return false,
            // A clock that jumped moves what is under way: its place is another one then.
            (Some(at), true) if order(&of(&held[at]).doc) == order(&change.doc) => {
                held[at] = stored().into();
            }
            (Some(at), true) => {
                held.remove(at);
                put(held, stored());
            }
            (Some(at), false) => _ = held.remove(at),
            (None, true) if is_new => put(held, stored()),
            (None, true) => return false,
            (None, false) => {}
        }
        true
    })
}

fn put<T: Document, H: Borrow<Versioned<T>> + From<Versioned<T>>>(held: &mut Vec<H>, document: Versioned<T>) {
    let key = order(&document.doc);
    held.insert(held.partition_point(|it| order(&of(it).doc) < key), document.into());
}

/// The document, whether it is held by itself or shared.
fn of<T, H: Borrow<Versioned<T>>>(held: &H) -> &Versioned<T> {
    held.borrow()
}
