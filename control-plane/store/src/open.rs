//! Opens a database: creates the file with its mode, sets up the connection pools and their bounds, and configures each
//! connection.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};

use crate::classify::{WAIT_S, classify, io_error};
use crate::db::{Db, Pools};
use crate::migrate;
use crate::store::OWNER;
use crate::url::Address;
use crate::{History, Sharing, StoreError, StoreUrl};

/// Connections that read from SQLite at the same time; a fifth reader waits.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL; a ninth caller waits.
const POSTGRES_CONNECTIONS: u32 = 8;
/// The oldest PostgreSQL server that is supported, as its `server_version_num`; `nimbus preflight` asks for the same.
const OLDEST_POSTGRES: i64 = 140_000;
const SERVER: &str = "
    SELECT current_setting('server_version_num')::BIGINT, current_setting('server_version'),
           current_setting('server_encoding')";
/// The write-ahead log is cut back to this after a burst, bytes.
const WAL_LIMIT: &str = "67108864";
/// Pages (of 4 KiB) in the write-ahead log at which they are moved into the database.
const WAL_PAGES: &str = "4000";

/// Tries to switch the write-ahead log on while another process opens the same file, and the pause between them.
const WAL_TRIES: u32 = 100;
const WAL_PAUSE: Duration = Duration::from_millis(100);

/// What every PostgreSQL connection is told: give up rather than hang, and acknowledge only what is on disk. A
/// stricter `synchronous_commit` of the server's own is left alone. Of a machine that is gone the server learns within a
/// minute, and gives its connections to others.
const POSTGRES_SESSION: &str = "
    SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '10s', false),
           set_config('tcp_keepalives_idle', '30', false), set_config('tcp_keepalives_interval', '10', false),
           set_config('tcp_keepalives_count', '3', false),
           set_config('idle_in_transaction_session_timeout', $1, false),
           set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
                      THEN 'on' ELSE current_setting('synchronous_commit') END, false)";

/// How long nothing may be said in an open transaction before the PostgreSQL server ends it. A process that lives gets an
/// error then, and decides anew.
fn idle_limit(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Alone => "60s",
        // Of a process that stands still, or whose connection is cut: whoever takes its lease waits for what it locked, and
        // should not wait longer than the lease holds.
        Sharing::Beside => "3s",
    }
}

impl Db {
    /// Opens the database; its schema stays as it is. A newer schema is refused before anything is touched.
    ///
    /// So is one that belongs to other keys than these; without any given, nobody asks.
    pub(crate) async fn open(
        url: &StoreUrl,
        (history, sharing): (History, Sharing),
        keys: Option<&str>,
    ) -> Result<Self, StoreError> {
        let at = url.to_string();
        let pools = match &url.0 {
            Address::Sqlite(path) => open_sqlite(&at, path, history, keys).await?,
            Address::Postgres(options) => {
                open_postgres(&at, options, (history, idle_limit(sharing)), keys).await?
            }
        };
        Ok(Self { pools, at: at.into() })
    }

    /// Waits for the calls under way and closes every connection.
    pub(crate) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { write, read } => {
                // Readers first: the last connection to close moves the write-ahead log into the database.
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

async fn open_sqlite(
    at: &str,
    path: &Path,
    history: History,
    keys: Option<&str>,
) -> Result<Pools, StoreError> {
    let fail = |error: sqlx::Error| classify(at, &error);
    if history == History::Expected && !path.try_exists().map_err(|error| io_error(at.to_owned(), &error))? {
        return Err(StoreError::NoHistory { at: at.to_owned(), found: "no such file" });
    }
    private_file(path).map_err(|error| io_error(at.to_owned(), &error))?;
    let plain = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(WAIT_S))
        .foreign_keys(true)
        .disable_statement_logging();

    // Looked at before the write-ahead log is switched on, which would change the file.
    let mut looking = SqliteConnection::connect_with(&plain).await.map_err(fail)?;
    let seen = migrate::read_schema_sqlite(at, &mut looking).await;
    let owner = match &seen {
        Ok((schema, _)) if *schema > 0 => {
            sqlx::query_scalar(OWNED_BY).bind(OWNER).fetch_optional(&mut looking).await.map_err(fail)
        }
        _ => Ok(None),
    };
    let epochs = match &seen {
        Ok((schema, _)) if *schema > 0 => {
            sqlx::query_scalar(EPOCHS).fetch_one(&mut looking).await.map_err(fail)
        }
        _ => Ok(0_i64),
    };
    looking.close().await.map_err(fail)?;
    expect_history(at, seen?, history)?;
    expect_owner(at, owner?, epochs? > 0, keys)?;

    let tuned = plain
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", WAL_LIMIT)
        .pragma("wal_autocheckpoint", WAL_PAGES);
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(Duration::from_secs(WAIT_S))
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let mut tries = 0;
    let write = loop {
        let opening = pool()
            .max_connections(1)
            .after_release(|connection, _| Box::pin(roll_back_leftovers(connection)))
            .connect_with(tuned.clone());
        match opening.await.map_err(fail) {
            // Switching the write-ahead log on does not wait for its turn as statements do.
            Err(StoreError::Locked { .. }) if tries < WAL_TRIES => tries += 1,
            opened => break opened?,
        }
        tokio::time::sleep(WAL_PAUSE).await;
    };
    let read = pool().max_connections(SQLITE_READERS).connect_lazy_with(tuned.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { write, read })
}

/// Rolls back what a dropped call left open; false closes the connection. That nothing is open is the usual answer,
/// and comes as SQLite's plain error 1.
async fn roll_back_leftovers(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    match sqlx::query("ROLLBACK").execute(connection).await {
        Ok(_) => Ok(true),
        Err(sqlx::Error::Database(error)) => Ok(error.code().as_deref() == Some("1")),
        Err(_) => Ok(false),
    }
}

/// Makes the file if there is none; either way nobody but its owner may read it. SQLite gives the files beside it the
/// same mode.
fn private_file(path: &Path) -> io::Result<()> {
    let file = fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(mode & 0o700))?;
    }
    Ok(())
}

