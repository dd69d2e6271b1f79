//! Enrolment of the agent of a pod: its service account token proves where it runs.
//!
//! The first agent of a cluster spends one use of a join token and brings the cluster's public keys; every further one
//! needs no use of a token, only its own proof, which those keys verify. Where the keys do not verify it, a join token
//! that holds replaces them: that is how an API server's new keys, or another namespace of the agents, come in.

use nimbus_control_core::attestation::{self, Unproven};
use nimbus_control_core::gateway::SessionEnd;
use nimbus_control_core::model::{
    Agent, AgentKind, AuditDraft, ChangeSet, Cluster, ClusterIdentity, JoinTokenRecord, MAX_AGENT_NAME, Mode,
    PodOrigin, Versioned,
};
use nimbus_control_core::world::{Inventory, World, is_cluster_uid};
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::v1;

use super::join_token::{Attempt, admit, bad_request, for_another_cluster, note_misuse, unavailable};
use super::{Gateway, proof};
use crate::app::App;
use crate::ca::requested_key;
use crate::documents::Docs;

const KEYS_REMEDY: &str =
    "upgrade the agent, and check that the API server serves /openid/v1/jwks to service accounts";

/// One try: what to commit, and the answer then. A refusal of a token that names a known cluster is audited.
pub async fn attempt(gateway: &Gateway, request: &v1::EnrolRequest) -> Result<Attempt, SessionEnd> {
    let app = &gateway.app;
    let uid = request.cluster_uid.as_str();
    if !is_cluster_uid(uid) {
        let found = format!("{:?}", uid.chars().take(64).collect::<String>());
        let remedy = "check that the agent may read the namespace kube-system";
        return Err(SessionEnd::refused("proof_cluster", "the UID of the pod's cluster", found, remedy));
    }
    let docs = app.docs().await.map_err(unavailable)?;
    let cluster = docs.clusters.iter().find(|cluster| cluster.doc.uid == uid).cloned();
    let known = cluster.as_ref().and_then(|cluster| cluster.doc.identity.clone());
    // Whoever speaks for a cluster already keeps it from whoever merely has some token: as for agents without a proof.
    let is_taken = known.is_some() || docs.agents.bound_to(uid).next().is_some();
    let by_known = known.as_ref().map(|known| prove(request, &known.keys, Some(known), app));
    let (pod, founds) = match by_known {
        Some(Ok(pod)) => (pod, None),
        // What the known keys do not fit: a join token that still holds decides. The chart leaves a spent one where it is, and then
        // the proof's own refusal is what there is to say.
        Some(Err(refusal)) if refusal.may_found => {
            match founding_token(gateway, request, is_taken, known.as_ref()).await? {
                Some(token) => found_identity(app, request, token)?,
                None => return Err(audited(gateway, request, refusal.end).await),
            }
        }
        Some(Err(refusal)) => return Err(audited(gateway, request, refusal.end).await),
        None => match founding_token(gateway, request, is_taken, None).await? {
            Some(token) => found_identity(app, request, token)?,
            None => return Err(no_token(gateway, request, is_taken).await),
        },
    };
    let (there, is_seen) = {
        let world = app.view.read();
        let led = led(app, &world, uid);
        (attestation::is_there(&pod, led), attestation::is_seen(&pod, led))
    };
    if let Err(why) = there {
        return Err(audited(gateway, request, unproven(&why)).await);
    }
    match prepare(app, request, &docs, cluster, Proven { pod, is_seen, founds }) {
        Ok(attempt) => Ok(attempt),
        Err(end) => Err(audited(gateway, request, end).await),
    }
}

/// What is known of a cluster whose leading agent is connected.
fn led<'a>(app: &App, world: &'a World, uid: &str) -> Option<&'a Inventory> {
    let is_here = |leader| app.sessions.number(leader).is_some();
    world.clusters.get(uid).filter(|inventory| inventory.leader.is_some_and(is_here))
}

