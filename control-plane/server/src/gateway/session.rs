//! One agent's session: who it is, hello and welcome, then the control stream and the data stream beside it.

use std::time::Duration;

use jiff::Timestamp;
use nimbus_control_core::model::{Agent, AuditDraft, Versioned};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::agent_frame::Body as From;
use nimbus_protocol::v1::server_frame::Body as To;
use nimbus_protocol::{MAX_BATCH_OBSERVATIONS, v1, version};
use quinn::{Connection, SendStream};
use rustls_pki_types::CertificateDer;
use tokio::time::Instant;

use super::control::Control;
use super::enrol::{unavailable, unsupported};
use super::frames::{self, FrameReader};
use super::limits;
use super::turn_away::{Close, Turned, turn_away};
use super::{Gateway, Slot, control, data, renew};
use crate::ca::{self, Peer};
use crate::{claims, directory};

const JOIN_AGAIN: &str = "join it again: `nimbus agents token create`, then start the agent with --join";
/// Reads again so often when somebody else wrote in between.
const TRIES: usize = 5;

/// Serves one connection of the session protocol. The peer has `patience` for its stream and its hello; `handshake`
/// is held until the agent is welcome or turned away.
pub async fn serve(gateway: &Gateway, connection: &Connection, handshake: Slot, patience: Duration) {
    let by = Instant::now() + patience;
    let peer = identity(connection);
    let who = match &peer {
        Ok(peer) => peer.agent.to_string(),
        Err(_) => "an agent without an identity".to_owned(),
    };
    let Ok(accepted) = tokio::time::timeout_at(by, connection.accept_bi()).await else {
        return Close::Malformed.close(connection, "expected a hello in time, found none");
    };
    let Ok((mut send, recv)) = accepted else { return };
    let mut reader = FrameReader::new(recv);
    let served = async {
        let frame = tokio::time::timeout_at(by, reader.next::<v1::AgentFrame>());
        let frame = frame.await.map_err(|_| Turned::malformed("a hello in time", "none"))??;
        let Some(From::Hello(hello)) = frame.and_then(|frame| frame.body) else {
            return Err(Turned::malformed("a hello as the first message", "another one or none"));
        };
        let peer = peer?;
        let version = admit(gateway, &peer, &hello).await?;
        drop(handshake);
        welcomed(gateway, connection, (&mut send, &mut reader), &peer.agent, hello, version).await
    };
    if let Err(turned) = served.await {
        turn_away(&gateway.app, &gateway.complaints, connection, Some(&mut send), &who, turned).await;
    }
}

/// The agent in the client's certificate. TLS has checked the certificate itself.
fn identity(connection: &Connection) -> Result<Peer, Turned> {
    let required = |found: String| {
        Turned::refused("certificate_required", "a client certificate of an agent", found, JOIN_AGAIN)
    };
    let chain =
        connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let Some(leaf) = chain.as_deref().and_then(|chain| chain.first()) else {
        return Err(required("none".to_owned()));
    };
    ca::peer(leaf).map_err(|error| required(error.to_string()))
}

