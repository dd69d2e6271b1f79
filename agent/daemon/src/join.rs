//! How an agent comes by its identity when it starts: the one that is there, or the one that a join token gets.

use std::path::Path;
use std::time::Duration;

use nimbus_platform::{CredentialError, DoublingWait, read_credential};
use nimbus_protocol::join::JoinToken;

use crate::config::{Config, JOIN_CREDENTIAL};
use crate::datadir::DataDir;
use crate::enrol::{EnrollingAgent, enrol};
use crate::error::AgentError;
use crate::identity::{Identity, IdentityError};
use crate::pod_proof;
use crate::watch::kube::client::Target;

/// Tries to reach the control plane.
const TRIES: u32 = 4;
/// The waits between two of them.
const WAIT: DoublingWait = DoublingWait::new(Duration::from_secs(1), Duration::from_secs(4));
/// The longest that all of them take: the unit of a host has three minutes to start in, and one try may take a minute where a
/// network swallows everything.
const LONGEST: Duration = Duration::from_secs(150);
/// Longest wait for another identity in the place of one whose certificate ended.
const REJOIN: Duration = Duration::from_secs(25);
/// Longest wait for a cluster to say which one it is.
const IDENTIFY: Duration = Duration::from_secs(5);

/// The identity that is there, or the one that the join token gets.
pub async fn identity(
    config: &Config,
    data_dir: &DataDir,
    target: Option<&Target>,
) -> Result<Identity, AgentError> {
    let dir = data_dir.identity();
    let there = Identity::load(&dir)?;
    let holds = there.as_ref().is_some_and(|it| nimbus_platform::now().as_second() < it.expires_at());
    match (there, &config.join) {
        // A file that was left where it is does no harm, and is not even looked at, until it is needed again.
        (Some(identity), None) if holds => Ok(identity),
        (Some(identity), Some(_)) if holds => {
            tracing::warn!(agent = %identity.agent_id, "this agent joined before; the join token is not used");
            Ok(identity)
        }
        // A pod proves where it runs as often as it has to; nobody gives it a new token.
        (_, Some(token)) if config.service_account_token.is_some() => {
            let proof = config.service_account_token.as_deref().unwrap_or(Path::new(""));
            let identity = pod_proof::join(&dir, config, token, proof, target).await?;
            tell_joined(&identity);
            Ok(identity)
        }
        // A certificate that ended cannot be renewed any more: a new token is the way back.
        (Some(identity), None) => Ok(rejoined(identity, config, &dir, target).await),
        (_, given) => {
            let token = match given {
                Some(token) => token.clone(),
                None => join_credential(config.credentials.as_deref())?
                    .ok_or_else(|| IdentityError::Nothing(dir.clone()))?,
            };
            let identity = join(&dir, &config.server, &token, enrolling_agent(config, target).await).await?;
            tell_joined(&identity);
            Ok(identity)
        }
    }
}

/// The identity that a token of systemd's gets in the place of one whose certificate ended, otherwise that one: a file that
/// a used token was left in, or a control plane that is away, must not keep this agent from observing and from obeying
/// its policy. It is tried once, so that neither waits for long.
async fn rejoined(identity: Identity, config: &Config, dir: &Path, target: Option<&Target>) -> Identity {
    let joined = match join_credential(config.credentials.as_deref()) {
        Ok(None) => return identity,
        Ok(Some(token)) => {
            let enrolling_agent = enrolling_agent(config, target).await;
            let joining = enrol(dir, &config.server, &token, enrolling_agent);
            within(REJOIN, &config.server, joining).await.map_err(AgentError::from)
        }
        Err(error) => Err(error.into()),
    };
    match joined {
        Ok(joined) => {
            tell_joined(&joined);
            joined
        }
        Err(error) => {
            tracing::warn!(
                agent = %identity.agent_id,
                "the certificate of this agent ended, and it did not join again: {error}; it watches on, and what it \
                 sees waits in the spool: start it again with a new token in the credential {JOIN_CREDENTIAL}"
            );
            identity
        }
    }
}

fn tell_joined(identity: &Identity) {
    tracing::info!(agent = %identity.agent_id, name = identity.name, "joined the control plane");
}