/// The join token that may make the cluster's keys known, or replace the `known` ones; `None` where none holds.
async fn founding_token(
    gateway: &Gateway,
    request: &v1::EnrolRequest,
    is_taken: bool,
    known: Option<&ClusterIdentity>,
) -> Result<Option<Versioned<JoinTokenRecord>>, SessionEnd> {
    let refused = match token_of(gateway, request, is_taken, true).await {
        Some(Ok(token)) => return Ok(Some(token)),
        Some(Err(end)) => Some(end),
        None => None,
    };
    // Of many pods that start at once, one has made the keys known meanwhile, and spent the token. Asked of the store, as the token
    // was: what is kept of its documents in memory follows a commit a moment later.
    let cluster = gateway.app.store().get::<Cluster>(request.cluster_uid.as_str()).await;
    let cluster = cluster.map_err(unavailable)?;
    if cluster.and_then(|cluster| cluster.doc.identity).as_ref() != known {
        return Err(SessionEnd::overloaded("a commit", "another pod of this cluster was faster"));
    }
    match refused {
        Some(end) => Err(audited(gateway, request, end).await),
        None => Ok(None),
    }
}

/// The refusal of a pod whose cluster nobody knows and whose join token does not hold.
async fn no_token(gateway: &Gateway, request: &v1::EnrolRequest, is_taken: bool) -> SessionEnd {
    match token_of(gateway, request, is_taken, false).await {
        Some(Err(end)) => audited(gateway, request, end).await,
        Some(Ok(_)) => SessionEnd::overloaded("a join token that is spent", "one that holds again"),
        None => SessionEnd::refused(
            "token_unknown",
            "a join token, with which the first agent of a cluster makes it known",
            "none",
            "make one with `nimbus agents token create --kind cluster` and give it to the chart",
        ),
    }
}

/// Why the known keys do not accept a token.
struct NotByThese {
    end: SessionEnd,
    /// Whether a join token may replace what is known.
    may_found: bool,
}

/// A pod that proved where it runs.
struct Proven {
    pod: PodOrigin,
    /// The cluster's leading agent sees it now.
    is_seen: bool,
    /// What it makes known, with a join token.
    founds: Option<Founding>,
}

fn prove(
    request: &v1::EnrolRequest,
    keys: &str,
    known: Option<&ClusterIdentity>,
    app: &App,
) -> Result<PodOrigin, NotByThese> {
    let expected = "a service account token of this cluster";
    let remedy = "where the API server has new keys, make a new token with `nimbus agents token create --kind cluster --cluster \
                  NAME` and give it to the chart";
    let not_read = |error: proof::ProofError| NotByThese {
        may_found: error == proof::ProofError::Signature,
        end: SessionEnd::refused("proof_unknown", expected, error.to_string(), remedy),
    };
    let keys = proof::keys(keys).map_err(not_read)?;
    let claims = proof::verified(&request.service_account_token, &keys).map_err(not_read)?;
    attestation::judge(&claims, known, app.now()).map_err(|why| NotByThese {
        may_found: matches!(why, Unproven::Issuer(_) | Unproven::ServiceAccount(_)),
        end: unproven(&why),
    })
}

/// The join token in the request, if it may make this cluster's keys known; `None` where none was given. A cluster that has
/// agents already (`is_taken`) needs a token that a person made for it. With `or_none`, one that does not hold is none.
async fn token_of(
    gateway: &Gateway,
    request: &v1::EnrolRequest,
    is_taken: bool,
    or_none: bool,
) -> Option<Result<Versioned<JoinTokenRecord>, SessionEnd>> {
    let uid = request.cluster_uid.as_str();
    let token: JoinToken = request.token.parse().ok()?;
    let record = match gateway.app.store().get::<JoinTokenRecord>(token.id).await {
        Ok(record) => record,
        Err(error) => return Some(Err(unavailable(error))),
    };
    let holds = |record: &Versioned<JoinTokenRecord>| record.doc.ended(gateway.app.now()).is_none();
    if or_none && !record.as_ref().is_some_and(holds) {
        return None;
    }
    let admitted = admit(gateway, &token, record).await;
    Some(admitted.and_then(|record| {
        let found =
            match (record.doc.kind, record.doc.cluster.as_deref(), record.doc.first_cluster.as_deref()) {
                (AgentKind::Cluster, Some(named), _) if named == uid => return Ok(record),
                (AgentKind::Cluster, Some(other), _) => format!("one for cluster {other}"),
                (AgentKind::Cluster, None, Some(other)) if other != uid => {
                    format!("one that agents of cluster {other} used")
                }
                (AgentKind::Cluster, None, _) if !is_taken => return Ok(record),
                (AgentKind::Cluster, None, _) => {
                    "one that names no cluster, while this one has agents already".to_owned()
                }
                (AgentKind::Host, _, _) => "one for a host".to_owned(),
            };
        Err(for_another_cluster(uid, found))
    }))
}

