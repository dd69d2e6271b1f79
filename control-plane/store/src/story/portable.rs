//! What a backup reads: one moment of a database that others go on writing to.

use super::open;
use super::things::{agent, audit, batch};
use crate::{Export, Store, StoreError, StoreUrl, tables};
use nimbus_control_core::model::{ChangeSet, Versioned};

/// The rows of each table, by its name.
async fn counts(export: &mut Export) -> Vec<(&'static str, u64)> {
    let mut counts = Vec::new();
    for table in tables() {
        counts.push((table.name, export.rows(table, |_| Ok::<_, StoreError>(())).await.unwrap()));
    }
    counts
}

async fn write(store: &Store, n: u32) {
    let changes = ChangeSet {
        agents: vec![Versioned::new(agent(n))],
        audit: vec![audit("agent.joined", "agt")],
        ..ChangeSet::default()
    };
    store.commit(&changes).await.unwrap();
    store.append(&[batch(n, 1, 3)]).await.unwrap();
}

/// Whatever is written meanwhile, an export reads what was there when it was opened, and knows which position of the log was
/// given out last also when its row is gone.
pub async fn an_export_shows_one_moment(url: &StoreUrl) {
    let error = Export::open(url).await.err().unwrap();
    assert!(matches!(error, StoreError::NoHistory { .. }), "{error}");
    let store = open(url).await;
    let error = Export::open(url).await.err().unwrap();
    assert!(matches!(error, StoreError::NoHistory { .. }), "no control plane started on it: {error}");
    store.next_epoch().await.unwrap();
    store.belong_to("keys").await.unwrap();
    write(&store, 1).await;
    write(&store, 2).await;
    let mut export = Export::open(url).await.unwrap();
    let before = counts(&mut export).await;
    assert!(before.contains(&("agents", 2)) && before.contains(&("audit", 2)), "{before:?}");
    write(&store, 3).await;
    assert_eq!(store.trim_log(3).await.unwrap(), 2);
    assert_eq!(counts(&mut export).await, before, "what came later, and what went");
    assert_eq!((export.epoch().await.unwrap(), export.owner().await.unwrap().as_deref()), (1, Some("keys")));
    export.close().await.unwrap();

    assert_eq!(store.trim_log(9).await.unwrap(), 1);
    let mut export = Export::open(url).await.unwrap();
    let after = counts(&mut export).await;
    assert!(after.contains(&("observations", 0)) && after.contains(&("marks", 3)), "{after:?}");
    assert_eq!(export.last_position().await.unwrap(), 3);
    assert_eq!(export.restored().await.unwrap(), None);
    export.close().await.unwrap();
}