/// The join token that systemd hands over, if it does: one that is none is refused here, by the name of its file.
fn join_credential(credentials: Option<&Path>) -> Result<Option<String>, CredentialError> {
    let Some(credential) = read_credential(credentials, JOIN_CREDENTIAL)? else { return Ok(None) };
    match credential.text.parse::<JoinToken>() {
        Ok(_) => Ok(Some(credential.text)),
        Err(_) => Err(credential.malformed(
            "a join token of `nimbus agents token create`, nimbus1.TOKEN.SECRET.FINGERPRINT",
            "something else, which is not shown",
        )),
    }
}

async fn enrolling_agent(config: &Config, target: Option<&Target>) -> EnrollingAgent {
    let mut enrolling_agent = EnrollingAgent { hostname: config.hostname(), ..EnrollingAgent::default() };
    if let Some(target) = target {
        // A cluster that does not answer now is named later, in the agent's status.
        if let Ok(Ok(cluster)) = tokio::time::timeout(IDENTIFY, target.identify()).await {
            enrolling_agent.cluster_uid = cluster.uid;
            enrolling_agent.cluster_name = cluster.name;
        }
    }
    enrolling_agent
}

/// Joins with a token, trying again while the control plane cannot be reached.
async fn join(
    dir: &Path,
    server: &str,
    token: &str,
    enrolling_agent: EnrollingAgent,
) -> Result<Identity, IdentityError> {
    let tries = async {
        let mut waits = WAIT;
        for _ in 1..TRIES {
            let wait = waits.next();
            match enrol(dir, server, token, enrolling_agent.clone()).await {
                Err(error @ IdentityError::Unreachable { .. }) => {
                    tracing::warn!("{error}; trying again in {} s", wait.as_secs());
                }
                done => return done,
            }
            tokio::time::sleep(wait).await;
        }
        enrol(dir, server, token, enrolling_agent).await
    };
    within(LONGEST, server, tries).await
}

/// What comes of joining in this time. Whatever it is cut off from is finished by the next start: the key is kept, and by it and the
/// token the control plane recognises the agent.
async fn within(
    time: Duration,
    server: &str,
    joining: impl Future<Output = Result<Identity, IdentityError>>,
) -> Result<Identity, IdentityError> {
    tokio::time::timeout(time, joining).await.unwrap_or_else(|_| {
        Err(IdentityError::Unreachable {
            server: server.to_owned(),
            found: format!("no identity within {} s", time.as_secs()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_is_no_token_is_named_by_its_file_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOIN_CREDENTIAL);
        assert_eq!(join_credential(None).unwrap(), None);
        assert_eq!(join_credential(Some(dir.path())).unwrap(), None, "no file");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(join_credential(Some(dir.path())).unwrap(), None, "the unit's default");
        let id = "tok_00000000000000000000000000000001".parse().unwrap();
        let token = JoinToken { id, secret: [7; 32], ca_sha256: [1; 32] }.to_string();
        std::fs::write(&path, format!("{token}\n")).unwrap();
        assert_eq!(join_credential(Some(dir.path())).unwrap(), Some(token.clone()));
        std::fs::write(&path, token.replace("nimbus1", "nimbus7")).unwrap();
        let error = AgentError::from(join_credential(Some(dir.path())).unwrap_err()).to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("token create"), "{error}");
        let secret = token.split('.').nth(2).unwrap();
        assert!(!error.contains(secret) && !error.contains("nimbus7"), "{error}");
    }

    #[tokio::test]
    async fn who_gets_no_identity_in_time_says_from_where_and_in_which() {
        let never = std::future::pending();
        let error = within(Duration::ZERO, "nimbus.example.internal:8443", never).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("nimbus.example.internal:8443") && said.contains("within 0 s"), "{said}");
    }

    #[test]
    fn joining_ends_before_its_unit_is_stopped() {
        let unit = include_str!("../../../installer/dist/packaging/nimbus-agent.service");
        assert!(unit.contains("\nTimeoutStartSec=3min\n"));
        assert!(LONGEST + IDENTIFY + Duration::from_secs(20) < Duration::from_mins(3));
    }
}
