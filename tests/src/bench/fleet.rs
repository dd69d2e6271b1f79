//! Simulated agents that enrol, connect and stay: what each of them costs as their number grows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use nimbus_protocol::v1::{self, observation::Body};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::usage;
use crate::plane::Plane;
use crate::sim::stream::host_sample;
use crate::sim::{Identity, SimSession, enrol};

/// Between two heartbeats of an agent, as the control plane asks for them; the peers' clients ping as often.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Enrolments, and connections, that are under way at the same time: half of what one address may have.
const AT_ONCE: usize = 16;
/// Agents of each step that come one after another, and are timed one by one.
const SINGLY: usize = 50;
/// Longest time for one agent to enrol or to connect: beyond it the run ends in an error instead of waiting on.
const EACH: Duration = Duration::from_mins(1);
/// Longest time for which those that are connected may skip their heartbeats: after 30 s without one a session is over.
const LONGEST_HUSH: Duration = Duration::from_secs(18);
/// Between two lines about those that are held.
const TELL: Duration = Duration::from_secs(30);

/// Agents that are connected, and stay.
#[derive(Default)]
pub struct Fleet {
    sessions: JoinSet<anyhow::Error>,
    count: usize,
    hushed: watch::Sender<bool>,
}

/// What the agents of one step took.
pub struct Step {
    /// How many there were before, and are now.
    pub from: usize,
    /// See there.
    pub to: usize,
    /// Milliseconds for each enrolment of those that came one after another: a join token made over REST, and redeemed.
    pub enrol_ms: Vec<f64>,
    /// The same from the first packet of an enrolled agent until its first facts are stored: its status, and its host's.
    pub connect_ms: Vec<f64>,
    /// Enrolments a second, [`AT_ONCE`] under way.
    pub enrolled_a_second: f64,
    /// Connections a second, [`AT_ONCE`] under way.
    pub connected_a_second: f64,
    /// Milliseconds of the control plane's processor time for each of these enrolments.
    pub enrolling_took_ms: f64,
    /// The same for each of these connections.
    pub connecting_took_ms: f64,
}

/// What holding them took.
pub struct Held {
    /// Sessions that ended by themselves, as the agents saw it.
    pub ended: usize,
    /// Agents that the control plane counts as connected.
    pub connected: u64,
    /// Share of one core.
    pub processor_percent: f64,
    /// Resident memory of the control plane at the end, bytes.
    pub resident: u64,
}

impl Fleet {
    /// How many came in.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Nobody yet?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Enrols and connects agents until there are `to`.
    ///
    /// # Errors
    /// When one is refused, or takes longer than a minute.
    pub async fn grow(&mut self, plane: &Plane, to: usize) -> anyhow::Result<Step> {
        let from = self.len();
        let singly = SINGLY.min(to.saturating_sub(from) / 2);
        let (mut enrol_ms, mut connect_ms) = (Vec::new(), Vec::new());
        let phase = self.hush(plane)?;
        for n in from..from + singly {
            let begun = Instant::now();
            let identity = join(plane, n).await?;
            enrol_ms.push(milliseconds(begun));
            let begun = Instant::now();
            let session = connect(plane.quic(), &identity).await?;
            connect_ms.push(milliseconds(begun));
            self.take(session);
        }
        self.ends(plane, phase, singly).await?;
        let phase = self.hush(plane)?;
        let joining = futures::stream::iter(from + singly..to).map(|n| join(plane, n));
        let identities: Vec<Identity> = joining.buffer_unordered(AT_ONCE).try_collect().await?;
        let (enrolled_a_second, enrolling_took_ms) = self.ends(plane, phase, identities.len()).await?;
        let phase = self.hush(plane)?;
        let connecting = futures::stream::iter(&identities).map(|identity| connect(plane.quic(), identity));
        let sessions: Vec<SimSession> = connecting.buffer_unordered(AT_ONCE).try_collect().await?;
        let came = sessions.len();
        for session in sessions {
            self.take(session);
        }
        let (connected_a_second, connecting_took_ms) = self.ends(plane, phase, came).await?;
        Ok(Step {
            from,
            to,
            enrol_ms,
            connect_ms,
            enrolled_a_second,
            connected_a_second,
            enrolling_took_ms,
            connecting_took_ms,
        })
    }

    /// Begins a phase in which those that are connected skip their heartbeats: what they take, at both ends and from the same
    /// cores, is the cost of holding them. Returns what the control plane's processor had done, and when.
    fn hush(&self, plane: &Plane) -> anyhow::Result<(Duration, Instant)> {
        self.hushed.send_replace(true);
        Ok((usage::processor_time(plane.pid())?, Instant::now()))
    }

