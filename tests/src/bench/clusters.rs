//! Simulated clusters at one control plane: each has a leading agent that lists it once, and then tells now and then that a
//! pod changed.

use std::time::Duration;

use anyhow::Context as _;
use nimbus_protocol::v1::{self, observation::Body};
use tokio::task::JoinSet;

use super::observed::{SEEN_AT_US, listing_of, touched_in};
use crate::plane::Plane;
use crate::sim::{SimSession, enrol, greeting, read_frame, write_frame};
use crate::wait::{Seen, wait_for};

/// Between two changes of each cluster.
pub const CHANGE: Duration = Duration::from_secs(10);
/// Longest time until what was listed shows, and for one batch of it to be acknowledged.
const SHOWN: Duration = Duration::from_mins(2);

/// How large one cluster is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Its nodes.
    pub nodes: usize,
    /// Its pods, ten for each Deployment.
    pub pods: usize,
}

/// Clusters that are reported of, and go on being.
#[derive(Default)]
pub struct Clusters {
    agents: JoinSet<anyhow::Result<()>>,
    count: usize,
}

impl Clusters {
    /// Adds clusters of this size until there are `to`, and waits until the control plane shows each of them whole.
    ///
    /// # Errors
    /// When one is not shown whole in time, or an agent's session ended.
    pub async fn grow(&mut self, plane: &Plane, to: usize, size: Size) -> anyhow::Result<()> {
        for n in self.count..to {
            let uid = format!("00000000-0000-4000-8000-{n:012}");
            let token = plane.join_token_for(&format!("cluster-{n}"), "cluster", Some(&uid)).await?;
            let identity = enrol(plane.quic(), &token).await?;
            let name = format!("made-up-{n}");
            let hello = v1::Hello {
                kind: "cluster".into(),
                cluster_uid: uid.clone(),
                cluster_name: name.clone(),
                ..greeting(&identity, 1)
            };
            let mut session = SimSession::start_with(plane.quic(), &identity, hello).await?;
            let told = tell(&mut session, leads(&uid, &name), &uid, size);
            let next = tokio::time::timeout(SHOWN, told)
                .await
                .context("a listing was not acknowledged in time")??;
            self.agents.spawn(live(session, uid, next, size));
            self.count += 1;
        }
        self.are_shown(plane, size).await
    }

    /// Whether the control plane has all of each: else its memory says nothing.
    async fn are_shown(&mut self, plane: &Plane, size: Size) -> anyhow::Result<()> {
        let (nodes, pods) = (size.nodes as u64, size.pods as u64);
        wait_for("all clusters to be shown whole", SHOWN, || async {
            let clusters = plane.items("/clusters").await?;
            let is_whole = |it: &&serde_json::Value| {
                it["state"] == "healthy" && it["pods"] == pods && it["nodes"] == nodes
            };
            let whole = clusters.iter().filter(is_whole).count();
            let one = clusters.iter().find(|it| !is_whole(it));
            Ok(Seen::when((whole == self.count).then_some(()), format!("{whole} of {}; {one:?}", self.count)))
        })
        .await?;
        self.are_reported()
    }

    /// Whether each agent goes on.
    ///
    /// # Errors
    /// When a session ended.
    pub fn are_reported(&mut self) -> anyhow::Result<()> {
        match self.agents.try_join_next() {
            None => Ok(()),
            Some(ended) => anyhow::bail!("an agent's session ended: {:?}", ended?),
        }
    }
}

fn leads(uid: &str, name: &str) -> v1::Observation {
    let status = v1::AgentStatus {
        agent_version: "0.0.0-simulated".into(),
        cluster_uid: uid.into(),
        cluster_name: name.into(),
        leading: true,
        lease_term: 1,
        hostname: "simulated".into(),
        ..Default::default()
    };
    v1::Observation {
        observed_at_us: SEEN_AT_US,
        body: Some(Body::AgentStatus(status)),
        ..Default::default()
    }
}

/// Sends the listing and waits until it is acknowledged. Returns the sequence of what comes next.
async fn tell(
    session: &mut SimSession,
    status: v1::Observation,
    uid: &str,
    size: Size,
) -> anyhow::Result<u64> {
    let all: Vec<v1::Observation> =
        std::iter::once(status).chain(listing_of(uid, size.nodes, size.pods)).collect();
    let most = session.welcome.max_batch_observations.max(1) as usize;
    let mut next = 1;
    for batch in all.chunks(most) {
        session.send(next, batch.to_vec()).await?;
        next += batch.len() as u64;
        while session.ack().await? < next - 1 {}
    }
    Ok(next)
}

/// Keeps the session, and tells of one change every [`CHANGE`], until it ends.
async fn live(session: SimSession, uid: String, mut next: u64, size: Size) -> anyhow::Result<()> {
    let SimSession { mut connected, mut data, welcome } = session;
    let every = Duration::from_millis(u64::from(welcome.heartbeat_ms).max(1_000));
    let beat = v1::AgentFrame { body: Some(v1::agent_frame::Body::Heartbeat(v1::Heartbeat::default())) };
    let (send, receive) = &mut connected.control;
    let beating = async {
        loop {
            tokio::time::sleep(every).await;
            write_frame(send, &beat).await?;
        }
    };
    let changing = async {
        for times in 1_i64.. {
            tokio::time::sleep(CHANGE).await;
            let pod = usize::try_from(times)? % size.pods;
            let mut changed = touched_in(&uid, size.nodes, pod, times);
            changed.sequence = next;
            let batch = v1::ObservationBatch { first_sequence: next, observations: vec![changed] };
            next += 1;
            let body = Some(v1::agent_frame::Body::Batch(batch));
            write_frame(&mut data.send, &v1::AgentFrame { body }).await?;
        }
        anyhow::Ok(())
    };
    let told = async { while read_frame::<v1::ServerFrame>(receive).await.is_ok() {} };
    let acknowledged = async { while read_frame::<v1::ServerFrame>(&mut data.receive).await.is_ok() {} };
    tokio::select! {
        ended = beating => ended,
        ended = changing => ended,
        () = told => anyhow::bail!("the control stream ended"),
        () = acknowledged => anyhow::bail!("the data stream ended"),
    }
}
