//! The agent's session with the control plane, as a state machine without sockets or a clock.
//!
//! It decides when to connect and how long to wait after a failure, what to say, when silence means that the peer is
//! gone, and how much may be in flight. The daemon carries: it turns what happens into an [`Event`], and does each
//! [`Action`] that [`Session::poll_action`] gives until there is none. Times are a monotonic clock's, as the duration
//! since any fixed instant of this process: a wall clock that jumps neither delays nor hastens anything.
//!
//! ```text
//! Disconnected --retry_at--> Connecting --Connected--> Greeting --Welcome--> Live
//!       ^-------------------- closed, refused, silent, timed out -------------'
//! ```
//!
//! What became of a job goes over the control stream, so that no inventory delays it. The journal has each report until
//! it is acknowledged; the session asks for those that it has not sent over this connection, and so sends all of them
//! again after each connect.
//!
//! Bounds: [`WINDOW`] unacknowledged batches; [`REPORT_WINDOW`] unacknowledged reports of the journal, and as many
//! refusals that no journal keeps, beyond which these are dropped; the queue of actions holds what one event causes,
//! because it is emptied after each.

mod backoff;
mod machine;
#[cfg(test)]
mod report_tests;
mod reports;
#[cfg(test)]
mod tests;
pub mod way;
#[cfg(test)]
mod way_tests;

use std::time::Duration;

use nimbus_protocol::close::CloseCode;
use nimbus_protocol::v1;

pub use machine::Session;
pub use reports::SentReport;
pub use way::{Plan, Way, Ways};

/// Most batches sent and not acknowledged. At it, nothing is pulled from the spool until an acknowledgement comes.
pub const WINDOW: usize = 8;
/// Most reports sent and not acknowledged. At it, no further report is sent until an acknowledgement comes.
pub const REPORT_WINDOW: usize = 8;
/// Most bytes of observations in one batch, before compression; a frame takes more.
pub const BATCH_BYTES: usize = 512 << 10;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The connection and its control stream are open; this is the hello to send (the versions are set here).
    Connected(Box<v1::Hello>),
    /// Connecting failed, or the connection broke.
    Closed(String),
    /// Another connection stands and takes over from the one that is live: what was meant for that one is forgotten, and
    /// the next action is to connect.
    Switched,
    /// A frame came, on any stream.
    Frame(Box<v1::ServerFrame>),
    /// The journal has a new report.
    ReportsPending,
    /// Answers [`Action::PullReports`]: durable reports that were not among those sent; may be empty.
    Reports(Vec<v1::JobReport>),
    /// A refusal that no journal keeps: sent once if a session is live, otherwise dropped.
    Refusal(Box<v1::JobReport>),
    /// The spool has something new.
    Pending,
    /// Answers [`Action::Pull`]: a batch up to and including this sequence was written to the data stream.
    BatchSent(u64),
    /// Answers [`Action::Pull`]: the spool had nothing.
    NothingPending,
    /// Time passed: send this at [`Session::next_timeout`]; earlier or later does no harm.
    Timeout,
}

/// What the daemon does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect, and answer with `Connected` or `Closed`.
    Connect,
    /// Write this to the control stream.
    Send(Box<v1::AgentFrame>),
    /// Write a heartbeat with the present time to the control stream.
    Heartbeat,
    /// `spool.welcome(acknowledged)`, `journal.note_epoch(epoch)`, and open the data stream.
    Welcomed(v1::Welcome),
    /// Take one batch from the spool and write it to the data stream; answer with `BatchSent` or `NothingPending`.
    Pull {
        /// Most observations in it.
        max_observations: usize,
        /// Most bytes in it.
        max_bytes: usize,
    },
    /// `spool.acknowledge(sequence)`.
    Acknowledged(u64),
    /// Take reports from the journal, `journal.unacknowledged(most, sent)`; answer with `Reports`.
    PullReports {
        /// Most of them.
        most: usize,
        /// Those that were sent over this connection: not again.
        sent: Vec<SentReport>,
    },
    /// `journal.acknowledge(job, phase)`.
    ReportAcknowledged(v1::JobReportAck),
    /// A signed job, not believed yet.
    Job(v1::Envelope),
    /// Whether people have paused this agent, as it is now.
    Pause(v1::Pause),
    /// The control plane asks for everything again.
    Resync(String),
    /// A new certificate.
    Renewed(v1::RenewResponse),
    /// Close the connection with this application code; no answer is needed.
    Close {
        /// Why, for the peer.
        code: CloseCode,
        /// For the log.
        reason: String,
    },
}

/// How patient a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest wait for the Welcome.
    pub greeting_timeout: Duration,
    /// Longest wait for an acknowledgement of the oldest batch or report in flight.
    pub ack_timeout: Duration,
    /// Ceiling of the first wait between attempts; it doubles with each attempt.
    pub backoff_base: Duration,
    /// Highest ceiling of the wait between attempts.
    pub backoff_max: Duration,
    /// A session that lived so long starts the waits from the beginning.
    pub stable_after: Duration,
    /// Wait after a refusal that says not to try again: an operator may have changed that by then.
    pub refused_wait: Duration,
}

impl Default for Settings {
    /// 15 s, 10 s and 30 s of patience; waits of 1 s to 60 s, anew after 10 s; 5 minutes after a refusal.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            greeting_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(30),
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_mins(1),
            stable_after: Duration::from_secs(10),
            refused_wait: Duration::from_mins(5),
        }
    }
}

/// Where the session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits.
    Disconnected {
        /// When to try again.
        retry_at: Duration,
    },
    /// The daemon connects.
    Connecting,
    /// The hello is sent, the Welcome is awaited.
    Greeting,
    /// Up.
    Live,
}
