//! The session.
use nimbus_protocol::v1;
use std::time::Duration;
/// What happened. Times are a monotonic clock's: the duration since any fixed instant of this process.
#[derive(Debug)]
pub enum Event {
    /// The connection and its control stream are open; the hello to send (the session sets its versions).
    Connected(Box<v1::Hello>),
    /// Connecting failed, or the connection broke.
    Closed(String),
    /// A frame came, on any stream.
    Frame(Box<v1::ServerFrame>),
    /// The spool has something new.
    Pending,
    /// Answers [`Action::Pull`]: a batch up to this sequence was written to the data stream.
    BatchSent(u64),
    /// Answers [`Action::Pull`]: the spool had nothing.
    NothingPending,
    /// Time passed: call at [`Session::next_timeout`] or later.
    Timeout,
}
/// What the daemon does.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Connect; answer with `Connected` or `Closed`.
    Connect,
    /// Write this to the control stream.
    Send(Box<v1::AgentFrame>),
    /// Write a heartbeat with the present time to the control stream.
    Heartbeat,
    /// `spool.welcome(acknowledged)`, `journal.note_epoch(epoch)`; open the data stream.
    Welcomed(v1::Welcome),
    /// Take one batch from the spool and send it; answer with `BatchSent` or `NothingPending`.
    Pull {
        /** Most observations. */
        max_observations: usize,
        /** Most bytes. */
        max_bytes: usize,
    },
    /// `spool.acknowledge(sequence)`.
    Acknowledged(u64),
    /// An order, not believed yet.
    Job(v1::Envelope),
    /// List everything again.
    Resync(String),
    /// A new certificate.
    Renewed(v1::RenewResponse),
    /// Close the connection with this application code; no answer needed.
    Close {
        /** QUIC application code. */
        code: u32,
        /** For the log. */
        reason: String,
    },
}
/// Settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest wait for the Welcome.
    pub greeting_timeout: Duration,
    /// Longest wait for an acknowledgement.
    pub ack_timeout: Duration,
    /// First back-off.
    pub backoff_base: Duration,
    /// Longest back-off.
    pub backoff_max: Duration,
    /// Wait after a refusal that says not to try again.
    pub refused_wait: Duration,
}
impl Default for Settings {
    fn default() -> Self {
        todo!()
    }
}
/// Where the session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Waits.
    Disconnected {
        /** When to try again. */
        retry_at: Duration,
    },
    /// Connecting.
    Connecting,
    /// Hello sent.
    Greeting,
    /// Up.
    Live,
}
/// The state machine.
#[derive(Debug)]
pub struct Session {}
impl Session {
    /// Connects at once.
    pub fn new(_settings: Settings, _now: Duration) -> Self {
        todo!()
    }
    /// Takes what happened; `random` spreads reconnects.
    pub fn handle(&mut self, _event: Event, _now: Duration, _random: u64) {
        todo!()
    }
    /// The next thing to do; ask until `None` after each event.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }
    /// When to send [`Event::Timeout`] at the latest.
    pub fn next_timeout(&self) -> Duration {
        todo!()
    }
    /// Where it stands.
    pub fn state(&self) -> &State {
        todo!()
    }
    /// Why it is not live, one sentence; `None` when it is.
    pub fn problem(&self) -> Option<&str> {
        todo!()
    }
    /// Batches sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        todo!()
    }
}
