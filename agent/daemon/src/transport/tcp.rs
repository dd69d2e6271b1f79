//! Connects to the control plane over TCP, directly or through a proxy: TLS 1.3 as over QUIC, HTTP/2, and the calls of the
//! gRPC service `Agents`, which carry the same frames.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use nimbus_protocol::tcp::{CLOSE_CODE, MAX_PIECE};
use nimbus_protocol::v1::FramePiece;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::body::Body;
use tonic_prost::ProstCodec;

use super::DialError;
use super::alert::{self, Alert, Heard};
use super::framed::{FrameSink, FrameSource};
use super::proxy::Proxies;
use super::tls::{self, Tls};
use super::verify::SERVER_NAME;

/// Longest time for one address, or the proxy, to answer and for the handshakes.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Between two pings of a quiet connection.
const PING: Duration = Duration::from_secs(10);
/// A connection that does not answer a ping for so long is closed: 30 s of silence, as over QUIC.
const PING_ANSWER: Duration = Duration::from_secs(20);
/// Pieces that may wait on one call.
const PIECES: usize = 1;
/// Received bytes that one call may leave unread.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same of one connection.
const WINDOW: u32 = 512 << 10;

/// What to do when nobody answers as a control plane.
const REACH: &str = "check --server, that the control plane runs, and that TCP is open to that port";

/// A connection that stands. Dropping it ends it.
#[derive(Debug)]
pub struct Connection {
    /// `None` once no further call is made.
    requests: Option<Requests>,
    driving: JoinHandle<()>,
    alert: Alert,
    through_proxy: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// Makes requests on the connection, as tonic wants to make them.
#[derive(Debug, Clone)]
struct Requests(SendRequest<Body>);

impl tower::Service<http::Request<Body>> for Requests {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

impl Connection {
    /// Does it go through a proxy?
    pub fn through_proxy(&self) -> bool {
        self.through_proxy
    }

    /// What the peer's TLS said at last.
    pub fn alert(&self) -> &Alert {
        &self.alert
    }

    /// Makes a call: a stream of frames in both directions.
    pub async fn open(&self, call: &'static str) -> Result<(FrameSink, FrameSource), Status> {
        let (sink, pieces) = mpsc::channel::<FramePiece>(PIECES);
        let pieces = stream::unfold(pieces, async |mut pieces| Some((pieces.recv().await?, pieces)));
        let over = || Status::unavailable("closed by this agent");
        let requests = self.requests.clone().ok_or_else(over)?;
        let origin = http::Uri::from_static("https://nimbus-control-plane");
        let mut grpc =
            tonic::client::Grpc::with_origin(requests, origin).max_decoding_message_size(MAX_PIECE);
        grpc.ready().await.map_err(|error| Status::unavailable(nimbus_platform::chain(&error)))?;
        let codec = ProstCodec::<FramePiece, FramePiece>::default();
        let path = PathAndQuery::from_static(call);
        let answers = grpc.streaming(tonic::Request::new(pieces), path, codec).await?.into_inner();
        Ok((FrameSink::Tcp(sink), FrameSource::tcp(answers)))
    }

    /// Waits until the server closed the connection, at most `patience`.
    pub async fn ended(&mut self, patience: Duration) {
        // Without anybody who could make a call the connection ends with the last one.
        self.requests = None;
        let _ = tokio::time::timeout(patience, &mut self.driving).await;
    }
}

/// Connects to `server`, through the proxy that `proxies` has for it, if any; otherwise to its first address that answers.
pub async fn connect(server: &str, tls: &Tls, proxies: &Proxies) -> Result<Connection, DialError> {
    if let Some(proxy) = proxies.of(server) {
        let name = proxy.name().to_owned();
        let failed = |found: String, remedy| DialError::BehindProxy {
            proxy: name.clone(),
            server: server.to_owned(),
            found,
            remedy,
        };
        let silence = || format!("no answer within {} s", HANDSHAKE.as_secs());
        let mute = |_| DialError::Proxy {
            proxy: name.clone(),
            server: server.to_owned(),
            found: silence(),
            remedy: "check HTTPS_PROXY and that the proxy answers, or name the control plane's host in NO_PROXY",
        };
        let stream = tokio::time::timeout(HANDSHAKE, proxy.connect(server)).await.map_err(mute)??;
        let shaken = tokio::time::timeout(HANDSHAKE, shake_hands(stream, tls, true)).await;
        let shaken = shaken.map_err(|_| failed(silence(), REACH))?;
        return shaken.map_err(|(found, remedy)| failed(found, remedy));
    }
    let resolve = |found: String| DialError::Resolve { server: server.to_owned(), found };
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host(server).await.map_err(|error| resolve(error.to_string()))?.take(8).collect();
    let mut last = resolve("no address".to_owned());
    for address in addresses {
        let connecting = async {
            let stream = TcpStream::connect(address).await.map_err(|error| (error.to_string(), REACH))?;
            shake_hands(stream, tls, false).await
        };
        let (found, remedy) = match tokio::time::timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(failed)) => failed,
            Err(_) => (format!("no answer within {} s", HANDSHAKE.as_secs()), REACH),
        };
        last = DialError::Connect { server: server.to_owned(), address, found, remedy };
    }
    Err(last)
}

/// TLS and HTTP/2 over `stream`; otherwise what was found, and what to do.
async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    through_proxy: bool,
) -> Result<Connection, (String, &'static str)> {
    // A small frame is not to wait for the next one; where that cannot be said, it waits.
    let _ = stream.set_nodelay(true);
    let connector = TlsConnector::from(Arc::new(tls.over_tcp()));
    let name = ServerName::try_from(SERVER_NAME).map_err(|error| (error.to_string(), REACH))?;
    let stream = connector.connect(name, stream).await.map_err(|error| {
        let remedy = alert::number(&error).and_then(|alert| tls::remedy(alert, tls.purpose()));
        let remedy = remedy.unwrap_or(REACH);
        (error.to_string(), remedy)
    })?;
    let alert = Alert::default();
    let stream = Heard::new(stream, alert.clone());
    let mut http = Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_ANSWER)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW);
    let (requests, driving) = http
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| (nimbus_platform::chain(&error), REACH))?;
    let driving = tokio::spawn(async move {
        // Every call tells by itself that the connection broke.
        if let Err(error) = driving.await {
            tracing::debug!(error = nimbus_platform::chain(&error), "the TCP connection broke");
        }
    });
    Ok(Connection { requests: Some(Requests(requests)), driving, alert, through_proxy })
}

/// The close code in a call's last status, with the reason for people.
pub fn close_code(status: &Status) -> Option<(u64, &str)> {
    let code = status.metadata().get(CLOSE_CODE)?.to_str().ok()?.parse().ok()?;
    Some((code, status.message()))
}
