//! `GET /api/v1/autonomous/rule-proposals`: the rules that people's answers speak for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{List, MAX_LIMIT, RuleEvidence, RuleProposal};
use nimbus_control_core::model::{Approval, ApprovalState, Job, Plan};
use nimbus_control_core::rules::{self, Answered, Proposed};
use nimbus_protocol::ids::{IncidentId, JobId, PlanId};

use super::shown;
use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params};
use crate::rest::lists;

/// Pages of the newest answers that are looked at.
const MOST_PAGES: usize = 2;

/// The rules that people's answers speak for
#[utoipa::path(
    get, path = "/api/v1/autonomous/rule-proposals", operation_id = "rule_proposals", tag = "autonomous",
    description = "Where people approved the same for the same workload or object three times or more within 30 days, it helped each time and \
                   nobody denied it: a rule by which it is begun without asking. Where the last three answers or more were a no: the built-in \
                   rule without that case, so that nobody is asked any more. From the newest 1,000 answers, 50 at most, all in one page. \
                   They change nothing: a person sets them.",
    responses((status = 200, description = "What is proposed, that with the most answers first", body = List<RuleProposal>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _: Params<Nothing>,
) -> Result<Json<List<RuleProposal>>, ApiError> {
    let approvals = answered(&app).await?;
    let plans = app.store().many::<Plan>(approvals.iter().map(|approval| approval.plan_id)).await?;
    let plans: BTreeMap<PlanId, Plan> = plans.into_iter().map(|plan| (plan.doc.id, plan.doc)).collect();
    let mut incidents: Vec<IncidentId> = approvals.iter().map(|approval| approval.incident_id).collect();
    incidents.sort_unstable();
    incidents.dedup();
    let jobs = app.store().jobs_of(&incidents).await?;
    let jobs: BTreeMap<JobId, Job> = jobs.into_iter().map(|job| (job.doc.id, job.doc)).collect();
    let answers: Vec<Answered<'_>> = approvals
        .iter()
        .filter_map(|approval| {
            let job = approval.used_by.and_then(|id| jobs.get(&id));
            Some(Answered { approval, plan: plans.get(&approval.plan_id)?, job })
        })
        .collect();
    let docs = app.docs().await?;
    let found = rules::proposals(&answers, &docs.rules, app.now());
    let items = found.into_iter().map(proposal).collect::<Result<_, _>>()?;
    Ok(Json(List::whole(items)))
}

/// The newest answers of people.
async fn answered(app: &App) -> Result<Vec<Approval>, ApiError> {
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let mut filter = lists::newest(Some(MAX_LIMIT), after.take());
        filter.states =
            [ApprovalState::Approved, ApprovalState::Denied].map(|state| state.to_string()).to_vec();
        let page = app.store().list::<Approval>(&filter).await?;
        found.extend(page.items.into_iter().map(|approval| approval.doc));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(found)
}

fn proposal(found: rules::RuleProposal) -> Result<RuleProposal, ApiError> {
    let kind = match found.proposed {
        Proposed::Begin => "begin",
        Proposed::Leave => "leave",
    };
    let evidence = found.evidence.into_iter().map(|answer| RuleEvidence {
        approval_id: answer.approval.to_string(),
        by: answer.by,
        at: answer.at,
        text: answer.what,
    });
    let evidence: Vec<RuleEvidence> = evidence.collect();
    Ok(RuleProposal {
        id: found.id,
        // There is one at least.
        created_at: evidence.first().map(|answer| answer.at).unwrap_or_default(),
        kind: kind.to_owned(),
        reason: found.why,
        rule: shown(&found.rule).map_err(|error| ApiError::internal("a proposed rule", &error))?,
        evidence,
    })
}
