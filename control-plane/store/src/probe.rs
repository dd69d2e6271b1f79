//! Looks at a PostgreSQL database before a control plane is given it. Nothing is written.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};

use crate::classify::{WAIT_S, classify};
use crate::url::Address;
use crate::{StoreError, StoreUrl, migrate};

/// What a PostgreSQL server says of itself and of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Its address without the password.
    pub at: String,
    /// Its version as a number: 160004 is 16.4.
    pub version_number: i64,
    /// Its version in its own words.
    pub version: String,
    /// The database's encoding: `UTF8`.
    pub encoding: String,
    /// May this user create tables in the schema where they would be?
    pub may_create: bool,
    /// Does it take no writes: a standby, or set so?
    pub is_read_only: bool,
    /// Connections that this user could open beside those that there are now, this one not counted.
    pub free_connections: i64,
    /// The version of Nimbus's schema in it; 0: there is none.
    pub schema: i64,
}

/// All of it but the schema, in one row. Limits that are not set are the largest number; a setting that an older server does
/// not know is none.
const LOOK: &str = "
    SELECT current_setting('server_version_num')::BIGINT,
           current_setting('server_version'),
           pg_encoding_to_char(d.encoding)::TEXT,
           COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false),
           pg_is_in_recovery() OR current_setting('default_transaction_read_only')::BOOLEAN,
           GREATEST(0, 1 + LEAST(
               current_setting('max_connections')::BIGINT
                   - current_setting('superuser_reserved_connections')::BIGINT
                   - COALESCE(current_setting('reserved_connections', true)::BIGINT, 0)
                   - (SELECT COALESCE(SUM(numbackends), 0)::BIGINT FROM pg_stat_database),
               CASE WHEN d.datconnlimit < 0 THEN 2147483647 ELSE d.datconnlimit
                   - (SELECT COUNT(*) FROM pg_stat_activity WHERE datid = d.oid) END,
               CASE WHEN r.rolconnlimit < 0 THEN 2147483647 ELSE r.rolconnlimit
                   - (SELECT COUNT(*) FROM pg_stat_activity WHERE usesysid = r.oid) END))
    FROM pg_database d, pg_roles r
    WHERE d.datname = current_database() AND r.rolname = current_user";

/// Looks at the PostgreSQL database at `url`, within twice [`WAIT_S`].
///
/// # Errors
/// [`StoreError::Invalid`] for the embedded database; otherwise as opening one does.
pub async fn probe(url: &StoreUrl) -> Result<Probed, StoreError> {
    let at = url.to_string();
    let Address::Postgres(options) = &url.0 else {
        return Err(StoreError::Invalid {
            expected: "the address of a PostgreSQL database, postgres://user@host:5432/nimbus".to_owned(),
            found: at,
        });
    };
    let options = options.as_ref().clone().disable_statement_logging();
    let limit = Duration::from_secs(WAIT_S);
    let late = |_| classify(&at, &sqlx::Error::PoolTimedOut);
    let fail = |error: sqlx::Error| classify(&at, &error);
    let mut connection = tokio::time::timeout(limit, PgConnection::connect_with(&options))
        .await
        .map_err(late)?
        .map_err(fail)?;
    let probed = tokio::time::timeout(limit, look(&at, &mut connection)).await.map_err(late)?;
    // What was read is known, whether the farewell arrives or not.
    let _ = tokio::time::timeout(limit, connection.close()).await;
    probed
}

async fn look(at: &str, connection: &mut PgConnection) -> Result<Probed, StoreError> {
    let fail = |error: sqlx::Error| classify(at, &error);
    let row = sqlx::query(LOOK).fetch_one(&mut *connection).await.map_err(fail)?;
    let (schema, _) = migrate::read_schema_postgres(at, connection).await?;
    Ok(Probed {
        at: at.to_owned(),
        version_number: row.try_get(0).map_err(fail)?,
        version: row.try_get(1).map_err(fail)?,
        encoding: row.try_get(2).map_err(fail)?,
        may_create: row.try_get(3).map_err(fail)?,
        is_read_only: row.try_get(4).map_err(fail)?,
        free_connections: row.try_get(5).map_err(fail)?,
        schema,
    })
}
