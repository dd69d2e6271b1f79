//! The simulated link of the pair and its virtual clock, with a queue of all events that happen later.

use std::collections::BTreeMap;
use std::time::Duration;

use nimbus_control_core::gateway::Stream;
use nimbus_protocol::v1;

use crate::random::Random;

/// A connection, by its number.
pub type Connection = u32;

/// What happens to the agent.
#[derive(Debug)]
pub enum ToAgent {
    /// It is connected.
    Connected(Connection),
    /// It cannot connect, or the connection is over.
    Closed(Connection),
    /// A frame came.
    Frame(Connection, Box<v1::ServerFrame>),
    /// Its session asked for the time.
    Timer,
    /// There is something new to report.
    Observe,
}

/// What happens to the control plane.
#[derive(Debug)]
pub enum ToPlane {
    /// The agent is connected.
    Opened(Connection),
    /// The connection is over.
    Closed(Connection),
    /// A frame came.
    Frame(Connection, Stream, Box<v1::AgentFrame>),
    /// A session asked for the time.
    Timer(Connection),
    /// The agent was looked up, by the process of this epoch.
    LookedUp(u64, Connection),
    /// The log's writer is done with the oldest batch, in the process of this epoch.
    Committed(u64),
    /// A report is committed, in the process of this epoch.
    ReportCommitted(u64, Connection, Box<v1::JobReport>),
    /// There is a new job for the agent.
    Order,
}

/// What happens.
#[derive(Debug)]
pub enum Event {
    /// To the agent.
    Agent(ToAgent),
    /// To the control plane.
    Plane(ToPlane),
    /// The connection breaks.
    Break,
    /// The control plane's process is killed and started again.
    Crash,
}

/// Where a frame goes, for the order in which frames arrive.
type Lane = (Connection, bool, bool);

/// The link and its clock.
pub struct Link {
    now: Duration,
    events: BTreeMap<(Duration, u64), Event>,
    next: u64,
    /// When the last frame of each lane arrives.
    lanes: BTreeMap<Lane, Duration>,
    /// How long a frame takes at most.
    latency: Duration,
    /// Times in which nothing arrives.
    stalls: Vec<(Duration, Duration)>,
    /// The connection that both believe in.
    open: Option<Connection>,
    /// Connections so far.
    pub connections: Connection,
    /// Of which broken.
    pub broken: u32,
}

impl Link {
    /// A link on which everything that is planned happens within `trouble`.
    pub fn new(random: &mut Random, trouble: Duration) -> Self {
        let longest = if random.one_in(5) { 4_000 } else { 80 };
        let mut link = Self {
            now: Duration::ZERO,
            events: BTreeMap::new(),
            next: 0,
            lanes: BTreeMap::new(),
            latency: Duration::from_millis(1 + random.below(longest)),
            stalls: Vec::new(),
            open: None,
            connections: 0,
            broken: 0,
        };
        for _ in 0..10 + random.below(60) {
            link.at(random.up_to(trouble), Event::Agent(ToAgent::Observe));
        }
        for _ in 0..=random.below(4) {
            link.at(random.up_to(trouble), Event::Plane(ToPlane::Order));
        }
        for _ in 0..=random.below(6) {
            let at = random.up_to(trouble);
            match random.below(4) {
                0 => link.at(at, Event::Crash),
                1 => link.stalls.push((at, at + random.up_to(trouble))),
                _ => link.at(at, Event::Break),
            }
        }
        link
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets the next thing happen.
    pub fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.next += 1;
        self.events.insert((at.max(self.now), self.next), event);
    }

    /// Lets something happen to the agent at a time.
    pub fn agent_at(&mut self, at: Duration, event: ToAgent) {
        self.at(at, Event::Agent(event));
    }

    /// Lets something happen to the control plane at a time.
    pub fn plane_at(&mut self, at: Duration, event: ToPlane) {
        self.at(at, Event::Plane(event));
    }

    /// The agent connects, or finds that it cannot.
    pub fn connect(&mut self, random: &mut Random) {
        self.connections += 1;
        let connection = self.connections;
        let at = self.arrival((connection, false, false), random);
        let is_cut_off = self.stalls.iter().any(|(from, to)| (*from..*to).contains(&self.now));
        if is_cut_off || random.one_in(10) {
            return self.agent_at(at, ToAgent::Closed(connection));
        }
        self.open = Some(connection);
        self.plane_at(at, ToPlane::Opened(connection));
        self.agent_at(at, ToAgent::Connected(connection));
    }

    /// A frame for the control plane.
    pub fn send_up(
        &mut self,
        connection: Connection,
        stream: Stream,
        frame: v1::AgentFrame,
        random: &mut Random,
    ) {
        if self.open == Some(connection) {
            let at = self.arrival((connection, true, stream == Stream::Data), random);
            self.plane_at(at, ToPlane::Frame(connection, stream, Box::new(frame)));
        }
    }

    /// A frame for the agent.
    pub fn send_down(
        &mut self,
        connection: Connection,
        stream: Stream,
        frame: v1::ServerFrame,
        random: &mut Random,
    ) {
        if self.open == Some(connection) {
            let at = self.arrival((connection, false, stream == Stream::Data), random);
            self.agent_at(at, ToAgent::Frame(connection, Box::new(frame)));
        }
    }

    /// One side closes; the other one hears of it after all that was sent before.
    pub fn close(&mut self, connection: Connection, random: &mut Random) {
        if self.open == Some(connection) {
            self.open = None;
            let streams = [(true, true), (true, false), (false, true), (false, false)];
            let arrived = streams.map(|(up, data)| self.arrival((connection, up, data), random));
            let at = arrived.into_iter().max().unwrap_or(self.now);
            self.plane_at(at, ToPlane::Closed(connection));
            self.agent_at(at, ToAgent::Closed(connection));
        }
    }

    /// The connection breaks: what is on its way is lost. The control plane may hear nothing of it.
    pub fn break_connection(&mut self, random: &mut Random) {
        let Some(connection) = self.open.take() else { return };
        self.broken += 1;
        self.events.retain(|_, event| match event {
            Event::Agent(ToAgent::Frame(of, _)) | Event::Plane(ToPlane::Frame(of, _, _)) => *of != connection,
            _ => true,
        });
        let noticed = self.now + random.up_to(Duration::from_secs(20));
        self.agent_at(noticed, ToAgent::Closed(connection));
        if !random.one_in(3) {
            self.plane_at(self.now + random.up_to(Duration::from_secs(20)), ToPlane::Closed(connection));
        }
    }

    /// When a frame of a lane arrives: after those before it, and not while the link stalls.
    fn arrival(&mut self, lane: Lane, random: &mut Random) -> Duration {
        let mut at = self.now + random.up_to(self.latency);
        for (from, to) in &self.stalls {
            if (*from..*to).contains(&at) {
                at = *to;
            }
        }
        let last = self.lanes.entry(lane).or_default();
        *last = at.max(*last);
        *last
    }
}
