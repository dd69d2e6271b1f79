//! One agent that streams without an end to whichever control plane serves it, and what the database has of it afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nimbus_protocol::{frame, v1};
use nimbus_store::Store;
use prost::Message as _;

use crate::sim::stream::{is_intact, lean_sample};
use crate::sim::{Identity, SimSession};

/// Observations of a batch.
const BATCH: u64 = 50;
/// Longest wait for an answer: then the other control plane is tried.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Streams until it is aborted; ends in an error when a control plane does not know what was acknowledged.
pub async fn run(servers: Vec<SocketAddr>, identity: Identity, acked: Arc<AtomicU64>) -> anyhow::Result<()> {
    for server in servers.into_iter().cycle() {
        tokio::time::sleep(PAUSE).await;
        let before = acked.load(Ordering::SeqCst);
        let start = SimSession::start(server, &identity, before + 1);
        let Ok(Ok(session)) = tokio::time::timeout(ANSWER, start).await else { continue };
        let stored = session.welcome.acknowledged;
        anyhow::ensure!(stored >= before, "lost: {before} was acknowledged, {server} knows {stored}");
        acked.store(stored, Ordering::SeqCst);
        // An error is a connection that ended: the next one is tried.
        let _ = pump(session, &acked).await;
    }
    Ok(())
}

async fn pump(mut session: SimSession, acked: &AtomicU64) -> anyhow::Result<()> {
    loop {
        let first = acked.load(Ordering::SeqCst) + 1;
        let last = first + BATCH - 1;
        session.send(first, (first..=last).map(lean_sample).collect()).await?;
        while acked.load(Ordering::SeqCst) < last {
            let up_to = tokio::time::timeout(ANSWER, session.ack()).await??;
            acked.fetch_max(up_to, Ordering::SeqCst);
        }
    }
}

/// Reads the whole log: every sequence once, in order and as it was sent. Returns the last one.
pub async fn each_once(store: &Store, identity: &Identity) -> anyhow::Result<u64> {
    let (mut position, mut last) = (0, 0);
    loop {
        let rows = store.read_log(position, 200).await?;
        let Some(end) = rows.last() else { return Ok(last) };
        position = end.position;
        for row in rows.iter().filter(|row| row.agent.to_string() == identity.agent_id) {
            let batch = v1::ObservationBatch::decode(frame::decompress(&row.payload)?.as_slice())?;
            for observation in &batch.observations {
                anyhow::ensure!(observation.sequence == last + 1, "{} after {last}", observation.sequence);
                anyhow::ensure!(is_intact(observation), "altered: {observation:?}");
                last = observation.sequence;
            }
        }
    }
}