type Founding = (ClusterIdentity, Versioned<JoinTokenRecord>);

/// What the first agent of a cluster, or the first one with new keys, makes known.
fn found_identity(
    app: &App,
    request: &v1::EnrolRequest,
    token: Versioned<JoinTokenRecord>,
) -> Result<(PodOrigin, Option<Founding>), SessionEnd> {
    let keys = proof::keys(&request.cluster_keys_json).map_err(|error| {
        SessionEnd::refused("proof_keys", "the cluster's public keys", error.to_string(), KEYS_REMEDY)
    })?;
    let pod = prove(request, &request.cluster_keys_json, None, app).map_err(|refusal| refusal.end)?;
    // Verified just now; read again for its issuer.
    let claims = proof::verified(&request.service_account_token, &keys).map_err(|error| {
        SessionEnd::refused(
            "proof_unknown",
            "a service account token of this cluster",
            error.to_string(),
            KEYS_REMEDY,
        )
    })?;
    let identity = ClusterIdentity {
        issuer: claims.iss.chars().take(512).collect(),
        keys: request.cluster_keys_json.clone(),
        namespace: pod.namespace.clone(),
        service_account: pod.service_account.clone(),
        since: app.now(),
        token: token.doc.id,
    };
    Ok((pod, Some((identity, token))))
}

fn prepare(
    app: &App,
    request: &v1::EnrolRequest,
    docs: &Docs,
    cluster: Option<Versioned<Cluster>>,
    Proven { pod, is_seen, founds }: Proven,
) -> Result<Attempt, SessionEnd> {
    let (now, uid) = (app.now(), request.cluster_uid.as_str());
    let key = requested_key(&request.csr_der).map_err(bad_request)?;
    let there = attestation::already(&docs.agents, uid, &pod, &key, is_seen).map_err(|why| unproven(&why))?;
    let id = there.map_or_else(|| attestation::agent_id(uid, &pod), |agent| agent.doc.id);
    let issued = app.keys.ca.issue_pod_agent(id, uid, &pod, &request.csr_der, now).map_err(bad_request)?;
    let name = there.map_or_else(
        || {
            let world = app.view.read();
            let led = led(app, &world, uid);
            let is_away = |other: &Agent| {
                app.sessions.number(other.id).is_none() || attestation::is_gone(other, led, now)
            };
            attestation::agent_name((&docs.agents, is_away), uid, &pod, id, MAX_AGENT_NAME)
        },
        |agent| agent.doc.name.clone(),
    );
    let response = v1::EnrolResponse {
        agent_id: id.to_string(),
        certificate_chain_der: issued.chain,
        job_keys: app.keys.signer.trusted_bytes(),
        agent_name: name.clone(),
        kind: AgentKind::Cluster.to_string(),
    };
    let mut changes = ChangeSet::default();
    let place =
        format!("pod {}/{} on node {}", pod.namespace, pod.name, pod.node.as_deref().unwrap_or("(not said)"));
    let row = |action: &str, subject: String, detail: String| AuditDraft {
        at: now,
        actor: id.to_string(),
        action: action.to_owned(),
        subject,
        cluster: uid.to_owned(),
        detail,
    };
    if let Some(gone) = there.filter(|agent| agent.doc.revoked_at.is_some()) {
        changes.audit.push(row(
            "agent.pod_back",
            id.to_string(),
            format!("{name} is let in again: {place} is there"),
        ));
        let mut back = gone.clone();
        (back.doc.revoked_at, back.doc.pod_gone) = (None, false);
        changes.agents.push(back);
    }
    if there.is_none() {
        changes.audit.push(row("agent.enrolled", id.to_string(), format!("as {name}, of {place}")));
        let hostname = request.hostname.chars().take(253).collect();
        changes.agents.push(Versioned::new(Agent {
            name,
            key_sha256: issued.key_sha256,
            hostname,
            bound_cluster: Some(uid.to_owned()),
            pod: Some(pod),
            ..Agent::new(id, AgentKind::Cluster, now)
        }));
    }
    if let Some((identity, mut token)) = founds {
        let detail = format!(
            "agents prove themselves as service account {}/{} of {}; with token {} of {}",
            identity.namespace, identity.service_account, identity.issuer, token.doc.id, token.doc.created_by
        );
        changes.audit.push(row("cluster.identity_set", uid.to_owned(), detail));
        let mut cluster =
            cluster.unwrap_or_else(|| Versioned::new(new_cluster(docs, uid, &token.doc.name, now)));
        cluster.doc.identity = Some(identity);
        changes.clusters.push(cluster);
        token.doc.spend(id, now);
        if token.doc.cluster.is_none() {
            token.doc.first_cluster = Some(uid.to_owned());
        }
        changes.tokens.push(token);
    }
    Ok(Attempt { changes, response })
}

