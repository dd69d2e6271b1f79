//! Reads and writes whole messages on one QUIC stream. A frame longer than the protocol's bound is refused before its
//! body is read.

use nimbus_protocol::frame::{self, FrameError, HEADER, Header};
use prost::Message;
use quinn::{ReadExactError, RecvStream, SendStream};

/// Why no message came or went.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The bytes are no frame of this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream or connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// The next message, or `None` where the peer finished the stream between two frames.
pub async fn receive<M: Message + Default>(stream: &mut RecvStream) -> Result<Option<M>, LinkError> {
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

/// Sends one message.
pub async fn send<M: Message>(stream: &mut SendStream, message: &M) -> Result<(), LinkError> {
    let bytes = frame::encode(message)?;
    stream.write_all(&bytes).await.map_err(|error| LinkError::Broken(error.to_string()))
}
