//! One connection to the control plane: a control stream in both directions, and a data stream with batches out
//! and acknowledgements in.
//!
//! Writers take frames from bounded queues, readers give frames to the session's loop; every event carries the
//! connection's id, so that a late event of a dead connection is not taken for the living one's.

use nimbus_agent_core::session::{Plan, REPORT_WINDOW, WINDOW, Way};
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::frame;
use nimbus_protocol::v1::{self, agent_frame};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::dial::{Dial, Dialled};
use super::framed::{FrameSink, FrameSource};
use super::tls::Purpose;
use super::wire::{Connection, Ending, Reasons};

/// Frames that may wait for the control stream; more than a session ever has at once: both kinds of reports in their
/// window, and the few frames besides.
const CONTROL_QUEUE: usize = 2 * REPORT_WINDOW + 16;
/// Batches that may wait for the data stream: the session's window.
const DATA_QUEUE: usize = WINDOW;

/// Tells one connection from another; the next one has the next id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The id after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What happened on a connection.
#[derive(Debug)]
pub enum LinkEvent {
    /// It stands, and its control stream is open.
    Connected(Box<Link>),
    /// A frame came.
    Frame(Box<v1::ServerFrame>),
    /// It could not be made, or it broke; why.
    Closed(Ending),
    /// What came of a probe of QUIC beside this connection.
    Probed(Result<Box<Connection>, String>),
}

/// Where the events of connections go, each with the id of its connection.
pub type Events = mpsc::Sender<(ConnectionId, LinkEvent)>;

/// A connection that stands. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Link {
    id: ConnectionId,
    connection: Connection,
    /// QUIC was tried for this connection and failed; why.
    quic_failed: Option<String>,
    control: mpsc::Sender<Vec<u8>>,
    data: Option<mpsc::Sender<Vec<u8>>>,
    events: Events,
    tasks: JoinSet<()>,
}

/// Dials in the background; answers with [`LinkEvent::Connected`] or [`LinkEvent::Closed`].
pub async fn dial(id: ConnectionId, dial: Dial, plan: Plan, events: Events) {
    let event = match dial.first(plan).await {
        Ok(dialled) => opened(id, dialled, events.clone()).await,
        Err(error) => LinkEvent::Closed(Ending::by(error.to_string())),
    };
    let _ = events.send((id, event)).await;
}

/// Takes a connection that stands already; answers as [`dial`] does.
pub async fn take(id: ConnectionId, connection: Connection, events: Events) {
    let event = opened(id, Dialled { connection, quic_failed: None }, events.clone()).await;
    let _ = events.send((id, event)).await;
}

/// Tries QUIC beside the connection `id`; answers with [`LinkEvent::Probed`].
pub async fn probe(id: ConnectionId, dial: Dial, events: Events) {
    // Its handshake is padded to full-size datagrams in both directions: where those are dropped, it fails.
    let probed = dial.by(Way::Quic).await.map(Box::new).map_err(|error| error.to_string());
    let _ = events.send((id, LinkEvent::Probed(probed))).await;
}

/// Opens the control stream.
async fn opened(id: ConnectionId, dialled: Dialled, events: Events) -> LinkEvent {
    let Dialled { connection, quic_failed } = dialled;
    let (sink, source) = match connection.open_first(Purpose::Session).await {
        Ok(opened) => opened,
        Err(ending) => return LinkEvent::Closed(ending),
    };
    let (control, queue) = mpsc::channel(CONTROL_QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(write(sink, queue, id, events.clone(), connection.reasons()));
    tasks.spawn(read(source, id, events.clone(), connection.reasons()));
    LinkEvent::Connected(Box::new(Link { id, connection, quic_failed, control, data: None, events, tasks }))
}

impl Link {
    /// Which way it goes.
    pub fn way(&self) -> Way {
        self.connection.way()
    }

    /// The word for its way in status and metrics.
    pub fn transport(&self) -> &'static str {
        self.connection.transport()
    }

    /// Why QUIC, which was tried for it, did not answer; `None` where it was not tried or stands.
    pub fn quic_failed(&self) -> Option<&str> {
        self.quic_failed.as_deref()
    }

    /// Queues a frame for the control stream; false when it cannot be, which means the connection is dying.
    pub fn send(&self, message: &v1::AgentFrame) -> bool {
        frame::encode(message).is_ok_and(|bytes| self.control.try_send(bytes).is_ok())
    }

    /// Opens the data stream; a heartbeat makes it visible to the server.
    pub async fn open_data(&mut self) -> Result<(), Ending> {
        let (mut sink, source) = self.connection.open_data().await?;
        let hello = v1::Heartbeat { at_us: nimbus_protocol::to_micros(nimbus_platform::now()) };
        let frame = v1::AgentFrame { body: Some(agent_frame::Body::Heartbeat(hello)) };
        let reasons = self.connection.reasons();
        sink.send(&frame).await.map_err(|error| reasons.ending(&error))?;
        // A heartbeat or a job on the control stream goes first.
        sink.yield_to_others();
        let (data, queue) = mpsc::channel(DATA_QUEUE);
        self.tasks.spawn(write(sink, queue, self.id, self.events.clone(), reasons.clone()));
        self.tasks.spawn(read(source, self.id, self.events.clone(), reasons));
        self.data = Some(data);
        Ok(())
    }

    /// Queues an encoded batch for the data stream; false when it cannot be.
    pub fn send_data(&self, frame: Vec<u8>) -> bool {
        self.data.as_ref().is_some_and(|data| data.try_send(frame).is_ok())
    }

    /// Closes the connection and waits, at most a second, until the peer knows.
    pub async fn close(self, code: CloseCode, reason: &str) {
        let Self { connection, control, data, mut tasks, .. } = self;
        // Their writers finish the streams when the last frame has left.
        drop((control, data));
        connection.close(code, reason).await;
        tasks.abort_all();
    }
}

async fn write(
    mut sink: FrameSink,
    mut queue: mpsc::Receiver<Vec<u8>>,
    id: ConnectionId,
    events: Events,
    reasons: Reasons,
) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = sink.write(frame).await {
            let _ = events.send((id, LinkEvent::Closed(reasons.ending(&error)))).await;
            return;
        }
    }
    sink.finish();
}

async fn read(mut source: FrameSource, id: ConnectionId, events: Events, reasons: Reasons) {
    let ending = loop {
        match source.receive::<v1::ServerFrame>().await {
            Ok(Some(frame)) => {
                if events.send((id, LinkEvent::Frame(Box::new(frame)))).await.is_err() {
                    return;
                }
            }
            Ok(None) => break Ending::by("the control plane ended the stream"),
            Err(error) => break reasons.ending(&error),
        }
    };
    let _ = events.send((id, LinkEvent::Closed(ending))).await;
}