    /// Ends a phase in which `count` agents came: how many a second, and milliseconds of processor time for each. Everybody
    /// sends a heartbeat before it returns.
    #[allow(clippy::cast_precision_loss, reason = "some thousand agents")]
    async fn ends(
        &self,
        plane: &Plane,
        (before, begun): (Duration, Instant),
        count: usize,
    ) -> anyhow::Result<(f64, f64)> {
        let took = begun.elapsed();
        let used = usage::processor_time(plane.pid())?.saturating_sub(before);
        self.hushed.send_replace(false);
        anyhow::ensure!(
            took < LONGEST_HUSH,
            "expected {count} agents within {LONGEST_HUSH:?}, for which the others can be silent, found {took:?}: take a smaller --step"
        );
        tokio::time::sleep(HEARTBEAT + HEARTBEAT / 5).await;
        let count = count.max(1) as f64;
        Ok((count / took.as_secs_f64(), used.as_secs_f64() * 1e3 / count))
    }

    /// Leaves them connected for so long, with nothing but what keeps a connection open.
    ///
    /// # Errors
    /// When the control plane is gone.
    pub async fn hold(&mut self, plane: &Plane, time: Duration) -> anyhow::Result<Held> {
        let (cpu, begun) = (usage::processor_time(plane.pid())?, Instant::now());
        while begun.elapsed() < time {
            tokio::time::sleep(TELL.min(time.saturating_sub(begun.elapsed()))).await;
            let (memory, (ended, why)) = (usage::resident_bytes(plane.pid())?, self.ended());
            let (after, count) = (begun.elapsed().as_secs(), self.count);
            eprintln!("{after} s: {count} agents, {ended} ended, {memory} bytes resident");
            if let Some(why) = why {
                eprintln!("one ended: {why}");
            }
        }
        let used = usage::processor_time(plane.pid())?.saturating_sub(cpu);
        let processor_percent = used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
        let resident = usage::resident_bytes(plane.pid())?;
        let status = plane.get("/status").await?;
        let connected = status["agents"]["connected"].as_u64().context("a count of connected agents")?;
        Ok(Held { ended: self.ended().0, connected, processor_percent, resident })
    }

    fn take(&mut self, session: SimSession) {
        // Not all of those that came together at the same time.
        let first = HEARTBEAT / 100 * u32::try_from(self.count % 100).unwrap_or(0);
        self.count += 1;
        self.sessions.spawn(session.stay(first, self.hushed.subscribe()));
    }

    /// Those that ended by themselves, and why the last of these did.
    fn ended(&mut self) -> (usize, Option<String>) {
        let mut why = None;
        while let Some(ended) = self.sessions.try_join_next() {
            why = Some(ended.map_or_else(|error| error.to_string(), |error| format!("{error:#}")));
        }
        (self.count - self.sessions.len(), why)
    }
}

async fn join(plane: &Plane, n: usize) -> anyhow::Result<Identity> {
    let joining = async {
        let token = plane.join_token(&format!("many-{n}"), "host").await?;
        enrol(plane.quic(), &token).await
    };
    let joined = tokio::time::timeout(EACH, joining).await;
    joined.with_context(|| format!("agent {n} did not enrol in time"))?.with_context(|| format!("agent {n}"))
}

/// Connects, and tells what every agent of a host tells first.
async fn connect(server: SocketAddr, identity: &Identity) -> anyhow::Result<SimSession> {
    let connecting = async {
        let mut session = SimSession::start(server, identity, 1).await?;
        let every = Duration::from_millis(session.welcome.heartbeat_ms.into());
        anyhow::ensure!(every == HEARTBEAT, "expected a heartbeat every {HEARTBEAT:?}, found {every:?}");
        let facts = first_facts();
        let last = facts.len() as u64;
        session.send(1, facts).await?;
        while session.ack().await? < last {}
        Ok(session)
    };
    let connected = tokio::time::timeout(EACH, connecting).await;
    connected.with_context(|| format!("agent {} did not connect in time", identity.agent_id))?
}

/// Its status, and its host, whose disks are left out: their made-up figures would be incidents.
fn first_facts() -> Vec<v1::Observation> {
    let mut host = host_sample(1);
    if let Some(Body::Host(host)) = &mut host.body {
        host.disks.clear();
    }
    let status = v1::AgentStatus {
        agent_version: "0.0.0-simulated".into(),
        hostname: "simulated".into(),
        ..Default::default()
    };
    let status = v1::Observation { body: Some(Body::AgentStatus(status)), ..host.clone() };
    vec![status, host]
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}
