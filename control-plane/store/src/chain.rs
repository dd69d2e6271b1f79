//! The audit log's hash chain in the store: extended inside a commit, read by page, by filter, or from end to end.
//!
//! Decides that the chain has one end: the row in `audit_head` is taken before a row is added, so that two writers
//! stand in line and the chain never forks. How a row is hashed is the core's decision. Audit rows are never removed
//! in this version, and the database refuses to change one.

use nimbus_control_core::audit::{ChainError, Verified, Verifier, hash};
use nimbus_control_core::model::{AuditDraft, AuditRow};

use crate::db::{Row, Sql, Tx, Value};
use crate::document::clean;
use crate::types::page_size;
use crate::{AuditFilter, AuditHead, AuditPage, MAX_PAGE, Store, StoreError};

const COLUMNS: &str = "SELECT seq, prev, hash, at, actor, action, subject, cluster, detail FROM audit";

/// Adds rows at the end of the chain; the new end, or `None` when there was nothing to add.
pub(crate) async fn extend(tx: &mut Tx, drafts: &[AuditDraft]) -> Result<Option<AuditHead>, StoreError> {
    if drafts.is_empty() {
        return Ok(None);
    }
    let added = i64::try_from(drafts.len()).unwrap_or(i64::MAX);
    // The update is the lock: another writer waits here until this transaction ends, and then sees its head.
    let sql = "UPDATE audit_head SET seq = seq + $1 WHERE id = 1 RETURNING seq, hash";
    let row = tx.row(sql, &[added.into()]).await?.ok_or_else(|| StoreError::Corrupt {
        at: tx.at.to_string(),
        expected: "the end of the audit chain in audit_head".to_owned(),
        found: "no row".to_owned(),
    })?;
    let mut head =
        AuditHead { seq: row.unsigned::<u64>(0)?.saturating_sub(drafts.len() as u64), hash: row.get(1)? };
    for draft in drafts {
        head = add(tx, head, draft).await?;
    }
    tx.execute("UPDATE audit_head SET hash = $1 WHERE id = 1", &[head.hash.as_str().into()]).await?;
    Ok(Some(head))
}

async fn add(tx: &mut Tx, head: AuditHead, draft: &AuditDraft) -> Result<AuditHead, StoreError> {
    // Hashed as it will be read again.
    let draft = AuditDraft {
        at: draft.at,
        actor: clean(&draft.actor),
        action: clean(&draft.action),
        subject: clean(&draft.subject),
        cluster: clean(&draft.cluster),
        detail: clean(&draft.detail),
    };
    let seq = head.seq + 1;
    let own = hash(&head.hash, seq, &draft);
    let values: [Value<'_>; 9] = [
        i64::try_from(seq).unwrap_or(i64::MAX).into(),
        head.hash.into(),
        own.as_str().into(),
        draft.at.into(),
        draft.actor.into(),
        draft.action.into(),
        draft.subject.into(),
        draft.cluster.into(),
        draft.detail.into(),
    ];
    let sql = "INSERT INTO audit (seq, prev, hash, at, actor, action, subject, cluster, detail)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    tx.execute(sql, &values).await?;
    Ok(AuditHead { seq, hash: own })
}

impl Store {
    /// One page of the rows that a filter lets through.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
        let limit = page_size(filter.limit);
        let sql = select(filter, limit + 1)?;
        let rows = self.db.rows(sql.text(), &sql.values).await?;
        let mut rows = rows.iter().map(audit_row).collect::<Result<Vec<_>, _>>()?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| more).map(|row| row.seq.to_string());
        Ok(AuditPage { rows, next })
    }

    /// The end of the chain, as kept apart from the rows.
    pub async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        let row = self.db.row("SELECT seq, hash FROM audit_head WHERE id = 1", &[]).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt {
            at: self.address(),
            expected: "the end of the audit chain in audit_head".to_owned(),
            found: "no row".to_owned(),
        })?;
        Ok(AuditHead { seq: row.unsigned(0)?, hash: row.get(1)? })
    }

    /// Rows from a place in the chain on (1 is the first), in order, at most `limit` (and [`MAX_PAGE`]).
    pub async fn audit_rows(&self, from_seq: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        let from = i64::try_from(from_seq).unwrap_or(i64::MAX);
        let mut sql = Sql::new(COLUMNS);
        sql.push(" WHERE seq >= ").bind(from).push(" ORDER BY seq LIMIT ").bind(limit.clamp(1, MAX_PAGE));
        self.db.rows(sql.text(), &sql.values).await?.iter().map(audit_row).collect()
    }

    /// Verifies the whole chain, also that its tail is not cut off; reads [`MAX_PAGE`] rows at a time. Rows that are
    /// added meanwhile are left for the next time.
    pub async fn verify_audit(&self) -> Result<Result<Verified, ChainError>, StoreError> {
        let head = self.audit_head().await?;
        let mut verifier = Verifier::default();
        let mut next = 1;
        while next <= head.seq {
            let rows = self.audit_rows(next, MAX_PAGE).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows.iter().take_while(|row| row.seq <= head.seq) {
                if let Err(error) = verifier.push(row) {
                    return Ok(Err(error));
                }
                next = row.seq + 1;
            }
            if rows.last().is_some_and(|row| row.seq > head.seq) {
                break;
            }
        }
        Ok(verifier.finish(Some(&head.hash)))
    }
}

fn select(filter: &AuditFilter, limit: u32) -> Result<Sql<'_>, StoreError> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" WHERE 1 = 1");
    if let Some(actor) = &filter.actor {
        sql.push(" AND actor = ").bind(clean(actor));
    }
    if let Some(action) = &filter.action {
        // The character after '.' is '/': every action that begins with the group's name and a dot lies between.
        let action = clean(action);
        sql.push(" AND (action = ").bind(action.clone());
        sql.push(" OR (action >= ")
            .bind(format!("{action}."))
            .push(" AND action < ")
            .bind(format!("{action}/"));
        sql.push("))");
    }
    if let Some(cluster) = &filter.cluster {
        sql.push(" AND cluster = ").bind(clean(cluster));
    }
    if let Some(since) = filter.since {
        sql.push(" AND at >= ").bind(since);
    }
    if let Some(until) = filter.until {
        sql.push(" AND at < ").bind(until);
    }
    if let Some(after) = &filter.after {
        let after: i64 = after.parse().map_err(|_| StoreError::Invalid {
            expected: "the `next` of the page before as a cursor".to_owned(),
            found: format!("{:?}", after.chars().take(80).collect::<String>()),
        })?;
        sql.push(if filter.newest_first { " AND seq < " } else { " AND seq > " }).bind(after);
    }
    sql.push(if filter.newest_first { " ORDER BY seq DESC LIMIT " } else { " ORDER BY seq LIMIT " })
        .bind(limit);
    Ok(sql)
}

fn audit_row(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: row.unsigned(0)?,
        prev: row.get(1)?,
        hash: row.get(2)?,
        draft: AuditDraft {
            at: row.time(3)?,
            actor: row.get(4)?,
            action: row.get(5)?,
            subject: row.get(6)?,
            cluster: row.get(7)?,
            detail: row.get(8)?,
        },
    })
}
