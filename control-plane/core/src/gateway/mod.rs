//! The control plane's side of one agent's session, as a state machine without sockets, store or clock.
//!
//! It decides who is greeted and how, what each stream may carry, how much may wait for its commit, when everything has to
//! be listed again, and when a session ends and with which words. The shell carries: it turns what happens into an
//! [`Event`], and does each [`Action`] that [`Session::poll_action`] gives until there is none. Times are a monotonic
//! clock's, as the duration since any fixed instant of the process.
//!
//! ```text
//! Greeting --Hello--> Admitting --Admitted--> Live
//!     '-------------------'--------------------'---> Ended, once, with an `Action::End`
//! ```
//!
//! Nothing is acknowledged before the shell says that it is stored: batches in the order in which they came, because
//! their acknowledgements are cumulative, and each report by itself.
//!
//! Bounds: [`WINDOW`] batches and [`REPORT_WINDOW`] reports of one agent that wait for their commit; the queue of actions
//! holds what one event causes, because it is emptied after each.

mod batch;
mod session;
mod session_end;
#[cfg(test)]
mod tests;

use std::time::Duration;

use nimbus_protocol::v1;

pub use batch::{BatchError, CheckedBatch, newer_than};
pub use session::Session;
pub use session_end::{CloseReason, Rejection, SessionEnd, standby};

/// Most batches of one agent that wait for their commit. At it the data stream is not read further: see
/// [`Session::may_read_data`].
pub const WINDOW: usize = 8;
/// Most reports of one agent that wait for their commit: twice what an agent leaves unacknowledged. A longer queue ends the
/// session as overloaded.
pub const REPORT_WINDOW: usize = 32;
/// Longest encoded report, bytes. Agents cut theirs to a quarter of it; a longer one ends the session.
pub const MAX_REPORT: usize = 64 << 10;
/// How often an agent is to show that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Without a frame for so long, a session is over.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Shortest time between two certificate renewals in one session; an earlier one ends it.
pub const RENEWAL_EVERY: Duration = Duration::from_secs(10);
/// Shortest time between two requests to list everything again; gaps in between share one.
pub const RESYNC_EVERY: Duration = Duration::from_secs(30);
/// After how long an overloaded control plane asks to be tried again; the shell adds up to half of it.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// One of a session's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Hello and welcome, heartbeats, jobs and their reports, renewals. It never waits for data.
    Control,
    /// Batches up, their acknowledgements down.
    Data,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A frame came.
    Frame(Stream, Box<v1::AgentFrame>),
    /// Answers [`Action::Admit`]: the agent may come in.
    Admitted(Admission),
    /// The shell ends the session: the answer to [`Action::Admit`] or to [`Action::Renew`] was no, the connection broke, or
    /// what came is no frame.
    End(SessionEnd),
    /// Answers [`Action::Store`], in the order in which those were given.
    Stored(Stored),
    /// Answers [`Action::StoreReport`].
    ReportStored(v1::JobReportAck),
    /// Answers [`Action::Renew`].
    Renewed(v1::RenewResponse),
    /// A signed job for this agent.
    Job(v1::Envelope),
    /// Whether people paused Nimbus where this agent acts, as it is now.
    Pause(v1::Pause),
    /// The control plane ends the session.
    Close(CloseReason),
    /// Time passed: send this at [`Session::next_timeout`]; earlier or later does no harm.
    Timeout,
}

/// What the shell does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Look the agent up, take what its hello says, and answer with `Admitted` or `End`. No frame is read meanwhile.
    Admit(Box<v1::Hello>),
    /// Write this to a stream.
    Send(Stream, Box<v1::ServerFrame>),
    /// Write a heartbeat with the present time to the control stream.
    Heartbeat,
    /// Store this batch, and answer with `Stored`.
    Store(CheckedBatch),
    /// Take this report, and answer with `ReportStored` after its commit.
    StoreReport(Box<v1::JobReport>),
    /// Issue a certificate, and answer with `Renewed` or `End`.
    Renew(v1::RenewRequest),
    /// Close the connection. Nothing follows.
    End(SessionEnd),
}

/// With what an agent is welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Every observation of the agent up to and including this one is stored.
    pub acknowledged: u64,
    /// Grows with each start of the control plane.
    pub epoch: u64,
    /// Must the agent list everything again, because nothing is known of what it listed before?
    pub needs_listing: bool,
}

/// What became of a batch, once it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Everything of the agent up to and including this sequence is stored.
    pub mark: u64,
    /// Are sequences missing before the batch?
    pub gap: bool,
}
