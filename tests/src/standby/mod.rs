//! Two control planes that stand by for each other on one PostgreSQL database, under load and under fire.
//!
//! A round does something to the one that leads, waits until the other one does, and brings the first back. Meanwhile one
//! agent streams without an end to whichever of the two serves it. What has to hold at the end: nothing that was
//! acknowledged is lost or stored twice, and every takeover was an epoch of its own.

mod proxy;
mod replica;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nimbus_store::Store;

use crate::plane::Plane;
use crate::postgres::Postgres;
use crate::sim::enrol;
use crate::wait::{Seen, wait_for};
use replica::{Replica, Role};

/// What the product promises: after the leader's end another one leads within this time.
pub const PROMISE: Duration = Duration::from_secs(10);
/// Longest wait for anything that is not promised, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What happens to the one that leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// It is killed (SIGKILL).
    Kill,
    /// It stands still (SIGSTOP) with its connections open, and goes on (SIGCONT) once another one leads.
    Freeze,
    /// Its connections to the database stay open and carry nothing any more.
    Cut,
}

impl Blow {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::Freeze, Self::Cut];

    /// What happens, in a few words.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Kill => "the leader is killed (SIGKILL)",
            Self::Freeze => "the leader stands still (SIGSTOP)",
            Self::Cut => "the leader's connections to the database carry nothing any more",
        }
    }
}

/// What was seen of `rounds` of each blow.
#[derive(Debug)]
pub struct Played {
    /// How long each took until another one led.
    pub took: Vec<(Blow, Duration)>,
    /// Observations that were acknowledged; each was found stored, once.
    pub acknowledged: u64,
}

/// Plays `rounds` of each blow, and asserts what has to hold.
///
/// # Errors
/// When a takeover takes longer than promised, or anything was lost, stored twice or written by two.
pub async fn play(rounds: usize) -> anyhow::Result<Played> {
    let postgres = Postgres::start()?;
    let url = postgres.fresh_database()?;
    // One that runs alone makes the keys, and lets the agent join.
    let mut first = Plane::start(Some(url.clone()), "").await?;
    let token = first.join_token("stream", "host").await?;
    let identity = enrol(first.quic(), &token).await?;
    first.stop()?;

    let mut replicas = Vec::new();
    for name in ["one", "two"] {
        let mut replica = Replica::start(name, &first.data_dir(), &url).await?;
        let role = if replicas.is_empty() { Role::Leads } else { Role::StandsBy };
        replica.wait_until(role, PATIENCE).await?;
        replicas.push(replica);
    }
    let acked = Arc::new(AtomicU64::new(0));
    let servers = replicas.iter().map(Replica::quic).collect();
    let streaming = tokio::spawn(stream::run(servers, identity.clone(), Arc::clone(&acked)));
    let store = Store::open(&url.parse()?).await?;
    let mut epoch = newest(&postgres, &url)?;
    let mut all = Vec::new();
    for round in 0..rounds {
        for blow in Blow::ALL {
            anyhow::ensure!(!streaming.is_finished(), "the stream ended: {:?}", streaming.await);
            goes_on(&acked).await?;
            let took = strike(&mut replicas, blow).await?;
            let now = newest(&postgres, &url)?;
            eprintln!(
                "round {round}, {blow:?}: another one leads after {:.2} s (epoch {now})",
                took.as_secs_f64()
            );
            all.push((blow, took));
            anyhow::ensure!(
                took < PROMISE,
                "{blow:?}: expected a takeover within {PROMISE:?}, took {took:?}"
            );
            anyhow::ensure!(
                now == epoch + 1,
                "{blow:?}: one takeover is one epoch, found {now} after {epoch}"
            );
            epoch = now;
            goes_on(&acked).await?;
        }
    }
    anyhow::ensure!(!streaming.is_finished(), "the stream ended: {:?}", streaming.await);
    streaming.abort();
    drop(replicas);
    let stored = stream::each_once(&store, &identity).await?;
    let acked = acked.load(Ordering::SeqCst);
    eprintln!("{acked} observations acknowledged, {stored} stored, each once");
    anyhow::ensure!(stored >= acked, "lost: {acked} were acknowledged, {stored} are stored");
    Ok(Played { took: all, acknowledged: acked })
}

