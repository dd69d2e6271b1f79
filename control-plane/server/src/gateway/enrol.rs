//! Enrolment of a new agent: exchanges a join token and a certificate request for an identity, once for each use of a token.
//!
//! The token is spent, the agent made and the audit row written in one commit under the token's version: of two
//! requests with one token, one wins. The secret is compared before anything else is said about a token.

use std::time::Duration;

use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{
    Agent, Agents, AuditDraft, ChangeSet, Cluster, JoinTokenRecord, MAX_AGENT_NAME, Versioned,
};
use nimbus_control_core::world::is_cluster_uid;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::v1::agent_frame::Body as From;
use nimbus_protocol::v1::server_frame::Body as To;
use nimbus_protocol::{v1, version};
use tokio::time::Instant;

use super::frames::{self, FrameReader};
use super::join_token::{
    Attempt, NEW_TOKEN, bad_request, for_another_cluster, genuine, note_misuse, unavailable, unspent,
};
use super::wire::Connection;
use super::{Gateway, Slot, enrol_again, enrol_pod, reject};
use crate::app::App;
use crate::ca::{AGENT_LIFETIME, Issued};

/// Reads again so often when somebody else wrote in between.
const TRIES: usize = 5;

/// Serves one connection of the enrolment protocol. The peer has `patience` for its stream and its request, and
/// again for taking the answer; `_slot` is held to the end.
pub async fn serve(gateway: &Gateway, connection: &Connection, _slot: Slot, patience: Duration) {
    let by = Instant::now() + patience;
    let mut who = "a joining agent".to_owned();
    let Ok(accepted) = tokio::time::timeout_at(by, connection.accept()).await else {
        return reject::close(
            connection,
            CloseCode::Malformed,
            "expected an enrolment request in time, found none",
        );
    };
    let Ok((mut sink, source)) = accepted else { return };
    let answer = async {
        let mut reader = FrameReader::new(source);
        let read = tokio::time::timeout_at(by, reader.next::<v1::AgentFrame>());
        let frame = read.await.map_err(|_| SessionEnd::malformed("an enrolment request in time", "none"))?;
        let frame = frame.map_err(reject::unreadable)?;
        let Some(From::Enrol(request)) = frame.and_then(|frame| frame.body) else {
            return Err(SessionEnd::malformed("an enrolment request", "another message or none"));
        };
        who = format!("a joining agent on {:?}", &request.hostname.chars().take(64).collect::<String>());
        enrol(gateway, &request).await
    };
    let answered = match answer.await {
        Err(end) => Err(end),
        Ok(response) => {
            let written = frames::write(&mut sink, To::Enrolled(response)).await;
            written.map_err(|error| SessionEnd::Disconnected(error.to_string()))
        }
    };
    if let Err(end) = answered {
        return reject::end(&gateway.app, &gateway.log_throttles, connection, Some(&mut sink), &who, end)
            .await;
    }
    // The agent closes when it has everything; a slow one gets a moment.
    sink.finish();
    let _ = tokio::time::timeout(patience, connection.closed()).await;
    reject::close(connection, CloseCode::Done, "");
}

