//! Simulated agents that enrol, connect and stay: what each of them costs as their number grows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;

use super::usage;
use crate::plane::Plane;
use crate::sim::{Identity, SimSession, enrol};

/// Between two packets that keep a quiet connection open: as a real agent's, and so for the peers.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Enrolments, and connections, that are under way at the same time: half of what one address may have.
const AT_ONCE: usize = 16;
/// Agents of each step that come one after another, and are timed one by one.
const SINGLY: usize = 50;
/// Longest time for one agent to enrol or to connect: beyond it the run ends in an error instead of waiting on.
const EACH: Duration = Duration::from_mins(1);
/// How long it is watched what the agents need that are connected already, before more come. Each sends once in it, which is
/// why a phase is measured over a whole multiple of it: in any other time some have sent once more than others.
pub const QUIET: Duration = KEEP_ALIVE;
/// Between two lines about those that are held.
const TELL: Duration = Duration::from_secs(30);

/// Agents that are connected, and stay.
#[derive(Default)]
pub struct Fleet {
    sessions: JoinSet<anyhow::Error>,
    count: usize,
}

/// What the agents of one step took.
pub struct Step {
    /// How many there were before, and are now.
    pub from: usize,
    /// See there.
    pub to: usize,
    /// Milliseconds for each enrolment of those that came one after another: a join token made over REST, and redeemed.
    pub enrol_ms: Vec<f64>,
    /// The same from the first packet of an enrolled agent to its welcome.
    pub connect_ms: Vec<f64>,
    /// Enrolments a second, [`AT_ONCE`] under way.
    pub enrolled_a_second: f64,
    /// Connections a second, [`AT_ONCE`] under way.
    pub connected_a_second: f64,
    /// Milliseconds of the control plane's processor time for each of these enrolments, without what those that are connected
    /// already need.
    pub enrolling_took_ms: f64,
    /// The same for each of these connections.
    pub connecting_took_ms: f64,
    /// What those that were connected already needed before, at both ends.
    pub quiet: Quiet,
}

/// What agents need that do nothing but keep their connections open, in shares of one core.
#[derive(Debug, Clone, Copy)]
pub struct Quiet {
    /// Of the control plane.
    pub plane: f64,
    /// Of all simulated agents.
    pub agents: f64,
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
        for n in from..from + singly {
            let begun = Instant::now();
            let identity = join(plane, n).await?;
            enrol_ms.push(milliseconds(begun));
            let begun = Instant::now();
            let session = connect(plane.quic(), &identity).await?;
            connect_ms.push(milliseconds(begun));
            self.take(session);
        }
        let meter = Meter::quiet(plane).await?;
        let mark = meter.mark()?;
        let begun = Instant::now();
        let joining = futures::stream::iter(from + singly..to).map(|n| join(plane, n));
        let identities: Vec<Identity> = joining.buffer_unordered(AT_ONCE).try_collect().await?;
        let enrolled_a_second = rate(identities.len(), begun);
        let enrolling_took_ms = meter.each_ms(identities.len(), mark).await?;
        let mark = meter.mark()?;
        let begun = Instant::now();
        let connecting = futures::stream::iter(&identities).map(|identity| connect(plane.quic(), identity));
        let sessions: Vec<SimSession> = connecting.buffer_unordered(AT_ONCE).try_collect().await?;
        let connected_a_second = rate(sessions.len(), begun);
        for session in sessions {
            self.take(session);
        }
        let connecting_took_ms = meter.each_ms(self.len() - from - singly, mark).await?;
        Ok(Step {
            from,
            to,
            enrol_ms,
            connect_ms,
            enrolled_a_second,
            connected_a_second,
            enrolling_took_ms,
            connecting_took_ms,
            quiet: meter.quiet,
        })
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
        self.count += 1;
        self.sessions.spawn(session.stay());
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

/// The control plane's processor time, beyond what it needs for those that are connected already.
struct Meter {
    pid: u32,
    quiet: Quiet,
}

impl Meter {
    async fn quiet(plane: &Plane) -> anyhow::Result<Self> {
        let both = [plane.pid(), std::process::id()];
        let before = both.map(usage::processor_time);
        let begun = Instant::now();
        tokio::time::sleep(QUIET).await;
        let elapsed = begun.elapsed().as_secs_f64();
        let after = both.map(usage::processor_time);
        let [plane_before, agents_before] = before;
        let [plane_after, agents_after] = after;
        let share = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() / elapsed;
        let quiet =
            Quiet { plane: share(plane_before?, plane_after?), agents: share(agents_before?, agents_after?) };
        Ok(Self { pid: plane.pid(), quiet })
    }

    /// Where a phase begins.
    fn mark(&self) -> anyhow::Result<(Duration, Instant)> {
        Ok((usage::processor_time(self.pid)?, Instant::now()))
    }

    /// What each of `count` took since the mark, at the end of the [`QUIET`] time that is under way: with the decisions that
    /// follow, and the keep-alives of those that have come.
    #[allow(clippy::cast_precision_loss, reason = "some thousand agents")]
    async fn each_ms(&self, count: usize, (before, begun): (Duration, Instant)) -> anyhow::Result<f64> {
        let past = begun.elapsed().as_nanos() % QUIET.as_nanos();
        let rest = QUIET.as_nanos() - past;
        tokio::time::sleep(Duration::from_nanos(u64::try_from(rest)?)).await;
        let used = usage::processor_time(self.pid)?.saturating_sub(before).as_secs_f64();
        let quiet = self.quiet.plane * begun.elapsed().as_secs_f64();
        Ok((used - quiet) * 1e3 / count as f64)
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

async fn connect(server: SocketAddr, identity: &Identity) -> anyhow::Result<SimSession> {
    let connecting = SimSession::start_kept(server, identity, KEEP_ALIVE);
    let connected = tokio::time::timeout(EACH, connecting).await;
    connected.with_context(|| format!("agent {} did not connect in time", identity.agent_id))?
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss, reason = "some thousand agents")]
fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}
