//! Admits an agent to a session: checks its document, its key and its hello, and registers the session.

use std::net::SocketAddr;

use jiff::Timestamp;
use nimbus_control_core::directory;
use nimbus_control_core::gateway::{Admission, SessionEnd};
use nimbus_control_core::model::{Agent, AuditDraft, Versioned};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;

use super::join_token::unavailable;
use super::{Gateway, renew, restored};
use crate::app::App;
use crate::ca::Peer;
use crate::sessions::{Registration, Transport};

/// Reads again so often when somebody else wrote in between.
const TRIES: usize = 5;

/// An agent's place among the sessions; whatever ends the session, also a cancelled task, gives it back.
pub struct Registered<'a> {
    /// The session's ends of its queues.
    pub registration: Registration,
    app: &'a App,
    agent: AgentId,
}

impl<'a> Registered<'a> {
    fn new(app: &'a App, agent: AgentId, from: (SocketAddr, Transport), version: String) -> Self {
        let registration = app.sessions.register(agent, from, version, app.now());
        show_count(app);
        Self { registration, app, agent }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.app.sessions.remove(self.agent, self.registration.number);
        show_count(self.app);
        self.app.wake.engine();
    }
}

fn show_count(app: &App) {
    let sessions = &app.sessions;
    app.metrics.connected.set(count(sessions.count()));
    app.metrics.connected_quic.set(count(sessions.count_of(Transport::Quic)));
    app.metrics.connected_tcp.set(count(sessions.count_of(Transport::Tcp)));
}

/// Agents connected, as a metric takes it.
#[allow(clippy::cast_precision_loss, reason = "at most a few thousand connections")]
fn count(sessions: usize) -> f64 {
    sessions as f64
}

/// Takes the agent in that comes `from` an address on a way, or says why not.
pub async fn enter<'a>(
    gateway: &'a Gateway,
    peer: &Peer,
    from: (SocketAddr, Transport),
    hello: v1::Hello,
) -> Result<(Registered<'a>, Admission), SessionEnd> {
    check_hello(gateway, peer, &hello).await?;
    let (app, agent) = (&gateway.app, peer.agent);
    // Before it counts as connected: what it has not sent yet is not known.
    app.sessions.caught_up.expect(agent, hello.next_sequence.saturating_sub(1));
    let registered = Registered::new(app, agent, from, hello.agent_version);
    // Revoked between the first look and the registration: nobody could close the session then.
    let known = app.store().get::<Agent>(agent).await.map_err(unavailable)?;
    if known.is_none_or(|agent| agent.doc.revoked_at.is_some()) {
        return Err(SessionEnd::revoked("one that was revoked just now"));
    }
    let acknowledged = gateway.writer.marks().get(agent);
    let next = hello.next_sequence;
    if next <= acknowledged {
        tracing::warn!(%agent, next, acknowledged, "the agent lost its spool; it goes on after what is stored");
    }
    let (remote, transport) = (from.0, from.1.word());
    tracing::info!(%agent, %remote, transport, acknowledged, "agent connected");
    let needs_listing = app.view.needs_listing();
    Ok((registered, Admission { acknowledged, epoch: app.epoch, needs_listing }))
}

/// Decides whether this agent may come in, and takes what it says of itself.
async fn check_hello(gateway: &Gateway, peer: &Peer, hello: &v1::Hello) -> Result<(), SessionEnd> {
    let app = &gateway.app;
    for _ in 0..TRIES {
        let agent = app.store().get::<Agent>(peer.agent).await.map_err(unavailable)?;
        let Some(agent) = agent else {
            let found = "one that this control plane does not know";
            return Err(SessionEnd::unknown_agent("an enrolled agent", found));
        };
        if let Some(at) = agent.doc.revoked_at {
            return Err(SessionEnd::revoked(format!("one that was revoked at {at}")));
        }
        let now = app.now();
        let (agent, renewed) = with_key(gateway, agent, peer, now).await?;
        let docs = app.docs().await.map_err(unavailable)?;
        let (mut changes, denied) = directory::hello(docs.known(), &agent, hello, now);
        // Whoever held them over the commit would make it copy them.
        drop(docs);
        let verdict = denied.map_or(Ok(()), |why| {
            let cluster: String = hello.cluster_uid.chars().take(64).collect();
            Err(SessionEnd::wrong_cluster(why.found(&cluster)))
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
    Err(SessionEnd::overloaded("a commit", "other writers were faster each time"))
}

/// The agent with the key that it presents: the known one, or the one of its last renewal, which then becomes the
/// known one. Until a renewed certificate is used, the one before stays good: a crash in between locks nobody out.
async fn with_key(
    gateway: &Gateway,
    mut agent: Versioned<Agent>,
    peer: &Peer,
    now: Timestamp,
) -> Result<(Versioned<Agent>, Option<AuditDraft>), SessionEnd> {
    if agent.doc.key_sha256 == peer.key_sha256 {
        return Ok((agent, None));
    }
    let pending = renew::pending_key(&gateway.app, peer.agent).await.map_err(unavailable)?;
    if pending.as_ref() != Some(&peer.key_sha256)
        && !restored::is_newest_of_before(&gateway.app, peer, &agent.doc.key_sha256)
            .await
            .map_err(unavailable)?
    {
        let found = "a certificate whose key was replaced by a later one";
        return Err(SessionEnd::unknown_agent("the agent's present key", found));
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
