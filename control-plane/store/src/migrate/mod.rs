//! Schema migrations: forward only, numbered from [`OLDEST`], each applied in one transaction together with its number.
//!
//! Decides which database this build may touch: one that is empty, or whose schema is neither older than the first
//! migration here nor newer than the last. There is no way back; a backup is.

mod access_tokens;
mod checksums;
mod initial;
mod pauses;
mod replicas;
mod rules;
mod small_checksums;

use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqlSafeStr as _, SqlStr, SqliteConnection};

use crate::StoreError;
use crate::classify::classify;
use crate::db::{Db, Tx};

/// Which build wrote a schema.
const BUILD: &str = concat!("nimbus ", env!("CARGO_PKG_VERSION"));
/// The schema that the first migration brings. Nothing migrates from the one before it, whose documents had another
/// shape: such a database is refused.
const OLDEST: i64 = 2;
/// The first schema under which control planes stand by for each other.
const LEASES: i64 = 4;
/// Every migration, in order: the first brings schema [`OLDEST`].
const MIGRATIONS: &[&[Step]] = &[
    initial::STEPS,
    checksums::STEPS,
    small_checksums::STEPS,
    replicas::STEPS,
    pauses::STEPS,
    access_tokens::STEPS,
    rules::STEPS,
];
/// The tables of documents that the first migration made.
const FIRST_DOCUMENTS: &[&str] =
    &["agents", "tokens", "clusters", "incidents", "plans", "approvals", "jobs", "revision_histories"];
/// Every table of documents that there is now.
pub(crate) const DOCUMENTS: &[&str] = &[
    "agents",
    "tokens",
    "clusters",
    "incidents",
    "plans",
    "approvals",
    "jobs",
    "revision_histories",
    pauses::TABLE,
    access_tokens::TABLE,
    rules::TABLE,
];
/// Held while migrating, so that of two replicas that start together one migrates. "nimbus" and 1.
pub(crate) const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(1852402005, 1)";

const HAS_VERSIONS_SQLITE: &str =
    "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'";
const HAS_VERSIONS_POSTGRES: &str = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('schema_version')";
const NEWEST: &str = "SELECT version, build FROM schema_version ORDER BY version DESC LIMIT 1";

