//! Dials the control plane on both ways as a plan says, and takes the first that stands.

use std::pin::pin;
use std::sync::Arc;

use nimbus_agent_core::session::{Plan, Way};

use super::proxy::Proxies;
use super::tls::Tls;
use super::wire::Connection;
use super::{DialError, quic, tcp};

/// Where to and as whom.
#[derive(Debug, Clone)]
pub struct Dial {
    /// `HOST:PORT`, the same for both ways.
    pub server: String,
    /// The agent's end of TLS.
    pub tls: Tls,
    /// Through which proxy TCP goes.
    pub proxies: Arc<Proxies>,
}

/// A connection that stands.
#[derive(Debug)]
pub struct Dialled {
    /// It.
    pub connection: Connection,
    /// QUIC was tried for it and failed, or had not answered when TCP stood; why.
    pub quic_failed: Option<String>,
}

impl Dial {
    /// On this way alone.
    pub async fn by(&self, way: Way) -> Result<Connection, DialError> {
        // In boxes: a handshake's state is large, and gone when the connection stands.
        match way {
            Way::Quic => Box::pin(quic::connect(&self.server, &self.tls)).await.map(Connection::Quic),
            Way::Tcp => {
                Box::pin(tcp::connect(&self.server, &self.tls, &self.proxies)).await.map(Connection::Tcp)
            }
        }
    }

    /// On the first way of `plan`, and from the end of its head start or its failure on the other as well.
    pub async fn first(&self, plan: Plan) -> Result<Dialled, DialError> {
        let (one, other) = (plan.first, plan.first.other());
        let mut dialling = pin!(self.by(one));
        let early = tokio::time::timeout(plan.head_start, dialling.as_mut()).await;
        if let Ok(early) = early {
            return match early {
                Ok(connection) => Ok(stands(connection, None)),
                Err(error) => self.alone(other, one, error).await,
            };
        }
        let mut beside = pin!(self.by(other));
        tokio::select! {
            biased;
            dialled = dialling.as_mut() => match dialled {
                Ok(connection) => Ok(stands(connection, None)),
                Err(error) => settle(one, error, beside.await),
            },
            dialled = beside.as_mut() => match dialled {
                Ok(connection) => {
                    let late = format!("no answer within {} s", plan.head_start.as_secs());
                    Ok(stands(connection, Some((one, late))))
                }
                // Its failure came second, and is told first: it is the one to look at.
                Err(error) => settle(other, error, dialling.await),
            },
        }
    }

    async fn alone(&self, way: Way, failed: Way, error: DialError) -> Result<Dialled, DialError> {
        settle(failed, error, self.by(way).await)
    }
}

/// What comes of it when `failed` did not lead there, with this error.
fn settle(failed: Way, error: DialError, other: Result<Connection, DialError>) -> Result<Dialled, DialError> {
    match other {
        Ok(connection) => Ok(stands(connection, Some((failed, error.to_string())))),
        Err(second) => Err(neither(failed, error, second)),
    }
}

fn stands(connection: Connection, failed: Option<(Way, String)>) -> Dialled {
    let quic_failed = failed.filter(|(way, _)| *way == Way::Quic).map(|(_, why)| why);
    Dialled { connection, quic_failed }
}

/// Both errors, QUIC's first.
fn neither(way: Way, error: DialError, other: DialError) -> DialError {
    let (quic, tcp) = match way {
        Way::Quic => (error, other),
        Way::Tcp => (other, error),
    };
    match (quic, tcp) {
        // What is wrong before a packet leaves is wrong on both.
        (error @ (DialError::Resolve { .. } | DialError::Configuration(_)), other)
            if std::mem::discriminant(&error) == std::mem::discriminant(&other) =>
        {
            error
        }
        (quic, tcp) => DialError::Neither {
            first_way: "QUIC",
            first: Box::new(quic),
            other_way: "TCP",
            other: Box::new(tcp),
        },
    }
}
