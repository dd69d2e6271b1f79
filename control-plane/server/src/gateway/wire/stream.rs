//! The two directions of one stream of frames, as bytes: a QUIC stream, or the pieces of a gRPC call.

use bytes::Bytes;
use nimbus_protocol::v1::FramePiece;
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;
use tonic::Streaming;

use super::Gone;

/// Bytes taken off a QUIC stream, or put into one piece, at once.
const CHUNK: usize = 64 * 1024;

/// What comes from the peer.
pub enum FrameSource {
    /// A QUIC stream.
    Quic(RecvStream),
    /// The requests of a call.
    Tcp(Box<Streaming<FramePiece>>),
}

impl FrameSource {
    /// The next bytes; `None` when the peer ended the stream. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        match self {
            Self::Quic(stream) => match stream.read_chunk(CHUNK, true).await {
                Ok(chunk) => Ok(chunk.map(|chunk| chunk.bytes)),
                Err(error) => Err(Gone(error.to_string())),
            },
            Self::Tcp(pieces) => match pieces.message().await {
                Ok(piece) => Ok(piece.map(|piece| piece.bytes)),
                Err(status) => Err(Gone(status.message().to_owned())),
            },
        }
    }
}

/// What goes to the peer.
pub enum FrameSink {
    /// A QUIC stream.
    Quic(SendStream),
    /// The answers of a call; `None` once it was finished.
    Tcp(Option<mpsc::Sender<FramePiece>>),
}

impl FrameSink {
    /// Writes some of `bytes`; how many. Cancel-safe.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        match self {
            Self::Quic(stream) => stream.write(bytes).await.map_err(|error| Gone(error.to_string())),
            Self::Tcp(pieces) => {
                let over = || Gone("the call is over".to_owned());
                let place = pieces.as_ref().ok_or_else(over)?.reserve().await.map_err(|_| over())?;
                let taken = bytes.len().min(CHUNK);
                place.send(FramePiece { bytes: Bytes::copy_from_slice(&bytes[..taken]) });
                Ok(taken)
            }
        }
    }

    /// Writes all of `bytes`.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Nothing more is written.
    pub fn finish(&mut self) {
        match self {
            // It fails only where it was finished or reset before.
            Self::Quic(stream) => drop(stream.finish()),
            Self::Tcp(pieces) => *pieces = None,
        }
    }

    /// Comes when the peer has everything, as far as that is needed before the connection is closed: over TCP the close
    /// comes after everything else.
    pub async fn taken(&mut self) {
        match self {
            Self::Quic(stream) => drop(stream.stopped().await),
            Self::Tcp(_) => {}
        }
    }
}
