//! Stories (shared tests) about the observation log.

use super::open;
use super::things::{agent_id, batch};
use crate::{LogSpan, MAX_TRIM_ROWS, NewBatch, StoreError, StoreUrl};

/// What was appended is there after a restart, in order, with the marks; positions are never given out twice.
pub async fn appended_batches_and_marks_outlive_a_restart(url: &StoreUrl) {
    let store = open(url).await;
    assert_eq!(store.log_span().await.unwrap(), LogSpan::default());
    let sent = [batch(1, 1, 500), batch(2, 1, 3), batch(1, 501, 501)];
    let last = store.append(&sent).await.unwrap();
    store.close().await;
    assert!(matches!(store.ping().await, Err(StoreError::Unreachable { .. })), "a closed store says so");

    let store = open(url).await;
    let marks = store.high_water_marks().await.unwrap();
    assert_eq!((marks.len(), marks[&agent_id(1)], marks[&agent_id(2)]), (2, 501, 3));
    let rows = store.read_log(0, 100).await.unwrap();
    let read: Vec<NewBatch> = rows
        .iter()
        .cloned()
        .map(|row| NewBatch {
            agent: row.agent,
            first: row.first,
            last: row.last,
            count: row.count,
            received_at: row.received_at,
            payload: row.payload,
        })
        .collect();
    assert_eq!(read, sent, "in the order in which they were appended");
    assert_eq!(rows[2].position, last);
    assert_eq!(store.read_log(rows[0].position, 1).await.unwrap(), rows[1..2]);
    assert!(store.read_log(last, 100).await.unwrap().is_empty());

    assert_eq!(store.trim_log(rows[2].position).await.unwrap(), 2);
    assert_eq!(store.log_span().await.unwrap(), LogSpan { rows: 1, first: last, last });
    assert_eq!(store.trim_log(i64::MAX).await.unwrap(), 1);
    store.close().await;

    let store = open(url).await;
    assert_eq!(store.high_water_marks().await.unwrap()[&agent_id(1)], 501, "trimming leaves the marks");
    let later = store.append(&[batch(1, 502, 502)]).await.unwrap();
    assert!(later > last, "after {last} came {later}, although the log was empty");

    let many: Vec<_> = (0..u64::from(MAX_TRIM_ROWS) + 5).map(|n| batch(3, n + 1, n + 1)).collect();
    store.append(&many).await.unwrap();
    assert_eq!(store.trim_log(i64::MAX).await.unwrap(), u64::from(MAX_TRIM_ROWS), "one call is bounded");
    assert_eq!(store.trim_log(i64::MAX).await.unwrap(), 6);
    store.close().await;
}

/// A gap is the agent's business; an overlap means that somebody's idea of the mark is stale, and nothing is kept.
pub async fn gaps_are_taken_and_overlaps_refused(url: &StoreUrl) {
    let store = open(url).await;
    store.append(&[batch(1, 1, 10), batch(1, 100, 110)]).await.unwrap();
    let span = store.log_span().await.unwrap();

    for (first, last) in [(100, 110), (110, 120), (1, 5), (50, 300)] {
        let refused = store.append(&[batch(2, 1, 1), batch(1, first, last)]).await.unwrap_err();
        let StoreError::Conflict { table: "marks", id, detail } = &refused else {
            panic!("expected a conflict on marks for {first}..={last}, found {refused}");
        };
        assert_eq!(*id, agent_id(1).to_string());
        assert!(detail.contains("mark 110") && detail.contains(&format!("from {first}")), "{detail}");
    }
    let within = store.append(&[batch(3, 1, 5), batch(3, 5, 6)]).await.unwrap_err();
    assert!(within.is_conflict(), "{within}");

    assert_eq!(store.log_span().await.unwrap(), span, "nothing of a refused append is kept");
    assert_eq!(
        store.high_water_marks().await.unwrap().len(),
        1,
        "not even the mark of an agent without fault"
    );
    store.append(&[batch(2, 1, 1), batch(1, 111, 111)]).await.unwrap();
    assert_eq!(store.high_water_marks().await.unwrap()[&agent_id(1)], 111);
    store.close().await;
}

/// A reader that follows the log while several replicas append misses nothing: positions become visible in order.
pub async fn concurrent_appends_become_visible_in_order(url: &StoreUrl) {
    const APPENDS: u64 = 25;
    let stores = [open(url).await, open(url).await, open(url).await];
    let mut writers = Vec::new();
    for (store, agent) in stores.iter().cloned().zip(1..) {
        writers.push(tokio::spawn(async move {
            for n in 0..APPENDS {
                store
                    .append(&[batch(agent, 2 * n + 1, 2 * n + 1), batch(agent, 2 * n + 2, 2 * n + 2)])
                    .await
                    .unwrap();
            }
        }));
    }
    let mut seen = Vec::new();
    let mut after = 0;
    while seen.len() < 6 * usize::try_from(APPENDS).unwrap() {
        let rows = stores[0].read_log(after, 7).await.unwrap();
        if rows.is_empty() && writers.iter().all(tokio::task::JoinHandle::is_finished) {
            // All is committed: what is not in this last look was passed over.
            let rows = stores[0].read_log(after, 1_000).await.unwrap();
            seen.extend(rows.into_iter().map(|row| (row.agent, row.first)));
            break;
        }
        after = rows.last().map_or(after, |row| row.position);
        seen.extend(rows.into_iter().map(|row| (row.agent, row.first)));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for agent in 1..=3 {
        let of_one: Vec<u64> =
            seen.iter().filter(|(id, _)| *id == agent_id(agent)).map(|(_, first)| *first).collect();
        assert_eq!(of_one, (1..=2 * APPENDS).collect::<Vec<_>>(), "agent {agent}");
    }
    for store in stores {
        store.close().await;
    }
}

/// However large the rows are, one call to read holds a bounded part of them in memory, and always makes progress.
pub async fn large_rows_are_read_in_portions(url: &StoreUrl) {
    let store = open(url).await;
    let large: Vec<_> = (1..=12).map(|n| NewBatch { payload: vec![7; 4 << 20], ..batch(1, n, n) }).collect();
    store.append(&large).await.unwrap();
    let mut portions = Vec::new();
    let mut after = 0;
    loop {
        let rows = store.read_log(after, 1_000).await.unwrap();
        let Some(last) = rows.last() else { break };
        after = last.position;
        portions.push(rows.len());
    }
    assert_eq!(portions, [8, 4], "32 MiB at a time");
    let too_large = NewBatch { payload: vec![7; (4 << 20) + 1], ..batch(1, 13, 13) };
    assert!(matches!(store.append(&[too_large]).await, Err(StoreError::Invalid { .. })));
    store.close().await;
}
