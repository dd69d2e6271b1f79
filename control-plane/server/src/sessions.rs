//! The registry of live sessions: one for each agent, of which the newest replaces an older one, and the queue through
//! which jobs reach a connected agent.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nimbus_control_core::connected_agents::ConnectedAgents;
use nimbus_control_core::gateway::CloseReason;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use tokio::sync::{mpsc, watch};

use crate::caught_up::CaughtUp;

/// Envelopes that may wait for one agent's connection. At the bound a push is refused, and the job stays pending
/// until the next look.
pub const JOB_QUEUE: usize = 64;

/// Longest text that is kept of what an agent says of its build, bytes; the rest is cut off.
pub const MAX_VERSION: usize = 256;

/// Why an envelope was not handed to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The agent has no session.
    #[error("the agent is not connected")]
    NotConnected,
    /// [`JOB_QUEUE`] envelopes wait already.
    #[error("expected fewer than {JOB_QUEUE} jobs waiting for the agent's connection, found as many")]
    QueueFull,
}

/// What is known of a live session, for status and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Distinguishes this session from earlier ones of the same agent.
    pub number: u64,
    /// Where the agent connects from.
    pub remote: SocketAddr,
    /// Since when.
    pub since: Timestamp,
    /// Its build.
    pub agent_version: String,
    /// On which way it came.
    pub transport: Transport,
    /// Observations received in this session.
    pub observations: u64,
    /// Bytes received on the data stream in this session.
    pub bytes: u64,
    /// When something last came from it.
    pub last_seen: Timestamp,
}

/// On which way an agent came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// QUIC, over UDP.
    Quic,
    /// gRPC over HTTP/2, over TCP.
    Tcp,
}

impl Transport {
    /// The word in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Tcp => "tcp",
        }
    }
}

/// Counters that the connection moves and the registry reads.
#[derive(Debug, Default)]
pub struct SessionStats {
    /// Observations received.
    pub observations: AtomicU64,
    /// Bytes received on the data stream.
    pub bytes: AtomicU64,
    /// Microseconds since the epoch.
    last_seen_us: AtomicU64,
}

impl SessionStats {
    /// Something came from the agent.
    pub fn seen(&self, now: Timestamp) {
        self.last_seen_us.store(u64::try_from(now.as_microsecond()).unwrap_or(0), Ordering::Relaxed);
    }
}

struct Live {
    number: u64,
    remote: SocketAddr,
    transport: Transport,
    since: Timestamp,
    agent_version: String,
    jobs: mpsc::Sender<v1::Envelope>,
    close: watch::Sender<Option<CloseReason>>,
    stats: Arc<SessionStats>,
}

/// The connection's end of its registration; dropping it does not deregister, [`Sessions::remove`] does.
pub struct Registration {
    /// Distinguishes this session.
    pub number: u64,
    /// Envelopes to send.
    pub jobs: mpsc::Receiver<v1::Envelope>,
    /// Becomes `Some` when the session is to end.
    pub close: watch::Receiver<Option<CloseReason>>,
    /// Counters to move.
    pub stats: Arc<SessionStats>,
}

/// For how long it is told that agents were refused for lack of room.
const TOLD: Duration = Duration::from_mins(5);

/// That agents were refused because as many as may be are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded {
    /// The most that may be.
    pub most: usize,
    /// How often one was refused since the start.
    pub refused: u64,
    last: Instant,
}

/// All live sessions.
#[derive(Default)]
pub struct Sessions {
    /// Who is connected, and whose observations are all in the world. It is told who comes and goes under the lock of the
    /// entries, so that both hold the same agents.
    pub caught_up: CaughtUp,
    entries: Mutex<HashMap<AgentId, Live>>,
    next: AtomicU64,
    changes: AtomicU64,
    over_quic: AtomicUsize,
    over_tcp: AtomicUsize,
    crowded: Mutex<Option<Crowded>>,
}

impl Sessions {
    /// An agent was refused, because there are `most` already.
    pub fn refused_for_room(&self, most: usize, now: Instant) {
        let mut crowded = self.crowded.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = crowded.map_or(0, |crowded| crowded.refused) + 1;
        *crowded = Some(Crowded { most, refused, last: now });
    }