/// One statement of a migration. `{text}`, `{blob}` and `{position}` stand for the dialect's types.
pub(crate) enum Step {
    /// For both.
    Both(&'static str),
    /// For SQLite.
    Sqlite(&'static str),
    /// For PostgreSQL.
    Postgres(&'static str),
    /// For both, once for each table; `{table}` stands for its name.
    Each(&'static [&'static str], &'static str),
}

/// The schema of a database and the build that wrote it; 0 for an empty one.
pub(crate) type FoundSchema = (i64, String);

/// The newest schema that this build knows.
pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).map_or(i64::MAX, |migrations| OLDEST - 1 + migrations)
}

/// Reads a SQLite database's schema and changes nothing.
pub(crate) async fn read_schema_sqlite(
    at: &str,
    connection: &mut SqliteConnection,
) -> Result<FoundSchema, StoreError> {
    let fail = |error: sqlx::Error| classify(at, &error);
    let tables: i64 =
        sqlx::query_scalar(HAS_VERSIONS_SQLITE).fetch_one(&mut *connection).await.map_err(fail)?;
    if tables == 0 {
        return Ok((0, String::new()));
    }
    let row = sqlx::query(NEWEST).fetch_optional(&mut *connection).await.map_err(fail)?;
    row.map_or(Ok((0, String::new())), |row| {
        Ok((row.try_get(0).map_err(fail)?, row.try_get(1).map_err(fail)?))
    })
}

/// Reads a PostgreSQL database's schema and changes nothing.
pub(crate) async fn read_schema_postgres(
    at: &str,
    connection: &mut PgConnection,
) -> Result<FoundSchema, StoreError> {
    let fail = |error: sqlx::Error| classify(at, &error);
    let tables: i64 =
        sqlx::query_scalar(HAS_VERSIONS_POSTGRES).fetch_one(&mut *connection).await.map_err(fail)?;
    if tables == 0 {
        return Ok((0, String::new()));
    }
    let row = sqlx::query(NEWEST).fetch_optional(&mut *connection).await.map_err(fail)?;
    row.map_or(Ok((0, String::new())), |row| {
        Ok((row.try_get(0).map_err(fail)?, row.try_get(1).map_err(fail)?))
    })
}

/// May this build touch a database with this schema?
pub(crate) fn accept(at: &str, (found, build): FoundSchema) -> Result<(), StoreError> {
    let known = known();
    if found > known {
        return Err(StoreError::NewerSchema { at: at.to_owned(), found, known, build });
    }
    if found != 0 && found < OLDEST {
        return Err(StoreError::OlderSchema { at: at.to_owned(), found, oldest: OLDEST, build });
    }
    Ok(())
}

/// Is the schema one under which control planes stand by for each other?
pub(crate) async fn has_leases(db: &Db) -> Result<bool, StoreError> {
    let mut tx = db.begin().await?;
    let outcome = seen(&mut tx).await.map(|(schema, _)| schema >= LEASES);
    tx.finish(outcome).await
}

/// Applies what is missing. While control planes stand by for each other only the one that leads calls this; a migration must
/// not lock `counters` for seconds, or that one cannot renew its lease.
pub(crate) async fn run(db: &Db) -> Result<(), StoreError> {
    loop {
        let mut tx = db.begin().await?;
        let outcome = next(&mut tx).await;
        if !tx.finish(outcome).await? {
            return Ok(());
        }
    }
}

/// Applies the next migration; false when there is none.
pub(crate) async fn next(tx: &mut Tx) -> Result<bool, StoreError> {
    let at = tx.at.clone();
    if tx.is_postgres() {
        tx.rows(MIGRATION_LOCK, &[]).await?;
    }
    let seen = seen(tx).await?;
    accept(&at, seen.clone())?;
    // An empty database counts as the one before the first.
    let version = seen.0.max(OLDEST - 1) + 1;
    let next = usize::try_from(version - OLDEST).ok();
    let Some(steps) = next.and_then(|next| MIGRATIONS.get(next)) else { return Ok(false) };
    for step in *steps {
        for sql in texts(step, tx.is_postgres()) {
            tx.execute(sql, &[]).await?;
        }
    }
    tx.execute(
        "INSERT INTO schema_version (version, build) VALUES ($1, $2)",
        &[version.into(), BUILD.into()],
    )
    .await?;
    tracing::info!(database = %at, version, "schema brought up to date");
    Ok(true)
}

/// The schema as a transaction sees it.
async fn seen(tx: &mut Tx) -> Result<FoundSchema, StoreError> {
    let has_versions = if tx.is_postgres() { HAS_VERSIONS_POSTGRES } else { HAS_VERSIONS_SQLITE };
    let tables: i64 = tx.row(has_versions, &[]).await?.map_or(Ok(0), |row| row.get(0))?;
    let row = match tables {
        0 => None,
        _ => tx.row(NEWEST, &[]).await?,
    };
    row.map_or(Ok((0, String::new())), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The statements of a step in their dialect.
fn texts(step: &Step, postgres: bool) -> Vec<SqlStr> {
    let (tables, sql): (&[&str], &str) = match (step, postgres) {
        (Step::Each(tables, sql), _) => (tables, sql),
        (Step::Both(sql), _) | (Step::Sqlite(sql), false) | (Step::Postgres(sql), true) => (&[""], sql),
        (Step::Sqlite(_), true) | (Step::Postgres(_), false) => return Vec::new(),
    };
    let (text, blob, position) = if postgres {
        // "C" compares bytes, as SQLite does: the same order and the same pages on both.
        ("TEXT COLLATE \"C\"", "BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    } else {
        // AUTOINCREMENT: a position is never given out twice, even after the log was trimmed empty.
        ("TEXT", "BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT")
    };
    let sql = sql.replace("{text}", text).replace("{blob}", blob).replace("{position}", position);
    // Literals of this crate with types and names put in.
    tables.iter().map(|table| AssertSqlSafe(sql.replace("{table}", table)).into_sql_str()).collect()
}
