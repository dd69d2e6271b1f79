//! Deletes documents that ended long ago. The log is trimmed by [`Store::trim_log`]; audit rows are kept for good in
//! this version.
//!
//! Decides what may go: resolved incidents with their plans, approvals and jobs, join and access tokens that are used, revoked or ran out,
//! and the revision histories of workloads that are gone. Of agents only those of pods that are gone may go
//! ([`Store::trim_gone_agents`]); other agents, clusters, and whatever belongs to an incident that is not resolved, stay.

use jiff::Timestamp;
use nimbus_control_core::model::{IncidentState, JobState};
use sqlx::AssertSqlSafe;

use crate::db::{Sql, Tx, Value};
use crate::{Store, StoreError, Trimmed};

/// Most incidents, most tokens and most revision histories that one call removes, so that it never holds up the writer for long.
pub const MAX_TRIM_DOCUMENTS: u32 = 200;

/// Of the approvals those that somebody gave alone where several had to, and that nobody reviewed. A quote within a reason is
/// written with a backslash before it, and is none of these.
pub(crate) const OWES_A_REVIEW: &str = r#"approvals.doc LIKE '%"broken_glass":{%"review":null%'"#;

/// The name in `meta` of the key of an agent's last renewal.
pub fn renewal_name(agent: &dyn std::fmt::Display) -> String {
    format!("renewal/{agent}")
}

/// The name in `meta` of the time at which the certificate was issued with which an agent was let in that renewed it between
/// a backup and its restore.
pub fn restored_renewal_name(agent: &dyn std::fmt::Display) -> String {
    format!("restored-renewal/{agent}")
}

impl Store {
    /// Removes what was finished before a moment, the oldest first, at most [`MAX_TRIM_DOCUMENTS`] incidents, and
    /// as many tokens and histories. Call again while it returns as many. An incident with a job that is not in a final state stays,
    /// and so does one whose approval was given alone where several people had to and that nobody reviewed.
    pub async fn trim_documents(&self, before: Timestamp) -> Result<Trimmed, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = trim(&mut tx, before).await;
        tx.finish(outcome).await
    }
}

impl Store {
    /// Removes the agents of pods that were gone before a moment, the oldest first, at most [`MAX_TRIM_DOCUMENTS`], with
    /// their marks and the keys of their renewals. Every replaced pod leaves one; the audit log keeps their names.
    pub async fn trim_gone_agents(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let outcome = gone_agents(&mut tx, before).await;
        tx.finish(outcome).await
    }
}

async fn gone_agents(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    let values: [Value<'_>; 2] = [before.into(), MAX_TRIM_DOCUMENTS.into()];
    let sql = "SELECT id FROM agents WHERE state = 'gone' AND updated_at < $1 ORDER BY updated_at LIMIT $2";
    let rows = tx.rows(sql, &values).await?;
    let agents: Vec<String> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    if agents.is_empty() {
        return Ok(0);
    }
    let renewals: Vec<String> =
        agents.iter().flat_map(|agent| [renewal_name(agent), restored_renewal_name(agent)]).collect();
    delete(tx, "meta", "name", &renewals).await?;
    delete(tx, "marks", "agent", &agents).await?;
    delete(tx, "agents", "id", &agents).await
}

async fn trim(tx: &mut Tx, before: Timestamp) -> Result<Trimmed, StoreError> {
    let mut trimmed = Trimmed::default();
    let incidents = finished_incidents(tx, before).await?;
    if !incidents.is_empty() {
        for table in ["plans", "approvals", "jobs"] {
            trimmed.theirs += delete(tx, table, "key", &incidents).await?;
        }
        trimmed.incidents = delete(tx, "incidents", "id", &incidents).await?;
    }
    let values: [Value<'_>; 2] = [before.into(), MAX_TRIM_DOCUMENTS.into()];
    // A token's time of change is its use, or else its end; of a revoked one never before its end.
    let sql = "DELETE FROM tokens WHERE id IN
               (SELECT id FROM tokens WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)";
    trimmed.tokens = tx.execute(sql, &values).await?;
    // An access token's is when it was revoked, or else its end.
    let sql = "DELETE FROM access_tokens WHERE id IN
               (SELECT id FROM access_tokens WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)";
    trimmed.tokens += tx.execute(sql, &values).await?;
    // A history's is the moment in which its workload was gone.
    let sql = "DELETE FROM revision_histories WHERE id IN (SELECT id FROM revision_histories
               WHERE state = 'gone' AND updated_at < $1 ORDER BY updated_at LIMIT $2)";
    trimmed.histories = tx.execute(sql, &values).await?;
    Ok(trimmed)
}

async fn finished_incidents(tx: &mut Tx, before: Timestamp) -> Result<Vec<String>, StoreError> {
    let active = JobState::ALL.iter().filter(|state| !state.is_final()).map(|state| state.as_str());
    let mut sql = Sql::new("SELECT id FROM incidents WHERE state = ");
    sql.bind(IncidentState::Resolved.as_str()).push(" AND updated_at < ").bind(before);
    sql.push(" AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.key = incidents.id AND jobs.state IN ");
    // A broken glass that nobody reviewed stays until somebody does.
    sql.bind_all(active)
        .push(") AND NOT EXISTS (SELECT 1 FROM approvals WHERE approvals.key = incidents.id AND ");
    sql.push(OWES_A_REVIEW).push(") ORDER BY updated_at LIMIT ").bind(MAX_TRIM_DOCUMENTS);
    tx.rows(sql.text(), &sql.values).await?.iter().map(|row| row.get(0)).collect()
}

async fn delete(tx: &mut Tx, table: &str, column: &str, values: &[String]) -> Result<u64, StoreError> {
    let mut sql = Sql::new(format!("DELETE FROM {table} WHERE {column} IN "));
    sql.bind_all(values.iter().map(String::as_str));
    let text: AssertSqlSafe<String> = sql.text();
    tx.execute(text, &sql.values).await
}
