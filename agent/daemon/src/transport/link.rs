//! One connection: a control stream (both ways) and a data stream (batches out, acknowledgements in).
//!
//! Writers take frames from bounded queues, readers give frames to the hub; every event carries the connection's
//! number, so that a late word of a dead connection is not taken for the living one's.

use std::time::Duration;

use nimbus_protocol::frame;
use nimbus_protocol::v1::{self, agent_frame};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::framed::{self, LinkError};
use super::quic;

/// Frames that may wait for the control stream; more than a session ever has at once.
const CONTROL_QUEUE: usize = 16;
/// Batches that may wait for the data stream: the session's window.
const DATA_QUEUE: usize = 8;

/// What happened on a connection.
#[derive(Debug)]
pub enum Word {
    /// It stands, and its control stream is open.
    Up(Box<Link>),
    /// A frame came.
    Frame(Box<v1::ServerFrame>),
    /// It could not be made, or it broke.
    Down(String),
}

/// A word and the number of the connection that it is about.
pub type Numbered = (u64, Word);

/// A connection that stands. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Link {
    number: u64,
    endpoint: Endpoint,
    connection: Connection,
    control: mpsc::Sender<Vec<u8>>,
    data: Option<mpsc::Sender<Vec<u8>>>,
    words: mpsc::Sender<Numbered>,
    tasks: JoinSet<()>,
}

/// Dials in the background; answers with [`Word::Up`] or [`Word::Down`].
pub async fn dial(number: u64, server: String, config: ClientConfig, words: mpsc::Sender<Numbered>) {
    let word = match establish(number, &server, config, words.clone()).await {
        Ok(link) => Word::Up(Box::new(link)),
        Err(reason) => Word::Down(reason),
    };
    let _ = words.send((number, word)).await;
}

async fn establish(
    number: u64,
    server: &str,
    config: ClientConfig,
    words: mpsc::Sender<Numbered>,
) -> Result<Link, String> {
    let (endpoint, connection) = quic::connect(server, config).await.map_err(|error| error.to_string())?;
    let (send, receive) = connection.open_bi().await.map_err(|error| reason(&error))?;
    let (control, queue) = mpsc::channel(CONTROL_QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(write(send, queue, number, words.clone(), connection.clone()));
    tasks.spawn(read(receive, number, words.clone(), connection.clone()));
    Ok(Link { number, endpoint, connection, control, data: None, words, tasks })
}

impl Link {
    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Queues a frame for the control stream; false when it cannot be, which means the connection is dying.
    pub fn send(&self, message: &v1::AgentFrame) -> bool {
        frame::encode(message).is_ok_and(|bytes| self.control.try_send(bytes).is_ok())
    }

    /// Opens the data stream; a heartbeat makes it visible to the server.
    pub async fn open_data(&mut self) -> Result<(), String> {
        let (mut send, receive) = self.connection.open_bi().await.map_err(|error| reason(&error))?;
        let hello = v1::Heartbeat { at_us: crate::clock::now_us() };
        let frame = v1::AgentFrame { body: Some(agent_frame::Body::Heartbeat(hello)) };
        framed::send(&mut send, &frame).await.map_err(|error| error.to_string())?;
        // A heartbeat or a job on the control stream goes first.
        let _ = send.set_priority(-1);
        let (data, queue) = mpsc::channel(DATA_QUEUE);
        self.tasks.spawn(write(send, queue, self.number, self.words.clone(), self.connection.clone()));
        self.tasks.spawn(read(receive, self.number, self.words.clone(), self.connection.clone()));
        self.data = Some(data);
        Ok(())
    }

    /// Queues an encoded batch for the data stream; false when it cannot be.
    pub fn send_data(&self, frame: Vec<u8>) -> bool {
        self.data.as_ref().is_some_and(|data| data.try_send(frame).is_ok())
    }

    /// Closes the connection and waits, at most a second, until the peer has been told.
    pub async fn close(mut self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
        let _ = tokio::time::timeout(Duration::from_secs(1), self.endpoint.wait_idle()).await;
        self.tasks.abort_all();
    }
}

async fn write(
    mut stream: SendStream,
    mut queue: mpsc::Receiver<Vec<u8>>,
    number: u64,
    words: mpsc::Sender<Numbered>,
    connection: Connection,
) {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = stream.write_all(&frame).await {
            let why = connection.close_reason().map_or_else(|| error.to_string(), |error| reason(&error));
            let _ = words.send((number, Word::Down(why))).await;
            return;
        }
    }
    let _ = stream.finish();
}

async fn read(mut stream: RecvStream, number: u64, words: mpsc::Sender<Numbered>, connection: Connection) {
    let why = loop {
        match framed::receive::<v1::ServerFrame>(&mut stream).await {
            Ok(Some(frame)) => {
                if words.send((number, Word::Frame(Box::new(frame)))).await.is_err() {
                    return;
                }
            }
            Ok(None) => break "the control plane ended the stream".to_owned(),
            Err(LinkError::Frame(error)) => {
                let why = format!("the control plane sent what is no frame of this protocol: {error}");
                connection.close(quic::CLOSE_MALFORMED, b"malformed frame");
                break why;
            }
            Err(LinkError::Broken(error)) => {
                break connection.close_reason().map_or(error, |error| reason(&error));
            }
        }
    };
    let _ = words.send((number, Word::Down(why))).await;
}

/// Why a connection ended, for people.
fn reason(error: &ConnectionError) -> String {
    let meaning = match error {
        ConnectionError::ApplicationClosed(close) => match u64::from(close.error_code) {
            0 => "the control plane closed the connection",
            1 => "the control plane turned this agent away",
            2 => "the control plane did not understand this agent; upgrade the older side",
            3 => "the control plane is overloaded",
            4 => "the control plane is shutting down",
            5 => "a newer session of this same agent replaced this one; is its data directory used twice?",
            _ => "the control plane closed the connection for an unknown reason",
        },
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
