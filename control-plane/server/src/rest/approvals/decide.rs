//! What approving, denying and fixing have in common: one answer to one request, taken once.

use nimbus_control_core::approval::{Answer, Decision};
use nimbus_control_core::model::{Approval, ApprovalState, ChangeSet};
use nimbus_control_core::remediation;

use super::Case;
use crate::app::App;
use crate::rest::caller::Principal;
use crate::rest::error::ApiError;
use crate::rest::retry::until_alone;

/// A person's word, as the request brought it.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// Whose word it is.
    pub by: &'a Principal,
    /// Yes or no.
    pub decision: Decision,
    /// Why.
    pub reason: &'a str,
    /// Digest of the plan that was shown; a yes always brings one.
    pub digest: Option<&'a str>,
}

/// Takes a person's word on an approval. The same word again (same principal, same plan) changes nothing and
/// gets the same answer.
pub async fn decide(app: &App, id: &str, word: Word<'_>) -> Result<Case, ApiError> {
    until_alone(|| attempt(app, id, word)).await?;
    super::find(app, id).await
}

async fn attempt(app: &App, id: &str, word: Word<'_>) -> Result<(), ApiError> {
    let case = super::find(app, id).await?;
    if !given(&case.approval.doc, word) {
        app.commit(&changes(app, &case, word)?).await?;
        nimbus_platform::reached("cp::approved");
    }
    Ok(())
}

/// What the word would change, without changing it.
pub fn changes(app: &App, case: &Case, word: Word<'_>) -> Result<ChangeSet, ApiError> {
    let Word { by, decision, reason, digest } = word;
    let answer = Answer { by: by.name(), decision, reason, digest };
    Ok(remediation::decide(&case.approval, &case.incident, &case.plan, &answer, app.now())?)
}

/// Whether just this word was given before.
fn given(approval: &Approval, word: Word<'_>) -> bool {
    let state = match word.decision {
        Decision::Approve => ApprovalState::Approved,
        Decision::Deny => ApprovalState::Denied,
    };
    let same_plan = word.digest.is_none_or(|digest| digest == approval.plan_digest);
    approval.state == state && approval.decided_by.as_deref() == Some(word.by.name()) && same_plan
}
