//! The gRPC service `Agents` of one TCP connection: it hands the calls that may be made to the connection, and ends them with
//! the reason for which the connection is closed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Mutex, PoisonError};

use futures::stream::{self, BoxStream, StreamExt as _};
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::tcp;
use nimbus_protocol::v1::FramePiece;
use tokio::sync::{mpsc, watch};
use tonic::body::Body;
use tonic::metadata::MetadataValue;
use tonic::server::{Grpc, StreamingService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{FrameSink, FrameSource, Protocol};

/// Pieces that may wait for the peer to take them.
const PIECES: usize = 1;
/// Calls that one connection may make: a session's two.
pub(super) const CALLS: usize = 2;

/// Why a connection is closed.
pub(super) type End = Option<(CloseCode, String)>;
/// One call, as a stream of frames.
pub(super) type Call = (FrameSink, FrameSource);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    First(Protocol),
    Data,
}

/// How far the calls of a connection have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Nothing,
    First(Protocol),
    All,
}

/// The service of one connection.
pub(super) struct Agents {
    made: Mutex<Made>,
    calls: mpsc::Sender<Call>,
    first: watch::Sender<Option<Protocol>>,
    end: watch::Receiver<End>,
}

impl Agents {
    pub(super) fn new(
        calls: mpsc::Sender<Call>,
        first: watch::Sender<Option<Protocol>>,
        end: watch::Receiver<End>,
    ) -> Self {
        Self { made: Mutex::new(Made::Nothing), calls, first, end }
    }

    /// Answers one request: a call that may be made is open from then on.
    pub(super) async fn answer(
        &self,
        request: http::Request<hyper::body::Incoming>,
    ) -> Result<http::Response<Body>, Infallible> {
        let method = match request.uri().path() {
            tcp::SESSION => Method::First(Protocol::Session),
            tcp::ENROL => Method::First(Protocol::Enrol),
            tcp::DATA => Method::Data,
            _ => return Ok(Status::unimplemented("expected a call of nimbus.v1.Agents").into_http()),
        };
        let codec = ProstCodec::<FramePiece, FramePiece>::default();
        let mut grpc = Grpc::new(codec).max_decoding_message_size(tcp::MAX_PIECE);
        Ok(grpc.streaming(Opening { agents: self, method }, request).await)
    }

    fn open(&self, method: Method, pieces: Streaming<FramePiece>) -> Result<Answers, Status> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let next = match (*made, method) {
            (Made::Nothing, Method::First(protocol)) => Made::First(protocol),
            (Made::First(Protocol::Session), Method::Data) => Made::All,
            (Made::Nothing, Method::Data) | (Made::First(_) | Made::All, _) => {
                let expected = "expected one Enrol call, or one Session call and then one Data call";
                return Err(Status::failed_precondition(expected));
            }
        };
        let (answers, waiting) = mpsc::channel(PIECES);
        let call = (FrameSink::Tcp(Some(answers)), FrameSource::Tcp(Box::new(pieces)));
        // There is room for as many calls as may be made: it fails only where the connection is over.
        self.calls.try_send(call).map_err(|_| Status::unavailable("the connection is over"))?;
        *made = next;
        if let Made::First(protocol) = next {
            self.first.send_replace(Some(protocol));
        }
        Ok(answers_of(waiting, self.end.clone()))
    }
}

type Answers = BoxStream<'static, Result<FramePiece, Status>>;

struct Opening<'a> {
    agents: &'a Agents,
    method: Method,
}

impl StreamingService<FramePiece> for Opening<'_> {
    type Response = FramePiece;
    type ResponseStream = Answers;
    type Future = Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<FramePiece>>) -> Self::Future {
        ready(self.agents.open(self.method, request.into_inner()).map(Response::new))
    }
}

/// What was written, and then the reason for which the connection is closed.
fn answers_of(waiting: mpsc::Receiver<FramePiece>, end: watch::Receiver<End>) -> Answers {
    stream::unfold(Some((waiting, end)), |state| async move {
        let (mut waiting, mut end) = state?;
        let next = tokio::select! {
            biased;
            Some(piece) = waiting.recv() => Ok(piece),
            ended = end.wait_for(Option::is_some) => Err(ended.ok().and_then(|ended| ended.clone())),
        };
        match next {
            Ok(piece) => Some((Ok(piece), Some((waiting, end)))),
            Err(ended) => Some((Err(status(ended)), None)),
        }
    })
    .boxed()
}

fn status(end: End) -> Status {
    let Some((code, reason)) = end else { return Status::unavailable("the connection is over") };
    let mut status = Status::new(grpc_code(code), reason);
    status.metadata_mut().insert(tcp::CLOSE_CODE, MetadataValue::from(code.number()));
    status
}

/// The nearest of gRPC's own codes, for tools that know no other.
fn grpc_code(code: CloseCode) -> Code {
    match code {
        CloseCode::Done | CloseCode::Replaced => Code::Aborted,
        CloseCode::Refused => Code::PermissionDenied,
        CloseCode::Malformed => Code::InvalidArgument,
        CloseCode::Overloaded => Code::ResourceExhausted,
        CloseCode::ShuttingDown => Code::Unavailable,
        CloseCode::Silent => Code::DeadlineExceeded,
    }
}