async fn enrol(gateway: &Gateway, request: &v1::EnrolRequest) -> Result<v1::EnrolResponse, SessionEnd> {
    let app = &gateway.app;
    version::negotiate(request.lowest_version, request.highest_version)
        .map_err(SessionEnd::unsupported_version)?;
    if !request.service_account_token.is_empty() {
        return enrol_pod(gateway, request).await;
    }
    let token: JoinToken =
        request.token.parse().map_err(|error: nimbus_protocol::join::JoinTokenError| {
            SessionEnd::refused("token_unknown", "a join token", error.to_string(), NEW_TOKEN)
        })?;
    for _ in 0..TRIES {
        // A removal takes back the tokens that are for its cluster alone, and refuses every agent that came with them.
        let _known = app.removal.read().await;
        let record = app.store().get::<JoinTokenRecord>(token.id).await.map_err(unavailable)?;
        let record = genuine(&token, record)?;
        let version = record.version;
        // Of two tokens that become ones for the same cluster at the same moment, the second one has to see the agent of the first.
        let _binding = if becomes_bound(&record.doc) { Some(gateway.binding.lock().await) } else { None };
        let Attempt { changes, response } = match enrol_again::attempt(gateway, request, &record.doc).await? {
            Some(again) => again,
            None => match prepare(app, request, unspent(gateway, record).await?).await {
                Ok(attempt) => attempt,
                Err(end) => {
                    // A request that cannot be read or is put off is no misuse.
                    if matches!(&end, SessionEnd::Rejected(no) if no.code == CloseCode::Refused) {
                        // What is in the way may be the agent that used the token since it was read.
                        let now = app.store().get::<JoinTokenRecord>(token.id).await.map_err(unavailable)?;
                        if now.is_some_and(|now| now.version != version) {
                            continue;
                        }
                        note_misuse(gateway, token.id, &end).await;
                    }
                    return Err(end);
                }
            },
        };
        let again = changes.agents.is_empty();
        match app.commit(&changes).await {
            Ok(_) => {
                let (agent, name) = (&response.agent_id, &response.agent_name);
                tracing::info!(agent, name, token = %token.id, again, "agent enrolled");
                return Ok(response);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(SessionEnd::overloaded("a commit", "other writers were faster each time"))
}

/// Enrols the agent of a pod, which proves where it runs.
async fn enrol_pod(gateway: &Gateway, request: &v1::EnrolRequest) -> Result<v1::EnrolResponse, SessionEnd> {
    for _ in 0..TRIES {
        let _known = gateway.app.removal.read().await;
        let Attempt { changes, response } = enrol_pod::attempt(gateway, request).await?;
        if changes.is_empty() {
            return Ok(response);
        }
        match gateway.app.commit(&changes).await {
            Ok(_) => {
                let (agent, name) = (&response.agent_id, &response.agent_name);
                tracing::info!(agent, name, cluster = request.cluster_uid, "a pod's agent enrolled");
                return Ok(response);
            }
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
    Err(SessionEnd::overloaded("a commit", "other writers were faster each time"))
}

/// Will the next use of this token bind its later ones to a cluster?
fn becomes_bound(token: &JoinTokenRecord) -> bool {
    token.uses > 1 && token.cluster.is_none() && token.first_cluster.is_none()
}

/// The clusters, and who is bound to this one, as it is stored: what is kept in memory follows a commit a moment later.
async fn stored(app: &App, uid: &str) -> Result<(Vec<Versioned<Cluster>>, Agents), SessionEnd> {
    let clusters = app.store().all::<Cluster>().await.map_err(unavailable)?;
    let agents = app.store().all::<Agent>().await.map_err(unavailable)?;
    let of_it = agents.into_iter().filter(|agent| agent.doc.bound_cluster.as_deref() == Some(uid));
    Ok((clusters, of_it.collect()))
}

/// The cluster that a token of several uses is for from now on, if nobody named one: the one that its first agent says.
///
/// Refused when other agents speak for that cluster already: what is said here binds the token's later uses, and
/// whoever merely has some token must not get a place beside them.
fn first_cluster(
    clusters: &[Versioned<Cluster>],
    agents: &Agents,
    token: &JoinTokenRecord,
    said: &str,
) -> Result<Option<String>, SessionEnd> {
    if token.uses < 2 || token.cluster.is_some() || !is_cluster_uid(said) {
        return Ok(token.first_cluster.clone());
    }
    let uid = token.first_cluster.as_deref().unwrap_or(said);
    let was_made_known =
        clusters.iter().any(|cluster| cluster.doc.uid == uid && cluster.doc.identity.is_some());
    // Those that came with the token itself are not in its way; before its first use none did.
    let is_older = |agent: &Agent| token.first_cluster.is_none() || agent.created_at < token.created_at;
    let had_agents = agents.bound_to(uid).any(|agent| is_older(&agent.doc));
    if was_made_known || had_agents {
        return Err(for_another_cluster(uid, "one that names no cluster, while this one has agents already"));
    }
    Ok(Some(uid.to_owned()))
}

async fn prepare(
    app: &App,
    request: &v1::EnrolRequest,
    token: Versioned<JoinTokenRecord>,
) -> Result<Attempt, SessionEnd> {
    let now = app.now();
    let docs = app.docs().await.map_err(unavailable)?;
    let said = request.cluster_uid.as_str();
    let first_cluster = if becomes_bound(&token.doc) && is_cluster_uid(said) {
        // It becomes bound to what is said, as it is bound to nothing yet.
        let (clusters, agents) = stored(app, said).await?;
        first_cluster(&clusters, &agents, &token.doc, said)?
    } else {
        first_cluster(&docs.clusters, &docs.agents, &token.doc, said)?
    };
    let id = AgentId::new(&mut app.ids());
    let mut name = token.doc.name.clone();
    if token.doc.uses > 1 && token.doc.used > 0 {
        name =
            format!("{}-{}", name.chars().take(MAX_AGENT_NAME - 6).collect::<String>(), token.doc.used + 1);
    }
    if let Some(other) = docs.named(&name) {
        let found = format!("{name}, which agent {} has", other.id);
        let remedy =
            "revoke that agent first (`nimbus agents revoke NAME`), or make a token with another --name";
        return Err(SessionEnd::refused("name_taken", "a name that no other agent has", found, remedy));
    }
    let issued = app.keys.ca.issue_agent(id, &request.csr_der, now, AGENT_LIFETIME).map_err(bad_request)?;
    let Issued { chain, key_sha256 } = issued;
    let hostname: String = request.hostname.chars().take(253).collect();
    let response = v1::EnrolResponse {
        agent_id: id.to_string(),
        certificate_chain_der: chain,
        job_keys: app.keys.signer.trusted_bytes(),
        agent_name: name.clone(),
        kind: token.doc.kind.to_string(),
    };
    let audit = AuditDraft {
        at: now,
        actor: id.to_string(),
        action: "agent.enrolled".to_owned(),
        subject: id.to_string(),
        cluster: String::new(),
        detail: format!(
            "as {name} ({}), with token {} of {}",
            token.doc.kind, token.doc.id, token.doc.created_by
        ),
    };
    // The agents of one token are of one cluster: the one that a person named, or else that of the first of them.
    // That first one is bound here too: another of them that says hello before it must not shut it out.
    let bound_cluster = token.doc.cluster.clone().or_else(|| first_cluster.clone());
    let joining_with = Some(token.doc.id);
    let new = Agent::new(id, token.doc.kind, now);
    let agent = Agent { name, key_sha256, hostname, bound_cluster, joining_with, ..new };
    let mut spent = token;
    spent.doc.spend(id, now);
    spent.doc.first_cluster = first_cluster;
    let changes = ChangeSet {
        agents: vec![Versioned::new(agent)],
        tokens: vec![spent],
        audit: vec![audit],
        ..ChangeSet::default()
    };
    Ok(Attempt { changes, response })
}
