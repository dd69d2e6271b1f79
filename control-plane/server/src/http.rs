//! The operators' listener: plain HTTP on a loopback address only, TLS everywhere else, HTTP/1.1 on both.
//!
//! Nobody has shown a token yet while a connection is opened and a request's head is read: [`Bounds`] says how many
//! connections there may be, how many of them from one address, and how long each may take for that; at a bound a
//! connection that has shown none makes room ([`crate::connections`]). What a whole request may cost is bounded where it is
//! answered. HTTP/2 is not spoken: the HTTP library closes an HTTP/1 connection on which
//! nothing is asked, and an HTTP/2 one never, as long as its peer answers pings.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinHandle;

use crate::ca::Leaf;
use crate::config::Config;
use crate::connections::Connections;
use crate::error::StartError;
use crate::own_threads::OwnThreads;
use crate::tls;

mod placed;

use placed::{Guarding, Placing};

/// What a connection may cost before there is a request.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Most connections at the same time. At it one that has not shown the operator's token is closed for the new one;
    /// when there is none, the new one is closed without an answer.
    connections: usize,
    /// The same for one IPv4 address or one IPv6 /64, and for all of this machine. A proxy has one address for all its
    /// users, so the bound is the number of requests that are worked on at the same time.
    each: usize,
    /// For the TLS handshake, and again for each request's head, the wait for it included. At it the connection is closed.
    patience: Duration,
}

const BOUNDS: Bounds = Bounds { connections: 1_024, each: 256, patience: Duration::from_secs(10) };

/// Threads that serve operators and nobody else, so that no request waits behind what agents send.
const THREADS: usize = 2;

/// A listener that is served until it is stopped.
pub struct Running {
    address: SocketAddr,
    tls: bool,
    handle: Handle<SocketAddr>,
    task: JoinHandle<()>,
    threads: OwnThreads,
}

impl Running {
    /// Serves `router` on `listener`.
    pub fn start(
        config: &Config,
        listener: TcpListener,
        leaf: Arc<Leaf>,
        router: Router,
    ) -> Result<Self, StartError> {
        Self::within(BOUNDS, config, listener, leaf, router)
    }

    fn within(
        bounds: Bounds,
        config: &Config,
        listener: TcpListener,
        leaf: Arc<Leaf>,
        router: Router,
    ) -> Result<Self, StartError> {
        let wrong = |error| StartError::listen(config.listen, "REST", "--listen", error);
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let threads = OwnThreads::start("operators", THREADS).map_err(wrong)?;
        let inside = threads.enter();
        let service = Placing::new(
            router.into_make_service_with_connect_info::<SocketAddr>(),
            Connections::new(bounds.connections, bounds.each),
        );
        let handle = Handle::new();
        let serving = handle.clone();
        let tls = config.rest_is_tls();
        let task = if tls {
            let config = match &config.tls {
                Some((certificate, key)) => tls::for_operators_given(certificate, key)?,
                None => tls::for_operators(leaf)?,
            };
            let config = RustlsConfig::from_config(Arc::new(config));
            let inner = RustlsAcceptor::new(config).handshake_timeout(bounds.patience);
            let server = bounds.set(axum_server::from_tcp(listener).map_err(wrong)?).handle(serving);
            // After the acceptor, which makes a server that speaks both again.
            let server = server.acceptor(Guarding(inner)).http1_only();
            tokio::spawn(async move { ended(server.serve(service).await) })
        } else {
            let server = bounds.set(axum_server::from_tcp(listener).map_err(wrong)?).handle(serving);
            let inner = DefaultAcceptor::new();
            // After the acceptor, which makes a server that speaks both again.
            let server = server.acceptor(Guarding(inner)).http1_only();
            tokio::spawn(async move { ended(server.serve(service).await) })
        };
        drop(inside);
        Ok(Self { address, tls, handle, task, threads })
    }

    /// Where operators are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators are served, as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Lets the requests that run finish, up to `patience`. What is returned is to be kept until the store is closed.
    pub async fn stop(self, patience: Duration) -> OwnThreads {
        self.handle.graceful_shutdown(Some(patience));
        let _ = tokio::time::timeout(patience + Duration::from_millis(200), self.task).await;
        self.threads
    }
}

impl Bounds {
    fn set(self, mut server: Server<SocketAddr>) -> Server<SocketAddr> {
        let http = server.http_builder();
        http.http1().timer(TokioTimer::new()).header_read_timeout(self.patience);
        server
    }
}

