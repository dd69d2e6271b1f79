//! Reads and changes an embedded database from outside, as an attacker or an older build would.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row as _};

async fn open(path: &Path) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{}", path.display()))?;
    Ok(SqlitePool::connect_with(options).await?)
}

/// Runs statements on a database that nobody has open.
pub async fn execute(path: &Path, sql: &str) -> anyhow::Result<()> {
    let pool = open(path).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&pool).await?;
    pool.close().await;
    Ok(())
}

/// The first column of each row.
pub async fn texts(path: &Path, sql: &str) -> anyhow::Result<Vec<String>> {
    let pool = open(path).await?;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&pool).await?;
    pool.close().await;
    rows.iter().map(|row| Ok(row.try_get::<String, _>(0)?)).collect()
}

/// Schema and row counts, to see that nothing was touched.
pub async fn dump(path: &Path) -> anyhow::Result<Vec<String>> {
    let tables = texts(path, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").await?;
    let mut all = texts(path, "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY name").await?;
    for table in tables {
        all.extend(texts(path, &format!("SELECT '{table} ' || count(*) FROM {table}")).await?);
    }
    all.extend(texts(path, "SELECT 'version ' || version FROM schema_version").await?);
    Ok(all)
}
