//! The way of the session's connections: dials as `nimbus_agent_core::session::Ways` plans, probes QUIC beside a session over TCP,
//! and keeps the probe's connection until the session takes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_agent_core::session::Ways;

use crate::transport::dial::Dial;
use crate::transport::link::{self, ConnectionId, Events, Link};
use crate::transport::proxy::Proxies;
use crate::transport::tls::Tls;
use crate::transport::wire::Connection;

/// Where the control plane is, and how it is reached.
#[derive(Debug)]
pub(super) struct Road {
    server: String,
    proxies: Arc<Proxies>,
    ways: Ways,
    started: Instant,
    /// A probe's connection, until the session takes it.
    ready: Option<Connection>,
}

impl Road {
    pub(super) fn new(server: String, started: Instant) -> Self {
        let proxies = Arc::new(Proxies::from_environment());
        Self { server, proxies, ways: Ways::default(), started, ready: None }
    }

    /// `HOST:PORT`.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Dials in the background, or takes the connection of a probe.
    pub(super) fn dial(&mut self, id: ConnectionId, tls: Tls, events: Events) {
        if let Some(connection) = self.ready.take() {
            tokio::spawn(link::take(id, connection, events));
        } else {
            let plan = self.ways.plan(self.started.elapsed());
            tokio::spawn(link::dial(id, self.to(tls), plan, events));
        }
    }

    /// A connection stands.
    pub(super) fn stands(&mut self, link: &Link) {
        if let Some(why) = link.quic_failed() {
            tracing::warn!(why, "QUIC does not get through to the control plane; it is tried again later");
        }
        tracing::info!(transport = link.transport(), "a connection to the control plane stands");
        let now = self.started.elapsed();
        self.ways.connected(link.way(), link.quic_failed().is_some(), now, rand::random());
    }

    /// The connection is over; `silent`: nothing was heard any more.
    pub(super) fn lost(&mut self, silent: bool) {
        self.ways.lost(silent, self.started.elapsed(), rand::random());
    }

    /// How long until QUIC is to be probed.
    pub(super) fn until_probe(&self) -> Option<Duration> {
        self.ways.probe_at().map(|at| at.saturating_sub(self.started.elapsed()))
    }

    /// Probes QUIC in the background, beside the connection `id`.
    pub(super) fn probe(&mut self, id: ConnectionId, tls: Tls, events: Events) {
        self.ways.probe_began();
        tokio::spawn(link::probe(id, self.to(tls), events));
    }

    /// What came of a probe. True when its connection waits to be taken.
    pub(super) fn probed(&mut self, probed: Result<Box<Connection>, String>) -> bool {
        match probed {
            Ok(connection) => {
                tracing::info!("QUIC gets through to the control plane again");
                self.ways.probe_stands();
                self.ready = Some(*connection);
                true
            }
            Err(why) => {
                tracing::info!(why, "QUIC still does not get through to the control plane");
                self.ways.probe_failed(self.started.elapsed(), rand::random());
                false
            }
        }
    }

    /// What came of a probe beside a connection that is over: it is noted, and a connection is dropped.
    pub(super) fn probed_late(&mut self, probed: &Result<Box<Connection>, String>) {
        match probed {
            Ok(_) => self.ways.probe_stands(),
            Err(_) => self.ways.probe_failed(self.started.elapsed(), rand::random()),
        }
    }

    fn to(&self, tls: Tls) -> Dial {
        Dial { server: self.server.clone(), tls, proxies: self.proxies.clone() }
    }
}
