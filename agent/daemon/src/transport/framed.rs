//! Reads and writes whole messages on one stream of either way. A frame longer than the protocol's bound is refused before
//! its body is waited for.

use nimbus_protocol::frame::{self, FrameError, HEADER, Header};
use nimbus_protocol::v1::FramePiece;
use prost::Message;
use quinn::{ReadExactError, RecvStream, SendStream};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// The pieces of a call's answers.
type Answers = Streaming<FramePiece>;

/// Why no message came or went.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The bytes are no frame of this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream or connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The call over TCP ended with this status.
    #[error("the connection broke: {}", .0.message())]
    Call(Box<Status>),
}

/// What goes to the control plane on one stream.
#[derive(Debug)]
pub enum FrameSink {
    /// A QUIC stream.
    Quic(SendStream),
    /// The requests of a call over TCP.
    Tcp(mpsc::Sender<FramePiece>),
}

impl FrameSink {
    /// Writes the bytes of a frame.
    pub async fn write(&mut self, frame: Vec<u8>) -> Result<(), LinkError> {
        match self {
            Self::Quic(stream) => {
                stream.write_all(&frame).await.map_err(|error| LinkError::Broken(error.to_string()))
            }
            Self::Tcp(pieces) => {
                let sent = pieces.send(FramePiece { bytes: frame.into() }).await;
                sent.map_err(|_| LinkError::Broken("the call is over".to_owned()))
            }
        }
    }

    /// Sends one message.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), LinkError> {
        self.write(frame::encode(message)?).await
    }

    /// Lets what goes on other streams of the connection go first, where the way can do that.
    pub fn yield_to_others(&self) {
        match self {
            Self::Quic(stream) => drop(stream.set_priority(-1)),
            // HTTP/2 takes turns.
            Self::Tcp(_) => {}
        }
    }

    /// Nothing more is sent.
    pub fn finish(self) {
        match self {
            Self::Quic(mut stream) => drop(stream.finish()),
            Self::Tcp(pieces) => drop(pieces),
        }
    }
}

/// What comes from the control plane on one stream.
#[derive(Debug)]
pub enum FrameSource {
    /// A QUIC stream.
    Quic(RecvStream),
    /// The answers of a call over TCP, and those bytes that are not a whole frame yet: at most a frame and a piece.
    Tcp(Box<Answers>, Vec<u8>),
}

impl FrameSource {
    /// The answers of a call over TCP.
    pub fn tcp(answers: Answers) -> Self {
        Self::Tcp(Box::new(answers), Vec::new())
    }

    /// The next message, or `None` where the peer finished the stream between two frames.
    pub async fn receive<M: Message + Default>(&mut self) -> Result<Option<M>, LinkError> {
        match self {
            Self::Quic(stream) => receive_quic(stream).await,
            Self::Tcp(answers, waiting) => receive_tcp(answers, waiting).await,
        }
    }
}

async fn receive_quic<M: Message + Default>(stream: &mut RecvStream) -> Result<Option<M>, LinkError> {
    let mut head = [0; HEADER];
    match stream.read_exact(&mut head).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(ReadExactError::FinishedEarly(found)) => {
            return Err(FrameError::Truncated { expected: HEADER, found }.into());
        }
        Err(ReadExactError::ReadError(error)) => return Err(LinkError::Broken(error.to_string())),
    }
    let header = Header::parse(&head)?;
    let mut body = vec![0; header.length];
    match stream.read_exact(&mut body).await {
        Ok(()) => Ok(Some(header.decode(&body)?)),
        Err(ReadExactError::FinishedEarly(found)) => {
            Err(FrameError::Truncated { expected: header.length, found }.into())
        }
        Err(ReadExactError::ReadError(error)) => Err(LinkError::Broken(error.to_string())),
    }
}

async fn receive_tcp<M: Message + Default>(
    answers: &mut Answers,
    waiting: &mut Vec<u8>,
) -> Result<Option<M>, LinkError> {
    loop {
        if let Some((message, used)) = frame::decode(waiting)? {
            waiting.drain(..used);
            return Ok(Some(message));
        }
        match answers.message().await {
            Ok(Some(piece)) => waiting.extend_from_slice(&piece.bytes),
            Ok(None) if waiting.is_empty() => return Ok(None),
            Ok(None) => {
                let found = waiting.len();
                let header = waiting.first_chunk::<HEADER>().and_then(|head| Header::parse(head).ok());
                let expected = header.map_or(HEADER, |header| HEADER + header.length);
                return Err(FrameError::Truncated { expected, found }.into());
            }
            Err(status) => return Err(LinkError::Call(Box::new(status))),
        }
    }
}
