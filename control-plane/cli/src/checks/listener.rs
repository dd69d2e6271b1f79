//! Probes the agents' listener: one datagram that every QUIC server answers, and over TCP the TLS handshake of an agent that has
//! no certificate yet.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::listener::{Listener, Tcp, Udp};
use nimbus_checks::quic::{self, Ids};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use super::greeting;
use crate::files;

/// The most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;
/// Datagrams that are sent until one is answered, and the wait for each answer.
const TRIES: usize = 3;
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Longest wait for a TCP connection, and for a name.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);
const RESOLVES_WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of an answer that are looked at.
const MOST_ANSWERED: usize = 2048;

/// Reads HOST:PORT as agents take it.
pub fn address(text: &str) -> Result<String, String> {
    if nimbus_platform::is_host_port(text) {
        Ok(text.to_owned())
    } else {
        Err("expected HOST:PORT, such as nimbus.example:7071 or [2001:db8::1]:7071".to_owned())
    }
}

/// Probes the listener at HOST:PORT, address by address until one answers both ways; of the rest the best is told.
pub async fn probe(at: &str) -> Gathered<Listener> {
    let unresolved = |why: String| {
        Unread::new(
            format!("the name in {at} leads to no address: {why}"),
            "check the name, and the resolver of this machine",
        )
    };
    let addresses: Vec<SocketAddr> = match timeout(RESOLVES_WITHIN, lookup_host(at)).await {
        Ok(Ok(found)) => found.take(MOST_ADDRESSES).collect(),
        Ok(Err(error)) => return Err(unresolved(files::reason(&error))),
        Err(_) => return Err(unresolved(format!("no answer within {} s", RESOLVES_WITHIN.as_secs()))),
    };
    let mut best: Option<Listener> = None;
    for address in addresses {
        let (udp, tcp) = tokio::join!(udp(address), tcp(address));
        let found = Listener { at: at.to_owned(), udp, tcp };
        let good = ways(&found);
        if best.as_ref().is_none_or(|best| good > ways(best)) {
            best = Some(found);
        }
        if good == 2 {
            break;
        }
    }
    best.ok_or_else(|| unresolved("there is none".to_owned()))
}

fn ways(listener: &Listener) -> usize {
    usize::from(listener.udp == Udp::Answered) + usize::from(listener.tcp == Tcp::Answered)
}

async fn tcp(address: SocketAddr) -> Tcp {
    match timeout(CONNECTS_WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Tcp::greeted(greeting::greet(stream).await),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => Tcp::Refused,
        Ok(Err(error)) if error.kind() == ErrorKind::TimedOut => Tcp::Silent,
        Ok(Err(error)) => Tcp::Failed(files::reason(&error)),
        Err(_) => Tcp::Silent,
    }
}

async fn udp(address: SocketAddr) -> Udp {
    match exchange(address).await {
        Ok(udp) => udp,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Udp::Refused,
        Err(error) => Udp::Failed(files::reason(&error)),
    }
}

async fn exchange(address: SocketAddr) -> std::io::Result<Udp> {
    let own: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(address).await?;
    let ids = Ids { destination: random(), source: random() };
    let mut answer = [0; MOST_ANSWERED];
    let mut other = false;
    for _ in 0..TRIES {
        socket.send(&quic::probe(ids)).await?;
        if let Ok(received) = timeout(ANSWERS_WITHIN, socket.recv(&mut answer)).await {
            if quic::is_answer(&answer[..received?], ids) {
                return Ok(Udp::Answered);
            }
            other = true;
        }
    }
    Ok(if other { Udp::Other } else { Udp::Silent })
}

/// Eight bytes that nobody expects; nothing secret depends on them.
fn random() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use nimbus_checks::listener::Greeting;

    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["plane.example:7071", "[::1]:7071", "10.0.0.1:1"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in
            ["plane.example", ":7071", "::1:7071", "https://plane:7071", "plane:0", "plane:70710", "$(x):1"]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_answers_and_is_no_quic_server_and_what_is_closed_are_told_apart() {
        let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = echo.local_addr().unwrap();
        let echoing = tokio::spawn(async move {
            let mut bytes = [0; 2048];
            while let Ok((length, from)) = echo.recv_from(&mut bytes).await {
                echo.send_to(&bytes[..length], from).await.unwrap();
            }
        });
        let found = probe(&at.to_string()).await.unwrap();
        assert_eq!((found.udp, found.tcp), (Udp::Other, Tcp::Refused));
        echoing.abort();
        let _ = echoing.await;
        // It takes connections, and nobody says anything on them.
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = probe(&listening.local_addr().unwrap().to_string()).await.unwrap();
        assert_eq!((found.udp, found.tcp), (Udp::Refused, Tcp::greeted(Greeting::Silent)));
        let unread = probe("no-such-name.invalid:7071").await.unwrap_err();
        assert!(unread.why.contains("no-such-name.invalid:7071"), "{unread:?}");
    }
}