/// May this build open a database with this schema, before anything in it is touched?
fn expect_history(at: &str, seen: migrate::FoundSchema, history: History) -> Result<(), StoreError> {
    if seen.0 == 0 && history == History::Expected {
        return Err(StoreError::NoHistory { at: at.to_owned(), found: "an empty database" });
    }
    migrate::accept(at, seen)
}

/// To which keys does a database belong? One that an earlier version made does not say it: it belongs to the keys with which it
/// is opened next, and there have to be some.
const OWNED_BY: &str = "SELECT value FROM meta WHERE name = $1";
/// Did a control plane ever start on this database?
const EPOCHS: &str = "SELECT COUNT(*) FROM counters WHERE name = 'epoch'";

fn expect_owner(
    at: &str,
    owner: Option<String>,
    has_history: bool,
    keys: Option<&str>,
) -> Result<(), StoreError> {
    let refused = |expected: &str, found: String| {
        Err(StoreError::OtherKeys { at: at.to_owned(), expected: expected.to_owned(), found })
    };
    match (owner, keys) {
        (Some(found), Some("")) => refused("none yet", found),
        (Some(found), Some(keys)) if found != keys => refused(keys, found),
        (None, Some("")) if has_history => {
            refused("none yet", "which an earlier version did not note".to_owned())
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn expect_server(at: &str, number: i64, version: String, encoding: String) -> Result<(), StoreError> {
    if number < OLDEST_POSTGRES {
        return Err(StoreError::OldServer { at: at.to_owned(), found: version });
    }
    // One name of a file that it has no letters for would stop every decision.
    if encoding != "UTF8" {
        return Err(StoreError::Encoding { at: at.to_owned(), found: encoding });
    }
    Ok(())
}

async fn open_postgres(
    at: &str,
    options: &PgConnectOptions,
    (history, idle): (History, &'static str),
    keys: Option<&str>,
) -> Result<Pools, StoreError> {
    let fail = |error: sqlx::Error| classify(at, &error);
    let options = options.clone().disable_statement_logging();
    // One connection outside the pool: the pool would wait for a server that refuses, and forget why.
    let connecting = tokio::time::timeout(Duration::from_secs(WAIT_S), PgConnection::connect_with(&options));
    let Ok(connected) = connecting.await else {
        return Err(fail(sqlx::Error::PoolTimedOut));
    };
    let mut looking = connected.map_err(fail)?;
    let (number, version, encoding): (i64, String, String) =
        sqlx::query_as(SERVER).fetch_one(&mut looking).await.map_err(fail)?;
    expect_server(at, number, version, encoding)?;
    let seen = migrate::read_schema_postgres(at, &mut looking).await;
    let owner = match &seen {
        Ok((schema, _)) if *schema > 0 => {
            sqlx::query_scalar(OWNED_BY).bind(OWNER).fetch_optional(&mut looking).await.map_err(fail)
        }
        _ => Ok(None),
    };
    let epochs = match &seen {
        Ok((schema, _)) if *schema > 0 => {
            sqlx::query_scalar(EPOCHS).fetch_one(&mut looking).await.map_err(fail)
        }
        _ => Ok(0_i64),
    };
    looking.close().await.map_err(fail)?;
    expect_history(at, seen?, history)?;
    expect_owner(at, owner?, epochs? > 0, keys)?;

    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(Duration::from_secs(WAIT_S))
        .after_connect(move |connection, _| {
            Box::pin(
                async move { sqlx::query(POSTGRES_SESSION).bind(idle).execute(connection).await.map(|_| ()) },
            )
        })
        .connect_with(options)
        .await
        .map_err(fail)?;
    Ok(Pools::Postgres(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_by_its_version() {
        let expect = |number, version: &str, encoding: &str| {
            expect_server("postgres://n@db:5432/n", number, version.to_owned(), encoding.to_owned())
        };
        assert_eq!(expect(140_000, "14.0", "UTF8"), Ok(()));
        let latin = expect(140_000, "14.0", "LATIN1").unwrap_err().to_string();
        assert!(latin.contains("found one in LATIN1") && latin.contains("ENCODING 'UTF8'"), "{latin}");
        let refused = expect(130_021, "13.21 (Debian)", "UTF8").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "expected PostgreSQL 14 or newer at postgres://n@db:5432/n, found 13.21 (Debian); upgrade the server, nothing \
             was written"
        );
    }

    #[test]
    fn a_database_opens_with_its_own_keys_and_an_older_one_with_any_that_are_there() {
        for (what, owner, has_history, keys, opens) in [
            ("its own", Some("a"), true, Some("a"), true),
            ("other ones", Some("a"), true, Some("b"), false),
            ("none yet", Some("a"), true, Some(""), false),
            ("nobody asks", Some("a"), true, None, true),
            ("an earlier version did not note whose it is", None, true, Some("b"), true),
            ("and there are none yet", None, true, Some(""), false),
            ("no control plane ever started on it", None, false, Some(""), true),
        ] {
            let found = expect_owner("here", owner.map(str::to_owned), has_history, keys);
            assert_eq!(found.is_ok(), opens, "{what}: {found:?}");
        }
    }
}