/// A cluster that nobody knew; it is called as the token was, and observed only.
fn new_cluster(docs: &Docs, uid: &str, wanted: &str, now: jiff::Timestamp) -> Cluster {
    let taken = docs.clusters.iter().any(|cluster| cluster.doc.name == wanted);
    let name = if taken {
        format!("{wanted}-{}", uid.chars().take(8).collect::<String>())
    } else {
        wanted.to_owned()
    };
    Cluster {
        uid: uid.to_owned(),
        name,
        created_at: now,
        mode: Mode::Observe,
        enabled: Vec::new(),
        identity: None,
    }
}

fn unproven(why: &Unproven) -> SessionEnd {
    let (expected, found) = why.expected_and_found();
    if why.passes() {
        return SessionEnd::not_yet(why.word(), expected, found, why.remedy());
    }
    SessionEnd::refused(why.word(), expected, found, why.remedy())
}

/// A refused proof of a cluster that is known is worth an audit row, whoever signed it: one a minute for each cluster and reason, so that
/// nobody can fill the log.
async fn audited(gateway: &Gateway, request: &v1::EnrolRequest, end: SessionEnd) -> SessionEnd {
    let app = &gateway.app;
    let uid = request.cluster_uid.as_str();
    let Ok(docs) = app.docs().await else { return end };
    let is_known = docs.clusters.iter().any(|cluster| cluster.doc.uid == uid);
    let told = end.told();
    let reason = told.split(':').next().unwrap_or_default();
    // Whose join token does not hold is audited by its id, if it is genuine at all.
    let is_of_token = reason.starts_with("token_");
    // Only a token whose secret the peer knows is refused so.
    let misused = (reason == "wrong_cluster").then(|| request.token.parse::<JoinToken>().ok()).flatten();
    if let Some(token) = misused {
        // By the token, and not by the cluster: its UID is what the peer says.
        note_misuse(gateway, token.id, &end).await;
        return end;
    }
    if !is_known {
        return end;
    }
    if is_of_token || !gateway.refused_proofs.note(format!("{uid} {reason}"), std::time::Instant::now()) {
        return end;
    }
    let audit = AuditDraft {
        at: app.now(),
        actor: "unknown".to_owned(),
        action: "agent.enrolment_refused".to_owned(),
        subject: uid.to_owned(),
        cluster: uid.to_owned(),
        detail: told.chars().take(1_000).collect(),
    };
    if let Err(error) = app.commit(&ChangeSet { audit: vec![audit], ..ChangeSet::default() }).await {
        tracing::error!(%error, cluster = uid, "the refusal could not be audited");
    }
    end
}
