//! What approving, denying and fixing share: an operator's answer to one approval request, recorded once.

use jiff::Timestamp;
use nimbus_control_core::approval::{Answer, Decision};
use nimbus_control_core::calendar::Held;
use nimbus_control_core::model::{Approval, ApprovalState, ChangeSet};
use nimbus_control_core::remediation;

use super::ApprovalCase;
use crate::app::App;
use crate::rest::caller::Principal;
use crate::rest::error::ApiError;
use crate::rest::retry::until_alone;

/// An operator's answer to an approval request.
#[derive(Debug, Clone, Copy)]
pub struct OperatorAnswer<'a> {
    /// Who answers.
    pub by: &'a Principal,
    /// Approve or deny.
    pub decision: Decision,
    /// Why.
    pub reason: &'a str,
    /// Digest of the plan that was shown; an approval always names one.
    pub digest: Option<&'a str>,
    /// Approves alone what several people have to approve.
    pub breaks_glass: bool,
}

/// Records an operator's answer to an approval request. The same answer again (same principal, same plan) changes
/// nothing and gets the same response.
pub async fn decide(app: &App, id: &str, answer: OperatorAnswer<'_>) -> Result<ApprovalCase, ApiError> {
    until_alone(|| attempt(app, id, answer)).await?;
    super::find(app, id).await
}

async fn attempt(app: &App, id: &str, answer: OperatorAnswer<'_>) -> Result<(), ApiError> {
    let case = super::find(app, id).await?;
    let held = held(app, &case).await?;
    if !is_recorded(&case.approval.doc, answer, held.as_ref(), app.now()) {
        app.commit(&changed(app, &case, answer, held.as_ref())?).await?;
        app.reviews.changed();
        nimbus_platform::reached("cp::approved");
    }
    Ok(())
}

/// What the answer would change, without changing it.
pub async fn changes(
    app: &App,
    case: &ApprovalCase,
    answer: OperatorAnswer<'_>,
) -> Result<ChangeSet, ApiError> {
    changed(app, case, answer, held(app, case).await?.as_ref())
}

fn changed(
    app: &App,
    case: &ApprovalCase,
    answer: OperatorAnswer<'_>,
    held: Option<&Held>,
) -> Result<ChangeSet, ApiError> {
    let OperatorAnswer { by, decision, reason, digest, breaks_glass } = answer;
    let answer = Answer { by: by.name(), decision, reason, digest, groups: by.groups(), breaks_glass };
    Ok(remediation::decide(&case.approval, &case.incident, &case.plan, &answer, held, app.now())?)
}

/// What of windows and blackouts holds the plan back now, but for what was passed by before.
async fn held(app: &App, case: &ApprovalCase) -> Result<Option<Held>, ApiError> {
    if !app.settings.has_calendar() {
        return Ok(None);
    }
    let passed = case.approval.doc.broken_glass.as_ref().map(|broken| broken.past.as_slice());
    let (action, passed) = (case.plan.action.kind(), passed.unwrap_or_default());
    let docs = app.docs().await?;
    Ok(app.with_snapshot(&docs, |s| s.held_by_calendar(action, &case.incident.doc, passed)))
}

/// Whether exactly this answer was recorded before.
fn is_recorded(approval: &Approval, answer: OperatorAnswer<'_>, held: Option<&Held>, now: Timestamp) -> bool {
    let state = match answer.decision {
        Decision::Approve => ApprovalState::Approved,
        Decision::Deny => ApprovalState::Denied,
    };
    let same_plan = answer.digest.is_none_or(|digest| digest == approval.plan_digest);
    let by = answer.by.name();
    let glass = approval.broken_glass.as_ref();
    let word = approval.given.iter().any(|word| word.by == by);
    let own = approval.decided_by.as_deref() == Some(by);
    let is_recorded = match answer.decision {
        Decision::Deny => approval.state == state && own,
        // The last word that was missing breaks nothing where nothing holds it back.
        Decision::Approve if answer.breaks_glass => {
            let alone = glass.map_or(word, |broken| broken.by == by);
            approval.state == state && alone && held.is_none()
        }
        Decision::Approve => match approval.state {
            ApprovalState::Pending => word && now < approval.expires_at,
            ApprovalState::Approved => word || own,
            ApprovalState::Denied | ApprovalState::Expired => false,
        },
    };
    is_recorded && same_plan
}
