//! Commits a change set: documents, audit rows and cursors, together or not at all.
//!
//! Decides that a document is written only over the version that was read. What a change set holds was decided by
//! whoever made it.

use nimbus_control_core::model::{AnyDocument, ChangeSet, Document, Removed, Versioned};
use nimbus_protocol::to_micros;
use sqlx::AssertSqlSafe;

use crate::db::{Tx, Value};
use crate::document::{Stored, clean, key_column, storable};
use crate::sums;
use crate::{AuditHead, Committed, Store, StoreError, chain};

impl Store {
    /// Writes a change set in one transaction. When this returns, all of it is on disk.
    ///
    /// [`StoreError::Conflict`] names the document (or cursor) that is no longer what was read, that exists already
    /// although it came with version 0, or whose key another open incident has. [`StoreError::Invalid`] refuses an id
    /// that holds a NUL character, which one of the databases cannot keep: no later call with it succeeds either.
    /// After [`StoreError::Unreachable`] the change set may or may not be written: read again.
    pub async fn commit(&self, changes: &ChangeSet) -> Result<Committed, StoreError> {
        if changes.is_empty() {
            return Ok(Committed { audit_head: None });
        }
        let mut tx = self.begin().await?;
        let outcome = write(&mut tx, changes).await;
        tx.finish(outcome).await.map(|audit_head| Committed { audit_head })
    }
}

async fn write(tx: &mut Tx, changes: &ChangeSet) -> Result<Option<AuditHead>, StoreError> {
    // The chain first: its head is a lock, and everyone who takes it takes it before any document.
    let head = chain::extend(tx, &changes.audit).await?;
    put_all(tx, &changes.agents).await?;
    put_all(tx, &changes.tokens).await?;
    put_all(tx, &changes.clusters).await?;
    put_all(tx, &changes.pauses).await?;
    put_all(tx, &changes.incidents).await?;
    put_all(tx, &changes.plans).await?;
    put_all(tx, &changes.approvals).await?;
    put_all(tx, &changes.jobs).await?;
    for document in &changes.documents {
        put(tx, document.version, &document.doc).await?;
    }
    for document in &changes.removed {
        remove(tx, document).await?;
    }
    for (name, position) in &changes.cursors {
        move_cursor(tx, name, *position).await?;
    }
    Ok(head)
}

async fn put_all<T: Document>(tx: &mut Tx, documents: &[Versioned<T>]) -> Result<(), StoreError> {
    for document in documents {
        put(tx, document.version, &AnyDocument::of(&document.doc)).await?;
    }
    Ok(())
}

/// Writes one document, of whatever table, over the version that was read.
async fn put(tx: &mut Tx, version: i64, document: &AnyDocument) -> Result<(), StoreError> {
    let AnyDocument { table, id, columns, json } = document;
    if !storable(id) {
        return Err(StoreError::Invalid {
            expected: format!("an id of {table} without NUL characters"),
            found: format!("{:?}", id.chars().take(80).collect::<String>()),
        });
    }
    let json = json.as_ref().map_err(|error| StoreError::Invalid {
        expected: "a document that can be written as JSON".to_owned(),
        found: format!("{table} {id}: {error}"),
    })?;
    let (cluster, key) = (clean(&columns.cluster), key_column(&columns.key));
    let stored = Stored {
        table,
        id,
        version: version + 1,
        created_at: to_micros(columns.created_at),
        updated_at: to_micros(columns.updated_at),
        state: columns.state,
        cluster: &cluster,
        key: &key,
        doc: json,
    };
    let values: [Value<'_>; 9] = [
        id.as_str().into(),
        version.into(),
        columns.created_at.into(),
        columns.updated_at.into(),
        columns.state.into(),
        cluster.as_str().into(),
        key.as_str().into(),
        json.as_str().into(),
        stored.checksum().into(),
    ];
    let sql = if version == 0 {
        // Whatever is in the way - the id, or an open incident with the same cause - nothing is inserted.
        format!(
            "INSERT INTO {table} (id, version, created_at, updated_at, state, cluster, key, doc, sum)
             VALUES ($1, $2 + 1, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING"
        )
    } else {
        format!(
            "UPDATE {table} SET version = $2 + 1, created_at = $3, updated_at = $4, state = $5, cluster = $6, key = $7,
             doc = $8, sum = $9 WHERE id = $1 AND version = $2"
        )
    };
    let conflict = |detail: String| StoreError::Conflict { table, id: id.clone(), detail };
    match tx.execute(AssertSqlSafe(sql), &values).await {
        Ok(1) => Ok(()),
        Ok(_) if version == 0 => Err(conflict(
            "expected to be new, found it, or an open one with the same key, stored already".to_owned(),
        )),
        Ok(_) => Err(conflict(format!("expected version {version}, found it changed since"))),
        Err(StoreError::Conflict { detail, .. }) => Err(conflict(detail)),
        Err(error) => Err(error),
    }
}

/// Removes one document, as it was read.
async fn remove(tx: &mut Tx, document: &Removed) -> Result<(), StoreError> {
    let Removed { table, id, version } = document;
    let sql = format!("DELETE FROM {table} WHERE id = $1 AND version = $2");
    match tx.execute(AssertSqlSafe(sql), &[id.as_str().into(), (*version).into()]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict {
            table,
            id: id.clone(),
            detail: format!("expected version {version} to remove, found it changed or gone since"),
        }),
    }
}

/// A cursor only moves on: one that would move back belongs to a reader that another has overtaken.
async fn move_cursor(tx: &mut Tx, name: &str, position: i64) -> Result<(), StoreError> {
    let sql = "INSERT INTO cursors (name, position, sum) VALUES ($1, $2, $3)
               ON CONFLICT (name) DO UPDATE SET position = excluded.position, sum = excluded.sum
               WHERE cursors.position <= excluded.position";
    let sum = sums::sum("cursors", name, &position.to_string());
    match tx.execute(sql, &[name.into(), position.into(), sum.into()]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict {
            table: "cursors",
            id: name.to_owned(),
            detail: format!("expected to move on to {position}, found it further on"),
        }),
    }
}
