//! The operators' connections that are open, and which of them makes room for a new one.
//!
//! Every user of this machine reaches a loopback address, and a connection costs its peer nothing: were a new one refused
//! at the bound, any user could hold as many as are allowed and lock the operator out of `nimbus status` and of the kill
//! switch. So at the bound the connection that has been open for longest without having shown the operator's token is
//! closed, whatever state it is in: silent, half a request, an answer that it does not read. One that has shown the token
//! is never closed for another; only when all have, a new one is refused.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::share::holder;

/// Who a peer counts for. All of 127.0.0.0/8 and `::1` is this machine: one of its users can connect from each.
fn owner(address: IpAddr) -> IpAddr {
    if address.to_canonical().is_loopback() { Ipv4Addr::LOCALHOST.into() } else { holder(address) }
}

/// The connections that are open, within a common bound and one for each peer; cheap to clone, every clone is the same.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    most: usize,
    each: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// Number of the next connection: a lower one was opened earlier.
    next: u64,
    all: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    owner: IpAddr,
    trusted: Arc<AtomicBool>,
    closing: CancellationToken,
}

impl Connections {
    /// At most `most` in all, and `each` for one peer.
    pub(crate) fn new(most: usize, each: usize) -> Self {
        Self { most, each, open: Arc::default() }
    }

    /// Room for a connection of `peer`, if need be that of another one, which is closed; `None` when every one that
    /// could make room has shown the operator's token.
    pub(crate) fn open(&self, peer: IpAddr) -> Option<Connection> {
        let owner = owner(peer);
        let mut open = self.lock();
        if open.all.values().filter(|entry| entry.owner == owner).count() >= self.each {
            open.make_room(|entry| entry.owner == owner)?;
        }
        if open.all.len() >= self.most {
            open.make_room(|_| true)?;
        }
        let number = open.next;
        open.next += 1;
        let (trusted, closing) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let entry = Entry { owner, trusted: Arc::clone(&trusted), closing: closing.clone() };
        open.all.insert(number, entry);
        drop(open);
        Some(Connection { of: self.clone(), number, trusted, closing })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the oldest connection of these that has not shown the token.
    fn make_room(&mut self, which: impl Fn(&Entry) -> bool) -> Option<()> {
        let mut candidates = self.all.iter().filter(|(_, entry)| which(entry));
        let (&number, _) = candidates.find(|(_, entry)| !entry.trusted.load(Ordering::Acquire))?;
        self.all.remove(&number)?.closing.cancel();
        Some(())
    }
}

/// What the connection's service holds, and every request on it carries.
pub(crate) type Place = Arc<Connection>;

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    of: Connections,
    number: u64,
    trusted: Arc<AtomicBool>,
    closing: CancellationToken,
}

impl Connection {
    /// It has shown the operator's token: from now on it is not closed for another one.
    pub(crate) fn trust(&self) {
        self.trusted.store(true, Ordering::Release);
    }

    /// Whether it was closed for another one.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// `stream`, which ends when this connection is closed for another one.
    pub(crate) fn guard(&self, stream: TcpStream) -> Guarded {
        Guarded { stream, closing: Box::pin(self.closing.clone().cancelled_owned()), closed: false }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.of.lock().all.remove(&self.number);
    }
}

/// A stream that ends when its connection has to make room.
pub(crate) struct Guarded {
    stream: TcpStream,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    closed: bool,
}

impl Guarded {
    /// Is it to be read and written still? Whoever asks is woken when that ends.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.closed = self.closed || self.closing.as_mut().poll(context).is_ready();
        if self.closed { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn at_its_share_a_peer_makes_room_by_its_own_oldest_connection() {
        let connections = Connections::new(10, 2);
        let far = connections.open(ip("10.0.0.1")).unwrap();
        let (one, two) = (connections.open(ip("127.0.0.1")).unwrap(), connections.open(ip("::1")).unwrap());
        let three = connections.open(ip("127.0.0.9")).unwrap();
        let closed = [&far, &one, &two, &three].map(|connection| connection.closing.is_cancelled());
        assert_eq!(closed, [false, true, false, false]);
    }

    #[test]
    fn who_has_shown_the_token_is_not_closed_for_another() {
        let connections = Connections::new(10, 2);
        let (one, two) = (connections.open(ip("127.0.0.1")).unwrap(), connections.open(ip("::1")).unwrap());
        one.trust();
        let three = connections.open(ip("127.0.0.2")).unwrap();
        assert_eq!((one.closing.is_cancelled(), two.closing.is_cancelled()), (false, true));
        three.trust();
        assert!(connections.open(ip("127.0.0.3")).is_none(), "nobody is left who could make room");
        drop(three);
        assert!(connections.open(ip("127.0.0.3")).is_some());
    }

    #[test]
    fn at_the_common_bound_the_oldest_of_all_makes_room_and_nothing_is_kept_of_who_is_gone() {
        let connections = Connections::new(2, 2);
        let (one, two) =
            (connections.open(ip("10.0.0.1")).unwrap(), connections.open(ip("10.0.0.2")).unwrap());
        let three = connections.open(ip("127.0.0.1")).unwrap();
        assert_eq!((one.closing.is_cancelled(), two.closing.is_cancelled()), (true, false));
        // The closed one ends later: it does not take the place of another with it.
        drop(one);
        assert_eq!(connections.lock().all.len(), 2);
        drop((two, three));
        assert!(connections.lock().all.is_empty());
    }
}
