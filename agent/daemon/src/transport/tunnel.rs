//! Asks an HTTP proxy for a tunnel with CONNECT (RFC 9110, section 9.3.6).

use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Most bytes of the proxy's answer that are held.
const MAX_ANSWER: usize = 16 * 1024;

/// Why there is no tunnel.
#[derive(Debug)]
pub enum NoTunnel {
    /// The proxy cannot be reached.
    Unreachable(String),
    /// It answered with this status instead.
    Status(StatusCode),
    /// It opened the tunnel with this status, and so many bytes came out of it before anything was sent: in TLS the client speaks first.
    Early(StatusCode, usize),
    /// What came is no answer to CONNECT, or none came.
    Broken(String),
}

/// The stream through the proxy at `proxy` (`HOST:PORT`) to `server` (`HOST:PORT`).
pub async fn open(proxy: &str, server: &str, auth: Option<HeaderValue>) -> Result<TcpStream, NoTunnel> {
    let stream = TcpStream::connect(proxy).await.map_err(|error| NoTunnel::Unreachable(error.to_string()))?;
    let broken = |error: &hyper::Error| NoTunnel::Broken(nimbus_platform::chain(error));
    let mut http = http1::Builder::new();
    // Old proxies know names of headers as they used to be written.
    http.max_buf_size(MAX_ANSWER).title_case_headers(true);
    let (mut requests, driving) =
        http.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // It ends when the answer gives the stream away, or was no tunnel and the requests are dropped; the request tells of errors.
    tokio::spawn(driving.with_upgrades());
    let mut request = Request::connect(server).header(HOST, server);
    if let Some(auth) = auth {
        request = request.header(PROXY_AUTHORIZATION, auth);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| NoTunnel::Broken(error.to_string()))?;
    let answer = requests.send_request(request).await.map_err(|error| broken(&error))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(NoTunnel::Status(status));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(|error| broken(&error))?;
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| NoTunnel::Broken("a stream of another kind".to_owned()))?;
    if !parts.read_buf.is_empty() {
        return Err(NoTunnel::Early(status, parts.read_buf.len()));
    }
    Ok(parts.io.into_inner())
}