fn ended(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "REST is no longer served");
    }
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::ca::Authority;
    use crate::connections::Place;

    /// Serves one path within `bounds`, plain or with TLS.
    fn serve(bounds: Bounds, tls: bool, dir: &std::path::Path) -> Running {
        let (pem, key) = (dir.join("ca.pem"), dir.join("ca.key"));
        let ca = Arc::new(Authority::open(&pem, &key, nimbus_platform::now()).unwrap());
        let names = vec!["localhost".to_owned()];
        let leaf = Leaf::new(ca, crate::tls::provider(), names, nimbus_platform::now).unwrap();
        // Whether it is TLS is decided by the address of the configuration; the listener is on loopback either way.
        let listen = if tls { "0.0.0.0:0" } else { "127.0.0.1:0" };
        let config = Config { listen: listen.parse().unwrap(), ..Config::new(dir) };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slow = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            "late"
        };
        let trusted = async |Extension(place): Extension<Place>| {
            place.trust();
            "yours"
        };
        let router = Router::new()
            .route("/", axum::routing::get(async || "here"))
            .route("/trusted", axum::routing::get(trusted))
            .route("/slow", axum::routing::get(slow));
        Running::within(bounds, &config, listener, Arc::new(leaf), router).unwrap()
    }

    /// All that the server says until it closes, which it does in time.
    async fn said(mut stream: TcpStream) -> String {
        let mut all = Vec::new();
        let read = stream.read_to_end(&mut all);
        // A reset is an end, too.
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await.expect("closed by the server");
        String::from_utf8_lossy(&all).into_owned()
    }

    #[tokio::test]
    async fn who_begins_and_does_not_go_on_is_closed_in_time() {
        let bounds = Bounds { patience: Duration::from_millis(200), ..BOUNDS };
        for (tls, begun) in [
            (false, ""),
            (false, "GET / HTT"),
            (false, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "),
            (false, "PRI * HTTP/2.0\r\n"),
            (true, ""),
            (true, "\u{16}\u{3}\u{1}"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let running = serve(bounds, tls, dir.path());
            let mut stream = TcpStream::connect(running.address()).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            assert!(!said(stream).await.contains("here"), "{begun:?}");
            running.stop(Duration::ZERO).await;
        }
    }

    /// What is answered to a whole request on a connection of its own.
    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        said(stream).await
    }

    #[tokio::test]
    async fn half_open_connections_up_to_the_bound_lock_nobody_out() {
        // One that says nothing, half a request, an answer that is never read, half a handshake.
        let half = ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"];
        for tls in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let running = serve(Bounds { connections: 64, each: 16, ..BOUNDS }, tls, dir.path());
            let mut held = Vec::new();
            for n in 0..40_u8 {
                // From every address of this machine, three times as many as it may hold.
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(SocketAddr::from(([127, 0, 0, n % 4 + 1], 0))).unwrap();
                let mut stream = socket.connect(running.address()).await.unwrap();
                let begun = if tls { "\u{16}\u{3}\u{1}" } else { half[usize::from(n) % half.len()] };
                stream.write_all(begun.as_bytes()).await.unwrap();
                held.push(stream);
                if !tls && n >= 16 {
                    assert!(ask(running.address(), "/").await.ends_with("here"), "after {n}");
                }
            }
            if tls {
                let address = running.address();
                assert!(handshake(address, &dir.path().join("ca.pem")).await, "locked out");
            }
            drop(held);
            running.stop(Duration::ZERO).await;
        }
    }

    /// Whether a TLS handshake comes to its end.
    async fn handshake(address: SocketAddr, ca: &std::path::Path) -> bool {
        use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let shaken = tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from("localhost").unwrap();
            let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            session.complete_io(&mut socket).is_ok() && !session.is_handshaking()
        });
        shaken.await.unwrap()
    }

    #[tokio::test]
    async fn when_all_have_shown_the_token_one_too_many_is_closed_until_there_is_room() {
        let bounds = Bounds { connections: 1, patience: Duration::from_millis(500), ..BOUNDS };
        let dir = tempfile::tempdir().unwrap();
        let running = serve(bounds, false, dir.path());
        let mut first = TcpStream::connect(running.address()).await.unwrap();
        first.write_all(b"GET /trusted HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        first.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let second = TcpStream::connect(running.address()).await.unwrap();
        assert_eq!(said(second).await, "");
        // The first says nothing more: closed, and its room is free.
        assert!(said(first).await.ends_with("yours"));
        assert!(ask(running.address(), "/").await.ends_with("here"));
        running.stop(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn a_connection_is_not_closed_while_its_answer_is_made() {
        // The answer takes five times as long as a request's head may.
        let bounds = Bounds { patience: Duration::from_millis(200), ..BOUNDS };
        let dir = tempfile::tempdir().unwrap();
        let running = serve(bounds, false, dir.path());
        let mut asking = TcpStream::connect(running.address()).await.unwrap();
        asking.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(said(asking).await.ends_with("late"));
        running.stop(Duration::ZERO).await;
    }
}
