//! Reads and writes whole frames on streams, within the bounds on size and time.

use bytes::{Buf as _, BytesMut};
use nimbus_protocol::frame::{self, FrameError, HEADER, Header};
use nimbus_protocol::v1;
use prost::Message;
use tokio::time::Instant;

use super::limits::{GOODBYE, SEND_BUFFER, WRITE};
use super::wire::{FrameSink, FrameSource, Gone};

/// Why no frame was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFrameError {
    /// The peer does not keep to the protocol.
    #[error(transparent)]
    Malformed(#[from] FrameError),
    /// The connection or the stream is over.
    #[error("the stream is over: {0}")]
    Gone(#[from] Gone),
}

/// Why no frame was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteFrameError {
    /// The message is too large; a defect of this side.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The connection or the stream is over.
    #[error("the stream is over: {0}")]
    Gone(#[from] Gone),
    /// The peer does not read.
    #[error("expected the peer to read within {} seconds, found it does not", WRITE.as_secs())]
    Slow,
}

/// Reads frames off one stream. At most one frame and one chunk are held.
pub struct FrameReader {
    stream: FrameSource,
    buffer: BytesMut,
    /// Bytes read so far.
    pub bytes: u64,
}

impl FrameReader {
    /// A reader of `stream`.
    pub fn new(stream: FrameSource) -> Self {
        Self { stream, buffer: BytesMut::new(), bytes: 0 }
    }

    /// The next message; `None` when the stream ended between two frames. Cancel-safe: what was read so far is
    /// kept.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, ReadFrameError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            match self.stream.next().await? {
                Some(bytes) => {
                    self.bytes += bytes.len() as u64;
                    self.buffer.extend_from_slice(&bytes);
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(self.truncated().into()),
            }
        }
    }

    /// A whole frame out of the buffer. A hostile header is refused before its body is waited for.
    fn take<M: Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        let Some(head) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::parse(head)?;
        let end = HEADER + header.length;
        let Some(body) = self.buffer.get(HEADER..end) else {
            self.buffer.reserve(end - self.buffer.len());
            return Ok(None);
        };
        let message = header.decode(body)?;
        self.buffer.advance(end);
        Ok(Some(message))
    }

    fn truncated(&self) -> FrameError {
        let found = self.buffer.len();
        let header = self.buffer.first_chunk::<HEADER>().and_then(|head| Header::parse(head).ok());
        FrameError::Truncated { expected: header.map_or(HEADER, |header| HEADER + header.length), found }
    }
}

/// Writes frames to one stream without waiting for them to leave.
pub struct FrameWriter {
    stream: FrameSink,
    waiting: BytesMut,
    /// Since when nothing of what waits has left.
    since: Instant,
}

impl FrameWriter {
    /// A writer to `stream`.
    pub fn new(stream: FrameSink) -> Self {
        Self { stream, waiting: BytesMut::new(), since: Instant::now() }
    }

    /// Adds a message to what is to leave.
    pub fn push(&mut self, frame: &v1::ServerFrame) -> Result<(), FrameError> {
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        self.waiting.extend_from_slice(&frame::encode(frame)?);
        Ok(())
    }

    /// Is there room for answers to what is read next?
    pub fn has_room(&self) -> bool {
        self.waiting.len() < SEND_BUFFER
    }

    /// Lets what waits leave; never ends but by an error. Cancel-safe: what has left is remembered.
    pub async fn drain(&mut self) -> WriteFrameError {
        while !self.waiting.is_empty() {
            let writing = tokio::time::timeout_at(self.since + WRITE, self.stream.write(&self.waiting));
            match writing.await {
                Ok(Ok(written)) => {
                    self.waiting.advance(written);
                    self.since = Instant::now();
                }
                Ok(Err(error)) => return error.into(),
                Err(_) => return WriteFrameError::Slow,
            }
        }
        std::future::pending().await
    }

    /// The stream, once all that waited has left; `None` when that does not come about within [`GOODBYE`].
    pub async fn into_sink(mut self) -> Option<FrameSink> {
        let rest = tokio::time::timeout(GOODBYE, self.stream.write_all(&self.waiting));
        matches!(rest.await, Ok(Ok(()))).then_some(self.stream)
    }
}

/// Writes one message. Not cancel-safe: a frame cut in half ends the stream's use.
pub async fn write(stream: &mut FrameSink, body: v1::server_frame::Body) -> Result<(), WriteFrameError> {
    let bytes = frame::encode(&v1::ServerFrame { body: Some(body) })?;
    match tokio::time::timeout(WRITE, stream.write_all(&bytes)).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(WriteFrameError::Slow),
    }
}
