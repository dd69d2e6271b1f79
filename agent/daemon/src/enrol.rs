//! Enrolment of a new agent: it sends a join token and a certificate request, and receives its certificate, the CA and
//! the keys that sign jobs.
//!
//! The token's secret is sent only to a server whose CA has the fingerprint in the token.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::session::Plan;
use nimbus_platform::DoublingWait;
use nimbus_protocol::close::CloseCode;
use nimbus_protocol::v1::{self, agent_frame, server_frame};
use nimbus_protocol::{join::JoinToken, version};

use crate::config::agent_kind;
use crate::identity::key::AgentKey;
use crate::identity::{Identity, IdentityError, load_key, split_chain, verifying_keys, write};
use crate::transport::dial::Dial;
use crate::transport::proxy::Proxies;
use crate::transport::tls::Tls;

/// Longest wait for the answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long control planes that stand by are asked again: three times what a takeover takes.
const STANDBY: Duration = Duration::from_secs(30);
/// The waits between two of them, with jitter.
const STANDBY_WAIT: DoublingWait = DoublingWait::new(Duration::from_millis(300), Duration::from_secs(2));

/// What a new agent reports about itself.
#[derive(Debug, Clone, Default)]
pub struct EnrollingAgent {
    /// Name of the host.
    pub hostname: String,
    /// UID of the kube-system namespace, empty where there is no cluster or it cannot be reached.
    pub cluster_uid: String,
    /// The cluster's name, empty likewise.
    pub cluster_name: String,
    /// The pod's service account token, empty outside of pods.
    pub service_account_token: String,
    /// The cluster's public keys (a JSON Web Key Set), empty outside of pods.
    pub cluster_keys_json: String,
}

/// Enrols at `server` and makes the identity durable in `dir`.
pub async fn enrol(
    dir: &Path,
    server: &str,
    token: &str,
    enrolling_agent: EnrollingAgent,
) -> Result<Identity, IdentityError> {
    let parsed: JoinToken = token.parse()?;
    // An earlier try may have come as far as the control plane: the same key lets it recognise this agent.
    let key = if let Some(key) = load_key(dir)? {
        key
    } else {
        let key = AgentKey::generate()?;
        write(&dir.join("key.pem"), key.to_pem().as_bytes())?;
        key
    };
    let request = v1::EnrolRequest {
        lowest_version: version::LOWEST,
        highest_version: version::HIGHEST,
        token: parsed.to_string(),
        csr_der: key.certificate_request(&enrolling_agent.hostname)?,
        hostname: enrolling_agent.hostname,
        cluster_uid: enrolling_agent.cluster_uid,
        cluster_name: enrolling_agent.cluster_name,
        service_account_token: enrolling_agent.service_account_token,
        cluster_keys_json: enrolling_agent.cluster_keys_json,
    };
    let response = with_the_leader(server, parsed.ca_sha256, request).await?;
    let (chain, ca) = split_chain(&response.certificate_chain_der, &key)?;
    if nimbus_protocol::sha256(&ca) != parsed.ca_sha256 {
        return Err(IdentityError::Answer {
            expected: "the CA that the join token names",
            found: "another CA".to_owned(),
        });
    }
    let agent_id = response
        .agent_id
        .parse()
        .map_err(|error| IdentityError::Answer { expected: "an agent id", found: format!("{error}") })?;
    let job_keys = verifying_keys(&response.job_keys)?;
    let kind = agent_kind(&response.kind).to_owned();
    let identity = Identity { agent_id, name: response.agent_name, kind, key, chain, ca, job_keys };
    identity.save(dir)?;
    Ok(identity)
}

/// Asks until the one that leads answers: whatever stands in front of several control planes sends each connection to any of them.
/// How often is no failure's business, so the waits of whoever called do not grow by it.
async fn with_the_leader(
    server: &str,
    ca_sha256: [u8; 32],
    request: v1::EnrolRequest,
) -> Result<v1::EnrolResponse, IdentityError> {
    let (mut waits, begun) = (STANDBY_WAIT, nimbus_platform::monotonic());
    let mut times = 0_u32;
    loop {
        match exchange(server, ca_sha256, request.clone()).await? {
            Answer::Enrolled(response) => return Ok(response),
            Answer::StandsBy => times += 1,
        }
        if nimbus_platform::monotonic().saturating_sub(begun) >= STANDBY {
            return Err(IdentityError::Unreachable {
                server: server.to_owned(),
                found: format!("one that stands by for the control plane that leads, {times} times"),
            });
        }
        if times == 1 {
            tracing::info!(
                "a control plane that stands by answered; asking again until the one that leads does"
            );
        }
        tokio::time::sleep(waits.next()).await;
    }
}

/// What a control plane answered.
enum Answer {
    Enrolled(v1::EnrolResponse),
    /// Another one leads, or will soon.
    StandsBy,
}

async fn exchange(
    server: &str,
    ca_sha256: [u8; 32],
    request: v1::EnrolRequest,
) -> Result<Answer, IdentityError> {
    let unreachable = |found: String| IdentityError::Unreachable { server: server.to_owned(), found };
    let tls = Tls::enrol(ca_sha256).map_err(|error| unreachable(error.to_string()))?;
    let purpose = tls.purpose();
    let dial = Dial { server: server.to_owned(), tls, proxies: Arc::new(Proxies::from_environment()) };
    let dialled = dial.first(Plan::default()).await.map_err(|error| unreachable(error.to_string()))?;
    let connection = dialled.connection;
    let reasons = connection.reasons();
    let talk = async {
        let opened = connection.open_first(purpose).await;
        let (mut sink, mut source) = opened.map_err(|ending| unreachable(ending.reason))?;
        let frame = v1::AgentFrame { body: Some(agent_frame::Body::Enrol(request)) };
        sink.send(&frame).await.map_err(|error| unreachable(reasons.ending(&error).reason))?;
        sink.finish();
        let answer = source.receive::<v1::ServerFrame>().await;
        answer.map_err(|error| unreachable(reasons.ending(&error).reason))
    };
    let answer = tokio::time::timeout(ANSWER, talk)
        .await
        .map_err(|_| unreachable(format!("no answer within {} s; try again", ANSWER.as_secs())))??;
    // Lets the close reach the server; it would only cost the server its idle timeout.
    connection.close(CloseCode::Done, "").await;
    match answer.and_then(|frame| frame.body) {
        Some(server_frame::Body::Enrolled(response)) => Ok(Answer::Enrolled(response)),
        Some(server_frame::Body::Refusal(refusal)) if refusal.code == nimbus_protocol::refusal::STANDBY => {
            Ok(Answer::StandsBy)
        }
        Some(server_frame::Body::Refusal(refusal)) => Err(IdentityError::Refused {
            code: refusal.code,
            expected: refusal.expected,
            found: refusal.found,
            remedy: refusal.remedy,
            passes: refusal.retry_after_ms > 0,
        }),
        Some(_) => {
            Err(IdentityError::Answer { expected: "an enrolment", found: "another message".to_owned() })
        }
        None => {
            Err(IdentityError::Answer { expected: "an enrolment", found: "the end of the stream".to_owned() })
        }
    }
}
