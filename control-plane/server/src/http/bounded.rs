//! A connection's bounds before anything on it is a request: how many there may be, and how long one may say nothing.
//!
//! The HTTP library's own time for a request's head begins when it knows which HTTP is spoken. Until then, and for
//! the number of connections, nobody else watches.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// As many bytes tell HTTP/2 from HTTP/1; a whole request of HTTP/1.1 is longer.
const OPENING: usize = 24;

/// Takes at most so many connections at once; a further one is closed unanswered.
#[derive(Clone)]
pub struct Bounded<A> {
    inner: A,
    slots: Arc<Semaphore>,
    patience: Duration,
}

impl<A> Bounded<A> {
    /// At most `connections` through `inner`, each of which has `patience` for its first bytes.
    pub fn new(inner: A, connections: usize, patience: Duration) -> Self {
        Self { inner, slots: Arc::new(Semaphore::new(connections)), patience }
    }
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S, Service = S>,
    A::Future: Send + 'static,
{
    type Stream = Opening<A::Stream>;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Box::pin(async { Err(io::Error::other("too many connections")) });
        };
        let (accepted, patience) = (self.inner.accept(stream, service), self.patience);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let opening = Some((Box::pin(tokio::time::sleep(patience)), 0));
            Ok((Opening { stream, patience: opening, _slot: slot }, service))
        })
    }
}

/// A connection that has to say something in time. It gives its slot back when it is dropped.
pub struct Opening<I> {
    stream: I,
    /// When the patience ends, and the bytes until now; `None` once the connection was opened or answered.
    patience: Option<(Pin<Box<Sleep>>, usize)>,
    _slot: OwnedSemaphorePermit,
}

impl<I: AsyncRead + Unpin> AsyncRead for Opening<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        let Some((until, bytes)) = &mut this.patience else { return polled };
        if polled.is_pending() {
            ready!(until.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        *bytes += buffer.filled().len() - before;
        if *bytes >= OPENING {
            this.patience = None;
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Opening<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.patience = None;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.patience = None;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
