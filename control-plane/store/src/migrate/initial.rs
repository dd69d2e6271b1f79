//! Schema 2, the oldest that this version reads: the observation log, the documents, the audit log and the small state
//! beside them.

use super::FIRST_DOCUMENTS;
use super::Step::{self, Both, Each, Postgres, Sqlite};

/// The statements of schema 2.
pub(crate) const STEPS: &[Step] = &[
    Both("CREATE TABLE schema_version (version BIGINT PRIMARY KEY, build TEXT NOT NULL)"),
    // The observation log: a row is a batch of one agent.
    Both(
        "CREATE TABLE observations (position {position}, agent {text} NOT NULL, first_seq BIGINT NOT NULL,
            last_seq BIGINT NOT NULL, items BIGINT NOT NULL, received_at BIGINT NOT NULL, payload {blob} NOT NULL)",
    ),
    // Payloads come compressed: PostgreSQL need not try again.
    Postgres("ALTER TABLE observations ALTER COLUMN payload SET STORAGE EXTERNAL"),
    // `since` is the first sequence number of the append that last moved the mark: an upsert can compare it with the
    // mark that it finds.
    Both("CREATE TABLE marks (agent {text} PRIMARY KEY, since BIGINT NOT NULL, mark BIGINT NOT NULL)"),
    Each(
        FIRST_DOCUMENTS,
        "CREATE TABLE {table} (id {text} PRIMARY KEY, version BIGINT NOT NULL, created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL, state {text} NOT NULL, cluster {text} NOT NULL, key {text} NOT NULL,
            doc TEXT NOT NULL)",
    ),
    Each(FIRST_DOCUMENTS, "CREATE INDEX {table}_made ON {table} (created_at, id)"),
    Each(FIRST_DOCUMENTS, "CREATE INDEX {table}_state ON {table} (state, created_at, id)"),
    Each(FIRST_DOCUMENTS, "CREATE INDEX {table}_key ON {table} (key, created_at, id)"),
    Each(FIRST_DOCUMENTS, "CREATE INDEX {table}_changed ON {table} (updated_at)"),
    // One incident per root cause, held by the database too.
    Both("CREATE UNIQUE INDEX incidents_open ON incidents (key) WHERE state <> 'resolved'"),
    // The audit chain and its end. The end is kept apart: it is the lock of the chain, and a cut-off tail shows.
    Both(
        "CREATE TABLE audit (seq BIGINT PRIMARY KEY, prev TEXT NOT NULL, hash TEXT NOT NULL, at BIGINT NOT NULL,
            actor {text} NOT NULL, action {text} NOT NULL, subject {text} NOT NULL, cluster {text} NOT NULL,
            detail TEXT NOT NULL)",
    ),
    Both("CREATE INDEX audit_at ON audit (at)"),
    Both("CREATE INDEX audit_actor ON audit (actor, seq)"),
    Both("CREATE INDEX audit_action ON audit (action, seq)"),
    Both("CREATE TABLE audit_head (id BIGINT PRIMARY KEY CHECK (id = 1), seq BIGINT NOT NULL, hash TEXT NOT NULL)"),
    Both(
        "INSERT INTO audit_head (id, seq, hash)
         VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000')",
    ),
    Sqlite(
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
         BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
    Sqlite(
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
         BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
    Postgres(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    ),
    Postgres(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
         FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
    ),
    // Small state.
    Both("CREATE TABLE cursors (name {text} PRIMARY KEY, position BIGINT NOT NULL)"),
    Both("CREATE TABLE counters (name {text} PRIMARY KEY, value BIGINT NOT NULL)"),
    Both("CREATE TABLE meta (name {text} PRIMARY KEY, value TEXT NOT NULL)"),
    Both("CREATE TABLE snapshots (position BIGINT PRIMARY KEY, sha256 TEXT NOT NULL, bytes {blob} NOT NULL)"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use nimbus_control_core::model::GENESIS;

    #[test]
    fn the_chain_begins_where_the_core_says() {
        assert!(STEPS.iter().any(|step| matches!(step, Both(sql) if sql.contains(&format!("'{GENESIS}'")))));
    }
}