/// Decides whether this agent may come in, and takes what it says of itself. Returns the version to speak.
async fn admit(gateway: &Gateway, peer: &Peer, hello: &v1::Hello) -> Result<u32, Turned> {
    let app = &gateway.app;
    let version = version::negotiate(hello.lowest_version, hello.highest_version).map_err(unsupported)?;
    if hello.agent_id != peer.agent.as_str() {
        let found: String = hello.agent_id.chars().take(64).collect();
        let remedy = "remove the agent's identity directory and join it again";
        return Err(Turned::refused("wrong_agent", peer.agent.as_str(), found, remedy));
    }
    for _ in 0..TRIES {
        let agent = app.store.get::<Agent>(peer.agent.as_str()).await.map_err(unavailable)?;
        let Some(agent) = agent else {
            let found = "one that this control plane does not know";
            return Err(Turned::refused("unknown_agent", "an enrolled agent", found, JOIN_AGAIN));
        };
        if let Some(at) = agent.doc.revoked_at {
            let found = format!("one that was revoked at {at}");
            return Err(Turned::refused("revoked", "an agent that is not revoked", found, JOIN_AGAIN));
        }
        let now = app.now();
        let (agent, renewed) = with_key(gateway, agent, peer, now).await?;
        let docs = app.docs().await.map_err(unavailable)?;
        let (mut changes, denied) = directory::hello(&docs, &agent, hello, now);
        let verdict = denied.map_or(Ok(version), |why| {
            let found = why.found(&hello.cluster_uid.chars().take(64).collect::<String>());
            Err(Turned::refused("wrong_cluster", claims::EXPECTED, found, claims::REMEDY))
        });
        if let Some(row) = renewed {
            if changes.agents.is_empty() {
                changes.agents.push(agent);
            }
            changes.audit.push(row);
        }
        if changes.is_empty() {
            return verdict;
        }
        match app.commit(&changes).await {
            Ok(_) => return verdict,
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(Turned::overloaded("a commit", "other writers were faster each time"))
}

/// The agent with the key that it presents: the known one, or the one of its last renewal, which then becomes the
/// known one. Until a renewed certificate is used, the one before stays good: a crash in between locks nobody out.
async fn with_key(
    gateway: &Gateway,
    mut agent: Versioned<Agent>,
    peer: &Peer,
    now: Timestamp,
) -> Result<(Versioned<Agent>, Option<AuditDraft>), Turned> {
    if agent.doc.key_sha256 == peer.key_sha256 {
        return Ok((agent, None));
    }
    if renew::pending_key(&gateway.app, &peer.agent).await.map_err(unavailable)?
        != Some(peer.key_sha256.clone())
    {
        let found = "a certificate whose key was replaced by a later one";
        return Err(Turned::refused("unknown_agent", "the agent's present key", found, JOIN_AGAIN));
    }
    agent.doc.key_sha256.clone_from(&peer.key_sha256);
    let row = AuditDraft {
        at: now,
        actor: agent.doc.id.to_string(),
        action: "agent.renewed".to_owned(),
        subject: agent.doc.id.to_string(),
        cluster: String::new(),
        detail: "uses its new certificate; the one before is no longer accepted".to_owned(),
    };
    Ok((agent, Some(row)))
}

/// From the welcome to the end of the session.
async fn welcomed(
    gateway: &Gateway,
    connection: &Connection,
    (send, reader): (&mut SendStream, &mut FrameReader),
    agent: &AgentId,
    hello: v1::Hello,
    version: u32,
) -> Result<(), Turned> {
    let app = &gateway.app;
    let remote = connection.remote_address();
    // Before it counts as connected: what it has not sent yet is not known.
    app.caught_up.expect(agent, hello.next_sequence.saturating_sub(1));
    let registration = app.sessions.register(agent, remote, hello.agent_version, app.now());
    let number = registration.number;
    // Whatever ends the session, also a cancelled task, ends its registration.
    let _end = scopeguard(|| {
        app.sessions.remove(agent, number);
        app.metrics.connected.set(count(app.sessions.count()));
        app.wake.engine();
    });
    app.metrics.connected.set(count(app.sessions.count()));
    // Revoked between the first look and the registration: nobody could cut it then.
    let known = app.store.get::<Agent>(agent.as_str()).await.map_err(unavailable)?;
    if known.is_none_or(|agent| agent.doc.revoked_at.is_some()) {
        let found = "one that was revoked just now";
        return Err(Turned::refused("revoked", "an agent that is not revoked", found, JOIN_AGAIN));
    }
    let acknowledged = gateway.writer.marks().get(agent);
    if hello.next_sequence <= acknowledged {
        let next = hello.next_sequence;
        tracing::warn!(%agent, next, acknowledged, "the agent lost its spool; it goes on after what is stored");
    }
    let welcome = v1::Welcome {
        version,
        acknowledged,
        epoch: app.epoch,
        // 5,000 and 2,000: both fit.
        heartbeat_ms: u32::try_from(limits::HEARTBEAT.as_millis()).unwrap_or(u32::MAX),
        max_batch_observations: u32::try_from(MAX_BATCH_OBSERVATIONS).unwrap_or(u32::MAX),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    frames::write(send, To::Welcome(welcome)).await?;
    tracing::info!(%agent, %remote, acknowledged, "agent connected");
    app.wake.engine();
    let (gaps_in, gaps) = tokio::sync::mpsc::channel(1);
    if app.needs_listing() {
        // The queue is empty: there is room for one.
        let _ = gaps_in.try_send("the control plane's inventory was rebuilt from nothing");
    }
    let stats = std::sync::Arc::clone(&registration.stats);
    let data = data::Data {
        app: app.clone(),
        writer: gateway.writer.clone(),
        agent: agent.clone(),
        stats,
        gaps: gaps_in,
    };
    let mut streams = tokio::task::JoinSet::new();
    let (mut cut, served) = (registration.cut.clone(), connection.clone());
    // Not only where a cut is told: a peer that does not read its control stream holds that one up.
    streams.spawn(async move {
        tokio::select! {
            biased;
            why = control::cut(&mut cut) => control::ended(why),
            ended = data.serve(served) => ended,
        }
    });
    let control = Control { app, agent, registration, gaps };
    let ended = tokio::select! {
        ended = control.serve(send, reader) => ended,
        ended = streams.join_next() => match ended {
            Some(Ok(ended)) => ended,
            other => Err(Turned::Gone(format!("data stream: {other:?}"))),
        },
    };
    match ended {
        Err(Turned::Gone(why)) => {
            tracing::info!(%agent, %remote, why, "agent disconnected");
            Close::Bye.close(connection, "");
            Ok(())
        }
        Ok(close) => {
            tracing::info!(%agent, %remote, ?close, "session ended");
            close.close(connection, "");
            Ok(())
        }
        Err(turned) => Err(turned),
    }
}

/// Agents connected, as a metric takes it.
#[allow(clippy::cast_precision_loss, reason = "at most a few thousand connections")]
fn count(sessions: usize) -> f64 {
    sessions as f64
}

struct ScopeGuard<F: FnMut()>(F);

impl<F: FnMut()> Drop for ScopeGuard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn scopeguard<F: FnMut()>(end: F) -> ScopeGuard<F> {
    ScopeGuard(end)
}
