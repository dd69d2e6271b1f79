//! Stories (shared tests) about the audit log.

use nimbus_control_core::model::{AuditDraft, ChangeSet, GENESIS};

use super::things::{at, audit};
use super::{open, tamper};
use crate::{AuditFilter, Store, StoreUrl};

async fn record(store: &Store, audit: Vec<AuditDraft>) {
    store.commit(&ChangeSet { audit, ..ChangeSet::default() }).await.unwrap();
}

/// Nobody changes a row by accident; somebody who does it on purpose is found out.
pub async fn a_changed_a_removed_and_a_cut_off_row_are_found(url: &StoreUrl) {
    let store = open(url).await;
    assert_eq!(store.audit_head().await.unwrap().hash, GENESIS);
    assert_eq!(store.verify_audit().await.unwrap().unwrap().rows, 0);
    record(&store, (1..=600).map(|n| audit("job.signed", &format!("job_{n}"))).collect()).await;
    record(&store, vec![audit("job.refused", "job_7")]).await;
    let verified = store.verify_audit().await.unwrap().unwrap();
    assert_eq!((verified.rows, verified.head), (601, store.audit_head().await.unwrap().hash));

    for sql in
        ["UPDATE audit SET detail = 'nothing happened' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"]
    {
        let mut tx = store.db.begin().await.unwrap();
        let refused = tx.execute(sql, &[]).await;
        let error = tx.finish(refused).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
    let whole = store.verify_audit().await.unwrap();
    assert!(whole.is_ok(), "{whole:?}");

    if url.is_postgres() {
        tamper(&store, "ALTER TABLE audit DISABLE TRIGGER audit_no_change").await;
    } else {
        tamper(&store, "DROP TRIGGER audit_no_update").await;
        tamper(&store, "DROP TRIGGER audit_no_delete").await;
    }
    tamper(&store, "DELETE FROM audit WHERE seq = 601").await;
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().seq, 601, "a cut-off tail");
    tamper(&store, "UPDATE audit SET detail = 'nothing happened' WHERE seq = 555").await;
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().seq, 555, "a changed row");
    tamper(&store, "DELETE FROM audit WHERE seq = 42").await;
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().seq, 42, "a removed row");
    store.close().await;
}

/// Two replicas that write at once stand in line: one chain, no fork, no row lost.
pub async fn two_writers_extend_one_chain(url: &StoreUrl) {
    const COMMITS: usize = 30;
    let stores = [open(url).await, open(url).await];
    let mut writers = Vec::new();
    for (replica, store) in stores.iter().cloned().enumerate() {
        writers.push(tokio::spawn(async move {
            for n in 0..COMMITS {
                let rows =
                    (0..=n % 3).map(|row| audit("plan.made", &format!("{replica}/{n}/{row}"))).collect();
                record(&store, rows).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let verified = stores[0].verify_audit().await.unwrap().unwrap();
    assert_eq!(verified.rows, 2 * 2 * COMMITS as u64);
    let mut subjects: Vec<_> =
        stores[1].audit_rows(1, 500).await.unwrap().into_iter().map(|row| row.draft.subject).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 2 * 2 * COMMITS, "each row once");
    for store in stores {
        store.close().await;
    }
}

/// Rows are found by who, what, where and when, a page at a time, in both directions.
pub async fn audit_rows_are_found_by_filter(url: &StoreUrl) {
    let store = open(url).await;
    let mut rows: Vec<AuditDraft> = (0..9).map(|n| audit("job.signed", &format!("job_{n}"))).collect();
    for (row, n) in rows.iter_mut().zip(0..) {
        row.at = at(n);
    }
    rows[3].action = "job.refused".into();
    rows[4].action = "jobless".into();
    rows[5].actor = "nimbus".into();
    rows[6].cluster = "edge".into();
    record(&store, rows.clone()).await;

    let find = |filter: AuditFilter| {
        let store = store.clone();
        async move {
            let page = store.audit(&filter).await.unwrap();
            (page.rows.into_iter().map(|row| row.seq).collect::<Vec<_>>(), page.next)
        }
    };
    let all = AuditFilter::default();
    assert_eq!(
        find(AuditFilter { action: Some("job".into()), ..all.clone() }).await.0,
        [1, 2, 3, 4, 6, 7, 8, 9]
    );
    assert_eq!(find(AuditFilter { action: Some("job.refused".into()), ..all.clone() }).await.0, [4]);
    assert_eq!(find(AuditFilter { actor: Some("nimbus".into()), ..all.clone() }).await.0, [6]);
    assert_eq!(find(AuditFilter { cluster: Some("edge".into()), ..all.clone() }).await.0, [7]);
    let window = AuditFilter { since: Some(at(2)), until: Some(at(5)), ..all.clone() };
    assert_eq!(find(window).await.0, [3, 4, 5], "from the first moment on, before the second");

    let (first, next) = find(AuditFilter { limit: 5, newest_first: true, ..all.clone() }).await;
    assert_eq!(first, [9, 8, 7, 6, 5]);
    let (second, end) = find(AuditFilter { limit: 5, newest_first: true, after: next, ..all.clone() }).await;
    assert_eq!((second, end), (vec![4, 3, 2, 1], None));
    assert_eq!(find(AuditFilter { after: Some("8".into()), ..all.clone() }).await.0, [9]);
    assert!(store.audit(&AuditFilter { after: Some("8 or 1".into()), ..all }).await.is_err());
    assert_eq!(store.audit_rows(8, 500).await.unwrap()[1].draft, rows[8]);
    store.close().await;
}
