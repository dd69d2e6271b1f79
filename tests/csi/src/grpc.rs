//! Unary gRPC calls over a Unix socket. What a call does is the services' business.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Response, Status};
use tonic_prost::ProstCodec;

/// Connections at a time; a kubelet has one for each kind of question.
const CONNECTIONS: usize = 16;
/// Calls at a time on one connection.
const CALLS: u32 = 16;
/// The longest message that is read.
const LONGEST: usize = 64 * 1024;
/// Before a socket that has errors is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Services that share one socket.
pub trait Services: Send + Sync + 'static {
    /// Answers one call, which is told by the path of its request.
    fn answer(&self, request: http::Request<Incoming>) -> impl Future<Output = http::Response<Body>> + Send;
}

/// Listens at `path`, where a driver before this one may have left its socket.
///
/// # Errors
/// When the directory cannot be made or the socket not be bound.
pub fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    let dir = path.parent().with_context(|| format!("{} is in no directory", path.display()))?;
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        _ => {}
    }
    UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))
}

/// Answers whoever connects, without end.
pub async fn serve(listener: UnixListener, services: Arc<impl Services>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // It is never closed, so that there is a place sooner or later.
        let place = Arc::clone(&connections).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let services = Arc::clone(&services);
                tokio::spawn(async move {
                    let _place = place;
                    // The kubelet opens one for nearly every question, and hangs up without a word.
                    let _ = talk(stream, services).await;
                });
            }
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(stream: UnixStream, services: Arc<impl Services>) -> hyper::Result<()> {
    let service = hyper::service::service_fn(move |request| {
        let services = Arc::clone(&services);
        async move { Ok::<_, Infallible>(services.answer(request).await) }
    });
    let mut server = http2::Builder::new(TokioExecutor::new());
    server.max_concurrent_streams(CALLS).serve_connection(TokioIo::new(stream), service).await
}

/// Reads the message of a call, and sends what `answer` makes of it.
pub async fn unary<Asked, Told, Answering>(
    request: http::Request<Incoming>,
    answer: impl Fn(Asked) -> Answering + Send,
) -> http::Response<Body>
where
    Asked: prost::Message + Default + Send + 'static,
    Told: prost::Message + Send + 'static,
    Answering: Future<Output = Result<Told, Status>> + Send,
{
    let service = tower::service_fn(|asked: tonic::Request<Asked>| {
        let answering = answer(asked.into_inner());
        async move { answering.await.map(Response::new) }
    });
    let codec = ProstCodec::<Told, Asked>::default();
    Grpc::new(codec).max_decoding_message_size(LONGEST).unary(service, request).await
}

/// The answer to a call that is not served.
pub fn unknown(path: &str) -> http::Response<Body> {
    Status::unimplemented(format!("there is no {path} here")).into_http()
}
