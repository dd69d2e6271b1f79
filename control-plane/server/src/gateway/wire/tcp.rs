//! One TCP connection: TLS, HTTP/2, and on it the calls of the gRPC service `Agents`.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use nimbus_protocol::close::CloseCode;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::service::{Agents, CALLS, Call, End};
use super::{FrameSink, FrameSource, Gone, Protocol};
use crate::gateway::limits;

/// The gateway's end of a connection. Dropping it ends the connection.
pub struct Connection {
    remote: SocketAddr,
    certificate: Option<CertificateDer<'static>>,
    calls: Mutex<mpsc::Receiver<Call>>,
    first: watch::Receiver<Option<Protocol>>,
    end: watch::Sender<End>,
    over: CancellationToken,
}

impl Connection {
    /// A connection over `tls`, and the future that drives it: it ends when the connection is over, and soon after it was
    /// closed or dropped.
    pub fn new(tls: TlsStream<TcpStream>, remote: SocketAddr) -> (Self, impl Future<Output = ()>) {
        let certificate = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first()).cloned();
        let (call, calls) = mpsc::channel(CALLS);
        let (first_call, first) = watch::channel(None);
        let (end, ended) = watch::channel(None);
        let over = CancellationToken::new();
        let agents = Arc::new(Agents::new(call, first_call, ended.clone()));
        let driving = drive(tls, agents, ended, over.clone());
        (Self { remote, certificate, calls: Mutex::new(calls), first, end, over }, driving)
    }

    pub(super) fn remote_address(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        self.certificate.clone()
    }

    pub(super) async fn protocol(&self, patience: Duration) -> Option<Protocol> {
        let mut first = self.first.clone();
        let called = tokio::time::timeout(patience, first.wait_for(Option::is_some)).await;
        called.ok().and_then(Result::ok).and_then(|first| *first)
    }

    pub(super) async fn accept(&self) -> Result<(FrameSink, FrameSource), Gone> {
        let mut calls = self.calls.lock().await;
        tokio::select! {
            biased;
            Some(call) = calls.recv() => Ok(call),
            () = self.over.cancelled() => Err(Gone("the TCP connection is over".to_owned())),
        }
    }

    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        self.end.send_if_modified(|end| {
            let is_first = end.is_none();
            if is_first {
                *end = Some((code, reason.to_owned()));
            }
            is_first
        });
    }

    pub(super) async fn closed(&self) {
        self.over.cancelled().await;
    }
}

async fn drive(
    tls: TlsStream<TcpStream>,
    agents: Arc<Agents>,
    mut ended: watch::Receiver<End>,
    over: CancellationToken,
) {
    let _over = over.drop_guard();
    let service = service_fn(move |request| {
        let agents = Arc::clone(&agents);
        async move { agents.answer(request).await }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    limits::http2(http.timer(TokioTimer::new()));
    let mut serving = pin!(http.serve_connection(TokioIo::new(tls), service));
    let served = tokio::select! {
        served = serving.as_mut() => Some(served),
        _ = ended.wait_for(Option::is_some) => None,
    };
    let served = if let Some(served) = served {
        served
    } else {
        serving.as_mut().graceful_shutdown();
        // For the reason to reach a peer that reads.
        tokio::time::timeout(limits::GOODBYE, serving).await.unwrap_or(Ok(()))
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a TCP connection broke");
    }
}
