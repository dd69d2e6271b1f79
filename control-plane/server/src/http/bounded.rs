//! A connection's bounds before anything on it is a request, and between requests: how many connections there may be,
//! and how long one may say nothing.
//!
//! The HTTP library's own time for a request's head begins when it knows which HTTP is spoken. Until then, and for
//! the number of connections, nobody else watches. An HTTP/2 peer that only says that it is there would stay for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::Bounds;
use crate::gateway::{Share, Shares};

/// As many bytes tell HTTP/2 from HTTP/1; a whole request of HTTP/1.1 is longer.
const OPENING: usize = 24;
/// Bytes written at once that are an answer, or a part of one: a ping's answer in HTTP/2 has 17.
const ANSWER: usize = 64;

/// Takes at most so many connections at once, and so many of one address; a further one is closed unanswered.
#[derive(Clone)]
pub struct Bounded<A> {
    inner: A,
    slots: Arc<Semaphore>,
    each: Shares,
    patience: Duration,
    idle: Duration,
}

impl<A> Bounded<A> {
    /// Connections through `inner`, within `bounds`.
    pub(super) fn new(inner: A, bounds: Bounds) -> Self {
        let Bounds { connections, each, patience, idle, .. } = bounds;
        Self { inner, slots: Arc::new(Semaphore::new(connections)), each: Shares::new(each), patience, idle }
    }
}

impl<A, S> Accept<TcpStream, S> for Bounded<A>
where
    A: Accept<TcpStream, S, Service = S>,
    A::Future: Send + 'static,
{
    type Stream = Opening<A::Stream>;
    type Service = Watched<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok();
        let share = stream.peer_addr().ok().and_then(|peer| self.each.take(peer.ip()));
        let Some(slot) = slot.zip(share) else {
            return Box::pin(async { Err(io::Error::other("too many connections")) });
        };
        let (accepted, patience, idle) = (self.inner.accept(stream, service), self.patience, self.idle);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let activity = Arc::new(Activity::new());
            let opening = Opening {
                stream,
                patience: Some((Box::pin(tokio::time::sleep(patience)), 0)),
                idle,
                end: Box::pin(tokio::time::sleep(idle)),
                activity: Arc::clone(&activity),
                _slot: slot,
            };
            Ok((opening, Watched { inner: service, activity }))
        })
    }
}

/// What happens on one connection.
struct Activity {
    /// Requests whose answer has not begun.
    running: AtomicUsize,
    /// When something was last asked or answered.
    last: Mutex<Instant>,
}

impl Activity {
    fn new() -> Self {
        Self { running: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }

    fn now(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Until when it is not idle, as it looks now.
    fn until(&self, idle: Duration) -> Instant {
        if self.running.load(Ordering::Acquire) > 0 {
            self.now();
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) + idle
    }
}

/// A request whose answer has not begun, until it is dropped.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.now();
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The service of one connection, which tells its stream that something is asked.
#[derive(Clone)]
pub struct Watched<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let running = Running::new(&self.activity);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let _running = running;
            answer.await
        })
    }
}

/// A connection that has to say something in time. It gives its slot back when it is dropped.
pub struct Opening<I> {
    stream: I,
    /// When the patience ends, and the bytes until now; `None` once the connection was opened or answered.
    patience: Option<(Pin<Box<Sleep>>, usize)>,
    /// How long it may be idle.
    idle: Duration,
    /// When to look next whether it was.
    end: Pin<Box<Sleep>>,
    activity: Arc<Activity>,
    _slot: (OwnedSemaphorePermit, Share),
}

impl<I> Opening<I> {
    /// Comes when nothing was asked or answered for too long.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.end.as_mut().poll(context));
            let until = self.activity.until(self.idle);
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.end.as_mut().reset(until);
        }
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        self.patience = None;
        if matches!(written, Poll::Ready(Ok(bytes)) if *bytes >= ANSWER) {
            self.activity.now();
        }
    }
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
        if polled.is_pending() && this.poll_idle(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
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
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(&written);
        written
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
