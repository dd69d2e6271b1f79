//! Asks the control plane.

use nimbus_api::client::{Client, ClientError};
use nimbus_api::{AgentQuery, ApprovalQuery, DriftQuery, IncidentQuery, JobQuery, PageQuery};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::NEWEST;
use super::parts::Question;
use super::piece::Raw;

/// After so long no further incident's details are asked for, so that those that were read are not lost.
const DETAILS_FOR: Duration = Duration::from_secs(20);

/// The answer to a question.
pub async fn ask(client: &Client, question: Question) -> Result<Raw, ClientError> {
    let limit = Some(NEWEST);
    let raw = match question {
        Question::Version => client.version().await?.raw,
        Question::Status => client.status().await?.raw,
        Question::Clusters => {
            client.clusters(&PageQuery { limit: Some(500), ..PageQuery::default() }).await?.raw
        }
        Question::Agents => {
            client.agents(&AgentQuery { limit: Some(500), ..AgentQuery::default() }).await?.raw
        }
        Question::Incidents => {
            client.incidents(&IncidentQuery { limit, ..IncidentQuery::default() }).await?.raw
        }
        Question::IncidentDetails => incidents(client).await?,
        Question::Approvals => {
            client.approvals(&ApprovalQuery { limit, ..ApprovalQuery::default() }).await?.raw
        }
        Question::Jobs => client.jobs(&JobQuery { limit, ..JobQuery::default() }).await?.raw,
        Question::Drift => client.drifts(&DriftQuery { limit, ..DriftQuery::default() }).await?.raw,
        Question::AuditVerification => client.verify_audit().await?.raw,
        Question::Autonomous => {
            client.autonomous(&PageQuery { limit: Some(500), ..PageQuery::default() }).await?.raw
        }
        Question::Rules => client.rules().await?.raw,
        Question::Metrics => return client.metrics().await.map(Raw::Text),
    };
    Ok(Raw::Document(raw))
}

/// Everything of the newest incidents, as many as can be read in time.
async fn incidents(client: &Client) -> Result<Value, ClientError> {
    let end = Instant::now() + DETAILS_FOR;
    let query = IncidentQuery { limit: Some(NEWEST), ..IncidentQuery::default() };
    let list = client.incidents(&query).await?.raw;
    let ids = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut items = Vec::with_capacity(ids.len());
    for id in ids.iter().filter_map(|incident| incident["id"].as_str()) {
        if Instant::now() >= end {
            break;
        }
        items.push(client.incident(id).await?.raw);
    }
    let left_out = ids.len() - items.len();
    Ok(json!({"items": items, "left_out": left_out}))
}
