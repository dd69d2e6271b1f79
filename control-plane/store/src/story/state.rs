//! Stories (shared tests) about schema versions and small state.

use nimbus_control_core::model::ChangeSet;

use super::things::{at, audit, batch};
use super::{open, tamper};
use crate::{Store, StoreError, StoreUrl};

/// Ends the session that holds the lock of this database.
const END_THE_HOLDER: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 1852402005 AND objid = 3 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// A database of a newer Nimbus is refused, and not a byte of it is changed.
pub async fn a_newer_schema_is_refused_untouched(url: &StoreUrl) {
    let store = open(url).await;
    store.append(&[batch(1, 1, 9)]).await.unwrap();
    tamper(&store, "INSERT INTO schema_version (version, build) VALUES (999, 'nimbus 99.0')").await;
    store.close().await;
    let bytes = || url.path().map(|path| std::fs::read(path).unwrap());
    let before = bytes();
    let error = Store::open(url).await.unwrap_err();
    let StoreError::NewerSchema { found: 999, known, build, .. } = &error else {
        panic!("expected the newer schema to be refused, found {error}");
    };
    assert_eq!((*known, build.as_str()), (crate::schema_version(), "nimbus 99.0"));
    assert!(error.to_string().contains("newer Nimbus") && error.to_string().contains("upgrade"), "{error}");
    assert!(bytes() == before, "the file was changed");
}

/// A database of a Nimbus from before the first schema here is refused with what to do, and not a byte of it is changed.
pub async fn an_older_schema_is_refused_untouched(url: &StoreUrl) {
    let store = open(url).await;
    tamper(&store, "DELETE FROM schema_version WHERE version > 2").await;
    tamper(&store, "UPDATE schema_version SET version = 1, build = 'nimbus 0.0.9'").await;
    store.close().await;
    let bytes = || url.path().map(|path| std::fs::read(path).unwrap());
    let before = bytes();
    let error = Store::open(url).await.unwrap_err();
    assert!(matches!(&error, StoreError::OlderSchema { found: 1, oldest: 2, .. }), "{error}");
    for said in ["expected schema 2", "found schema 1", "nimbus 0.0.9", "new data directory"] {
        assert!(error.to_string().contains(said), "{error}");
    }
    assert!(bytes() == before, "the file was changed");
}

/// Two replicas that start at once on an empty database both come up, and it is made once.
pub async fn two_start_at_once_on_an_empty_database(url: &StoreUrl) {
    let (one, other) = tokio::join!(Store::open(url), Store::open(url));
    let (one, other) = (one.unwrap(), other.unwrap());
    one.append(&[batch(1, 1, 9)]).await.unwrap();
    assert_eq!(other.log_span().await.unwrap().rows, 1);
    let versions = other.db.rows("SELECT version FROM schema_version ORDER BY version", &[]).await.unwrap();
    let versions: Vec<i64> = versions.iter().map(|row| row.get(0).unwrap()).collect();
    assert_eq!(versions, (2..=crate::schema_version()).collect::<Vec<_>>());
    one.close().await;
    other.close().await;
}

/// Every start has an epoch of its own, higher than all before it, also of two that start at once.
pub async fn epochs_grow_at_each_start(url: &StoreUrl) {
    let (store, other) = (open(url).await, open(url).await);
    assert_eq!(store.next_epoch().await.unwrap(), 1);
    let (a, b) = tokio::join!(store.next_epoch(), other.next_epoch());
    let mut both = [a.unwrap(), b.unwrap()];
    both.sort_unstable();
    assert_eq!(both, [2, 3]);
    other.close().await;
    store.close().await;
    let store = open(url).await;
    assert_eq!(store.next_epoch().await.unwrap(), 4, "after a restart");

    assert_eq!(store.meta_get("instance").await.unwrap(), None);
    store.meta_set("instance", "first").await.unwrap();
    store.meta_set("instance", "second").await.unwrap();
    assert_eq!(store.meta_get("instance").await.unwrap().as_deref(), Some("second"));
    store.close().await;
}

