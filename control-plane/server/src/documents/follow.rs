//! Takes a committed change set into what was read before: the same documents that another reading of the store would give.
//!
//! Decides nothing of its own: what is open is what the store's queries say ([`Docs::read`]), and what cannot be known from
//! the change set is not guessed; the store is read again then.

use jiff::Timestamp;
use nimbus_control_core::model::{
    Agent, AnyDocument, Approval, ApprovalState, ChangeSet, Cluster, Document, Incident, IncidentState, Job,
    Pause, Plan, Removed, Versioned,
};
use nimbus_control_core::rulebook::Rule;
use nimbus_protocol::to_micros;
use nimbus_store::MAX_ALL;

use super::Docs;
use super::docs::order;

/// The tables of what is held here, each but one in a list of its own in a change set.
///
/// Rules have none there: where one is set or goes, which is rare, the store is read again.
const HELD: [&str; 8] = [
    Agent::TABLE,
    Cluster::TABLE,
    Pause::TABLE,
    Rule::TABLE,
    Incident::TABLE,
    Plan::TABLE,
    Approval::TABLE,
    Job::TABLE,
];

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
            && agents.iter().all(|agent| self.follow_agent(agent))
            && each(&mut self.clusters, clusters, |a, b| a.uid == b.uid, |_| true)
            && each(&mut self.pauses, pauses, |a, b| a.id() == b.id(), |_| true)
            && each(&mut self.incidents, incidents, |a, b| a.id == b.id, is_open)
            && each(&mut self.jobs, jobs, |a, b| a.id == b.id, |job| counts(job, jobs_since))
            && self.follow_approvals(approvals, incidents)
            && self.follow_plans(plans);
        self.jobs.retain(|job| counts(&job.doc, jobs_since));
        followed && self.is_bounded()
    }

    /// An agent; none ever leaves by a change set.
    fn follow_agent(&mut self, change: &Versioned<Agent>) -> bool {
        // The store took a new one, so there was none.
        let is_from = self.agents.get(change.doc.id).map_or(0, |held| held.version) == change.version;
        if is_from {
            self.agents.put(stored(change).into());
        }
        is_from
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
        let Self { revision: _, agents, clusters, pauses, rules, incidents, plans, approvals, jobs } = self;
        let longest = [
            agents.len(),
            clusters.len(),
            pauses.len(),
            rules.entries().len(),
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
fn each<T: Document + Clone>(
    held: &mut Vec<Versioned<T>>,
    changes: &[Versioned<T>],
    same: impl Fn(&T, &T) -> bool,
    stays: impl Fn(&T) -> bool,
) -> bool {
    changes.iter().all(|change| {
        // The store took a new one, so there was none. Of many, those that came last are those that change.
        let is_new = change.version == 0;
        let found = || held.iter().rposition(|it| same(&it.doc, &change.doc));
        let place = if is_new { None } else { found() };
        match (place, stays(&change.doc)) {
            (Some(at), _) if held[at].version != change.version => return false,
            // A clock that jumped moves what is under way: its place is another one then.
            (Some(at), true) if order(&held[at].doc) == order(&change.doc) => held[at] = stored(change),
            (Some(at), true) => {
                held.remove(at);
                put(held, stored(change));
            }
            (Some(at), false) => _ = held.remove(at),
            (None, true) if is_new => put(held, stored(change)),
            (None, true) => return false,
            (None, false) => {}
        }
        true
    })
}

/// A changed document as the store has it now.
fn stored<T: Clone>(change: &Versioned<T>) -> Versioned<T> {
    Versioned { version: change.version + 1, doc: change.doc.clone() }
}

fn put<T: Document>(held: &mut Vec<Versioned<T>>, document: Versioned<T>) {
    let key = order(&document.doc);
    held.insert(held.partition_point(|it| order(&it.doc) < key), document);
}
