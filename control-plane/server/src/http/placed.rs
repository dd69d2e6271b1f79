//! A place for each connection, given in the order in which connections came.
//!
//! The HTTP library makes a connection's service before it hands the connection to a task of its own, and tasks begin in
//! any order: were the place taken there, a connection that waits behind a flood could be numbered before those that
//! came earlier, be the oldest and be closed for them.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum_server::accept::Accept;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::net::TcpStream;
use tower::Service;

use crate::connections::{Connections, Guarded, Place};

/// Makes services of `inner`, each with its connection's place; where there is none, the connection is closed.
#[derive(Debug, Clone)]
pub(super) struct Placing<M> {
    inner: M,
    connections: Connections,
}

impl<M> Placing<M> {
    /// Places among `connections`.
    pub(super) fn new(inner: M, connections: Connections) -> Self {
        Self { inner, connections }
    }
}

impl<M, S> Service<SocketAddr> for Placing<M>
where
    M: Service<SocketAddr, Response = S>,
    M::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    M::Future: Send + 'static,
{
    type Response = Placed<S>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Placed<S>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        let place = self.connections.open(peer.ip()).map(Place::new);
        let made = self.inner.call(peer);
        async move {
            let place = place.ok_or_else(|| io::Error::other("too many connections"))?;
            Ok(Placed { inner: made.await.map_err(io::Error::other)?, place })
        }
        .boxed()
    }
}

/// A service whose requests carry the place of the connection on which they came.
#[derive(Debug, Clone)]
pub(super) struct Placed<S> {
    inner: S,
    place: Place,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Placed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(Place::clone(&self.place));
        self.inner.call(request)
    }
}

/// Accepts connections, each of which ends when its place is needed.
#[derive(Debug, Clone)]
pub(super) struct Guarding<A>(pub(super) A);

impl<A, S> Accept<TcpStream, Placed<S>> for Guarding<A>
where
    A: Accept<Guarded, Placed<S>>,
{
    type Stream = A::Stream;
    type Service = A::Service;
    type Future = A::Future;

    fn accept(&self, stream: TcpStream, service: Placed<S>) -> Self::Future {
        let stream = service.place.guard(stream);
        self.0.accept(stream, service)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn who_came_first_makes_room_whoever_is_served_first() {
        let service = tower::service_fn(|_: SocketAddr| std::future::ready(Ok::<_, Infallible>(())));
        let mut placing = Placing::new(service, Connections::new(2, 2));
        let came = [1, 2, 3].map(|port| placing.call(SocketAddr::from(([127, 0, 0, 1], port))));
        let mut closed = Vec::new();
        let mut kept = Vec::new();
        for served in came.into_iter().rev() {
            let placed = served.await.unwrap();
            closed.push(placed.place.is_closed());
            kept.push(placed);
        }
        assert_eq!(closed, [false, false, true], "the last that came is served first and stays");
    }

    #[tokio::test]
    async fn without_a_place_there_is_no_service() {
        let service = tower::service_fn(|_: SocketAddr| std::future::ready(Ok::<_, Infallible>(())));
        let mut placing = Placing::new(service, Connections::new(1, 1));
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let first = placing.call(peer).await.unwrap();
        first.place.trust();
        assert!(placing.call(peer).await.is_err());
        drop(first);
        assert!(placing.call(peer).await.is_ok());
    }
}
