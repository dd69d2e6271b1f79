//! Stories (shared tests) about rows that are no documents and are not what was written.

use nimbus_control_core::model::ChangeSet;

use super::things::{agent_id, batch};
use super::{open, tamper};
use crate::{Store, StoreError, StoreUrl};

/// Each table with a change that is as plausible as what was there, the change back, and what the check names.
const CHANGES: &[(&str, &str, &str)] = &[
    ("UPDATE marks SET mark = mark + 64", "UPDATE marks SET mark = mark - 64", "marks agt_"),
    ("UPDATE marks SET since = since + 1", "UPDATE marks SET since = since - 1", "marks agt_"),
    (
        "UPDATE cursors SET position = position + 2",
        "UPDATE cursors SET position = position - 2",
        "cursors ingest",
    ),
    ("UPDATE counters SET value = value + 16", "UPDATE counters SET value = value - 16", "counters epoch"),
    ("UPDATE meta SET value = 'girst'", "UPDATE meta SET value = 'first'", "meta instance"),
    (
        "UPDATE observations SET last_seq = last_seq + 8",
        "UPDATE observations SET last_seq = last_seq - 8",
        "position 1",
    ),
    (
        "UPDATE observations SET received_at = received_at + 1",
        "UPDATE observations SET received_at = received_at - 1",
        "position 1",
    ),
    (
        "UPDATE observations SET agent = replace(agent, '1', '3')",
        "UPDATE observations SET agent = replace(agent, '3', '1')",
        "position 1",
    ),
];

/// One row in each of the tables.
async fn filled(store: &Store) {
    store.append(&[batch(1, 1, 9)]).await.unwrap();
    let moved = ChangeSet { cursors: vec![("ingest".to_owned(), 1)], ..ChangeSet::default() };
    store.commit(&moved).await.unwrap();
    store.next_epoch().await.unwrap();
    store.meta_set("instance", "first").await.unwrap();
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
}

/// A changed value is said by the check, and whoever would decide by it is refused, or gets nothing.
pub async fn a_changed_value_in_any_small_table_or_in_the_log_is_found(url: &StoreUrl) {
    let store = open(url).await;
    filled(&store).await;
    for (change, back, names) in CHANGES {
        tamper(&store, change).await;
        let damage = store.check_rows().await.unwrap();
        assert!(damage.len() == 1 && damage[0].contains(names), "{change}: {damage:?}");
        let refused = match names.split(' ').next() {
            Some("marks") => store.high_water_marks().await.map(|_| ()),
            Some("cursors") => store.cursor("ingest").await.map(|_| ()),
            Some("counters") => store.check_epoch().await,
            Some("meta") => store.meta_get("instance").await.map(|_| ()),
            _ => {
                let rows = store.read_log(0, 100).await.unwrap();
                assert!(
                    rows.len() == 1 && rows[0].payload.is_empty() && rows[0].last == 0,
                    "{change}: {rows:?}"
                );
                assert_eq!(rows[0].position, 1, "whoever reads on gets past it");
                Err(StoreError::Corrupt { at: String::new(), expected: String::new(), found: String::new() })
            }
        };
        assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{change}: {refused:?}");
        tamper(&store, back).await;
        assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new(), "{back}");
    }
    tamper(&store, "UPDATE counters SET value = value + 1").await;
    let error = store.next_epoch().await.unwrap_err();
    assert!(
        matches!(error, StoreError::Corrupt { .. }),
        "no epoch is counted on from a damaged one: {error}"
    );
    tamper(&store, "UPDATE counters SET value = value - 1").await;
    assert_eq!(store.next_epoch().await.unwrap(), 2);
    assert_eq!(store.high_water_marks().await.unwrap()[&agent_id(1)], 9);
    store.close().await;
}

/// What an earlier build wrote has no checksum: it is read as it is, and from the first check on it is guarded too.
pub async fn rows_without_a_checksum_get_one(url: &StoreUrl) {
    let store = open(url).await;
    filled(&store).await;
    for forget in [
        "UPDATE marks SET sum = NULL",
        "UPDATE cursors SET sum = NULL",
        "UPDATE counters SET sum = NULL",
        "UPDATE meta SET sum = NULL",
        "UPDATE observations SET sum = NULL",
    ] {
        tamper(&store, forget).await;
    }
    assert_eq!(store.high_water_marks().await.unwrap()[&agent_id(1)], 9);
    assert_eq!(store.cursor("ingest").await.unwrap(), 1);
    assert_eq!(store.meta_get("instance").await.unwrap().as_deref(), Some("first"));
    store.check_epoch().await.unwrap();
    assert_eq!(store.read_log(0, 100).await.unwrap()[0].last, 9);
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
    tamper(&store, "UPDATE marks SET mark = 73").await;
    tamper(&store, "UPDATE meta SET value = 'girst'").await;
    assert_eq!(store.check_rows().await.unwrap().len(), 2);
    store.close().await;
}