    /// Whether agents were refused for lack of room not long ago: they try again every few seconds.
    pub fn crowded(&self, now: Instant) -> Option<Crowded> {
        let crowded = *self.crowded.lock().unwrap_or_else(PoisonError::into_inner);
        crowded.filter(|crowded| now.saturating_duration_since(crowded.last) < TOLD)
    }

    /// Registers a new session of `agent`; an older one of the same agent is closed.
    pub fn register(
        &self,
        agent: AgentId,
        (remote, transport): (SocketAddr, Transport),
        mut version: String,
        now: Timestamp,
    ) -> Registration {
        version.truncate(version.floor_char_boundary(MAX_VERSION));
        version.shrink_to_fit();
        let (jobs_in, jobs) = mpsc::channel(JOB_QUEUE);
        let (close_in, close) = watch::channel(None);
        let stats = Arc::new(SessionStats::default());
        stats.seen(now);
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Live {
            number,
            remote,
            transport,
            since: now,
            agent_version: version,
            jobs: jobs_in,
            close: close_in,
            stats: Arc::clone(&stats),
        };
        let mut entries = self.lock();
        self.count_over(transport).fetch_add(1, Ordering::Relaxed);
        if let Some(older) = entries.insert(agent, entry) {
            self.count_over(older.transport).fetch_sub(1, Ordering::Relaxed);
            older.close.send_replace(Some(CloseReason::Replaced));
        }
        self.caught_up.came(agent);
        drop(entries);
        self.changes.fetch_add(1, Ordering::Release);
        Registration { number, jobs, close, stats }
    }

    /// Removes the session `number` of `agent`; a newer one stays.
    pub fn remove(&self, agent: AgentId, number: u64) {
        let mut entries = self.lock();
        if let Entry::Occupied(entry) = entries.entry(agent)
            && entry.get().number == number
        {
            self.count_over(entry.remove().transport).fetch_sub(1, Ordering::Relaxed);
            self.caught_up.went(agent);
            drop(entries);
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Hands an envelope to the agent's connection. Returns the session's number.
    pub fn push(&self, agent: AgentId, envelope: v1::Envelope) -> Result<u64, PushError> {
        let entries = self.lock();
        let entry = entries.get(&agent).ok_or(PushError::NotConnected)?;
        entry.jobs.try_send(envelope).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PushError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => PushError::NotConnected,
        })?;
        Ok(entry.number)
    }

    /// Ends the live session of `agent`, if there is one.
    pub fn close(&self, agent: AgentId, why: CloseReason) -> bool {
        self.lock().get(&agent).is_some_and(|entry| {
            entry.close.send_replace(Some(why));
            true
        })
    }

    /// Ends every session.
    pub fn close_all(&self, why: CloseReason) {
        for entry in self.lock().values() {
            entry.close.send_replace(Some(why));
        }
    }

    /// The agents that are connected now.
    pub fn connected(&self) -> ConnectedAgents {
        self.caught_up.connected()
    }

    /// The agents that are connected now and whose observations have all arrived: those of which something can be
    /// concluded.
    pub fn current(&self) -> ConnectedAgents {
        self.caught_up.current()
    }

    /// How many are connected now.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// How many of them came this way.
    pub fn count_of(&self, transport: Transport) -> usize {
        self.count_over(transport).load(Ordering::Relaxed)
    }

    /// Changed under the lock, together with the entries.
    fn count_over(&self, transport: Transport) -> &AtomicUsize {
        match transport {
            Transport::Quic => &self.over_quic,
            Transport::Tcp => &self.over_tcp,
        }
    }

