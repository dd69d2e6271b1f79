//! The link: connections with two streams each way. A stream keeps its order; the two streams do not keep theirs. A frame
//! may be late, the whole link slow, or silent; a connection that breaks loses what was under way.

use std::collections::VecDeque;
use std::time::Duration;

use nimbus_control_core::gateway::Stream;
use nimbus_protocol::v1;

use super::random::Random;

/// What reaches the control plane.
#[derive(Debug, Clone)]
pub(crate) enum AtPlane {
    /// A connection was made.
    Opened(u64),
    /// A frame came.
    Frame(u64, Stream, Box<v1::AgentFrame>),
    /// The connection broke or was closed.
    Closed(u64),
}

/// What reaches the agent.
#[derive(Debug, Clone)]
pub(crate) enum AtAgent {
    Opened(u64),
    Frame(u64, Box<v1::ServerFrame>),
    Closed(u64),
}

#[derive(Debug)]
pub(crate) struct Link {
    /// One queue for each stream and direction: what comes, and not before when.
    up: [VecDeque<(Duration, AtPlane)>; 2],
    down: [VecDeque<(Duration, AtAgent)>; 2],
    /// The connection that stands.
    open: Option<u64>,
    /// Milliseconds that a frame takes at most on a good link.
    latency: u64,
    /// Milliseconds between two frames of a stream on a slow link; 0 on a fast one.
    pace: u64,
    /// Until then nothing arrives, and nobody is told.
    silent_until: Duration,
    random: Random,
}

fn lane(stream: Stream) -> usize {
    match stream {
        Stream::Control => 0,
        Stream::Data => 1,
    }
}

impl Link {
    pub(crate) fn new(random: &mut Random) -> Self {
        let pace = if random.one_in(4) { 200 + random.below(1_500) } else { 0 };
        Self {
            up: Default::default(),
            down: Default::default(),
            open: None,
            latency: 1 + random.below(900),
            pace,
            silent_until: Duration::ZERO,
            random: Random::new(random.next()),
        }
    }

    /// When the next frame of a queue arrives, whose last one arrives at `last`.
    fn arrival(&mut self, now: Duration, last: Option<Duration>) -> Duration {
        let at = now + Duration::from_millis(self.random.below(self.latency));
        last.map_or(at, |last| at.max(last + Duration::from_millis(self.pace)))
    }

    pub(crate) fn open(&mut self, connection: u64, now: Duration) {
        self.cut_now(now);
        self.open = Some(connection);
        let at = self.arrival(now, self.up[0].back().map(|(at, _)| *at));
        self.up[0].push_back((at, AtPlane::Opened(connection)));
        let at = self.arrival(now, self.down[0].back().map(|(at, _)| *at));
        self.down[0].push_back((at, AtAgent::Opened(connection)));
    }

    pub(crate) fn to_plane(&mut self, connection: u64, stream: Stream, frame: v1::AgentFrame, now: Duration) {
        if self.open != Some(connection) {
            return;
        }
        let at = self.arrival(now, self.up[lane(stream)].back().map(|(at, _)| *at));
        // A batch that a resumed sender sends once more.
        let again = stream == Stream::Data && self.random.one_in(30);
        let frame = AtPlane::Frame(connection, stream, Box::new(frame));
        if again {
            self.up[lane(stream)].push_back((at, frame.clone()));
        }
        self.up[lane(stream)].push_back((at, frame));
    }

    pub(crate) fn to_agent(
        &mut self,
        connection: u64,
        stream: Stream,
        frame: v1::ServerFrame,
        now: Duration,
    ) {
        if self.open != Some(connection) {
            return;
        }
        let at = self.arrival(now, self.down[lane(stream)].back().map(|(at, _)| *at));
        self.down[lane(stream)].push_back((at, AtAgent::Frame(connection, Box::new(frame))));
    }

    /// The connection breaks: what is under way is lost, and each side hears of it, sooner or later.
    pub(crate) fn cut(&mut self, random: &mut Random, now: Duration) {
        if random.one_in(3) {
            // Neither side hears of it: only silence tells.
            self.forget();
            self.open = None;
        } else {
            self.cut_now(now);
        }
    }

    fn cut_now(&mut self, now: Duration) {
        let Some(connection) = self.open.take() else { return };
        self.forget();
        let at = self.arrival(now, None);
        self.up[0].push_back((at, AtPlane::Closed(connection)));
        let at = self.arrival(now, None);
        self.down[0].push_back((at, AtAgent::Closed(connection)));
    }

    /// One side closes: the other hears it after what was sent before.
    pub(crate) fn close(&mut self, connection: u64, now: Duration) {
        if self.open != Some(connection) {
            return;
        }
        self.open = None;
        let late = now + Duration::from_millis(self.latency);
        let last = |at: Option<Duration>| at.unwrap_or(now).max(late);
        let at = last(self.up.iter().filter_map(|queue| queue.back().map(|(at, _)| *at)).max());
        self.up[0].push_back((at, AtPlane::Closed(connection)));
        let at = last(self.down.iter().filter_map(|queue| queue.back().map(|(at, _)| *at)).max());
        self.down[0].push_back((at, AtAgent::Closed(connection)));
    }

    fn forget(&mut self) {
        self.up.iter_mut().for_each(VecDeque::clear);
        self.down.iter_mut().for_each(VecDeque::clear);
    }

    /// Nothing arrives for a while.
    pub(crate) fn silence(&mut self, random: &mut Random, now: Duration) {
        self.silent_until = now + Duration::from_secs(1 + random.below(50));
    }

    /// The trouble is over.
    pub(crate) fn heal(&mut self) {
        self.silent_until = Duration::ZERO;
        (self.latency, self.pace) = (self.latency.min(50), 0);
    }

    pub(crate) fn due_at_plane(&mut self, now: Duration) -> Vec<AtPlane> {
        due(&mut self.up, now, self.silent_until)
    }

    pub(crate) fn due_at_agent(&mut self, now: Duration) -> Vec<AtAgent> {
        due(&mut self.down, now, self.silent_until)
    }
}

/// What has arrived by `now`; the data stream's come after the control stream's, whichever was sent first.
fn due<T>(queues: &mut [VecDeque<(Duration, T)>; 2], now: Duration, silent_until: Duration) -> Vec<T> {
    let mut arrived = Vec::new();
    if now < silent_until {
        return arrived;
    }
    for queue in queues {
        while queue.front().is_some_and(|(at, _)| *at <= now) {
            arrived.extend(queue.pop_front().map(|(_, what)| what));
        }
    }
    arrived
}
