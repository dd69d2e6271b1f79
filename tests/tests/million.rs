//! Kills processes two hundred times during a stream of a million observations: none that was acknowledged is lost and
//! none is stored twice, on both databases.
//! A long fault test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nimbus_protocol::{frame, v1};
use nimbus_store::Store;
use nimbus_tests::plane::Plane;
use nimbus_tests::postgres::Postgres;
use nimbus_tests::sim::stream::{Streamer, is_intact, lean_sample};
use nimbus_tests::sim::{Identity, enrol};
use nimbus_tests::wait::{Seen, wait_for};
use prost::Message as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;

const AGENTS: u64 = 4;
const EACH: u64 = 250_000;
const KILLS: u64 = 200;
const BATCH: u64 = 500;
/// Longest wait for one step of the stream on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

async fn agents(plane: &Plane) -> anyhow::Result<Vec<Identity>> {
    let mut all = Vec::new();
    for n in 0..AGENTS {
        let token = plane.join_token(&format!("stream-{n}"), "host").await?;
        all.push(enrol(plane.quic(), &token).await?);
    }
    Ok(all)
}

/// Streams and kills; every kill hits while batches are under way.
async fn stream_under_fire(plane: &mut Plane, identities: &[Identity]) -> anyhow::Result<()> {
    let (allow, allowed) = watch::channel(0);
    let (kill, generation) = watch::channel(0);
    let acked: Vec<Arc<AtomicU64>> = identities.iter().map(|_| Arc::default()).collect();
    let mut streams = tokio::task::JoinSet::new();
    for (identity, acked) in identities.iter().zip(&acked) {
        let streamer = Streamer {
            server: plane.quic(),
            identity: identity.clone(),
            sample: lean_sample,
            batch: BATCH,
            total: EACH,
            acked: Arc::clone(acked),
            allowed: allowed.clone(),
            generation: generation.clone(),
        };
        streams.spawn(streamer.run());
    }
    let mut random = rand::rngs::StdRng::seed_from_u64(20_260_101);
    let sum = || acked.iter().map(|a| a.load(Ordering::SeqCst)).sum::<u64>();
    for round in 1..=KILLS {
        // Each round opens another two-hundredth of the stream and kills somewhere inside it.
        allow.send(EACH * round / (KILLS + 1))?;
        let from = AGENTS * EACH * (round - 1) / (KILLS + 1);
        let at = from + random.random_range(1..AGENTS * EACH / (KILLS + 1));
        wait_for("the stream to go on", PATIENCE, || {
            let now = sum();
            async move {
                Ok(Seen::when((now >= at.saturating_sub(BATCH)).then_some(()), format!("{now} of {at}")))
            }
        })
        .await?;
        plane.kill9()?;
        kill.send(round)?;
        plane.restart_with(None)?;
        if let Some(ended) = streams.try_join_next() {
            ended??;
        }
    }
    plane.wait_until_ready().await?;
    allow.send(EACH)?;
    while let Some(ended) = tokio::time::timeout(PATIENCE, streams.join_next()).await? {
        ended??;
    }
    anyhow::ensure!(sum() == AGENTS * EACH, "acknowledged {} of {}", sum(), AGENTS * EACH);
    Ok(())
}

/// Reads the whole log and counts each agent's sequences.
async fn each_exactly_once(url: &str, identities: &[Identity]) -> anyhow::Result<()> {
    let store = Store::open(&url.parse()?).await?;
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut position = 0;
    loop {
        let rows = store.read_log(position, 200).await?;
        let Some(end) = rows.last() else { break };
        position = end.position;
        for row in rows {
            let batch = v1::ObservationBatch::decode(frame::decompress(&row.payload)?.as_slice())?;
            let seen = last.entry(row.agent.to_string()).or_default();
            for observation in &batch.observations {
                anyhow::ensure!(observation.sequence == *seen + 1, "{} after {seen}", observation.sequence);
                anyhow::ensure!(is_intact(observation), "altered: {observation:?}");
                *seen = observation.sequence;
            }
        }
    }
    for identity in identities {
        anyhow::ensure!(last.get(&identity.agent_id) == Some(&EACH), "{}: {last:?}", identity.agent_id);
    }
    Ok(())
}

async fn million(database: Option<String>) -> anyhow::Result<()> {
    let mut plane = Plane::start(database.clone(), "").await?;
    let identities = agents(&plane).await?;
    stream_under_fire(&mut plane, &identities).await?;
    let sqlite = format!("sqlite://{}/nimbus.db", plane.data_dir().display());
    plane.kill9()?;
    each_exactly_once(&database.unwrap_or(sqlite), &identities).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_no_acknowledged_observation_is_lost_and_none_is_stored_twice() {
    million(None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_no_acknowledged_observation_is_lost_and_none_is_stored_twice() {
    let postgres = Postgres::start().unwrap();
    million(Some(postgres.fresh_database().unwrap())).await.unwrap();
}
