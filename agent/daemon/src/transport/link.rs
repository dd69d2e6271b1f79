//! One QUIC connection to the control plane: a control stream in both directions, and a data stream with batches out
//! and acknowledgements in.
//!
//! Writers take frames from bounded queues, readers give frames to the session's loop; every event carries the
//! connection's id, so that a late event of a dead connection is not taken for the living one's.

use std::time::Duration;

use nimbus_agent_core::session::{REPORT_WINDOW, WINDOW};
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::frame;
use nimbus_protocol::v1::{self, agent_frame};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::framed::{self, LinkError};
use super::quic;

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
    Closed(String),
}

/// Where the events of connections go, each with the id of its connection.
pub type Events = mpsc::Sender<(ConnectionId, LinkEvent)>;

/// A connection that stands. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Link {
    id: ConnectionId,
    endpoint: Endpoint,
    connection: Connection,
    control: mpsc::Sender<Vec<u8>>,
    data: Option<mpsc::Sender<Vec<u8>>>,
    events: Events,
    tasks: JoinSet<()>,
}

/// Dials in the background; answers with [`LinkEvent::Connected`] or [`LinkEvent::Closed`].
pub async fn dial(id: ConnectionId, server: String, config: ClientConfig, events: Events) {
    let event = match establish(id, &server, config, events.clone()).await {
        Ok(link) => LinkEvent::Connected(Box::new(link)),
        Err(reason) => LinkEvent::Closed(reason),
    };
    let _ = events.send((id, event)).await;
}

async fn establish(
    id: ConnectionId,
    server: &str,
    config: ClientConfig,
    events: Events,
) -> Result<Link, String> {
    let (endpoint, connection) = quic::connect(server, config).await.map_err(|error| error.to_string())?;
    let (send, receive) = connection.open_bi().await.map_err(|error| reason(&error))?;
    let (control, queue) = mpsc::channel(CONTROL_QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(write(send, queue, id, events.clone(), connection.clone()));
    tasks.spawn(read(receive, id, events.clone(), connection.clone()));
    Ok(Link { id, endpoint, connection, control, data: None, events, tasks })
}

impl Link {
    /// Queues a frame for the control stream; false when it cannot be, which means the connection is dying.
    pub fn send(&self, message: &v1::AgentFrame) -> bool {
        frame::encode(message).is_ok_and(|bytes| self.control.try_send(bytes).is_ok())
    }

    /// Opens the data stream; a heartbeat makes it visible to the server.
    pub async fn open_data(&mut self) -> Result<(), String> {
        let (mut send, receive) = self.connection.open_bi().await.map_err(|error| reason(&error))?;
        let hello = v1::Heartbeat { at_us: nimbus_protocol::to_micros(nimbus_platform::now()) };
        let frame = v1::AgentFrame { body: Some(agent_frame::Body::Heartbeat(hello)) };
        framed::send(&mut send, &frame).await.map_err(|error| error.to_string())?;
        // A heartbeat or a job on the control stream goes first.
        let _ = send.set_priority(-1);
        let (data, queue) = mpsc::channel(DATA_QUEUE);
        self.tasks.spawn(write(send, queue, self.id, self.events.clone(), self.connection.clone()));
        self.tasks.spawn(read(receive, self.id, self.events.clone(), self.connection.clone()));
        self.data = Some(data);
        Ok(())
    }

    /// Queues an encoded batch for the data stream; false when it cannot be.
    pub fn send_data(&self, frame: Vec<u8>) -> bool {
        self.data.as_ref().is_some_and(|data| data.try_send(frame).is_ok())
    }

    /// Closes the connection and waits, at most a second, until the peer knows.
    pub async fn close(mut self, code: CloseCode, reason: &str) {
        self.connection.close(VarInt::from_u32(code.number()), reason.as_bytes());
        let _ = tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
        self.tasks.abort_all();
    }
}

async fn write(
    mut stream: SendStream,
    mut queue: mpsc::Receiver<Vec<u8>>,
    id: ConnectionId,
    events: Events,
    connection: Connection,
) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = stream.write_all(&frame).await {
            let why = connection.close_reason().map_or_else(|| error.to_string(), |error| reason(&error));
            let _ = events.send((id, LinkEvent::Closed(why))).await;
            return;
        }
    }
    let _ = stream.finish();
}

async fn read(mut stream: RecvStream, id: ConnectionId, events: Events, connection: Connection) {
    let why = loop {
        match framed::receive::<v1::ServerFrame>(&mut stream).await {
            Ok(Some(frame)) => {
                if events.send((id, LinkEvent::Frame(Box::new(frame)))).await.is_err() {
                    return;
                }
            }
            Ok(None) => break "the control plane ended the stream".to_owned(),
            Err(LinkError::Frame(error)) => {
                let why = format!("the control plane sent what is no frame of this protocol: {error}");
                connection.close(VarInt::from_u32(CloseCode::Malformed.number()), b"malformed frame");
                break why;
            }
            Err(LinkError::Broken(error)) => {
                break connection.close_reason().map_or(error, |error| reason(&error));
            }
        }
    };
    let _ = events.send((id, LinkEvent::Closed(why))).await;
}

/// Why a connection ended, for people.
fn reason(error: &ConnectionError) -> String {
    let meaning = match error {
        ConnectionError::ApplicationClosed(close) => CloseCode::from_number(close.error_code.into()).map_or(
            "the control plane closed the connection for a reason that this version does not know",
            CloseCode::from_control_plane,
        ),
        ConnectionError::TimedOut => "nothing was heard from the control plane for 30 s",
        ConnectionError::LocallyClosed => "closed by this agent",
        other => {
            let remedy = quic::remedy(other).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            return format!("the connection broke: {other}{remedy}");
        }
    };
    match error {
        ConnectionError::ApplicationClosed(close) if !close.reason.is_empty() => {
            format!(
                "{meaning} ({})",
                String::from_utf8_lossy(&close.reason).chars().take(200).collect::<String>()
            )
        }
        _ => meaning.to_owned(),
    }
}
