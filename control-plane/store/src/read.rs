//! Reads documents: by id, by page, or all that a decision needs.
//!
//! Decides the order of lists (time of making, then id, so that equal times still have one order) and what a cursor
//! looks like. Pages are bounded; a reader of everything is bounded too, and refuses rather than leave some out.

use jiff::Timestamp;
use nimbus_control_core::model::{
    Approval, ApprovalState, Document, Incident, IncidentState, Job, JobState, Versioned,
};
use nimbus_protocol::ids::IncidentId;
use nimbus_protocol::to_micros;

use crate::db::{Row, Sql};
use crate::document::{COLUMNS, checksum, clean, key_column, storable};
use crate::retention::OWES_A_REVIEW;
use crate::types::page_size;
use crate::{Filter, Page, Store, StoreError};

/// Most documents that one call returns, apart from lists, whose bound is [`crate::MAX_PAGE`].
pub const MAX_ALL: u32 = 20_000;
/// Ids in one statement.
const IDS: usize = 500;

impl Store {
    /// One document.
    pub async fn get<T: Document>(&self, id: impl ToString) -> Result<Option<Versioned<T>>, StoreError> {
        let id = id.to_string();
        if !storable(&id) {
            return Ok(None);
        }
        let mut sql = select::<T>();
        sql.push(" WHERE id = ").bind(id);
        self.db.row(sql.text(), &sql.values).await?.as_ref().map(document).transpose()
    }

    /// The documents with these ids that exist, oldest first within each 500 ids asked for.
    pub async fn many<T: Document>(
        &self,
        ids: impl IntoIterator<Item = impl ToString>,
    ) -> Result<Vec<Versioned<T>>, StoreError> {
        let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).filter(|id| storable(id)).collect();
        self.by_column("id", &ids, &[]).await
    }

    /// Every document of a table, oldest first; [`StoreError::TooMany`] above [`MAX_ALL`].
    pub async fn all<T: Document>(&self) -> Result<Vec<Versioned<T>>, StoreError> {
        self.whole(select::<T>()).await
    }

    /// One page of the documents that a filter lets through.
    pub async fn list<T: Document>(&self, filter: &Filter) -> Result<Page<T>, StoreError> {
        let limit = page_size(filter.limit);
        let sql = select_page::<T>(filter, limit + 1)?;
        let rows = self.db.rows(sql.text(), &sql.values).await?;
        let mut items = rows.iter().map(document::<T>).collect::<Result<Vec<_>, _>>()?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|item| cursor(&item.doc));
        Ok(Page { items, next })
    }

    /// How many documents are in each state; states without any are left out.
    pub async fn counts<T: Document>(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut sql = Sql::new("SELECT state, COUNT(*) FROM ");
        sql.push(T::TABLE).push(" GROUP BY state ORDER BY state");
        let rows = self.db.rows(sql.text(), &sql.values).await?;
        rows.iter().map(|row| Ok((row.get(0)?, row.unsigned(1)?))).collect()
    }

    /// Every incident that is not resolved; [`StoreError::TooMany`] above [`MAX_ALL`].
    pub async fn open_incidents(&self) -> Result<Vec<Versioned<Incident>>, StoreError> {
        let mut sql = select::<Incident>();
        // A literal, so that the index of the incidents that are not resolved can serve.
        sql.push(&format!(" WHERE state <> '{}'", IncidentState::Resolved));
        self.whole(sql).await
    }

    /// The approvals of these incidents that wait for an answer or were granted: what a decision needs, however many were
    /// denied or ran out before. [`StoreError::TooMany`] above [`MAX_ALL`].
    pub async fn open_approvals_of(
        &self,
        incidents: &[IncidentId],
    ) -> Result<Vec<Versioned<Approval>>, StoreError> {
        let open = [ApprovalState::Pending.as_str(), ApprovalState::Approved.as_str()];
        self.by_column("key", &incidents.iter().map(ToString::to_string).collect::<Vec<_>>(), &open).await
    }

    /// Every job of these incidents, in whatever state.
    pub async fn jobs_of(&self, incidents: &[IncidentId]) -> Result<Vec<Versioned<Job>>, StoreError> {
        self.by_column("key", &incidents.iter().map(ToString::to_string).collect::<Vec<_>>(), &[]).await
    }

    /// Every job that is not in a final state, and those made or finished since a moment.
    pub async fn jobs_active_or_since(&self, since: Timestamp) -> Result<Vec<Versioned<Job>>, StoreError> {
        let active = JobState::ALL.iter().filter(|state| !state.is_final()).map(|state| state.as_str());
        let mut sql = select::<Job>();
        sql.push(" WHERE state IN ").bind_all(active).push(" OR updated_at >= ").bind(since);
        self.whole(sql).await
    }

    /// The documents with one of these values in a column, in one of these states; in any when none is given.
    async fn by_column<T: Document>(
        &self,
        column: &str,
        values: &[String],
        states: &[&str],
    ) -> Result<Vec<Versioned<T>>, StoreError> {
        let mut found = Vec::new();
        for part in values.chunks(IDS) {
            let mut sql = select::<T>();
            sql.push(" WHERE ").push(column).push(" IN ").bind_all(part.iter().map(String::as_str));
            if !states.is_empty() {
                sql.push(" AND state IN ").bind_all(states.iter().copied());
            }
            found.extend(self.whole(sql).await?);
            if found.len() > MAX_ALL as usize {
                return Err(StoreError::TooMany { table: T::TABLE, bound: MAX_ALL });
            }
        }
        Ok(found)
    }

    /// Everything that a statement without an order finds, oldest first.
    async fn whole<T: Document>(&self, mut sql: Sql<'_>) -> Result<Vec<Versioned<T>>, StoreError> {
        sql.push(" ORDER BY created_at, id LIMIT ").bind(MAX_ALL + 1);
        let rows = self.db.rows(sql.text(), &sql.values).await?;
        if rows.len() > MAX_ALL as usize {
            return Err(StoreError::TooMany { table: T::TABLE, bound: MAX_ALL });
        }
        rows.iter().map(document).collect()
    }
}