/// The status of a leader names it and the one that stands by, and after a takeover the other way round; who stands by and is
/// asked itself says that it does. One that was killed is gone from it in time.
///
/// # Errors
/// When it says anything else.
pub async fn names_who_stands_by() -> anyhow::Result<()> {
    let postgres = Postgres::start()?;
    let url = postgres.fresh_database()?;
    let mut first = Plane::start(Some(url.clone()), "").await?;
    anyhow::ensure!(first.get("/status").await?["control_planes"] == serde_json::json!([]), "it is alone");
    first.stop()?;
    let mut one = Replica::start("one", &first.data_dir(), &url).await?;
    one.wait_until(Role::Leads, PATIENCE).await?;
    let mut two = Replica::start("two", &first.data_dir(), &url).await?;
    two.wait_until(Role::StandsBy, PATIENCE).await?;
    let (first, second) = (one.address(), two.address());
    let (first, second) = (first.as_str(), second.as_str());
    names(&one, &[("leads", first), ("stands_by", second)]).await?;
    let (status, problem) = two.status().await?;
    anyhow::ensure!(status == 503 && problem.to_string().contains("standby"), "found {status} {problem}");
    one.kill9()?;
    two.wait_until(Role::Leads, PATIENCE).await?;
    names(&two, &[("leads", second)]).await?;
    one.restart()?;
    one.wait_until(Role::StandsBy, PATIENCE).await?;
    names(&two, &[("leads", second), ("stands_by", first)]).await
}

/// Waits until the leader's status names exactly these, by what they do and where they serve.
async fn names(leader: &Replica, expected: &[(&str, &str)]) -> anyhow::Result<()> {
    wait_for("the status to name the control planes", PATIENCE, || async move {
        let (_, status) = leader.status().await?;
        let all = status["control_planes"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = all.iter().map(|one| (one["state"].as_str(), one["address"].as_str())).collect();
        let is_so = found.iter().copied().eq(expected.iter().map(|(state, at)| (Some(*state), Some(*at))));
        Ok(Seen::when(is_so.then_some(()), format!("{all:?}")))
    })
    .await
}

/// One blow to the leader; how long it took until the other one led.
async fn strike(replicas: &mut [Replica], blow: Blow) -> anyhow::Result<Duration> {
    let mut leads = None;
    for (at, replica) in replicas.iter().enumerate() {
        if replica.role().await == Some(Role::Leads) {
            anyhow::ensure!(leads.is_none(), "both say that they lead");
            leads = Some(at);
        }
    }
    let leader = leads.ok_or_else(|| anyhow::anyhow!("nobody leads"))?;
    let begun = Instant::now();
    match blow {
        Blow::Kill => replicas[leader].kill9()?,
        Blow::Freeze => replicas[leader].signal(libc::SIGSTOP)?,
        Blow::Cut => replicas[leader].cut(true),
    }
    replicas[1 - leader].wait_until(Role::Leads, PATIENCE).await?;
    let took = begun.elapsed();
    match blow {
        Blow::Kill => {}
        Blow::Freeze => {
            replicas[leader].signal(libc::SIGCONT)?;
            replicas[leader].ends_by_itself(PATIENCE)?;
        }
        Blow::Cut => {
            replicas[leader].ends_by_itself(PATIENCE)?;
            replicas[leader].cut(false);
        }
    }
    replicas[leader].restart()?;
    replicas[leader].wait_until(Role::StandsBy, PATIENCE).await?;
    Ok(took)
}

/// The newest epoch in the database.
fn newest(postgres: &Postgres, url: &str) -> anyhow::Result<u64> {
    let database = url.rsplit('/').next().unwrap_or_default();
    Ok(postgres.sql(database, "SELECT value FROM counters WHERE name = 'epoch'")?.parse()?)
}

/// Waits until more is acknowledged than now.
async fn goes_on(acked: &AtomicU64) -> anyhow::Result<()> {
    let before = acked.load(Ordering::SeqCst);
    wait_for("the stream to go on", PATIENCE, || async move {
        let now = acked.load(Ordering::SeqCst);
        Ok(Seen::when((now > before).then_some(()), format!("{now} acknowledged")))
    })
    .await
}
