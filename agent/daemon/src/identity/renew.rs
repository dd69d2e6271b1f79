//! Renewal of the agent's certificate for the same key, over the live session, once two thirds of its lifetime are
//! over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use nimbus_protocol::v1;
use tokio::sync::watch;

use super::Identity;
use crate::status::SharedStatus;

/// Between two requests, whatever came of the first. By a clock that is years ahead every certificate has ended, a new one
/// too, and the control plane ends the session of an agent that asks again and again.
const AGAIN: Duration = Duration::from_mins(5);

/// The identity, and when to renew it.
#[derive(Debug)]
pub struct Renewal {
    identity: Identity,
    dir: PathBuf,
    /// When it was last asked for, on the monotonic clock.
    asked: Option<Duration>,
    keys: Arc<watch::Sender<Vec<VerifyingKey>>>,
}

impl Renewal {
    /// Renews `identity`, which is kept in `dir`; `keys` tells the executors whose jobs are trusted.
    pub fn new(identity: Identity, dir: PathBuf) -> Self {
        let keys = Arc::new(watch::Sender::new(identity.job_keys.clone()));
        Self { identity, dir, asked: None, keys }
    }

    /// The identity now.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The keys whose jobs are trusted, now and after each renewal.
    pub fn keys(&self) -> watch::Receiver<Vec<VerifyingKey>> {
        self.keys.subscribe()
    }

    /// The request to send now, if one is due: by the clock of the wall, and `monotonic` for the time between two.
    pub fn due(&mut self, now: Timestamp, monotonic: Duration) -> Option<v1::RenewRequest> {
        let waiting = self.asked.is_some_and(|asked| monotonic < asked.saturating_add(AGAIN));
        if waiting || now.as_second() < self.identity.renew_at() {
            return None;
        }
        self.asked = Some(monotonic);
        match self.identity.key.certificate_request(&self.identity.agent_id.to_string()) {
            Ok(csr_der) => Some(v1::RenewRequest { csr_der }),
            Err(error) => {
                tracing::error!(%error, "no certificate request could be made");
                None
            }
        }
    }

    /// Takes the answer. What cannot be used or kept is a problem; the old certificate goes on until it ends.
    pub fn take(&mut self, response: &v1::RenewResponse, status: &SharedStatus) {
        let taken = self
            .identity
            .renewed(&response.certificate_chain_der, &response.job_keys)
            .and_then(|()| self.identity.save_certificates(&self.dir));
        match taken {
            Ok(()) => {
                self.keys.send_replace(self.identity.job_keys.clone());
                tracing::info!(until = self.identity.expires_at(), "certificate renewed");
                status.problem("renewal", None);
            }
            Err(error) => {
                status.problem("renewal", Some(format!("the certificate was not renewed: {error}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::key::AgentKey;

    #[test]
    fn one_that_is_due_by_whatever_clock_is_asked_for_every_five_minutes_at_most() {
        let identity = Identity {
            agent_id: "agt_00000000000000000000000000000001".parse().unwrap(),
            name: String::new(),
            kind: String::new(),
            key: AgentKey::generate().unwrap(),
            // A certificate that cannot be read is due at any time.
            chain: vec![Vec::new().into()],
            ca: Vec::new().into(),
            job_keys: Vec::new(),
        };
        let mut renewal = Renewal::new(identity, PathBuf::new());
        let seconds = Duration::from_secs;
        let (now, ahead) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        assert!(renewal.due(ahead, seconds(10)).is_some());
        // An answer, and a clock that came back, are no reason to ask sooner, or never again.
        renewal.take(&v1::RenewResponse::default(), &SharedStatus::new());
        assert!(renewal.due(ahead, seconds(11)).is_none());
        assert!(renewal.due(now, seconds(309)).is_none());
        assert!(renewal.due(now, seconds(310)).is_some());
    }
}
