//! The model of approvals: an operator's decision on one exact plan.

use jiff::Timestamp;
use nimbus_protocol::ids::{ApprovalId, IncidentId, JobId, PlanId};
use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// Where an approval stands.
    ApprovalState {
        /// Waits for a person.
        Pending = "pending",
        /// Given, for one job.
        Approved = "approved",
        /// Refused.
        Denied = "denied",
        /// Nobody answered in time, or the plan is no longer the one.
        Expired = "expired",
    }
}

/// A request for an operator's decision, and the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// The plan it is about.
    pub plan_id: PlanId,
    /// The incident behind it.
    pub incident_id: IncidentId,
    /// The plan's digest: a plan with another digest needs another approval.
    pub plan_digest: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Name of the cluster or host, to show.
    pub cluster: String,
    /// Who wants the plan; may not approve it.
    pub requested_by: String,
    /// When it was asked.
    pub created_at: Timestamp,
    /// From then on it counts as not given.
    pub expires_at: Timestamp,
    /// Who answered.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The reason that the operator gave.
    pub reason: String,
    /// The one job it was used for.
    pub used_by: Option<JobId>,
    /// Whose word is needed, as the settings said when it was asked: for each item a person of any of its groups, and nobody counts for
    /// two items. Empty: one person, of whatever group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Vec<String>>,
    /// Who approved so far, of those whose word was needed; with [`Self::needs`] alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Word>,
    /// That it was given without them, or passes windows and blackouts by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_glass: Option<BrokenGlass>,
}

/// One person's word for an approval that asks several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who gave it.
    pub by: String,
    /// The groups that the person was in at that moment.
    pub groups: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// Why; may be empty.
    pub reason: String,
}

/// That one person approved alone where several had to, or passed a blackout or windows by, and what became of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenGlass {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why; never empty.
    pub reason: String,
    /// What it passes by: the blackouts that were then, and that it was outside its windows. Nothing that comes later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Passed>,
    /// That another person looked at it afterwards; `None` until somebody did.
    pub review: Option<Review>,
}

/// A blackout that was then, or that it was outside its windows, which somebody passes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// `blackout NAME`, or `outside its windows`.
    pub what: String,
    /// When that ends; one that comes back later is not passed by. `None`: it lasts longer than the approval.
    pub until: Option<Timestamp>,
}

impl Passed {
    /// Does it still pass this by?
    pub fn passes(&self, what: &str, now: Timestamp) -> bool {
        self.what == what && self.until.is_none_or(|until| now < until)
    }
}

/// A look back at a broken glass, which closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who looked.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was found; never empty.
    pub note: String,
}