fn select<'a, T: Document>() -> Sql<'a> {
    let mut sql = Sql::new("SELECT ");
    sql.push(COLUMNS).push(" FROM ").push(T::TABLE);
    sql
}

fn select_page<T: Document>(filter: &Filter, limit: u32) -> Result<Sql<'_>, StoreError> {
    let mut sql = select::<T>();
    sql.push(" WHERE 1 = 1");
    if !filter.states.is_empty() {
        sql.push(" AND state IN ").bind_all(filter.states.iter().map(|state| clean(state)));
    }
    if let Some(state) = &filter.not_state {
        sql.push(" AND state <> ").bind(clean(state));
    }
    if let Some(cluster) = &filter.cluster {
        sql.push(" AND cluster = ").bind(clean(cluster));
    }
    if let Some(key) = &filter.key {
        sql.push(" AND key = ").bind(key_column(key));
    }
    if filter.owes_a_review {
        sql.push(" AND ").push(if T::TABLE == Approval::TABLE { OWES_A_REVIEW } else { "1 = 0" });
    }
    if let Some(after) = &filter.after {
        let (micros, id) = parse_cursor(after)?;
        sql.push(if filter.newest_first { " AND (created_at, id) < (" } else { " AND (created_at, id) > (" });
        sql.bind(micros).push(", ").bind(id).push(")");
    }
    let order = if filter.newest_first { "created_at DESC, id DESC" } else { "created_at, id" };
    sql.push(" ORDER BY ").push(order).push(" LIMIT ").bind(limit);
    Ok(sql)
}

/// Where a list goes on after a document.
fn cursor<T: Document>(document: &T) -> String {
    format!("{}.{}", to_micros(document.columns().created_at), document.id())
}

fn parse_cursor(text: &str) -> Result<(i64, &str), StoreError> {
    let parts = text.split_once('.').and_then(|(micros, id)| Some((micros.parse().ok()?, id)));
    parts.filter(|(_, id)| storable(id)).ok_or_else(|| StoreError::Invalid {
        expected: "the `next` of the page before as a cursor".to_owned(),
        found: format!("{:?}", text.chars().take(80).collect::<String>()),
    })
}

fn document<T: Document>(row: &Row) -> Result<Versioned<T>, StoreError> {
    // A row of a build that wrote no checksum has none.
    if let Some(sum) = row.get::<Option<i64>>(8)? {
        let found = checksum(T::TABLE, row)?;
        if found != sum {
            let id: String = row.get(2)?;
            let expected = format!("{} {id} as it was written (checksum {sum:08x})", T::TABLE);
            return Err(row.corrupt(&expected, &format!("checksum {found:08x}")));
        }
    }
    let json: String = row.get(1)?;
    let doc = serde_json::from_str(&json).map_err(|error| {
        let id = row.get::<String>(2).unwrap_or_default();
        row.corrupt(&format!("a document that this build knows in {} {id}", T::TABLE), &error.to_string())
    })?;
    Ok(Versioned { version: row.get(0)?, doc })
}
