//! The API's approvals: an operator's decision on one exact plan.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ObjectRef, words};

/// A request for a person's decision, and the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// `apr_…`
    pub id: String,
    /// When it was asked.
    pub created_at: Timestamp,
    /// From then on it is expired.
    pub expires_at: Timestamp,
    /// Name of the cluster or host.
    pub cluster: String,
    /// Which remedy is asked for.
    #[schema(value_type = words::Action)]
    pub kind: String,
    /// How bad the incident behind it is.
    #[schema(value_type = words::Severity)]
    pub severity: String,
    /// Its state.
    #[schema(value_type = words::ApprovalState)]
    pub state: String,
    /// The object that would be acted on.
    pub object: ObjectRef,
    /// Why, in the words of whoever decided; for an expired one why it expired.
    pub reason: String,
    /// One line: what would change.
    pub summary: String,
    /// The incident behind it.
    pub incident_id: String,
    /// The plan it is about.
    pub plan_id: String,
    /// That plan's digest (hex): send it back with the decision.
    pub plan_digest: String,
    /// Who wants the plan; may not approve it.
    pub requested_by: String,
    /// Whose words are needed: for each item one person of any of its groups, and nobody counts for two items. Empty: one person's,
    /// of whatever group.
    #[serde(default)]
    #[schema(required)]
    pub needs: Vec<Vec<String>>,
    /// Who of them approved so far.
    #[serde(default)]
    #[schema(required)]
    pub given: Vec<ApprovalWord>,
    /// In words, whose word is still needed, as `one of oncall, and one of payments or platform`; empty when nobody's is, or when
    /// one person's is, of whatever group.
    #[serde(default)]
    #[schema(required)]
    pub still_needed: String,
    /// That one person approved alone where several had to, or passed windows and blackouts by; `null` when nobody did.
    pub broken_glass: Option<BrokenGlass>,
    /// Who answered; several names where several had to.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// The one job it was used for.
    pub used_by: Option<String>,
}

/// One person's word for an approval that asks several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalWord {
    /// Who.
    pub by: String,
    /// The groups that the person was in at that moment.
    pub groups: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// Why; may be empty.
    pub reason: String,
}

/// That one person approved alone where several had to, or passed windows and blackouts by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokenGlass {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// What it passes by: `blackout NAME` for each that was then, and `outside its windows`; nothing that came later.
    #[serde(default)]
    pub past: Vec<String>,
    /// Another person's look back at it; `null` while that is owed.
    pub review: Option<GlassReview>,
}

/// A look back at a broken glass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GlassReview {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was found.
    pub note: String,
}