/// A control plane whose lock was lost unnoticed writes nothing any more from the moment on in which another one
/// started: no document, no observation, no snapshot. A store that never took an epoch is nobody's rival.
pub async fn a_later_epoch_ends_the_earlier_one(url: &StoreUrl) {
    let (tool, first, second) = (open(url).await, open(url).await, open(url).await);
    let recorded = |action: &str| ChangeSet { audit: vec![audit(action, "x")], ..ChangeSet::default() };
    let lost = first.exclusive_use().await.unwrap();
    assert_eq!(first.next_epoch().await.unwrap(), 1);
    first.commit(&recorded("plan.made")).await.unwrap();
    first.append(&[batch(1, 1, 9)]).await.unwrap();
    first.check_epoch().await.unwrap();

    if url.path().is_none() {
        // As a limit for idle sessions would: the one that holds the lock is ended, its holder hears nothing of it.
        tamper(&tool, END_THE_HOLDER).await;
    } else {
        drop(lost);
    }
    let held = second.exclusive_use().await.unwrap();
    assert_eq!(second.next_epoch().await.unwrap(), 2);
    let clone = first.clone();
    for refused in [
        first.commit(&recorded("job.signed")).await.map(|_| ()),
        clone.commit(&recorded("job.signed")).await.map(|_| ()),
        first.append(&[batch(1, 10, 12)]).await.map(|_| ()),
        first.meta_set("instance", "first").await,
        first.save_snapshot(1, b"frozen").await.map(|_| ()),
        first.trim_log(9).await.map(|_| ()),
        first.trim_documents(at(1_000)).await.map(|_| ()),
        first.check_epoch().await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(&error, StoreError::Superseded { own: 1, found: 2, .. }), "{error}");
        assert!(error.is_superseded() && !error.is_transient() && !error.is_conflict(), "{error}");
        assert!(
            error.to_string().contains("started later") && error.to_string().contains("stop it"),
            "{error}"
        );
    }
    assert_eq!(second.audit_head().await.unwrap().seq, 1);
    assert_eq!(
        (second.log_span().await.unwrap().rows, second.high_water_marks().await.unwrap().len()),
        (1, 1)
    );
    assert_eq!(second.high_water_marks().await.unwrap()[&batch(1, 1, 1).agent], 9);
    assert_eq!(
        (second.meta_get("instance").await.unwrap(), second.load_snapshot().await.unwrap()),
        (None, None)
    );

    second.commit(&recorded("plan.made")).await.unwrap();
    second.append(&[batch(1, 10, 12)]).await.unwrap();
    second.check_epoch().await.unwrap();
    tool.commit(&recorded("tool.used")).await.unwrap();
    tool.check_epoch().await.unwrap();
    assert_eq!(second.verify_audit().await.unwrap().unwrap().rows, 3);
    drop(held);
    for store in [tool, first, second] {
        store.close().await;
    }
}

/// A second control plane does not start on a database, until the first one is gone: on a server's, and on a file that
/// is named in another data directory, or by another name.
pub async fn one_control_plane_on_a_database(url: &StoreUrl) {
    let another_name = url.path().map(|path| {
        let link = path.with_file_name("link.db");
        std::os::unix::fs::symlink(path, &link).unwrap();
        StoreUrl::sqlite(link)
    });
    let (store, other) = (open(url).await, open(another_name.as_ref().unwrap_or(url)).await);
    let first = store.exclusive_use().await.unwrap();
    let error = other.exclusive_use().await.unwrap_err();
    assert!(matches!(&error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("stop that one"), "{error}");
    drop(first);
    let _second = other.exclusive_use().await.unwrap();
    store.close().await;
    other.close().await;
}

/// A reader of the log that was overtaken by another cannot put the cursor back.
pub async fn cursors_never_move_back(url: &StoreUrl) {
    let store = open(url).await;
    let to = |position| ChangeSet { cursors: vec![("ingest".to_owned(), position)], ..ChangeSet::default() };
    assert_eq!(store.cursor("ingest").await.unwrap(), 0);
    store.commit(&to(5)).await.unwrap();
    store.commit(&to(8)).await.unwrap();
    store.commit(&to(8)).await.unwrap();
    let error = store.commit(&to(7)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict { table: "cursors", .. }), "{error}");
    assert_eq!(store.cursor("ingest").await.unwrap(), 8);
    store.close().await;
}

/// The newest snapshot comes back to the byte; a damaged one is passed over, and never handed out.
pub async fn snapshots_survive_and_damage_is_noticed(url: &StoreUrl) {
    let store = open(url).await;
    assert_eq!(store.load_snapshot().await.unwrap(), None);
    let world = |n: u8| vec![n; 300_000];
    assert_eq!(
        store.save_snapshot(10, &world(1)).await.unwrap(),
        0,
        "the log is needed while there is only one"
    );
    assert_eq!(store.save_snapshot(20, &world(2)).await.unwrap(), 10);
    assert_eq!(store.save_snapshot(30, &world(3)).await.unwrap(), 20);
    assert_eq!(store.save_snapshot(30, &world(4)).await.unwrap(), 20, "the same position again");
    store.close().await;
    let store = open(url).await;
    assert_eq!(store.load_snapshot().await.unwrap(), Some((30, world(4))));
    tamper(&store, "UPDATE snapshots SET sha256 = 'ff' WHERE position = 30").await;
    assert_eq!(store.load_snapshot().await.unwrap(), Some((20, world(2))));
    tamper(&store, "UPDATE snapshots SET sha256 = 'ff'").await;
    assert!(matches!(store.load_snapshot().await, Err(StoreError::Corrupt { .. })));
    store.close().await;
}
