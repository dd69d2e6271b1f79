//! What travels from one SQLite database to another, and that no table or column is forgotten.

use std::collections::BTreeSet;

use nimbus_control_core::model::{ChangeSet, Versioned};

use super::*;
use crate::story::things::{agent, at, audit, batch};
use crate::{Store, StoreError, StoreUrl};

fn restoration() -> Restoration<'static> {
    Restoration { backup: "b1", made_at: at(10), now: at(20), epoch: 1_000, last_position: 70 }
}

async fn filled(url: &StoreUrl) -> Store {
    let store = Store::open(url).await.unwrap();
    store.next_epoch().await.unwrap();
    let changes = ChangeSet {
        agents: (1..=300).map(|n| Versioned::new(agent(n))).collect(),
        audit: vec![audit("agent.joined", "agt_1"), audit("agent.joined", "agt_2")],
        cursors: vec![("ingest".to_owned(), 2)],
        ..ChangeSet::default()
    };
    store.commit(&changes).await.unwrap();
    store.append(&[batch(1, 1, 4), batch(2, 1, 9)]).await.unwrap();
    store.save_snapshot(1, b"\x00\xffsnapshot").await.unwrap();
    store.belong_to("keys").await.unwrap();
    store
}

async fn copy(from: &StoreUrl, to: &StoreUrl) -> Result<u64, StoreError> {
    let mut export = Export::open(from).await?;
    let mut import = Import::begin(to).await?;
    let mut count = 0;
    for table in tables() {
        let mut rows = Vec::new();
        count += export
            .rows(table, |row| {
                rows.push(row.to_vec());
                Ok::<_, StoreError>(())
            })
            .await?;
        for row in rows {
            import.row(table, row).await?;
        }
    }
    export.close().await?;
    import.finish(&restoration()).await?;
    Ok(count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_and_every_column_travels() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::sqlite(dir.path().join("a.db"))).await.unwrap();
    // Which processes there are is nothing that a restored control plane goes on with.
    let sql = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'
               AND m.name NOT LIKE 'sqlite_%' AND m.name NOT IN ('schema_version', 'replicas')";
    let rows = store.db.rows(sql, &[]).await.unwrap();
    let there: BTreeSet<(String, String)> =
        rows.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect();
    let listed = tables()
        .iter()
        .flat_map(|table| table.columns.iter().map(|column| (table.name.to_owned(), column.name.to_owned())));
    assert_eq!(there, listed.collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_while_a_control_plane_writes_holds_one_moment_and_goes_on_above_its_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (StoreUrl::sqlite(dir.path().join("a.db")), StoreUrl::sqlite(dir.path().join("b.db")));
    let store = filled(&from).await;
    let mut export = Export::open(&from).await.unwrap();
    assert_eq!((export.epoch().await.unwrap(), export.owner().await.unwrap().as_deref()), (1, Some("keys")));
    store.append(&[batch(1, 5, 6)]).await.unwrap();
    let log = tables().iter().find(|table| table.name == "observations").unwrap();
    let later = export.rows(log, |_| Ok::<_, StoreError>(())).await.unwrap();
    assert_eq!((later, export.last_position().await.unwrap()), (2, 2), "what came later is not in it");
    export.close().await.unwrap();

    let rows = copy(&from, &to).await.unwrap();
    assert!(rows > 300, "{rows}");
    let copied = Store::open_for(&to, crate::History::Expected, crate::Sharing::Alone, "keys").await.unwrap();
    assert!(copied.verify_audit().await.unwrap().is_ok());
    assert_eq!(copied.check_rows().await.unwrap(), Vec::<String>::new());
    assert_eq!(copied.check_structure().await.unwrap(), Vec::<String>::new());
    assert_eq!(copied.high_water_marks().await.unwrap(), store.high_water_marks().await.unwrap());
    assert_eq!(copied.read_log(0, 500).await.unwrap(), store.read_log(0, 500).await.unwrap());
    assert_eq!(copied.load_snapshot().await.unwrap(), store.load_snapshot().await.unwrap());
    assert_eq!(copied.cursor("ingest").await.unwrap(), 2);
    assert_eq!(copied.append(&[batch(3, 1, 1)]).await.unwrap(), 71, "no position is given out twice");
    assert_eq!(copied.next_epoch().await.unwrap(), 1_001);
    let mut again = Export::open(&to).await.unwrap();
    assert_eq!(again.restored().await.unwrap().as_deref(), Some("b1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_empty_database_is_filled_and_what_is_given_up_leaves_it_empty() {
    let dir = tempfile::tempdir().unwrap();
    let url = StoreUrl::sqlite(dir.path().join("a.db"));
    let agents = tables()[0];
    let mut import = Import::begin(&url).await.unwrap();
    let wrong = import.row(&agents, vec![Cell::Int(1)]).await.unwrap_err();
    assert!(wrong.to_string().contains("expected a row of agents"), "{wrong}");
    import.abandon().await;
    let error = Export::open(&url).await.err().unwrap();
    assert!(matches!(error, StoreError::NoHistory { .. }), "{error}");
    filled(&url).await.close().await;
    let error = Import::begin(&url).await.err().unwrap();
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");
}