    /// The word for the way on which each of them came.
    pub fn transports(&self) -> BTreeMap<AgentId, &'static str> {
        self.lock().iter().map(|(agent, entry)| (*agent, entry.transport.word())).collect()
    }

    /// The number of the live session of `agent`.
    pub fn number(&self, agent: AgentId) -> Option<u64> {
        self.lock().get(&agent).map(|entry| entry.number)
    }

    /// What is known of the live session of `agent`.
    pub fn info(&self, agent: AgentId) -> Option<SessionInfo> {
        self.lock().get(&agent).map(|entry| SessionInfo {
            number: entry.number,
            remote: entry.remote,
            transport: entry.transport,
            since: entry.since,
            agent_version: entry.agent_version.clone(),
            observations: entry.stats.observations.load(Ordering::Relaxed),
            bytes: entry.stats.bytes.load(Ordering::Relaxed),
            last_seen: nimbus_protocol::from_micros(
                i64::try_from(entry.stats.last_seen_us.load(Ordering::Relaxed)).unwrap_or(i64::MAX),
            ),
        })
    }

    /// Moves whenever somebody came or went.
    pub fn generation(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Live>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> AgentId {
        uuid::Uuid::from_u128(1).into()
    }

    fn register(sessions: &Sessions) -> Registration {
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        sessions.register(agent(), (remote, Transport::Quic), "1.0".into(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_newest_session_wins_and_the_older_ones_end_does_not_end_it() {
        let sessions = Sessions::default();
        let older = register(&sessions);
        let newer = register(&sessions);
        assert_eq!(*older.close.borrow(), Some(CloseReason::Replaced));
        assert_eq!(*newer.close.borrow(), None);
        sessions.remove(agent(), older.number);
        assert_eq!(sessions.number(agent()), Some(newer.number));
        assert_eq!((sessions.count_of(Transport::Quic), sessions.count_of(Transport::Tcp)), (1, 0));
        sessions.remove(agent(), newer.number);
        assert!(sessions.connected().is_empty());
        assert_eq!(sessions.count_of(Transport::Quic), 0);
        assert_eq!(sessions.push(agent(), v1::Envelope::default()), Err(PushError::NotConnected));
    }

    #[test]
    fn who_is_current_follows_who_comes_who_catches_up_and_who_goes() {
        let sessions = Sessions::default();
        let is_current = || sessions.current().contains(&agent());
        assert!(!is_current());
        sessions.caught_up.expect(agent(), 2);
        let registration = register(&sessions);
        assert!(!is_current(), "what it had before is not known yet");
        sessions.caught_up.applied_up_to(agent(), 2);
        assert!(is_current());
        sessions.caught_up.expect(agent(), 3);
        assert!(!is_current());
        sessions.caught_up.applied_up_to(agent(), 3);
        assert!(is_current());
        sessions.remove(agent(), registration.number);
        assert!(!is_current());
    }

    #[test]
    fn of_a_long_version_a_part_is_kept() {
        let sessions = Sessions::default();
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        let long = format!("{}\u{1f980}{}", "1".repeat(MAX_VERSION - 2), "2".repeat(1 << 20));
        let _registration =
            sessions.register(agent(), (remote, Transport::Quic), long, Timestamp::UNIX_EPOCH);
        let kept = sessions.info(agent()).unwrap().agent_version;
        assert_eq!(kept, "1".repeat(MAX_VERSION - 2), "whole characters only");
    }

    #[test]
    fn a_full_queue_is_said_and_not_waited_for() {
        let sessions = Sessions::default();
        let registration = register(&sessions);
        for _ in 0..JOB_QUEUE {
            assert_eq!(sessions.push(agent(), v1::Envelope::default()), Ok(registration.number));
        }
        assert_eq!(sessions.push(agent(), v1::Envelope::default()), Err(PushError::QueueFull));
    }

    #[test]
    fn a_revoked_agents_session_is_closed() {
        let sessions = Sessions::default();
        let registration = register(&sessions);
        assert!(sessions.close(agent(), CloseReason::Revoked));
        assert_eq!(*registration.close.borrow(), Some(CloseReason::Revoked));
    }

    #[test]
    fn that_agents_were_refused_for_lack_of_room_is_told_for_a_while() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        assert_eq!(sessions.crowded(start), None);
        sessions.refused_for_room(2, start);
        sessions.refused_for_room(2, start);
        let told = sessions.crowded(start + TOLD / 2).unwrap();
        assert_eq!((told.most, told.refused), (2, 2));
        assert_eq!(sessions.crowded(start + TOLD), None);
    }
}
