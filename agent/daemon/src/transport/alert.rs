//! Remembers the TLS alert with which a peer ends a TCP connection: HTTP/2 passes on that it broke, and not why.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::CERTIFICATE_EXPIRED;

/// The last alert that was received; 0, which is none of the fatal ones, as long as there was none.
#[derive(Debug, Clone, Default)]
pub struct Alert(Arc<AtomicU8>);

impl Alert {
    /// Did the peer say that this agent's certificate ended?
    pub fn is_expired(&self) -> bool {
        u64::from(self.0.load(Ordering::Acquire)) == CERTIFICATE_EXPIRED
    }

    fn note(&self, error: &io::Error) {
        let received = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = received {
            self.0.store(u8::from(*alert), Ordering::Release);
        }
    }
}

/// The number of the TLS alert that an error of a handshake is about, if it is one.
pub fn number(error: &io::Error) -> Option<u64> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(u8::from(*alert).into()),
        rustls::Error::InvalidCertificate(_) => Some(42),
        rustls::Error::NoApplicationProtocol => Some(120),
        _ => None,
    }
}

/// A TLS stream whose alert is remembered.
#[derive(Debug)]
pub struct Heard<S> {
    stream: S,
    alert: Alert,
}

impl<S> Heard<S> {
    /// Remembers it in `alert`.
    pub fn new(stream: S, alert: Alert) -> Self {
        Self { stream, alert }
    }

    fn noted<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            self.alert.note(error);
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.noted(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.noted(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.noted(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.noted(polled)
    }
}
