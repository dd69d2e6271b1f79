//! Runs the stories on each database, and tests what only one of them can show.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::db::Pools;
use crate::{NewBatch, Store, StoreError, StoreUrl, story};

/// A server for the stories on PostgreSQL; without it they are told in the tests that cross crates alone.
const SERVER: &str = "NIMBUS_TEST_POSTGRES_URL";

async fn on_sqlite(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    story::tell(name, &StoreUrl::sqlite(dir.path().join("nimbus.db"))).await;
}

async fn on_postgres(name: &str) {
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = std::env::var(SERVER) else { return };
    let database = format!("story_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&server).await.unwrap();
    let run = |sql: String| sqlx::raw_sql(AssertSqlSafe(sql));
    run(format!("CREATE DATABASE {database}")).execute(&mut admin).await.unwrap();
    let base = server.rsplit_once('/').unwrap().0;
    story::tell(name, &format!("{base}/{database}").parse().unwrap()).await;
    run(format!("DROP DATABASE {database} WITH (FORCE)")).execute(&mut admin).await.unwrap();
}

macro_rules! stories {
    ($($name:ident)*) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::on_sqlite(stringify!($name)).await; })* }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::on_postgres(stringify!($name)).await; })* }

        #[test]
        fn every_story_is_told() {
            assert_eq!(story::NAMES, [$(stringify!($name)),*]);
        }
    };
}

stories! {
    appended_batches_and_marks_outlive_a_restart
    gaps_are_taken_and_overlaps_refused
    concurrent_appends_become_visible_in_order
    large_rows_are_read_in_portions
    a_conflict_leaves_nothing_behind
    one_open_incident_for_one_cause
    a_token_is_used_once
    lists_page_over_equal_times
    odd_texts_survive
    an_id_that_cannot_be_kept_is_refused
    answered_approvals_are_not_read_again
    a_document_without_a_list_of_its_own_is_kept
    a_changed_a_removed_and_a_cut_off_row_are_found
    two_writers_extend_one_chain
    audit_rows_are_found_by_filter
    a_newer_schema_is_refused_untouched
    an_older_schema_is_refused_untouched
    two_start_at_once_on_an_empty_database
    epochs_grow_at_each_start
    a_later_epoch_ends_the_earlier_one
    one_control_plane_on_a_database
    cursors_never_move_back
    snapshots_survive_and_damage_is_noticed
    finished_documents_go_and_the_rest_stays
    agents_of_gone_pods_go_and_the_others_stay
    a_changed_value_in_any_small_table_or_in_the_log_is_found
    rows_without_a_checksum_get_one
    an_export_shows_one_moment
    a_name_has_one_access_token
}

fn batch(n: u64) -> NewBatch {
    NewBatch {
        agent: "agt_00000000000000000000000000000001".parse().unwrap(),
        first: n,
        last: n,
        count: 1,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        payload: vec![7; 20_000],
    }
}

/// Limits or frees the room of a SQLite store, as a full disk would.
async fn set_max_pages(store: &Store, pages: u32) {
    let Pools::Sqlite { write, .. } = &store.db.pools else { panic!("a SQLite store") };
    sqlx::query(AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).fetch_all(write).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let url = StoreUrl::sqlite(dir.path().join("nimbus.db"));
    let store = Store::open(&url).await.unwrap();
    set_max_pages(&store, 120).await;
    let mut stored = 0;
    let error = loop {
        match store.append(&[batch(stored + 1)]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }) && error.is_transient(), "{error}");
    assert!(stored > 0, "there was room at first");
    assert_eq!(store.log_span().await.unwrap().rows, stored);
    assert_eq!(store.high_water_marks().await.unwrap()[&batch(1).agent], stored);
    set_max_pages(&store, 10_000).await;
    store.append(&[batch(stored + 1)]).await.expect("writing resumes by itself");
    store.close().await;
    assert_eq!(Store::open(&url).await.unwrap().log_span().await.unwrap().rows, stored + 1);
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_nothing_behind_and_the_next_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::sqlite(dir.path().join("nimbus.db"))).await.unwrap();
    let many: Vec<_> = (1..=200).map(batch).collect();
    // Each is dropped a little further on: before the transaction, inside it, or after its end.
    for polls in 0..60 {
        let mut call = Box::pin(store.append(&many));
        let mut left = polls;
        let outcome = std::future::poll_fn(|context| match call.as_mut().poll(context) {
            std::task::Poll::Pending if left > 0 => {
                left -= 1;
                std::task::Poll::Pending
            }
            std::task::Poll::Pending => std::task::Poll::Ready(None),
            std::task::Poll::Ready(outcome) => std::task::Poll::Ready(Some(outcome)),
        });
        let outcome = outcome.await;
        drop(call);
        assert!(outcome.is_none_or(|stored| stored.is_ok()));
        assert_eq!(store.next_epoch().await.unwrap(), polls + 1, "the writer is free again");
        let span = store.log_span().await.unwrap();
        assert!(span.rows == 0, "after {polls} steps {} of 200 rows were kept", span.rows);
    }
    store.append(&many).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nimbus.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = Store::open(&StoreUrl::sqlite(&path)).await.unwrap();
    store.append(&[batch(1)]).await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its write-ahead log and its index");
    store.close().await;
}

#[tokio::test]
async fn acknowledged_means_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::sqlite(dir.path().join("nimbus.db"))).await.unwrap();
    let Pools::Sqlite { write, read } = &store.db.pools else { panic!("a SQLite store") };
    for pool in [write, read] {
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await.unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2), "2 is FULL");
    }
    let refused = sqlx::query("DELETE FROM marks").execute(read).await;
    assert!(refused.is_err(), "readers only read");
    store.close().await;
}

#[tokio::test]
async fn what_is_no_database_is_said_to_be_none_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "shopping: milk, bread, a control plane\n".repeat(200);
    std::fs::write(&path, &text).unwrap();
    let error = Store::open(&StoreUrl::sqlite(&path)).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let missing = Store::open(&StoreUrl::sqlite(dir.path().join("no/such/nimbus.db"))).await.unwrap_err();
    assert!(
        matches!(missing, StoreError::Denied { .. }) && missing.to_string().contains("no/such"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_damaged_document_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::sqlite(dir.path().join("nimbus.db"))).await.unwrap();
    let Pools::Sqlite { write, .. } = &store.db.pools else { panic!("a SQLite store") };
    let sql = "INSERT INTO clusters (id, version, created_at, updated_at, state, cluster, key, doc)
               VALUES ('uid-9', 1, 0, 0, 'observe', 'prod', 'prod', '{\"uid\":')";
    sqlx::query(sql).execute(write).await.unwrap();
    let error = store.all::<nimbus_control_core::model::Cluster>().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("clusters uid-9"), "{error}");
    store.close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url: StoreUrl = format!("postgres://nimbus:s3cret@127.0.0.1:{port}/fleet").parse().unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains(&port.to_string()) && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn another_service_in_the_place_of_postgresql_is_no_defect() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // It may be gone by now.
            let _ =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let url: StoreUrl = format!("postgres://nimbus:s3cret@127.0.0.1:{port}/fleet").parse().unwrap();
    let error = Store::open(&url).await.unwrap_err();
    other.abort();
    assert!(matches!(error, StoreError::OtherServer { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("check host and port") && !text.contains("s3cret"), "{text}");
}
